"""Exact traces: a hash of the whole image, and one of every slice that shows something.

They are plain hashes of pixels, so they stay in the private folder; no cohort holds them
(whoever has the original would find it again).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.leakage.canonical import canonical

SLICE_HASH_CHARACTERS = 24
"""Of the SHA-256 in hex, 96 bits: among 10 million slices a chance of 1e-15 for two equal ones."""

LEAST_CONTENT = 0.01
"""Share of a slice's voxels that must differ from its middle border value: slices that are
air all over are equal without being copies."""

THICKER = 1.01
"""An axis is the slice axis when its spacing is at least this many times that of the others."""


@dataclass(frozen=True)
class ImageHashes:
    """``image``: SHA-256 in hex of the whole; ``slices``: of slices with content, in order."""

    image: str
    slices: tuple[str, ...]


def image_hashes(volume: Volume) -> ImageHashes:
    """Hashes that a new name, new UIDs, another file format or flipped axes do not change.

    Slices are those of the thickest axis, else of the last one stored. Whole numbers hash alike
    whatever type stores them, for a NIfTI file may hold as float what DICOM holds as int16.
    """
    array, spacing = canonical(volume)
    whole = hashlib.sha256(repr(array.shape).encode())
    slices = []
    for plane in np.moveaxis(array, _slice_axis(volume, spacing), 0):
        data = _plain(plane)
        digest = hashlib.sha256(repr((data.shape, data.dtype.str)).encode())
        digest.update(data.data)
        whole.update(digest.digest())
        if _shows_something(data):
            slices.append(digest.hexdigest()[:SLICE_HASH_CHARACTERS])
    return ImageHashes(whole.hexdigest(), tuple(slices))


def _slice_axis(volume: Volume, spacing: tuple[float, float, float]) -> int:
    thickest = int(np.argmax(spacing))
    others = [width for axis, width in enumerate(spacing) if axis != thickest]
    if spacing[thickest] >= THICKER * max(others):
        return thickest
    stored = np.abs(np.reshape(volume.geometry.direction, (3, 3))[:, 2])
    return 2 - int(np.argmax(stored))


def _plain(plane: VoxelArray) -> VoxelArray:
    """Little-endian int16 or int32 where every voxel is a whole number that fits, else float32."""
    if plane.dtype == np.int16:
        return np.ascontiguousarray(plane, dtype="<i2")
    if not np.array_equal(np.rint(plane), plane):
        return np.ascontiguousarray(plane, dtype="<f4")
    low, high = plane.min(), plane.max()
    for name in ("<i2", "<i4"):
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
            return np.ascontiguousarray(plane, dtype=name)
    return np.ascontiguousarray(plane, dtype="<f4")


def _shows_something(plane: VoxelArray) -> bool:
    border = np.concatenate((plane[0], plane[-1], plane[:, 0], plane[:, -1]))
    background = np.sort(border)[border.size // 2]
    return bool((plane != background).mean() >= LEAST_CONTENT)
