"""DICOM segmentations are put together from their frames' positions, segment by segment."""

from __future__ import annotations

import numpy as np
import pytest

from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.files import read_volume
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import Label, LabelSchema, Terminology
from MedPrepLib.masks import kind_of, load_reading, read_dicom_seg
from MedPrepLib.masks.dicomseg import read_dicom_seg_with_remarks

pydicom = pytest.importorskip("pydicom")


def test_the_liver_of_dcmqi_equals_its_nrrd(shared_data):
    folder = shared_data / "cohort/dcmqi_ct/seg"
    reference = read_volume(folder / "liver_seg.nrrd")
    found = read_dicom_seg(folder / "liver.dcm", reference.geometry)
    assert kind_of(folder / "liver.dcm") == "seg"
    assert found.geometry.displacement_mm(reference.geometry) < 1e-6
    np.testing.assert_array_equal(found.mask("Liver"), reference.array > 0)
    assert found.segments[0].terminology == Terminology("SRT", "T-62000", "Liver")


@pytest.fixture
def source():
    """Single-frame CT headers on an oblique grid, last slice first, and that grid."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    q[:, 2] = np.cross(q[:, 0], q[:, 1])
    geometry = Geometry((13, 9, 5), (0.7, 0.9, 3.25), (-41.5, 20.25, 3.0), tuple(q.ravel()))
    uids = [generate_uid() for _ in range(3)]
    slices = []
    for k in range(5):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = uids
        data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = "p", "", "", ""
        data.StudyID = data.StudyDate = data.StudyTime = data.AccessionNumber = ""
        data.ReferringPhysicianName = ""
        data.Modality, data.Rows, data.Columns = "CT", 9, 13
        data.PixelSpacing = [0.9, 0.7]
        data.SliceThickness = 1.0
        data.ImagePositionPatient = [format(x, ".12g") for x in geometry.point_at((0, 0, k))]
        data.ImageOrientationPatient = [format(x, ".12g") for x in [*q[:, 0], *q[:, 1]]]
        slices.append(data)
    return slices[::-1], geometry


def save_seg(path, slices, masks, kind="BINARY", **options):
    """Written by highdicom; ``masks``: (k, j, i, segment) in the order of ``slices``."""
    hd = pytest.importorskip("highdicom")
    from highdicom.sr.coding import CodedConcept
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"segment {number}",
            segmented_property_category=CodedConcept("123037004", "SCT", "Anatomical Structure"),
            segmented_property_type=CodedConcept(str(1000 + number), "SCT", "Thing"),
            algorithm_type="MANUAL",
            display_color=hd.color.CIELabColor.from_rgb(200, 100, 10 * number),
        )
        for number in range(1, masks.shape[3] + 1)
    ]
    data = hd.seg.Segmentation(
        source_images=slices, pixel_array=masks, segmentation_type=kind,
        segment_descriptions=descriptions, series_instance_uid=generate_uid(), series_number=1,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer="m",
        manufacturer_model_name="m", software_versions="1", device_serial_number="1",
        transfer_syntax_uid=ExplicitVRLittleEndian, **options,
    )  # fmt: skip
    data.save_as(path)
    return path


def test_overlapping_segments_of_highdicom_are_exact_on_an_oblique_grid(tmp_path, source):
    slices, geometry = source
    masks = np.random.default_rng(0).random((5, 9, 13, 3)) < 0.3  # in order of k
    masks[[0, 3]] = False  # frames without voxels are not stored
    masks[..., 2] = False
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1].astype(np.uint8))
    found = read_dicom_seg(path, geometry)
    assert found.names == ("segment 1", "segment 2", "segment 3")
    assert found.geometry.size == (13, 9, 4)
    shift = np.subtract(found.geometry.origin, geometry.point_at((0, 0, 1)))
    assert np.abs(shift).max() < 1e-6
    assert abs(found.geometry.spacing[2] - 3.25) < 1e-6
    for number in (1, 2, 3):
        expected = masks[1:, ..., number - 1]
        np.testing.assert_array_equal(found.mask(f"segment {number}"), expected)
    assert found.segments[1].terminology == Terminology("SCT", "1002", "Thing")
    assert np.abs(np.subtract(found.segments[1].color, (200, 100, 20))).max() <= 2


def code_item(value: str, meaning: str):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


@pytest.mark.parametrize("of_region", [False, True])
def test_the_side_of_a_segment_is_that_of_its_modifiers(tmp_path, source, of_region):
    slices, geometry = source
    path = save_seg(tmp_path / "seg.dcm", slices, np.ones((5, 9, 13, 2), np.uint8))
    data = pydicom.dcmread(path)
    sides = [code_item("24028007", "Right"), code_item("7771000", "Left")]
    for row, side in zip(data.SegmentSequence, sides, strict=True):
        if of_region:
            row.AnatomicRegionSequence = [code_item("64033007", "Kidney")]
            row.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [side]
        else:
            (of_type,) = row.SegmentedPropertyTypeCodeSequence
            of_type.SegmentedPropertyTypeModifierCodeSequence = [side]
    data.save_as(path)
    assert [s.side for s in read_dicom_seg(path, geometry).segments] == ["right", "left"]


def test_the_slice_distance_of_sparse_frames_comes_from_the_image(tmp_path, source):
    slices, geometry = source
    masks = np.zeros((5, 9, 13, 1), np.uint8)
    masks[[0, 2], 4, 5] = 1
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1])
    found = read_dicom_seg(path, geometry)
    assert found.geometry.size == (13, 9, 3)
    assert found.mask("segment 1").sum(axis=(1, 2)).tolist() == [1, 0, 1]


@pytest.mark.parametrize("stated", [3.25, 3.2, None])
def test_frames_on_every_second_slice_leave_the_slices_between_them_empty(tmp_path, source, stated):
    """Highdicom states the spacing of the image; others round it, or state none."""
    slices, geometry = source
    masks = np.zeros((5, 9, 13, 1), np.uint8)
    masks[[0, 2, 4], 4, 5] = 1
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1])
    data = pydicom.dcmread(path)
    (measures,) = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.SpacingBetweenSlices == pytest.approx(3.25)
    measures.SpacingBetweenSlices = stated
    data.save_as(path)
    found = read_dicom_seg(path, geometry)
    assert found.geometry.spacing[2] == pytest.approx(3.25, abs=1e-6)
    assert found.mask("segment 1").sum(axis=(1, 2)).tolist() == [1, 0, 1, 0, 1]


def test_thick_slices_of_an_object_are_not_stripes_on_an_image_of_thin_ones(tmp_path, source):
    from MedPrepLib.config.settings import Align
    from MedPrepLib.reading import align_parts

    slices, geometry = source
    masks = np.zeros((5, 9, 13, 1), np.uint8)
    masks[1:4, 4, 5] = 1
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1])
    data = pydicom.dcmread(path)
    (measures,) = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    measures.SpacingBetweenSlices = 3.25
    data.save_as(path)
    thin = Geometry((13, 9, 10), (0.7, 0.9, 3.25 / 2), geometry.origin, geometry.direction)
    found = read_dicom_seg(path, thin)
    assert found.geometry.spacing[2] == pytest.approx(3.25, abs=1e-6)
    aligned = align_parts([found], thin, Align(), "case/a")
    assert [f.code for f in aligned.findings] == ["GRID_RESAMPLED"]
    drawn = np.flatnonzero(aligned.parts[0].mask("segment 1").any(axis=(1, 2)))
    assert len(drawn) == 6
    assert drawn.tolist() == list(range(drawn[0], drawn[0] + 6))


def test_label_map_segmentations_are_read(tmp_path, source):
    slices, geometry = source
    values = np.random.default_rng(0).integers(0, 3, (5, 9, 13))
    masks = np.stack([values == 1, values == 2], axis=-1).astype(np.uint8)
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1], kind="LABELMAP")
    found = read_dicom_seg(path, geometry)
    np.testing.assert_array_equal(found.mask("segment 2"), values == 2)
    assert len(found.layers) == 1


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_voxels_of_a_segment_that_is_not_described_are_said(tmp_path, source, kind):
    slices, geometry = source
    masks = np.zeros((5, 9, 13, 2), np.uint8)
    masks[:, 2, 3, 0] = masks[1:3, 4:6, 5, 1] = 1
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1], kind=kind)
    assert read_dicom_seg_with_remarks(path, geometry).remarks == ()
    data = pydicom.dcmread(path)
    data.SegmentSequence = [s for s in data.SegmentSequence if s.SegmentNumber != 2]
    data.save_as(path)
    found = read_dicom_seg_with_remarks(path, geometry)
    assert found.segmentation.mask("segment 1").sum() == 5
    (remark,) = found.remarks
    assert remark.kind.code == "REGION_LEFT_OUT"
    assert "2 (4 voxels)" in remark.message
    schema = LabelSchema((Label("segment 1", 1),))
    reading = MaskReading("a", (MaskPart(str(path)),))
    loaded = load_reading(reading, geometry, schema, "c/a")
    assert [f.code for f in loaded.findings] == ["REGION_LEFT_OUT"]
    assert loaded.segmentations[0].names == ("segment 1",)


def test_the_padding_of_a_label_map_is_no_segment(tmp_path, source):
    slices, geometry = source
    masks = np.zeros((5, 9, 13, 2), np.uint8)
    masks[:, 2, 3, 0] = masks[1:3, 4:6, 5, 1] = 1
    path = save_seg(tmp_path / "seg.dcm", slices, masks[::-1], kind="LABELMAP")
    data = pydicom.dcmread(path)
    data.SegmentSequence = [s for s in data.SegmentSequence if s.SegmentNumber != 2]
    data.PixelPaddingValue = 2
    data.save_as(path)
    assert read_dicom_seg_with_remarks(path, geometry).remarks == ()


@pytest.mark.parametrize("whole", [1, 255])
def test_fractional_segmentations_without_fractions_are_binary_ones(tmp_path, source, whole):
    slices, geometry = source
    masks = np.random.default_rng(5).random((5, 9, 13, 2)) < 0.4
    path = save_seg(
        tmp_path / "seg.dcm", slices, masks[::-1].astype(np.float32), kind="FRACTIONAL",
        max_fractional_value=whole,
    )  # fmt: skip
    found = read_dicom_seg(path, geometry)
    for number in (1, 2):
        np.testing.assert_array_equal(found.mask(f"segment {number}"), masks[..., number - 1])


def test_fractions_are_refused_for_a_threshold_would_be_a_guess(tmp_path, source):
    slices, geometry = source
    masks = np.ones((5, 9, 13, 1), np.float32)
    masks[2, 3:5, 4] = 0.5
    path = save_seg(tmp_path / "seg.dcm", slices, masks, kind="FRACTIONAL")
    with pytest.raises(FileFaultError, match=r"FRACTIONAL .* with 2 voxels") as caught:
        read_dicom_seg(path, geometry)
    assert caught.value.kind.code == "MASK_UNSUPPORTED"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: setattr(d, "NumberOfFrames", 9), "MASK_UNREADABLE"),
        (lambda d: setattr(d, "Rows", 60000), "MASK_UNREADABLE"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:4]), "MASK_UNREADABLE"),
        (lambda d: delattr(d, "PixelData"), "MASK_UNREADABLE"),
        (lambda d: delattr(d, "SharedFunctionalGroupsSequence"), "MASK_UNREADABLE"),
        (lambda d: setattr(d, "SegmentationType", "WILD"), "MASK_UNSUPPORTED"),
    ],
)
def test_objects_that_contradict_themselves_are_refused(shared_data, tmp_path, change, code):
    folder = shared_data / "cohort/dcmqi_ct/seg"
    geometry = read_volume(folder / "liver_seg.nrrd").geometry
    data = pydicom.dcmread(folder / "liver.dcm")
    change(data)
    data.save_as(tmp_path / "seg.dcm")
    with pytest.raises(FileFaultError) as caught:
        read_dicom_seg(tmp_path / "seg.dcm", geometry)
    assert caught.value.kind.code == code


def test_other_dicom_objects_are_no_masks(shared_data):
    path = next((shared_data / "cohort/dcmqi_ct").glob("*.dcm"))
    with pytest.raises(FileFaultError, match="neither"):
        kind_of(path)
