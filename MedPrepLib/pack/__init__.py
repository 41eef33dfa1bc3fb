"""Packing: one case becomes one HDF5 file that is written once and never changed."""

from MedPrepLib.pack.case import PackedCase, StreamedImage
from MedPrepLib.pack.write import stream_case, write_case

__all__ = ["PackedCase", "StreamedImage", "stream_case", "write_case"]
