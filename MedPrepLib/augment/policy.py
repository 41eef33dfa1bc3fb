"""The augmentation policy: what may be done to an item of training, drawn and applied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.augment.field import (
    ALL,
    Coordinates,
    Elastic,
    coordinates,
    random_elastic,
    rotation,
)
from MedPrepLib.augment.laterality import (
    LEFT_RIGHT,
    array_axis,
    require_partners,
    swapped,
    swapped_columns,
    swapped_values,
)
from MedPrepLib.augment.sampling import linearly
from MedPrepLib.config.load import augment_problems, parse_study
from MedPrepLib.config.settings import Augment
from MedPrepLib.errors import ConfigError, MedPrepError
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.load.index import CohortIndex, open_cohort

Item = dict[str, Any]


class AugmentError(MedPrepError, ValueError):
    """An item that the policy cannot change truthfully."""


@dataclass(frozen=True, eq=False)
class Draw:
    """What chance gave for one item; applying it twice gives the same.

    ``contrast`` and ``noise_sigma`` are for intensities in [0, 1]; ``noise`` seeds the noise.
    """

    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    flips: tuple[str, ...] = ()
    elastic: Elastic | None = None
    contrast: float = 0.0
    noise_sigma: float = 0.0
    noise: int = 0

    @property
    def moves(self) -> bool:
        """Whether voxels move by anything but flips."""
        return self.elastic is not None or any(self.angles_deg)


class Policy:
    """Changes items of CohortDataset and PatchDataset; give it to them as ``augment``.

    Image, mask and boxes are moved by one and the same transform: the image linearly, the mask to
    the nearest voxel, what comes from outside is pad value and background. A box becomes the hull
    of its moved voxels, and is left out with its label when none is left. Rotation and elastic
    field work in millimeters along the patient's axes, whatever the grid. Contrast and noise need
    intensities in [0, 1] (a window), which they do not leave.

    Raises ConfigError for settings outside of their limits, LabelError for left-right flips of
    labels of one side without partner.
    """

    def __init__(self, settings: Augment, schema: LabelSchema) -> None:
        problems = list(augment_problems(settings))
        if problems:
            raise ConfigError(problems, "augmentation")
        if LEFT_RIGHT in settings.flips:
            require_partners(schema)
        self.settings = settings
        self.schema = schema

    def __call__(self, item: Item, rng: np.random.Generator) -> Item:
        """A changed item; the one given stays as it is. AugmentError as for :meth:`applied`."""
        axes_mm = np.asarray(item["affine"])[:3, 2::-1]
        return self.applied(item, self.draw(item["image"].shape[1:], axes_mm, rng))

    def draw(
        self, shape: tuple[int, ...], axes_mm: npt.NDArray[Any], rng: np.random.Generator
    ) -> Draw:
        """What is done to one item of that shape; ``axes_mm`` as in field.coordinates."""
        s = self.settings
        a, b, c = rng.uniform(-s.rotation_deg, s.rotation_deg, 3).tolist()
        flips = tuple(axis for axis in dict.fromkeys(s.flips) if rng.random() < 0.5)
        contrast = rng.uniform(-s.contrast, s.contrast)
        sigma = rng.uniform(0, s.noise_sigma)
        noise = int(rng.integers(1 << 62))
        elastic = None
        if s.elastic_mm:
            spacing = np.linalg.norm(axes_mm, axis=0)
            elastic = random_elastic(shape, spacing, s.elastic_mm, s.elastic_spacing_mm, rng)
        return Draw((a, b, c), flips, elastic, contrast, sigma, noise)

    def applied(self, item: Item, draw: Draw) -> Item:
        """The item after ``draw``.

        Raises AugmentError for contrast or noise on intensities outside [0, 1], and for rotations
        or elastic fields of items with slice labels, which cannot follow.
        """
        return self._changed(item, dict(item), draw, ALL)

    def applied_plane(self, item: Item, draw: Draw, k: int) -> Item:
        """Slice ``k`` of what :meth:`applied` gives: image and mask, one slice thick.

        The other slices are not worked out. Errors as for :meth:`applied`.
        """
        turned = any(array_axis(_axes_mm(item), flip) == 0 for flip in draw.flips)
        first = item["image"].shape[1] - 1 - k if turned else k
        shown = {name: item[name] for name in ("image", "mask", "pad_value")}
        return self._changed(item, shown, draw, slice(first, first + 1))

    def _changed(self, item: Item, changed: Item, draw: Draw, planes: slice) -> Item:
        """``changed``, which holds some of the item, after ``draw``; ``planes``: before flips."""
        axes_mm = _axes_mm(item)
        if draw.contrast or draw.noise_sigma:
            changed["image"] = self._intensities(changed["image"], draw)
        if draw.moves:
            _require_movable(item)
            shape, turn = item["image"].shape[1:], rotation(draw.angles_deg)
            _move(changed, coordinates(shape, axes_mm, turn, draw.elastic, planes))
        elif planes is not ALL:
            changed |= {name: changed[name][:, planes] for name in ("image", "mask")}
        for flip in draw.flips:
            _flip(changed, array_axis(axes_mm, flip))
            if flip == LEFT_RIGHT:
                self._swap(changed)
        return changed

    def to_torchio(self, seed: int = 0) -> Any:
        """The same policy as a torchio transform for Subjects; see augment.withtorchio."""
        from MedPrepLib.augment.withtorchio import transform_of

        return transform_of(self, seed)

    def _intensities(self, image: VoxelArray, draw: Draw) -> VoxelArray:
        if image.dtype.kind != "f" or image.min() < 0 or image.max() > 1:
            raise AugmentError(
                f"contrast and noise are for intensities in [0, 1]; these are {image.dtype} from "
                f"{image.min():g} to {image.max():g}: give the dataset a window, or set contrast "
                "and noise_sigma to 0"
            )
        pivot = np.float32(self.settings.contrast_pivot)
        result: VoxelArray = (image - pivot) * np.float32(1 + draw.contrast) + pivot
        if draw.noise_sigma:
            rng = np.random.default_rng(draw.noise)
            noise = rng.standard_normal(image.shape, dtype=np.float32)
            result += noise * np.float32(draw.noise_sigma)
        return np.clip(result, 0, 1, out=result)

    def _swap(self, item: Item) -> None:
        pairs = swapped_values(self.schema)
        for name in ("mask", "box_labels"):
            if pairs and name in item:
                item[name] = swapped(item[name], pairs)
        for name in ("labels", "slice_labels"):
            if name in item:
                item[name] = item[name][..., swapped_columns(self.schema)]


def policy_of(cohort: Path | str | CohortIndex) -> Policy:
    """The policy in the study file of a cohort (its section ``[augment]``, or the defaults)."""
    index = cohort if isinstance(cohort, CohortIndex) else open_cohort(cohort)
    study = parse_study(index.config, "manifest.json", schema=index.labels)
    return Policy(study.augment, index.labels)


def _axes_mm(item: Item) -> npt.NDArray[Any]:
    """The steps in LPS mm along the array axes, as in field.coordinates."""
    return np.asarray(item["affine"])[:3, 2::-1]


def _require_movable(item: Item) -> None:
    if "slice_labels" in item:
        raise AugmentError(
            "labels of slices cannot follow a rotation or an elastic field: set rotation_deg and "
            "elastic_mm to 0"
        )


def _move(item: Item, source: Coordinates) -> None:
    image, mask = item["image"], item["mask"]
    index, inside = _nearest(source, mask.shape[1:])
    # Up to half a voxel beyond the middle of the last voxel is still inside of it.
    moved = linearly(image, source)
    item["image"] = np.where(inside, moved, moved.dtype.type(item["pad_value"]))
    item["mask"] = np.where(inside, mask.reshape(mask.shape[0], -1)[:, index], mask.dtype.type(0))
    if "boxes" in item:
        item["boxes"], kept = _moved_boxes(item["boxes"], source)
        item["box_labels"] = item["box_labels"][kept]


def _nearest(
    source: Coordinates, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Flat index of the nearest voxel (0 outside), and whether it lies inside."""
    nearest = np.floor(source + np.float32(0.5)).astype(np.intp)
    inside = np.ones(source.shape[1:], dtype=bool)
    for axis, size in zip(nearest, shape, strict=True):
        inside &= (axis >= 0) & (axis < size)
    nearest *= inside
    k, j, i = nearest
    return (k * shape[1] + j) * shape[2] + i, inside


