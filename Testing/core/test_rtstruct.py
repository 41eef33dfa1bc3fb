"""Contours become voxels by the even-odd rule at voxel centers, on any grid."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.findings import rejects
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.files import read_geometry, read_volume
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import Label, LabelSchema, Terminology
from MedPrepLib.masks import kind_of, load_reading, read_rtstruct
from MedPrepLib.masks.objects import RTSTRUCT_CLASS
from MedPrepLib.masks.planes import pixels_outside, planes_of
from MedPrepLib.masks.polygons import fill_even_odd, pixels_enclosed
from MedPrepLib.masks.rtstruct import read_rtstruct_with_remarks

pydicom = pytest.importorskip("pydicom")


def slow_even_odd(polygon: np.ndarray, i: float, j: float) -> bool:
    """The textbook ray test for one point, half-open, written independently."""
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 <= j) != (y1 <= j) and i >= x0 + (j - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return inside


def save_rtstruct(path: Path, rois: dict, kind="CLOSED_PLANAR") -> Path:
    """``rois``: name -> list of contours, arrays (n, 3) in LPS mm."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = RTSTRUCT_CLASS
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Modality = "RTSTRUCT"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber = number
        drawn.ROIDisplayColor = [number, 20, 30]
        drawn.ContourSequence = []
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [format(x, ".10g") for x in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    data.save_as(path, enforce_file_format=True)
    return path


def with_remarks(path: Path, geometry: Geometry, frame: str = ""):
    """What is read, and what is remarked."""
    found = read_rtstruct_with_remarks(path, geometry, frame)
    return found.segmentation, found.remarks


def oblique() -> Geometry:
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    if np.linalg.det(q) > 0:
        q[:, 0] *= -1
    return Geometry((30, 20, 5), (0.7, 0.9, 3.3), (-41.5, 20.25, 3.0), tuple(q.ravel()))


def contour(geometry: Geometry, points, k: float) -> np.ndarray:
    return np.array([geometry.point_at((i, j, k)) for i, j in points])


def square(low: float, high: float):
    return [(low, low), (high, low), (high, high), (low, high)]


def test_the_sarcoma_masks_of_the_reference_cohort_are_reproduced_voxel_for_voxel(shared_data):
    references = sorted((shared_data / "reference/sts_nifti").rglob("*_mask.nii.gz"))
    assert len(references) == 12
    for path in references:
        reference = read_volume(path)
        series = path.name.removesuffix("_mask.nii.gz")
        contours = shared_data / "cohort/sts" / path.parent.name / series / "mask/RS.dcm"
        found = read_rtstruct(contours, reference.geometry)
        assert found.names == (f"GTV_Mass_{series}",)
        np.testing.assert_array_equal(found.mask(found.names[0]), reference.array > 0)


def test_sarcoma_contours_filled_on_the_dicom_grid_lie_on_the_reference_masks(shared_data):
    """The whole way: grid from the slices' headers, Dice 1 with the reference, corners at 0 mm."""
    from MedPrepLib.config.settings import Screen
    from MedPrepLib.dicom.headers import read_header
    from MedPrepLib.dicom.series import arrange
    from MedPrepLib.geometry import Relation, lattice_relation

    for path in sorted((shared_data / "reference/sts_nifti").rglob("*_mask.nii.gz")):
        reference = read_volume(path)
        folder = shared_data / "cohort/sts" / path.parent.name / path.name.split("_mask")[0]
        headers = [read_header(str(p)) for p in sorted((folder / "image").iterdir())]
        grid = arrange(headers, "case", Screen()).geometry
        assert grid is not None
        lattice = lattice_relation(grid, reference.geometry)
        assert lattice.relation in (Relation.SAME, Relation.FLIP)
        gaps = [
            np.linalg.norm(grid.corners_mm - corner, axis=1).min()
            for corner in reference.geometry.corners_mm
        ]
        assert max(gaps) < 5e-4, "float32 headers of the reference"
        found = read_rtstruct(folder / "mask/RS.dcm", grid)
        k, j, i = np.nonzero(found.mask(found.names[0]))
        world = np.stack([i, j, k], axis=1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
        other = np.linalg.inv(reference.geometry.affine)
        index = np.rint(world @ other[:3, :3].T + other[:3, 3]).astype(int)
        assert (reference.array[index[:, 2], index[:, 1], index[:, 0]] > 0).all()
        assert len(index) == np.count_nonzero(reference.array)


def test_contours_drawn_on_a_pet_are_filled_like_a_point_by_point_test(shared_data):
    geometry = read_geometry(shared_data / "reference/sts_nifti/STS_001/PET_image.nii.gz")
    path = shared_data / "cohort/sts/STS_001/PET/mask/RS.dcm"
    found, remarks = with_remarks(path, geometry)
    assert remarks == ()
    mask = found.mask("GTV_Mass_PET")
    inverse, rng = np.linalg.inv(geometry.affine), np.random.default_rng(0)
    agreed = {True: 0, False: 0}
    for item in pydicom.dcmread(path).ROIContourSequence[0].ContourSequence[::8]:
        points = np.array(item.ContourData, float).reshape(-1, 3)
        index = np.round(points @ inverse[:3, :3].T + inverse[:3, 3], 6)
        low, high = index[:, :2].min(0).astype(int), index[:, :2].max(0).astype(int) + 2
        for i, j in rng.integers(low, high, (40, 2)):
            inside = slow_even_odd(index[:, :2], i, j)
            assert mask[round(index[0, 2]), j, i] == inside
            agreed[inside] += 1
    assert min(agreed.values()) > 20


def test_filling_equals_the_textbook_ray_test_for_random_polygons():
    rng = np.random.default_rng(7)
    for _ in range(50):
        polygon = rng.uniform(-3, 15, (rng.integers(3, 12), 2))
        if rng.random() < 0.5:
            polygon = np.rint(polygon)  # vertices and edges on voxel centers
        mask = fill_even_odd([polygon], (11, 13))
        expected = [[slow_even_odd(polygon, i, j) for i in range(13)] for j in range(11)]
        np.testing.assert_array_equal(mask, expected)


def test_polygons_that_share_edges_share_no_voxel_and_leave_none_out():
    rng = np.random.default_rng(1)
    for _ in range(20):
        center = rng.uniform(3, 7, 2)
        corners = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
        parts = [np.array([center, corners[n], corners[(n + 1) % 4]]) for n in range(4)]
        total = sum(fill_even_odd([part], (12, 12)).astype(int) for part in parts)
        whole = fill_even_odd([corners], (12, 12))
        np.testing.assert_array_equal(total, whole)
        assert whole.sum() == 100  # half-open: 0..9 in both directions


def test_a_contour_inside_another_is_a_hole_and_a_keyhole_has_no_area():
    outer, inner = np.array(square(1.5, 10.5)), np.array(square(4.5, 7.5))
    ring = fill_even_odd([outer, inner], (12, 12))
    keyhole = np.vstack([outer, outer[:1], inner, inner[:1]])
    assert ring.sum() == 81 - 9
    np.testing.assert_array_equal(fill_even_odd([keyhole], (12, 12)), ring)


def test_a_polygon_beyond_the_grid_is_cut_at_its_border():
    assert fill_even_odd([np.array(square(-5.0, 50.0))], (4, 7)).all()
    assert not fill_even_odd([np.array(square(20.0, 50.0))], (4, 7)).any()
    assert not fill_even_odd([], (4, 7)).any()


def test_what_polygons_enclose_is_counted_beyond_the_field_as_well():
    """Against a larger field in which they lie wholly: rings, crossings, one in another."""
    rng = np.random.default_rng(11)
    for _ in range(40):
        polygons = [
            rng.uniform(-20, 30, (rng.integers(3, 9), 2)) for _ in range(rng.integers(1, 4))
        ]
        if rng.random() < 0.3:
            polygons = [np.rint(p) for p in polygons]
        whole = fill_even_odd([p + 21 for p in polygons], (60, 60))
        within, everywhere = pixels_enclosed(polygons, (11, 13))
        assert everywhere == whole.sum()
        assert within == whole[21:32, 21:34].sum() == fill_even_odd(polygons, (11, 13)).sum()
    assert pixels_enclosed([], (11, 13)) == (0, 0)


def test_polygons_far_away_are_counted_in_rows_that_stand_for_many():
    far = np.array([(-5e6, -4e6), (5e6, -4e6), (5e6, 6e6), (-5e6, 6e6)])
    within, everywhere = pixels_enclosed([far], (1000, 500), limit=1_000_000)
    assert everywhere == pytest.approx(1e14, rel=1e-5)
    assert within == pytest.approx(500_000, rel=0.05)


def test_much_that_lies_far_away_takes_no_time_to_count():
    """As many contours of 200 m as an object may hold points for would take an hour one by one."""
    far = np.array([(-1e5, -1e5), (1e5, -1e5), (1e5, 1e5), (-1e5, 1e5)])
    contours = [np.column_stack([far, np.full(4, 100.0 + k)]) for k in range(2000)]
    geometry = Geometry((512, 512, 50), (0.5, 0.5, 1.0))
    start = time.process_time()
    outside = pixels_outside(planes_of(contours, geometry), geometry)
    assert time.process_time() - start < 20
    assert outside == pytest.approx(2000 * 16e10, rel=0.01)


def lying(points: list[tuple[float, float]], k: float) -> np.ndarray:
    """A contour on the grid of ``test_contours_beyond_the_image...``, LPS mm."""
    return np.array([(i - 20, j - 20, 3 * k - 6) for i, j in points])


@pytest.mark.parametrize(
    ("shift", "code"),
    [
        ((0, 0, 0), None),
        ((12, 0, 0), "MASK_OUTSIDE"),
        ((0, -22, 0), "GRID_MISMATCH"),
        ((300, 0, 0), "GRID_MISMATCH"),
        ((0, 0, 2), "MASK_OUTSIDE"),
        ((0, 0, -4), "GRID_MISMATCH"),
        ((0, 0, 160), "GRID_MISMATCH"),
        ((30, 0, 2), "GRID_MISMATCH"),
    ],
)
def test_contours_beyond_the_image_are_judged_as_voxels_beyond_it_are(tmp_path, shift, code):
    """The same ring in every slice, once as contours and once as a label map."""
    from MedPrepLib.align import compare_grids, to_grid
    from MedPrepLib.config.settings import Align
    from MedPrepLib.reading import align_reading
    from MedPrepLib.segmentation import from_masks

    image = Geometry((40, 40, 5), (1.0, 1.0, 3.0), (-20.0, -20.0, -6.0))
    di, dj, dk = shift
    outer, inner = [(np.add(square(*x), (di, dj))) for x in ((9.5, 29.5), (14.5, 19.5))]
    drawn = [lying(points, k + dk) for k in range(5) for points in (outer, inner)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": drawn})
    schema = LabelSchema((Label("tumor", 1),))
    reading = MaskReading("a", (MaskPart(str(path)),))
    found = align_reading(reading, image, schema, Align(), "case/a")
    assert [f.code for f in found.findings] == ([code] if code else [])
    mask = np.zeros((5, 400, 400), bool)
    mask[:, 10:30, 10:30] = True
    mask[:, 15:20, 15:20] = False
    own = Geometry((400, 400, 5), (1.0, 1.0, 3.0), (-20.0 + di, -20.0 + dj, -6.0 + 3 * dk))
    labels = from_masks({"tumor": mask}, own)
    expected = to_grid(labels, image, compare_grids(image, own, Align()), Align(), "case/a")
    sentences = [f.message for f in expected.findings if "labeled voxels" in f.message]
    if sentences:  # where the grids themselves share no space nothing is counted
        assert [f.message for f in found.findings] == sentences
    (part,) = found.parts
    if code == "GRID_MISMATCH":
        assert part.names == ()
    else:
        np.testing.assert_array_equal(part.mask("tumor"), expected.segmentation.mask("tumor"))


def test_only_what_means_a_label_has_to_lie_in_the_image(tmp_path):
    from MedPrepLib.config.settings import Align
    from MedPrepLib.reading import align_reading

    geometry = oblique()
    rois = {
        "tumor": [contour(geometry, square(2, 6), 1)],
        "couch": [contour(geometry, square(2, 600), 1)],
    }
    path = save_rtstruct(tmp_path / "rs.dcm", rois)
    schema = LabelSchema((Label("tumor", 1),))
    reading = MaskReading("a", (MaskPart(str(path)),))
    found = align_reading(reading, geometry, schema, Align(), "case/a")
    assert [f.code for f in found.findings] == ["LABEL_UNKNOWN"]
    assert found.parts[0].mask("tumor").sum() == 16


def test_a_check_of_one_drawing_says_that_it_lies_beside_the_image(tmp_path):
    from MedPrepLib.images import Volume, to_sitk
    from MedPrepLib.onecase import check_alignment

    sitk = pytest.importorskip("SimpleITK")
    geometry = Geometry((40, 40, 5), (1.0, 1.0, 3.0), (-20.0, -20.0, -6.0))
    image = Volume(np.zeros(geometry.shape, np.int16), geometry)
    sitk.WriteImage(to_sitk(image), str(tmp_path / "image.nrrd"))
    drawn = [lying(square(300, 310), k) for k in range(5)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": drawn})
    _, findings = check_alignment(tmp_path / "image.nrrd", [path])
    assert [f.code for f in findings] == ["GRID_MISMATCH"]
    assert "500 of 500 labeled voxels" in findings[0].message


def test_contours_are_found_on_an_oblique_left_handed_grid(tmp_path):
    geometry = oblique()
    points = [(3.2, 4.1), (20.7, 5.3), (12.4, 16.6)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"GTV": [contour(geometry, points, 3)]})
    mask = read_rtstruct(path, geometry).mask("GTV")
    assert kind_of(path) == "rtstruct"
    assert mask.any(axis=(1, 2)).tolist() == [False, False, False, True, False]
    expected = [[slow_even_odd(np.array(points), i, j) for i in range(30)] for j in range(20)]
    np.testing.assert_array_equal(mask[3], expected)


def test_regions_share_a_layer_unless_they_overlap(tmp_path):
    geometry = oblique()
    rois = {
        "left": [contour(geometry, square(2, 6), 1)],
        "right": [contour(geometry, square(6, 9), 1)],
        "nested": [contour(geometry, square(3, 5), 1)],
        "never drawn": [],
    }
    found = read_rtstruct(save_rtstruct(tmp_path / "rs.dcm", rois), geometry)
    assert {s.name: s.layer for s in found.segments} == {
        "left": 0, "right": 0, "nested": 1, "never drawn": 0,
    }  # fmt: skip
    assert [int(found.mask(name).sum()) for name in found.names] == [16, 9, 4, 0]
    assert found.segments[1].color == (2, 20, 30)


def test_contours_off_their_slices_are_matched_within_half_a_spacing_and_said(tmp_path):
    geometry = oblique()
    rois = {"GTV": [contour(geometry, square(2, 6), k) for k in (0.05, 1.45, 1.6, 4.51, -1.0)]}
    path = save_rtstruct(tmp_path / "rs.dcm", rois)
    found, remarks = with_remarks(path, geometry)
    assert found.mask("GTV").sum(axis=(1, 2)).tolist() == [16, 16, 16, 0, 0]
    assert [r.kind.code for r in remarks] == ["GRID_RESAMPLED"]
    assert "1.48 mm off" in remarks[0].message
    assert found.segments[0].outside == 32, "two contours lie beyond the slices"


def test_planes_that_compete_for_a_slice_do_not_cancel_each_other_and_are_counted(tmp_path):
    geometry = oblique()
    rois = {"GTV": [contour(geometry, square(2, 6), k) for k in (1.8, 1.9, 2, 2.1, 2.2)]}
    path = save_rtstruct(tmp_path / "rs.dcm", rois)
    found, remarks = with_remarks(path, geometry)
    assert found.mask("GTV").sum() == 16
    assert [r.kind.code for r in remarks] == ["GRID_RESAMPLED"]
    assert "4 planes" in remarks[0].message


def test_a_contour_stored_again_counts_once_wherever_it_starts_and_whichever_way_it_runs(tmp_path):
    geometry = oblique()
    outer, hole = [contour(geometry, square(*x), 2) for x in ((2, 12), (4, 7))]
    again = [outer, np.roll(outer, -2, axis=0), outer[::-1], np.vstack([outer, outer[:1]])]
    rois = {"GTV": [outer, hole, *again[1:], hole[::-1], outer]}
    path = save_rtstruct(tmp_path / "rs.dcm", rois)
    found, remarks = with_remarks(path, geometry)
    assert found.mask("GTV").sum() == 100 - 9
    assert [r.kind.code for r in remarks] == ["CONTOURS_REPEATED"]
    assert "5 contours" in remarks[0].message


def test_contours_with_the_same_box_are_not_taken_for_repeated_ones(tmp_path):
    geometry = oblique()
    drawn = [square(2, 12), [(2, 2), (12, 2), (2, 12), (12, 12)]]  # the second one crosses itself
    path = save_rtstruct(tmp_path / "rs.dcm", {"GTV": [contour(geometry, p, 2) for p in drawn]})
    found, remarks = with_remarks(path, geometry)
    expected = fill_even_odd([np.array(p, float) for p in drawn], (20, 30))
    assert 0 < expected.sum() < 100
    np.testing.assert_array_equal(found.mask("GTV")[2], expected)
    assert remarks == ()


def turned(*, angles_deg: tuple[float, float], size=(60, 60, 6), spacing=(0.9, 0.9, 1.0)):
    """A grid turned about i, then about j."""
    (ca, sa), (cb, sb) = [(np.cos(x), np.sin(x)) for x in np.radians(angles_deg)]
    about_i = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_j = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    return Geometry(size, spacing, (-51.37, -60.21, 33.113), tuple((about_i @ about_j).ravel()))


def ring(i: float, j: float, radius: float, points: int) -> list[tuple[float, float]]:
    return [
        (i + radius * np.cos(x), j + radius * np.sin(x))
        for x in np.linspace(0, 2 * np.pi, points, endpoint=False)
    ]


@pytest.mark.parametrize("decimals", [1, 2])
@pytest.mark.parametrize("angles_deg", [(0, 0), (17, -9)])
def test_all_contours_of_a_slice_count_however_their_coordinates_were_rounded(
    tmp_path, decimals, angles_deg
):
    """Two lesions and a hole on every slice, against a point-by-point test of each contour."""
    geometry = turned(angles_deg=angles_deg)
    outlines = [ring(15.2, 15.3, 8, 25), ring(40.7, 41.1, 10, 37), ring(40.2, 41.3, 4, 12)]
    drawn = [
        np.round(contour(geometry, outline, k), decimals) for k in range(6) for outline in outlines
    ]
    path = save_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn})
    found, remarks = with_remarks(path, geometry)
    to_index = np.linalg.inv(geometry.affine)
    expected = np.zeros(geometry.shape, bool)
    centers = [(i, j) for j in range(0, 60, 4) for i in range(0, 60, 4)]
    for number, points in enumerate(drawn):
        index = np.round(points @ to_index[:3, :3].T + to_index[:3, 3], 6)[:, :2]
        for i, j in centers:
            expected[number // 3, j, i] ^= slow_even_odd(index, i, j)
    np.testing.assert_array_equal(found.mask("GTV")[:, ::4, ::4], expected[:, ::4, ::4])
    assert remarks == ()


def test_contours_on_a_plane_half_way_between_slices_stay_together(tmp_path):
    geometry = turned(angles_deg=(17, -9))
    outlines = [ring(15.2, 15.3, 8, 25), ring(40.7, 41.1, 10, 37)]
    drawn = [np.round(contour(geometry, o, 2.5), 2) for o in outlines]
    mask = read_rtstruct(save_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn}), geometry).mask("GTV")
    assert np.count_nonzero(mask.any(axis=(1, 2))) == 1
    assert mask[:, :30].any()
    assert mask[:, 30:].any()


