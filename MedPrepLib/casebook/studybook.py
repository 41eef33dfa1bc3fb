"""The cases of a study, read from their sources as a run reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.atomic import make_folder
from MedPrepLib.casebook.entries import CaseEntry, with_result, with_reviews
from MedPrepLib.casebook.opened import NotShownError, OpenCase
from MedPrepLib.cohort import MaskReading
from MedPrepLib.config import Study
from MedPrepLib.findings import rejects
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey, load_site_key, public_names
from MedPrepLib.ledger import Ledger, open_ledger
from MedPrepLib.pipeline import imagework, readingwork
from MedPrepLib.pipeline.draft import CaseTask, Draft, first_draft, known
from MedPrepLib.pipeline.order import Order, order_of
from MedPrepLib.pipeline.tasks import case_tasks, scan_cases
from MedPrepLib.progress import Listener, silent
from MedPrepLib.reading import align_parts, load_placed
from MedPrepLib.results import CaseResult, GridVerdict
from MedPrepLib.review import Review, ReviewStore, drawn_hashes
from MedPrepLib.screen import judged, modality_of
from MedPrepLib.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class StudyBook:
    """The cases that the sources of a study describe, by public name."""

    order: Order
    tasks: Mapping[str, CaseTask]
    results: Mapping[str, CaseResult]
    """What the last run found, if there was one."""

    @property
    def title(self) -> str:
        """The name of the study."""
        return self.order.study.name

    @property
    def study(self) -> Study:
        """The settings of the study file."""
        return self.order.study

    @property
    def store(self) -> ReviewStore:
        """The study's own folder of reviews."""
        return ReviewStore(self.order.base / self.order.study.reviews)

    @property
    def entries(self) -> tuple[CaseEntry, ...]:
        """All cases in order of title, with the results of the last run and all reviews."""
        found = []
        for name, task in self.tasks.items():
            entry = with_result(_entry(task), self.results.get(name))
            found.append(with_reviews(entry, self.store.latest(name)[0]))
        return tuple(sorted(found, key=lambda entry: entry.title))

    def read(self, name: str, fixes: frozenset[str] = frozenset()) -> OpenCase:
        """One case from its files; see Casebook."""
        task = self.tasks[name]
        fixed = {"": Review(name, "", fixes=tuple(sorted(fixes)))} if fixes else {}
        task = replace(task, reviews=fixed)
        draft = readingwork.align(task, _image_of(task))
        elsewhere = _drawn_elsewhere(task, draft)
        verdicts = {rater: verdict for rater, (verdict, _) in elsewhere.items()}
        return OpenCase(
            name=name,
            title=task.candidate.case.id,
            patient=task.patient,
            study=task.study,
            schema=task.study.schema(),
            image=known(draft.image),
            modality=modality_of(draft.case),
            masks=draft.masks,
            verdicts=verdicts | {r.rater: r.grid for r in draft.readings},
            as_drawn={rater: parts for rater, (_, parts) in elsewhere.items()},
            hashes={r.rater: r.content_hash for r in draft.readings},
            drawn_hashes=drawn_hashes(draft.boxes, draft.slice_readings),
            boxes=draft.boxes,
            slices=draft.slice_readings,
            findings=judged(draft.findings, task.study.screen.severity),
            fixes=fixes,
        )


def open_study_book(path: Path, listen: Listener = silent, key: SiteKey | None = None) -> StudyBook:
    """Scan the sources of a study file; headers that a run has read are not read again.

    Raises ConfigError, FileNotFoundError, RunError.
    """
    order = order_of(path)
    with _ledger(order) as ledger:
        scanned = scan_cases(order, ledger, listen)
        results = {r.id: r for r in ledger.results()} if ledger else {}
    cases = [candidate.case for candidate in scanned.candidates]
    names = public_names(cases, key or load_site_key(), order.study.privacy.case_names)
    tasks = {task.name: task for task in case_tasks(order, scanned, names)}
    return StudyBook(order, tasks, results)


@contextmanager
def _ledger(order: Order) -> Iterator[Ledger | None]:
    """The ledger of the study's runs; none where its folder cannot be made."""
    try:
        make_folder(order.private)
    except OSError:  # a study on a disk that only others may write to can still be looked at
        yield None
        return
    with open_ledger(order.private / layout.LEDGER_NAME) as ledger:
        yield ledger


def _entry(task: CaseTask) -> CaseEntry:
    case = task.candidate.case
    return CaseEntry(
        name=task.name,
        title=case.id,
        patient=task.patient,
        center=case.patient.center,
        modality=modality_of(case),
        raters=tuple(sorted(case.raters)),
    )


def _image_of(task: CaseTask) -> Draft:
    """The draft with the image, also of a case that the rules leave out, if it can be made."""
    draft = imagework.screen(task, first_draft(task))
    if draft.geometry is not None:
        draft = imagework.standardize(task, draft)
    if draft.image is None:
        said = judged(draft.findings, task.study.screen.severity)
        raise NotShownError(task.name, tuple(f for f in said if rejects([f])) or said)
    return draft


def _drawn_elsewhere(
    task: CaseTask, draft: Draft
) -> dict[str, tuple[GridVerdict, tuple[Segmentation, ...]]]:
    """The masks of raters whose grids are not the image's, on their own grids, and the verdict."""
    there = {r.rater for r in draft.readings if r.grid.verdict in ("same", "rounding")}
    found = {}
    for reading in draft.case.readings:
        if reading.rater not in there:
            parts, verdict = _own_parts(task, known(draft.geometry), reading)
            if verdict is not None:
                found[reading.rater] = (verdict, parts)
    return found


def _own_parts(
    task: CaseTask, geometry: Geometry, reading: MaskReading
) -> tuple[tuple[Segmentation, ...], GridVerdict | None]:
    case, limits, schema = task.candidate.case, task.study.align, task.study.schema()
    frame = case.links.frame_of_reference_uid
    loaded = load_placed(
        reading, geometry, schema, limits, task.name, source=case.image, frame=frame
    )
    aligned = align_parts(loaded.segmentations, geometry, limits, task.name)
    return loaded.segmentations, aligned.verdict
