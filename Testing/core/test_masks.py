"""Masks in files become segments of the study's labels, each voxel where it was drawn."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.errors import GeometryError
from MedPrepLib.findings import rejects
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.files import read_volume
from MedPrepLib.formats.segnrrd import distinct_names, read_seg_nrrd, write_seg_nrrd
from MedPrepLib.geometry import LPS_TO_RAS, Geometry
from MedPrepLib.images import Volume, to_nibabel, to_sitk
from MedPrepLib.labels import Label, LabelSchema, Terminology, distinct_color
from MedPrepLib.masks import kind_of, load_reading, merge, read_any_mask, read_mask
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

sitk = pytest.importorskip("SimpleITK")

SCHEMA = LabelSchema(
    (
        Label("liver", 1, aliases=("Leber",), terminology=Terminology("SCT", "10200004")),
        Label("tumor", 2, aliases=("GTV", "lesion")),
        Label("vessel", 300),
    )
)


def oblique(size=(7, 5, 4)) -> Geometry:
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    if np.linalg.det(q) > 0:
        q[:, 0] *= -1
    return Geometry(size, (0.7, 0.9, 3.3), (-41.5, 20.25, 3.0), tuple(q.ravel()))


def layered() -> Segmentation:
    """Two layers on an oblique, left-handed grid; one segment is empty."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, (4, 5, 7)).astype(np.uint8)
    second = np.where(rng.random((4, 5, 7)) > 0.5, 300, 0).astype(np.uint16)
    segments = (
        Segment("liver", 1, 0, (10, 20, 30), Terminology("SCT", "10200004", "Liver")),
        Segment("back\\slash\nand line", 2, 0, (255, 0, 128)),
        Segment("vessel", 300, 1, (1, 2, 3)),
        Segment("never found", 7, 0),
    )
    return Segmentation((first, second), oblique(), segments)


def save_labels(path: Path, array: np.ndarray, geometry: Geometry | None = None) -> Path:
    volume = Volume(array, geometry or oblique())
    if ".nii" in path.name:
        pytest.importorskip("nibabel").save(to_nibabel(volume), path)
    else:
        sitk.WriteImage(to_sitk(volume), str(path))
    return path


def load(*parts, schema=SCHEMA):
    reading = MaskReading(
        "a", tuple(p if isinstance(p, MaskPart) else MaskPart(str(p)) for p in parts)
    )
    return load_reading(reading, oblique(), schema, "case/a")


def codes(loaded) -> list[str]:
    return [f.code for f in loaded.findings]


# --- .seg.nrrd --------------------------------------------------------------------------------


def test_simpleitk_finds_every_layer_of_a_written_segmentation(tmp_path):
    path, segmentation = tmp_path / "a.seg.nrrd", layered()
    write_seg_nrrd(path, segmentation)
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    for number, layer in enumerate(segmentation.layers):
        np.testing.assert_array_equal(array[..., number], layer)
    for index in [(0, 0, 0), (6, 1, 3)]:
        expected = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(segmentation.geometry.point_at(index), expected)
    assert image.GetMetaData("Segment1_Name") == "back\\slash\nand line"
    assert image.GetMetaData("Segment2_LabelValue") == "300"
    assert image.GetMetaData("Segment3_Extent") == "0 -1 0 -1 0 -1"


def test_slicer_itself_reads_a_written_segmentation(tmp_path):
    if importlib.util.find_spec("slicer") is None:
        pytest.skip("slicer-core is not installed")
    path, segmentation = tmp_path / "a.seg.nrrd", layered()
    write_seg_nrrd(path, segmentation)
    script = (
        "import slicer, sys\n"
        "scene, node = slicer.vtkMRMLScene(), slicer.vtkMRMLSegmentationNode()\n"
        "storage = slicer.vtkMRMLSegmentationStorageNode()\n"
        "scene.AddNode(node); scene.AddNode(storage); storage.SetFileName(sys.argv[1])\n"
        "assert storage.ReadData(node)\n"
        "found = node.GetSegmentation()\n"
        "for n in range(found.GetNumberOfSegments()):\n"
        "    s = found.GetNthSegment(n)\n"
        "    print('@', s.GetName().replace(chr(10), ' '), s.GetLabelValue(),\n"
        "          [round(255 * c) for c in s.GetColor()])\n"
        "print('layers', found.GetNumberOfLayers())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in lines if line.startswith("@")] == [
        "@ liver 1 [10, 20, 30]",
        "@ back\\slash and line 2 [255, 0, 128]",
        "@ vessel 300 [1, 2, 3]",
        f"@ never found 7 {list(distinct_color(7))}",
    ]
    assert "layers 2" in lines


