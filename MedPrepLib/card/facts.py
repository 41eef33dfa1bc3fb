"""What a card is made of: manifest, public settings, a row per case, the table of agreement.

All of it is in the cohort already: a card tells nothing that case files and report do not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from MedPrepLib.config.settings import Study
from MedPrepLib.geometry import Triple
from MedPrepLib.load.case import CaseRecord, read_record
from MedPrepLib.manifest import Manifest, ManifestCase
from MedPrepLib.results import CaseResult, Targets, people_of, person_of
from MedPrepLib.tables import AgreementRow


class CaseRow(msgspec.Struct, frozen=True):
    """One case, a line of ``cases.csv``.

    ``set``: train or test; ``fold`` and ``age_years`` may be unknown. Sizes in voxels and spacings
    in mm along i, j, k. ``person``: ``patient``, but equal for all cases of what may be one patient
    under several names. ``labels``: values of the labels that the case shows, in its mask, in a box
    or on a slice; ``boxes`` and ``slices``: how many of each label, as ``value:count``; and
    ``findings``: codes of what is known of the case; all with blanks between them. ``reference``:
    how the mask was made, empty without one. ``bytes`` and ``sha256`` are those of ``file``.
    """

    case: str
    patient: str
    person: str
    center: str
    modality: str
    set: str
    fold: int | None
    sex: str
    age_years: int | None
    readings: int
    reference: str
    labels: str
    boxes: str
    slices: str
    size_i: int
    size_j: int
    size_k: int
    spacing_i_mm: float
    spacing_j_mm: float
    spacing_k_mm: float
    findings: str
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class CardInput:
    """Everything that a card tells; no clock is looked at.

    ``manifest``: without the files of the card. ``cases`` in order of id. ``agreement``: pairs of
    different persons on cases of the cohort.
    """

    manifest: Manifest
    settings: Study
    cases: tuple[CaseRow, ...]
    agreement: tuple[AgreementRow, ...] = ()

    @cached_property
    def people(self) -> tuple[CaseRow, ...]:
        """A row per patient (within a center), with sex and age as people_of has them."""
        first: dict[tuple[str, str], CaseRow] = {}
        for case in self.cases:
            first.setdefault(person_of(case), case)
        return tuple(
            msgspec.structs.replace(first[who], sex=person.sex, age_years=person.age_years)
            for who, person in people_of(self.cases).items()
        )

    @property
    def title(self) -> str:
        """The name of the data set, as its people call it or as the study is called."""
        return self.settings.card.title.strip() or self.manifest.study


def card_input(
    manifest: Manifest,
    settings: Study,
    cases: Iterable[CaseRow],
    agreement: Iterable[AgreementRow] = (),
) -> CardInput:
    """The input of a card, in an order that depends on the content alone."""
    files = tuple(sorted(manifest.files, key=lambda file: file.name))
    return CardInput(
        manifest=msgspec.structs.replace(manifest, files=files),
        settings=settings,
        cases=tuple(sorted(cases, key=lambda row: row.case)),
        agreement=tuple(row for row in agreement if row.included and row.kind == "inter"),
    )


def rows_of_results(manifest: Manifest, results: Iterable[CaseResult]) -> tuple[CaseRow, ...]:
    """A row per case of the manifest, from what a run knows of it."""
    found = {result.id: result for result in results}
    return tuple(_of_result(manifest, case, found[case.id]) for case in manifest.cases)


def rows_of_files(cohort: Path, manifest: Manifest) -> tuple[CaseRow, ...]:
    """The same rows from the attributes of the case files.

    Raises CohortError and CorruptCaseError for files that are missing or damaged.
    """
    return tuple(
        _of_file(manifest, case, read_record(cohort / case.shard.name)) for case in manifest.cases
    )


def _of_result(manifest: Manifest, case: ManifestCase, result: CaseResult) -> CaseRow:
    grid, made = result.geometry, result.targets or Targets({}, (), ())
    slices: Counter[str] = Counter()
    for found in made.slices:
        slices[found.label] += found.stop - found.start
    return _row(
        manifest,
        case,
        sex=result.sex,
        age_years=result.age_years,
        readings=len(result.readings),
        reference=result.consensus.method if result.consensus is not None else "",
        voxels=made.voxels,
        boxes=_by_value(manifest, Counter(box.label for box in made.boxes)),
        slices=_by_value(manifest, slices),
        size=grid.size if grid is not None else (0, 0, 0),
        spacing=grid.spacing if grid is not None else (0.0, 0.0, 0.0),
    )


def _by_value(manifest: Manifest, counts: Mapping[str, int]) -> dict[int, int]:
    return {manifest.schema.named(name).value: count for name, count in counts.items()}


def _of_file(manifest: Manifest, case: ManifestCase, record: CaseRecord) -> CaseRow:
    attributes = record.attributes
    meta, consensus = json.loads(attributes["meta"]), json.loads(attributes["consensus"])
    return _row(
        manifest,
        case,
        sex=meta.get("sex") or "unknown",
        age_years=meta.get("age_years"),
        readings=len(json.loads(attributes["readings"])),
        reference=consensus["method"] if consensus else "",
        voxels=json.loads(attributes["voxels"]),
        boxes=record.boxes,
        slices=record.slices,
        size=attributes["size"],
        spacing=attributes["spacing"],
    )


def _row(
    manifest: Manifest,
    case: ManifestCase,
    *,
    sex: str,
    age_years: int | None,
    readings: int,
    reference: str,
    voxels: Mapping[str, int],
    boxes: Mapping[int, int],
    slices: Mapping[int, int],
    size: Sequence[int],
    spacing: Triple | Sequence[float],
) -> CaseRow:
    drawn = {label.value for label in manifest.schema if voxels.get(label.name, 0) > 0}
    shown = sorted(drawn | boxes.keys() | slices.keys())
    return CaseRow(
        case=case.id,
        patient=case.patient,
        person=case.person or case.patient,
        center=case.center,
        modality=case.modality,
        set=case.split,
        fold=case.fold,
        sex=sex,
        age_years=age_years,
        readings=readings,
        reference=reference,
        labels=" ".join(map(str, shown)),
        boxes=_counts(boxes),
        slices=_counts(slices),
        size_i=int(size[0]),
        size_j=int(size[1]),
        size_k=int(size[2]),
        spacing_i_mm=float(spacing[0]),
        spacing_j_mm=float(spacing[1]),
        spacing_k_mm=float(spacing[2]),
        findings=" ".join(case.findings),
        file=case.shard.name,
        bytes=case.shard.size,
        sha256=case.shard.sha256,
    )


def _counts(counts: Mapping[int, int]) -> str:
    return " ".join(f"{value}:{count}" for value, count in sorted(counts.items()) if count)


def counts_in(cell: str) -> dict[int, int]:
    """Counts by label value in a cell of the table: ``boxes`` or ``slices``."""
    pairs = (word.split(":") for word in cell.split())
    return {int(value): int(count) for value, count in pairs}
