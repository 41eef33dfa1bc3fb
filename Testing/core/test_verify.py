"""Verifying and describing: every byte, every file, every name."""

from __future__ import annotations

import json
import random
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from core.cohort_samples import build_cohort, packed_case

from MedPrepLib import layout
from MedPrepLib.command import medprep
from MedPrepLib.describe import describe
from MedPrepLib.errors import CohortError, CorruptCaseError
from MedPrepLib.manifest import (
    Manifest,
    ManifestCase,
    pool_statistics,
    read_manifest,
    training_normalization,
    write_manifest,
)
from MedPrepLib.results import ShardFile, Statistics
from MedPrepLib.verify import Problem, verify


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    build_cohort(tmp_path)
    return tmp_path


def names(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.name for problem in problems]


def test_a_whole_cohort_has_no_problems(cohort: Path):
    told: list[tuple[int, int, str]] = []
    assert verify(cohort, progress=lambda *step: told.append(step)) == ()
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert {total for _, total, _ in told} == {6}
    assert verify(cohort, deep=False) == ()


def test_the_manifest_comes_back_as_it_was_written(tmp_path: Path):
    written = build_cohort(tmp_path)
    assert read_manifest(tmp_path) == written
    assert len(written.root_hash) == 64
    assert [case.id for case in written.cases] == [f"case-{n}" for n in range(5)]


def test_the_manifest_is_written_the_same_from_any_order(cohort: Path, tmp_path: Path):
    manifest = read_manifest(cohort)
    data = (cohort / layout.MANIFEST_NAME).read_bytes()
    assert write_manifest(tmp_path, manifest) == manifest
    assert (tmp_path / layout.MANIFEST_NAME).read_bytes() == data


@pytest.mark.fault("F35")
def test_a_flipped_byte_in_any_file_is_found(cohort: Path):
    draw = random.Random(0)
    files = [path for path in sorted(cohort.rglob("*")) if path.is_file()]
    assert len(files) == 7
    for path in files:
        data = path.read_bytes()
        for place in [0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(3))]:
            changed = bytearray(data)
            changed[place] ^= 1 << draw.randrange(8)
            path.write_bytes(changed)
            assert names(verify(cohort)) == [path.relative_to(cohort).as_posix()]
        path.write_bytes(data)
    assert verify(cohort) == ()


@pytest.mark.parametrize("codec", ["raw", "lz4", "gzip"])
def test_a_flipped_bit_is_found_by_the_command_wherever_it_is(tmp_path: Path, codec: str):
    pytest.importorskip("blosc")
    build_cohort(tmp_path, codec=codec)
    path = tmp_path / read_manifest(tmp_path).cases[2].shard.name
    data = path.read_bytes()
    with h5py.File(path) as file:
        table = file["foreground/left_kidney"].id.get_chunk_info(0)
        voxels = file["image"].id.get_chunk_info(0)
    places = {
        "superblock": 9,
        "attributes": data.index(b"recipe_hash") + 3,
        "voxels": voxels.byte_offset + voxels.size // 2,
        "table": table.byte_offset + 1,
        "last byte": len(data) - 1,
    }
    for place in places.values():
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        done = CliRunner().invoke(medprep, ["verify", str(tmp_path)], standalone_mode=False)
        assert done.return_value == 1
        assert path.name in done.output
        assert "1 problem: this cohort is not what was written." in done.output
    path.write_bytes(data)
    done = CliRunner().invoke(medprep, ["verify", str(tmp_path)], standalone_mode=False)
    assert (done.return_value, done.output.partition(":")[0]) == (0, "Intact")


@pytest.mark.fault("F35")
def test_every_single_byte_of_the_manifest_counts(cohort: Path):
    data = (cohort / layout.MANIFEST_NAME).read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(CohortError):
            layout.unsealed(bytes(changed), "manifest.json")
    for extra in (data + b" ", data[:-1], data + b"\n", b"[]", b"", b"{}", b"\xff"):
        with pytest.raises(CorruptCaseError):
            layout.unsealed(extra, "manifest.json")