def test_a_written_segmentation_is_read_back_with_everything(tmp_path):
    path, segmentation = tmp_path / "a.seg.nrrd", layered()
    write_seg_nrrd(path, segmentation)
    found = read_mask(path)
    assert kind_of(path) == "labels"
    assert found.names == segmentation.names
    assert found.segments[:3] == segmentation.segments[:3]
    assert not found.mask("never found").any()
    for name in found.names:
        np.testing.assert_array_equal(found.mask(name), segmentation.mask(name))


def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(path, layered())
    first = path.read_bytes()
    write_seg_nrrd(path, layered())
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["a.seg.nrrd"]


def test_a_cropped_segmentation_keeps_its_own_place(tmp_path):
    whole = oblique((20, 18, 9))
    part = whole.cropped((3, 4, 2), (7, 5, 4))
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(path, from_masks({"liver": np.ones((4, 5, 7))}, part))
    found = read_seg_nrrd(path)
    assert found.geometry.size == (7, 5, 4)
    np.testing.assert_allclose(found.geometry.point_at((1, 1, 1)), whole.point_at((4, 5, 3)))


def test_old_files_with_one_layer_per_segment_and_no_values_are_read(tmp_path):
    path = tmp_path / "old.seg.nrrd"
    a, b = np.zeros((4, 5, 7), np.uint8), np.zeros((4, 5, 7), np.uint8)
    a[1], b[1:3] = 1, 1
    head = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\n"
        "sizes: 2 7 5 4\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\n"
        "kinds: vector domain domain domain\nencoding: raw\nspace origin: (0,0,0)\n"
        "Segment0_Name:=liver\nSegment1_Name:=liver\n"
        "Segment1_Tags:=TerminologyEntry:ctx~SCT^1^Cat~SCT^10200004^Liver~^^~ctx~^^~^^|\n\n"
    )
    path.write_bytes(head.encode() + np.stack([a, b], axis=-1).tobytes())
    found = read_seg_nrrd(path)
    assert found.names == ("liver", "liver #2")
    assert found.segments[1].terminology == Terminology("SCT", "10200004", "Liver")
    np.testing.assert_array_equal(found.mask("liver"), a)
    np.testing.assert_array_equal(found.mask("liver #2"), b)
    (united,) = load(path).segmentations
    np.testing.assert_array_equal(united.mask("liver"), a | b)


def test_names_that_stand_twice_get_numbers_that_nobody_has_however_many_they_are():
    names = ("a", "a", "a #2", "a", "a #2")
    assert distinct_names(names) == ["a", "a #3", "a #2", "a #4", "a #2 #2"]
    many = distinct_names(["GTV"] * 100_000)  # twenty minutes if each counts from 2 on
    assert (len(set(many)), many[-1]) == (100_000, "GTV #100000")


# --- plain label maps -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(tmp_path, name, dtype):
    array = np.random.default_rng(0).integers(0, 4, (4, 5, 7)).astype(dtype)
    found = read_mask(save_labels(tmp_path / name, array))
    assert found.names == ("1", "2", "3")
    for value in (1, 2, 3):
        np.testing.assert_array_equal(found.mask(str(value)), array == value)
    assert found.geometry.displacement_mm(oblique()) < 1e-4


@pytest.mark.parametrize("bad", [0.5, -1.0, np.nan, np.inf, 1e12])
def test_what_is_no_label_is_said(tmp_path, bad):
    array = np.zeros((4, 5, 7), np.float32)
    array[2, 1, 3] = bad
    path = save_labels(tmp_path / "a.nrrd", array)
    with pytest.raises(FileFaultError):
        read_mask(path)
    assert codes(load(path)) == ["MASK_NOT_LABELS"]


