"""Packing: one case becomes one HDF5 file that is written once and never changed."""

from MedPrepLib.pack.case import PackedCase
from MedPrepLib.pack.write import write_case

__all__ = ["PackedCase", "write_case"]
