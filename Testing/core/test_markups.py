"""Markups files: ROIs as 3D Slicer writes and reads them, and as box readings of a study."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MedPrepLib import catalog
from MedPrepLib.boxes import WorldBox, clipped, corners_mm, index_box, iou, to_index, to_world
from MedPrepLib.cohort import BoxReading, ReadingFile
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.markups import SCHEMA, read_boxes, write_boxes
from MedPrepLib.masks.boxes import load_boxes

TILT = (0.8, -0.6, 0.0, 0.48, 0.64, -0.6, 0.36, 0.48, 0.8)
GRID = Geometry((30, 40, 20), (0.7, 1.1, 4.0), (-31.0, 12.5, 7.25), tuple(-x for x in TILT))
SCHEMA_TWO = LabelSchema((Label("tumor", 1, aliases=("lesion",)), Label("node", 2)))
SCHEMA_ONE = LabelSchema((Label("tumor", 1),))
ROI = {
    "type": "ROI",
    "name": "tumor",
    "coordinateSystem": "LPS",
    "center": [1.0, 2.0, 3.0],
    "orientation": list(TILT),
    "size": [4.0, 5.0, 6.0],
}


def write(path, *markups, schema=SCHEMA):
    path.write_text(json.dumps({"@schema": schema, "markups": list(markups)}))
    return path


def test_a_file_holds_several_boxes_and_other_markups_are_passed_over(tmp_path):
    line = {"type": "Line", "controlPoints": []}
    path = write(tmp_path / "a.mrk.json", ROI, line, {**ROI, "name": "node", "size": [1, 1, 1]})
    first, second = read_boxes(path)
    assert first == WorldBox("tumor", (1, 2, 3), (4, 5, 6), TILT)
    assert (second.label, second.size_mm) == ("node", (1, 1, 1))


def test_ras_files_are_converted_and_turned_boxes_stay_turned(tmp_path):
    path = write(tmp_path / "a.mrk.json", {**ROI, "coordinateSystem": "RAS"})
    (box,) = read_boxes(path)
    assert box.center_mm == (-1, -2, 3)
    ras = np.reshape(TILT, (3, 3))
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) / 2
    corners_ras = (signs * (4, 5, 6)) @ ras.T + (1, 2, 3)
    wanted = corners_ras * (-1, -1, 1)
    assert np.allclose(sorted(map(tuple, corners_mm(box))), sorted(map(tuple, wanted)))


def test_a_box_without_orientation_lies_along_the_axes_and_micrometers_are_converted(tmp_path):
    bare = {"type": "ROI", "center": [1000, 0, 0], "size": [2000, 1000, 500]}
    for unit in ("um", ["um", "UCUM", "micrometer"]):
        (box,) = read_boxes(write(tmp_path / "a.mrk.json", {**bare, "coordinateUnits": unit}))
        assert box == WorldBox("", (1, 0, 0), (2, 1, 0.5))


def test_a_mirrored_box_is_written_as_the_same_box_with_right_handed_axes(tmp_path):
    box = to_world(index_box("tumor", (3, 5, 2), (11, 9, 15), GRID), GRID)
    assert np.linalg.det(np.reshape(box.axes, (3, 3))) < 0
    write_boxes(tmp_path / "a.mrk.json", [box])
    (again,) = read_boxes(tmp_path / "a.mrk.json")
    assert np.linalg.det(np.reshape(again.axes, (3, 3))) > 0
    assert iou(box, again) == pytest.approx(1)


def test_written_boxes_are_read_again_and_the_bytes_are_the_same(tmp_path):
    boxes = [
        WorldBox("tumor", (0.1, 1 / 3, -7), (4, 5, 6), TILT),
        WorldBox("a b", (1, 2, 3), (1, 1, 1)),
    ]
    write_boxes(tmp_path / "a.mrk.json", boxes, {"tumor": (1, 0.5, 0)})
    write_boxes(tmp_path / "b.mrk.json", boxes, {"tumor": (1, 0.5, 0)})
    assert list(read_boxes(tmp_path / "a.mrk.json")) == boxes
    assert (tmp_path / "a.mrk.json").read_bytes() == (tmp_path / "b.mrk.json").read_bytes()


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no markups file"),
        (json.dumps({"@schema": "segmentation-v2", "markups": []}).encode(), "no markups file"),
        (json.dumps({"@schema": SCHEMA}).encode(), "no list"),
        (json.dumps({"@schema": SCHEMA, "markups": [1]}).encode(), "no list"),
        (json.dumps({"@schema": SCHEMA, "markups": [{}] * 2001}).encode(), "more than 2000"),
    ],
)
def test_a_file_that_is_no_markups_file_is_refused_with_the_reason(tmp_path, content, words):
    path = tmp_path / "a.mrk.json"
    path.write_bytes(content)
    with pytest.raises(FileFaultError, match=words) as caught:
        read_boxes(path)
    assert caught.value.kind == catalog.READING_UNREADABLE
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"center": None}, "'center' is not 3"),
        ({"center": [1, 2]}, "'center' is not 3"),
        ({"center": [1, 2, True]}, "'center' is not 3"),
        ({"size": "4 5 6"}, "'size' is not 3"),
        ({"size": [1e300, 1e400, 1]}, "no JSON|not 3 finite"),
        ({"orientation": [1, 0, 0, 0, 1, 0, 0, 0, 0]}, "orthogonal"),
        ({"orientation": [1, 0, 0]}, "not 9"),
        ({"coordinateSystem": "IJK"}, "coordinate system"),
        ({"coordinateUnits": "in"}, "unit"),
        ({"coordinateUnits": [["mm"]]}, "unit"),
        ({"insideOut": True}, "inside out"),
    ],
)
def test_an_roi_that_is_no_box_is_refused_by_its_number(tmp_path, change, words):
    path = write(tmp_path / "a.mrk.json", ROI, {**ROI, **change})
    with pytest.raises(FileFaultError, match=words) as caught:
        read_boxes(path)
    assert caught.value.kind == catalog.READING_UNREADABLE


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(FileFaultError) as caught:
        read_boxes(tmp_path / "none.mrk.json")
    assert caught.value.kind == catalog.FILE_MISSING


# --- 3D Slicer ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slicer():
    return pytest.importorskip("slicer", reason="slicer-core is not installed")


def slicer_node(slicer, scene, path=None):
    node = slicer.vtkMRMLMarkupsROINode()
    storage = slicer.vtkMRMLMarkupsROIJsonStorageNode()
    scene.AddNode(node)
    scene.AddNode(storage)
    if path is not None:
        storage.SetFileName(str(path))
        assert storage.ReadData(node) == 1
    return node, storage


def slicer_corners(node):
    """Corners in RAS, from the node's own matrix and size."""
    matrix = node.GetObjectToWorldMatrix()
    size = [0.0] * 3
    node.GetSizeWorld(size)
    half = [s / 2 for s in size]
    signs = [(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]
    points = [[s * h for s, h in zip(sign, half, strict=True)] + [1] for sign in signs]
    return np.array([matrix.MultiplyPoint(p)[:3] for p in points])


def same_points(one, other):
    gaps = np.linalg.norm(one[:, None] - other[None], axis=2)
    return gaps.min(axis=0).max() < 1e-6 and gaps.min(axis=1).max() < 1e-6


def test_slicer_places_a_written_box_where_it_was(slicer, tmp_path):
    """The grid is oblique, anisotropic and left-handed."""
    assert GRID.is_left_handed
    box = to_world(index_box("tumor", (3, 5, 2), (11, 9, 15), GRID), GRID)
    write_boxes(tmp_path / "tumor.mrk.json", [box])
    scene = slicer.vtkMRMLScene()
    node, _ = slicer_node(slicer, scene, tmp_path / "tumor.mrk.json")
    assert node.GetROIType() == node.ROITypeBox
    assert same_points(slicer_corners(node) * (-1, -1, 1), corners_mm(box))
    matrix = node.GetObjectToWorldMatrix()
    assert matrix.Determinant() == pytest.approx(1)  # turned, never mirrored
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    ras = corners_mm(box) * (-1, -1, 1)
    assert np.allclose(bounds[::2], ras.min(axis=0), atol=1e-5)
    assert np.allclose(bounds[1::2], ras.max(axis=0), atol=1e-5)
    assert node.GetNumberOfControlPoints() == 1


def test_a_box_that_slicer_wrote_is_read_where_slicer_has_it(slicer, tmp_path):
    scene = slicer.vtkMRMLScene()
    node, storage = slicer_node(slicer, scene)
    node.SetName("tumor")
    node.SetCenter([11, -22, 33])
    node.SetSize([4, 50, 6])
    matrix = node.GetObjectToNodeMatrix()
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, TILT[3 * row + column])
    for system in (storage.CoordinateSystemLPS, storage.CoordinateSystemRAS):
        storage.SetCoordinateSystem(system)
        storage.SetFileName(str(tmp_path / "from_slicer.mrk.json"))
        assert storage.WriteData(node) == 1
        (box,) = read_boxes(tmp_path / "from_slicer.mrk.json")
        assert box.label == "tumor"
        assert box.center_mm == pytest.approx((-11, 22, 33))
        assert same_points(slicer_corners(node) * (-1, -1, 1), corners_mm(box))


