"""Traces of an image under another name: what survives, what does not, and what is proved."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import plain_nearness
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.command import medprep
from MedPrepLib.errors import MedPrepError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, from_sitk, to_nibabel, to_sitk
from MedPrepLib.leakage import (
    Fingerprint,
    Subject,
    agreement,
    copies,
    fingerprint,
    image_hashes,
    near_duplicates,
    shared_between,
)
from MedPrepLib.leakage.canonical import canonical
from MedPrepLib.sample.noise import Seed
from MedPrepLib.sample.roster import ROSTER
from MedPrepLib.sample.study import _scanned

LIMIT = 0.8


@functools.cache
def scan(number: int = 0, seed: int = 1) -> Volume:
    plan = [p for p in ROSTER if not p.same_scan_as][number]
    geometry, phantom, _ = _scanned(plan, Seed((seed,)))
    return Volume(np.rint(phantom.image).astype(np.int16), geometry)


@pytest.fixture(scope="module")
def original() -> Volume:
    return scan()


def cropped(volume: Volume, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
    i, j, k = start
    size = tuple(n - a - b for n, a, b in zip(volume.geometry.size, start, stop, strict=True))
    array = volume.array[k : k + size[2], j : j + size[1], i : i + size[0]]
    return Volume(array, volume.geometry.cropped(start, size))


def flipped(volume: Volume) -> Volume:
    """The same image in space, its axes stored in another order and from the other end."""
    import SimpleITK as sitk

    image = sitk.PermuteAxes(to_sitk(volume), [1, 0, 2])
    return from_sitk(sitk.Flip(image, [True, False, True]))


COPIES = {
    "one HU more": lambda v: v.with_array(v.array + 1),
    "rescaled": lambda v: v.with_array((v.array * 1.7 + 40).astype(np.float32)),
    "two slices fewer at one end, one at the other": lambda v: cropped(v, (0, 0, 2), (0, 0, 1)),
    "borders cut": lambda v: cropped(v, (9, 4, 0), (3, 8, 0)),
    "cut everywhere, one HU more": lambda v: cropped(
        v.with_array(v.array + 1), (8, 3, 3), (2, 9, 1)
    ),
    "axes stored otherwise": flipped,
}


@pytest.mark.fault("F38")
@pytest.mark.parametrize("how", COPIES)
def test_the_fingerprint_survives(how: str, original: Volume):
    assert agreement(fingerprint(original), fingerprint(COPIES[how](original))) >= LIMIT


def test_the_fingerprint_survives_saving_as_nifti_by_another_tool(original: Volume, tmp_path: Path):
    import nibabel

    from MedPrepLib.formats.files import read_volume

    canon = nibabel.as_closest_canonical(to_nibabel(original))
    nibabel.save(canon, tmp_path / "copy.nii.gz")
    copy = read_volume(tmp_path / "copy.nii.gz")
    assert copy.array.shape != original.array.shape or (copy.array != original.array).any()
    assert agreement(fingerprint(original), fingerprint(copy)) > 0.99
    assert image_hashes(copy) == image_hashes(original)


def test_canonical_axes_are_those_of_another_tool(original: Volume):
    import nibabel

    array, spacing = canonical(flipped(original))
    # nibabel's canonical axes run to Right, Anterior, Superior; ours to Left, Posterior, Superior.
    other = nibabel.as_closest_canonical(to_nibabel(original))
    assert np.array_equal(array, np.asarray(other.dataobj)[::-1, ::-1].T)
    assert spacing[::-1] == pytest.approx(other.header.get_zooms())


@pytest.mark.fault("F38")
def test_scans_of_other_people_with_the_same_anatomy_are_no_copies():
    prints = [fingerprint(scan(n, seed)) for n in (0, 2, 3, 4) for seed in (1, 2, 3)]
    pairs = [agreement(a, b) for i, a in enumerate(prints) for b in prints[:i]]
    assert len(pairs) == 66
    assert max(pairs) < LIMIT


def test_no_two_patients_of_the_real_data_are_copies_but_cropped_copies_are(shared_data: Path):
    real = list(_real(shared_data))
    assert len(real) >= 20
    prints = [fingerprint(volume) for _, volume in real]
    different = [
        agreement(prints[a], prints[b])
        for a in range(len(real))
        for b in range(a)
        if real[a][0] != real[b][0]
    ]
    assert max(different) < 0.7
    for (_, volume), own in zip(real, prints, strict=True):
        cut = [max(0, round(0.05 * n)) for n in volume.geometry.size]
        copy = cropped(volume.with_array(volume.array + 1), tuple(cut), (0, cut[1], 0))
        assert agreement(own, fingerprint(copy)) >= LIMIT


def test_of_the_real_images_and_their_parts_the_plain_search_finds_the_same(shared_data: Path):
    real = [volume for _, volume in _real(shared_data)][::3]
    cut = [cropped(v, tuple(n // 12 for n in v.geometry.size), (0, 0, 0)) for v in real]
    prints = [fingerprint(volume) for volume in (*real, *cut)]
    people = [f"p{n}" for n in range(len(prints))]
    found = list(near_duplicates(prints, people, 0.5))
    assert found == list(plain_nearness.near_duplicates(prints, people, 0.5))
    assert sum(share >= LIMIT for _, _, share in found) >= len(real) - 2


def _real(folder: Path):
    import csv

    from MedPrepLib.leakaudit import Entry
    from MedPrepLib.leakaudit.examine import _of_image

    with (folder / "cohort.csv").open() as file:
        for row in csv.DictReader(file):
            entry = Entry(row["case_id"], "", str(folder / row["image"]), "image", ())
            yield row["patient_id"], _of_image(entry)[0]


def test_an_image_of_one_value_is_nobodys_copy():
    flat = Volume(np.zeros((9, 9, 9), np.int16), Geometry((9, 9, 9)))
    assert agreement(fingerprint(flat), fingerprint(flat)) == 0
    assert image_hashes(flat).slices == ()


def test_a_fingerprint_is_text_and_back(original: Volume):
    own = fingerprint(original)
    again = Fingerprint.parse(str(own))
    assert agreement(own, again) == 1
    with pytest.raises(MedPrepError, match="no fingerprint"):
        Fingerprint.parse("1:2:3:nonsense")


def test_slices_are_found_again_in_a_part_of_the_series(original: Volume):
    whole, part = image_hashes(original), image_hashes(cropped(original, (0, 0, 5), (0, 0, 7)))
    assert whole.image != part.image
    assert len(part.slices) == original.geometry.size[2] - 12
    assert set(part.slices) <= set(whole.slices)


def test_whole_numbers_hash_alike_whatever_type_stores_them(original: Volume):
    expected = image_hashes(original)
    for dtype in (np.int32, np.float32, np.float64):
        assert image_hashes(original.with_array(original.array.astype(dtype))) == expected
    assert image_hashes(original.with_array(original.array + 0.5)) != expected


@pytest.mark.fault("F38")
def test_a_copy_is_found_among_many_whatever_the_order():
    volumes = [scan(n, seed) for n in (0, 2) for seed in (1, 2, 3, 4)]
    volumes.append(cropped(volumes[3], (3, 3, 1), (3, 3, 1)))
    i, j, k = (round(0.1 * n) for n in volumes[5].geometry.size)
    volumes.append(cropped(volumes[5], (i, 0, 0), (0, j, k)))  # at one end of every axis
    subjects = [
        Subject(str(n), f"p{n}", fingerprint=str(fingerprint(v))) for n, v in enumerate(volumes)
    ]
    assert [(e.one, e.other) for e in copies(subjects, LIMIT)] == [("3", "8"), ("5", "9")]
    assert [(e.one, e.other) for e in copies(subjects[::-1], LIMIT)] == [("9", "5"), ("8", "3")]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=12
    )
)
def test_what_is_shared_is_what_a_comparison_of_all_pairs_finds(rows: list[tuple[int, int, int]]):
    subjects = [Subject(str(n), f"p{p}", (("image", str(i)),)) for n, (p, i, _) in enumerate(rows)]
    places = {str(n): str(s) for n, (_, _, s) in enumerate(rows)}
    proof, found = shared_between(subjects, places, ())
    across = [
        (a, b) for a in range(len(rows)) for b in range(a) if places[str(a)] != places[str(b)]
    ]
    leaking = [(a, b) for a, b in across if rows[a][0] == rows[b][0] or rows[a][1] == rows[b][1]]
    assert proof.pairs == len(across)
    assert proof.clean == (not leaking) == (not found)
    assert all(places[e.one] != places[e.other] for e in found)


# --- medprep audit ----------------------------------------------------------------------------
def write(volume: Volume, path: Path) -> str:
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_sitk(volume), str(path))
    return path.name


def audited(*words: str, status: int) -> dict:
    done = CliRunner().invoke(
        medprep, ["audit", *words, "--workers", "1", "--json"], standalone_mode=False
    )
    assert done.exception is None, done.exception
    assert done.return_value == status
    return json.loads(done.stdout)


def test_the_audit_of_a_table_names_both_items_and_the_evidence(tmp_path: Path, original: Volume):
    write(original, tmp_path / "a.nii.gz")
    write(
        cropped(original.with_array(original.array + 1), (5, 2, 1), (2, 4, 1)), tmp_path / "b.mha"
    )
    write(scan(2), tmp_path / "c.nii.gz")
    rows = ["patient,set,image", "p1,train,a.nii.gz", "p2,test,b.mha", "p3,test,c.nii.gz"]
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(rows))
    answer = audited(str(table), status=1)
    (leak,) = answer["leaks"]
    assert (leak["kind"], leak["one"], leak["other"]) == ("near-duplicate", "a.nii.gz", "b.mha")
    assert (leak["one_set"], leak["other_set"]) == ("train", "test")
    table.write_text("\n".join([*rows[:2], rows[3]]))
    assert audited(str(table), status=0)["proofs"]["all"]["pairs"] == 1
    table.write_text("\n".join([*rows[:2], "p1,val,c.nii.gz"]))
    assert [leak["kind"] for leak in audited(str(table), status=1)["leaks"]] == ["patient"]


def test_the_audit_of_an_nnunet_folder_compares_the_sides_of_every_fold(
    tmp_path: Path, original: Volume
):
    write(original, tmp_path / "imagesTr" / "case1_0000.nii.gz")
    write(cropped(original, (0, 0, 6), (0, 0, 6)), tmp_path / "imagesTr" / "case2_0000.nii.gz")
    write(scan(2), tmp_path / "imagesTs" / "case3_0000.nii.gz")
    folds = [{"train": ["case1"], "val": ["case2"]}, {"train": ["case2", "case1"], "val": []}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    leaks = audited(str(tmp_path), status=1)["leaks"]
    assert {leak["round"] for leak in leaks} == {"fold 0"}
    assert "slice" in {leak["kind"] for leak in leaks}
    (tmp_path / "splits_final.json").write_text(json.dumps(folds[1:]))
    assert audited(str(tmp_path), status=0)["leaks"] == []


def test_an_image_that_cannot_be_read_is_named_and_fails_the_audit(tmp_path: Path):
    (tmp_path / "a.nii.gz").write_bytes(b"nothing")
    (tmp_path / "t.csv").write_text("patient,set,image\np,train,a.nii.gz\n")
    answer = audited(str(tmp_path / "t.csv"), status=1)
    assert [image["id"] for image in answer["unread"]] == ["a.nii.gz"]


def test_what_is_no_cohort_is_refused(tmp_path: Path):
    with pytest.raises(MedPrepError, match="is no cohort"):
        CliRunner().invoke(
            medprep, ["audit", str(tmp_path)], standalone_mode=False, catch_exceptions=False
        )
