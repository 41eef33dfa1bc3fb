"""DICOM objects that hold segmentations: what kind one is, and its data set.

Read with pydicom, silently: its warnings quote values of patients' headers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from MedPrepLib import catalog
from MedPrepLib.dicom.bounded import bounded_stream, pydicom_reading, require_few_items
from MedPrepLib.errors import ReadError
from MedPrepLib.formats.faults import FileFaultError, read_head, require_fetched
from MedPrepLib.labels import Terminology
from MedPrepLib.sides import Side, side_of_code

if TYPE_CHECKING:
    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import Dataset

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP_SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
_UNDEFINED = 0xFFFFFFFF
_DEFLATED = "1.2.840.10008.1.2.1.99"

Kind = Literal["rtstruct", "seg", "labels"]


def kind_of(path: Path) -> Kind:
    """What a mask file is, by content: "rtstruct", "seg" (DICOM), or "labels" (any other file).

    Raises FileFaultError: FILE_MISSING, MASK_UNREADABLE, and MASK_UNSUPPORTED for DICOM objects
    that hold no segmentation.
    """
    if read_head(path, 132)[128:] != b"DICM":
        require_fetched(path)
        return "labels"
    with decoding():
        uid = _sop_class(path)
    if uid == RTSTRUCT_CLASS:
        return "rtstruct"
    if uid in {SEG_CLASS, LABELMAP_SEG_CLASS}:
        return "seg"
    if not uid:
        raise FileFaultError(catalog.MASK_UNREADABLE, "the DICOM object does not say what it is")
    raise FileFaultError(
        catalog.MASK_UNSUPPORTED, "the DICOM object is neither an RTSTRUCT nor a segmentation"
    )


def _sop_class(path: Path) -> str:
    """Media Storage SOP Class UID (0002,0002); where it is missing, SOPClassUID (0008,0016)."""
    from pydicom.filereader import read_file_meta_info

    stated = read_file_meta_info(path).get("MediaStorageSOPClassUID", "")
    return str(stated or _read(path, ["SOPClassUID"]).get("SOPClassUID", ""))


@contextmanager
def decoding() -> Iterator[None]:
    """Inside, whatever pydicom stumbles over in a damaged file is a FileFaultError, in silence.

    pydicom decodes values when they are asked for, so the errors come late: keep the access to
    the data set inside, and nothing else.
    """
    try:
        with pydicom_reading():
            yield
    except FileFaultError:
        raise
    except ReadError as error:
        raise FileFaultError(
            catalog.MASK_UNREADABLE, f"the DICOM object cannot be read: {error}"
        ) from None


def read_dataset(path: Path) -> Dataset:
    """The data set of a DICOM file; call it inside :func:`decoding`.

    Deflated objects are refused (MASK_UNSUPPORTED): pydicom inflates them without a limit.
    """
    from pydicom.dataelem import RawDataElement as Raw

    dataset = _read(path, None)
    for tag in tuple(dataset.keys()):
        element: Any = dataset.get_item(tag)
        if isinstance(element, Raw) and _is_cut(element):
            raise FileFaultError(
                catalog.MASK_UNREADABLE,
                f"the file is truncated: {element.length} bytes promised, "
                f"{len(element.value or b'')} found",
            )
    return dataset


def _is_cut(element: RawDataElement) -> bool:
    """Pydicom keeps a value that the end of the file cuts short without a word."""
    return element.length != _UNDEFINED and len(element.value or b"") != element.length


def _read(path: Path, tags: list[str] | None) -> Dataset:
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    if str(read_file_meta_info(path).get("TransferSyntaxUID", "")) == _DEFLATED:
        raise FileFaultError(catalog.MASK_UNSUPPORTED, "deflated DICOM segmentations are not read")
    with path.open("rb") as stream:
        require_few_items(stream)
        part = bounded_stream(stream, path.stat().st_size)
        return dcmread(part, stop_before_pixels=tags is not None, specific_tags=list(tags or ()))


def read_tags(path: Path, keywords: list[str]) -> Dataset:
    """Some attributes of a DICOM file, without its pixels; call it inside :func:`decoding`."""
    return _read(path, keywords)


def items(dataset: Any, keyword: str) -> list[Any]:
    """The items of a sequence; none when it is absent or empty."""
    return list(dataset.get(keyword) or ())


def numbers(dataset: Any, keyword: str, count: int) -> list[float]:
    """``count`` numbers of an attribute; FileFaultError (MASK_UNREADABLE) otherwise."""
    value = dataset.get(keyword)
    try:
        values = [float(x) for x in ([value] if count == 1 else value)]
    except (TypeError, ValueError, OverflowError):
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise FileFaultError(
            catalog.MASK_UNREADABLE, f"{keyword} is missing or not {count} finite numbers"
        )
    return values


def coded(dataset: Any, keyword: str) -> Terminology | None:
    """The first code of a code sequence (DICOM PS3.3 8.8)."""
    for item in items(dataset, keyword):
        scheme, value = item.get("CodingSchemeDesignator"), item.get("CodeValue")
        if scheme and value:
            return Terminology(str(scheme), str(value), str(item.get("CodeMeaning", "")))
    return None


def coded_side(dataset: Any, keyword: str) -> Side:
    """The side in the modifiers of a coded type, else in those of its anatomic region.

    Source: DICOM PS3.3 10.5 (Anatomic Region), C.8.20.4 and C.8.8.8 (type modifier within the
    type's code item).
    """
    groups = [
        (items(dataset, keyword), "SegmentedPropertyTypeModifierCodeSequence"),
        (items(dataset, "AnatomicRegionSequence"), "AnatomicRegionModifierSequence"),
    ]
    for owners, modifiers in groups:
        for item in (item for owner in owners for item in items(owner, modifiers)):
            code = str(item.get("CodingSchemeDesignator")), str(item.get("CodeValue"))
            if side := side_of_code(*code):
                return side
    return ""
