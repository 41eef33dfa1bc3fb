"""The ledger: what was done with which inputs, so that a second run does only what changed.

An SQLite file in the *private* folder beside the cohort, because it holds paths. It may be
deleted: then everything is done again. Headers are kept by folder, and hold for files of
the same name, size and times of change; results of cases are kept by a fingerprint of their input
files and of the recipe.

Of the times, mtime says when the content was written, and tools that copy or unpack set it as they
like (cp -p, rsync -t, archives with one date for all): a corrected mask of the same size may bear
the old one. ctime says when the file system last changed anything of the file, and nobody sets it.
So both count, as in git. The price: files that were copied onto their own paths (a restored backup,
another drive mounted in place of the old one), or got another owner or mode, are read once more.
The inode does not count: whatever replaces a file has another ctime, and some network drives give
inodes anew with every mount. On Windows ctime is when a file was made there.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from MedPrepLib.atomic import FILE_MODE
from MedPrepLib.errors import RunError
from MedPrepLib.results import CaseResult

LAYOUT = 3
_TABLES = """
CREATE TABLE IF NOT EXISTS headers (
    folder BLOB NOT NULL, part INTEGER NOT NULL, reading TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (folder, part)
);
CREATE TABLE IF NOT EXISTS cases (
    id TEXT PRIMARY KEY, inputs TEXT NOT NULL, recipe TEXT NOT NULL, result BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class FileStamp(msgspec.Struct, frozen=True):
    """A file as it was seen: enough to notice a change without reading it."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int


def stamp(path: str) -> FileStamp:
    """The stamp of an existing file; OSError when there is none."""
    status = os.stat(path)  # noqa: PTH116 - once for every file of a study
    return FileStamp(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def fingerprint(paths: Iterable[str]) -> str:
    """SHA-256 over path, size and times of change of files; missing ones count as missing."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        try:
            seen = stamp(path)
        except OSError:
            seen = FileStamp(path, -1, -1, -1)
        facts = (seen.path, seen.size, seen.mtime_ns, seen.ctime_ns)
        digest.update(("\x1f".join(map(str, facts)) + "\x1e").encode())
    return digest.hexdigest()


class Ledger:
    """An open ledger. Used by the parent process only; workers never see it."""

    def __init__(self, connection: sqlite3.Connection, base: Ledger | None = None) -> None:
        self._connection = connection
        self._base = base
        self._headers_of_base = base

    def headers(self, folder: str, reading: str) -> list[bytes]:
        """The records kept for the files of a folder, if they were read in this way."""
        rows = self._connection.execute(
            "SELECT record FROM headers WHERE folder = ? AND reading = ? ORDER BY part",
            (os.fsencode(folder), reading),
        )
        records = [row[0] for row in rows]
        if not records and self._headers_of_base is not None:
            return self._headers_of_base.headers(folder, reading)
        return records

    def forget_headers(self) -> None:
        """Let every header be read again, those that the ledger below has, too."""
        self._headers_of_base = None
        with self._connection:
            self._connection.execute("DELETE FROM headers")

    def has_headers(self) -> bool:
        """True when the headers of any folder are kept."""
        return self._connection.execute("SELECT 1 FROM headers LIMIT 1").fetchone() is not None

    def copy_headers(self, path: Path) -> bool:
        """Take over all headers of another ledger; False when there are none."""
        if not path.is_file():
            return False
        with open_ledger(path) as other:
            rows = other._connection.execute("SELECT folder, part, reading, record FROM headers")  # noqa: SLF001 - of the same class
            with self._connection:
                self._connection.executemany("INSERT INTO headers VALUES (?, ?, ?, ?)", rows)
        return self.has_headers()

    def keep_headers(self, folder: str, reading: str, records: Iterable[bytes]) -> None:
        """Remember the records of a folder, in place of all that were kept for it before."""
        name = os.fsencode(folder)
        with self._connection:
            self._connection.execute("DELETE FROM headers WHERE folder = ?", (name,))
            self._connection.executemany(
                "INSERT INTO headers VALUES (?, ?, ?, ?)",
                ((name, part, reading, record) for part, record in enumerate(records)),
            )

    def case(self, case_id: str, inputs: str, recipe: str) -> CaseResult | None:
        """What was found for a case with these inputs under this recipe, if it was done."""
        row = self._connection.execute(
            "SELECT result FROM cases WHERE id = ? AND inputs = ? AND recipe = ?",
            (case_id, inputs, recipe),
        ).fetchone()
        if row is None:
            return None if self._base is None else self._base.case(case_id, inputs, recipe)
        return msgspec.json.decode(row[0], type=CaseResult)

    def rows(self, recipe: str) -> Iterator[tuple[str, str, bytes]]:
        """Id, inputs and encoded result of every case that was done under this recipe."""
        yield from self._connection.execute(
            "SELECT id, inputs, result FROM cases WHERE recipe = ?", (recipe,)
        )

    def results(self) -> Iterator[CaseResult]:
        """What was found for every case, last time it was done, in order of name."""
        for (record,) in self._connection.execute("SELECT result FROM cases ORDER BY id"):
            yield msgspec.json.decode(record, type=CaseResult)

    def keep_case(self, result: CaseResult, inputs: str, recipe: str) -> None:
        """Remember the result of a case."""
        self.keep_cases([(result, inputs, recipe)])

    def keep_cases(self, cases: Iterable[tuple[CaseResult, str, str]]) -> None:
        """Remember results, each with the inputs and the recipe that it holds for."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO cases VALUES (?, ?, ?, ?)",
                (
                    (result.id, inputs, recipe, msgspec.json.encode(result))
                    for result, inputs, recipe in cases
                ),
            )

    def recall(self, name: str) -> bytes | None:
        """The note called ``name``, if there is one."""
        row = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None if self._base is None else self._base.recall(name)
        return bytes(row[0])

    def remember(self, name: str, value: bytes) -> None:
        """Keep a note, replacing an older one of that name."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))


@contextmanager
def open_ledger(path: Path, base: Path | None = None) -> Iterator[Ledger]:
    """The ledger at ``path``, made when absent; one of another layout is started afresh.

    What it does not have is looked up in the ledger ``base``, which nobody may write meanwhile
    and which may be absent. Raises RunError when the file is not a ledger, or
    when its disk is full or fails, now or later.
    """
    # SQLite would make the file as the umask says; it holds paths, and is its owner's only.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))
    connection = sqlite3.connect(path)
    try:
        _prepare(connection)
        with _lower(base) as lower:
            yield Ledger(connection, lower)
    except sqlite3.OperationalError as error:  # a full disk, or one that fails
        raise RunError(
            f"{path} cannot be read or written ({error}); look at the room and the rights on its "
            "disk and run again"
        ) from None
    except sqlite3.DatabaseError as error:
        raise _no_ledger(path, error) from None
    finally:
        connection.close()


@contextmanager
def _lower(path: Path | None) -> Iterator[Ledger | None]:
    """A ledger to read only; None when it is absent, of another layout, or was left unfinished."""
    # What a killed run left beside its ledger only a writer can put right.
    if path is None or not path.is_file() or path.with_name(path.name + "-wal").exists():
        yield None
        return
    # "immutable": no lock is taken and nothing made beside it, on any file system.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        try:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise _no_ledger(path, error) from None
        yield Ledger(connection) if layout == LAYOUT else None
    finally:
        connection.close()


def _no_ledger(path: Path, error: sqlite3.DatabaseError) -> RunError:
    return RunError(f"{path} is not a ledger ({error}); delete it and run again")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout not in (0, LAYOUT):
        connection.executescript(
            "DROP TABLE IF EXISTS headers; DROP TABLE IF EXISTS cases; DROP TABLE IF EXISTS notes;"
        )
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version = {LAYOUT}")
