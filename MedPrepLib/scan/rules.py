"""The rules of a source about its annotations ([sources.annotations.NAME]), and which were used."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from MedPrepLib import catalog
from MedPrepLib.config.settings import Annotation
from MedPrepLib.findings import Finding

NO_RULE = Annotation()


class Rules:
    """The rules by the name of a file or folder. Remembers those that were asked for."""

    def __init__(self, annotations: Mapping[str, Annotation]) -> None:
        self._rules = annotations
        self.used: set[str] = set()

    def of(self, name: str) -> Annotation:
        """The rule for this name; one that changes nothing where the study has none."""
        rule = self._rules.get(name)
        if rule is None:
            return NO_RULE
        self.used.add(name)
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
