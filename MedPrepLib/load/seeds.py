"""Chance that depends on what is drawn for, never on who draws it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ORDER = 1
"""Set apart from items: the order of an epoch."""


def generator_of(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of item ``index`` in ``epoch``: the same in every process and thread.

    Two items never share a stream (O'Neill's seed sequences, as numpy.random.SeedSequence).
    """
    return np.random.default_rng(np.random.SeedSequence([seed, epoch, index]))


class EpochSampler:
    """The order of the items of an epoch, for the ``sampler`` of a torch DataLoader.

    Yields pairs (epoch, index): a dataset asked so uses that epoch, also in workers that were
    started in an earlier one (``persistent_workers``). The order depends on seed and epoch only.
    """

    def __init__(self, length: int, *, shuffle: bool = True, seed: int = 0) -> None:
        self.length = length
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, index) for index in self.order().tolist())

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration is for."""
        self.epoch = epoch

    def order(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Indices in the order of this epoch."""
        if not self.shuffle:
            return np.arange(self.length)
        sequence = np.random.SeedSequence([self.seed, self.epoch], spawn_key=(ORDER,))
        return np.random.default_rng(sequence).permutation(self.length)
