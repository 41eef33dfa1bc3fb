"""The rules of a source about its annotations ([sources.annotations.NAME]), and which were used."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping

from MedPrepLib import catalog
from MedPrepLib.config.settings import Annotation
from MedPrepLib.findings import Finding

NO_RULE = Annotation()


def one_spelling(name: str) -> str:
    """A rater's name as it is kept, whether a file system stores its accents apart or not."""
    return unicodedata.normalize("NFKC", name)


class Rules:
    """The rules by the name of a file or folder. Remembers those that were asked for."""

    def __init__(self, annotations: Mapping[str, Annotation]) -> None:
        self._rules = {one_spelling(name): (name, rule) for name, rule in annotations.items()}
        self.used: set[str] = set()

    def of(self, name: str) -> Annotation:
        """The rule for this name; one that changes nothing where the study has none."""
        given, rule = self._rules.get(one_spelling(name), ("", NO_RULE))
        if given:
            self.used.add(given)
        return rule


def values_of(rule: Annotation) -> tuple[tuple[int, str], ...]:
    """The rule's label for each number in a file, in order of the numbers."""
    return tuple(sorted((int(value), label) for value, label in rule.values.items()))


def unused(
    annotations: Mapping[str, Annotation], used: Collection[str], called: str
) -> tuple[Finding, ...]:
    """A finding about the source ``called`` when rules of it matched no file.

    The names stay at the site, for those of annotations may name people.
    """
    left = [name for name in annotations if name not in used]
    if not left:
        return ()
    names = ", ".join(f'"{name}"' for name in left)
    message = f"{len(left)} of {len(annotations)} rules about annotations match no file: {names}"
    return (catalog.ANNOTATION_RULE_UNUSED.at(called, message, withheld=(names,)),)
