"""Ids with and without their issuer: who may be one person under two public names.

A patient id (0010,0020) is unique for its issuer (0010,0021), which exports often leave out. In
one center, an id without an issuer is taken for the same person as that id with one. Public names
stay what they are, for they may stand in a cohort already, and would change with every export that
is added; it is the split that keeps such cases together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from MedPrepLib.cohort import Case
from MedPrepLib.identity import known_id, normalized_id

Key = tuple[str, ...]


class Doubt(msgspec.Struct, frozen=True):
    """Why a case may be of the same person as others that have another public name.

    ``key``: (center, id) or (center, id, issuer), normalized, equal for all of them; private.
    ``issuers``: how many issuers they name; ``bare``: some of them name none.
    """

    key: Key
    issuers: int
    bare: bool


def doubtful_issuers(cases: Iterable[Case]) -> Mapping[str, Doubt]:
    """The doubt about every case, by its id, whose patient id occurs with and without an issuer.

    Also where the issuer is only written in two ways. It depends on the cases, not on their order.
    """
    same: dict[Key, list[Case]] = defaultdict(list)
    for case in cases:
        if patient := known_id(case.patient.id):
            same[case.patient.center, patient].append(case)
    found: dict[str, Doubt] = {}
    for key, own in same.items():
        spelled: dict[str, list[Case]] = defaultdict(list)
        for case in own:
            spelled[normalized_id(case.patient.issuer)].append(case)
        if "" in spelled:
            parts = {key: own}
        else:
            parts = {(*key, issuer): each for issuer, each in spelled.items()}
        for whole, each in parts.items():
            found |= _doubts(whole, each)
    return found


def counted_names(doubts: Mapping[str, Doubt], names: Mapping[str, str]) -> dict[str, str]:
    """One public name for all cases that a doubt ties together, by case: the first of theirs.

    ``names``: the public name of the patient, by case; cases without doubt are not in the result.
    """
    first: dict[Key, str] = {}
    for case, doubt in doubts.items():
        first[doubt.key] = min(names[case], first.get(doubt.key, names[case]))
    return {case: first[doubt.key] for case, doubt in doubts.items()}


def _doubts(key: Key, cases: Iterable[Case]) -> dict[str, Doubt]:
    own = list(cases)
    if len({case.patient.issuer for case in own}) < 2:
        return {}
    issuers = {normalized_id(case.patient.issuer) for case in own}
    doubt = Doubt(key, len(issuers - {""}), "" in issuers)
    return {case.id: doubt for case in own}
