"""The leakage audit of a split: what ties patients together, and that no tie is cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from MedPrepLib import catalog
from MedPrepLib.errors import MedPrepError
from MedPrepLib.findings import Finding
from MedPrepLib.leakage import Compared, Evidence, copies, shared_between, tied
from MedPrepLib.results import LeakageProof
from MedPrepLib.split.members import Member, Place

_SAME_IMAGE = ("image", "slice", "near-duplicate")


def near_copies(
    members: Iterable[Member], limit: float, compared: Compared | None = None
) -> tuple[Evidence, ...]:
    """Near-duplicate images of different patients; ``limit``: agreement of fingerprints."""
    ordered = sorted(members, key=lambda m: m.id)
    return copies([member.subject for member in ordered], limit, compared)


def leaks(members: Iterable[Member], near: Iterable[Evidence] = ()) -> tuple[Finding, ...]:
    """Cases whose image, a part of it or a copy of it occurs under another patient as well."""
    ordered = sorted(members, key=lambda m: m.id)
    patients = {member.id: member.person or member.patient for member in ordered}
    told: dict[tuple[str, str], Evidence] = {}
    for evidence in tied([member.subject for member in ordered], near):
        apart = patients[evidence.one] != patients[evidence.other]
        if apart and evidence.kind in _SAME_IMAGE:
            told.setdefault((evidence.one, evidence.other), evidence)
    return tuple(
        catalog.LEAK_SUSPECT.at(item, f"{_sameness(e)} {other}, another patient")
        for pair, e in sorted(told.items())
        for item, other in (pair, pair[::-1])
    )


def _sameness(evidence: Evidence) -> str:
    if evidence.kind == "image":
        return "every voxel equals that of"
    return f"{evidence.detail}, with"


def audit(
    members: Iterable[Member], places: Mapping[str, Place], near: Iterable[Evidence] = ()
) -> LeakageProof:
    """Prove that no patient, image or linked study is on both sides, or in two folds.

    Returns what was compared. Raises MedPrepError naming the two cases of every leak, or when a
    case has no place.
    """
    subjects = [member.subject for member in members]
    for subject in subjects:
        if subject.id not in places:
            raise MedPrepError(f"the split forgot case {subject.id}")
    names = {case: place.name for case, place in places.items()}
    proof, found = shared_between(subjects, names, near)
    if found:
        told = "; ".join(_leak(evidence, names) for evidence in found[:MAX_TOLD])
        more = f"; and {len(found) - MAX_TOLD} more" if len(found) > MAX_TOLD else ""
        raise MedPrepError(f"leak: {told}{more}")
    return proof


MAX_TOLD = 5


def _leak(evidence: Evidence, names: Mapping[str, str]) -> str:
    one, other = evidence.one, evidence.other
    return (
        f"cases {one} ({names[one]}) and {other} ({names[other]}) share {evidence.kind}: "
        f"{evidence.detail}"
    )