# --- readings -------------------------------------------------------------------------------


def reading(*files):
    return BoxReading("ana", tuple(ReadingFile(str(f)) for f in files))


def drawn(label, start, stop):
    return to_world(index_box(label, start, stop, GRID), GRID)


def codes(findings):
    return [finding.code for finding in findings]


def test_names_aliases_and_numbered_names_are_matched_with_the_schema(tmp_path):
    names = ("Tumor", "lesion_2", "tumor 3", "node #1", "node-4")
    boxes = [drawn(n, (m, 2, 2), (m + 3, 6, 5)) for m, n in enumerate(names)]
    write_boxes(tmp_path / "ana.mrk.json", boxes)
    found, findings = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert [b.label for b in found] == ["tumor", "tumor", "tumor", "node", "node"]
    assert findings == ()
    assert [to_index(b, GRID).start[0] for b in found] == [0, 1, 2, 3, 4]


def test_an_roi_that_was_never_named_takes_the_only_label(tmp_path):
    for number, name in enumerate(("R", "R_1", "", "ROI 2")):
        write_boxes(tmp_path / f"{number}.mrk.json", [drawn(name, (0, 0, 0), (3, 3, 3))])
    files = [tmp_path / f"{n}.mrk.json" for n in range(4)]
    found, findings = load_boxes(reading(*files), GRID, SCHEMA_ONE, "c/ana")
    assert [b.label for b in found] == ["tumor"] * 4
    assert findings == ()
    found, findings = load_boxes(reading(*files), GRID, SCHEMA_TWO, "c/ana")
    assert (found, codes(findings)) == ((), ["LABEL_UNKNOWN"])


