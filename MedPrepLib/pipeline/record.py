"""What a run leaves in the private folder: log, lines in the audit trail, study file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from MedPrepLib import __version__
from MedPrepLib.atomic import write_bytes
from MedPrepLib.config import config_hash
from MedPrepLib.identity import SiteKey
from MedPrepLib.overheard import Overheard, drain, silenced, total
from MedPrepLib.pipeline.order import STUDY_COPY, Order
from MedPrepLib.pipeline.staging import sweep
from MedPrepLib.results import CaseResult
from MedPrepLib.sitelog import LOG, WORKERS_LOG, SiteLog, rotate
from MedPrepLib.trail import Head, Trail


@dataclass
class RunRecord:
    """What is known of a run at its end; filled while it goes on."""

    results: tuple[CaseResult, ...] = ()
    root_hash: str = ""
    heard: list[Overheard] = field(default_factory=list)
    """What libraries said about the cases that were worked on."""


@contextmanager
def recorded(order: Order, key: SiteKey) -> Iterator[RunRecord]:
    """Say in log and trail that a run began and how it ended; whatever ends it is raised on.

    Libraries' log lines are counted meanwhile, and shown nowhere.
    """
    for name in (LOG, WORKERS_LOG):
        rotate(order.logs / name)
    log, trail = SiteLog(order.logs), Trail(order.private)
    log.write("run started", study=str(order.base), version=__version__, key=key.key_id)
    trail.add("", "run started", **_start(order, key))
    drain()
    record = RunRecord()
    if order.shard is None:  # else others may be writing
        sweep(order.cohort)
    try:
        with silenced():
            yield record
    except BaseException as error:
        log.write_error("run failed", error)
        trail.add("", "run failed", error=type(error).__name__)
        if order.shard is None:
            sweep(order.cohort)
        raise
    record.heard += drain()
    included = sum(result.included for result in record.results)
    counts = {"included": str(included), "excluded": str(len(record.results) - included)}
    log.write("run finished", **counts, libraries=total(record.heard))
    trail.add("", "run finished", cohort=record.root_hash, **counts)


def keep_study(order: Order) -> None:
    """Keep the study file as it was; the cohort holds its public settings only."""
    path = order.private / STUDY_COPY
    data = order.text.encode()
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


def reviews_trail(order: Order) -> Trail:
    """The trail of everything that reviewers did."""
    return Trail(order.base / order.study.reviews)


def anchors(trail: Trail) -> tuple[Head, ...]:
    """Where another trail ended when lines of this one were written."""
    return tuple(
        Head(int(act.details["reviews_lines"]), act.details["reviews_head"])
        for act in trail.acts()
        if act.details.get("reviews_lines", "").isdecimal() and "reviews_head" in act.details
    )


def _start(order: Order, key: SiteKey) -> dict[str, str]:
    """The settings, and where the reviews' trail ends: it cannot be cut short unnoticed."""
    head = reviews_trail(order).head()
    part = {} if order.shard is None else {"shard": str(order.shard)}
    return {
        **part,
        "config": config_hash(order.study),
        "key": key.key_id,
        "version": __version__,
        "reviews_lines": str(head.lines),
        "reviews_head": head.digest,
    }