def test_planes_a_tenth_of_a_slice_apart_are_not_taken_for_one(tmp_path):
    geometry = oblique()
    heights = np.arange(1.5, 2.5, 0.1)
    rois = {"GTV": [contour(geometry, square(2, 6), k) for k in heights]}
    found = read_rtstruct(save_rtstruct(tmp_path / "rs.dcm", rois), geometry)
    assert found.mask("GTV").sum(axis=(1, 2)).tolist() == [0, 0, 16, 0, 0]


def test_contours_across_the_slices_are_refused(tmp_path):
    geometry = oblique()
    tilted = np.array([geometry.point_at(p) for p in [(2, 2, 0), (9, 2, 1), (9, 9, 2)]])
    path = save_rtstruct(tmp_path / "rs.dcm", {"GTV": [tilted]})
    with pytest.raises(FileFaultError, match="not parallel") as caught:
        read_rtstruct(path, geometry)
    assert caught.value.kind.code == "MASK_UNSUPPORTED"


def test_a_region_whose_code_says_right_is_not_the_left_organ(tmp_path):
    from pydicom.dataset import Dataset

    geometry = oblique()
    path = save_rtstruct(tmp_path / "rs.dcm", {"Rein": [contour(geometry, square(2, 6), 1)]})
    data = pydicom.dcmread(path)
    kidney, right, seen = Dataset(), Dataset(), Dataset()
    for item, value in ((kidney, "64033007"), (right, "24028007")):
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "words"
    kidney.SegmentedPropertyTypeModifierCodeSequence = [right]
    seen.ObservationNumber = seen.ReferencedROINumber = 1
    seen.RTROIIdentificationCodeSequence = [kidney]
    data.RTROIObservationsSequence = [seen]
    data.save_as(path)
    code = Terminology("SCT", "64033007")
    schema = LabelSchema(tuple(Label(f"{s} kidney", n, terminology=code)
                               for n, s in enumerate(("left", "right"), start=1)))  # fmt: skip
    loaded = load_reading(MaskReading("a", (MaskPart(str(path)),)), geometry, schema, "case/a")
    assert loaded.segmentations[0].names == ("right kidney",)