def _moved_boxes(
    boxes: npt.NDArray[np.int32], source: Coordinates
) -> tuple[npt.NDArray[np.int32], list[int]]:
    """The hulls of the voxels that come out of each box, and which boxes are still there."""
    moved, kept = [], []
    nearest = np.floor(source + np.float32(0.5))
    for number, box in enumerate(boxes.tolist()):
        inside = np.ones(source.shape[1:], dtype=bool)
        for axis, low, high in zip(nearest, box[:3], box[3:], strict=True):
            inside &= (axis >= low) & (axis < high)
        spans = [np.flatnonzero(inside.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
        if spans[0].size:
            moved.append([span[0] for span in spans] + [span[-1] + 1 for span in spans])
            kept.append(number)
    return np.array(moved, np.int32).reshape(-1, 6), kept


def _flip(item: Item, axis: int) -> None:
    for name in ("image", "mask"):
        item[name] = np.ascontiguousarray(np.flip(item[name], axis + 1))
    size = item["image"].shape[axis + 1]
    if "boxes" in item:
        boxes = item["boxes"].copy()
        boxes[:, axis], boxes[:, axis + 3] = (
            size - item["boxes"][:, axis + 3],
            size - item["boxes"][:, axis],
        )
        item["boxes"] = boxes
    if "slice_labels" in item and axis == 0:
        item["slice_labels"] = np.ascontiguousarray(np.flip(item["slice_labels"], 0))
