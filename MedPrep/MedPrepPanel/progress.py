"""The lines that ``medprep run --progress json`` prints, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """``done`` of ``total`` items of a stage are finished; ``item`` names the last one.

    A total of 0 means that it is not known yet; a progress bar shows that as "busy".
    """

    stage: str
    done: int
    total: int
    item: str = ""


@dataclass(frozen=True)
class Finished:
    """The run is over: exit status, and where cohort and report are (empty: there is none)."""

    exit: int
    cohort: str = ""
    report: str = ""


@dataclass(frozen=True)
class Remark:
    """Any other line: a warning, a traceback, the output of a library."""

    text: str


Event = Step | Finished | Remark


def parse_line(line: str) -> Event:
    """What one line of the child's output says; a line of no known form is a Remark."""
    try:
        record = json.loads(line)
    except ValueError:
        return Remark(line)
    if not isinstance(record, dict):
        return Remark(line)
    if record.get("finished") is True and _whole(record.get("exit")):
        return Finished(record["exit"], _text(record, "cohort"), _text(record, "report"))
    if "stage" in record and _whole(record.get("done")) and _whole(record.get("total")):
        return Step(_text(record, "stage"), record["done"], record["total"], _text(record, "item"))
    return Remark(line)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(record: dict[str, object], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""
