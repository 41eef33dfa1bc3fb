"""A map-style dataset for training loops: whole cases, decoded and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from MedPrepLib.errors import CorruptCaseError, UnsupportedError
from MedPrepLib.images import VoxelArray
from MedPrepLib.load.case import LoadedCase
from MedPrepLib.load.index import CohortIndex, IndexEntry, Split, open_cohort
from MedPrepLib.load.storage import read_stored
from MedPrepLib.window import WindowError, normalize, window

Item = dict[str, Any]
Window = str | tuple[float, float] | None
ZSCORE = "zscore"
COHORT = "cohort"


class CohortDataset:
    """The cases of one part of a cohort, for ``torch.utils.data.DataLoader`` or a plain loop.

    An item is a mapping: ``image`` and ``mask`` (1, k, j, i), ``id``, ``patient``, ``spacing``
    (3,) in millimeters along i, j, k, ``affine`` (4, 4) from (i, j, k) to LPS millimeters. A
    detection cohort adds ``boxes`` (n, 6) and ``box_labels`` (n,), see load.LoadedCase; a
    classification cohort adds ``labels`` (labels,) and ``slice_labels`` (k, labels), 1 where the
    label is present, in schema order.

    window: None gives stored values (int16 HU or float32); a name of the study file ("lung") or
    (level, width) maps to [0, 1]; "zscore" uses the case's own mean and deviation, "cohort" those
    of the training part for its modality. ``transform`` gets the item and returns another.
    ``as_torch``: tensors instead of arrays; by default when torch has been imported already.

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
        as_torch: bool | None = None,
    ) -> None:
        index = open_cohort(cohort_dir)
        self.folder = index.folder
        self.task = index.task
        self.labels = index.labels
        self.cases: tuple[IndexEntry, ...] = index.select(split, fold)
        self.transform = transform
        self.as_torch = _wants_torch(as_torch)
        self._scaling = _scaling(window, index)

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Item]:
        return (self[n] for n in range(len(self)))

    def __getitem__(self, number: int) -> Item:
        """The item of case ``number``.

        Raises IndexError beyond the end; CorruptCaseError when the file was changed, or holds
        another case; CohortError when it is missing or unsafe to read.
        """
        entry = self.cases[number]
        case = self.case(number, everything=False)
        item: Item = {
            "image": self._scaling.applied(case, entry.modality)[np.newaxis],
            "mask": case.mask[np.newaxis],
            "id": entry.id,
            "patient": entry.patient,
            "spacing": np.array(case.spacing),
            "affine": np.array(case.geometry.affine),
            **_task_items(self.task, case),
        }
        if self.as_torch:
            item = {key: _tensor(value) for key, value in item.items()}
        return item if self.transform is None else self.transform(item)

    def case(self, number: int, *, everything: bool = True) -> LoadedCase:
        """Case ``number`` with all that was packed (readings, foreground...); errors as above."""
        entry = self.cases[number]
        case = read_stored(self.folder, entry.id, entry.name, everything=everything)
        if case.id != entry.id:
            raise CorruptCaseError(f"{entry.name} holds case {case.id}, not {entry.id}")
        return case


@dataclass(frozen=True)
class Scaling:
    """How stored values become what the model sees; a plain value, so that datasets pickle."""

    kind: Literal["stored", "window", "zscore", "cohort"] = "stored"
    level: float = 0.0
    width: float = 1.0
    normalization: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def applied(self, case: LoadedCase, modality: str) -> VoxelArray:
        """The image of ``case``, scaled; the stored array itself for "stored"."""
        if self.kind == "window":
            return window(case.image, self.level, self.width)
        if self.kind == "zscore":
            return normalize(case.image, case.statistics["mean"], case.statistics["std"])
        if self.kind == "cohort":
            return normalize(case.image, *self.normalization[modality])
        return case.image


def _scaling(wanted: Window, index: CohortIndex) -> Scaling:
    if wanted is None:
        return Scaling()
    if wanted == ZSCORE:
        return Scaling("zscore")
    if wanted == COHORT:
        missing = {case.modality for case in index.cases} - set(index.normalization)
        if missing:
            raise WindowError(f"the training part has no {', '.join(sorted(missing))} image")
        return Scaling("cohort", normalization=index.normalization)
    if isinstance(wanted, str):
        if wanted not in index.windows:
            known = ", ".join(sorted(index.windows))
            raise WindowError(f"no window {wanted!r}; known: {known}, {ZSCORE}, {COHORT}")
        wanted = index.windows[wanted]
    level, width = wanted
    if not width > 0:
        raise WindowError(f"a window of width {width} maps nothing; it must be positive")
    return Scaling("window", float(level), float(width))


def _task_items(task: str, case: LoadedCase) -> Item:
    if task == "detection":
        return {"boxes": case.boxes, "box_labels": case.box_labels}
    if task == "classification":
        slices = case.slice_labels()
        return {"labels": slices.max(axis=0), "slice_labels": slices}
    return {}


def _wants_torch(as_torch: bool | None) -> bool:
    if as_torch is None:
        return "torch" in sys.modules
    if as_torch and find_spec("torch") is None:
        raise UnsupportedError('tensors need torch: pip install "MedPrep[torch]"')
    return as_torch


def _tensor(value: Any) -> Any:
    """An array as a tensor that shares its memory; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    import torch

    # torch knows uint16 but can hardly compute with it.
    return torch.from_numpy(value.astype(np.int32) if value.dtype == np.uint16 else value)
