"""A map-style dataset for training loops: whole cases, decoded and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from MedPrepLib.errors import CorruptCaseError
from MedPrepLib.load.case import LoadedCase
from MedPrepLib.load.index import IndexEntry, Split, open_cohort
from MedPrepLib.load.intensities import Intensities
from MedPrepLib.load.scaling import Window, scaling_of
from MedPrepLib.load.seeds import generator_of
from MedPrepLib.load.storage import read_stored
from MedPrepLib.load.tensors import tensor, wants_torch

Item = dict[str, Any]
Augment = Callable[[Item, np.random.Generator], Item]


class CohortDataset:
    """The cases of one part of a cohort, for ``torch.utils.data.DataLoader`` or a plain loop.

    An item is a mapping: ``image`` and ``mask`` (1, k, j, i), ``id``, ``patient``, ``spacing``
    (3,) in millimeters along i, j, k, ``affine`` (4, 4) from (i, j, k) to LPS millimeters,
    ``pad_value`` (what lies outside of the body, as the model sees it). A
    detection cohort adds ``boxes`` (n, 6) and ``box_labels`` (n,), see load.LoadedCase; a
    classification cohort adds ``labels`` (labels,) and ``slice_labels`` (k, labels), 1 where the
    label is present, 0 where it is absent and 255 where that is undecided, in schema order.

    window: None gives stored values (int16 HU or float32). To [0, 1]: a name of the study file
    ("lung") maps a CT by that window in HU, and everything else by "percentiles"; those are the
    case's own, 0.5 % becoming 0 and 99.5 % becoming 1; (level, width) maps every image alike.
    "zscore" uses the case's own mean and deviation, "cohort" those of the training part for its
    modality. ``augment`` gets the item (numpy arrays) and a generator
    that depends on ``seed``, epoch and number only; ``transform`` gets the item last.
    ``as_torch``: tensors instead of arrays; by default when torch has been imported already.
    ``unannotated``: with the cases of a segmentation cohort that have no mask, too.

    No file stays open between two items, so datasets pickle, and survive fork and spawn.
    """

    def __init__(
        self,
        cohort_dir: Path | str,
        split: Split | None = "train",
        fold: int | None = 0,
        window: Window = None,
        transform: Callable[[Item], Item] | None = None,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        as_torch: bool | None = None,
        unannotated: bool = False,
    ) -> None:
        index = open_cohort(cohort_dir)
        self.augment = augment
        self.seed = seed
        self.epoch = 0
        self.folder = index.folder
        self.task = index.task
        self.labels = index.labels
        self.cases: tuple[IndexEntry, ...] = index.learnable(split, fold, unannotated=unannotated)
        self.transform = transform
        self.as_torch = wants_torch(as_torch)
        self._scaling = scaling_of(window, index)

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Item]:
        return (self[n] for n in range(len(self)))

    def __getitem__(self, number: int | tuple[int, int]) -> Item:
        """The item of case ``number``, of this epoch, or of (epoch, number).

        Raises IndexError beyond the end; CorruptCaseError when the file was changed, or holds
        another case; CohortError when it is missing or unsafe to read.
        """
        epoch, n = number if isinstance(number, tuple) else (self.epoch, number)
        entry = self.cases[n]
        case = self.case(n, everything=False)
        own = Intensities.of(case.statistics)
        item: Item = {
            "image": self._scaling.applied(case.image, entry.modality, own)[np.newaxis],
            "mask": case.mask[np.newaxis],
            "id": entry.id,
            "patient": entry.patient,
            "spacing": np.array(case.spacing),
            "affine": np.array(case.geometry.affine),
            "pad_value": self._scaling.of_value(case.pad_value, entry.modality, own),
            **_task_items(self.task, case),
        }
        if self.augment is not None:
            item = self.augment(item, generator_of(self.seed, epoch, n % len(self)))
        if self.as_torch:
            item = {key: tensor(value) for key, value in item.items()}
        return item if self.transform is None else self.transform(item)

    def set_epoch(self, epoch: int) -> None:
        """Other augmentation from here on; call it before the workers of an epoch start.

        Workers that stay (``persistent_workers``) do not hear of it: load.EpochSampler tells them.
        """
        self.epoch = epoch

    def case(self, number: int, *, everything: bool = True) -> LoadedCase:
        """Case ``number`` with all that was packed (readings, foreground...); errors as above."""
        entry = self.cases[number]
        case = read_stored(self.folder, entry.id, entry.name, everything=everything)
        if case.id != entry.id:
            raise CorruptCaseError(f"{entry.name} holds case {case.id}, not {entry.id}")
        return case


def _task_items(task: str, case: LoadedCase) -> Item:
    if task == "detection":
        return {"boxes": case.boxes, "box_labels": case.box_labels}
    if task == "classification":
        slices = case.slice_labels()
        decided = (slices == 1).any(axis=0)
        return {
            "labels": np.where(decided, np.uint8(1), slices.max(axis=0)),
            "slice_labels": slices,
        }
    return {}
