"""Alignment: does a mask lie on its image's grid, why not, and how it gets there.

``grids`` judges geometries in millimeters, ``resample`` moves labels between lattices.
"""

from MedPrepLib.align.grids import Aligned, adopted, compare_grids, drawn_outside, to_grid

__all__ = ["Aligned", "adopted", "compare_grids", "drawn_outside", "to_grid"]
