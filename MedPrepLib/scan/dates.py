"""When readings were made, from a table: the order of a rater's readings. Dates stay in here."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import Case
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.scan.namesakes import rater_without
from MedPrepLib.scan.rules import one_spelling
from MedPrepLib.textfiles import read_rows

COLUMNS = ("case", "rater", "date")

Reading = tuple[str, str]
"""Case and rater."""


def reading_order(
    path: Path, cases: Iterable[Case], shown: str
) -> tuple[dict[Reading, int], tuple[Finding, ...]]:
    """The place of each dated reading among those of its rater, from 1, and what was left over.

    The table (CSV or TSV) has a row per reading with its case, rater and date (YYYY-MM-DD).
    Readings of one day share a place. Rows that belong to no reading of ``cases`` are counted in
    a note. Raises ConfigError, which calls the table ``shown``, when it does not exist, lacks a
    column, or holds a row twice or something that is no date.
    """
    there = {case.id: case for case in cases}
    readings = {(case.id, rater) for case in there.values() for rater in case.raters}
    dates = {
        key if key in readings else _as_scanned(key, there, readings): day
        for key, day in _dates(path, shown).items()
    }
    unknown = len(dates.keys() - readings)
    findings: tuple[Finding, ...] = ()
    if unknown:
        message = f"{unknown} of {len(dates)} dated readings are not among those of the sources"
        findings = (catalog.DATE_UNUSED.at("reading dates", message),)
    return _places({key: day for key, day in dates.items() if key in readings}), findings


def _as_scanned(key: Reading, cases: Mapping[str, Case], readings: Collection[Reading]) -> Reading:
    """The reading whose rater is named as the file is, which may be called after its case.

    A tree takes all folders in a case's name for names of it, the folder convention the last.
    """
    name, rater = key
    patient = cases[name].patient.id if name in cases else ""
    folders = name.split("/")
    for about in ((name, folders[-1]), (name, *folders)):
        found = name, rater_without(rater, (patient, *about))
        if found in readings:
            return found
    return key


def _places(dates: Mapping[Reading, date]) -> dict[Reading, int]:
    days: dict[str, list[date]] = defaultdict(list)
    for (_, rater), day in dates.items():
        days[rater].append(day)
    for of_rater in days.values():
        of_rater.sort()
    return {key: 1 + bisect_left(days[key[1]], day) for key, day in dates.items()}


def _dates(path: Path, shown: str) -> dict[Reading, date]:
    if not path.is_file():
        raise ConfigError([f"$.reading_dates: {shown!r} does not exist"])
    dates: dict[Reading, date] = {}
    problems: list[str] = []
    for line, row in _rows(path, shown):
        key = (row["case"], one_spelling(row["rater"]))
        try:
            day = date.fromisoformat(row["date"])
        except ValueError:
            problems.append(f"$.reading_dates: line {line} of {shown}: not a date (YYYY-MM-DD)")
            continue
        if key in dates:
            problems.append(f"$.reading_dates: line {line} of {shown}: this reading stands twice")
        dates[key] = day
    if problems:
        raise ConfigError(problems)
    return dates


def _rows(path: Path, shown: str) -> Iterator[tuple[int, dict[str, str]]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    there, rows = read_rows(path, f"$.reading_dates: {shown}", delimiter)
    missing = [name for name in COLUMNS if name not in there]
    if missing:
        known = ", ".join(there)
        raise ConfigError(
            [f"$.reading_dates: {shown} has no column {missing[0]!r} (it has: {known})"]
        )
    for line, row in rows:
        yield line, {name: row[name].strip() for name in COLUMNS}
