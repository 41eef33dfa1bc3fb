"""Alignment: does a mask lie on its image's grid, why not, and how it gets there.

``grids`` judges geometries in millimeters, ``resample`` moves labels between lattices.
"""

from MedPrepLib.align.grids import Aligned, compare_grids, to_grid

__all__ = ["Aligned", "compare_grids", "to_grid"]
