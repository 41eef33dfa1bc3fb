"""Unusual DICOM headers, read by pydicom: no preamble, big endian, mixed or damaged encoding."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from io import BytesIO
from typing import TYPE_CHECKING

from MedPrepLib.dicom.bounded import bounded_stream, pydicom_reading, require_few_items
from MedPrepLib.dicom.elements import DEFLATED_LITTLE, PIXEL_TAGS, UNDEFINED, Elements
from MedPrepLib.dicom.fields import Order
from MedPrepLib.errors import ReadError

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_DEFER_BYTES = 65_536
"""Longer values are skipped; no attribute we keep comes near."""

_ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
"""How an item of undefined length begins."""

_MOST_READS = 200_000
_MOST_ITEMS = 50_000
"""Of sequences; pydicom takes a second for 10,000."""


def read_with_pydicom(content: bytes, wanted: AbstractSet[int]) -> tuple[Elements, str, Order]:
    """Undecoded elements, transfer syntax and byte order of the file that begins with ``content``.

    ``content`` is bounded by the caller, so no element length can ask for more memory than that.
    Raises ReadError when pydicom finds no data set in it either.
    """
    if DEFLATED_LITTLE.encode() in content:
        # pydicom would inflate all of it at once; deflated files are walked in headers.py only
        raise ReadError("damaged header of a deflated data set")
    require_few_items(BytesIO(content), _MOST_ITEMS)
    with pydicom_reading():
        return _read(content, wanted)


def _read(content: bytes, wanted: AbstractSet[int]) -> tuple[Elements, str, Order]:
    from pydicom.filereader import read_partial

    stream = bounded_stream(BytesIO(content), len(content), _MOST_READS)
    found = Elements()

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if int(tag) not in PIXEL_TAGS:
            return False
        found.pixel_tag = int(tag)
        found.pixel_offset = stream.tell()
        found.pixel_words = vr == "OW"
        found.pixel_length = -1 if length == UNDEFINED else length
        return True

    dataset = read_partial(stream, at_pixels, defer_size=_DEFER_BYTES, force=True)
    if not dataset:
        raise ReadError("a DICOM file without any data element")
    found.values.update(_raw_values(dataset, wanted))
    little = dataset.original_encoding[1] is not False
    return found, _syntax_of(dataset), "little" if little else "big"


def _raw_values(dataset: FileDataset, wanted: AbstractSet[int]) -> dict[int, bytes]:
    """The bytes of the wanted elements; asking for one by its tag could convert it.

    Of a sequence of undefined length pydicom keeps items and no bytes: the beginnings of two stand
    for them.
    """
    from pydicom.dataelem import RawDataElement
    from pydicom.sequence import Sequence

    sequences = {
        int(element.tag): _ITEM * 2
        for element in dataset.values()
        if element.tag in wanted and isinstance(element.value, Sequence) and element.value
    }
    return sequences | {
        int(element.tag): element.value
        for element in dataset.values()
        if isinstance(element, RawDataElement)
        and element.tag in wanted
        and isinstance(element.value, bytes)
    }


def _syntax_of(dataset: FileDataset) -> str:
    given = dataset.file_meta.get("TransferSyntaxUID")
    if given:
        return str(given)
    implicit, little = dataset.original_encoding
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
