"""Reading DICOM headers once: what the ledger still knows is not read again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import NotDicomError, SliceHeader, read_header
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding
from MedPrepLib.ledger import FileStamp, Ledger, stamp

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SliceHeader)
NOT_DICOM = b""
"""Kept for files that are no DICOM, so that they are not opened again either."""


class HeaderReader:
    """Reads headers of many files, counting what it saw; one per scan."""

    def __init__(self, ledger: Ledger | None, key_tags: Sequence[str]) -> None:
        self._ledger = ledger
        self._key_tags = tuple(key_tags)
        self.files_seen = 0
        self.headers_read = 0

    def read(
        self, paths: Iterable[str], item: str
    ) -> tuple[tuple[SliceHeader, ...], tuple[str, ...], tuple[Finding, ...]]:
        """(headers, files that are no DICOM, findings about files that look like it but fail)."""
        headers: list[SliceHeader] = []
        others: list[str] = []
        failures: list[str] = []
        fresh: list[tuple[FileStamp, bytes]] = []
        for path in paths:
            self.files_seen += 1
            try:
                seen = stamp(path)
                record = self._ledger.header(seen) if self._ledger else None
                if record is None:
                    record = self._parse(path)
                    fresh.append((seen, record))
            except (ReadError, OSError) as error:
                failures.append(str(error))
                continue
            if record == NOT_DICOM:
                others.append(path)
            else:
                headers.append(_decoder.decode(record))
        if self._ledger and fresh:
            self._ledger.keep_headers(fresh)
        return tuple(headers), tuple(others), _unreadable(failures, item)

    def _parse(self, path: str) -> bytes:
        try:
            header = read_header(path, self._key_tags)
        except NotDicomError:
            return NOT_DICOM
        self.headers_read += 1
        return _encoder.encode(header)


def _unreadable(failures: Sequence[str], item: str) -> tuple[Finding, ...]:
    if not failures:
        return ()
    count = len(failures)
    message = f"{count} DICOM file{'s' * (count > 1)} cannot be read: {failures[0]}"
    return (catalog.FILE_UNREADABLE.at(item, message),)
