"""Voxels that lie in a file of their own beside a header (.mhd, .nhdr): which file that is.

Whoever watches a header for changes has to watch this file, too: the header stays as it is when
voxels are corrected. Only the header is read, in small steps, as far as it goes.
"""

from __future__ import annotations

import re
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.formats import metaimage, nrrd
from MedPrepLib.formats.faults import FileFaultError, file_size, opening
from MedPrepLib.formats.files import format_of

_STEP_BYTES = 1 << 12
_WHOLE = (".nii", ".nii.gz", ".dcm")
"""Endings of files that hold their own voxels, or none; they are not opened."""

_META_END = re.compile(rb"^ElementDataFile[ \t]*=[^\n]*\n", re.MULTILINE)
_NRRD_END = re.compile(rb"\r?\n\r?\n")


def data_files(path: str) -> tuple[str, ...]:
    """The files apart from ``path`` that its voxels are read from; nearly always none.

    These are what :func:`read_volume` and the readers of masks would open: one plain file in the
    folder of the header. Lists and patterns of files, and paths or links out of the folder,
    are never followed and give nothing, as does a file that is missing or no volume. Never raises
    for bad data.
    """
    if path.lower().endswith(_WHOLE):
        return ()
    header = Path(path)
    try:
        data = _place(header)
    except (FileFaultError, OSError):  # said when the file is read
        return ()
    return (str(data),) if data != header else ()


def _place(header: Path) -> Path:
    kind = format_of(header)
    if kind == "meta":
        return metaimage.data_place(header, _head(header, _META_END, metaimage.MAX_HEADER_BYTES))
    if kind == "nrrd":
        return nrrd.data_place(header, _head(header, _NRRD_END, nrrd.MAX_HEADER_BYTES))
    return header


def _head(path: Path, end: re.Pattern[bytes], limit: int) -> bytes:
    """The file up to where ``end`` is found, and a little more; at most ``limit`` bytes."""
    file_size(path)
    head, step = b"", _STEP_BYTES
    with opening(catalog.FILE_UNREADABLE), path.open("rb", buffering=0) as stream:
        while len(head) < limit and not end.search(head):
            part = stream.read(min(step, limit - len(head)))
            if not part:
                break
            head, step = head + part, 2 * step
    return head
