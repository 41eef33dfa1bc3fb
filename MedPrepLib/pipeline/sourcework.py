"""The sources within a run: what is there, who is who, and a task for every case to be done."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from MedPrepLib.atomic import write_bytes
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.identity import Names, SiteKey, public_names
from MedPrepLib.ledger import Ledger
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.order import IDENTITIES, Order
from MedPrepLib.pipeline.shards import share
from MedPrepLib.pipeline.tasks import (
    case_tasks,
    scan_cases,
    unknown_readmissions,
    unknown_reviews,
    watched,
)
from MedPrepLib.progress import Listener
from MedPrepLib.scan import Scanned
from MedPrepLib.scan.dates import reading_order
from MedPrepLib.sitelog import SiteLog
from MedPrepLib.tables import ReadingOrder, no_formula


@dataclass(frozen=True)
class Sources:
    """What the sources hold. ``tasks``: the cases that this run, or this part of one, is to do."""

    scanned: Scanned
    names: Names
    dated: ReadingOrder
    tasks: list[CaseTask]
    findings: tuple[Finding, ...]
    """About the sources, not about cases."""


def look_at_sources(order: Order, ledger: Ledger, key: SiteKey, listen: Listener) -> Sources:
    """Scan, name everybody, and keep who is who in the private folder."""
    scanned = scan_cases(order, ledger, listen)
    cases = (candidate.case for candidate in scanned.candidates)
    names = public_names(cases, key, order.study.privacy.case_names)
    dated, findings = _reading_order(order, scanned, names)
    tasks = case_tasks(order, scanned, names) if order.wants("screen") else []
    if order.shard is not None:
        tasks = share(tasks, order.shard)
    else:
        _write_identities(order, scanned, names)
        if tasks:
            findings += unknown_readmissions(order, tasks) + unknown_reviews(order, tasks)
    findings = scanned.findings + findings
    _log(order, findings)
    return Sources(scanned, names, dated, watched(tasks), findings)


def _log(order: Order, findings: tuple[Finding, ...]) -> None:
    """What is withheld of findings about sources stands in the site's own log, as it says there."""
    told = [
        {"code": f.code, "item": f.item, "message": f.message}
        for f in findings
        if f.severity >= Severity.REVIEW or f.withheld
    ]
    if told:
        SiteLog(order.logs).write("sources", findings=told)


def _write_identities(order: Order, scanned: Scanned, names: Names) -> None:
    """The only place where public names and identities stand side by side. Never in the cohort."""
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(("case", "patient", "source_case", "source_patient", "center", "image"))
    for candidate in scanned.candidates:
        case = candidate.case
        image = case.image.paths[0] if case.image.paths else ""
        own = (names.cases[case.id], names.patient_of(case))
        table.writerow(
            map(no_formula, (*own, case.id, case.patient.id, case.patient.center, image))
        )
    data = text.getvalue().encode()
    path = order.private / IDENTITIES
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


def _reading_order(
    order: Order, scanned: Scanned, names: Names
) -> tuple[dict[tuple[str, str], int], tuple[Finding, ...]]:
    """The order of every rater's readings, by public names, where the study knows their dates."""
    table = order.study.reading_dates
    if not table:
        return {}, ()
    cases = [candidate.case for candidate in scanned.candidates]
    places, findings = reading_order(order.base / table, cases, table)
    public = {(names.cases[case], rater): place for (case, rater), place in places.items()}
    return public, findings
