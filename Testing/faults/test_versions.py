"""Cohorts of older and newer versions: old ones are read as they were, newer ones refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from core.cohort_samples import build_cohort

from MedPrepLib import layout
from MedPrepLib.errors import CohortError
from MedPrepLib.load import CohortDataset, PatchDataset, open_cohort
from MedPrepLib.manifest import read_manifest
from MedPrepLib.verify import verify

GOLDEN = Path(__file__).parent / "golden"
"""A cohort as each version of the format wrote it: two cases, made with codec gzip. Never changed;
a new version of the format adds a folder."""


def test_there_is_a_cohort_of_every_older_version():
    versions = {int(folder.name.removeprefix("v")) for folder in GOLDEN.iterdir()}
    assert versions == set(range(1, layout.FORMAT_VERSION))


@pytest.mark.fault("F58")
@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
def test_a_cohort_of_an_older_version_is_read_as_it_was(folder, tmp_path):
    place = tmp_path / "cohort"
    shutil.copytree(folder, place)
    assert verify(place) == ()
    index = open_cohort(place)
    assert [case.id for case in index.cases] == ["case-0", "case-1"]
    for case in index.cases:
        with h5py.File(place / case.name) as file:
            image, mask = file["image"][()], file["mask"][()]
        found = index.read(case.id)
        assert np.array_equal(found.image, image)
        assert np.array_equal(found.mask, mask)
        assert np.count_nonzero(found.mask == 3) == 14 * 10 * 20
        assert found.geometry.spacing == (0.7, 0.9, 2.5)
    assert CohortDataset(place, "test", as_torch=False)[0]["image"].shape == (1, 33, 42, 44)
    patch = PatchDataset(place, (16, 16, 16), "train", fold=None, as_torch=False)[0]
    assert patch["image"].shape == (1, 16, 16, 16)


@pytest.mark.fault("F58")
def test_a_newer_manifest_is_refused_with_the_way_out(tmp_path):
    build_cohort(tmp_path)
    path = tmp_path / layout.MANIFEST_NAME
    tree = json.loads(path.read_bytes())
    tree["format_version"] = layout.FORMAT_VERSION + 1
    path.write_bytes(layout.sealed(tree)[0])
    for opened in (open_cohort, read_manifest, CohortDataset):
        with pytest.raises(CohortError, match=r"reads versions up to \d+: install a newer MedPrep"):
            opened(tmp_path)
    (problem,) = verify(tmp_path)
    assert "install a newer MedPrep" in problem.message


@pytest.mark.fault("F58")
def test_a_newer_case_file_is_refused_with_the_way_out(tmp_path):
    build_cohort(tmp_path)
    index = open_cohort(tmp_path)
    path = tmp_path / index.cases[0].name
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = layout.FORMAT_VERSION + 1
        attributes = {
            key: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            for key, value in file.attrs.items()
            if key != "record_sha256"
        }
        file.attrs["record_sha256"] = layout.record_hash(attributes)
    with pytest.raises(CohortError, match="install a newer MedPrep"):
        index.read(index.cases[0].id)


@pytest.mark.fault("F58", "F60")
def test_an_old_version_number_opens_no_other_places(tmp_path):
    build_cohort(tmp_path)
    path = tmp_path / layout.MANIFEST_NAME
    tree = json.loads(path.read_bytes())
    tree["format_version"] = 1
    path.write_bytes(layout.sealed(tree)[0])
    with pytest.raises(CohortError, match="cannot lie at"):
        open_cohort(tmp_path)
