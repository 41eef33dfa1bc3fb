"""One set of boxes out of several raters': what enough of them saw, where most of them saw it.

Boxes of one label are clustered across raters by IoU, at most one box per rater in a cluster:
the two clusters with the highest mean IoU between their boxes are joined first, as long as that
mean reaches the limit (average linkage; Sokal and Michener, 1958). A cluster that enough raters
support becomes one box by coordinate-wise median; the others are kept apart as dissent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from MedPrepLib.agree.boxes import MATCH_IOU, ROUNDING, box_order
from MedPrepLib.boxes import AnyBox, WorldBox, from_frame, in_frame, index_box, iou_matrix
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.results import Box, MergedBox


@dataclass(frozen=True)
class BoxConsensus(Generic[AnyBox]):
    """``boxes``: those that at least ``quorum`` of the ``raters`` drew; ``dissent``: the others.

    ``tied``: how many boxes exactly half of the raters drew. Half is no majority, so unless the
    quorum was lowered they are dissent. Boxes are sorted by label and place.
    """

    boxes: tuple[MergedBox[AnyBox], ...]
    dissent: tuple[MergedBox[AnyBox], ...]
    raters: tuple[str, ...]
    quorum: int
    limit: float
    tied: int


def merge_boxes(
    readings: Mapping[str, Sequence[AnyBox]],
    quorum: int | None = None,
    limit: float = MATCH_IOU,
    *,
    geometry: Geometry | None = None,
) -> BoxConsensus[AnyBox]:
    """The consensus of several raters' boxes; a rater without boxes has read and found none.

    ``quorum``: raters who must have drawn a box, by default more than half of all. ``limit``: mean
    IoU from which (inclusive) boxes are joined. Equal IoU are taken in order of rater name, then
    of place, so the order of raters and boxes never matters. Boxes of voxels: median of start and
    stop; half a voxel (even number of boxes) goes outward. Boxes in the world: median of the six
    faces along the axes of the box that is most like the others. ``geometry``: the grid of the
    image, needed for boxes of voxels. Raises GeometryError when it is missing, for a quorum below
    1 or above the number of raters, and for boxes of two kinds.
    """
    raters = tuple(sorted(readings))
    needed = len(raters) // 2 + 1 if quorum is None else quorum
    if not 1 <= needed <= max(len(raters), 1):
        raise GeometryError(f"a quorum of {needed} of {len(raters)} raters is impossible")
    drawn = [(rater, box) for rater in raters for box in sorted(readings[rater], key=box_order)]
    merged: list[MergedBox[AnyBox]] = []
    for label in sorted({box.label for _, box in drawn}):
        own = [(rater, box) for rater, box in drawn if box.label == label]
        boxes = [box for _, box in own]
        between = iou_matrix(boxes, boxes)
        for members in _clusters([rater for rater, _ in own], between, limit):
            names = tuple(own[m][0] for m in members)
            within = between[np.ix_(members, members)]
            merged.append(_merged([boxes[m] for m in members], names, within, geometry))
    merged.sort(key=lambda m: (box_order(m.box), m.raters))
    return BoxConsensus(
        boxes=tuple(m for m in merged if len(m.raters) >= needed),
        dissent=tuple(m for m in merged if len(m.raters) < needed),
        raters=raters,
        quorum=needed,
        limit=limit,
        tied=sum(2 * len(m.raters) == len(raters) for m in merged),
    )


def quorum_of(wanted: int, raters: int) -> int | None:
    """How many of ``raters`` must have drawn a box where ``wanted`` are asked for: all, if fewer.

    None, for more than half, where ``wanted`` is 0.
    """
    return min(wanted, raters) if wanted else None


def _clusters(raters: Sequence[str], between: FloatArray, limit: float) -> list[list[int]]:
    """Positions of boxes that belong together, never two of one rater."""
    members = [[n] for n in range(len(raters))]
    own = np.array(raters)
    mean = between.copy()
    mean[own[:, None] == own[None, :]] = -1.0  # these may never be joined
    while mean.size:
        best = mean.max()
        if best <= 0 or best < limit - ROUNDING:
            break
        # Equal up to rounding: the first in order of rater and place.
        row, column = (int(n) for n in np.argwhere(mean >= best - ROUNDING)[0])
        left, right = len(members[row]), len(members[column])
        joined = (left * mean[row] + right * mean[column]) / (left + right)
        joined[(mean[row] < 0) | (mean[column] < 0)] = -1.0
        mean[row], mean[:, row] = joined, joined
        mean[column], mean[:, column] = -1.0, -1.0
        members[row], members[column] = sorted(members[row] + members[column]), []
    return [cluster for cluster in members if cluster]


def _merged(
    boxes: Sequence[AnyBox],
    raters: tuple[str, ...],
    between: FloatArray,
    geometry: Geometry | None,
) -> MergedBox[AnyBox]:
    pairs = between[np.triu_indices(len(boxes), 1)]
    low, mean = (float(pairs.min()), float(pairs.mean())) if pairs.size else (None, None)
    most_alike = int(np.argmax(np.round(between.sum(axis=1), 9)))
    return MergedBox(_median(boxes, boxes[most_alike], geometry), raters, low, mean)


def _median(boxes: Sequence[AnyBox], frame: AnyBox, geometry: Geometry | None) -> AnyBox:
    if isinstance(frame, WorldBox):
        faces = [in_frame(box, frame) for box in boxes if isinstance(box, WorldBox)]
        return from_frame(np.median(faces, axis=0), frame) if len(boxes) > 1 else frame
    if geometry is None:
        raise GeometryError("boxes of voxels can only be merged on the grid of their image")
    whole = [box for box in boxes if isinstance(box, Box)]
    start = np.floor(np.median([box.start for box in whole], axis=0)).astype(int)
    stop = np.ceil(np.median([box.stop for box in whole], axis=0)).astype(int)
    i, j, k = start.tolist()
    x, y, z = stop.tolist()
    return index_box(frame.label, (i, j, k), (x, y, z), geometry)
