"""The split within a run: who is who, what was fixed or placed before, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.atomic import write_bytes
from MedPrepLib.config import Study, parse_study
from MedPrepLib.errors import CohortError, ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.identity import Names, SiteKey, normalized_id
from MedPrepLib.issuers import Doubt, counted_names, doubtful_issuers
from MedPrepLib.leakage import RULES, Compared, Evidence
from MedPrepLib.ledger import Ledger
from MedPrepLib.manifest import read_manifest
from MedPrepLib.pipeline.order import SPLIT_RECORD, Order
from MedPrepLib.results import CaseResult
from MedPrepLib.scan import Candidate, Scanned
from MedPrepLib.screen import judged
from MedPrepLib.split import (
    Fixed,
    Member,
    Place,
    Record,
    SplitPlan,
    leaks,
    near_copies,
    read_fixed,
    settings_digest,
    split,
)

_COMPARED = f"agreements of fingerprints {RULES}"

Told = tuple[CaseResult, ...]


def split_cases(
    order: Order,
    results: Sequence[CaseResult],
    scanned: Scanned,
    names: Names,
    key: SiteKey,
    ledger: Ledger,
) -> tuple[Told, SplitPlan, tuple[Finding, ...]]:
    """Place the included cases; suspected leaks become findings of their cases."""
    study = order.study
    candidates = {names.cases[c.case.id]: c for c in scanned.candidates}
    doubts = doubtful_issuers(candidates[r.id].case for r in results if r.included)
    results = _counted_once(results, candidates, doubts)
    members = _members(results, candidates, doubts, key)
    near = _near(members, study.split.near_duplicate, ledger)
    suspected = judged(leaks(members, near), study.screen.severity)
    told = tuple(
        msgspec.structs.replace(
            r, findings=r.findings + tuple(f for f in suspected if f.item == r.id)
        )
        for r in results
    )
    included = {result.id for result in told if result.included}
    members = [member for member in members if member.id in included]
    near = tuple(e for e in near if e.one in included and e.other in included)
    fixed, unknown = _fixed(order, scanned, names)
    plan, findings = split(
        members, study.split, study.seed, near=near, record=_last_record(order), fixed=fixed
    )
    return told, plan, judged((*unknown, *findings), study.screen.severity)


def keep_split(order: Order, results: Sequence[CaseResult], plan: SplitPlan) -> None:
    """Remember the places, so that the cohort may grow and nobody moves."""
    study = order.study
    digest = settings_digest(study.split, study.seed)
    members = [Member(r.id, r.patient, r.center, frozenset()) for r in results if r.included]
    record = (_last_record(order) or Record(digest)).after(plan, members, digest)
    path = order.private / SPLIT_RECORD
    if not path.is_file() or path.read_bytes() != record.to_bytes():
        write_bytes(path, record.to_bytes())


def _near(members: Sequence[Member], limit: float, ledger: Ledger) -> tuple[Evidence, ...]:
    """Near-duplicates; pairs that an earlier run compared are not compared again."""
    kept = ledger.recall(_COMPARED) or b""
    compared = Compared(kept)
    near = near_copies(members, limit, compared)
    now = compared.to_bytes()
    if now != kept:
        ledger.remember(_COMPARED, now)
    return near


def _counted_once(
    results: Sequence[CaseResult],
    candidates: Mapping[str, Candidate],
    doubts: Mapping[str, Doubt],
) -> list[CaseResult]:
    """The results, with one name for all cases of what may be one patient under several."""
    private = {result.id: candidates[result.id].case.id for result in results}
    counted = counted_names(doubts, {private[result.id]: result.patient for result in results})
    return [
        msgspec.structs.replace(result, person=counted.get(private[result.id], ""))
        for result in results
    ]


def _members(
    results: Sequence[CaseResult],
    candidates: Mapping[str, Candidate],
    doubts: Mapping[str, Doubt],
    key: SiteKey,
) -> list[Member]:
    included = [result for result in results if result.included]
    return [_member(result, candidates[result.id], doubts, key) for result in included]


def _member(
    result: CaseResult, candidate: Candidate, doubts: Mapping[str, Doubt], key: SiteKey
) -> Member:
    present = result.targets.present if result.targets else frozenset()
    disease = candidate.case.patient.disease
    return Member(
        id=result.id,
        patient=result.patient,
        center=result.center,
        classes=frozenset((disease,)) if disease else present,
        pixel_hash=result.pixel_hash,
        links=(*_links(candidate, key), *_same_id(candidate, doubts, key)),
        slices=result.slice_hashes,
        fingerprint=result.fingerprint,
        person=result.person,
    )


def _links(candidate: Candidate, key: SiteKey) -> tuple[str, ...]:
    """UIDs that tie cases together, made unreadable; none where an id identifies nobody."""
    links = candidate.case.links
    uids = (("study", links.study_uid), ("frame", links.frame_of_reference_uid))
    return tuple(f"{kind}:{key.pseudonym('uid', uid)}" for kind, uid in uids if uid)


def _same_id(candidate: Candidate, doubts: Mapping[str, Doubt], key: SiteKey) -> tuple[str, ...]:
    """What ties cases of one patient id whose issuers are not told alike."""
    doubt = doubts.get(candidate.case.id)
    return (f"patient id:{key.pseudonym('patient id', *doubt.key)}",) if doubt else ()


def _last_record(order: Order) -> Record | None:
    """The record in the private folder; without one, what the manifest of the cohort says."""
    path = order.private / SPLIT_RECORD
    if path.is_file():
        return Record.parse(path.read_bytes(), path.name)
    try:
        manifest = read_manifest(order.cohort)
        study: Study = parse_study(manifest.config, schema=manifest.schema)
    except (CohortError, ConfigError):
        return None
    places = {case.patient: Place(case.split, case.fold) for case in manifest.cases}
    made = manifest.split
    centers = (*made.test_centers, *made.mixed_centers) if made else ()
    return Record(settings_digest(study.split, study.seed), places, centers)


def _fixed(
    order: Order, scanned: Scanned, names: Names
) -> tuple[dict[str, Place], tuple[Finding, ...]]:
    """What a person fixed, by public name of the patient."""
    settings = order.study.split
    if not settings.fixed:
        return {}, ()
    path: Path = order.base / settings.fixed
    people: dict[str, set[str]] = {}
    for candidate in scanned.candidates:
        case, public = candidate.case, names.patient_of(candidate.case)
        people.setdefault(f"case:{case.id}", set()).add(public)
        people.setdefault(f"patient:{normalized_id(case.patient.id)}", set()).add(public)
    places: dict[str, Place] = {}
    unknown = 0
    for row in read_fixed(path, settings.folds):
        meant = _meant(row, people)
        unknown += not meant
        for patient in meant:
            if places.setdefault(patient, row.place) != row.place:
                raise ConfigError([f"$.split.fixed: {path.name} names a patient twice"])
    if not unknown:
        return places, ()
    message = f"{unknown} lines of {path.name} name nobody in the sources"
    return places, (catalog.SPLIT_FIXED_UNKNOWN.at("split", message),)


def _meant(row: Fixed, people: Mapping[str, set[str]]) -> set[str]:
    if row.case:
        return people.get(f"case:{row.case}", set())
    return people.get(f"patient:{normalized_id(row.patient)}", set())
