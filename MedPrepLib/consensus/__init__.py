"""Consensus: several readings become one, by a vote or by STAPLE, with a stated tie rule.

``choose`` is the front door, ``vote`` the majority, ``staple`` and ``multilabel`` weigh raters by
their performance, ``soft`` keeps probabilities.
"""

from MedPrepLib.consensus.choose import consensus
from MedPrepLib.consensus.multilabel import MultiLabelResult, multilabel_staple
from MedPrepLib.consensus.record import Consensus, reading_hash
from MedPrepLib.consensus.soft import ProbabilityMap, SoftLabel, soft_label
from MedPrepLib.consensus.staple import StapleResult, staple
from MedPrepLib.consensus.vote import majority_vote

__all__ = [
    "Consensus",
    "MultiLabelResult",
    "ProbabilityMap",
    "SoftLabel",
    "StapleResult",
    "consensus",
    "majority_vote",
    "multilabel_staple",
    "reading_hash",
    "soft_label",
    "staple",
]