@pytest.mark.fault("F36")
def test_missing_extra_and_linked_files_are_named(cohort: Path):
    shards = [case.shard.name for case in read_manifest(cohort).cases]
    (cohort / shards[0]).unlink()
    (cohort / "report" / "note.txt").write_text("x", encoding="utf-8")
    (cohort / "cases" / "ab").mkdir(exist_ok=True)
    (cohort / "cases" / "ab" / "x.h5.partial").write_bytes(b"x")
    elsewhere = cohort / "elsewhere"
    (cohort / shards[1]).rename(elsewhere)
    (cohort / shards[1]).symlink_to(elsewhere)
    (cohort / "report" / "folder").symlink_to(cohort / "cases")
    found = {problem.name: problem.message for problem in verify(cohort)}
    assert found == {
        shards[0]: "is missing",
        shards[1]: "is a link, not a file",
        "report/note.txt": "is not in the manifest",
        "report/folder": "is not in the manifest",
        "cases/ab/x.h5.partial": "is left from an interrupted run",
    }


@pytest.mark.fault("F36")
def test_swapped_case_files_are_found_even_without_hashing(cohort: Path):
    paths = [cohort / case.shard.name for case in read_manifest(cohort).cases]
    first, second = paths[0].read_bytes(), paths[1].read_bytes()
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    assert len(verify(cohort)) == 2
    manifest = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    for n in range(2):
        manifest["cases"][n]["shard"]["size"] = paths[n].stat().st_size
    (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(manifest)[0])
    messages = [problem.message for problem in verify(cohort, deep=False)]
    assert messages == ["holds case case-1, not case-0", "holds case case-0, not case-1"]


@pytest.mark.fault("F36")
def test_a_case_made_with_another_recipe_is_found(cohort: Path):
    manifest = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    manifest["recipe_hash"] = "00" * 31 + "01"
    (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(manifest)[0])
    assert {p.message for p in verify(cohort)} == {"was made with another recipe than the cohort"}


def test_a_manifest_of_a_newer_version_is_refused_with_the_way_out(cohort: Path):
    manifest = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    manifest["format_version"] = layout.FORMAT_VERSION + 1
    (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(manifest)[0])
    with pytest.raises(CohortError, match="install a newer MedPrep"):
        read_manifest(cohort)
    manifest.update(format_version=layout.FORMAT_VERSION, format="something else")
    (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(manifest)[0])
    with pytest.raises(CohortError, match="not the manifest of a cohort"):
        read_manifest(cohort)


@pytest.mark.fault("F27", "F60")
@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "report/../../x", "a//b", "", "C:/x", "a\\..\\x", "report/a\nb"]
)
def test_names_that_leave_the_cohort_are_refused(cohort: Path, name: str):
    manifest = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    manifest["files"][0]["name"] = name
    (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(manifest)[0])
    with pytest.raises(CohortError, match="leaves the cohort"):
        read_manifest(cohort)


@pytest.mark.fault("F27", "F60")
@pytest.mark.parametrize("case_id", ["../../x", "case-1"])
def test_cases_with_unsafe_or_equal_ids_are_refused(cohort: Path, case_id: str):
    manifest = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    manifest["cases"][0]["id"] = case_id
    (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(manifest)[0])
    with pytest.raises(CohortError):
        read_manifest(cohort)


@pytest.mark.fault("F60")
def test_unknown_or_missing_entries_of_a_manifest_are_refused(cohort: Path):
    whole = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    for tree in ({**whole, "more": 1}, {k: v for k, v in whole.items() if k != "cases"}):
        (cohort / layout.MANIFEST_NAME).write_bytes(layout.sealed(tree)[0])
        with pytest.raises(CohortError, match="is no manifest"):
            read_manifest(cohort)


