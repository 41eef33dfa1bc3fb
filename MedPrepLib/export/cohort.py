"""One entry for all exports."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from MedPrepLib import layout
from MedPrepLib.errors import MedPrepError, OrderError, RunError
from MedPrepLib.export.datasets import to_monai, to_nnunet
from MedPrepLib.export.images import to_nifti, to_seg_nrrd
from MedPrepLib.export.onefile import to_hdf5, to_lmdb
from MedPrepLib.load import open_cohort
from MedPrepLib.load.index import CohortIndex
from MedPrepLib.load.storage import read_manifest_bytes
from MedPrepLib.manifest import parse_manifest
from MedPrepLib.sharing import Faces, require_clean, require_no_face, uncleaned
from MedPrepLib.trail import TRAIL, Trail

Kind = Literal["hdf5", "lmdb", "nnunet", "monai", "nifti", "seg.nrrd"]
KINDS: tuple[str, ...] = get_args(Kind)
PRIVATE_FILES = (layout.LEDGER_NAME, "identities.csv", "run.log", "workers.log", TRAIL)


def export_cohort(
    cohort_dir: Path,
    kind: Kind,
    target: Path,
    *,
    allow_network: bool = False,
    fold: int | None = None,
    modality: str | None = None,
    accept_burned_in: bool = False,
    public: bool = False,
    accept_face_risk: bool = False,
) -> tuple[str, ...]:
    """Write a cohort in another form; see the function of each kind.

    ``target`` appears when it is complete. A file (hdf5) is replaced, a folder must be new.
    Returns what nobody took out of the pixels, in sentences. An export stands in the audit trail
    of the private folder beside the cohort, if that is there. ``public``: it is for everybody, so
    that faces must not be seen in it, unless ``accept_face_risk`` says that somebody looked.
    Raises CohortError when there is no cohort or it is damaged, RunError when the target cannot
    be made, when cases may carry text in their pixels and ``accept_burned_in`` is not given, when
    a public export may show faces, or when private files lie in the cohort; MedPrepError for
    options that do not fit.
    """
    manifest = parse_manifest(read_manifest_bytes(cohort_dir))
    require_clean(manifest, accept_burned_in=accept_burned_in)
    if accept_face_risk and not public:
        raise MedPrepError("--accept-face-risk goes with --public")
    for option, given, own in (("--fold", fold, "monai"), ("--modality", modality, "nnunet")):
        if given is not None and kind != own:
            raise MedPrepError(
                f"{option} goes with --to {own}, not with {kind}: it would be ignored"
            )
    if target.resolve().is_relative_to(cohort_dir.resolve()):
        raise OrderError(f"{target} lies in the cohort itself; name a place outside of it")
    faces = require_no_face(cohort_dir, manifest, accept=accept_face_risk) if public else Faces()
    _require_nothing_private(cohort_dir)
    _write(open_cohort(cohort_dir), kind, target, allow_network, fold, modality)
    private = layout.private_folder(cohort_dir)
    if private.is_dir():
        details = {"kind": kind, "target": target.name, "cohort": manifest.root_hash}
        accepted = {"public": "yes", "faces_accepted": str(len(faces.told + faces.unknown))}
        Trail(private).add("", "exported", **details, **(accepted if public else {}))
    return uncleaned(manifest)


def _require_nothing_private(cohort: Path) -> None:
    """RunError when files that link pseudonyms to people were put into the cohort."""
    inside = [name for name in PRIVATE_FILES if cohort.is_dir() and any(cohort.rglob(name))]
    if inside:
        raise RunError(f"{inside[0]} lies in {cohort}, and names people: move it out first")


def _write(
    index: CohortIndex,
    kind: Kind,
    target: Path,
    allow_network: bool,
    fold: int | None,
    modality: str | None,
) -> None:
    if kind == "hdf5":
        to_hdf5(index, target)
    elif kind == "lmdb":
        to_lmdb(index, target, allow_network=allow_network)
    elif kind == "nnunet":
        to_nnunet(index, target, modality)
    elif kind == "monai":
        to_monai(index, target, fold)
    elif kind == "nifti":
        to_nifti(index, target)
    elif kind == "seg.nrrd":
        to_seg_nrrd(index, target)
    else:
        raise MedPrepError(f"no export {kind!r}; there are {', '.join(KINDS)}")
