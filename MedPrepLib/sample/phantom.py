"""What the anatomies share: the lesion, and the image with its true surfaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.sample.noise import FloatField, Seed
from MedPrepLib.sample.shapes import F, Frame, unit


@dataclass(frozen=True)
class Lesion:
    """Where a lesion lies (millimeters from the middle of the anatomy) and how large it is."""

    center: Triple
    radius_mm: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """An invented scan. All arrays are (k, j, i).

    image: HU or MR intensities. organ_mm, lesion_mm: signed distances to the true surfaces,
    positive inside; lesion_mm is negative everywhere when there is no lesion.
    """

    geometry: Geometry
    image: FloatField
    organ_mm: FloatField
    lesion_mm: FloatField


Painted = tuple[FloatField, FloatField, FloatField]
"""Image, organ_mm and lesion_mm of some slices."""

NOWHERE_MM = -1e3
"""The signed distance to a lesion in slices that lie far from it, or where there is none."""

_FAR_MM = 32.0
"""Beyond this distance from its surface nothing of a lesion shows, nor any edema around it."""

_SLAB = 8
"""Slices painted at once: the fields of a slab stay in the processor's cache."""


def painted(geometry: Geometry, center_mm: Triple, paint: Callable[[Frame], Painted]) -> Phantom:
    """The phantom that ``paint`` makes, slab by slab; its middle lies at ``center_mm`` (LPS)."""
    count = geometry.size[2]
    slabs = [
        paint(Frame.of(geometry, center_mm, range(k, min(k + _SLAB, count))))
        for k in range(0, count, _SLAB)
    ]
    image, organ, lesion = (np.concatenate(fields) for fields in zip(*slabs, strict=True))
    return Phantom(geometry, image, organ, lesion)


def lesion_field(frame: Frame, lesion: Lesion | None, seed: Seed) -> FloatField:
    """The signed distance to an irregular, lobed lesion (its center always lies inside)."""
    if lesion is None or not frame.reaches(lesion.center, (lesion.radius_mm + _FAR_MM,) * 3):
        return np.full(frame.x.shape, NOWHERE_MM, dtype=np.float32)
    r = lesion.radius_mm
    stretch = [seed.of(axis).uniform(0.85, 1.2) * r for axis in "xyz"]
    field = frame.ellipsoid(lesion.center, (stretch[0], stretch[1], stretch[2]))
    lobes = frame.smooth(seed.of("lobes"), 0.9 * r)
    spikes = frame.smooth(seed.of("spikes"), 0.4 * r)
    near = unit(F(1.5) + field / F(r))
    return field + near * (F(0.16 * r) * lobes + F(0.07 * r) * spikes)
