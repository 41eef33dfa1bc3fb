"""Near-duplicates among many images: what was compared once need not be compared again.

A cohort that grows compares what is new. Only the close comparison (nearness.py) is remembered;
which pairs deserve one (candidates.py) is found anew, for new images may be more alike than old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from MedPrepLib.leakage.candidates import candidates
from MedPrepLib.leakage.fingerprint import Fingerprint
from MedPrepLib.leakage.nearness import agreement

RULES = 1
"""Another number whenever two fingerprints would agree otherwise than before."""

_PAIR = np.dtype([("key", "<u8"), ("check", "<u8"), ("agreement", "<f8")])


def near_duplicates(
    prints: Sequence[Fingerprint],
    groups: Sequence[str],
    limit: float,
    compared: Compared | None = None,
) -> Iterator[tuple[int, int, float]]:
    """(index, index, agreement) of every pair that agrees at least ``limit``, in order.

    Pairs with the same (non-empty) group, the patient, are not looked at. ``compared`` knows
    pairs, and learns those that it does not know.
    """
    pairs = sorted(candidates(prints, groups))
    found = (compared or Compared()).agreements(prints, pairs)
    for (one, other), share in zip(pairs, found, strict=True):
        if share >= limit:
            yield one, other, share


class Compared:
    """Agreements by the content of both fingerprints (in order), 128 bits of its BLAKE2b.

    ``kept`` is what :meth:`to_bytes` made in an earlier run; anything else is as good as nothing.
    """

    def __init__(self, kept: bytes = b"") -> None:
        whole = len(kept) % _PAIR.itemsize == 0
        self._kept = np.frombuffer(kept if whole else b"", _PAIR)
        self._asked: list[tuple[int, int, float]] = []
        self.made = 0
        """How many pairs were not known."""

    def agreements(
        self, prints: Sequence[Fingerprint], pairs: Sequence[tuple[int, int]]
    ) -> list[float]:
        """The agreement of every pair of indices."""
        digests = [_digest(each) for each in prints]
        return [self._agreement(prints[a], prints[b], digests[a] + digests[b]) for a, b in pairs]

    def to_bytes(self) -> bytes:
        """All pairs that were asked for, and no others."""
        return np.array(sorted(set(self._asked)), _PAIR).tobytes()

    def _agreement(self, one: Fingerprint, other: Fingerprint, content: bytes) -> float:
        key, check = np.frombuffer(hashlib.blake2b(content, digest_size=16).digest(), "<u8")
        found = self._known(key, check)
        if found is None:
            self.made += 1
            found = agreement(one, other)
        self._asked.append((int(key), int(check), found))
        return found

    def _known(self, key: np.uint64, check: np.uint64) -> float | None:
        at = int(np.searchsorted(self._kept["key"], key))
        if at == len(self._kept):
            return None
        row = self._kept[at]
        return float(row["agreement"]) if (row["key"], row["check"]) == (key, check) else None


def _digest(each: Fingerprint) -> bytes:
    content = hashlib.blake2b(each.ranks.tobytes(), digest_size=16)
    content.update(np.array(each.extent_mm, "<f8").tobytes())
    return content.digest()
