"""From the names and values of a mask file to the labels of the study.

Which label a segment means is decided by, in this order: the explicit map of the source, the
segment's name or alias, its terminology code; and its value only where the file has no names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskPart
from MedPrepLib.findings import Finding
from MedPrepLib.formats.segnrrd import plain_name
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import Label, LabelSchema, distinct_color, normalized_name
from MedPrepLib.masks.labelmaps import is_nameless
from MedPrepLib.masks.layers import LayerStack
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.sides import side_in

_FOREGROUND = {1, 255}
"""What programs write into masks of one structure, whatever its value elsewhere."""

_LISTED = 10
"""Unknown labels that a message names before it counts."""


@dataclass(frozen=True)
class Match:
    """What the segments of a file mean.

    ``labels``: for each segment of the file its label; segments that mean nothing are absent.
    ``annotated``: every label that the rater looked for, found or not. ``unknown``: words for
    what was left out.
    """

    labels: Mapping[str, Label]
    annotated: tuple[Label, ...]
    unknown: tuple[str, ...] = ()
    by_value: bool = False


def match(
    found: Segmentation, part: MaskPart, schema: LabelSchema, *, named: bool = False
) -> Match:
    """The meaning of every segment of one file; see load_reading for the policy.

    ``named``: a file without a segment lists none, for its format has names.
    """
    if part.label is not None:
        return _match_one(found, part.label, schema)
    if part.values:
        return _match_map(found, part.values, schema)
    if is_nameless(found) and not (named and not found.segments):
        return _match_values(found, schema)
    return _match_names(found, schema)


def _match_one(found: Segmentation, name: str, schema: LabelSchema) -> Match:
    label = schema.find(name)
    if label is None:
        return Match({}, (), (f"label {shown(name)} given by the source",))
    return Match(dict.fromkeys(found.names, label), (label,))


def _match_map(found: Segmentation, pairs: Sequence[tuple[int, str]], schema: LabelSchema) -> Match:
    meaning = {value: schema.find(name) for value, name in pairs}
    unknown = [f"label {shown(name)} given for value {value}"
               for value, name in pairs if meaning[value] is None]  # fmt: skip
    unknown += [f"value {s.value}" for s in found.segments if s.value not in meaning]
    labels = {s.name: meaning.get(s.value) for s in found.segments}
    known = {name: label for name, label in labels.items() if label is not None}
    looked_for = (label for label in meaning.values() if label is not None)
    nothing_known = not known and any(found.mask(name).any() for name in found.names)
    return Match(known, () if nothing_known else _unique(looked_for), tuple(unknown))


def _match_values(found: Segmentation, schema: LabelSchema) -> Match:
    known = {s.name: label for s in found.segments if (label := schema.valued(s.value))}
    if len(schema) == len(found.segments) == 1 and found.segments[0].value in _FOREGROUND:
        known = {found.names[0]: next(iter(schema))}
    return Match(
        known,
        _unique(known.values()) if found.segments else tuple(schema),
        tuple(f"value {s.value}" for s in found.segments if s.name not in known),
        by_value=True,
    )


def _match_names(found: Segmentation, schema: LabelSchema) -> Match:
    labels = {s.name: _named(s, schema) for s in found.segments}
    known = {name: label for name, label in labels.items() if label is not None}
    unknown = tuple(
        shown(s.name) + (f" (coded as {s.side})" if s.side else "")
        for s in found.segments
        if s.name not in known
    )
    return Match(known, _unique(known.values()), unknown)


def _named(segment: Segment, schema: LabelSchema) -> Label | None:
    """The label of that name, unless the segment's code says the other side; else by code."""
    label = schema.find(segment.name) or schema.find(plain_name(segment.name))
    if label is not None:
        return None if segment.side and label.side not in ("", segment.side) else label
    code = segment.terminology
    if code is None:
        return None
    return schema.coded(code, segment.side or side_in(segment.name) or side_in(code.meaning))


def open_regions(
    segments: Iterable[Segment], meaning: Match, schema: LabelSchema, item: str
) -> list[Finding]:
    """REGION_LEFT_OUT for labels that a file only has as points or open lines."""
    meant = _unique(label for s in segments if (label := _named(s, schema)) is not None)
    why = "the region consists of points or open lines only"
    return [
        catalog.REGION_LEFT_OUT.at(item, f"label {label.name!r}: {why}")
        for label in meant
        if label not in meaning.annotated
    ]


