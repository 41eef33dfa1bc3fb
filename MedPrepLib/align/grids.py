"""Does a mask belong to its image, and how it comes onto the image's grid.

The judgment is one number, the largest displacement of corresponding grid corners in millimeters,
and a cause in words. Labels are never interpolated: they are snapped, moved as whole voxels, or
sampled with nearest neighbor (a tie goes to the higher index, floor(x + 0.5), as in ITK).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from MedPrepLib.align.resample import Sampling, resampled, sampling, voxels_inside
from MedPrepLib.catalog import (
    GRID_ADOPTED,
    GRID_MISMATCH,
    GRID_MOVED,
    GRID_RESAMPLED,
    GRID_ROUNDING,
    MASK_OUTSIDE,
    SPACING_SUSPECT,
)
from MedPrepLib.config.settings import Align
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import (
    LATTICE_TOLERANCE,
    LPS_TO_RAS,
    FloatArray,
    Geometry,
    Index,
    lattice_relation,
)
from MedPrepLib.results import GridVerdict, LabelChange, Verdict
from MedPrepLib.segmentation import Segmentation

METERS = "spacing in meters"
METERS_REMEDY = (
    "Write the mask again with spacing and origin in millimeters: 1000 times what it has now."
)
MIXUP = "RAS/LPS mix-up"
MIXUP_REMEDY = (
    "Write the mask again with x and y of its affine negated: it was saved in RAS coordinates "
    "that are read as LPS, or the reverse."
)


@dataclass(frozen=True, eq=False)
class Aligned:
    """A reading on the image grid, and what a person should know about how it got there.

    When a finding is GRID_MISMATCH the segmentation holds no segment: nothing was annotated.
    ``changes`` are there where voxels were sampled anew or cut off.
    """

    segmentation: Segmentation
    findings: tuple[Finding, ...]
    changes: tuple[LabelChange, ...] = ()


def compare_grids(image: Geometry, mask: Geometry, settings: Align) -> GridVerdict:
    """Judge how the grid of a mask lies to that of its image; sizes and affines only.

    same: at most ``same_mm`` apart. rounding: at most ``rounding_fraction`` of the smallest
    spacing apart along any axis. move: the mask's voxel centers are voxel centers of the image
    (within the same fraction), shifted, cropped, padded, flipped or permuted. resample: another
    grid that overlaps.
    reject: no overlap, a RAS/LPS mix-up, meters taken for millimeters, or another grid and
    ``settings.resample`` is off.
    """
    apart = image.displacement_mm(mask)
    limit = rounding_limit_mm(image, settings)
    if image.size == mask.size and apart <= settings.same_mm:
        return _verdict("same", apart, "identical grid", "the mask lies on the image's grid")
    along = along_axes_mm(image, mask)
    if image.size == mask.size and along <= limit:
        text = (
            "the grids differ by rounding of the header, "
            f"by {along:.3g} mm along an axis ({limit:.3g} mm is allowed)"
        )
        return _verdict("rounding", apart, "header rounding", text)
    snapped = snapped_to_lattice(image, mask)
    on_lattice = snapped if snapped and along_axes_mm(mask, snapped) <= limit else None
    if _is_mixup(image, mask, on_lattice, limit):
        text = "the mask fits the image only after x and y are negated"
        return _verdict("reject", apart, MIXUP, text)
    if _is_in_meters(image, mask, limit):
        text = "the mask fits the image only after its spacing is taken as meters"
        return _verdict("reject", apart, METERS, text)
    if not overlap(image, mask):
        return _verdict("reject", apart, "no overlap", "mask and image share no space")
    return _on_another_grid(image, mask, on_lattice, settings)


def _on_another_grid(
    image: Geometry, mask: Geometry, on_lattice: Geometry | None, settings: Align
) -> GridVerdict:
    apart = image.displacement_mm(mask)
    if on_lattice is not None:
        cause = _move_cause(image, on_lattice)
        return _verdict("move", apart, cause, f"the mask lies on the image's lattice, {cause}")
    cause = _resample_cause(image, mask)
    if not settings.resample:
        return _verdict("reject", apart, cause, f"the mask has {cause}; align.resample is off")
    return _verdict("resample", apart, cause, f"the mask has {cause} and is resampled")


def to_grid(
    segmentation: Segmentation, image: Geometry, verdict: GridVerdict, settings: Align, item: str
) -> Aligned:
    """The segmentation on the image's grid, as ``verdict`` (of :func:`compare_grids`) says.

    Labeled voxels that fall outside the image are counted (MASK_OUTSIDE), as are those that were
    drawn beyond the mask's own grid; if less than ``settings.min_overlap`` of them are inside,
    the reading is refused (GRID_MISMATCH).
    """
    if verdict.verdict == "reject":
        remedy = {MIXUP: MIXUP_REMEDY, METERS: METERS_REMEDY}.get(verdict.cause)
        refused = _refused(image, GRID_MISMATCH.at(item, verdict.sentence, remedy=remedy))
        if verdict.cause != METERS:
            return refused
        found = " x ".join(f"{s:.3g}" for s in segmentation.geometry.spacing)
        said = SPACING_SUSPECT.at(item, f"the voxels of the mask measure {found} mm")
        return replace(refused, findings=(*refused.findings, said))
    if verdict.verdict in ("same", "rounding"):
        notes = (GRID_ROUNDING.at(item, verdict.sentence),) if verdict.verdict == "rounding" else ()
        return _in_place(segmentation, image, notes, settings, item)
    moving = verdict.verdict == "move"
    how = _sampling(segmentation.geometry, image, moving=moving)
    inside, total = voxels_inside(segmentation, how)
    outside = _outside(inside, total + _beyond(segmentation), settings, item)
    if outside and outside[0].code == GRID_MISMATCH.code:
        return _refused(image, outside[0])
    if moving and not outside:
        layers = tuple(how.apply(layer) for layer in segmentation.layers)
        moved = Segmentation(layers, image, segmentation.segments)
        return Aligned(moved, (GRID_MOVED.at(item, verdict.sentence),))
    kind = GRID_MOVED if moving else GRID_RESAMPLED
    result, findings, changes = resampled(segmentation, how, verdict.sentence, item, kind)
    return Aligned(result, (*findings, *outside), changes)


def drawn_outside(segmentation: Segmentation, settings: Align, item: str) -> tuple[Finding, ...]:
    """MASK_OUTSIDE or GRID_MISMATCH for what was drawn beyond the grid of the segmentation."""
    beyond = _beyond(segmentation)
    if not beyond:
        return ()
    inside = sum(int(np.count_nonzero(layer)) for layer in segmentation.layers)
    return _outside(inside, inside + beyond, settings, item)


def _in_place(
    segmentation: Segmentation,
    image: Geometry,
    notes: tuple[Finding, ...],
    settings: Align,
    item: str,
) -> Aligned:
    outside = drawn_outside(segmentation, settings, item)
    if outside and outside[0].code == GRID_MISMATCH.code:
        return _refused(image, outside[0])
    return Aligned(replace(segmentation, geometry=image), (*notes, *outside))


def _beyond(segmentation: Segmentation) -> int:
    return sum(segment.outside for segment in segmentation.segments)


def adopted(segmentation: Segmentation, image: Geometry, settings: Align, item: str) -> Aligned:
    """The same voxels taken to lie on the image's grid, because a person says that they do.

    For masks whose header is wrong. A mask of another size is refused (GRID_MISMATCH): it cannot
    have been drawn voxel by voxel on this image. Neither can what was drawn beyond its grid; see
    :func:`to_grid`.
    """
    own = segmentation.geometry
    if own.size != image.size:
        text = f"the mask has {own.size} voxels, the image {image.size}: it has a grid of its own"
        return _refused(image, GRID_MISMATCH.at(item, f"{text}."))
    apart = image.displacement_mm(own)
    text = f"taken to lie on the image's grid; its own header lies {apart:.4g} mm away"
    return _in_place(segmentation, image, (GRID_ADOPTED.at(item, f"{text}."),), settings, item)


def rounding_limit_mm(image: Geometry, settings: Align) -> float:
    """The distance along an axis, mm, that still counts as rounding of the header."""
    return settings.rounding_fraction * min(image.spacing)


def along_axes_mm(grid: Geometry, other: Geometry) -> float:
    """The largest distance of corresponding corners along any one axis of ``grid``, mm.

    Rounded direction cosines move a corner along two or three axes at once; what matters to
    nearest-neighbor labels is the distance along each.
    """
    gaps = (other.corners_mm - grid.corners_mm) @ np.reshape(grid.direction, (3, 3))
    return float(np.abs(gaps).max())


def snapped_to_lattice(image: Geometry, mask: Geometry) -> Geometry | None:
    """The grid nearest to ``mask`` whose voxel centers are all those of ``image``'s lattice.

    None when the axes are turned so far that no axis of one follows one of the other.
    """
    to_image = np.linalg.solve(image.affine, mask.affine)
    whole = np.eye(4)
    whole[:3] = np.rint(to_image[:3])
    turns = np.abs(whole[:3, :3])
    if not ((turns.sum(axis=0) == 1).all() and (turns.sum(axis=1) == 1).all()):
        return None
    return Geometry.from_affine(image.affine @ whole, mask.size)


def overlap(image: Geometry, mask: Geometry) -> bool:
    """False when some axis of either grid separates the two boxes (voxel edges included)."""
    return _reaches(image, mask) and _reaches(mask, image)


def _reaches(target: Geometry, source: Geometry) -> bool:
    edges = np.array(np.meshgrid(*((-0.5, n - 0.5) for n in source.size))).reshape(3, -1)
    world = source.affine[:3, :3] @ edges + source.affine[:3, 3:]
    index = np.linalg.solve(target.affine[:3, :3], world - target.affine[:3, 3:])
    low, high = index.min(axis=1), index.max(axis=1)
    ends = np.array(target.size) - 0.5
    # Boxes that only touch share no voxel; rounding must not make them overlap.
    return bool((high > -0.5 + LATTICE_TOLERANCE).all() and (low < ends - LATTICE_TOLERANCE).all())


def _sampling(mask: Geometry, image: Geometry, *, moving: bool) -> Sampling:
    snapped = snapped_to_lattice(image, mask) if moving else None
    return sampling(image, mask if snapped is None else snapped)


def _is_mixup(image: Geometry, mask: Geometry, on_lattice: Geometry | None, limit: float) -> bool:
    """True when the mask fits with x and y negated, and as it is does not cover the image.

    A volume centered on the origin maps onto itself when x and y are negated; then the mask as
    it is covers the image exactly (a flip) and nothing is wrong with it.
    """
    negated = Geometry.from_affine(LPS_TO_RAS @ mask.affine, mask.size)
    if image.size == mask.size and along_axes_mm(image, negated) <= limit:
        return on_lattice is None or not _covers(image, on_lattice)
    if overlap(image, mask):
        return False
    snapped = snapped_to_lattice(image, negated)
    return snapped is not None and (
        along_axes_mm(negated, snapped) <= limit and overlap(image, snapped)
    )


def _is_in_meters(image: Geometry, mask: Geometry, limit: float) -> bool:
    """True when the mask, a thousand times as large, has the image's lattice and overlaps it."""
    if max(mask.spacing) * 100 > min(image.spacing):
        return False
    large = np.diag([1000.0, 1000.0, 1000.0, 1.0]) @ mask.affine
    scaled = Geometry.from_affine(large, mask.size)
    snapped = snapped_to_lattice(image, scaled)
    return (
        snapped is not None and along_axes_mm(scaled, snapped) <= limit and overlap(image, snapped)
    )


