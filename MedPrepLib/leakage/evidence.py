"""What two cases have in common that only one patient, or one image, can have."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import msgspec

from MedPrepLib.leakage.compared import Compared, near_duplicates
from MedPrepLib.leakage.fingerprint import Fingerprint
from MedPrepLib.results import LeakageProof

KINDS = ("patient", "study", "frame", "image", "slice", "near-duplicate")
"""Kinds of evidence: patient id, StudyInstanceUID (0020,000D), FrameOfReferenceUID (0020,0052),
hash of all voxels, hash of one slice, agreeing fingerprints. Subjects may have traces of others."""


class Subject(msgspec.Struct, frozen=True):
    """One case as the audit sees it.

    ``patient`` is empty where it is not known. ``traces``: (kind, key) pairs; equal ones tie cases
    together. ``fingerprint``: as text, empty for none.
    """

    id: str
    patient: str
    traces: tuple[tuple[str, str], ...] = ()
    slices: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Everything whose equality proves something."""
        patient = (("patient", self.patient),) if self.patient else ()
        return (*patient, *self.traces, *(("slice", each) for each in self.slices))


class Evidence(msgspec.Struct, frozen=True):
    """Two cases and what they share; ``detail`` is a phrase with the measured value."""

    kind: str
    one: str
    other: str
    detail: str


def copies(
    subjects: Sequence[Subject], limit: float, compared: Compared | None = None
) -> tuple[Evidence, ...]:
    """Near-duplicates under different patients (or unknown ones), by fingerprint."""
    shown = [s for s in subjects if s.fingerprint]
    prints = [Fingerprint.parse(s.fingerprint) for s in shown]
    found = near_duplicates(prints, [s.patient for s in shown], limit, compared)
    return tuple(
        Evidence(
            "near-duplicate",
            shown[a].id,
            shown[b].id,
            f"{share:.0%} of gradient signs agree (limit {limit:.0%})",
        )
        for a, b, share in found
    )


def tied(subjects: Iterable[Subject], near: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Pairs that must stay together: for each shared trace its first case with every other."""
    first: dict[tuple[str, str], Subject] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    own: dict[str, int] = {}
    for subject in subjects:
        own[subject.id] = len(subject.slices)
        for key in dict.fromkeys(subject.keys):
            known = first.setdefault(key, subject)
            if known.id != subject.id:
                counts[key[0], known.id, subject.id] += 1
    exact = [
        Evidence(kind, one, other, _detail(kind, count, own[other]))
        for (kind, one, other), count in counts.items()
    ]
    return (*exact, *(e for e in near if e.one in own and e.other in own))


def _detail(kind: str, count: int, slices: int) -> str:
    if kind == "slice":
        return f"{count} of {slices} slices are equal, voxel for voxel"
    return "every voxel is equal" if kind == "image" else f"the same {kind}"


def shared_between(
    subjects: Sequence[Subject], places: Mapping[str, str], near: Iterable[Evidence]
) -> tuple[LeakageProof, tuple[Evidence, ...]]:
    """What lies in more than one set, counted, and one pair of cases as proof of each.

    ``places`` names the set of every subject. Every trace of every case is looked up, so each of
    the counted pairs has been compared.
    """
    seen: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    carriers: Counter[str] = Counter()
    for subject in subjects:
        place = places[subject.id]
        carriers.update({kind for kind, _ in subject.keys})
        carriers["near-duplicate"] += bool(subject.fingerprint)
        for key in subject.keys:
            seen[key].setdefault(place, subject.id)
    shared: Counter[str] = Counter()
    proofs: Counter[tuple[str, str, str]] = Counter()
    for (kind, _), by_place in seen.items():
        if len(by_place) > 1:
            shared[kind] += 1
            proofs.update((kind, a, b) for a, b in combinations(by_place.values(), 2))
    across = [e for e in near if places[e.one] != places[e.other]]
    shared["near-duplicate"] += len(across)
    slices = {s.id: len(s.slices) for s in subjects}
    exact = [Evidence(k, a, b, _detail(k, n, slices[b])) for (k, a, b), n in proofs.items()]
    kinds = [*KINDS, *sorted(set(carriers) - set(KINDS))]
    sizes = Counter(places[s.id] for s in subjects)
    return LeakageProof(
        cases=len(subjects),
        sets=len(sizes),
        pairs=sum(a * b for a, b in combinations(sizes.values(), 2)),
        carriers={kind: carriers[kind] for kind in kinds},
        shared={kind: shared[kind] for kind in kinds},
    ), (*exact, *across)
