"""Folders that nnU-Net and MONAI train on: images, labels, and lists of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MedPrepLib.errors import MedPrepError, RunError
from MedPrepLib.export.folder import new_folder, read_entry, write_json
from MedPrepLib.formats.niftiwrite import write_nifti
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.load import CohortIndex, IndexEntry, LoadedCase

BACKGROUND, IGNORE = "background", "ignore"
ENDING = ".nii.gz"
_NNUNET_FOLDER = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Written:
    """A case that was written: its paths in the folder; ``label`` is empty without annotation."""

    entry: IndexEntry
    image: str
    label: str
    undecided: bool


def to_nnunet(index: CohortIndex, target: Path, modality: str | None = None) -> None:
    """A dataset in nnU-Net's raw format (documentation/dataset_format.md), and splits_final.json.

    ``target`` is called DatasetNNN_Name. Labels are numbered 1..n in order of value, as nnU-Net
    wants them consecutive; undecided voxels become its ignore label n + 1. Cases that nobody
    annotated, and those of the test part, go to imagesTs. splits_final.json belongs into nnU-Net's
    folder of preprocessed data. Raises MedPrepError for another folder name, for several
    modalities of which ``modality`` selects none, and for names that nnU-Net reserves; RunError
    where no training case has a mask.
    """
    if not _NNUNET_FOLDER.fullmatch(target.name):
        raise MedPrepError(
            f"nnU-Net reads folders called DatasetNNN_Name, like Dataset001_Kidney, not "
            f"{target.name!r}"
        )
    _require_free_names(index.labels)
    kind, entries = _of_one_modality(index, modality)
    with new_folder(target) as partial:
        numbers = _consecutive(index.labels)
        written = _write_all(index, entries, partial, "_0000", numbers)
        training = _trained(written)
        labels = {BACKGROUND: 0} | {x.name: n for n, x in enumerate(index.labels, start=1)}
        if any(x.undecided for x in written):
            labels[IGNORE] = len(index.labels) + 1
        write_json(
            partial / "dataset.json",
            {
                "name": index.study,
                "channel_names": {"0": kind},
                "labels": labels,
                "numTraining": len(training),
                "file_ending": ENDING,
            },
        )
        if folds := _folds([x.entry for x in training]):
            write_json(partial / "splits_final.json", folds)


def to_monai(index: CohortIndex, target: Path, fold: int | None = None) -> None:
    """NIfTI files and ``datalist.json`` as MONAI's load_decathlon_datalist and Auto3DSeg read it.

    ``training`` rows carry their fold. With ``fold``, its cases are ``validation`` and no
    training; without, there is no such list. Test cases are ``testing``. Values are the study's
    own; ``labels`` names them, ``ignore_value`` the undecided ones. RunError where no training case
    has a mask.
    """
    with new_folder(target) as partial:
        written = _write_all(index, index.cases, partial, "", lambda case: case.mask)
        trained = _trained(written)
        held_out = [x for x in trained if fold is not None and x.entry.fold == fold]
        if fold is not None and not held_out:
            raise MedPrepError(f"no annotated training case has fold {fold}")
        tree: dict[str, Any] = {
            "name": index.study,
            "labels": {"0": BACKGROUND} | {str(x.value): x.name for x in index.labels},
            "training": [_row(x) for x in trained if x not in held_out],
            "testing": [_row(x) for x in written if x.entry.split == "test"],
        }
        if held_out:
            tree["validation"] = [_row(x) for x in held_out]
        if any(x.undecided for x in written):
            tree["ignore_value"] = index.labels.ignore_value
        write_json(partial / "datalist.json", tree)


def _write_all(
    index: CohortIndex,
    entries: Sequence[IndexEntry],
    folder: Path,
    suffix: str,
    mask_of: Callable[[LoadedCase], VoxelArray],
) -> list[Written]:
    written = []
    for name in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / name).mkdir()
    for entry in entries:
        case = read_entry(index, entry)
        part = "Tr" if entry.split == "train" and case.annotated else "Ts"
        image = f"images{part}/{entry.id}{suffix}{ENDING}"
        label = f"labels{part}/{entry.id}{ENDING}" if case.annotated else ""
        write_nifti(folder / image, case.volume)
        if label:
            write_nifti(folder / label, case.volume.with_array(mask_of(case)))
        ignore = case.ignore_value
        undecided = ignore is not None and bool(np.equal(case.mask, ignore).any())
        written.append(Written(entry, image, label, undecided))
    return written


def _trained(written: Sequence[Written]) -> list[Written]:
    """The training cases that have a mask; RunError where there are training cases, all without.

    Boxes and slice labels are nothing that these lists could hold.
    """
    training = [x for x in written if x.entry.split == "train"]
    if training and not any(x.label for x in training):
        raise RunError(
            f"none of {len(training)} training cases has a mask, so there is nothing to train on; "
            "datasets of MedPrepLib.load give boxes and slice labels"
        )
    return [x for x in training if x.label]


def _row(written: Written) -> dict[str, Any]:
    row: dict[str, Any] = {"image": written.image}
    if written.label:
        row["label"] = written.label
    if written.entry.fold is not None:
        row["fold"] = written.entry.fold
    return row


def _consecutive(schema: LabelSchema) -> Callable[[LoadedCase], VoxelArray]:
    """Masks with values 1..n in order of the schema; undecided voxels hold n + 1."""
    count = len(schema) + 1

    def renumbered(case: LoadedCase) -> VoxelArray:
        highest = max([label.value for label in schema] + [case.ignore_value or 0])
        table = np.zeros(highest + 1, dtype=np.min_scalar_type(count))
        for number, label in enumerate(schema, start=1):
            table[label.value] = number
        if case.ignore_value is not None:
            table[case.ignore_value] = count
        result: VoxelArray = table[case.mask]
        return result

    return renumbered


def _folds(entries: Sequence[IndexEntry]) -> list[dict[str, list[str]]]:
    """The rounds in the order of their numbers, which nnU-Net tells by the place in the list.

    One of which no case is here (none annotated, or another modality) validates nothing.
    """
    numbers = range(
        max((entry.fold for entry in entries if entry.fold is not None), default=-1) + 1
    )
    return [
        {
            "train": sorted(x.id for x in entries if x.fold != number),
            "val": sorted(x.id for x in entries if x.fold == number),
        }
        for number in numbers
    ]


def _of_one_modality(
    index: CohortIndex, modality: str | None
) -> tuple[str, tuple[IndexEntry, ...]]:
    kinds = sorted({entry.modality for entry in index.cases})
    if modality is None and len(kinds) != 1:
        raise MedPrepError(
            f"nnU-Net trains on one modality at a time, and the cohort has {', '.join(kinds)}: "
            "choose one (--modality)"
        )
    kind = modality or kinds[0]
    entries = tuple(entry for entry in index.cases if entry.modality == kind)
    if not entries:
        raise RunError(f"no case of modality {kind}; there are {', '.join(kinds)}")
    return kind, entries


def _require_free_names(schema: LabelSchema) -> None:
    taken = {BACKGROUND, IGNORE} & {label.name.casefold() for label in schema}
    if taken:
        raise MedPrepError(f"nnU-Net has its own label {', '.join(sorted(taken))}: rename yours")
