"""Loading cohorts for training: needs numpy and h5py, and torch where tensors are wanted."""

from MedPrepLib.load.aggregate import Aggregator
from MedPrepLib.load.case import LoadedCase, read_case
from MedPrepLib.load.dataset import CohortDataset
from MedPrepLib.load.index import CohortIndex, IndexEntry, open_cohort
from MedPrepLib.load.patches import PatchDataset
from MedPrepLib.load.seeds import EpochSampler
from MedPrepLib.load.tables import build_index
from MedPrepLib.load.threads import ThreadLoader

__all__ = [
    "Aggregator",
    "CohortDataset",
    "CohortIndex",
    "EpochSampler",
    "IndexEntry",
    "LoadedCase",
    "PatchDataset",
    "ThreadLoader",
    "build_index",
    "open_cohort",
    "read_case",
]