def load_two(path: Path, geometry: Geometry, **options):
    schema = LabelSchema((Label("tumor", 1), Label("liver", 2)))
    reading = MaskReading("a", (MaskPart(str(path)),))
    return load_reading(reading, geometry, schema, "c/a", **options)


def test_a_region_across_the_slices_leaves_the_others_and_its_label_is_named(tmp_path):
    geometry = oblique()
    tilted = np.array([geometry.point_at(p) for p in [(2, 2, 0), (9, 2, 1), (9, 9, 2)]])
    rois = {"tumor": [contour(geometry, square(2, 6), 1)], "Liver": [tilted], "Mr X": [tilted]}
    loaded = load_two(save_rtstruct(tmp_path / "rs.dcm", rois), geometry)
    (found,) = loaded.segmentations
    assert found.names == ("tumor",), "what cannot be read is not annotated, not empty either"
    assert found.mask("tumor").sum() == 16
    left, unknown = loaded.findings
    assert (left.code, unknown.code) == ("REGION_LEFT_OUT", "LABEL_UNKNOWN")
    assert "label 'liver'" in left.message
    assert "spans 2.00 slices, more than 0.5" in left.message
    assert not rejects(loaded.findings)


def test_a_label_of_two_regions_is_not_annotated_when_one_of_them_cannot_be_read(tmp_path):
    geometry = oblique()
    tilted = np.array([geometry.point_at(p) for p in [(2, 2, 0), (9, 2, 1), (9, 9, 2)]])
    flat = [contour(geometry, square(2, 6), 1)]
    rois = {"tumor": flat, "TUMOR": [*flat, tilted], "liver": flat}
    loaded = load_two(save_rtstruct(tmp_path / "rs.dcm", rois), geometry)
    assert loaded.segmentations[0].names == ("liver",)
    assert [f.code for f in loaded.findings] == ["REGION_LEFT_OUT"]


