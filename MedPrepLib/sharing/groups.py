"""k-anonymity: how many patients of a cohort look alike in what is told about them.

Somebody who knows of a person's center, sex, age and scan must not find fewer than k patients
who fit (Sweeney, Int. J. Uncertain. Fuzz. 10:557, 2002). Pixels are not considered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

NOT_TOLD = "not told"


class QuasiIdentifiers(msgspec.Struct, frozen=True, order=True):
    """What of a case an acquaintance of the patient may know, as the cohort tells it."""

    center: str
    sex: str
    age: str
    device: str
    modality: str
    body_part: str


class Row(msgspec.Struct, frozen=True):
    """A case, whose it is (one name per person), and how it looks."""

    case: str
    patient: str
    known: QuasiIdentifiers


class Group(msgspec.Struct, frozen=True):
    """Cases that look alike, and of how many patients they are."""

    known: QuasiIdentifiers
    patients: int
    cases: tuple[str, ...]


class Remedy(msgspec.Struct, frozen=True):
    """A change of the study file, and how many cases would be left in small groups."""

    setting: str
    cases_left: int


class Groups(msgspec.Struct, frozen=True):
    """All groups, the smallest first; ``remedies``: the one that helps most first."""

    k: int
    groups: tuple[Group, ...]
    remedies: tuple[Remedy, ...]

    @property
    def smallest(self) -> int:
        """Patients of the smallest group: the k of the cohort; 0 for none."""
        return self.groups[0].patients if self.groups else 0

    @property
    def small(self) -> tuple[Group, ...]:
        """The groups of fewer than k patients."""
        return tuple(group for group in self.groups if group.patients < self.k)


def row_of(case: str, center: str, patient: str, modality: str, meta: Mapping[str, Any]) -> Row:
    """How a case looks, by its line in the manifest and the facts that its file holds."""
    device = " ".join(str(meta[key]) for key in ("manufacturer", "model") if meta.get(key))
    known = QuasiIdentifiers(
        center=center or NOT_TOLD,
        sex=str(meta.get("sex") or NOT_TOLD),
        age=str(meta.get("age_years", NOT_TOLD)),
        device=device or NOT_TOLD,
        modality=modality or NOT_TOLD,
        body_part=str(meta.get("body_part") or NOT_TOLD),
    )
    return Row(case, patient, known)


def grouped(rows: Sequence[Row], k: int) -> Groups:
    """The groups of a cohort, and what would make them larger."""
    groups = _groups(rows)
    small = any(group.patients < k for group in groups)
    remedies = [
        Remedy(setting, _left(rows, k, change)) for setting, change in _CHANGES.items() if small
    ]
    now = _left(rows, k, lambda known: known)
    helpful = [remedy for remedy in remedies if remedy.cases_left < now]
    return Groups(k, groups, tuple(sorted(helpful, key=lambda r: r.cases_left)))


def _groups(rows: Iterable[Row]) -> tuple[Group, ...]:
    alike: dict[QuasiIdentifiers, list[Row]] = defaultdict(list)
    for row in rows:
        alike[row.known].append(row)
    groups = (
        Group(
            known,
            len({(row.known.center, row.patient) for row in members}),
            tuple(sorted(row.case for row in members)),
        )
        for known, members in alike.items()
    )
    return tuple(sorted(groups, key=lambda group: (group.patients, group.known)))


Change = Callable[[QuasiIdentifiers], QuasiIdentifiers]


def _left(rows: Iterable[Row], k: int, change: Change) -> int:
    changed = [msgspec.structs.replace(row, known=change(row.known)) for row in rows]
    return sum(len(group.cases) for group in _groups(changed) if group.patients < k)


def _without(*names: str) -> Change:
    return lambda known: msgspec.structs.replace(known, **dict.fromkeys(names, NOT_TOLD))


def _in_decades(known: QuasiIdentifiers) -> QuasiIdentifiers:
    decade = str(int(known.age) // 10 * 10) if known.age.isdecimal() else known.age
    return msgspec.structs.replace(known, age=decade)


_CHANGES: Mapping[str, Change] = {
    "privacy.age_step_years = 10": _in_decades,
    'privacy.leave_out = ["age_years"]': _without("age"),
    'privacy.leave_out = ["manufacturer", "model"]': _without("device"),
    'privacy.leave_out = ["body_part"]': _without("body_part"),
    'privacy.age_step_years = 10, leave_out = ["manufacturer", "model", "body_part"]': (
        lambda known: _without("device", "body_part")(_in_decades(known))
    ),
    'privacy.leave_out = ["sex", "age_years", "manufacturer", "model", "body_part"]': _without(
        "sex", "age", "device", "body_part"
    ),
}