def _covers(image: Geometry, on_lattice: Geometry) -> bool:
    start, stop = _box(image, on_lattice)
    return start == (0, 0, 0) and stop == image.size


def _box(image: Geometry, on_lattice: Geometry) -> tuple[Index, Index]:
    """The box of a grid on the image's lattice, in image indices, ``stop`` exclusive."""
    corners = np.rint([image.index_at(corner) for corner in on_lattice.corners_mm]).astype(int)
    (a, b, c), (x, y, z) = corners.min(axis=0).tolist(), (corners.max(axis=0) + 1).tolist()
    return (a, b, c), (x, y, z)


def _move_cause(image: Geometry, on_lattice: Geometry) -> str:
    lattice = lattice_relation(image, on_lattice)
    start, stop = _box(image, on_lattice)
    parts = []
    if lattice.axes != (0, 1, 2):
        parts.append("axes permuted to " + "".join("ijk"[a] for a in lattice.axes))
    flipped = [axis for axis, scale in zip("ijk", lattice.scale, strict=True) if scale < 0]
    if flipped:
        parts.append("flipped along axis " + " and ".join(flipped))
    parts.append(_extent_cause(image.size, start, stop))
    return ", ".join(part for part in parts if part)


def _extent_cause(size: Index, start: Index, stop: Index) -> str:
    if start == (0, 0, 0) and stop == size:
        return ""
    within = all(a >= 0 and b <= n for a, b, n in zip(start, stop, size, strict=True))
    if within:
        return f"cropped to voxels {start} to {stop} of {size}"
    beyond = all(a <= 0 and b >= n for a, b, n in zip(start, stop, size, strict=True))
    if beyond:
        return f"padded around the image to voxels {start} to {stop}"
    return f"other origin, shifted by {start} voxels"


