"""Which kinds of compressed DICOM can be read here: a tiny image of each is decoded.

The samples hold 32 x 32 pixels of 12 bits, 100 j + i (j the row, i the column), but JPEG Baseline,
which is lossy and holds 8 bits, 77 everywhere. RLE is read by pydicom itself, and for
High-Throughput JPEG 2000 there is no free encoder: there pydicom's word is taken.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from MedPrepLib.dicom.decode import decoded
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.doctor.line import Line
from MedPrepLib.doctor.packages import install_extra
from MedPrepLib.errors import ReadError, UnsupportedError

EDGE = 32
_FLAT = 77
BASELINE = "1.2.840.10008.1.2.4.50"
HTJ2K = "1.2.840.10008.1.2.4.201"
RLE = "1.2.840.10008.1.2.5"

SAMPLES: Mapping[str, tuple[str, str]] = MappingProxyType({
    BASELINE: ("JPEG Baseline", (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLS"
        "wzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//wAALCAAgACABAREA/8QAFQABAQAAAAAAAAAA"
        "AAAAAAAAAAX/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/AIAAAAAD/9k="
    )),
    "1.2.840.10008.1.2.4.70": ("JPEG Lossless", (
        "/9j/wwALEAAgACABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAAAQcQ/9oACAEBAAEAAMqqqqqqqqqq2R"
        "VVVVVVVVVVsiqqqqqqqqqrZFVVVVVVVVVWyKqqqqqqqqqtkVVVVVVVVVVbIqqqqqqqqqq2RVVVVVVV"
        "VVVsiqqqqqqqqqrZFVVVVVVVVVWyKqqqqqqqqqtkVVVVVVVVVVbIqqqqqqqqqq2RVVVVVVVVVVsiqq"
        "qqqqqqqrZFVVVVVVVVVWyKqqqqqqqqqtkVVVVVVVVVVbIqqqqqqqqqq2RVVVVVVVVVVsiqqqqqqqqq"
        "rZFVVVVVVVVVWyKqqqqqqqqqtkVVVVVVVVVVbIqqqqqqqqqq2RVVVVVVVVVVsiqqqqqqqqqrZFVVVV"
        "VVVVVWyKqqqqqqqqqtkVVVVVVVVVVbIqqqqqqqqqq2RVVVVVVVVVV//9kA"
    )),
    "1.2.840.10008.1.2.4.80": ("JPEG-LS", (
        "/9j/9wALDAAgACABAREA/9oACAEBAAAAAKDBgwwxjGMzMzMzMGDDDGMYzMzIkQoEEEIQhERERESSSS"
        "SSSQhIkqqqqqqqqqoDGqv/f/9gYn//f/9Awv9//3+DA/9//34L7/9//3gvP/9//2C6/3//f4XH/3//"
        "fC2//3//YWn/f/9/Cy//f/94WH//f/9Cu/9//34Vn/9//3Cq/3//f4qP/3//eKb/f/9/ik//f/94ov"
        "9//3+KD/9//3ie/3//f4nP/3//eJr/f/9/iY//f/94lv9//3+JT/9//3iS/3//f4kP/3//eI7/f/9/"
        "gP/ZAA=="
    )),
    "1.2.840.10008.1.2.4.90": ("JPEG 2000", (
        "/0//UQApAAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAABCwEB/1IADAAAAAEABQQEAA"
        "H/XAATQGBoaHBoaHBoaHBoaHBoaHD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41"
        "LjL/kAAKAAAAAABmAAH/k8/kDAcjP8AfOCj+QIAEPwAFwA+QFD9gUA0BCzf+fe/AB8IcH5gwIhnPA3"
        "5hi38bwAOhwPwCgDahlz2mLtZa1LFoq4/AARwH2hhfp7+drCldS9itAMFahx//2QA="
    )),
})  # fmt: skip
"""Transfer syntax (PS3.5 annex A) to its name and one frame, in base 64."""


def expected(syntax: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """The pixels that a sample holds."""
    if syntax == BASELINE:
        return np.full((EDGE, EDGE), _FLAT, np.uint16)
    row = np.arange(EDGE, dtype=np.uint16)
    return np.add.outer(100 * row, row, dtype=np.uint16)


def codec_lines() -> Iterator[Line]:
    """A line per kind of compression."""
    for syntax, (name, sample) in SAMPLES.items():
        yield _tried(syntax, name, encapsulated(base64.b64decode(sample)))
    yield _promised(HTJ2K, "JPEG 2000 (HT)")
    yield _promised(RLE, "RLE")


def encapsulated(frame: bytes) -> bytes:
    """Pixel data of one frame behind an empty offset table (PS3.5 A.4)."""
    frame += bytes(len(frame) % 2)
    table = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    return table + struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame


def _tried(syntax: str, name: str, content: bytes) -> Line:
    bits = 8 if syntax == BASELINE else 16
    header = SliceHeader(
        path="",
        size_bytes=0,
        mtime_ns=0,
        transfer_syntax=syntax,
        rows=EDGE,
        columns=EDGE,
        bits_allocated=bits,
        bits_stored=min(bits, 12),
    )
    try:
        pixels = decoded(header, content)
    except UnsupportedError:
        return Line(name, "missing", "no codec", install_extra("codecs"))
    except ReadError as error:
        return Line(name, "missing", f"its codec fails: {error}", install_extra("codecs"))
    slack = 2 if syntax == BASELINE else 0
    if np.abs(pixels.astype(int) - expected(syntax)).max() > slack:
        return Line(name, "broken", "its codec gives wrong pixels", install_extra("codecs"))
    return Line(name, "ok", "decodes")


def _promised(syntax: str, name: str) -> Line:
    from pydicom.pixels.decoders.base import get_decoder

    if get_decoder(syntax).is_available:
        return Line(name, "ok", "has a codec")
    return Line(name, "missing", "no codec", install_extra("codecs"))
