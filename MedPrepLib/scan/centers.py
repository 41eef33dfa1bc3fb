"""Which center a case comes from, by a table that the study brings along.

The table (CSV or TSV) has a column ``center`` and any of ``folder`` (a glob, relative to the
source), ``institution`` (InstitutionName, (0008,0080)), ``station`` (StationName, (0008,1010))
and ``patient`` (PatientID). A row matches when all its filled cells do; the first one wins. What
headers say of institutions stays in here: findings speak of lines of the table only.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import msgspec

from MedPrepLib import catalog
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.identity import normalized_id
from MedPrepLib.scan.found import Candidate
from MedPrepLib.textfiles import read_rows

CONDITIONS = ("folder", "institution", "station", "patient")
COLUMNS = (*CONDITIONS, "center")
_MOST_LINES = 5


@dataclass(frozen=True)
class CenterRow:
    """One row; an empty condition matches everything."""

    line: int
    folder: str
    institution: str
    station: str
    patient: str
    center: str

    def matches(self, folder: str, institution: str, station: str, patient: str) -> bool:
        """True when every condition that is given holds."""
        return (
            (not self.folder or _below(folder, self.folder))
            and _equal(self.institution, institution)
            and _equal(self.station, station)
            and _equal(self.patient, patient)
        )


@dataclass(frozen=True)
class CenterTable:
    """The rows of a table, and how often each was used so far."""

    rows: tuple[CenterRow, ...]
    used: Counter[int] = field(default_factory=Counter)

    def placed(self, candidate: Candidate, folder: str) -> Candidate:
        """The candidate with the center of the first row that matches.

        ``folder`` is that of the case, relative to its source. Without a match the center stays
        what it is, and a finding asks for a look.
        """
        case = candidate.case
        institution = _usual(h.institution for h in candidate.slices)
        station = _usual(h.station for h in candidate.slices)
        for row in self.rows:
            if row.matches(folder, institution, station, case.patient.id):
                self.used[row.line] += 1
                person = msgspec.structs.replace(case.patient, center=row.center)
                return msgspec.structs.replace(
                    candidate, case=msgspec.structs.replace(case, patient=person)
                )
        stays = f"it stays {case.patient.center!r}" if case.patient.center else "it has none"
        found = catalog.CENTER_UNKNOWN.at(case.id, f"no row of the center table matches; {stays}")
        return msgspec.structs.replace(candidate, findings=(*candidate.findings, found))

    def unused(self, item: str) -> tuple[Finding, ...]:
        """A note about rows that no case matched first."""
        lines = [row.line for row in self.rows if not self.used[row.line]]
        if not lines:
            return ()
        shown = ", ".join(map(str, lines[:_MOST_LINES])) + ", ..." * (len(lines) > _MOST_LINES)
        message = f"{len(lines)} of {len(self.rows)} rows match no case (lines {shown})"
        return (catalog.CENTER_ROW_UNUSED.at(item, message),)


def read_centers(path: Path, where: str) -> CenterTable:
    """The table at ``path``; ConfigError names every fault and the setting ``where``."""
    if not path.is_file():
        raise ConfigError([f"{where}: {path.name!r} does not exist"])
    columns, lines = read_rows(path, where, "\t" if _is_tsv(path) else ",")
    problems = list(_column_problems(columns, where))
    rows = [] if problems else [_row(line, row) for line, row in lines]
    problems += [problem for row in rows for problem in _row_problems(row, where)]
    if not problems and not rows:
        problems = [f"{where}: the table has no row"]
    if problems:
        raise ConfigError(problems)
    return CenterTable(tuple(rows))


def _is_tsv(path: Path) -> bool:
    return path.suffix.lower() in (".tsv", ".tab")


def _column_problems(columns: Sequence[str], where: str) -> Iterator[str]:
    for column in columns:
        if column not in COLUMNS:
            close = difflib.get_close_matches(column, COLUMNS, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else f" (known: {', '.join(COLUMNS)})"
            yield f"{where}: unknown column {column!r}{hint}"
    if "center" not in columns:
        yield f"{where}: no column 'center'"
    elif len(set(columns) & set(CONDITIONS)) == 0:
        yield f"{where}: needs one of the columns {', '.join(CONDITIONS)}"


def _row(line: int, row: dict[str, str]) -> CenterRow:
    return CenterRow(line, *((row.get(name) or "").strip() for name in COLUMNS))


def _row_problems(row: CenterRow, where: str) -> Iterator[str]:
    if not row.center:
        yield f"{where}: line {row.line} names no center"
    if not any(getattr(row, name) for name in CONDITIONS):
        yield f"{where}: line {row.line} matches everything; fill one of {', '.join(CONDITIONS)}"


def _below(folder: str, pattern: str) -> bool:
    """True when the folder, or one above it, fits the glob."""
    path = PurePosixPath(folder)
    wanted = pattern.rstrip("/")
    return any(fnmatchcase(str(part), wanted) for part in (path, *path.parents))


def _equal(wanted: str, there: str) -> bool:
    return not wanted or normalized_id(wanted) == normalized_id(there)


def _usual(values: Iterator[str]) -> str:
    """The most frequent value; among equals the one that sorts first."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value), default="")
