"""The audit trail: who did what to which case, when. Lines are only ever appended, and chained.

A trail is a file of JSON lines. Every line holds the SHA-256 of the line before, so that one that
is changed, taken out or moved breaks the chain there; that lines were cut off at the end shows in
the anchors that another trail holds (number and hash of the last line). What this cannot show is
that the whole file, and every anchor of it, was written anew: keep the head elsewhere, too.
Trails name people; they stay at the site.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from MedPrepLib.atomic import FILE_MODE, make_folder
from MedPrepLib.errors import LockedError

TRAIL = "audit.jsonl"
START = "0" * 64
"""What stands for the hash of the line before the first."""

_LOCK_S = 10.0
_MOST_LINE = 1 << 16
REPAIRED = "repaired"


class Act(msgspec.Struct, frozen=True):
    """One line: ``who`` did ``what``, to ``case`` (a public name) where it concerns one."""

    number: int
    at: str
    who: str
    what: str
    case: str
    details: dict[str, str]
    previous: str


class Head(msgspec.Struct, frozen=True):
    """Where a trail ends: how many lines, and the hash of the last one."""

    lines: int = 0
    digest: str = START


class Fault(msgspec.Struct, frozen=True):
    """Something that is not as it was written; ``line`` counts from 1."""

    line: int
    message: str


class Trail:
    """The trail in a folder, which is made with the first line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / TRAIL

    def add(self, who: str, what: str, case: str = "", **details: str) -> Act:
        """Append a line and return it. A last line that a crash tore is cut off, which is said.

        Raises LockedError when another process holds the file for long, OSError.
        """
        make_folder(self.path.parent)
        with _locked(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, FILE_MODE)
            with os.fdopen(handle, "r+b") as file:
                last, torn = _end(file.fileno())
                if torn:
                    file.truncate(file.seek(0, os.SEEK_END) - torn)
                    note = {"bytes": str(torn)}
                    last = _append(file.fileno(), last, account(), REPAIRED, "", note)[1]
                act, _ = _append(file.fileno(), last, who or account(), what, case, details)
                os.fsync(file.fileno())
        return act

    def head(self) -> Head:
        """The end of the trail; of a torn one the last whole line."""
        if not self.path.is_file():
            return Head()
        with self.path.open("rb") as file:
            return _end(file.fileno())[0]

    def acts(self) -> tuple[Act, ...]:
        """Every line that can be read, in order."""
        return tuple(act for act, _ in self._lines() if act is not None)

    def faults(self, anchors: Iterable[Head] = ()) -> tuple[Fault, ...]:
        """Every line that does not follow from the one before, and anchors that do not hold."""
        found: list[Fault] = []
        previous, digests = START, [START]
        for number, (act, line) in enumerate(self._lines(), start=1):
            if act is None:
                torn = not line.endswith(b"\n")
                why = "was torn by a crash" if torn else "is no line of an audit trail"
                found.append(Fault(number, why))
            elif act.previous != previous or act.number != number:
                found.append(Fault(number, _why(act, number)))
            previous = _digest(line)
            digests.append(previous)
        for anchor in anchors:
            if anchor.lines >= len(digests):
                missing = f"{anchor.lines} lines were there once, {len(digests) - 1} are left"
                found.append(Fault(len(digests), missing))
            elif digests[anchor.lines] != anchor.digest:
                found.append(Fault(anchor.lines, "is not the line that another trail knows"))
        return tuple(sorted(set(found), key=lambda fault: (fault.line, fault.message)))

    def _lines(self) -> Iterator[tuple[Act | None, bytes]]:
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for line in file:
                try:
                    act = msgspec.json.decode(line, type=Act) if line.endswith(b"\n") else None
                except msgspec.MsgspecError:
                    act = None
                yield act, line


def _why(act: Act, number: int) -> str:
    if act.number != number:
        return f"calls itself line {act.number}: lines were taken out, put in or moved"
    return "does not follow from the line before, which was changed"


def _append(
    handle: int, head: Head, who: str, what: str, case: str, details: dict[str, str]
) -> tuple[Act, Head]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    act = Act(head.lines + 1, now, who, what, case, details, head.digest)
    line = msgspec.json.encode(act) + b"\n"
    os.lseek(handle, 0, os.SEEK_END)
    os.write(handle, line)
    return act, Head(act.number, _digest(line))


def _end(handle: int) -> tuple[Head, int]:
    """The end of the last whole line, and how many bytes of a torn one follow.

    Whole lines that are no acts count: they are evidence, which nobody cuts off.
    """
    size = os.fstat(handle).st_size
    start = max(0, size - 2 * _MOST_LINE)
    os.lseek(handle, start, os.SEEK_SET)
    tail = os.read(handle, size - start)
    whole, _, torn = tail.rpartition(b"\n")
    if not whole:
        return Head(), len(torn)
    line = whole[whole.rfind(b"\n") + 1 :] + b"\n"
    try:
        number = msgspec.json.decode(line, type=Act).number
    except msgspec.MsgspecError:
        number = _count(handle)
    return Head(number, _digest(line)), len(torn)


def _count(handle: int) -> int:
    os.lseek(handle, 0, os.SEEK_SET)
    lines = 0
    while block := os.read(handle, 1 << 20):
        lines += block.count(b"\n")
    return lines


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def account() -> str:
    """The name of the account; what runs without one (a container) is called so."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return "unknown account"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_S, mode=FILE_MODE):
            yield
    except Timeout:
        raise LockedError(f"{path.name} is being written by somebody else; try again") from None
