"""Findings: what is wrong with a piece of data, how wrong, and what would make it go away.

A stage that meets bad data returns findings and goes on; whether a finding excludes a case is
decided by its severity alone. Every code is declared once, in catalog/, as a ``Kind``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum


class Severity(IntEnum):
    """How much a finding matters. The order is meaningful: NOTE < REVIEW < REJECT."""

    NOTE = 1
    """Worth knowing; nothing has to be done."""
    REVIEW = 2
    """The case stays in the cohort, but a person should look at it."""
    REJECT = 3
    """The case is left out of the cohort until the remedy is applied."""

    @property
    def word(self) -> str:
        """The lower-case name used in study files, JSON and on the command line."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Severity:
        """The severity called ``word``; ValueError if there is none."""
        try:
            return cls[word.upper()]
        except KeyError:
            known = ", ".join(s.word for s in cls)
            raise ValueError(f"{word!r} is no severity; known are {known}") from None


WITHHELD = "(in the private log)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about one item that a person may have to act on.

    ``item`` names what it is about (a case id, ``case/rater``, or a source); ``message`` is one
    sentence with measured value, limit and unit; ``remedy`` is what would make it go away.
    ``withheld``: words of the message that may name somebody; see :meth:`public`.
    """

    code: str
    severity: Severity
    item: str
    message: str
    remedy: str
    withheld: tuple[str, ...] = ()

    def public(self) -> Finding:
        """The finding as others may see it, without the words that stay at the site."""
        message = self.message
        for word in self.withheld:
            message = message.replace(word, WITHHELD)
        return replace(self, message=message, withheld=())

    def with_severity(self, severity: Severity) -> Finding:
        """The same finding, judged as the study file asks."""
        return replace(self, severity=severity)

    def about(self, item: str) -> Finding:
        """The same finding, said of ``item``."""
        return replace(self, item=item)

    def to_json(self) -> dict[str, str]:
        """A plain mapping for JSON; the severity is its lower-case word."""
        return {
            "code": self.code,
            "severity": self.severity.word,
            "item": self.item,
            "message": self.message,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """The declaration of a finding code: what it means and what it is worth by default.

    ``final``: nothing can be made of data with this fault (no volume, no grid, no result), so
    nobody can accept it; only its remedy helps. Such kinds reject whatever a study file says.
    """

    code: str
    severity: Severity
    meaning: str
    remedy: str
    final: bool = False
    stage: str = ""
    """The stage that finds it; catalog.stages() lists them."""

    def at(
        self,
        item: str,
        message: str,
        *,
        remedy: str | None = None,
        withheld: Iterable[str] = (),
    ) -> Finding:
        """A finding of this kind about ``item``."""
        kept = tuple(withheld)
        return Finding(self.code, self.severity, item, message, remedy or self.remedy, kept)


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The highest severity among ``findings``; None when there are none."""
    return max((f.severity for f in findings), default=None)


def rejects(findings: Iterable[Finding]) -> bool:
    """True when at least one finding excludes its case."""
    return worst(findings) == Severity.REJECT


def rejections(findings: Iterable[Finding], item: str) -> tuple[str, ...]:
    """The codes of the findings that reject ``item`` itself, each once, sorted.

    A finding about a part of it (one reading of a case: ``case/rater``) rejects that part only.
    """
    own = (f for f in findings if f.item == item and f.severity == Severity.REJECT)
    return tuple(sorted({f.code for f in own}))
