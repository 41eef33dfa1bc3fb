"""What the sample study consists of, once it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.sample.flaws import Flaws


@dataclass(frozen=True)
class SampleCase:
    """One case of the sample study and what should become of it.

    ``id`` is center/patient/case, as a folder source names it. ``geometry`` is the image's grid;
    ``lesion_center_mm`` (LPS) lies inside the lesion; None where there is none.
    """

    id: str
    center: str
    patient: str
    modality: str
    folder: Path
    readers: tuple[str, ...]
    geometry: Geometry
    lesion_center_mm: Triple | None
    flaw: Flaws

    @property
    def included(self) -> bool:
        """True when the case should enter the cohort."""
        return self.flaw.value.included


@dataclass(frozen=True)
class SampleStudy:
    """What :func:`write_sample` wrote."""

    folder: Path
    study_file: Path
    expected_file: Path
    cases: tuple[SampleCase, ...]