def _resample_cause(image: Geometry, mask: Geometry) -> str:
    angle = _largest_angle_deg(image, mask)
    to_image: FloatArray = np.linalg.solve(image.affine[:3, :3], mask.affine[:3, :3]).astype(float)
    axes = np.abs(to_image).argmax(axis=0)
    if angle > 0 and _off_axis_mm(to_image, axes, image, mask) > LATTICE_TOLERANCE:
        return f"other orientation (turned by {angle:.3g} degrees)"
    spacings = [image.spacing[a] for a in axes]
    drift = np.abs(np.array(spacings) - mask.spacing) * np.maximum(np.array(mask.size) - 1, 1)
    if drift.max() > LATTICE_TOLERANCE:
        return f"other spacing ({_numbers(mask.spacing)} mm against {_numbers(image.spacing)} mm)"
    return "other origin only (a shift by a fraction of a voxel)"


def _off_axis_mm(
    to_image: FloatArray, axes: npt.NDArray[np.intp], image: Geometry, mask: Geometry
) -> float:
    """How far the far end of the mask's axes lies from the image's axes, mm."""
    off = np.abs(to_image).copy()
    off[axes, range(3)] = 0.0
    reach = np.maximum(np.array(mask.size) - 1, 1)
    return float((off * reach * np.array(image.spacing)[:, None]).max())