def test_values_above_255_are_kept(tmp_path):
    array = np.zeros((4, 5, 7), np.int32)
    array[1, 2, 3], array[0, 0, 0] = 300, 40_000
    found = read_mask(save_labels(tmp_path / "a.mha", array))
    assert found.names == ("300", "40000")
    assert found.layers[0].dtype == np.uint16


def test_a_label_map_with_scl_slope_is_refused(tmp_path):
    path = save_labels(tmp_path / "a.nii", np.ones((4, 5, 7), np.int16))
    data = bytearray(path.read_bytes())
    data[112:116] = np.float32(0.5).tobytes()
    path.write_bytes(data)
    assert codes(load(path)) == ["MASK_NOT_LABELS"]


def test_the_left_handed_117_labels_of_totalsegmentator_are_where_nibabel_finds_them(shared_data):
    nib = pytest.importorskip("nibabel")
    path = shared_data / "cohort/totalseg/seg/example_seg_dicom.nii.gz"
    found, theirs = read_mask(path), nib.load(path)
    array = np.asarray(theirs.dataobj)
    assert set(found.names) == {str(int(v)) for v in np.unique(array) if v}
    i, j, k = np.argwhere(array == 5)[0]
    expected = (LPS_TO_RAS @ theirs.affine @ [i, j, k, 1])[:3]
    np.testing.assert_allclose(found.geometry.point_at((i, j, k)), expected, atol=1e-4)
    assert found.mask("5")[k, j, i]


def test_every_mask_of_the_real_data_is_read(shared_data):
    rows = (shared_data / "cohort.csv").read_text().splitlines()[1:]
    paths = [p.split("=")[1] for row in rows for p in row.split(",")[5].split(";") if "=" in p]
    paths = [p for p in paths if not p.endswith(".dcm")]
    paths += [str(p) for p in sorted((shared_data / "multirater").rglob("*.nii.gz"))[::5]]
    assert len(paths) > 40
    for path in paths:
        found = read_mask(shared_data / path)
        volume = read_volume(shared_data / path)
        np.testing.assert_array_equal(found.label_map(), volume.array)


# --- matching with the label schema -----------------------------------------------------------


def test_segments_are_matched_by_name_then_code_whatever_their_values(tmp_path):
    grid = np.indices((4, 5, 7))[2]
    layers = (np.select([grid == 1, grid == 2, grid == 3], [5, 1, 2]).astype(np.uint8),)
    segments = (
        Segment("Le_b-ER", 5),
        Segment("gtv", 1),
        Segment("Organ X", 2, terminology=Terminology("SCT", "10200004", "whatever")),
    )
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(path, Segmentation(layers, oblique(), segments))
    loaded = load(path)
    (found,) = loaded.segmentations
    assert loaded.findings == ()
    assert {s.name: s.value for s in found.segments} == {"liver": 1, "tumor": 2}
    np.testing.assert_array_equal(found.mask("liver"), (grid == 1) | (grid == 3))
    np.testing.assert_array_equal(found.mask("tumor"), grid == 2)
    assert found.label_map().max() == 2


KIDNEY = Terminology("SCT", "64033007", "Kidney")
LEFT, RIGHT, NO_SIDE = "SCT^7771000^Left", "SCT^24028007^Right", "^^"
KIDNEYS = LabelSchema(
    (
        Label("left kidney", 1, terminology=KIDNEY, partner="right kidney"),
        Label("right kidney", 2, terminology=KIDNEY, partner="left kidney"),
    )
)