def with_frames(path: Path, *frames: str, of_object: str = "") -> Path:
    """The object with a frame of reference for each of its regions, and one for itself."""
    data = pydicom.dcmread(path)
    for roi, frame in zip(data.StructureSetROISequence, frames, strict=True):
        roi.ReferencedFrameOfReferenceUID = frame
    if of_object:
        data.FrameOfReferenceUID = of_object
    data.save_as(path)
    return path


def test_a_region_of_another_frame_of_reference_is_not_filled_on_this_image(tmp_path):
    geometry = oblique()
    flat = [contour(geometry, square(2, 6), 1)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": flat, "liver": flat})
    with_frames(path, "1.2.3", "1.2.4")
    loaded = load_two(path, geometry, frame="1.2.3")
    assert loaded.segmentations[0].names == ("tumor",)
    (finding,) = loaded.findings
    assert finding.code == "REGION_LEFT_OUT"
    assert "label 'liver': the region lies in another frame of reference" in finding.message
    assert "1.2.4" not in finding.message
    for unknown in ("", "1.2.5"):  # what no region of the object has is no measure of them
        assert load_two(path, geometry, frame=unknown).segmentations[0].names == ("tumor", "liver")
    with_frames(path, "1.2.4", "1.2.4", of_object="1.2.3")
    loaded = load_two(path, geometry, frame="1.2.3")
    assert loaded.segmentations == ()
    assert [f.code for f in loaded.findings] == ["MASK_UNSUPPORTED"]


def test_the_frame_of_the_image_comes_from_the_case(tmp_path):
    from MedPrepLib.config.settings import Align
    from MedPrepLib.masks.belonging import ImageIdentity
    from MedPrepLib.reading import align_reading

    geometry = oblique()
    flat = [contour(geometry, square(2, 6), 1)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": flat, "liver": flat})
    with_frames(path, "1.2.3", "1.2.4")
    schema = LabelSchema((Label("tumor", 1), Label("liver", 2)))
    reading, image = MaskReading("a", (MaskPart(str(path)),)), ImageIdentity("", "1.2.3")
    found = align_reading(reading, geometry, schema, Align(), "c/a", image=image)
    assert found.parts[0].names == ("tumor",)


def test_all_contour_items_of_one_region_are_filled(tmp_path):
    import copy

    geometry = oblique()
    rois = {"tumor": [contour(geometry, square(2, 6), 1)], "liver": []}
    path = save_rtstruct(tmp_path / "rs.dcm", rois)
    data = pydicom.dcmread(path)
    second = copy.deepcopy(data.ROIContourSequence[0])
    second.ContourSequence[0].ContourData = [
        format(x, ".10g") for x in np.ravel(contour(geometry, square(4, 9), 3))
    ]
    data.ROIContourSequence.append(second)
    data.save_as(path)
    (found,) = load_two(path, geometry).segmentations
    assert found.mask("tumor").sum(axis=(1, 2)).tolist() == [0, 16, 0, 25, 0]


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ((0, 2, 4, 6, 8), "6.6 mm apart on slices of 3.3 mm; 4 slices between them"),
        ((0, 2, 4, 15, 17, 19), "4 slices between them"),
        ((0, 1.5, 3, 4.5, 6), "5 mm apart"),
        ((0, 3, 6), "4 slices"),
        ((0, 1, 2, 3, 5), ""),
        ((0, 1, 2, 10, 11, 12), ""),
        ((2, 4), ""),
        ((0, 2, 7, 8, 12), ""),
        ((3,), ""),
        ((), ""),
    ],
)
def test_slices_that_a_regular_step_of_contours_leaves_empty_are_counted(tmp_path, heights, words):
    geometry = Geometry((30, 20, 24), (0.7, 0.9, 3.3), (-41.5, 20.25, 3.0))
    rois = {"tumor": [contour(geometry, square(2, 6), k) for k in heights]}
    loaded = load_two(save_rtstruct(tmp_path / "rs.dcm", rois), geometry)
    sparse = [f.message for f in loaded.findings if f.code == "CONTOURS_SPARSE"]
    assert len(sparse) == bool(words)
    assert all("label 'tumor'" in message and words in message for message in sparse)


