"""A cohort that is made again: killed at any moment it is the old one or the new one, and readers
of the old one never see the new one's bytes."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from faults import remade

from MedPrepLib import layout
from MedPrepLib.errors import CohortError
from MedPrepLib.load import CohortDataset, open_cohort
from MedPrepLib.pipeline import workers
from MedPrepLib.verify import verify

TESTING = Path(__file__).resolve().parents[1]
LEFT = "interrupted"
"""What verify says of files that no manifest names."""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study with its other settings, the cohort of the old ones, and one of the new ones."""
    folder = tmp_path_factory.mktemp("again")
    study = remade.write_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers.WorkerPool, "run", remade.here_and_now)
        remade.make(study, folder / "old")
        study.write_text(remade.STUDY + remade.OTHER, encoding="utf-8")
        remade.make(study, folder / "new")
    return study, folder / "old", folder / "new"


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def public(place):
    """What lies in the cohort; the names of partial files hold something drawn, left out here."""
    return {re.sub(r"\.[0-9a-f]{8}\.partial$", ".partial", str(path)): data
            for path, data in contents(place / "cohort").items()}  # fmt: skip


def digest(folder):
    """Of all names and bytes below, and of folders that are empty."""
    found = {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in
             sorted(folder.rglob("*"))}  # fmt: skip
    return hashlib.sha256(repr(found).encode()).hexdigest()


def manifest_of(place):
    return (place / "cohort" / layout.MANIFEST_NAME).read_bytes()


def voxels(index, cases=None):
    return {case.id: index.read(case.id).image for case in cases or index.cases}


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def killed(made, places: Path, limits: Sequence[int | str]) -> int:
    """Leave cohorts killed before call n in ``places``; how many calls a whole one takes."""
    study, old, _ = made
    places.mkdir(exist_ok=True)
    path = os.pathsep.join([str(TESTING), str(TESTING.parent)])
    command = [sys.executable, str(TESTING / "faults" / "remade.py"), str(study), str(old),
               str(places), *map(str, limits)]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) if 0 in limits else 0


def require_whole(made, place: Path) -> str:
    """Whatever is there is wholly the old cohort or wholly the new one; "old" or "new"."""
    _, old, new = made
    which = {manifest_of(old): "old", manifest_of(new): "new"}[manifest_of(place)]
    strange = [problem for problem in verify(place / "cohort") if LEFT not in problem.message]
    assert strange == [], which
    expected = voxels(open_cohort((old if which == "old" else new) / "cohort"))
    assert same(voxels(open_cohort(place / "cohort")), expected)
    return which


def resumed(made, place: Path) -> None:
    study, _, new = made
    remade.make(study, place, rebuild=True)
    assert contents(place / "cohort") == contents(new / "cohort")
    assert verify(place / "cohort") == ()


@pytest.fixture(scope="module")
def calls(made, tmp_path_factory):
    return killed(made, tmp_path_factory.mktemp("calls"), [0])


@pytest.mark.fault("F1", "F11")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_killed_at_some_calls_a_remaking_leaves_the_old_cohort_or_the_new_one(
    made, calls, tmp_path
):
    draw = random.Random(0)
    # The last calls are those around the manifest and after it.
    limits = sorted({*draw.sample(range(1, calls), 3), *range(calls - 60, calls, 12)})
    killed(made, tmp_path, limits)
    seen = [require_whole(made, tmp_path / str(limit)) for limit in limits]
    assert seen == sorted(seen, reverse=True), "old first, and from some call on new"
    assert set(seen) == {"old", "new"}
    for limit in limits[::4]:
        resumed(made, tmp_path / str(limit))


@pytest.mark.heavy
@pytest.mark.fault("F1", "F11")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_killed_at_each_call_a_remaking_leaves_the_old_cohort_or_the_new_one(made, calls, tmp_path):
    """Each state of the disk is looked at once: calls that read or sync leave the one before."""
    killed(made, tmp_path / "all", [remade.ALL])
    some = range(1, calls + 1, 12)
    killed(made, tmp_path / "some", some)
    for limit in some:
        left, copied = (public(tmp_path / way / str(limit)) for way in ("some", "all"))
        assert left == copied, f"call {limit}: the copy holds what the kill left"
    seen: dict[str, str] = {}
    found = []
    for limit in range(1, calls + 1):
        place = tmp_path / "all" / str(limit)
        state = digest(place)
        if state not in seen:
            seen[state] = require_whole(made, place)
            resumed(made, place)
        found.append(seen[state])
        shutil.rmtree(place)
    assert found == sorted(found, reverse=True)
    assert len(seen) > 50


@pytest.mark.fault("F1")
def test_a_remade_cohort_is_the_one_that_is_made_at_once(made, tmp_path):
    _, old, new = made
    shutil.copytree(old, tmp_path / "x")
    resumed(made, tmp_path / "x")
    names = {p.relative_to(new) for p in (new / "cohort/cases").rglob("*.h5")}
    assert not names & {p.relative_to(old) for p in (old / "cohort/cases").rglob("*.h5")}
    assert not (tmp_path / "x" / "cohort" / layout.NEXT_FOLDER).exists()


@pytest.mark.fault("F11")
def test_who_opened_the_cohort_before_reads_the_old_bytes_until_the_new_manifest(
    made, tmp_path, monkeypatch
):
    study, old, _ = made
    shutil.copytree(old, tmp_path / "x")
    index = open_cohort(tmp_path / "x" / "cohort")
    expected, seen = voxels(index), []

    def looking(cohort, manifest):
        seen.append(same(voxels(index), expected))
        seen.append(same(voxels(open_cohort(cohort)), expected))
        return write(cohort, manifest)

    from MedPrepLib.pipeline import commit

    write = commit.write_manifest
    monkeypatch.setattr(commit, "write_manifest", looking)
    remade.make(study, tmp_path / "x", rebuild=True)
    assert seen == [True, True]
    for case in index.cases:
        with pytest.raises(CohortError, match=r"missing.*made again"):
            index.read(case.id)


@pytest.mark.fault("F11")
def test_readers_beside_a_writer_see_one_cohort_or_the_other_and_are_never_held_up(made, tmp_path):
    study, old, new = made
    shutil.copytree(old, tmp_path / "x")
    either = [voxels(open_cohort(place / "cohort")) for place in (old, new)]
    done, seen, wrong = threading.Event(), [0, 0], []

    def read():
        while not done.is_set():
            dataset = CohortDataset(tmp_path / "x" / "cohort", None, as_torch=False)
            try:
                found = {case.id: dataset.case(n).image for n, case in enumerate(dataset.cases)}
            except CohortError as error:
                if "made again" not in str(error):
                    wrong.append(str(error))
                continue
            which = [same(found, expected) for expected in either]
            seen[which.index(True) if True in which else wrong.append("mixed") or 0] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for text in (remade.STUDY + remade.OTHER, remade.STUDY) * 3:
            study.write_text(text, encoding="utf-8")
            remade.make(study, tmp_path / "x", rebuild=True)
    finally:
        done.set()
        reader.join()
        study.write_text(remade.STUDY + remade.OTHER, encoding="utf-8")
    assert wrong == []
    assert min(seen) > 0, seen
