"""The site's own log, in the private folder: what the data manager needs and nobody else may see.

Everywhere else, cases go by public names and faults by codes. Here stand paths, source ids, texts
of exceptions and tracebacks, one JSON object a line, readable by its owner only. A log that has
grown to ``MOST_BYTES`` is put aside as ``run.log.1``; ``KEPT`` older ones stay.
"""

from __future__ import annotations

import json
import os
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from MedPrepLib.atomic import FILE_MODE

LOG = "run.log"
WORKERS_LOG = "workers.log"
"""What worker processes and the C libraries in them print."""

MOST_BYTES = 5_000_000
KEPT = 3


class SiteLog:
    """The log in a private folder. Several processes may write: a line is one write."""

    def __init__(self, private: Path) -> None:
        self.path = private / LOG

    def write(self, event: str, **details: Any) -> None:
        """Append an event; details are plain values, and structs of them.

        What is no text, in a name of a file, say, stands there as an escape of JSON.
        """
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        said = {**line, "process": os.getpid(), **details}
        text = json.dumps(msgspec.to_builtins(said), ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)

    def write_error(self, event: str, error: BaseException, **details: Any) -> None:
        """Append an event with the whole traceback of an exception."""
        self.write(event, **details, traceback="".join(traceback.format_exception(error)))


def rotate(path: Path) -> None:
    """Put a log aside that has grown too large. Only while nobody else writes it."""
    if not path.is_file() or path.stat().st_size < MOST_BYTES:
        return
    for number in range(KEPT, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.is_file():
            older.replace(path.with_name(f"{path.name}.{number}"))
    path.replace(path.with_name(f"{path.name}.1"))