def common_schema(found: Sequence[Segmentation]) -> LabelSchema:
    """Every structure that any of the masks names, with the value it has there if that is free.

    Masks without names are matched by value; a value that no mask names is called by its number.
    """
    named = [s for one in found if not is_nameless(one) for s in one.segments]
    numbered = [s for one in found if is_nameless(one) for s in one.segments]
    labels: dict[str, Label] = {}
    taken: set[int] = set()
    for segment in named:
        if normalized_name(segment.name) not in labels:
            value = segment.value
            while value in taken or value == 0:
                value += 1
            taken.add(value)
            color = segment.color or distinct_color(value)
            label = Label(segment.name, value, color, terminology=segment.terminology)
            labels[normalized_name(segment.name)] = label
    for segment in numbered:
        if segment.value not in taken:
            taken.add(segment.value)
            color = segment.color or distinct_color(segment.value)
            labels[segment.name] = Label(segment.name, segment.value, color)
    return LabelSchema(tuple(labels.values()))


def relabeled(found: Segmentation, meaning: Match) -> Segmentation:
    """The segmentation with the names and values of the schema, on its own grid.

    Segments that mean the same label are united; voxels without a meaning become background.
    """
    largest = max((label.value for label in meaning.annotated), default=1)
    places: dict[str, set[int]] = {}
    for segment in found.segments:
        if segment.name in meaning.labels:
            places.setdefault(meaning.labels[segment.name].name, set()).add(segment.layer)
    if any(len(layers) > 1 for layers in places.values()):
        return _stacked(found, meaning, largest)
    used = sorted({layer for layers in places.values() for layer in layers}) or [0]
    layers = tuple(_translated(found, meaning, layer, largest) for layer in used)
    segments = tuple(
        _segment(label, used.index(min(places.get(label.name, {used[0]}))), found, meaning)
        for label in meaning.annotated
    )
    return Segmentation(layers, found.geometry, segments)


def _segment(label: Label, layer: int, found: Segmentation, meaning: Match) -> Segment:
    outside = sum(s.outside for s in found.segments if meaning.labels.get(s.name) is label)
    return Segment(label.name, label.value, layer, label.color, label.terminology, outside)


def _translated(found: Segmentation, meaning: Match, layer: int, largest: int) -> VoxelArray:
    """One layer with the values of the schema, through a table."""
    source = found.layers[layer]
    pairs = {
        s.value: meaning.labels[s.name].value
        for s in found.segments
        if s.layer == layer and s.name in meaning.labels
    }
    dtype = np.min_scalar_type(largest)
    if source.dtype.itemsize > 2:  # a table would be too long
        result = np.zeros(source.shape, dtype)
        for value, wanted in pairs.items():
            result[source == value] = wanted
        return result
    table = np.zeros(1 << (8 * source.dtype.itemsize), dtype)
    for value, wanted in pairs.items():
        if value < len(table):
            table[value] = wanted
    return np.take(table, source, mode="clip")  # twice as fast as table[source]


def _stacked(found: Segmentation, meaning: Match, largest: int) -> Segmentation:
    stack = LayerStack(found.geometry, largest)
    for label in meaning.annotated:
        mask = np.zeros(found.geometry.shape, dtype=bool)
        for name, meant in meaning.labels.items():
            if meant is label:
                mask |= found.mask(name)
        stack.add(_segment(label, 0, found, meaning), mask)
    return stack.result()


def match_findings(meaning: Match, item: str) -> tuple[Finding, ...]:
    """LABEL_UNKNOWN with what was left out, LABEL_BY_VALUE where numbers decided."""
    findings = []
    if meaning.unknown:
        findings.append(unknown_labels(meaning.unknown, item))
    if meaning.by_value and meaning.labels:
        words = ", ".join(f"{name} = {label.name}" for name, label in meaning.labels.items())
        message = f"labels were matched by value: {words}"
        findings.append(catalog.LABEL_BY_VALUE.at(item, message, withheld=meaning.labels))
    return tuple(findings)


def unknown_labels(words: Sequence[str], item: str) -> Finding:
    """LABEL_UNKNOWN with the first few words for what was left out."""
    rest = len(words) - _LISTED
    listed = ", ".join(words[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
    message = f"not in the label schema: {listed}"
    return catalog.LABEL_UNKNOWN.at(item, message, withheld=words[:_LISTED])


def shown(name: str) -> str:
    """A name as it may stand in a message: short, printable, quoted."""
    clean = "".join(c if c.isprintable() else " " for c in name)
    return f"'{clean[:40]}'"


def _unique(labels: Iterable[Label]) -> tuple[Label, ...]:
    return tuple(sorted(dict.fromkeys(labels), key=lambda label: label.value))