def test_an_object_without_any_closed_region_annotates_nothing(tmp_path):
    geometry = oblique()
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": [[(0, 0, 0)]]}, kind="POINT")
    loaded = load_two(path, geometry)
    assert loaded.segmentations == ()
    assert [f.code for f in loaded.findings] == ["REGION_LEFT_OUT"]


def test_a_region_too_small_for_any_voxel_is_no_negative(tmp_path):
    """Drawn and lost: its label was annotated as empty, which says that nothing is there."""
    geometry = oblique()
    tiny = [contour(geometry, [(4.2, 4.2), (4.4, 4.2), (4.3, 4.4)], k) for k in (1, 2)]
    large = [contour(geometry, square(8, 12), 3)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": tiny, "liver": large})
    loaded = load_two(path, geometry)
    assert [one.names for one in loaded.segmentations] == [("liver",)]
    (finding,) = loaded.findings
    assert finding.code == "REGION_LEFT_OUT"
    assert "label 'tumor': its 2 contours enclose no voxel center" in finding.message
    path = save_rtstruct(tmp_path / "two.dcm", {"tumor": tiny[:1], "Tumor": large})
    loaded = load_two(path, geometry)
    assert [one.names for one in loaded.segmentations] == [("tumor",)]
    assert [f.code for f in loaded.findings] == ["LESION_LOST"]
    assert loaded.segmentations[0].mask("tumor").sum() > 10
    path = save_rtstruct(tmp_path / "none.dcm", {"tumor": []})
    empty = load_two(path, geometry)
    assert [one.names for one in empty.segmentations] == [("tumor",)]
    assert empty.findings == ()


def open_some(path: Path, kinds: dict[int, str]) -> Path:
    """Give contours of the first region other types, by their place."""
    data = pydicom.dcmread(path)
    for place, kind in kinds.items():
        data.ROIContourSequence[0].ContourSequence[place].ContourGeometricType = kind
    data.save_as(path)
    return path


def test_open_contours_beside_closed_ones_are_counted_and_not_filled(tmp_path):
    geometry = oblique()
    drawn = [contour(geometry, square(2, 6), k) for k in (1, 2, 3)]
    closed = load_two(save_rtstruct(tmp_path / "c.dcm", {"tumor": drawn[:1]}), geometry)
    drawn.append(np.array([geometry.point_at((3, 3, 0))]))
    kinds = {1: "OPEN_PLANAR", 2: "OPEN_NONPLANAR", 3: "POINT"}
    path = open_some(save_rtstruct(tmp_path / "rs.dcm", {"tumor": drawn}), kinds)
    loaded = load_two(path, geometry)
    (finding,) = loaded.findings
    assert (finding.code, finding.severity.word) == ("CONTOURS_OPEN", "review")
    assert "label 'tumor': 3 contours are points or open lines" in finding.message
    mine, theirs = (one.segmentations[0].mask("tumor") for one in (loaded, closed))
    np.testing.assert_array_equal(mine, theirs)


def test_a_label_drawn_as_points_only_is_said_to_be_left_out(tmp_path):
    """Unless another region means it, too: a marker in the middle of a tumor."""
    geometry = oblique()
    organ = [contour(geometry, square(2, 6), 1)]
    path = save_rtstruct(tmp_path / "rs.dcm", {"tumor": [[(0, 0, 0)]], "liver": organ})
    loaded = load_two(open_some(path, {0: "POINT"}), geometry)
    assert [one.names for one in loaded.segmentations] == [("liver",)]
    assert [(f.code, "label 'tumor'" in f.message) for f in loaded.findings] == [
        ("REGION_LEFT_OUT", True)
    ]
    path = save_rtstruct(tmp_path / "two.dcm", {"Tumor": [[(0, 0, 0)]], "tumor": organ})
    loaded = load_two(open_some(path, {0: "POINT"}), geometry)
    assert [one.names for one in loaded.segmentations] == [("tumor",)]
    assert loaded.findings == ()


def test_points_are_no_structure(tmp_path):
    geometry = oblique()
    path = save_rtstruct(tmp_path / "rs.dcm", {"isocenter": [[(0, 0, 0)]]}, kind="POINT")
    assert read_rtstruct(path, geometry).names == ()


@pytest.mark.fault("F16")
@pytest.mark.parametrize("undefined_lengths", [False, True])
def test_an_object_cut_anywhere_is_never_taken_for_a_whole_one(tmp_path, undefined_lengths):
    geometry = oblique()
    rois = {"GTV": [contour(geometry, square(2, 6), k) for k in (1, 2, 3)]}
    path = save_rtstruct(tmp_path / "rs.dcm", rois)
    if undefined_lengths:
        data = pydicom.dcmread(path)
        data["ROIContourSequence"].is_undefined_length = True
        data.ROIContourSequence[0]["ContourSequence"].is_undefined_length = True
        data.save_as(path)
    whole = path.read_bytes()
    schema = LabelSchema((Label("GTV", 1),))
    reading = MaskReading("a", (MaskPart(str(path)),))
    assert load_reading(reading, geometry, schema, "case/a").findings == ()
    for stop in range(140, len(whole) - 16, 7):
        path.write_bytes(whole[:stop])
        loaded = load_reading(reading, geometry, schema, "case/a")
        assert rejects(loaded.findings), f"cut at {stop} of {len(whole)}"
