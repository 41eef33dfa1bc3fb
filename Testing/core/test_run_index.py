"""The index that a run leaves: whole, sealed, taken over where nothing changed, never stale."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from core.small_studies import finished, write_study

from MedPrepLib import layout
from MedPrepLib.errors import RunError
from MedPrepLib.load import PatchDataset, build_index, open_cohort, tables
from MedPrepLib.manifest import read_manifest
from MedPrepLib.pipeline import Shard
from MedPrepLib.verify import verify

SIZE = (8, 8, 8)


def rows(count: int) -> list[dict[str, str]]:
    return [{"case": f"c{n}", "patient": f"p{n}", "center": "a"} for n in range(count)]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three cases that was run, and run again with a fourth."""
    folder = write_study(tmp_path_factory.mktemp("index"), rows(4))
    table = (folder / "cases.csv").read_text()
    (folder / "cases.csv").write_text("".join(table.splitlines(keepends=True)[:4]))
    finished(folder)
    shutil.copytree(folder / "cohort", folder / "smaller")
    (folder / "cases.csv").write_text(table)
    return folder


@pytest.fixture
def study(grown: Path, tmp_path: Path) -> Path:
    """A copy of it before the fourth case was added."""
    return Path(shutil.copytree(grown, tmp_path / "study"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The case files of which tables are made, as they are opened."""
    names: list[str] = []

    def read(file: h5py.Group, path: str) -> tables.CaseTable:
        names.append(Path(path).name)
        return original(file, path)

    original = tables.table_in
    monkeypatch.setattr(tables, "table_in", read)
    return names


def patches(cohort: Path, *, indexed: bool) -> list[np.ndarray]:
    dataset = PatchDataset(cohort, SIZE, None, as_torch=False)
    assert dataset.tables.from_index is indexed
    return [dataset[n]["image"] for n in range(len(dataset))]


def test_a_run_leaves_an_index_that_its_manifest_seals(study: Path, opened: list[str]):
    cohort = study / "smaller"
    named = {file.name for file in read_manifest(cohort).files}
    assert layout.INDEX_NAME in named
    assert verify(cohort) == ()
    with_it = patches(cohort, indexed=True)
    assert opened == []
    (cohort / layout.INDEX_NAME).unlink()
    without = patches(cohort, indexed=False)
    assert all(np.array_equal(a, b) for a, b in zip(with_it, without, strict=True))
    assert [problem.name for problem in verify(cohort)] == [layout.INDEX_NAME]
    build_index(cohort)
    assert verify(cohort) == ()  # byte for byte what the run made


def test_workers_say_where_the_bricks_of_new_cases_lie(study: Path, opened: list[str]):
    before = {case.shard.name for case in read_manifest(study / "cohort").cases}
    summary = finished(study)
    assert len(summary.included) == 4
    assert len({case.shard.name for case in read_manifest(study / "cohort").cases} - before) == 1
    assert opened == []  # in this process
    assert verify(study / "cohort") == ()
    assert len(patches(study / "cohort", indexed=True)) == 4
    build_index(study / "cohort")
    assert len(opened) == 4
    assert verify(study / "cohort") == ()  # byte for byte what workers said


def test_shards_and_a_run_that_was_stopped_leave_the_same_index(study: Path, opened: list[str]):
    finished(study)
    whole = (study / "cohort" / layout.INDEX_NAME).read_bytes()
    for number in (1, 2):
        finished(study, cohort="parts", shard=Shard(number, 2))
    finished(study, cohort="parts", merge=True)
    assert (study / "parts" / layout.INDEX_NAME).read_bytes() == whole
    finished(study, cohort="stopped", stop="pack")
    finished(study, cohort="stopped")
    assert (study / "stopped" / layout.INDEX_NAME).read_bytes() == whole
    assert opened == []


def test_an_index_of_the_cohort_as_it_was_is_not_used(study: Path):
    finished(study)
    true = patches(study / "cohort", indexed=True)
    shutil.copy(study / "smaller" / layout.INDEX_NAME, study / "cohort" / layout.INDEX_NAME)
    stale = patches(study / "cohort", indexed=False)
    assert all(np.array_equal(a, b) for a, b in zip(true, stale, strict=True))


def test_an_index_that_was_changed_is_made_again_from_the_files(study: Path, opened: list[str]):
    path = study / "cohort" / layout.INDEX_NAME
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    assert [problem.name for problem in verify(study / "cohort")] == [layout.INDEX_NAME]
    finished(study)
    assert len(opened) == 3  # of the fourth a worker has just told
    assert verify(study / "cohort") == ()


def test_another_split_leaves_the_index_as_it_is(study: Path, opened: list[str]):
    cohort = study / "cohort"
    before = (cohort / layout.INDEX_NAME).read_bytes()
    (study / "cases.csv").write_text(
        "".join((study / "cases.csv").read_text().splitlines(keepends=True)[:4])
    )
    split = {entry.id: entry.split for entry in open_cohort(cohort).cases}
    finished(study, "[split]\ntest_fraction = 0\n", rebuild=True)
    assert {entry.id: entry.split for entry in open_cohort(cohort).cases} != split
    assert opened == []
    assert (cohort / layout.INDEX_NAME).read_bytes() == before


@pytest.mark.fault("F35")
def test_a_case_file_that_was_damaged_meanwhile_is_not_sealed(study: Path):
    cohort, renamed = study / "cohort", '[card]\ntitle = "Renamed"\n'
    finished(study)
    (cohort / layout.INDEX_NAME).unlink()
    damaged = cohort / read_manifest(cohort).cases[1].shard.name
    data = bytearray(damaged.read_bytes())
    data[:8] = b"\0" * 8
    damaged.write_bytes(data)
    with pytest.raises(RunError, match=rf"{damaged.name}.*remove that file and run again"):
        finished(study, renamed)
    damaged.unlink()
    assert len(finished(study, renamed).included) == 4
    assert verify(cohort) == ()
