"""A map-style dataset of patches: only the bricks that a patch touches are read."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import MedPrepError
from MedPrepLib.images import VoxelArray
from MedPrepLib.load.dataset import Augment, Item
from MedPrepLib.load.index import CohortIndex, IndexEntry, Split, open_cohort
from MedPrepLib.load.mapped import MappedCase
from MedPrepLib.load.sampling import Place, around, balanced, grid, uniform
from MedPrepLib.load.scaling import Window, scaling_of
from MedPrepLib.load.seeds import generator_of
from MedPrepLib.load.table import FOREGROUND, CaseTable
from MedPrepLib.load.tables import CaseTables
from MedPrepLib.load.tensors import tensor, wants_torch

Sampling = Literal["uniform", "balanced", "grid"]
Size = tuple[int, int, int]
COLD_FRACTION = 0.5
"""Of the machine's memory: larger cohorts do not stay in the page cache."""


class PatchError(MedPrepError, ValueError):
    """Patches that cannot be taken: no size, an overlap as large as the patch, or another type."""


class PatchDataset:
    """Patches of the cases of one part of a cohort (its folder, or what open_cohort says of it).

    patch_size, overlap: voxels along i, j, k. sampling: "uniform" (anywhere inside), "balanced"
    (around a voxel of a label, labels alike; anywhere with probability ``background``), or "grid"
    (every voxel of every case, for inference; see load.Aggregator). ``samples_per_case`` patches
    of each case make an epoch; items ``n * samples_per_case`` and following are of case n.

    An item is a mapping: ``image`` and ``mask`` (1, k, j, i), ``id``, ``patient``, ``position``
    (3,) the index (i, j, k) of the patch's first voxel in its case (negative where the patch
    begins outside), ``spacing`` (3,), ``affine`` (4, 4) from (i, j, k) in the patch to LPS
    millimeters, ``pad_value``; with ``boxes=True`` also ``boxes`` (n, 6) and ``box_labels`` (n,)
    clipped to the patch, in its voxels (k0, j0, i0, k1, j1, i1, ends exclusive). What lies outside
    of the volume holds the pad value and label 0.

    window, augment, transform, as_torch, unannotated: as in CohortDataset. Chance depends on
    (seed, epoch, index) only: ``dataset[n]`` is of the epoch of :meth:`set_epoch`,
    ``dataset[epoch, n]`` of that epoch. advise: ask the system for all bytes of a patch at once,
    for cohorts that do not stay in memory; by default where the cohort is larger than half of it.

    Errors: PatchError, WindowError and NoSuchCaseError for wrong arguments; CorruptCaseError,
    naming case and file, when a brick is first touched that is not what was written.
    """

    def __init__(
        self,
        cohort: Path | str | CohortIndex,
        patch_size: Size,
        split: Split | None = "train",
        fold: int | None = 0,
        *,
        sampling: Sampling = "balanced",
        samples_per_case: int = 1,
        background: float = 1 / 3,
        overlap: Size = (0, 0, 0),
        window: Window = None,
        boxes: bool = False,
        augment: Augment | None = None,
        transform: Callable[[Item], Any] | None = None,
        seed: int = 0,
        as_torch: bool | None = None,
        advise: bool | None = None,
        unannotated: bool = False,
    ) -> None:
        _require(patch_size, overlap, samples_per_case)
        index = cohort if isinstance(cohort, CohortIndex) else open_cohort(cohort)
        self.cases: tuple[IndexEntry, ...] = index.learnable(split, fold, unannotated=unannotated)
        self.labels = index.labels
        self.patch_shape: Size = _reversed(patch_size)
        self.sampling = sampling
        self.background = background
        self.boxes = boxes
        self.augment = augment
        self.transform = transform
        self.seed = seed
        self.epoch = 0
        self.as_torch = wants_torch(as_torch)
        self._scaling = scaling_of(window, index)
        large = sum(entry.size_bytes for entry in self.cases) > COLD_FRACTION * _memory_bytes()
        self.tables = CaseTables(index, advise=large if advise is None else advise)
        self._overlap = _reversed(overlap)
        counts = [samples_per_case] * len(self.cases)
        if sampling == "grid":
            counts = [len(self._grid(self.tables.table(entry))) for entry in self.cases]
        self._ends = list(itertools.accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Any]:
        return (self[n] for n in range(len(self)))

    def __getitem__(self, number: int | tuple[int, int]) -> Any:
        """Patch ``number`` of this epoch, or patch (epoch, number); IndexError beyond the end."""
        epoch, n = number if isinstance(number, tuple) else (self.epoch, number)
        item = self.item(n, epoch)
        if self.as_torch:
            item = {key: tensor(value) for key, value in item.items()}
        return item if self.transform is None else self.transform(item)

    def set_epoch(self, epoch: int) -> None:
        """Other patches from here on; call it before the workers of an epoch start."""
        self.epoch = epoch

    def prepare(self) -> None:
        """Take the tables of all cases now, so that workers get them instead of taking them."""
        for entry in self.cases:
            self.tables.table(entry)

    def case_of(self, number: int) -> IndexEntry:
        """The case that patch ``number`` is of."""
        return self.cases[bisect.bisect_right(self._ends, number)]

    def item(
        self, number: int, epoch: int = 0, into: Mapping[str, VoxelArray] | None = None
    ) -> Item:
        """Patch ``number`` as numpy arrays, augmented; ``image`` and ``mask`` in ``into`` if given.

        ``into``: C-contiguous arrays (1, k, j, i) of the types that this dataset gives.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"no patch {number} among {len(self)}")
        number %= len(self)
        rng = generator_of(self.seed, epoch, number)
        entry = self.case_of(number)
        case = self.tables.mapped(entry)
        item = self._cut(case, entry, self._place(case, number, rng), into or {})
        if self.augment is None:
            return item
        return _kept_in(self.augment(item, rng), into)

    def _place(self, case: MappedCase, number: int, rng: np.random.Generator) -> Place:
        shape = case.table.geometry.shape
        if self.sampling == "grid":
            places = self._grid(case.table)
            return places[number - self._ends[bisect.bisect_right(self._ends, number)]]
        voxel = None
        if self.sampling == "balanced":
            bricks = case.table.bricks
            counts = {x: bricks[FOREGROUND + x].shape[0] for x in case.table.foreground}
            voxel = balanced(counts, case.coordinate, self.background, rng)
        if voxel is None:
            return uniform(shape, self.patch_shape, rng)
        return around(voxel, shape, self.patch_shape)

    def _grid(self, table: CaseTable) -> list[Place]:
        return grid(table.geometry.shape, self.patch_shape, self._overlap)

    def _cut(
        self, case: MappedCase, entry: IndexEntry, place: Place, into: Mapping[str, VoxelArray]
    ) -> Item:
        table = case.table
        start = _reversed(place)
        affine = np.array(table.geometry.affine)
        affine[:3, 3] += affine[:3, :3] @ start
        item: Item = {
            "image": self._image(case, entry.modality, place, into.get("image")),
            "mask": self._voxels(case, "mask", place, 0, into.get("mask")),
            "id": entry.id,
            "patient": entry.patient,
            "position": np.array(start),
            "spacing": np.array(table.geometry.spacing),
            "affine": affine,
            "pad_value": self._scaling.of_value(table.pad_value, entry.modality, table.intensities),
        }
        if self.boxes:
            item["boxes"], item["box_labels"] = clipped_boxes(table, place, self.patch_shape)
        return item

    def _image(
        self, case: MappedCase, modality: str, place: Place, out: VoxelArray | None
    ) -> VoxelArray:
        pad = case.table.pad_value
        if self._scaling.kind == "stored":
            return self._voxels(case, "image", place, pad, out)
        stored = self._voxels(case, "image", place, pad, None)
        return self._scaling.applied(stored, modality, case.table.intensities, out)

    def _voxels(
        self, case: MappedCase, name: str, place: Place, pad: float, out: VoxelArray | None
    ) -> VoxelArray:
        kind = case.table.bricks[name].dtype
        if out is None:
            out = np.empty((1, *self.patch_shape), kind)
        elif out.dtype != kind:
            raise PatchError(
                f"{name} of case {case.table.id} holds {kind}, the batch {out.dtype}: cases of "
                "several types make no batch as they are stored; a window gives them all one type"
            )
        case.read(name, place, out[0], pad)
        return out


def clipped_boxes(
    table: CaseTable, place: Place, shape: Size
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Boxes that reach into the patch, in its voxels and cut off at its faces, and their labels."""
    low = np.maximum(table.boxes[:, :3] - np.array(place, np.int32), 0)
    high = np.minimum(table.boxes[:, 3:] - np.array(place, np.int32), np.array(shape, np.int32))
    inside = (low < high).all(axis=1)
    return np.concatenate([low, high], axis=1)[inside], table.box_labels[inside]


def _kept_in(item: Item, into: Mapping[str, VoxelArray] | None) -> Item:
    """What an augmentation made of a patch, moved to where the patch was wanted."""
    for name, out in (into or {}).items():
        if item[name] is not out:
            np.copyto(out, item[name], casting="same_kind")
            item = {**item, name: out}
    return item


def _require(patch_size: Sequence[int], overlap: Sequence[int], samples: int) -> None:
    if len(patch_size) != 3 or min(patch_size) < 1 or samples < 1:
        raise PatchError(f"{samples} patches of {tuple(patch_size)} voxels (i, j, k) are none")
    if any(not 0 <= o < p for o, p in zip(overlap, patch_size, strict=True)):
        raise PatchError(f"patches of {tuple(patch_size)} cannot overlap by {tuple(overlap)}")


def _reversed(triple: Sequence[int]) -> Size:
    """Between (i, j, k), as values name a voxel, and the order of array axes."""
    a, b, c = triple
    return (c, b, a)


def _memory_bytes() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not on Windows
        return float("inf")
