"""The split as other tools read it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from MedPrepLib.split.members import Place


def splits_final(places: Mapping[str, Place]) -> str:
    """``splits_final.json`` of nnU-Net v2: for every fold its training and validation cases.

    Test cases are in none of them (nnU-Net keeps those in imagesTs). Sorted, so the same split
    gives the same bytes.
    """
    training = {case: place.fold for case, place in places.items() if place.part == "train"}
    folds = sorted({fold for fold in training.values() if fold is not None})
    rounds = [
        {
            "train": sorted(case for case, own in training.items() if own != fold),
            "val": sorted(case for case, own in training.items() if own == fold),
        }
        for fold in folds
    ]
    return json.dumps(rounds, indent=1) + "\n"
