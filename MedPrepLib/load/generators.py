"""A dataset as a plain generator with a description of what it yields, for tf.data and others.

    import tensorflow as tf
    rows = signature_of(dataset)
    spec = {name: tf.TensorSpec(shape, dtype) for name, (shape, dtype) in rows.items()}
    data = tf.data.Dataset.from_generator(source_of(dataset), output_signature=spec)

TensorFlow itself is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from MedPrepLib.load.dataset import CohortDataset, Item
from MedPrepLib.load.patches import PatchDataset, PatchError

Signature = dict[str, tuple[tuple[int | None, ...], str]]

_RAGGED = ("boxes", "box_labels")


def source_of(dataset: CohortDataset | PatchDataset) -> Callable[[], Iterator[Item]]:
    """A function that begins an epoch, as from_generator wants it: each call is one epoch later.

    Items hold numpy arrays, numbers and texts only; the dataset must have ``as_torch=False``.
    PatchError where an array is of another type than that of the first item, which is the one in
    the signature: TensorFlow would convert it and say nothing, a PET to integers.
    """
    epochs = iter(range(1 << 62))

    def begin() -> Iterator[Item]:
        dataset.set_epoch(next(epochs))
        return _of_one_type(dataset)

    return begin


def _of_one_type(dataset: CohortDataset | PatchDataset) -> Iterator[Item]:
    first: dict[str, str] = {}
    for item in dataset:
        kinds = {name: _row(name, value, whole=False)[1] for name, value in item.items()}
        first = first or kinds
        for name, kind in kinds.items():
            if kind != first[name]:
                raise PatchError(
                    f"{name} of case {item['id']} holds {kind}, the first one {first[name]}: cases "
                    "of several types make no batch as they are stored; a window gives them all "
                    "one type"
                )
        yield item


def signature_of(dataset: CohortDataset | PatchDataset) -> Signature:
    """Shape and type of every entry of an item; None for lengths that differ between items.

    The types are numpy's names, which TensorFlow knows, too ("string" for texts).
    """
    whole = isinstance(dataset, CohortDataset)
    return {name: _row(name, value, whole=whole) for name, value in dataset[0].items()}


def _row(name: str, value: Any, *, whole: bool) -> tuple[tuple[int | None, ...], str]:
    if isinstance(value, str):
        return (), "string"
    array = np.asarray(value)
    shape: tuple[int | None, ...] = array.shape
    if whole and name in ("image", "mask"):
        shape = (1, None, None, None)
    elif name in _RAGGED or (whole and name == "slice_labels"):
        shape = (None, *array.shape[1:])
    return shape, array.dtype.name
