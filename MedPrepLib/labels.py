"""The label schema: one dictionary of structures for load, compare, consensus, pack, export."""

from __future__ import annotations

import colorsys
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from MedPrepLib.errors import LabelError
from MedPrepLib.sides import Side, side_in

Color = tuple[int, int, int]
MAX_LABEL_VALUE = 65_535


@dataclass(frozen=True, slots=True)
class Terminology:
    """A coded concept, as in DICOM's code sequences: (scheme, value, meaning)."""

    scheme: str
    value: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One structure: its name, voxel value, display color (sRGB, 0-255) and other names.

    ``partner`` names the label on the other side of the body for paired structures.
    """

    name: str
    value: int
    color: Color = (230, 80, 60)
    aliases: tuple[str, ...] = ()
    terminology: Terminology | None = None
    partner: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise LabelError("a label needs a name")
        if not 1 <= self.value <= MAX_LABEL_VALUE:
            raise LabelError(
                f"label {self.name!r}: value {self.value} is outside 1..{MAX_LABEL_VALUE} "
                "(0 is the background)"
            )

    @property
    def side(self) -> Side:
        """The side of the body that its name, else every alias that says one, else its code says.

        A code says it in its meaning ("Left kidney").
        """
        aliases = {side for alias in self.aliases if (side := side_in(alias))}
        meaning = self.terminology.meaning if self.terminology else ""
        return side_in(self.name) or (aliases.pop() if len(aliases) == 1 else side_in(meaning))


@dataclass(frozen=True)
class LabelSchema:
    """The labels of a study, in order of value.

    Raises LabelError when two labels share a name, an alias or a value, or when a left/right
    partner does not exist or does not point back.
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(sorted(self.labels, key=lambda x: x.value)))
        _require_unique("value", (x.value for x in self.labels))
        _require_unique("name", (key for x in self.labels for key in _keys(x)))
        for label in self.labels:
            if label.partner is not None and self.named(label.partner).partner != label.name:
                raise LabelError(f"label {label.name!r}: its partner does not point back")

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _by_key(self) -> dict[str, Label]:
        return {key: label for label in self.labels for key in _keys(label)}

    @cached_property
    def _by_value(self) -> dict[int, Label]:
        return {label.value: label for label in self.labels}

    @property
    def names(self) -> tuple[str, ...]:
        """The names in order of value."""
        return tuple(label.name for label in self.labels)

    @property
    def ignore_value(self) -> int:
        """What undecided voxels of a label map hold: the largest value of its type."""
        return 255 if max((x.value for x in self.labels), default=0) <= 255 else MAX_LABEL_VALUE

    def find(self, name: str) -> Label | None:
        """The label with this name or alias, compared as by :func:`normalized_name`."""
        return self._by_key.get(normalized_name(name))

    def named(self, name: str) -> Label:
        """The label with this name or alias; LabelError when there is none."""
        label = self.find(name)
        if label is None:
            raise LabelError(f"no label {name!r} in the schema; known: {', '.join(self.names)}")
        return label

    def coded(self, terminology: Terminology, side: Side = "") -> Label | None:
        """The label with this terminology code (scheme and value; the meaning is free text).

        ``side``: what is known of the side of the body. A code that several labels share, as left
        and right kidney do, means that of the same side, and none when the side is not known. A
        label of one side is not meant by a code that does not tell the sides apart.
        """
        sharing = [x for x in self.labels if _code(x) == (terminology.scheme, terminology.value)]
        if side:
            same = [x for x in sharing if x.side == side]
            if same or len(sharing) != 1 or sharing[0].side:
                return same[0] if len(same) == 1 else None
            return sharing[0]
        if len(sharing) != 1 or (sharing[0].side and not self._is_sided(sharing[0])):
            return None
        return sharing[0]

    def _is_sided(self, label: Label) -> bool:
        """True when the code of a label of one side tells the sides apart."""
        if label.terminology is not None and side_in(label.terminology.meaning):
            return True
        other = self.find(label.partner) if label.partner else None
        return other is not None and _code(other) not in (None, _code(label))

    def valued(self, value: int) -> Label | None:
        """The label with this voxel value."""
        return self._by_value.get(value)


def normalized_name(name: str) -> str:
    """A name as it is compared: lower case, without blanks, dashes, underscores and dots.

    Compatible characters are one (Unicode's NFKC): macOS stores file names with letters and
    their accents apart.
    """
    composed = unicodedata.normalize("NFKC", name)
    return unicodedata.normalize("NFKC", re.sub(r"[\s_.\-]+", "", composed).casefold())


def distinct_color(value: int) -> Color:
    """A color for a label without one: hues spread by the golden ratio, the same every time."""
    hue = (value * 0.618_033_988_75) % 1.0
    r, g, b = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return (round(r * 255), round(g * 255), round(b * 255))


def _code(label: Label) -> tuple[str, str] | None:
    return (label.terminology.scheme, label.terminology.value) if label.terminology else None


def _keys(label: Label) -> set[str]:
    return {normalized_name(name) for name in (label.name, *label.aliases)}


def _require_unique(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise LabelError(f"two labels share the {what} {value!r}")
        seen.add(value)
