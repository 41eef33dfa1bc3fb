"""Writing the sample study: a small, synthetic raw export with known flaws, made from code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedPrepLib.errors import RunError
from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.images import Volume
from MedPrepLib.sample.brain import brain
from MedPrepLib.sample.dicomfile import save_localizer, save_series
from MedPrepLib.sample.flaws import Flaws
from MedPrepLib.sample.grids import geometry_of
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.sample.noise import Seed
from MedPrepLib.sample.phantom import Phantom
from MedPrepLib.sample.readers import save_readings
from MedPrepLib.sample.roster import ROSTER, Plan
from MedPrepLib.sample.texts import README, STUDY_TOML, expected_json
from MedPrepLib.sample.thorax import thorax
from MedPrepLib.sample.written import SampleCase, SampleStudy

DEFAULT_SEED = 7


def write_sample(folder: Path | str, seed: int = DEFAULT_SEED) -> SampleStudy:
    """Write the sample study into ``folder``, which must not exist or be empty.

    18 cases of 16 invented patients in three centers (chest CT and head MR, two or three readers
    each), ``study.toml``, ``expected.json`` and ``README.txt``; about 30 MB. The same seed (0 or
    more) gives the same bytes everywhere (compressed masks: with the same zlib). Raises RunError
    when ``folder`` holds something, ValueError for a negative seed, OSError when the disk refuses.
    """
    if seed < 0:
        raise ValueError(f"seed {seed} must not be negative")
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise RunError(f"{root} is not empty; name a new folder for the sample study")
    cases = tuple(_write_case(root / "raw", plan, Seed((seed,))) for plan in ROSTER)
    study_file, expected_file = root / "study.toml", root / "expected.json"
    _write_text(study_file, STUDY_TOML)
    _write_text(expected_file, expected_json(cases, seed))
    _write_text(root / "README.txt", README)
    return SampleStudy(root, study_file, expected_file, cases)


def _write_case(raw: Path, plan: Plan, seed: Seed) -> SampleCase:
    folder = raw.joinpath(*plan.id.split("/"))
    geometry, phantom, middle = _scanned(plan, seed)
    if plan.flaw is Flaws.BAD_AFFINE:
        _save_broken_nifti(folder, phantom)
    else:
        save_series(folder / "image", plan, geometry, phantom.image, seed)
    if plan.flaw is Flaws.BYSTANDERS:
        save_localizer(folder / "image", plan, phantom.image, seed)
        _write_text(folder / "image" / "export.log", "48 objects sent, 48 received, 0 failed\n")
        _write_text(folder / "notes.txt", "Asked for the thin series twice. Came on Tuesday.\n")
    save_readings(folder / "masks", plan, phantom, seed.of(plan.id).of("readers"))
    return SampleCase(
        id=plan.id,
        center=plan.person.center,
        patient=plan.person.id,
        modality=plan.modality,
        folder=folder,
        readers=tuple(name for name, _ in plan.readers),
        geometry=geometry,
        lesion_center_mm=_shifted(middle, plan.lesion.center) if plan.lesion else None,
        flaw=plan.flaw,
    )


def _scanned(plan: Plan, seed: Seed) -> tuple[Geometry, Phantom, Triple]:
    """The scan of a case, and where (LPS, mm) the middle of the anatomy lies in it.

    A re-exported scan has the seeds of the original, so the same voxels in the same places.
    """
    own = seed.of(plan.same_scan_as or plan.id)
    place = own.of("place")
    middle = tuple(round(place.of(axis).uniform(-30, 30), 1) for axis in "xyz")
    x, y, z = middle
    lift = -12.0 if plan.modality == "CT" else 8.0
    geometry = geometry_of(plan.grid, (x + 3.0, y + 4.0, z + lift))
    anatomy = own.of("anatomy")
    if plan.modality == "CT":
        return geometry, thorax(geometry, (x, y, z), anatomy, plan.lesion), (x, y, z)
    phantom = brain(geometry, (x, y, z), anatomy, plan.lesion, plan.sequence)
    return geometry, phantom, (x, y, z)


def _save_broken_nifti(folder: Path, phantom: Phantom) -> None:
    folder.mkdir(parents=True)
    volume = Volume(np.rint(phantom.image).astype(np.int16), phantom.geometry)
    affine = phantom.geometry.affine * np.array([-1.0, -1.0, 1.0, 1.0]).reshape(4, 1)
    affine[:3, 2] = 0.0
    write_nifti(folder / "image.nii.gz", volume, affine)


def _shifted(point: Triple, by: Triple) -> Triple:
    x, y, z = (round(a + b, 3) for a, b in zip(point, by, strict=True))
    return (x, y, z)


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
