"""An image as the body lies, however its file orders the axes."""

from __future__ import annotations

import itertools

import numpy as np

from MedPrepLib.geometry import Triple
from MedPrepLib.images import Volume, VoxelArray


def canonical(volume: Volume) -> tuple[VoxelArray, Triple]:
    """A view of the voxels whose axes run to Superior, Posterior and Left, and their spacing.

    Array and spacing (mm) are in the order of array axes. Every index axis is given to the world
    axis that it follows best (oblique grids: the closest permutation), so a flip or a permutation
    of the stored axes changes nothing.
    """
    direction = np.reshape(volume.geometry.direction, (3, 3))
    follows = max(
        itertools.permutations(range(3)),
        key=lambda axes: sum(abs(direction[world, axis]) for world, axis in enumerate(axes)),
    )
    order = [2 - follows[world] for world in (2, 1, 0)]
    flips = tuple(
        slice(None, None, -1 if direction[world, follows[world]] < 0 else None)
        for world in (2, 1, 0)
    )
    z, y, x = (volume.geometry.spacing[follows[world]] for world in (2, 1, 0))
    return volume.array.transpose(order)[flips], (z, y, x)