def test_the_label_given_by_the_source_counts_more_than_the_name(tmp_path):
    write_boxes(tmp_path / "node.mrk.json", [drawn("tumor", (0, 0, 0), (3, 3, 3))])
    named = BoxReading("ana", (ReadingFile(str(tmp_path / "node.mrk.json"), "node"),))
    (box,), findings = load_boxes(named, GRID, SCHEMA_TWO, "c/ana")
    assert (box.label, findings) == ("node", ())


def test_unknown_labels_are_left_out_and_named(tmp_path):
    boxes = [drawn(n, (0, 0, 0), (3, 3, 3)) for n in ("cyst", "tumor")]
    write_boxes(tmp_path / "ana.mrk.json", boxes)
    found, (finding,) = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert [b.label for b in found] == ["tumor"]
    assert (finding.code, finding.item) == ("LABEL_UNKNOWN", "c/ana")
    assert "'cyst'" in finding.message


def test_a_box_without_volume_is_left_out_with_its_size(tmp_path):
    flat = WorldBox("tumor", GRID.point_at((5, 5, 5)), (4, 5, 0), GRID.direction)
    write_boxes(tmp_path / "ana.mrk.json", [flat])
    found, (finding,) = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert (found, finding.code) == ((), "BOX_EMPTY")
    assert "4 x 5 x 0 mm" in finding.message


def test_a_box_outside_the_image_is_left_out_and_one_beyond_its_edge_is_kept_and_said(tmp_path):
    boxes = [drawn("tumor", (40, 0, 0), (44, 3, 3)), drawn("node", (25, 0, 0), (34, 3, 3))]
    write_boxes(tmp_path / "ana.mrk.json", boxes)
    found, findings = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert codes(findings) == ["BOX_OUTSIDE", "BOX_OUTSIDE"]
    assert "wholly outside" in findings[0].message
    assert "2.8 mm beyond" in findings[1].message  # 4 voxels of 0.7 mm
    assert [b.label for b in found] == ["node"]
    assert clipped(to_index(found[0], GRID), GRID).stop == (30, 3, 3)


def test_a_box_up_to_the_border_is_inside(tmp_path):
    whole = drawn("tumor", (0, 0, 0), GRID.size)
    write_boxes(tmp_path / "ana.mrk.json", [whole])
    (box,), findings = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert findings == ()
    assert iou(box, whole) == pytest.approx(1)


def test_a_reading_without_boxes_is_read_and_empty_and_a_broken_file_is_neither(tmp_path):
    write_boxes(tmp_path / "ana.mrk.json", [])
    found, (finding,) = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert (found, finding.code) == ((), "READING_EMPTY")
    (tmp_path / "ana.mrk.json").write_text("{")
    found, (finding,) = load_boxes(reading(tmp_path / "ana.mrk.json"), GRID, SCHEMA_TWO, "c/ana")
    assert (found, finding.code) == ((), "READING_UNREADABLE")