def _largest_angle_deg(image: Geometry, mask: Geometry) -> float:
    """The largest angle between an axis of the mask and the image axis nearest to it."""
    cosines = np.abs(
        np.reshape(image.direction, (3, 3)).T @ np.reshape(mask.direction, (3, 3))
    ).max(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).max())


def _numbers(values: tuple[float, ...]) -> str:
    return " x ".join(f"{v:.4g}" for v in values)


def _verdict(verdict: Verdict, apart: float, cause: str, sentence: str) -> GridVerdict:
    # Below a tenth of a micrometer, digits tell of floating point and of nothing else.
    distance = "less than 0.0001" if 0 < apart < 0.0001 else f"{apart:.4g}"
    return GridVerdict(verdict, apart, cause, f"{sentence}; corners are {distance} mm apart.")


def _refused(image: Geometry, finding: Finding) -> Aligned:
    empty = np.zeros(image.shape, dtype=np.uint8)
    return Aligned(Segmentation((empty,), image, ()), (finding,))


def _outside(inside: int, total: int, settings: Align, item: str) -> tuple[Finding, ...]:
    if inside == total:
        return ()
    part = inside / total
    text = f"{total - inside} of {total} labeled voxels ({1 - part:.1%}) lie outside the image"
    if part < settings.min_overlap:
        limit = f"; at least {settings.min_overlap:.0%} must lie inside."
        return (GRID_MISMATCH.at(item, text + limit),)
    return (MASK_OUTSIDE.at(item, text + "."),)