def save_as_slicer_does(path: Path, *segments: tuple[str, str, str]) -> Path:
    """Written line by line: segment N has N voxels; (name, modifier of its type, of its region)."""
    head = [
        "NRRD0004", "type: unsigned char", "dimension: 3", "space: left-posterior-superior",
        "sizes: 7 5 4", "space directions: (1,0,0) (0,1,0) (0,0,2)", "kinds: domain domain domain",
        "encoding: raw", "space origin: (0,0,0)",
    ]  # fmt: skip
    array = np.zeros((4, 5, 7), np.uint8)
    for n, (name, of_type, of_region) in enumerate(segments, start=1):
        array[n, 0, :n] = n
        entry = (
            "Segmentation category and type - 3D Slicer General Anatomy list"
            f"~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~{of_type}"
            f"~Anatomic codes - DICOM master list~^^~{of_region}"
        )
        head += [
            f"Segment{n}_ID:=Segment_{n}", f"Segment{n}_Name:={name}", f"Segment{n}_Layer:=0",
            f"Segment{n}_LabelValue:={n}", f"Segment{n}_Tags:=TerminologyEntry:{entry}|",
        ]  # fmt: skip
    path.write_bytes("\n".join([*head, "", ""]).encode() + array.tobytes())
    return path


def sizes(loaded) -> dict[str, int]:
    return {s.name: int(f.mask(s.name).sum()) for f in loaded.segmentations for s in f.segments}


@pytest.mark.parametrize("place", [lambda side: (side, NO_SIDE), lambda side: (NO_SIDE, side)])
def test_left_and_right_of_one_code_are_told_apart_by_their_modifiers(tmp_path, place):
    path = tmp_path / "a.seg.nrrd"
    save_as_slicer_does(path, ("Rein 1", *place(RIGHT)), ("Rein 2", *place(LEFT)))
    loaded = load(path, schema=KIDNEYS)
    assert loaded.findings == ()
    assert sizes(loaded) == {"left kidney": 2, "right kidney": 1}


def test_a_code_of_either_side_matches_neither_when_no_side_is_known(tmp_path):
    path = save_as_slicer_does(tmp_path / "a.seg.nrrd", ("Rein 1", NO_SIDE, NO_SIDE))
    loaded = load(path, schema=KIDNEYS)
    assert loaded.segmentations == ()
    assert codes(loaded) == ["LABEL_UNKNOWN"]


def test_the_word_of_a_name_says_the_side_where_no_modifier_does(tmp_path):
    path = save_as_slicer_does(tmp_path / "a.seg.nrrd", ("Niere rechts", NO_SIDE, NO_SIDE))
    assert sizes(load(path, schema=KIDNEYS)) == {"right kidney": 1}


def test_a_schema_that_knows_only_the_left_takes_no_right_kidney(tmp_path):
    only = LabelSchema((Label("left kidney", 1, aliases=("kidney",), terminology=KIDNEY),))
    named_both = ("left kidney", "kidney", "Niere")
    path = tmp_path / "a.seg.nrrd"
    for name in named_both:
        save_as_slicer_does(path, (name, RIGHT, NO_SIDE))
        loaded = load(path, schema=only)
        assert loaded.segmentations == ()
        assert codes(loaded) == ["LABEL_UNKNOWN"]
        assert "coded as right" in loaded.findings[0].message
    for name in named_both:
        save_as_slicer_does(path, (name, LEFT, NO_SIDE))
        assert sizes(load(path, schema=only)) == {"left kidney": 1}


def test_permuted_values_with_equal_names_give_equal_readings(tmp_path):
    grid = np.indices((4, 5, 7))[2]
    masks = {"liver": grid == 1, "tumor": grid == 2}
    write_seg_nrrd(tmp_path / "a.seg.nrrd", from_masks(masks, oblique(), (1, 2)))
    write_seg_nrrd(tmp_path / "b.seg.nrrd", from_masks(masks, oblique(), (2, 1)))
    a, b = (load(tmp_path / f"{x}.seg.nrrd").segmentations[0] for x in "ab")
    for name in masks:
        np.testing.assert_array_equal(a.mask(name), b.mask(name))


def test_listed_segments_are_annotated_also_when_empty_and_unknown_ones_are_said(tmp_path):
    masks = {
        "tumor": np.zeros((4, 5, 7)),
        **{f"thing {n}": np.full((4, 5, 7), n == 1) for n in range(12)},
    }
    write_seg_nrrd(tmp_path / "a.seg.nrrd", from_masks(masks, oblique()))
    loaded = load(tmp_path / "a.seg.nrrd")
    (found,) = loaded.segmentations
    assert found.names == ("tumor",)
    assert not found.mask("tumor").any()
    assert codes(loaded) == ["LABEL_UNKNOWN"]
    assert "'thing 0'" in loaded.findings[0].message
    assert "and 2 more" in loaded.findings[0].message


