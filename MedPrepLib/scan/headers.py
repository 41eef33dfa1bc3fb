"""Reading DICOM headers once: what the ledger still knows is not read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import NotDicomError, SliceHeader
from MedPrepLib.dicom.neighbors import HeaderParser
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding
from MedPrepLib.ledger import Ledger
from MedPrepLib.scan.records import FileSeen, decoded, encoded, reading_of
from MedPrepLib.scan.walk import Listing, prefix

HEARD_EVERY = 500
"""So many files are read between two reports of progress."""


class HeaderReader:
    """Reads headers of many files, counting what it saw; one per scan.

    ``on_files`` hears how many files there were so far. It may raise to end the scan: what was
    read until then is kept in the ledger.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        key_tags: Sequence[str],
        on_files: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._reading = reading_of(key_tags)
        self._parser = HeaderParser(tuple(key_tags))
        self._on_files = on_files
        self._heard = 0
        self.files_seen = 0
        self.headers_read = 0

    def read(
        self, listings: Iterable[Listing], item: str
    ) -> tuple[tuple[SliceHeader, ...], tuple[str, ...], tuple[Finding, ...]]:
        """(headers, files that are no DICOM, findings about files that look like it but fail)."""
        headers: list[SliceHeader] = []
        others: list[str] = []
        failures: list[str] = []
        for listing in listings:
            files = self._known(listing.folder)
            if not _is_unchanged(listing, files):
                files = self._read_folder(listing, files, failures)
            else:
                self._count(len(files))
            for file in files:
                if file.header is not None:
                    headers.append(file.header)
                else:
                    others.append(prefix(listing.folder) + file.name)
        return tuple(headers), tuple(others), _unreadable(failures, item)

    def _known(self, folder: str) -> list[FileSeen]:
        """What the ledger says of a folder; nothing when it does not say it in today's words."""
        if self._ledger is None:
            return []
        try:
            return decoded(self._ledger.headers(folder, self._reading), folder)
        except msgspec.DecodeError:
            return []

    def _read_folder(
        self, listing: Listing, known: list[FileSeen], failures: list[str]
    ) -> list[FileSeen]:
        """Every file of a folder, read where it is new or changed."""
        before = {file[:3]: file for file in known}
        base = prefix(listing.folder)
        files: list[FileSeen] = []
        try:
            stamps = zip(listing.names, listing.sizes, listing.mtimes_ns, strict=True)
            for name, size, mtime_ns in stamps:
                seen = before.get((name, size, mtime_ns))
                self._count(1)
                if seen is None:
                    try:
                        seen = self._parse(base + name, FileSeen(name, size, mtime_ns, None))
                    except ReadError as error:
                        failures.append(str(error))
                        continue
                files.append(seen)
        finally:
            if self._ledger is not None:
                self._ledger.keep_headers(listing.folder, self._reading, encoded(files))
        return files

    def _parse(self, path: str, seen: FileSeen) -> FileSeen:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ReadError("a file name that is no text in any encoding we know") from None
        try:
            header = self._parser.read(path)
        except NotDicomError:
            return seen
        self.headers_read += 1
        return FileSeen(seen.name, header.size_bytes, header.mtime_ns, header)

    def _count(self, files: int) -> None:
        self.files_seen += files
        if self.files_seen // HEARD_EVERY > self._heard:
            self._heard = self.files_seen // HEARD_EVERY
            self._on_files(self.files_seen)


def _is_unchanged(listing: Listing, files: Sequence[FileSeen]) -> bool:
    if len(files) != len(listing.names):
        return False
    names, sizes, mtimes_ns, _ = zip(*files, strict=True)
    return (
        list(names) == listing.names
        and list(sizes) == listing.sizes
        and list(mtimes_ns) == listing.mtimes_ns
    )


def _unreadable(failures: Sequence[str], item: str) -> tuple[Finding, ...]:
    if not failures:
        return ()
    count = len(failures)
    message = f"{count} DICOM file{'s' * (count > 1)} cannot be read: {failures[0]}"
    return (catalog.FILE_UNREADABLE.at(item, message),)
