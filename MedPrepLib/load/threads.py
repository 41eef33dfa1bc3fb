"""A loader of batches that reads ahead in threads, into memory that is used again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from MedPrepLib.errors import MedPrepError
from MedPrepLib.images import VoxelArray
from MedPrepLib.load.dataset import Item
from MedPrepLib.load.patches import PatchDataset
from MedPrepLib.load.seeds import EpochSampler
from MedPrepLib.load.tensors import tensor

Buffers = dict[str, VoxelArray]


class BatchError(MedPrepError, ValueError):
    """A batch of no items, or no thread to read it."""


class ThreadLoader:
    """Batches of a PatchDataset, in an order that depends on seed and epoch only.

    A batch is a mapping like an item: ``image`` and ``mask`` (batch, 1, k, j, i); ``position``,
    ``spacing``, ``affine`` and ``pad_value`` stacked; everything else as a list. Decoding does not
    hold Python's lock for long, so threads read ahead while the network computes; nothing is
    pickled or copied between processes.

    prefetch: batches that are read ahead. reuse: the memory of a batch is used again as soon as
    the next one is asked for: copy what has to stay (a network on a GPU does so anyway).
    ``reuse=False`` gives every batch memory of its own. The dataset's ``transform`` is not called.

    An error of an item is raised where its batch is due, with a note on its case; PatchError for
    images of several types, which only a window brings together. Leaving the loop early stops the
    threads.
    """

    def __init__(
        self,
        dataset: PatchDataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        threads: int = 2,
        prefetch: int = 3,
        reuse: bool = True,
    ) -> None:
        if min(batch_size, threads, prefetch) < 1:
            raise BatchError("batch_size, threads and prefetch are at least 1")
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.threads = threads
        self.prefetch = prefetch
        self.reuse = reuse
        self._sampler = EpochSampler(len(dataset), shuffle=shuffle, seed=dataset.seed)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration is for."""
        self._sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[Item]:
        epoch, order = self._sampler.epoch, self._sampler.order()
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        batches = iter([order[n : n + self.batch_size].tolist() for n in starts])
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="medprep-load")
        waiting: deque[tuple[Future[Item], Buffers]] = deque()

        def ask(buffers: Buffers) -> None:
            numbers = next(batches, None)
            if numbers is not None:
                waiting.append((pool.submit(self._batch, numbers, epoch, buffers), buffers))

        try:
            for _ in range(self.prefetch):
                ask({})
            while waiting:
                future, buffers = waiting.popleft()
                yield future.result()
                ask(buffers if self.reuse else {})
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, numbers: list[int], epoch: int, buffers: Buffers) -> Item:
        items: list[Item] = []
        for row, number in enumerate(numbers):
            into = {name: array[row] for name, array in buffers.items()}
            items.append(self._item(number, epoch, into))
            if not buffers:
                _make_buffers(buffers, items, self.batch_size)
        count = len(items)
        batch: Item = {name: array[:count] for name, array in buffers.items()}
        for name in items[0]:
            if name not in batch:
                batch[name] = _joined(name, [item[name] for item in items])
        if self.dataset.as_torch:
            return {name: tensor(value) for name, value in batch.items()}
        return batch

    def _item(self, number: int, epoch: int, into: Buffers) -> Item:
        try:
            item = self.dataset.item(number, epoch, into)
        except BaseException as error:
            error.add_note(f"case {self.dataset.case_of(number).id}, patch {number}")
            raise
        return item


def _make_buffers(buffers: Buffers, items: list[Item], batch_size: int) -> None:
    """Memory for whole batches, of the type of the first item, which is moved there."""
    for name in ("image", "mask"):
        array = items[0][name]
        buffers[name] = np.empty((batch_size, *array.shape), array.dtype)
        buffers[name][0] = array


_STACKED = ("position", "spacing", "affine", "pad_value")


def _joined(name: str, values: list[Any]) -> Any:
    return np.stack(values) if name in _STACKED else values
