"""The cases of a packed cohort."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from MedPrepLib import layout
from MedPrepLib.casebook.entries import CaseEntry, with_reviews
from MedPrepLib.casebook.opened import OpenCase
from MedPrepLib.config import Study, parse_study
from MedPrepLib.consensus import Consensus, reading_hash
from MedPrepLib.errors import CohortError
from MedPrepLib.images import Volume
from MedPrepLib.load import open_cohort
from MedPrepLib.load.case import LoadedCase
from MedPrepLib.manifest import Manifest, read_manifest
from MedPrepLib.pipeline.order import STUDY_COPY
from MedPrepLib.results import ConsensusRecord, GridVerdict
from MedPrepLib.review import ReviewStore
from MedPrepLib.tables import AgreementRow

PACKED = GridVerdict("same", 0.0, "identical grid", "packed on the image's grid.")
AGREEMENT = "report/agreement.json"


@dataclass(frozen=True, eq=False)
class CohortBook:
    """The included cases of a cohort. Where they were packed from need not exist any more."""

    folder: Path
    manifest: Manifest
    study: Study
    lowest: Mapping[str, float]
    """The worst pair's Dice by case, from the cohort's own table."""
    reviews: str
    """Folder of the reviews, as the study file names it, relative to the cohort's parent."""
    readers: Mapping[str, tuple[str, ...]]
    """Raters by case, as far as the table names them."""

    @property
    def title(self) -> str:
        """The name of the study that the cohort was made from."""
        return self.manifest.study

    @property
    def store(self) -> ReviewStore:
        """Beside the cohort: in the same place as for the study that it was made from."""
        return ReviewStore(self.folder.parent / self.reviews)

    @property
    def entries(self) -> tuple[CaseEntry, ...]:
        """All cases in order of name, with all reviews."""
        found = []
        for case in self.manifest.cases:
            entry = CaseEntry(
                name=case.id,
                title=case.id,
                patient=case.patient,
                center=case.center,
                modality=case.modality,
                raters=self.readers.get(case.id, ()),
                lowest_dice=self.lowest.get(case.id),
                flags=case.findings,
            )
            found.append(with_reviews(entry, self.store.latest(case.id)[0]))
        return tuple(found)

    def read(self, name: str, fixes: frozenset[str] = frozenset()) -> OpenCase:
        """One case from its file; see Casebook. Masks were aligned when they were packed."""
        packed = open_cohort(self.folder).read(name)
        row = next(case for case in self.manifest.cases if case.id == name)
        return OpenCase(
            name=name,
            title=name,
            patient=row.patient,
            study=self.study,
            schema=self.manifest.schema,
            image=Volume(packed.image, packed.geometry),
            modality=row.modality,
            masks=packed.readings,
            verdicts=dict.fromkeys(packed.readings, PACKED),
            hashes={rater: reading_hash(mask) for rater, mask in packed.readings.items()},
            fixes=fixes,
            packed=_consensus(packed),
        )


def open_cohort_book(folder: Path) -> CohortBook:
    """The book of the cohort in a folder; CohortError, CorruptCaseError when there is none."""
    manifest = read_manifest(folder)
    study = parse_study(manifest.config, "manifest.json", schema=manifest.schema)
    lowest: dict[str, float] = {}
    readers: dict[str, set[str]] = {}
    for row in _agreement(folder):
        readers.setdefault(row.case, set()).update((row.rater_a, row.rater_b))
        if row.dice is not None and row.kind == "inter":
            lowest[row.case] = min(row.dice, lowest.get(row.case, 1.0))
    named = {case: tuple(sorted(raters)) for case, raters in readers.items()}
    return CohortBook(folder, manifest, study, lowest, _reviews(folder, study), named)


def _reviews(folder: Path, study: Study) -> str:
    """Where reviews are: the cohort does not tell, the study file in the private folder does."""
    kept = layout.private_folder(folder) / STUDY_COPY
    if not kept.is_file():
        return study.reviews
    return str(tomllib.loads(kept.read_text(encoding="utf-8")).get("reviews", study.reviews))


def _agreement(folder: Path) -> list[AgreementRow]:
    """The cohort's table of agreement; none where it has no report."""
    path = folder / AGREEMENT
    if not path.is_file():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[AgreementRow])
    except msgspec.MsgspecError as error:
        raise CohortError(f"{AGREEMENT} is no table of agreement: {error}") from None


def _consensus(packed: LoadedCase) -> Consensus | None:
    if packed.consensus is None or not packed.annotated:
        return None
    return Consensus(packed.mask, msgspec.convert(packed.consensus, ConsensusRecord))
