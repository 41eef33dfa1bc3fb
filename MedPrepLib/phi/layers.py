"""The texts in a file: as its bytes are, and what is compressed or encoded in them.

Voxels are left out quickly: only runs of printable bytes, plain or as UTF-16, can hold a text.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

BLOCK = 16 << 20
OVERLAP = 4096
"""Bytes that two blocks share: no text that is looked for is longer."""

MOST_INFLATED = 1 << 30
_RUNS = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}|(?:[\x20-\xff]\x00){4,}|(?:\x00[\x20-\xff]){4,}")
_BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=]{40,})")
_PNG = b"\x89PNG\r\n\x1a\n"


def layers(path: Path) -> Iterator[bytes]:
    """Blocks of the file with small ASCII letters, then of what is packed in it."""
    with path.open("rb") as stream:
        before = b""
        while block := stream.read(BLOCK):
            yield from _texts(before + block)
            before = block[-OVERLAP:]
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        yield from _in_hdf5(path)
    elif suffix == ".gz":
        yield from _in_gzip(path)


def printable(data: bytes) -> bytes:
    """The runs of bytes that may be text, in lines; ASCII letters small.

    UTF-16 of letters below 256 becomes one byte a letter (Latin-1), whichever way round it is.
    """
    return b"\n".join(map(_plain, _RUNS.findall(data))).lower()


def _plain(run: bytes) -> bytes:
    if run[1] == 0:
        return run[::2]
    return run[1::2] if run[0] == 0 else run


def _texts(data: bytes) -> Iterator[bytes]:
    yield printable(data)
    for match in _BASE64.finditer(data):
        try:
            inner = base64.b64decode(match[1], validate=True)
        except binascii.Error:
            continue
        yield printable(inner)
        yield from _in_png(inner)
    yield from _in_png(data)


def _in_png(data: bytes) -> Iterator[bytes]:
    """Compressed texts of a PNG (zTXt, iTXt); plain ones stand in its bytes."""
    at = len(_PNG) if data.startswith(_PNG) else len(data)
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind in (b"zTXt", b"iTXt"):
            body = data[at + 8 : at + 8 + size]
            packed = body[body.find(b"\0") + 2 :]
            try:
                yield printable(zlib.decompressobj().decompress(packed, MOST_INFLATED))
            except zlib.error:
                yield b""
        at += size + 12


def _in_gzip(path: Path) -> Iterator[bytes]:
    import gzip

    left, before = MOST_INFLATED, b""
    with gzip.open(path) as stream:
        try:
            while left > 0 and (block := stream.read(min(BLOCK, left))):
                yield printable(before + block)
                before, left = block[-OVERLAP:], left - len(block)
        except (OSError, EOFError, zlib.error):
            return


def _in_hdf5(path: Path) -> Iterator[bytes]:
    """Names and attributes of everything, and the contents of datasets, slab by slab."""
    import h5py

    members: list[h5py.HLObject] = []
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda _, item: members.append(item))  # follows no links
            for item in (file, *members):
                said = [str(item.name), *(f"{key}={value}" for key, value in item.attrs.items())]
                yield printable("\n".join(said).encode())
                if isinstance(item, h5py.Dataset):
                    yield from _in_dataset(item)
    except (OSError, RuntimeError, ValueError, KeyError):
        return  # damaged, or packed in a way that is not installed: its bytes were looked at


def _in_dataset(item: h5py.Dataset) -> Iterator[bytes]:
    """What is not plain in the file; never what lies in another file."""
    if not item.shape or not item.chunks or item.is_virtual or item.dtype.hasobject:
        return
    for start in range(0, item.shape[0], 32):
        yield printable(item[start : start + 32].tobytes())