def test_pooled_statistics_are_those_of_all_voxels_together():
    packed = [packed_case(size=(70, 45, 37 + n), seed=n) for n in range(4)]
    voxels = np.concatenate([p.image.array.ravel() for p in packed]).astype(np.float64)
    pooled = pool_statistics(p.statistics for p in packed)
    assert (pooled.cases, pooled.voxels) == (4, voxels.size)
    assert pooled.mean == pytest.approx(voxels.mean(), rel=1e-12)
    assert pooled.std == pytest.approx(voxels.std(), rel=1e-12)
    assert pool_statistics(p.statistics for p in reversed(packed)) == pooled
    assert pool_statistics([]).std == 0


def test_normalization_never_looks_at_the_test_part(cohort: Path):
    cases = read_manifest(cohort).cases
    plain = {case.id: Statistics(10, 5.0, 2.0, 0, 9, {}) for case in cases}
    changed = {**plain, "case-4": Statistics(10**9, -1e6, 1e5, 0, 0, {})}
    assert training_normalization(cases, plain) == training_normalization(cases, changed)
    without = {name: value for name, value in plain.items() if name != "case-4"}
    assert set(training_normalization(cases, without)) == {"CT", "MR"}


def test_a_pet_of_unknown_unit_is_not_pooled_with_those_that_are_suv(cohort: Path):
    cases = [
        msgspec.structs.replace(case, modality="PT", findings=("SUV_UNKNOWN",) if n == 1 else ())
        for n, case in enumerate(read_manifest(cohort).cases)
    ]
    values = {case.id: Statistics(10, 2.0, 1.0, 0, 9, {}) for case in cases}
    values[cases[1].id] = Statistics(10, 9e3, 5e3, 0, 4e4, {})
    pooled = training_normalization(cases, values)["PT"]
    assert (pooled.cases, pooled.mean, pooled.std) == (3, 2.0, 1.0)
    alike = [msgspec.structs.replace(case, findings=("SUV_UNKNOWN",)) for case in cases]
    assert training_normalization(alike, values)["PT"].cases == 4


def test_a_description_counts_what_is_there(cohort: Path):
    found = describe(cohort)
    assert (found.cases, found.patients, found.excluded) == (5, 5, 0)
    assert found.by_split == {"test": 1, "train": 4}
    assert found.by_fold == {"0": 2, "1": 2}
    assert found.by_modality == {"CT": 4, "MR": 1}
    assert found.by_center == {"C01": 5}
    assert found.by_label == {"left kidney": 5, "right kidney": 0, "tumor / Läsion": 5}
    assert found.size == ((40, 45, 37), (44, 45, 37))
    assert found.spacing_mm == ((0.7, 0.9, 2.5), (0.7, 0.9, 2.5))
    files = [p.stat().st_size for p in cohort.rglob("*") if p.is_file()]
    assert found.bytes == sum(files) - (cohort / layout.MANIFEST_NAME).stat().st_size
    assert json.loads(found.to_json())["by_split"] == found.by_split
    text = found.to_text()
    assert "a study: 5 cases of 5 patients" in text
    assert "40 x 45 x 37 to 44 x 45 x 37 voxels" in text
    assert "0.7 x 0.9 x 2.5 mm" in text


def test_an_empty_cohort_can_be_written_verified_and_described(tmp_path: Path, cohort: Path):
    whole = read_manifest(cohort)
    empty = Manifest(
        medprep_version="0", study="s", task="segmentation", config="", config_hash="",
        recipe_hash="", schema=whole.schema, cases=(),
    )  # fmt: skip
    folder = tmp_path / "empty"
    folder.mkdir()
    write_manifest(folder, empty)
    assert verify(folder) == ()
    assert describe(folder).size is None


def test_a_manifest_that_misplaces_a_case_is_not_written(tmp_path: Path, cohort: Path):
    shard = ShardFile("cases/00/x.h5", 1, "")
    case = ManifestCase("x", "P", "C", "CT", "train", 0, shard)
    import msgspec

    wrong = msgspec.structs.replace(read_manifest(cohort), cases=(case,))
    with pytest.raises(CohortError, match="cannot lie at"):
        write_manifest(tmp_path, wrong)
