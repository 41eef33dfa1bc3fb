"""Every way from a file into MedPrep, as the run takes it, with the errors that it may end in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from scene.case_samples import GRID

from MedPrepLib.cohort import (
    BoxReading,
    Case,
    ImageSource,
    MaskPart,
    MaskReading,
    Patient,
    ReadingFile,
    Scan,
    SliceReading,
)
from MedPrepLib.colortable import read_color_table
from MedPrepLib.config import load_study
from MedPrepLib.config.settings import NnunetSource, Screen, Standardize, TableSource
from MedPrepLib.dicom.annotated import read_annotated
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.neighbors import HeaderParser
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import arrange, describe_objects, group_series
from MedPrepLib.dicom.suv import SuvUnknownError, suv_factor
from MedPrepLib.errors import ConfigError, GeometryError, ReadError, UnsupportedError
from MedPrepLib.findings import Finding, Severity, rejects
from MedPrepLib.formats.faults import FileFaultError, read_head
from MedPrepLib.formats.files import check_file, read_geometry, read_volume
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.masks import load_reading, merge
from MedPrepLib.masks.boxes import load_boxes
from MedPrepLib.masks.slices import load_slices
from MedPrepLib.review import ReviewStore
from MedPrepLib.review.readmissions import read_readmissions
from MedPrepLib.scan.attach import find_images
from MedPrepLib.scan.centers import read_centers
from MedPrepLib.scan.dates import reading_order
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.nnunet import scan_nnunet
from MedPrepLib.scan.table import scan_table
from MedPrepLib.standardize import standardize

SCREEN = Screen(min_slices=1)
LABELS = LabelSchema((Label("organ", 1), Label("tumor", 3)))
_PARSER = HeaderParser(("PatientAge",))


Refused = tuple[str, ...]
"""Why a file was not used: codes of findings, names of errors; empty for a sound one."""


def codes(findings: Iterable[Finding]) -> Refused:
    return tuple(sorted({f.code for f in findings if f.severity > Severity.NOTE}))


def raised(function: Callable[[], object], *expected: type[Exception]) -> Refused:
    """The name of the error that a call ends in, when it is one of those documented."""
    try:
        function()
    except expected as error:
        return (type(error).__name__,)
    return ()


def dicom(path: Path) -> Refused:
    """A slice or a multi-frame object, up to its voxels; read alone and beside its neighbors."""
    try:
        header = read_header(str(path), ("PatientAge",))
    except ReadError as error:
        assert raised(lambda: _PARSER.read(str(path)), ReadError), "just one reader refuses it"
        return (type(error).__name__,)
    assert _PARSER.read(str(path)) == header
    groups = group_series([header])
    _, findings = find_images(groups, SCREEN, "source")
    findings += describe_objects(groups, "source")
    raised(lambda: suv_factor(header), SuvUnknownError)
    arranged = arrange([header], "case", SCREEN)
    findings += arranged.findings
    if arranged.geometry is None or rejects(findings):
        return codes(findings) or ("no image",)
    try:
        pixels = read_series(arranged.headers)
    except (ReadError, GeometryError, UnsupportedError) as error:
        return (type(error).__name__,)
    done = standardize(pixels.volume, "CT", Standardize(), "case", pixels.padding, in_place=True)
    return codes((*findings, *done.findings))


def mask(path: Path) -> Refused:
    """A rater's file on the grid of its image; a segmentation object also looks for its image."""
    found = load_reading(MaskReading("ana", (MaskPart(str(path)),)), GRID, LABELS, "case/ana")
    for part in found.segmentations:
        merge([part], "case/ana")
    with suppress(ReadError):
        header = read_header(str(path))
        find_images(group_series([header]), SCREEN, "source")
        read_annotated(str(path))
    return codes(found.findings)


def volume(path: Path) -> Refused:
    """An image file as image, and as mask."""
    findings = check_file(path, "case")
    try:
        geometry = read_geometry(path)
        image = read_volume(path)
    except FileFaultError as fault:
        plain = path.suffix == ".nii" and read_head(path, 2) != b"\x1f\x8b"
        assert findings or not plain, "a fault without a word"
        findings += (fault.at("case"),)
    else:
        assert image.geometry == geometry
        if not rejects(findings):
            standardize(image, "MR", Standardize(), "case", None)
    mask(path)
    return codes(findings)


def boxes(path: Path) -> Refused:
    reading = BoxReading("ana", (ReadingFile(str(path)),))
    return codes(load_boxes(reading, GRID, LABELS, "case/ana")[1])


def slices(path: Path) -> Refused:
    reading = SliceReading("ana", (ReadingFile(str(path)),))
    return codes(load_slices(reading, GRID, LABELS, "case/ana")[1])


def table(path: Path) -> Refused:
    source, reader = TableSource(path=path.name), HeaderReader(None, ())
    return raised(lambda: tuple(scan_table(source, path, reader, SCREEN, "source")), ConfigError)


def centers(path: Path) -> Refused:
    return raised(lambda: read_centers(path, "$.sources[0].centers"), ConfigError)


def dates(path: Path) -> Refused:
    case = Case("c1", Patient("p", "c"), Scan(), ImageSource("file", ()))
    return raised(lambda: reading_order(path, [case], "dates.csv"), ConfigError)


def study(path: Path) -> Refused:
    return raised(lambda: load_study(path), ConfigError)


def nnunet(path: Path) -> Refused:
    (path.parent / "imagesTr").mkdir(exist_ok=True)
    source = NnunetSource(path="raw")
    return raised(lambda: tuple(scan_nnunet(source, path.parent, "source 1")), ConfigError)


def colors(path: Path) -> Refused:
    return raised(lambda: read_color_table(path), ConfigError)


def review(path: Path) -> Refused:
    return codes(ReviewStore(path.parent.parent).latest(path.parent.name)[1])


def readmissions(path: Path) -> Refused:
    return raised(lambda: read_readmissions(path), ConfigError)


READERS: dict[str, Callable[[Path], Refused]] = {
    reader.__name__: reader
    for reader in (
        dicom, mask, volume, boxes, slices, table, centers, dates, study, nnunet, colors, review,
        readmissions,
    )
}  # fmt: skip
