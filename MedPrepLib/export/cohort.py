"""One entry for all exports."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from MedPrepLib.errors import MedPrepError
from MedPrepLib.export.datasets import to_monai, to_nnunet
from MedPrepLib.export.images import to_nifti, to_seg_nrrd
from MedPrepLib.export.onefile import to_hdf5, to_lmdb
from MedPrepLib.load import open_cohort

Kind = Literal["hdf5", "lmdb", "nnunet", "monai", "nifti", "seg.nrrd"]
KINDS: tuple[str, ...] = get_args(Kind)


def export_cohort(
    cohort_dir: Path,
    kind: Kind,
    target: Path,
    *,
    allow_network: bool = False,
    fold: int | None = None,
    modality: str | None = None,
) -> None:
    """Write a cohort in another form; see the function of each kind.

    ``target`` appears when it is complete. A file (hdf5) is replaced, a folder must be new.
    Raises CohortError when there is no cohort or it is damaged, RunError when the target cannot
    be made, MedPrepError for options that do not fit.
    """
    index = open_cohort(cohort_dir)
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
