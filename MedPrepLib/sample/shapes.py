"""Implicit shapes: fields of signed distances in millimeters, positive inside.

All arithmetic is element by element with + - * / and sqrt, which every machine rounds alike
(see noise.py). Distances are good near the surface, where they matter, and rough elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.sample.noise import FloatField, Seed

F = np.float32


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the voxels of some slices lie: LPS millimeters from the middle of the anatomy.

    ``slices`` are those of the grid ``geometry`` that the arrays x, y, z (k, j, i) cover.
    """

    geometry: Geometry
    slices: range
    x: FloatField
    y: FloatField
    z: FloatField

    @classmethod
    def of(cls, geometry: Geometry, center_mm: Triple, slices: range) -> Frame:
        """The frame of some slices of a grid whose anatomy is centered at ``center_mm`` (LPS)."""
        ni, nj, _ = geometry.size
        i = np.arange(ni).reshape(1, 1, ni)
        j = np.arange(nj).reshape(1, nj, 1)
        k = np.arange(slices.start, slices.stop).reshape(-1, 1, 1)
        a = geometry.affine
        x, y, z = (
            np.asarray(
                i * a[row, 0] + j * a[row, 1] + (k * a[row, 2] + (a[row, 3] - center_mm[row])),
                dtype=np.float32,
            )
            for row in range(3)
        )
        return cls(geometry, slices, x, y, z)

    def smooth(self, seed: Seed, length_mm: float) -> FloatField:
        """Smooth noise, mean 0 and sigma about 1, with blobs of some ``length_mm``."""
        return seed.smooth(self.geometry, length_mm, self.slices)

    def white(self, seed: Seed) -> FloatField:
        """Independent, nearly Gaussian noise with mean 0 and sigma 1."""
        return seed.of(f"from slice {self.slices.start}").white(self.x.shape)

    def warped(self, seed: Seed, length_mm: float, amount_mm: float) -> Frame:
        """The same places after a smooth random displacement with sigma ``amount_mm``."""
        amount = F(amount_mm)
        return replace(
            self,
            x=self.x + amount * self.smooth(seed.of("x"), length_mm),
            y=self.y + amount * self.smooth(seed.of("y"), length_mm),
            z=self.z + amount * self.smooth(seed.of("z"), length_mm),
        )

    def scaled(self, factors: Triple) -> Frame:
        """The frame in which the same anatomy appears ``factors`` times as large."""
        fx, fy, fz = factors
        return replace(self, x=self.x / F(fx), y=self.y / F(fy), z=self.z / F(fz))

    def reaches(self, center: Triple, radii: Triple) -> bool:
        """False when these slices are sure to miss a box of twice ``radii`` around ``center``."""
        return all(
            low - radius < middle < high + radius
            for (low, high), middle, radius in zip(self._bounds, center, radii, strict=True)
        )

    @cached_property
    def _bounds(self) -> list[tuple[float, float]]:
        return [(float(axis.min()), float(axis.max())) for axis in (self.x, self.y, self.z)]

    def ellipsoid(self, center: Triple, radii: Triple) -> FloatField:
        """Signed distance to an ellipsoid, first order: r (1 - r) / |grad|."""
        squares = np.zeros_like(self.x)
        slopes = np.zeros_like(self.x)
        for axis, middle, radius in zip((self.x, self.y, self.z), center, radii, strict=True):
            u = axis - F(middle)
            u *= F(1 / radius)
            u *= u
            squares += u
            u *= F(1 / (radius * radius))
            slopes += u
        r = np.sqrt(squares, out=squares)
        slope = np.sqrt(slopes, out=slopes)
        slope += F(1e-4)
        distance = F(1) - r
        distance *= r
        distance /= slope
        return distance

    def cylinder(self, x: FloatField | float, y: FloatField | float, radius: float) -> FloatField:
        """Signed distance to an upright tube around (x, y), which may depend on the place."""
        u, v = self.x - np.float32(x), self.y - np.float32(y)
        u *= u
        v *= v
        u += v
        np.sqrt(u, out=u)
        distance: FloatField = np.subtract(F(radius), u, out=u)
        return distance


def mix(image: FloatField, value: FloatField | float, weight: FloatField) -> FloatField:
    """``image`` where the weight is 0, ``value`` where it is 1, partial volume between."""
    change = np.float32(value) - image
    change *= weight
    change += image
    return change


def with_blob(
    image: FloatField,
    frame: Frame,
    value: float,
    center: Triple,
    radii: Triple,
    edge_mm: float = 2.0,
) -> FloatField:
    """The image with an ellipsoid of ``value``; slices out of its reach stay as they are."""
    margin = edge_mm + 4.0
    if not frame.reaches(center, (radii[0] + margin, radii[1] + margin, radii[2] + margin)):
        return image
    return mix(image, value, inside(frame.ellipsoid(center, radii), edge_mm))


def inside(distance_mm: FloatField, edge_mm: float = 2.0) -> FloatField:
    """The weight of a shape: 1 inside, 0 outside, a linear edge of ``edge_mm`` between."""
    return unit(F(0.5) + distance_mm * F(1 / edge_mm))


def unit(field: npt.NDArray[np.floating[Any]]) -> FloatField:
    """The values limited to 0..1."""
    return np.asarray(np.clip(field, F(0), F(1)), dtype=np.float32)


def stripes(phase: FloatField, period: float) -> FloatField:
    """Distance to the nearest multiple of ``period`` (a triangle wave)."""
    turns = phase / F(period)
    return np.asarray(np.abs(turns - np.rint(turns)) * F(period), dtype=np.float32)


def blurred(image: FloatField, axes: tuple[int, ...] = (1, 2)) -> FloatField:
    """The image after a (1, 2, 1) / 4 filter along ``axes``; edges are repeated."""
    for axis in axes:
        pad = [(1, 1) if a == axis else (0, 0) for a in range(image.ndim)]
        wide = np.moveaxis(np.pad(image, pad, mode="edge"), axis, 0)
        mean = (wide[:-2] + wide[2:] + F(2) * wide[1:-1]) * F(0.25)
        image = np.moveaxis(mean, 0, axis)
    return np.ascontiguousarray(image)
