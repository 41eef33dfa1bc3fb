"""What readers of mask objects notice about single segments, said of the labels these mean.

An object may hold dozens of regions that no study asks for; what is wrong with those is no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from MedPrepLib import catalog
from MedPrepLib.findings import Finding, Kind
from MedPrepLib.masks.matching import Match
from MedPrepLib.segmentation import Segment, Segmentation


@dataclass(frozen=True)
class Remark:
    """Something that a person should know about ``segment`` if it means a label.

    Without a segment it is about the whole object. ``lost``: the segment could not be read and is
    not in the segmentation.
    """

    segment: Segment | None
    kind: Kind
    message: str
    lost: bool = False


@dataclass(frozen=True, eq=False)
class Drawn:
    """A mask file as it was read. ``named``: its segments have names, even if there are none.

    ``open_only``: what it lists and draws as points or open lines, which enclose nothing.
    """

    segmentation: Segmentation
    remarks: tuple[Remark, ...] = ()
    named: bool = True
    open_only: tuple[Segment, ...] = ()

    @property
    def lost(self) -> tuple[Segment, ...]:
        """The segments that the file lists and that could not be read, each once."""
        return tuple(dict.fromkeys(r.segment for r in self.remarks if r.lost and r.segment))

    @property
    def listed(self) -> Segmentation:
        """The segmentation with the lost segments, to see what they mean."""
        everything = (*self.segmentation.segments, *self.lost)
        return replace(self.segmentation, segments=everything)


def with_nothing_left(drawn: Drawn, meaning: Match) -> Drawn:
    """The drawing, in which a label of nothing but vanished regions (LESION_LOST) is lost.

    Somebody drew it: that nothing of it fell on a voxel does not say that there is nothing.
    """
    if not any(remark.kind is catalog.LESION_LOST for remark in drawn.remarks):
        return drawn
    found = drawn.segmentation
    shown = {
        meaning.labels[name].name
        for name in found.names
        if name in meaning.labels and found.mask(name).any()
    }

    def is_lost(remark: Remark) -> bool:
        label = meaning.labels.get(remark.segment.name) if remark.segment else None
        vanished = remark.kind is catalog.LESION_LOST
        return vanished and label is not None and label.name not in shown

    lost = {r.segment.name for r in drawn.remarks if r.segment and is_lost(r)}
    return replace(
        drawn,
        segmentation=replace(
            found, segments=tuple(s for s in found.segments if s.name not in lost)
        ),
        remarks=tuple(
            replace(r, kind=catalog.REGION_LEFT_OUT, lost=True) if is_lost(r) else r
            for r in drawn.remarks
        ),
    )


def without_lost(meaning: Match, lost: Sequence[Segment]) -> Match:
    """The meaning of what was read; a label that lost a region is not annotated."""
    missing = {meaning.labels[s.name].name for s in lost if s.name in meaning.labels}
    return replace(
        meaning,
        labels={name: x for name, x in meaning.labels.items() if x.name not in missing},
        annotated=tuple(x for x in meaning.annotated if x.name not in missing),
    )


def remark_findings(remarks: Sequence[Remark], meaning: Match, item: str) -> tuple[Finding, ...]:
    """The remarks on segments that mean a label, and those on the object."""
    findings = []
    for remark in remarks:
        if remark.segment is None:
            findings.append(remark.kind.at(item, remark.message))
        elif remark.segment.name in meaning.labels:
            label = meaning.labels[remark.segment.name].name
            findings.append(remark.kind.at(item, f"label {label!r}: {remark.message}"))
    return tuple(findings)
