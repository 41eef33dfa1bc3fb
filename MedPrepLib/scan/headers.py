"""Reading DICOM headers once: what the ledger still knows is not read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import NotDicomError, SliceHeader
from MedPrepLib.dicom.neighbors import HeaderParser
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding
from MedPrepLib.hiccups import answered
from MedPrepLib.ledger import Ledger
from MedPrepLib.scan.records import FilesSeen, Stamp, decoded, encoded, reading_of
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
        """(headers, files that are no DICOM, findings).

        Findings are about files that look like DICOM but fail or begin as programs do, about
        folders that cannot be listed, and about links.
        """
        headers: list[SliceHeader] = []
        others: list[str] = []
        failures: list[str] = []
        refused: list[str] = []
        links = 0
        for listing in listings:
            links += listing.links
            if listing.refused:
                refused.append(listing.refused)
                continue
            seen = self._known(listing.folder)
            if _is_unchanged(listing, seen):
                self._count(len(seen.names))
            else:
                seen = self._read_folder(listing, seen, failures)
            headers.extend(filter(None, seen.headers))
            if None in seen.headers:
                base = prefix(listing.folder)
                pairs = zip(seen.names, seen.headers, strict=True)
                others += [base + name for name, header in pairs if header is None]
        said = (
            *_unreadable(failures, item),
            *unlisted(refused, item),
            *linked(links, item),
            *_programs(sum(header.program for header in headers), item),
        )
        return tuple(headers), tuple(others), said

    def _known(self, folder: str) -> FilesSeen:
        """What the ledger says of a folder; nothing when it does not say it in today's words."""
        records = self._ledger.headers(folder, self._reading) if self._ledger is not None else ()
        try:
            return decoded(records, folder)
        except msgspec.DecodeError:
            return decoded((), folder)

    def _read_folder(self, listing: Listing, known: FilesSeen, failures: list[str]) -> FilesSeen:
        """Every file of a folder, read where it is new or changed."""
        before = dict(zip(_stamps(known), known.headers, strict=True))
        base = prefix(listing.folder)
        seen = FilesSeen([], [], [], [], [])
        try:
            for stamp in _stamps(listing):
                self._count(1)
                if stamp in before:
                    seen.add(stamp, before[stamp])
                    continue
                name, size, mtime_ns, ctime_ns = stamp
                try:
                    header = answered(partial(self._parse, base + name))
                except ReadError as error:
                    failures.append(str(error))
                    continue
                if header is not None:
                    size, mtime_ns = header.size_bytes, header.mtime_ns
                seen.add((name, size, mtime_ns, ctime_ns), header)
        finally:
            if self._ledger is not None:
                self._ledger.keep_headers(listing.folder, self._reading, encoded(seen))
        return seen

    def _parse(self, path: str) -> SliceHeader | None:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ReadError("a file name that is no text in any encoding we know") from None
        try:
            header = self._parser.read(path)
        except NotDicomError:
            return None
        self.headers_read += 1
        return header

    def _count(self, files: int) -> None:
        self.files_seen += files
        if self.files_seen // HEARD_EVERY > self._heard:
            self._heard = self.files_seen // HEARD_EVERY
            self._on_files(self.files_seen)


def _stamps(files: Listing | FilesSeen) -> Iterator[Stamp]:
    return zip(files.names, files.sizes, files.mtimes_ns, files.ctimes_ns, strict=True)


def _is_unchanged(listing: Listing, seen: FilesSeen) -> bool:
    return (
        seen.names == listing.names
        and seen.sizes == listing.sizes
        and seen.mtimes_ns == listing.mtimes_ns
        and seen.ctimes_ns == listing.ctimes_ns
    )


def _unreadable(failures: Sequence[str], item: str) -> tuple[Finding, ...]:
    if not failures:
        return ()
    count = len(failures)
    message = f"{count} DICOM file{'s' * (count > 1)} cannot be read: {failures[0]}"
    return (catalog.FILE_UNREADABLE.at(item, message),)


def unlisted(reasons: Sequence[str], item: str) -> tuple[Finding, ...]:
    """FOLDER_UNREADABLE when folders could not be listed; ``reasons`` has one for each."""
    if not reasons:
        return ()
    count = len(reasons)
    message = f"{count} folder{'s' * (count > 1)} cannot be listed: {reasons[0]}"
    return (catalog.FOLDER_UNREADABLE.at(item, message),)


def linked(count: int, item: str) -> tuple[Finding, ...]:
    """LINK_IGNORED when there are so many symbolic links."""
    if not count:
        return ()
    message = f"{count} symbolic link{'s are' if count > 1 else ' is'} not followed"
    return (catalog.LINK_IGNORED.at(item, message),)


def _programs(count: int, item: str) -> tuple[Finding, ...]:
    if not count:
        return ()
    message = f"{count} DICOM file{'s' * (count > 1)} with a preamble like that of a program"
    return (catalog.PREAMBLE_PROGRAM.at(item, message),)