def test_overlapping_segments_stay_exact_in_their_layers(tmp_path):
    grid = np.indices((4, 5, 7))[2]
    masks = {"liver": grid < 5, "tumor": grid == 2, "vessel": grid == 6}
    write_seg_nrrd(tmp_path / "a.seg.nrrd", from_masks(masks, oblique(), (1, 2, 300)))
    (found,) = load(tmp_path / "a.seg.nrrd").segmentations
    for name, mask in masks.items():
        np.testing.assert_array_equal(found.mask(name), mask)


def array_of(*values) -> np.ndarray:
    array = np.zeros((4, 5, 7), np.uint16)
    array[1, 1, : len(values)] = values
    return array


def test_a_nameless_map_annotates_what_it_shows_and_says_that_numbers_decided(tmp_path):
    loaded = load(save_labels(tmp_path / "a.nrrd", array_of(1, 300, 9)))
    (found,) = loaded.segmentations
    assert found.names == ("liver", "vessel")
    assert codes(loaded) == ["LABEL_UNKNOWN", "LABEL_BY_VALUE"]
    assert "value 9" in loaded.findings[0].message


def test_an_empty_nameless_map_means_that_every_label_was_looked_for(tmp_path):
    loaded = load(save_labels(tmp_path / "a.nii.gz", array_of()))
    (found,) = loaded.segmentations
    assert found.names == SCHEMA.names
    assert not found.label_map().any()
    assert loaded.findings == ()


def test_a_map_with_voxels_of_which_none_is_known_annotates_nothing(tmp_path):
    """It is no reading that found nothing: such a one would have a vote."""
    one = LabelSchema((Label("tumor", 2),))
    path = save_labels(tmp_path / "a.nrrd", array_of(9))
    for part in (path, MaskPart(str(path), values=((1, "tumor"),))):
        loaded = load(part, schema=one)
        assert loaded.segmentations == ()
        assert codes(loaded) == ["LABEL_UNKNOWN"]
    empty = save_labels(tmp_path / "b.nrrd", array_of())
    for part in (empty, MaskPart(str(empty), values=((1, "tumor"),))):
        assert load(part, schema=one).segmentations[0].names == ("tumor",)


@pytest.mark.parametrize("value", [1, 2, 255])
def test_a_map_of_one_foreground_is_the_label_of_a_schema_that_has_but_one(tmp_path, value):
    one = LabelSchema((Label("tumor", 2),))
    loaded = load(save_labels(tmp_path / "a.nrrd", array_of(value, 0, value)), schema=one)
    assert sizes(loaded) == {"tumor": 2}
    assert codes(loaded) == ["LABEL_BY_VALUE"]
    assert f"{value} = tumor" in loaded.findings[0].message


def test_two_values_of_which_one_is_255_are_not_one_foreground(tmp_path):
    one = LabelSchema((Label("tumor", 1),))
    loaded = load(save_labels(tmp_path / "a.nrrd", array_of(1, 255)), schema=one)
    assert sizes(loaded) == {"tumor": 1}
    assert codes(loaded) == ["LABEL_UNKNOWN", "LABEL_BY_VALUE"]


def test_a_file_given_to_one_label_is_that_label_wherever_it_is_not_zero(tmp_path):
    path = save_labels(tmp_path / "a.nrrd", array_of(255, 7))
    empty = save_labels(tmp_path / "b.nrrd", array_of())
    loaded = load(MaskPart(str(path), label="lesion"), MaskPart(str(empty), label="liver"))
    assert [s.names for s in loaded.segmentations] == [("tumor",), ("liver",)]
    assert loaded.segmentations[0].mask("tumor").sum() == 2
    assert loaded.findings == ()
    unknown = load(MaskPart(str(path), label="spleen"))
    assert unknown.segmentations == ()
    assert codes(unknown) == ["LABEL_UNKNOWN"]


