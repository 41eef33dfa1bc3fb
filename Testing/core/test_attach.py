"""Segmentation objects find the image they were drawn on, or it is said that they did not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ROWS, position, save, write_series
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from MedPrepLib.config import parse_study
from MedPrepLib.dicom.annotated import read_annotated, read_references
from MedPrepLib.findings import Finding
from MedPrepLib.identity import SiteKey
from MedPrepLib.masks.objects import LABELMAP_SEG_CLASS, RTSTRUCT_CLASS, SEG_CLASS
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.scan import Scanned, scan

FRAME, OTHER_FRAME = "1.2.9", "1.2.77"
SAME_SERIES = "1.2.55"
STUDY = """
name = "objects"
[[sources]]
kind = "dicom"
path = "raw"
[labels.tumor]
value = 1
[screen.severity]
NO_READING = "note"
[privacy]
case_names = "given"
[split]
test_fraction = 0
"""


def item(**attributes: object) -> Dataset:
    ds = Dataset()
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def structure(
    path: Path,
    *,
    series: str = "",
    frame: str = "",
    roi_frame: str = "",
    instances: tuple[str, ...] = (),
    k: float = 1.0,
    own: dict[str, str] | None = None,
    study: str = "",
) -> Path:
    """An RTSTRUCT with one square contour on slice ``k`` of the series of dicom_files.

    Each reference is written where the standard has it, and only if it is given. ``own`` are
    attributes of the object itself, ``study`` is the one that it refers to.
    """
    ds = item(SOPClassUID=RTSTRUCT_CLASS, SOPInstanceUID=generate_uid(), Modality="RTSTRUCT")
    ds.update(item(**(own or {})))
    images = [item(ReferencedSOPInstanceUID=uid) for uid in instances]
    if series:
        of = item(SeriesInstanceUID=series, ContourImageSequence=images)
        in_study = item(RTReferencedSeriesSequence=[of], ReferencedSOPInstanceUID=study)
        ds.ReferencedFrameOfReferenceSequence = [item(RTReferencedStudySequence=[in_study])]
        images = []
    if frame:
        ds.FrameOfReferenceUID = frame
    roi = item(ROINumber=1, ROIName="tumor")
    if roi_frame:
        roi.ReferencedFrameOfReferenceUID = roi_frame
    ds.StructureSetROISequence = [roi]
    along, down = np.array([0.93969262, 0.34202014, 0]) * 0.7, np.array([0, 0, -1]) * 0.5
    corners = [position(k) + along * i + down * j for i, j in ((2, 2), (9, 2), (9, 8), (2, 8))]
    contour = item(
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=4,
        ContourData=[format(x, ".10g") for x in np.ravel(corners)],
    )
    if images:
        contour.ContourImageSequence = images
    ds.ROIContourSequence = [item(ReferencedROINumber=1, ContourSequence=[contour])]
    return save(ds, path)


def with_frame(uid: str, shift: float = 0.0) -> Callable[[Dataset, int], None]:
    """Slices in this frame of reference, ``shift`` slices further along the normal."""

    def edit(ds: Dataset, k: int) -> None:
        ds.FrameOfReferenceUID = uid
        ds.ImagePositionPatient = [f"{x:.8g}" for x in position(k + shift)]

    return edit


def scanned(folder: Path) -> Scanned:
    return scan(parse_study(STUDY), folder)


def given(found: Scanned) -> dict[str, int]:
    return {c.case.id: len(c.case.readings) for c in found.candidates}


def said(found: Scanned) -> list[Finding]:
    return [f for f in found.findings if f.code.startswith("ANNOTATION_")]


def of_patient(patient: str, study: str = "1.2.3") -> Callable[[Dataset, int], None]:
    """Slices as an anonymizer leaves them that gives every series and frame the same UID."""

    def edit(ds: Dataset, k: int) -> None:
        ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = patient, study, SAME_SERIES
        ds.SOPInstanceUID = f"{SAME_SERIES}.{study}.{patient}.{k}"

    return edit


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def series_of(path: str) -> tuple[str, str]:
    import pydicom

    ds = pydicom.dcmread(path, stop_before_pixels=True)
    return str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)


def test_an_object_belongs_to_the_series_that_it_refers_to(tmp_path, raw):
    (first, *_) = write_series(raw / "a", 4)
    write_series(raw / "b", 4)
    structure(raw / "rs.dcm", series=series_of(first)[0], frame=OTHER_FRAME)
    found = scanned(tmp_path)
    assert given(found) == {"a": 1, "b": 0}
    assert said(found) == []


@pytest.mark.parametrize("dangling", [True, False])
@pytest.mark.parametrize("where", ["frame", "roi_frame"])
def test_without_its_series_an_object_finds_the_image_in_its_frame(tmp_path, raw, dangling, where):
    write_series(raw / "a", 4, with_frame(FRAME))
    write_series(raw / "b", 4, with_frame(OTHER_FRAME))
    series = "1.2.3.999" if dangling else ""
    structure(raw / "rs.dcm", series=series, **{where: OTHER_FRAME})
    found = scanned(tmp_path)
    assert given(found) == {"a": 0, "b": 1}
    assert said(found) == []


def test_the_frame_of_the_regions_counts_more_than_that_of_the_object(tmp_path, raw):
    write_series(raw / "a", 4, with_frame(FRAME))
    write_series(raw / "b", 4, with_frame(OTHER_FRAME))
    structure(raw / "rs.dcm", frame=FRAME, roi_frame=OTHER_FRAME)
    assert given(scanned(tmp_path)) == {"a": 0, "b": 1}


def test_of_several_images_in_a_frame_the_one_whose_slices_are_named_is_meant(tmp_path, raw):
    write_series(raw / "a", 4)
    (last, *_) = write_series(raw / "b", 4)
    structure(raw / "rs.dcm", frame=FRAME, instances=(series_of(last)[1],))
    assert given(scanned(tmp_path)) == {"a": 0, "b": 1}


def test_of_several_images_in_a_frame_the_one_whose_slices_fit_is_meant(tmp_path, raw):
    write_series(raw / "a", 4, with_frame(FRAME, 0.5))
    write_series(raw / "b", 4)
    write_series(raw / "far", 4, with_frame(FRAME, 40))
    structure(raw / "rs.dcm", frame=FRAME)
    found = scanned(tmp_path)
    assert given(found) == {"a": 0, "b": 1, "far": 0}
    assert said(found) == []


def test_contours_that_fit_no_image_of_their_frame_are_a_question(tmp_path, raw):
    write_series(raw / "a", 4, with_frame(FRAME, 0.5))
    write_series(raw / "b", 4, with_frame(FRAME, 40))
    structure(raw / "rs.dcm", frame=FRAME)
    found = scanned(tmp_path)
    assert given(found) == {"a": 0, "b": 0}
    (finding,) = said(found)
    assert (finding.code, finding.severity.word) == ("ANNOTATION_AMBIGUOUS", "review")
    assert finding.message.startswith("1 segmentation objects share")


def test_objects_without_an_image_are_counted_and_never_silent(tmp_path, raw):
    write_series(raw / "a", 4)
    structure(raw / "1.dcm", series="1.2.3.999")
    structure(raw / "2.dcm", series="1.2.3.999", frame=OTHER_FRAME)
    structure(raw / "3.dcm", frame=OTHER_FRAME)
    found = scanned(tmp_path)
    assert given(found) == {"a": 0}
    (finding,) = said(found)
    assert (finding.code, finding.severity.word) == ("ANNOTATION_ORPHANED", "review")
    assert finding.message == (
        "3 segmentation objects belong to no image here: 2 refer to a frame of reference that no "
        "image here has, 1 refer to series that are not here"
    )
    assert finding.remedy
    assert "1.2." not in finding.message


def test_an_object_that_refers_to_nothing_belongs_to_an_only_image(tmp_path, raw):
    write_series(raw / "a", 4)
    structure(raw / "rs.dcm")
    found = scanned(tmp_path)
    assert (given(found), said(found)) == ({"a": 1}, [])
    write_series(raw / "b", 4)
    found = scanned(tmp_path)
    assert given(found) == {"a": 0, "b": 0}
    assert "1 refer to nothing" in said(found)[0].message


@pytest.mark.parametrize("uid", [SEG_CLASS, LABELMAP_SEG_CLASS])
def test_segmentations_of_both_classes_are_attached_like_structures(tmp_path, raw, uid):
    (first, *_) = write_series(raw / "a", 4)
    write_series(raw / "b", 4)
    sequence = [item(SeriesInstanceUID=series_of(first)[0])]
    seg = item(SOPClassUID=uid, SOPInstanceUID=generate_uid(), Modality="SEG", Rows=ROWS,
               ReferencedSeriesSequence=sequence)  # fmt: skip
    save(seg, raw / "by_series.dcm")
    frames = [item(PlanePositionSequence=[item(ImagePositionPatient=position(k))]) for k in (1, 2)]
    seg = item(SOPClassUID=uid, SOPInstanceUID=generate_uid(), Modality="SEG", Rows=ROWS,
               FrameOfReferenceUID=FRAME, PerFrameFunctionalGroupsSequence=frames)  # fmt: skip
    save(seg, raw / "by_frame.dcm")
    found = scanned(tmp_path)
    assert given(found) == {"a": 2, "b": 1}  # the frames fit the equal slices of both
    assert not [f for f in found.findings if f.code == "NOT_AN_IMAGE"]


def test_a_damaged_object_without_references_is_said(tmp_path, raw):
    write_series(raw / "a", 4)
    write_series(raw / "b", 4)
    path = structure(raw / "rs.dcm", frame=FRAME)
    path.write_bytes(path.read_bytes()[:-150])
    assert [f.code for f in said(scanned(tmp_path))] != []


# --- several series with one UID -----------------------------------------------------------------
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("patient", ["2", " 2 ", "", "anonymous"])
def test_what_was_drawn_on_one_patient_is_never_given_to_another(tmp_path, raw, patient, named):
    write_series(raw / "p1", 4, of_patient("1"))
    uid = series_of(write_series(raw / "p2", 4, of_patient("2"))[0])[1]
    own = {"PatientID": patient, "StudyInstanceUID": "1.2.3"}
    structure(raw / "rs.dcm", series=SAME_SERIES, instances=(uid,) if named else (), own=own)
    found = scanned(tmp_path)
    told = named or "2" in patient  # one of the two says whose it is
    assert given(found) == {"p1": 0, "p2": int(told)}
    assert [f.code for f in said(found)] == ([] if told else ["ANNOTATION_AMBIGUOUS"])


def test_slices_of_another_patient_are_no_reason_to_take_what_was_drawn(tmp_path, raw):
    uid = series_of(write_series(raw / "p1", 4, of_patient("1"))[0])[1]
    own = {"PatientID": "2"}
    structure(raw / "series.dcm", series=SAME_SERIES, own=own)
    structure(raw / "slice.dcm", instances=(uid,), own=own)
    structure(raw / "frame.dcm", frame=FRAME, own=own)
    structure(raw / "nothing.dcm", own=own)
    found = scanned(tmp_path)
    assert given(found) == {"p1": 0}
    (finding,) = said(found)
    assert finding.message == (
        "4 segmentation objects belong to no image here: 3 refer to images of another patient or "
        "study than their own, 1 refer to nothing"
    )


def test_of_two_studies_of_a_patient_the_one_that_was_drawn_on_is_meant(tmp_path, raw):
    write_series(raw / "before", 4, of_patient("1", "1.2.3"))
    write_series(raw / "after", 4, of_patient("1", "1.2.4"))
    own = {"PatientID": "1", "StudyInstanceUID": "1.2.4"}
    structure(raw / "same_study.dcm", series=SAME_SERIES, own=own)
    own["StudyInstanceUID"] = "1.2.999"
    structure(raw / "study_named.dcm", series=SAME_SERIES, own=own, study="1.2.4")
    slices = (f"{SAME_SERIES}.1.2.4.1.2",)
    structure(raw / "slice_named.dcm", series=SAME_SERIES, own=own, instances=slices)
    structure(raw / "another.dcm", series=SAME_SERIES, own=own)
    found = scanned(tmp_path)
    assert given(found) == {"before": 0, "after": 3}
    (finding,) = said(found)
    assert "1 refer to images of another patient or study" in finding.message


def test_a_frame_of_reference_that_two_patients_share_is_a_question(tmp_path, raw):
    write_series(raw / "p1", 4, of_patient("1"))
    write_series(raw / "p2", 4, of_patient("2"))
    structure(raw / "rs.dcm", frame=FRAME)
    found = scanned(tmp_path)
    assert given(found) == {"p1": 0, "p2": 0}
    assert [f.code for f in said(found)] == ["ANNOTATION_AMBIGUOUS"]
    structure(raw / "rs.dcm", frame=FRAME, own={"PatientID": "2"})
    assert given(scanned(tmp_path)) == {"p1": 0, "p2": 1}


def with_masks(folder: Path) -> Scanned:
    text = STUDY.replace('path = "raw"', 'path = "raw"\nmasks = "masks"')
    return scan(parse_study(text), folder)


def drawn(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "ana.nii.gz").write_bytes(b"")


def test_a_mask_folder_called_by_a_uid_that_patients_share_is_a_question(tmp_path, raw):
    write_series(raw / "p1", 4, of_patient("1"))
    drawn(tmp_path / "masks" / SAME_SERIES)
    assert (given(with_masks(tmp_path)), said(with_masks(tmp_path))) == ({"p1": 1}, [])
    write_series(raw / "p2", 4, of_patient("2"))
    found = with_masks(tmp_path)
    assert given(found) == {"p1": 0, "p2": 0}
    (finding,) = said(found)
    assert finding.code == "ANNOTATION_AMBIGUOUS"
    assert finding.message.startswith("1 mask folders are called by a folder or a UID")


def test_a_mask_folder_is_asked_about_when_a_second_series_renames_its_case(tmp_path, raw):
    (path, *_) = write_series(raw / "x", 4)
    drawn(tmp_path / "masks" / "x")
    assert (given(with_masks(tmp_path)), said(with_masks(tmp_path))) == ({"x": 1}, [])
    for number, other in enumerate(write_series(tmp_path / "other", 4)):
        shutil.move(other, raw / "x" / f"other{number}")
    found = with_masks(tmp_path)
    assert [name[:2] for name in given(found)] == ["x~", "x~"]
    assert set(given(found).values()) == {0}
    assert [f.code for f in said(found)] == ["ANNOTATION_AMBIGUOUS"]
    uid = series_of(path)[0]
    (tmp_path / "masks" / "x").rename(tmp_path / "masks" / uid)
    found = with_masks(tmp_path)
    assert sorted(given(found).values()) == [0, 1]
    assert said(found) == []


def test_every_object_of_the_sarcoma_cohort_finds_its_image(shared_data, tmp_path):
    source = shared_data / "cohort/sts/STS_001"
    for name in ("CT", "PET"):
        shutil.copytree(source / name / "image", tmp_path / "raw" / name)
        shutil.copy(source / name / "mask/RS.dcm", tmp_path / "raw" / f"{name}.dcm")
    found = scanned(tmp_path)
    assert given(found) == {"CT": 1, "PET": 1}
    assert said(found) == []


OBJECTS = (RTSTRUCT_CLASS, SEG_CLASS)


# --- masks that a table attaches --------------------------------------------------------------
def finished(folder: Path) -> Summary:
    text = STUDY.replace('kind = "dicom"\npath = "raw"', 'kind = "table"\npath = "cases.csv"')
    order = Order(parse_study(text), text, folder, folder / "cohort", workers=1)
    return run(order, key=SiteKey(bytes(32)))


def attached_by_table(folder: Path, **references: object) -> Summary:
    structure(folder / "rs.dcm", **references)  # type: ignore[arg-type]
    (folder / "cases.csv").write_text("case,patient,image,annotations\nc,p,raw/a,ana=rs.dcm\n")
    return finished(folder)


@pytest.mark.parametrize(
    ("series", "frame", "words"),
    [
        ("1.2.3.999", FRAME, "another series, the same frame of reference"),
        ("1.2.3.999", "", "another series, an unknown frame of reference"),
        ("1.2.3.999", OTHER_FRAME, "another series, another frame of reference"),
        ("", OTHER_FRAME, "an unknown series, another frame of reference"),
    ],
)
def test_a_mask_of_another_series_is_named_so(tmp_path, raw, series, frame, words):
    write_series(raw / "a", 4)
    (case,) = attached_by_table(tmp_path, series=series, frame=frame).included
    (finding,) = [f for f in case.findings if f.code == "OTHER_SERIES"]
    assert (finding.item, finding.severity.word) == ("c/ana", "review")
    assert words in finding.message
    assert "1.2." not in finding.message
    (reading,) = case.readings
    assert reading.grid.cause == "other series"
    assert words in reading.grid.sentence


def test_series_and_frames_are_the_same_where_contours_are_not_read(shared_data):
    named = 0
    for path in sorted((shared_data / "cohort").rglob("*.dcm")):
        with path.open("rb") as stream:
            if not any(uid.encode() in stream.read(400) for uid in OBJECTS):
                continue
        whole, quick = read_annotated(str(path)), read_references(str(path))
        assert (quick.series, quick.frames) == (whole.series, whole.frames)
        named += bool(quick.series and quick.frames)
        assert quick.patient_id == whole.patient_id
        assert quick.instances <= whole.instances
    assert named > 10


def test_a_mask_that_names_a_slice_of_the_image_belongs_to_it(tmp_path, raw):
    (first, *_) = write_series(raw / "a", 4)
    uid, instance = series_of(first)
    same = attached_by_table(tmp_path, series=uid, frame=FRAME)
    renamed = attached_by_table(tmp_path, series="1.2.3.999", instances=(instance,))
    silent = attached_by_table(tmp_path)
    for summary in (same, renamed, silent):
        (case,) = summary.included
        assert not [f for f in case.findings if f.code == "OTHER_SERIES"]
        assert case.readings[0].grid.cause == "identical grid"


def test_slices_that_a_mask_names_are_compared(tmp_path, raw):
    write_series(raw / "a", 4)
    (case,) = attached_by_table(tmp_path, series="1.2.3.999", instances=("1.2.5", "1.2.6")).included
    (finding,) = [f for f in case.findings if f.code == "OTHER_SERIES"]
    assert "none of the 2 images it names is a slice of this image" in finding.message


@pytest.mark.parametrize(("patient", "severity"), [("0042", "note"), ("", "review")])
def test_a_mask_that_names_other_slices_of_the_series_is_told(tmp_path, raw, patient, severity):
    """The structures of a published collection name no image that was published with them."""
    uid = series_of(write_series(raw / "a", 4)[0])[0]
    own = {"PatientID": patient}
    (case,) = attached_by_table(tmp_path, series=uid, instances=("1.2.5",), own=own).included
    (finding,) = [f for f in case.findings if f.code == "OTHER_SERIES"]
    assert finding.severity.word == severity
    assert "the same series" in finding.message
    assert "none of the 1 images it names is a slice of this image" in finding.message
    assert (case.readings[0].grid.cause == "other series") is (severity == "review")


def test_a_mask_that_carries_another_patients_id_is_told_without_the_id(tmp_path, raw):
    uid = series_of(write_series(raw / "a", 4)[0])[0]
    for patient, codes in (("777", ["OTHER_SERIES"]), ("0042 ", []), ("anonymous", [])):
        own = {"PatientID": patient}
        (case,) = attached_by_table(tmp_path, series=uid, frame=FRAME, own=own).included
        told = [f for f in case.findings if f.code == "OTHER_SERIES"]
        assert [f.code for f in told] == codes
        assert all("carries the ID of another patient" in f.message for f in told)
        assert "777" not in "".join(f.message for f in case.findings)
