"""What to run, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.config import Study, parse_study, study_text
from MedPrepLib.errors import OrderError
from MedPrepLib.findings import Finding
from MedPrepLib.results import CaseResult
from MedPrepLib.split import SplitPlan

CASE_STAGES = ("screen", "standardize", "align", "agree", "consensus", "targets", "pack")
"""What is done with every case by itself, in one pass of a worker."""

STAGES = ("scan", *CASE_STAGES, "split", "report")
"""The stages of a run, in order; ``--from`` and ``--to`` take these names."""

PICTURES = "pictures"
IDENTITIES = "identities.csv"
SPLIT_RECORD = "split.json"
"""In the private folder: where every patient was placed."""

SPLITS_FINAL = "splits_final.json"
"""In the cohort: the folds as nnU-Net reads them."""

STUDY_COPY = "study.toml"
"""In the private folder: the study file that the cohort was made with, as it was."""


_MOST_SHARDS = 9999


@dataclass(frozen=True)
class Shard:
    """One part of a run, as array jobs do it: the ``number``-th of ``count``, from 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= _MOST_SHARDS:
            raise OrderError(f"{self} is no shard: I/N is 1/N to N/N, N at most {_MOST_SHARDS}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return f"{self.number:03d}-of-{self.count:03d}"


def shard_of(text: str) -> Shard:
    """The shard that ``2/16`` means; OrderError for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None:
        raise OrderError(f"{text!r} is no shard: write I/N, as in 2/16")
    return Shard(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Order:
    """What to run, where to, and how much of it.

    ``base``: folder that paths of the study are relative to. ``start``: stages from here on are
    done again even where nothing changed; empty: only what changed is done. ``stop``: last stage
    to do. ``rebuild``: a cohort that was made with other settings is made again. ``force``: start
    although the disk may fill up.
    ``cluster``: address of a Dask scheduler whose workers do the cases; empty: processes here.
    ``shard``: do this part of the cases only. ``merge``: do no case, take what shards did.
    """

    study: Study
    text: str
    """The study file as written; kept in the private folder."""
    base: Path
    cohort: Path
    start: str = ""
    stop: str = "report"
    workers: int = 0
    rebuild: bool = False
    force: bool = False
    cluster: str = ""
    shard: Shard | None = None
    merge: bool = False

    def __post_init__(self) -> None:
        for name in (self.start or "scan", self.stop):
            if name not in STAGES:
                raise OrderError(f"{name!r} is no stage; stages are {', '.join(STAGES)}")
        if self.start and STAGES.index(self.start) > STAGES.index(self.stop):
            raise OrderError(f"stage {self.start!r} comes after {self.stop!r}")
        if self.shard is not None and self.start in ("split", "report"):
            raise OrderError(
                f"a shard has no stage {self.start!r}: that is what medprep merge does"
            )

    @property
    def private(self) -> Path:
        """The folder beside the cohort that holds everything private."""
        return layout.private_folder(self.cohort)

    @property
    def logs(self) -> Path:
        """The private folder that a run writes its logs to: every shard to one of its own."""
        return (
            self.private
            if self.shard is None
            else self.private / layout.SHARDS_FOLDER / self.shard.folder
        )

    def wants(self, stage: str) -> bool:
        """True when the run reaches ``stage``; a shard ends with its cases."""
        if self.shard is not None and stage in ("split", "report"):
            return False
        return STAGES.index(self.stop) >= STAGES.index(stage)

    def repeats(self, stage: str) -> bool:
        """True when ``stage`` is to be done again although nothing changed."""
        return bool(self.start) and STAGES.index(self.start) <= STAGES.index(stage)


def order_of(
    study: Path,
    cohort: Path | None = None,
    *,
    start: str = "",
    stop: str = "report",
    workers: int = 0,
    rebuild: bool = False,
    force: bool = False,
    cluster: str = "",
    shard: Shard | None = None,
    merge: bool = False,
) -> Order:
    """The order to run a study file; the cohort lies beside it unless ``cohort`` says otherwise.

    Raises ConfigError and FileNotFoundError as config.load_study, OrderError for unknown stages.
    """
    text = study_text(study)
    return Order(
        study=parse_study(text, study.name, study.parent),
        text=text,
        base=study.resolve().parent,
        cohort=(cohort or study.parent / "cohort").resolve(),
        start=start,
        stop=stop,
        workers=workers,
        rebuild=rebuild,
        force=force,
        cluster=cluster,
        shard=shard,
        merge=merge,
    )


@dataclass(frozen=True)
class Summary:
    """What a run did and found."""

    cohort: Path
    private: Path
    report: Path | None
    results: tuple[CaseResult, ...]
    source_findings: tuple[Finding, ...]
    plan: SplitPlan | None
    files_seen: int
    headers_read: int
    cases_done: int
    unchanged: bool
    """True when the cohort on disk already was what this run would have written."""
    seconds: float = 0.0
    """From the beginning of the run to its end."""
    shard: str = ""
    """The part of the cases that was done, as 2/16; empty for all of them."""

    @property
    def included(self) -> tuple[CaseResult, ...]:
        """The cases that are in the cohort."""
        return tuple(result for result in self.results if result.included)

    @property
    def excluded(self) -> tuple[CaseResult, ...]:
        """The cases that are left out."""
        return tuple(result for result in self.results if not result.included)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found, about sources and about cases."""
        return self.source_findings + tuple(f for r in self.results for f in r.findings)