def test_a_value_map_decides_and_annotates_all_it_names(tmp_path):
    path = save_labels(tmp_path / "a.nrrd", array_of(1, 2, 4))
    values = ((1, "tumor"), (2, "liver"), (3, "vessel"), (5, "spleen"))
    loaded = load(MaskPart(str(path), values=values))
    (found,) = loaded.segmentations
    assert found.names == ("liver", "tumor", "vessel")
    assert found.mask("tumor")[1, 1].argmax() == 0
    assert found.mask("liver")[1, 1].argmax() == 1
    assert not found.mask("vessel").any()
    assert codes(loaded) == ["LABEL_UNKNOWN"]
    assert "'spleen'" in loaded.findings[0].message
    assert "value 4" in loaded.findings[0].message


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("gone.nrrd", None, "FILE_MISSING"),
        ("a.nrrd", b"NRRD0004\nrubbish", "MASK_UNREADABLE"),
        ("a.nii", b"rubbish", "MASK_UNREADABLE"),
        ("a.txt", b"rubbish", "MASK_UNREADABLE"),
        ("a.dcm", bytes(128) + b"DICM" + b"rubbish", "MASK_UNREADABLE"),
        ("a.mhd", b"ElementDataFile = ../a.raw\n", "MASK_UNREADABLE"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding_of_its_reading(tmp_path, name, content, code):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    loaded = load(path, save_labels(tmp_path / "good.nrrd", array_of(1)))
    assert len(loaded.segmentations) == 1
    assert rejects(loaded.findings)
    assert loaded.findings[0].code == code
    assert str(tmp_path) not in loaded.findings[0].message


def test_a_four_dimensional_mask_keeps_the_code_that_says_so(tmp_path):
    nib = pytest.importorskip("nibabel")
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5, 2), np.uint8), np.eye(4)), tmp_path / "a.nii")
    assert codes(load(tmp_path / "a.nii")) == ["FOUR_D"]


def test_contours_need_the_grid_of_their_image(shared_data):
    path = shared_data / "cohort/lung_ct/pat_2/DCM_RS_00041.dcm"
    with pytest.raises(FileFaultError, match="grid of their image"):
        read_any_mask(path, None)


# --- merging ----------------------------------------------------------------------------------


def test_parts_that_do_not_overlap_share_one_layer():
    grid = np.indices((4, 5, 7))[2]
    parts = [
        from_masks({"liver": grid == 1}, oblique(), (1,)),
        from_masks({"tumor": grid == 2, "vessel": np.zeros_like(grid)}, oblique(), (2, 300)),
    ]
    merged = merge(parts, "case/a")
    assert merged.findings == ()
    assert len(merged.segmentation.layers) == 1
    assert merged.segmentation.names == ("liver", "tumor", "vessel")
    np.testing.assert_array_equal(merged.segmentation.mask("tumor"), grid == 2)


def test_parts_that_overlap_are_kept_apart_and_counted():
    grid = np.indices((4, 5, 7))[2]
    parts = [
        from_masks({"liver": grid < 5}, oblique(), (1,)),
        from_masks({"tumor": grid == 2}, oblique(), (2,)),
    ]
    merged = merge(parts, "case/a")
    (note,) = merged.findings
    assert note.code == "LABELS_OVERLAP"
    assert "liver and tumor (20 voxels)" in note.message
    np.testing.assert_array_equal(merged.segmentation.mask("liver"), grid < 5)
    assert merged.segmentation.label_map()[0, 0].tolist() == [1, 1, 2, 1, 1, 0, 0]


def test_the_same_label_in_two_parts_is_their_union():
    grid = np.indices((4, 5, 7))[2]
    parts = [from_masks({"tumor": grid == n}, oblique(), (2,)) for n in (1, 4)]
    merged = merge(parts, "case/a").segmentation
    np.testing.assert_array_equal(merged.mask("tumor"), (grid == 1) | (grid == 4))


def test_parts_on_different_grids_are_not_merged():
    a = from_masks({"liver": np.ones((4, 5, 7))}, oblique())
    b = from_masks({"tumor": np.ones((4, 5, 7))}, oblique().cropped((1, 0, 0), (7, 5, 4)))
    with pytest.raises(GeometryError):
        merge([a, b], "case/a")
    with pytest.raises(GeometryError):
        merge([], "case/a")
