"""Who is in the sample study: invented patients, their scans, and who read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from MedPrepLib.geometry import Index, Triple
from MedPrepLib.sample.flaws import Flaws
from MedPrepLib.sample.phantom import Lesion

Plane = Literal["axial", "sagittal", "coronal", "oblique"]
Form = Literal["seg", "seg-cropped", "seg-layers", "nifti", "nifti-backwards"]
"""How a reading is saved: one-layer .seg.nrrd, the same cut to what was drawn, with overlapping
layers; NIfTI label map, the same with its in-plane axes stored from the other end."""


@dataclass(frozen=True)
class Grid:
    """The voxel grid of a scan: (i, j, k) sizes, millimeters, and how it lies in the body."""

    size: Index
    spacing: Triple
    plane: Plane = "axial"


@dataclass(frozen=True)
class Person:
    """An invented patient."""

    id: str
    center: str
    sex: Literal["M", "F"]
    age: int


@dataclass(frozen=True)
class Plan:
    """One case: whom it shows, how it is scanned, who reads it, and what is wrong with it."""

    person: Person
    name: str
    device: str
    sequence: Literal["CT", "T1", "T2", "FLAIR"]
    grid: Grid
    lesion: Lesion | None
    readers: tuple[tuple[str, Form], ...]
    flaw: Flaws = Flaws.NONE
    files: Literal["dcm", "bare", "shuffled"] = "dcm"
    same_scan_as: str = ""
    """The id of the case whose scan this is (exported again under another patient id)."""

    @property
    def id(self) -> str:
        """The case id that a folder source gives it: center/patient/case."""
        return f"{self.person.center}/{self.person.id}/{self.name}"

    @property
    def modality(self) -> str:
        """The DICOM modality."""
        return "CT" if self.sequence == "CT" else "MR"


_CT_A = Grid((128, 128, 46), (2.6, 2.6, 3.5))
_CT_B = Grid((120, 120, 42), (2.8, 2.8, 3.75))
_CT_C = Grid((128, 112, 44), (2.65, 2.65, 3.6))
_MR_A = Grid((112, 128, 40), (1.75, 1.75, 4.0))
_MR_TILTED = Grid((112, 136, 44), (1.75, 1.7, 3.6), "oblique")
_MR_SIDE = Grid((136, 120, 44), (1.7, 1.7, 3.8), "sagittal")
_MR_FRONT = Grid((112, 116, 50), (1.75, 1.75, 4.2), "coronal")
_MR_THICK = Grid((120, 136, 26), (1.7, 1.7, 6.5))

_SEG: Form = "seg"
_THREE: tuple[tuple[str, Form], ...] = (("ana", "seg"), ("ben", "nifti"), ("chen", "seg-cropped"))
_TWO: tuple[tuple[str, Form], ...] = (("ana", "seg"), ("ben", "nifti"))
_LAYERS: tuple[tuple[str, Form], ...] = (("ana", "seg-layers"), ("ben", "nifti"), ("chen", "seg"))
_BACK: tuple[tuple[str, Form], ...] = (
    ("ana", "seg"),
    ("ben", "nifti-backwards"),
    ("chen", "nifti"),
)
# A label map cannot tell "nothing found" from "not looked for"; a .seg.nrrd can.
_HEALTHY: tuple[tuple[str, Form], ...] = (("ana", _SEG), ("ben", _SEG))

_MEYER = Person("LC-0003", "north", "M", 67)
_BROOK = Person("BR-0005", "south", "F", 58)

ROSTER: tuple[Plan, ...] = (
    # north: seven patients, mostly chest CT
    Plan(
        _MEYER,
        "baseline",
        "siemens-ct",
        "CT",
        _CT_A,
        Lesion((-66, 14, 10), 13.0),
        _THREE,
        Flaws.BYSTANDERS,
    ),
    Plan(_MEYER, "followup", "ge-ct", "CT", _CT_B, Lesion((-64, 16, 12), 15.5), _LAYERS),
    Plan(Person("LC-0007", "north", "F", 54), "baseline", "ge-ct", "CT", _CT_C, None, _HEALTHY),
    Plan(
        Person("LC-0012", "north", "M", 71),
        "baseline",
        "siemens-ct",
        "CT",
        _CT_B,
        Lesion((70, -8, 24), 12.0),
        _TWO,
        Flaws.MISSING_SLICE,
    ),
    Plan(
        Person("LC-0015", "north", "F", 62),
        "baseline",
        "philips-ct",
        "CT",
        _CT_C,
        Lesion((-70, -20, 20), 15.0),
        _THREE,
        Flaws.DISAGREE,
        files="bare",
    ),
    Plan(
        Person("LC-0021", "north", "M", 59),
        "baseline",
        "ge-ct",
        "CT",
        _CT_A,
        Lesion((72, 18, 30), 14.0),
        _TWO,
        Flaws.LEAK_ORIGINAL,
    ),
    Plan(
        Person("LC-0034", "north", "M", 59),
        "baseline",
        "ge-ct",
        "CT",
        _CT_A,
        Lesion((72, 18, 30), 14.0),
        _TWO,
        Flaws.LEAK_COPY,
        files="bare",
        same_scan_as="north/LC-0021/baseline",
    ),
    Plan(
        Person("BR-0002", "north", "F", 46),
        "baseline",
        "siemens-mr",
        "T1",
        _MR_TILTED,
        Lesion((30, 22, 24), 13.0),
        _LAYERS,
    ),
    # south: five patients, mostly head MR
    Plan(_BROOK, "baseline", "philips-mr", "T1", _MR_SIDE, Lesion((-28, -20, 26), 14.0), _THREE),
    Plan(_BROOK, "followup", "philips-mr", "T2", _MR_FRONT, None, _HEALTHY),
    Plan(
        Person("BR-0009", "south", "M", 39),
        "baseline",
        "ge-mr",
        "FLAIR",
        _MR_THICK,
        None,
        _HEALTHY,
        Flaws.THICK,
    ),
    Plan(
        Person("BR-0011", "south", "F", 73),
        "baseline",
        "ge-mr",
        "T2",
        _MR_A,
        Lesion((32, 8, 20), 13.0),
        _TWO,
        Flaws.MIXED_BITS,
    ),
    Plan(
        Person("BR-0017", "south", "M", 51),
        "baseline",
        "siemens-mr",
        "T2",
        _MR_A,
        Lesion((-30, 26, 22), 15.5),
        _THREE,
        Flaws.OTHER_GRID,
    ),
    Plan(
        Person("LC-0040", "south", "F", 66),
        "baseline",
        "canon-ct",
        "CT",
        _CT_B,
        None,
        _HEALTHY,
        Flaws.NO_STUDY,
        files="bare",
    ),
    # west: four patients
    Plan(
        Person("LC-0052", "west", "M", 77),
        "baseline",
        "siemens-ct",
        "CT",
        _CT_C,
        None,
        _HEALTHY,
        Flaws.NO_DEVICE,
    ),
    Plan(
        Person("LC-0061", "west", "F", 69),
        "baseline",
        "canon-ct",
        "CT",
        _CT_A,
        Lesion((66, 24, 8), 14.0),
        _BACK,
        files="shuffled",
    ),
    Plan(
        Person("BR-0023", "west", "M", 34),
        "baseline",
        "siemens-mr",
        "T1",
        _MR_A,
        Lesion((-32, -14, 24), 13.5),
        _THREE,
        Flaws.SHIFTED,
    ),
    Plan(
        Person("BR-0031", "west", "F", 61),
        "baseline",
        "ge-mr",
        "T1",
        _MR_A,
        Lesion((28, 24, 26), 12.5),
        (("ana", "nifti"), ("ben", "nifti")),
        Flaws.BAD_AFFINE,
    ),
)
