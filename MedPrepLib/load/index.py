"""The list of cases of a cohort, as its manifest names them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from MedPrepLib import layout
from MedPrepLib.errors import CohortError, MedPrepError
from MedPrepLib.labels import LabelSchema
from MedPrepLib.load.case import LoadedCase, schema_from
from MedPrepLib.load.storage import read_manifest_bytes, read_stored
from MedPrepLib.window import NAMED_WINDOWS

Split = Literal["train", "validation", "test"]


_ODD_ERRORS = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
"""What a tree of another form than expected ends in."""


class NoSuchCaseError(MedPrepError, KeyError):
    """A case or a split that the cohort does not have."""

    def __str__(self) -> str:  # KeyError would put the sentence in quotes
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One case: who, where, in which part, and its file relative to the cohort.

    ``annotated`` is False where nobody drew a mask: it is all zero then. ``person``: equal for all
    cases of what may be one patient under several names; empty: ``patient`` is that name.
    """

    id: str
    patient: str
    center: str
    modality: str
    split: str
    fold: int | None
    name: str
    size_bytes: int
    sha256: str
    annotated: bool = True
    person: str = ""


@dataclass(frozen=True)
class CohortIndex:
    """A cohort without its voxels.

    ``windows`` holds (level, width) by name, ``normalization`` (mean, standard deviation) by
    modality, pooled from the training part only. ``config`` is the study file, ``root_hash`` the
    hash over the whole manifest.
    """

    folder: Path
    study: str
    task: str
    labels: LabelSchema
    cases: tuple[IndexEntry, ...]
    windows: dict[str, tuple[float, float]] = field(default_factory=dict)
    normalization: dict[str, tuple[float, float]] = field(default_factory=dict)
    config: str = ""
    root_hash: str = ""

    def select(self, split: Split | None = None, fold: int | None = 0) -> tuple[IndexEntry, ...]:
        """The cases of one part, in order of id.

        "test": held out. "validation": training cases of fold ``fold``. "train": those of all
        other folds, or all training cases when ``fold`` is None. None: every case.
        Raises NoSuchCaseError for another split, or a fold that no case has.
        """
        if split is None:
            return self.cases
        if split == "test":
            return tuple(case for case in self.cases if case.split == "test")
        training = tuple(case for case in self.cases if case.split == "train")
        if split == "train" and fold is None:
            return training
        folds = sorted({case.fold for case in training if case.fold is not None})
        if split not in ("train", "validation") or fold not in folds:
            raise NoSuchCaseError(f"no split {split!r} with fold {fold}; folds are {folds}")
        held_out = split == "validation"
        return tuple(case for case in training if (case.fold == fold) is held_out)

    def learnable(
        self, split: Split | None, fold: int | None, *, unannotated: bool = False
    ) -> tuple[IndexEntry, ...]:
        """What datasets give of one part: as :meth:`select`, but masks that somebody drew.

        A segmentation cohort may hold cases without a mask (with boxes only, say, or where that
        was allowed): a network would learn that there is nothing. ``unannotated`` keeps them.
        """
        chosen = self.select(split, fold)
        if unannotated or self.task != "segmentation":
            return chosen
        return tuple(case for case in chosen if case.annotated)

    def path_of(self, case_id: str) -> Path:
        """The file of a case; NoSuchCaseError when the cohort does not have it."""
        for case in self.cases:
            if case.id == case_id:
                return self.folder / case.name
        raise NoSuchCaseError(f"no case {case_id!r} among {len(self.cases)}")

    def read(self, case_id: str) -> LoadedCase:
        """Everything about one case; errors of :func:`path_of` and of case.read_case."""
        return read_stored(
            self.folder, case_id, str(self.path_of(case_id).relative_to(self.folder))
        )


def open_cohort(cohort_dir: Path | str) -> CohortIndex:
    """The index of a cohort; only the manifest is read, and checked.

    ``cohort_dir``: its folder, or what ``medprep export --to hdf5`` or ``lmdb`` made of it.

    Raises CohortError when there is no cohort, or one of a newer MedPrep; CorruptCaseError when
    its manifest was changed.
    """
    folder = Path(cohort_dir)
    tree = layout.unsealed(read_manifest_bytes(folder), layout.MANIFEST_NAME)
    try:
        return index_of(folder, tree)
    except CohortError:
        raise
    except _ODD_ERRORS as error:
        raise CohortError(f"{layout.MANIFEST_NAME} is no manifest of a cohort: {error}") from None


def index_of(folder: Path, tree: dict[str, Any]) -> CohortIndex:
    """The index of a cohort whose manifest says ``tree``; CohortError when that leads elsewhere."""
    return CohortIndex(
        folder=folder,
        study=str(tree["study"]),
        task=str(tree["task"]),
        labels=schema_from(tree["schema"]["labels"]),
        cases=tuple(entry_of(row, tree["format_version"]) for row in tree["cases"]),
        windows=_windows(tree["config"]),
        normalization={
            name: (float(row["mean"]), float(row["std"]))
            for name, row in tree["normalization"].items()
        },
        config=tree["config"],
        root_hash=tree["root_hash"],
    )


def entry_of(row: dict[str, Any], version: int = layout.FORMAT_VERSION) -> IndexEntry:
    """A case as a manifest of this version has it; CohortError when its file leads elsewhere."""
    shard = row["shard"]
    layout.require_place(row["id"], shard["name"], shard["sha256"], version)
    return IndexEntry(
        id=row["id"],
        patient=row["patient"],
        center=row["center"],
        modality=row["modality"],
        split=row["split"],
        fold=row["fold"],
        name=shard["name"],
        size_bytes=shard["size"],
        sha256=shard["sha256"],
        annotated=bool(row.get("annotated", True)),
        person=str(row.get("person", "")),
    )


def _windows(config: str) -> dict[str, tuple[float, float]]:
    """The named windows of the study file, or the usual ones where it names none."""
    given = tomllib.loads(config).get("standardize", {}).get("windows")
    if given is None:
        return dict(NAMED_WINDOWS)
    return {name: (float(row["level"]), float(row["width"])) for name, row in given.items()}
