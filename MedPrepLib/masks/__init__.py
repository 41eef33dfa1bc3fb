"""Readings in files: what raters drew, with the names and values of the file, then of the schema.

``labelmaps`` reads NIfTI, NRRD, .seg.nrrd and MetaImage label maps, ``rtstruct`` and
``dicomseg`` the DICOM objects, ``reading`` a whole reading matched with the label schema, and
``layers`` puts segments of one grid together.
"""

from MedPrepLib.masks.dicomseg import read_dicom_seg
from MedPrepLib.masks.labelmaps import read_mask
from MedPrepLib.masks.layers import Merged, merge
from MedPrepLib.masks.matching import common_schema
from MedPrepLib.masks.objects import kind_of
from MedPrepLib.masks.reading import LoadedReading, load_reading, read_any_mask
from MedPrepLib.masks.rtstruct import read_rtstruct

__all__ = [
    "LoadedReading",
    "Merged",
    "common_schema",
    "kind_of",
    "load_reading",
    "merge",
    "read_any_mask",
    "read_dicom_seg",
    "read_mask",
    "read_rtstruct",
]
