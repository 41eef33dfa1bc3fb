"""Reading data sets with pydicom inside limits: it inflates, nests and allocates without any.

A deflated file of a megabyte becomes gigabytes, and every item of a sequence takes about a
kilobyte of memory and 0.1 ms, also an empty one of eight bytes. Both are looked at before.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, cast

from MedPrepLib.dicom.elements import DEFLATED_LITTLE, MAX_HEADER_BYTES, PIXEL_TAGS, OddStreamError
from MedPrepLib.dicom.part10 import START_BYTES, file_meta
from MedPrepLib.dicom.quiet import quiet_pydicom
from MedPrepLib.errors import ReadError
from MedPrepLib.hiccups import is_hiccup

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_ITEMS = 400_000
"""Of all sequences of an object; a segmentation of 50,000 frames has fewer."""

MAX_ELEMENTS = 50_000
"""At the top of a data set, apart from those in sequences."""

MAX_READS = 6_000_000
"""About two for every element; a segmentation of 50,000 frames takes 4 million."""

MAX_OBJECT_BYTES = 1 << 30
"""Of an annotation object that is read whole, apart from its pixels."""

_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""(FFFE,E000), the beginning of an item, in both byte orders."""
_DEFLATED = DEFLATED_LITTLE.encode()
_CHUNK = 1 << 20


class BoundsError(ReadError):
    """A data set that pydicom is not given to read: it would take too much of the machine."""


@contextmanager
def pydicom_reading() -> Iterator[None]:
    """Inside, in silence, whatever pydicom stumbles over in a damaged file is a ReadError.

    pydicom decodes values when they are asked for, so the errors come late: keep the access to
    the data set inside. The message names the kind of error only; ReadErrors pass as they are.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    with quiet_pydicom():
        try:
            yield
        except ReadError:
            raise
        except (
            InvalidDicomError, BytesLengthException, struct.error, zlib.error, EOFError, OSError,
            ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError,
            NotImplementedError, RecursionError,
        ) as error:  # fmt: skip
            if isinstance(error, OSError) and is_hiccup(error):
                raise
            raise ReadError(f"damaged DICOM data ({type(error).__name__})") from None


def read_bounded(
    file: BinaryIO,
    limit: int,
    *,
    tags: Sequence[int] = (),
    behind: int | None = None,
    most_items: int = MAX_ITEMS,
) -> Dataset:
    """The data set at the beginning of ``file``, without pixels; call it in `pydicom_reading`.

    At most ``limit`` bytes are looked at, or inflated. ``tags``: only these top-level elements are
    kept. ``behind``: reading ends at the first element with a larger tag. Raises BoundsError for
    more than ``most_items`` items, and for deflated data whose beginning is odd.
    """
    from pydicom.filereader import read_dataset, read_partial

    stop, wanted = _stop(behind), list(tags) or None
    part = bounded_stream(file, limit)
    names_deflated = _survey(part, most_items)
    part.seek(0)
    start = part.read(START_BYTES)
    place = _deflated_at(start) if names_deflated else 0
    part.seek(place)
    if not place:
        return read_partial(part, stop, force=True, specific_tags=wanted)
    most = min(limit, MAX_HEADER_BYTES)
    stream = BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(part.read(most), most))
    _survey(stream, most_items)
    stream.seek(0)
    return read_dataset(stream, False, True, stop_when=stop, specific_tags=wanted)


def require_few_items(stream: BinaryIO, most: int = MAX_ITEMS) -> None:
    """BoundsError when there may be more than ``most`` items of sequences in ``stream``."""
    _survey(stream, most)


def bounded_stream(file: BinaryIO, size: int, most_reads: int = MAX_READS) -> BinaryIO:
    """The first ``size`` bytes of ``file`` for pydicom, which reads each element by itself.

    A length in it never asks for more memory than there are bytes, and BoundsError ends what
    would take minutes: no loop over elements goes on without reading.
    """
    return cast("BinaryIO", _Part(file, size, most_reads))


class _Part:
    """Just enough of a file for pydicom."""

    def __init__(self, file: BinaryIO, size: int, most_reads: int) -> None:
        self._file = file
        self._reads_left = most_reads
        self._size = min(file.seek(0, os.SEEK_END), size)
        file.seek(0)

    def read(self, count: int = -1) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise BoundsError("the data set has too many elements")
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if count < 0 else min(count, left))

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def _survey(stream: BinaryIO, most: int) -> bool:
    """Count the items, at most ``most``; True when the syntax of deflated files is named."""
    found, names_deflated, rest = [0, 0], False, b""
    while chunk := stream.read(_CHUNK):
        window = rest[-3:] + chunk
        found = [n + window.count(tag) for n, tag in zip(found, _ITEM_TAGS, strict=True)]
        if max(found) > most:
            raise BoundsError(f"the data set has more than {most} items of sequences")
        names_deflated = names_deflated or _DEFLATED in rest + chunk
        rest = chunk[-len(_DEFLATED) :]
    return names_deflated


def _stop(behind: int | None) -> Callable[[int, str | None, int], bool]:
    seen = count()

    def stop(tag: int, _vr: str | None, _length: int) -> bool:
        if next(seen) >= MAX_ELEMENTS:
            raise BoundsError(f"the data set has more than {MAX_ELEMENTS} elements")
        return tag in PIXEL_TAGS or (behind is not None and tag > behind)

    return stop


def _deflated_at(start: bytes) -> int:
    """Where the compressed data set begins in a file that begins so; 0 when it is not compressed.

    pydicom inflates all of what it takes for deflated, so nothing may be in doubt here.
    """
    if start[128:132] != b"DICM":
        return 0
    try:
        place, syntax = file_meta(start)
    except OddStreamError:
        raise BoundsError("damaged header of a deflated data set") from None
    return place if syntax == DEFLATED_LITTLE else 0
