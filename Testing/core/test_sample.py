"""The sample study: the same everywhere, readable by others, and flawed exactly as it says."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import time
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import UID

from MedPrepLib import catalog
from MedPrepLib.config import load_study
from MedPrepLib.errors import RunError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.sample import SampleCase, SampleStudy, write_sample
from MedPrepLib.sample.brain import brain
from MedPrepLib.sample.flaws import Flaws, displaced
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.sample.noise import Seed
from MedPrepLib.sample.phantom import Lesion
from MedPrepLib.sample.thorax import thorax

REPOSITORY = Path(__file__).resolve().parents[2]
ORGAN, LESION = 1, 2
SECONDS, MEGABYTES = 20, 60


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    start = time.process_time()
    study = write_sample(tmp_path_factory.mktemp("sample") / "study")
    return study, time.process_time() - start


@pytest.fixture(scope="module")
def study(written) -> SampleStudy:
    return written[0]


def the_case(study: SampleStudy, flaw: Flaws) -> SampleCase:
    (case,) = [case for case in study.cases if case.flaw is flaw]
    return case


def named(study: SampleStudy, case_id: str) -> SampleCase:
    (case,) = [case for case in study.cases if case.id == case_id]
    return case


@cache
def headers(case: SampleCase) -> list[pydicom.Dataset]:
    """The slices in order along the normal, localizers left out."""
    files = [p for p in (case.folder / "image").iterdir() if p.suffix != ".log"]
    found = [pydicom.dcmread(path) for path in files]
    found = [h for h in found if "LOCALIZER" not in h.ImageType]
    iop = np.array(found[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(iop[:3], iop[3:])
    return sorted(found, key=lambda h: float(normal @ np.array(h.ImagePositionPatient, float)))


@cache
def read_image(case: SampleCase) -> sitk.Image:
    uid = str(headers(case)[0].SeriesInstanceUID)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(case.folder / "image"), uid))
    return reader.Execute()


@cache
def read_masks(case: SampleCase) -> dict[str, np.ndarray]:
    """Each reader's labels on the image's grid, read and resampled by SimpleITK."""
    image = read_image(case)
    masks = {}
    for path in sorted((case.folder / "masks").iterdir()):
        mask = sitk.ReadImage(str(path))
        if mask.GetNumberOfComponentsPerPixel() == 2:
            layers = [sitk.VectorIndexSelectionCast(mask, n) for n in (0, 1)]
            mask = sitk.Maximum(*layers)
        moved = sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        masks[path.name.split(".")[0]] = sitk.GetArrayFromImage(moved)
    return masks


def dice(a: np.ndarray, b: np.ndarray, label: int) -> float:
    p, q = a == label, b == label
    return 2 * float((p & q).sum()) / float(p.sum() + q.sum())


def pair_dices(case: SampleCase, label: int) -> dict[tuple[str, str], float]:
    masks = read_masks(case)
    return {(m, n): dice(masks[m], masks[n], label) for m, n in itertools.combinations(masks, 2)}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- the same bytes, quickly ------------------------------------------------------------------


def test_another_process_writes_the_same_bytes(study, sample_folder):
    first, second = digests(study.folder), digests(sample_folder)
    assert len(first) > 700
    assert first == second


def test_the_voxels_are_those_that_every_machine_computes():
    chest = thorax(
        Geometry((40, 36, 12), (8.0, 8.0, 12.0), (-160.0, -150.0, -80.0)),
        (0.0, 0.0, 0.0),
        Seed((7,)),
        Lesion((-70.0, 10.0, 10.0), 20.0),
    )
    head = brain(
        Geometry((40, 44, 12), (5.0, 5.0, 12.0), (-100.0, -110.0, -70.0)),
        (0.0, 0.0, 0.0),
        Seed((7,)),
        Lesion((20.0, 20.0, 20.0), 14.0),
        "T2",
    )
    fields = [
        p.image.tobytes() + p.organ_mm.tobytes() + p.lesion_mm.tobytes() for p in (chest, head)
    ]
    # The same with NumPy 1.26 and 2.4, Python 3.11 and 3.12, with and without AVX and FMA.
    sums = [hashlib.sha256(field).hexdigest()[:16] for field in fields]
    assert sums == ["781ad00ea0acaa3e", "7c10d71b4f1466d2"]


def test_another_seed_gives_other_pictures():
    grid = Geometry((24, 24, 6), (14.0, 14.0, 20.0), (-160.0, -160.0, -60.0))
    one, two = (thorax(grid, (0.0, 0.0, 0.0), Seed((n,)), None).image for n in (1, 2))
    assert np.abs(one - two).mean() > 10


def test_a_slab_of_noise_has_the_values_of_the_whole():
    grid = Geometry((30, 22, 19), (2.0, 3.0, 4.0))
    whole = Seed((3,)).smooth(grid, 11.0)
    part = Seed((3,)).smooth(grid, 11.0, range(8, 16))
    np.testing.assert_array_equal(part, whole[8:16])
    assert whole.std() == pytest.approx(1, abs=0.25)


def test_the_study_is_small_and_quick_to_write(written):
    study, seconds = written
    size = sum(p.stat().st_size for p in study.folder.rglob("*") if p.is_file())
    assert size < MEGABYTES * 1e6
    assert seconds < SECONDS


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(RunError, match="not empty"):
        write_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_negative_seed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="-1"):
        write_sample(tmp_path / "x", seed=-1)


# --- readable by others -----------------------------------------------------------------------


def test_simpleitk_finds_the_intended_grid_of_every_series(study):
    planes = set()
    for case in study.cases:
        if case.flaw in (Flaws.BAD_AFFINE, Flaws.MISSING_SLICE):
            continue
        image, grid = read_image(case), case.geometry
        assert image.GetSize() == grid.size, case.id
        assert image.GetSpacing() == pytest.approx(grid.spacing, abs=1e-5)
        assert image.GetOrigin() == pytest.approx(grid.origin, abs=1e-5)
        assert image.GetDirection() == pytest.approx(grid.direction, abs=1e-8)
        planes.add(tuple(round(v) for v in grid.direction))
    assert len(planes) >= 3


def test_the_oblique_scan_shows_its_lesion_at_the_stated_point(study):
    case = named(study, "north/BR-0002/baseline")
    assert len(set(case.geometry.size)) == 3
    slices = headers(case)
    iop = np.array(slices[0].ImageOrientationPatient, dtype=float)
    assert np.abs(np.abs(iop) - np.rint(np.abs(iop))).max() > 0.15
    # By hand from the header: PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1.
    origin = np.array(slices[0].ImagePositionPatient, dtype=float)
    step = np.array(slices[1].ImagePositionPatient, dtype=float) - origin
    between_rows, between_columns = (float(v) for v in slices[0].PixelSpacing)
    assert between_rows != between_columns
    matrix = np.column_stack([iop[:3] * between_columns, iop[3:] * between_rows, step])
    i, j, k = np.rint(np.linalg.solve(matrix, np.array(case.lesion_center_mm) - origin)).astype(int)
    assert (i, j, k) == read_image(case).TransformPhysicalPointToIndex(case.lesion_center_mm)
    assert slices[k].pixel_array[j, i] < 420  # the dark core of the lesion in T1
    ring = slices[k].pixel_array[max(0, j - 10) : j + 11, max(0, i - 10) : i + 11]
    assert ring.max() > 850  # its enhancing rim


def test_every_reader_marks_the_lesion_at_its_stated_center(study):
    found = 0
    for case in study.cases:
        if case.lesion_center_mm is None or case.flaw in (Flaws.BAD_AFFINE, Flaws.SHIFTED):
            continue
        if case.flaw is Flaws.MISSING_SLICE:
            continue
        image = read_image(case)
        i, j, k = image.TransformPhysicalPointToIndex(case.lesion_center_mm)
        assert {int(m[k, j, i]) for m in read_masks(case).values()} == {LESION}, case.id
        found += 1
    assert found == 10


def test_ct_values_are_hounsfield_units_however_they_are_stored(study):
    kinds = set()
    for case in study.cases:
        if case.modality != "CT" or case.flaw is Flaws.MISSING_SLICE:
            continue
        head = headers(case)[0]
        kinds.add((int(head.PixelRepresentation), int(head.RescaleIntercept)))
        image = read_image(case)
        hu = sitk.GetArrayFromImage(image)
        middle = hu[:, 6, hu.shape[2] // 2]  # in front of the patient, inside the round field
        assert abs(float(middle.mean()) + 1000) < 10, case.id
        lung = hu[next(iter(read_masks(case).values())) == ORGAN]
        assert -890 < np.median(lung) < -810
        assert hu.max() < 1500
    assert kinds == {(0, -1024), (0, -8192), (1, -1024), (1, 0)}


def test_files_are_what_pydicom_itself_would_write(study):
    for case in study.cases:
        for path in sorted((case.folder / "image").glob("*"))[:3]:
            if path.suffix == ".log":
                continue
            again = io.BytesIO()
            pydicom.dcmwrite(again, pydicom.dcmread(path), enforce_file_format=True)
            assert again.getvalue() == path.read_bytes(), path


def test_uids_are_valid_and_name_one_object_each(study):
    seen, frames = [], set()
    for case in study.cases:
        if case.flaw is Flaws.BAD_AFFINE:
            continue
        slices = headers(case)
        seen += [str(h.SOPInstanceUID) for h in slices]
        frames |= {str(h.FrameOfReferenceUID) for h in slices}
        assert {str(h.PatientID) for h in slices} == {case.patient}
        assert all(h.file_meta.MediaStorageSOPInstanceUID == h.SOPInstanceUID for h in slices)
        uids = {h[k].value for h in slices for k in ("StudyInstanceUID", "SeriesInstanceUID")}
        assert len(uids) == 2
        assert all(UID(u).is_valid and u.startswith("2.25.") for u in (*uids, *seen))
    assert len(set(seen)) == len(seen)
    assert len(frames) == len(study.cases) - 1


def test_names_and_numbers_of_files_carry_no_order_where_the_export_lost_it(study):
    bare = the_case(study, Flaws.DISAGREE)
    assert {p.suffix for p in (bare.folder / "image").iterdir()} == {""}
    by_name = [pydicom.dcmread(p) for p in sorted((bare.folder / "image").iterdir())]
    heights = [float(h.ImagePositionPatient[2]) for h in by_name]
    assert heights not in (sorted(heights), sorted(heights, reverse=True))
    numbers = [int(h.InstanceNumber) for h in headers(named(study, "west/LC-0061/baseline"))]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert numbers not in (sorted(numbers), sorted(numbers, reverse=True))


def test_label_maps_lie_on_the_image_for_nibabel_too(study):
    checked = 0
    for case in study.cases:
        for path in (case.folder / "masks").glob("*.nii.gz"):
            if case.flaw is Flaws.OTHER_GRID or case.flaw is Flaws.SHIFTED:
                continue
            image = nib.load(path)
            np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-3)
            if case.lesion_center_mm is None:
                continue
            x, y, z = case.lesion_center_mm
            index = np.linalg.solve(image.affine, [-x, -y, z, 1])[:3]
            assert np.asarray(image.dataobj)[tuple(np.rint(index).astype(int))] == LESION
            checked += 1
    assert checked >= 9


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_written_nifti_is_placed_alike_by_nibabel_and_simpleitk(tmp_path, mirror):
    c, s = 0.6, 0.8
    direction = np.array([[c, -s, 0], [s * 0.28, c * 0.28, -0.96], [s * 0.96, c * 0.96, 0.28]])
    direction[:, 2] *= mirror
    grid = Geometry((5, 7, 4), (0.7, 1.3, 4.5), (-31.5, 22.25, 110.75), tuple(direction.ravel()))
    array = np.arange(140, dtype=np.int16).reshape(4, 7, 5)
    write_nifti(tmp_path / "v.nii.gz", Volume(array, grid))
    assert grid.is_left_handed == (np.linalg.det(direction) < 0)
    point = grid.affine @ [3, 5, 2, 1]
    image = sitk.ReadImage(str(tmp_path / "v.nii.gz"))
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((3, 5, 2)), point[:3], atol=1e-3)
    assert image[3, 5, 2] == array[2, 5, 3]
    other = nib.load(tmp_path / "v.nii.gz")
    for affine in (other.get_sform(), other.get_qform()):
        np.testing.assert_allclose(affine @ [3, 5, 2, 1], point * [-1, -1, 1, 1], atol=1e-3)
    assert other.dataobj[3, 5, 2] == array[2, 5, 3]


# --- readers ----------------------------------------------------------------------------------


def test_readers_of_flawless_cases_agree_on_every_label(study):
    lesions = 0
    for case in study.cases:
        if case.flaw not in (Flaws.NONE, Flaws.BYSTANDERS):
            continue
        assert min(pair_dices(case, ORGAN).values()) >= 0.9, case.id
        if case.lesion_center_mm is not None:
            worst = min(pair_dices(case, LESION).values())
            assert 0.75 <= worst < 0.99, case.id
            lesions += 1
    assert lesions == 5


def test_about_a_third_of_the_cases_is_healthy_and_read_as_empty(study):
    healthy = [case for case in study.cases if case.lesion_center_mm is None]
    assert 0.25 <= len(healthy) / len(study.cases) <= 0.4
    for case in healthy:
        for path in (case.folder / "masks").iterdir():
            header = path.read_bytes()[:4000]
            assert b"_Name:=lesion" in header  # listed, so looked for
            assert LESION not in sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_segmentation_files_come_cropped_and_in_overlapping_layers(study):
    case = named(study, "north/LC-0003/baseline")
    cropped = sitk.ReadImage(str(case.folder / "masks" / "chen.seg.nrrd"))
    assert all(m < n for m, n in zip(cropped.GetSize()[:2], case.geometry.size[:2], strict=True))
    case = named(study, "north/LC-0003/followup")
    layers = sitk.GetArrayFromImage(sitk.ReadImage(str(case.folder / "masks" / "ana.seg.nrrd")))
    organ, lesion = layers[..., 0] == ORGAN, layers[..., 1] == LESION
    assert lesion.sum() > 100
    assert (organ & lesion).sum() == lesion.sum()


# --- flaws, each where it should be -----------------------------------------------------------


def test_one_slice_is_missing_in_the_middle(study):
    case = the_case(study, Flaws.MISSING_SLICE)
    heights = [float(h.ImagePositionPatient[2]) for h in headers(case)]
    gaps = np.diff(heights)
    assert len(heights) == case.geometry.size[2] - 1
    assert sorted(np.round(gaps / case.geometry.spacing[2], 3))[-2:] == [1.0, 2.0]
    assert 5 < int(gaps.argmax()) < len(gaps) - 5


def test_one_case_has_no_device_and_one_no_study_description(study):
    bare = headers(the_case(study, Flaws.NO_DEVICE))
    assert {(h.Manufacturer, h.ManufacturerModelName) for h in bare} == {("", "")}
    assert all("StudyDescription" not in h for h in headers(the_case(study, Flaws.NO_STUDY)))
    others = [c for c in study.cases if c.flaw in (Flaws.NONE, Flaws.BYSTANDERS)]
    assert all(h.Manufacturer and h.StudyDescription for c in others for h in headers(c)[:1])


def test_only_one_series_has_thick_slices(study):
    thick = [c for c in study.cases if c.geometry.spacing[2] > 5]
    assert [c.flaw for c in thick] == [Flaws.THICK]
    assert read_image(thick[0]).GetSpacing()[2] == pytest.approx(6.5)


def test_one_slice_has_another_bit_depth(study):
    depths = [int(h.BitsAllocated) for h in headers(the_case(study, Flaws.MIXED_BITS))]
    assert sorted(depths) == [8] + [16] * (len(depths) - 1)
    odd = headers(the_case(study, Flaws.MIXED_BITS))[depths.index(8)]
    assert odd.pixel_array.max() == 255


def test_the_nifti_image_has_a_singular_affine(study):
    case = the_case(study, Flaws.BAD_AFFINE)
    image = nib.load(case.folder / "image.nii.gz")
    assert int(image.header["qform_code"]) == 0
    assert int(image.header["sform_code"]) == 1
    assert np.linalg.matrix_rank(image.affine[:3, :3]) == 2
    assert image.shape == case.geometry.size


def test_one_reader_drew_on_a_coarser_grid_of_the_same_extent(study):
    case = the_case(study, Flaws.OTHER_GRID)
    mask = sitk.ReadImage(str(case.folder / "masks" / "ben.nii.gz"))
    image = read_image(case)
    assert mask.GetSpacing() == pytest.approx([2 * s for s in image.GetSpacing()], rel=1e-5)
    edges = [
        g.TransformContinuousIndexToPhysicalPoint([n - 0.5 for n in g.GetSize()])
        for g in (mask, image)
    ]
    assert edges[0] == pytest.approx(edges[1], abs=1e-3)
    assert min(pair_dices(case, LESION).values()) > 0.75  # its only flaw is the grid


def test_one_reader_is_displaced_and_agrees_again_when_moved_back(study):
    case = the_case(study, Flaws.SHIFTED)
    image = read_image(case)
    masks = read_masks(case)
    mask = sitk.ReadImage(str(case.folder / "masks" / "ben.nii.gz"))
    assert mask.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-3)
    assert dice(masks["ana"], masks["ben"], LESION) < 0.6
    assert dice(masks["ana"], displaced(masks["ben"], (-6, 4, -1)), LESION) > 0.8
    assert dice(masks["ana"], np.roll(masks["ben"], (-1, 4, -6), (0, 1, 2)), LESION) > 0.8
    assert dice(masks["ana"], masks["chen"], LESION) > 0.8


def test_one_reader_disagrees_about_the_size_of_a_lesion_not_about_its_place(study):
    case = the_case(study, Flaws.DISAGREE)
    pairs = pair_dices(case, LESION)
    assert pairs["ana", "ben"] < 0.6
    assert pairs["ana", "chen"] < 0.6
    assert pairs["ben", "chen"] > 0.8
    masks = read_masks(case)
    core = masks["ana"] == LESION
    assert (masks["ben"][core] == LESION).mean() > 0.95


def test_one_scan_occurs_twice_with_other_uids_and_another_patient(study):
    first, second = (headers(the_case(study, f)) for f in (Flaws.LEAK_ORIGINAL, Flaws.LEAK_COPY))
    assert [h.PixelData for h in first] == [h.PixelData for h in second]
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert first[0][keyword].value != second[0][keyword].value
    assert not {h.SOPInstanceUID for h in first} & {h.SOPInstanceUID for h in second}


def test_no_other_two_scans_share_a_picture(study):
    sums = [
        hashlib.sha256(b"".join(h.PixelData for h in headers(case))).hexdigest()
        for case in study.cases
        if case.flaw not in (Flaws.BAD_AFFINE, Flaws.LEAK_COPY)
    ]
    assert len(set(sums)) == len(sums) == 16


def test_a_localizer_and_two_stray_files_lie_beside_one_case(study):
    case = the_case(study, Flaws.BYSTANDERS)
    files = [p for p in (case.folder / "image").iterdir() if p.suffix == ".dcm"]
    scouts = [h for h in map(pydicom.dcmread, files) if "LOCALIZER" in h.ImageType]
    assert len(scouts) == 2
    orientations = {tuple(h.ImageOrientationPatient) for h in scouts}
    assert len(orientations) == 2
    assert len(files) == case.geometry.size[2] + 2
    assert (case.folder / "notes.txt").is_file()
    assert (case.folder / "image" / "export.log").read_bytes()[128:132] != b"DICM"


# --- the texts --------------------------------------------------------------------------------


def test_the_expectations_cover_every_case_folder_in_the_words_of_the_catalog(study):
    expected = json.loads(study.expected_file.read_text("utf-8"))
    folders = sorted(p.relative_to(study.folder / "raw") for p in study.folder.glob("raw/*/*/*"))
    assert sorted(expected["cases"]) == [p.as_posix() for p in folders]
    for case in study.cases:
        entry = expected["cases"][case.id]
        kinds = [catalog.find_kind(f["code"]) for f in entry["findings"]]
        assert [k.severity.word for k in kinds] == [f["severity"] for f in entry["findings"]]
        assert entry["included"] == ("reject" not in [f["severity"] for f in entry["findings"]])
        assert entry["why"].endswith(".")
        masks = sorted(p.name.split(".")[0] for p in (case.folder / "masks").iterdir())
        assert entry["readers"] == masks
    assert expected["totals"] == {
        "cases": 18,
        "included": 15,
        "excluded": 3,
        "patients": 16,
        "patients_included": 13,
    }


def test_every_flaw_occurs_once(study):
    flaws = [case.flaw for case in study.cases if case.flaw is not Flaws.NONE]
    assert sorted(f.name for f in flaws) == sorted(f.name for f in Flaws if f is not Flaws.NONE)


def test_holding_out_one_center_leaves_a_fifth_to_a_third_of_the_patients(study):
    for cases in (study.cases, [c for c in study.cases if c.included]):
        people = {(c.center, c.patient) for c in cases}
        shares = sorted(
            sum(c == center for c, _ in people) / len(people)
            for center in ("north", "south", "west")
        )
        assert 0.2 <= shares[0] < shares[1] <= 0.35
        assert shares[2] > 0.4


def test_the_study_file_is_valid_and_names_the_labels(study):
    settings = load_study(study.study_file)
    schema = settings.schema()
    assert schema.names == ("organ", "lesion")
    assert schema.named("lung").value == schema.named("Brain").value == ORGAN
    assert schema.named("tumor").value == LESION
    assert (study.folder / settings.sources[0].path).is_dir()
    assert settings.privacy.case_names == "given"


def test_the_readme_says_that_nobody_real_is_shown(study):
    text = (study.folder / "README.txt").read_text("utf-8")
    assert "synthetic" in text
    assert "no image, name, number or\nreading comes from a real person" in text
