"""Loading cohorts for training: needs numpy and h5py, and torch where tensors are wanted."""

from MedPrepLib.load.case import LoadedCase, read_case
from MedPrepLib.load.dataset import CohortDataset
from MedPrepLib.load.index import CohortIndex, IndexEntry, open_cohort

__all__ = [
    "CohortDataset",
    "CohortIndex",
    "IndexEntry",
    "LoadedCase",
    "open_cohort",
    "read_case",
]
