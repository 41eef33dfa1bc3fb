"""The definitions of surface distances written down once more, slowly, by distance transforms."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MedPrepLib.agree.surfacearea import CORNERS, element_areas


def border_voxels(mask):
    cross = ndimage.generate_binary_structure(3, 1)
    return mask & ~ndimage.binary_erosion(mask, cross, border_value=0)


def weighted_cells(mask, spacing_mm):
    """Flags and areas of cells, each voxel of a padded grid standing for the cell it begins."""
    padded = np.pad(mask, 1)
    case = np.zeros([n - 1 for n in padded.shape], int)
    for bit, (k, j, i) in enumerate(CORNERS):
        part = padded[k : k + case.shape[0], j : j + case.shape[1], i : i + case.shape[2]]
        case += part.astype(int) << bit
    return (case > 0) & (case < 255), element_areas(spacing_mm)[case]


def directed(points, targets, spacing_mm):
    away = ndimage.distance_transform_edt(~targets, sampling=spacing_mm[::-1])
    return away[points]


def area_within_95(distances, areas):
    for limit in np.unique(distances):
        if areas[distances <= limit].sum() >= 0.95 * areas.sum() * (1 - 1e-12):
            return limit
    raise AssertionError


def witness(a, b, spacing_mm, tolerance_mm):
    voxels_a, voxels_b = border_voxels(a), border_voxels(b)
    there = directed(voxels_a, voxels_b, spacing_mm)
    back = directed(voxels_b, voxels_a, spacing_mm)
    (cells_a, areas_a), (cells_b, areas_b) = (weighted_cells(m, spacing_mm) for m in (a, b))
    there_cells = directed(cells_a, cells_b, spacing_mm)
    back_cells = directed(cells_b, cells_a, spacing_mm)
    areas_a, areas_b = areas_a[cells_a], areas_b[cells_b]
    near = areas_a[there_cells <= tolerance_mm + 1e-9].sum()
    near += areas_b[back_cells <= tolerance_mm + 1e-9].sum()
    pooled = np.concatenate([there, back])
    return {
        "hausdorff_mm": pooled.max(),
        "hd95_max_mm": max(np.percentile(there, 95), np.percentile(back, 95)),
        "hd95_pooled_mm": np.percentile(pooled, 95),
        "hd95_area_mm": max(
            area_within_95(there_cells, areas_a), area_within_95(back_cells, areas_b)
        ),
        "assd_mm": pooled.sum() / pooled.size,
        "nsd": near / (areas_a.sum() + areas_b.sum()),
    }
