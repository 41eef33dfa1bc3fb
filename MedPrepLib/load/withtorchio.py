"""Cases and patches as torchio Subjects: (C, I, J, K) and index-to-RAS affines (torchio < 2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from MedPrepLib.geometry import LPS_TO_RAS
from MedPrepLib.load.dataset import Item
from MedPrepLib.load.index import IndexEntry, Split, open_cohort
from MedPrepLib.load.intensities import Intensities
from MedPrepLib.load.scaling import Scaling, Window, scaling_of
from MedPrepLib.load.storage import read_stored
from MedPrepLib.load.tensors import boxes_along_ijk, tensor


@dataclass(frozen=True)
class CaseReader:
    """What a torchio image calls to read its voxels; a plain value, so that Subjects pickle."""

    kind: Literal["image", "mask"]
    cohort: Path
    entry: IndexEntry
    scaling: Scaling

    def __call__(self, _path: Path | str) -> tuple[Any, Any]:
        """Tensor (1, i, j, k) and index-to-RAS affine; errors as load.read_case."""
        case = read_stored(self.cohort, self.entry.id, self.entry.name, everything=False)
        array = case.mask
        if self.kind == "image":
            own = Intensities.of(case.statistics)
            array = self.scaling.applied(case.image, self.entry.modality, own)
        return _turned(array[np.newaxis]), LPS_TO_RAS @ case.geometry.affine


def subjects(
    cohort_dir: Path | str,
    split: Split | None = "train",
    fold: int | None = 0,
    window: Window = None,
    *,
    unannotated: bool = False,
) -> list[Any]:
    """A torchio.Subject per case: ``image``, ``mask``, ``id``, ``patient``; read when needed.

    For SubjectsDataset, Queue and GridSampler. torchio reads whole cases for every patch: where
    patches are wanted, PatchDataset is many times faster. Arguments as for CohortDataset.
    """
    import torchio as tio

    index = open_cohort(cohort_dir)
    scaling = scaling_of(window, index)
    made = []
    for entry in index.learnable(split, fold, unannotated=unannotated):
        # torchio wants a path that exists; a cohort in one file or LMDB has none for a case.
        path = index.folder / entry.name
        path = path if path.exists() else index.folder
        voxels = CaseReader("image", index.folder, entry, scaling)
        labels = CaseReader("mask", index.folder, entry, scaling)
        made.append(
            tio.Subject(
                image=tio.ScalarImage(path, reader=voxels),
                mask=tio.LabelMap(path, reader=labels),
                id=entry.id,
                patient=entry.patient,
            )
        )
    return made


def subject_of(item: Item) -> Any:
    """An item of CohortDataset or PatchDataset as a torchio.Subject on the same place.

    ``boxes`` follow the axes of its images: (i0, j0, k0, i1, j1, k1), ends exclusive.
    """
    import torchio as tio

    affine = LPS_TO_RAS @ np.asarray(item["affine"])
    rest = {name: value for name, value in item.items() if name not in ("image", "mask", "affine")}
    if "boxes" in rest:
        rest["boxes"] = boxes_along_ijk(rest["boxes"])
    return tio.Subject(
        image=tio.ScalarImage(tensor=_turned(np.asarray(item["image"])), affine=affine),
        mask=tio.LabelMap(tensor=_turned(np.asarray(item["mask"])), affine=affine),
        **rest,
    )


def _turned(array: Any) -> Any:
    """(C, k, j, i) as a tensor (C, i, j, k) that shares its memory."""
    return tensor(np.transpose(array, (0, 3, 2, 1)))
