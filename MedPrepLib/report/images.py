"""The overlay pictures of cases: read from where the run drew them, embedded or put beside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

from MedPrepLib.report.model import ReportInput
from MedPrepLib.results import CaseResult

MAX_PICTURE_BYTES = 1 << 20
PNG_START = b"\x89PNG\r\n\x1a\n"


class Picture(NamedTuple):
    """A picture of ``width`` x ``height`` pixels, and what an img has to name as its source."""

    source: str
    width: int
    height: int


def picture_bytes(report: ReportInput, case: CaseResult) -> bytes:
    """The PNG of a case; none where there is no such file, or it is no picture."""
    name = case.picture
    if report.pictures is None or not report.settings.report.pictures:
        return b""
    if not name or Path(name).name != name:
        return b""
    try:
        with (report.pictures / name).open("rb") as stream:
            data = stream.read(MAX_PICTURE_BYTES + 1)
    except FileNotFoundError:
        return b""
    whole = len(data) <= MAX_PICTURE_BYTES and data.startswith(PNG_START) and len(data) > 24
    return data if whole else b""


def picture(data: bytes, name: str = "") -> Picture:
    """The picture in the file ``name``; embedded when there is none."""
    source = name or "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(source, int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
