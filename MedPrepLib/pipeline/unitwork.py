"""What unit the voxels of an image have: Hounsfield units, SUV, or whatever the source stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.findings import Finding
from MedPrepLib.images import Volume
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.results import Unit
from MedPrepLib.screen import modality_of

PET = frozenset({"PT", "PET"})


@dataclass(frozen=True, eq=False)
class InUnits:
    """A volume, the value that marks its padding, its unit, and what is to be said of that."""

    volume: Volume
    padding: float | None
    unit: Unit
    findings: tuple[Finding, ...] = ()


def in_units(task: CaseTask, volume: Volume, padding: float | None) -> InUnits:
    """The image in the unit that its modality has: PET as SUV where the study asks for it.

    A PET whose attributes do not give the factor keeps its values, with SUV_UNKNOWN.
    """
    from MedPrepLib.dicom.suv import SuvUnknownError, suv_factor

    case = task.candidate.case
    modality = modality_of(case).upper()
    if modality == "CT":
        return InUnits(volume, padding, "HU")
    if modality not in PET or task.study.standardize.pet == "stored":
        return InUnits(volume, padding, "stored")
    if not task.candidate.slices:
        text = "the PET is a file without a DICOM header, so that its unit is unknown"
        return InUnits(volume, padding, "stored", (catalog.SUV_UNKNOWN.at(task.name, text),))
    try:
        factor = suv_factor(task.candidate.slices[0])
    except SuvUnknownError as error:
        return InUnits(volume, padding, "stored", (catalog.SUV_UNKNOWN.at(task.name, f"{error}"),))
    return _scaled(volume, padding, np.float32(factor))


def _scaled(volume: Volume, padding: float | None, factor: np.float32) -> InUnits:
    """Every voxel times the factor, as float32; the padding value goes through the same product."""
    if factor == 1:
        return InUnits(volume, padding, "SUVbw")
    scaled = np.multiply(volume.array, factor, dtype=np.float32)
    mark = None if padding is None else float(np.float32(padding) * factor)
    return InUnits(volume.with_array(scaled), mark, "SUVbw")
