"""The audit: every image is read once, hashed and fingerprinted, then all are compared."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from MedPrepLib.errors import CohortError, GeometryError, ReadError, UnsupportedError
from MedPrepLib.findings import rejects
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.images import Volume
from MedPrepLib.leakage import Evidence, Subject, copies, fingerprint, image_hashes, shared_between
from MedPrepLib.leakaudit.entry import Entry
from MedPrepLib.leakaudit.listed import listed
from MedPrepLib.pipeline.crew import LocalCrew
from MedPrepLib.pipeline.workers import Lost, WorkerPool
from MedPrepLib.progress import Listener, Step, silent
from MedPrepLib.results import LeakageProof

TIMEOUT_S = 600.0


class Unread(msgspec.Struct, frozen=True):
    """An image that could not be compared, and why."""

    id: str
    why: str


class Leak(msgspec.Struct, frozen=True):
    """One proof: which two items, in which sets of which round, share what."""

    round: str
    kind: str
    one: str
    one_set: str
    other: str
    other_set: str
    detail: str


class AuditResult(msgspec.Struct, frozen=True):
    """What the audit of a whole cohort found; ``proofs`` by round of training (fold)."""

    images: int
    proofs: dict[str, LeakageProof]
    leaks: tuple[Leak, ...]
    unread: tuple[Unread, ...]


def audit_cohort(
    cohort: Path,
    *,
    splits: Path | None = None,
    limit: float = 0.8,
    workers: int = 0,
    listen: Listener = silent,
) -> AuditResult:
    """Compare everything in different sets of a cohort (see listed).

    ``limit``: agreement of fingerprints from which on two images are copies. Raises RunError for
    a folder that is no cohort; an image that cannot be read is named in the result.
    """
    entries = listed(cohort, splits)
    subjects, unread = _read(entries, workers or os.cpu_count() or 1, listen)
    everything = [subjects[key] for key in sorted(subjects)]
    near = copies(everything, limit)
    names = {str(number): entry.id for number, entry in enumerate(entries)}
    proofs, leaks = {}, list(_in_two_sets(entries))
    for fold in sorted({fold for entry in entries for fold, _ in entry.sets}):
        places = {
            str(number): part
            for number, entry in enumerate(entries)
            for own, part in entry.sets
            if own == fold and str(number) in subjects
        }
        here = [subject for subject in everything if subject.id in places]
        within = [e for e in near if e.one in places and e.other in places]
        proofs[fold], found = shared_between(here, places, within)
        leaks += [_leak(fold, evidence, places, names) for evidence in found]
    return AuditResult(len(entries), proofs, _once(leaks), unread)


def _in_two_sets(entries: Iterable[Entry]) -> Iterator[Leak]:
    """Cases that one list puts into two sets of the same round."""
    for entry in entries:
        for (fold, one), (same, other) in itertools.combinations(entry.sets, 2):
            if fold == same and one != other:
                detail = "the same case is listed in both"
                yield Leak(fold, "case", entry.id, one, entry.id, other, detail)


def _leak(fold: str, found: Evidence, places: dict[str, str], names: dict[str, str]) -> Leak:
    return Leak(
        fold,
        found.kind,
        names[found.one],
        places[found.one],
        names[found.other],
        places[found.other],
        found.detail,
    )


def _once(leaks: Iterable[Leak]) -> tuple[Leak, ...]:
    """What several rounds show alike (training against test) is told once."""
    seen: dict[tuple[str, ...], Leak] = {}
    for leak in leaks:
        sides = sorted(((leak.one, leak.one_set), (leak.other, leak.other_set)))
        seen.setdefault((leak.kind, *(word for side in sides for word in side)), leak)
    return tuple(seen.values())


def _read(
    entries: Sequence[Entry], workers: int, listen: Listener
) -> tuple[dict[str, Subject], tuple[Unread, ...]]:
    """What every readable image shows, by its number as text; and those that are not readable."""
    tasks = list(enumerate(entries))
    pool: WorkerPool[tuple[int, Entry], Subject | Unread] = WorkerPool(
        _examine, LocalCrew(min(workers, max(1, len(tasks)))), TIMEOUT_S
    )
    subjects: dict[str, Subject] = {}
    unread: list[Unread] = []
    listen(Step("audit", 0, len(tasks)))
    for done, ((number, entry), answer) in enumerate(pool.run(tasks), start=1):
        listen(Step("audit", done, len(tasks), entry.id))
        if isinstance(answer, Subject):
            subjects[str(number)] = answer
            continue
        why = f"its reader {answer.why}" if isinstance(answer, Lost) else answer.why
        unread.append(Unread(entry.id, why))
        traces = Subject(str(number), entry.patient)
        subjects[str(number)] = traces
    return subjects, tuple(sorted(unread, key=lambda u: u.id))


def _examine(task: tuple[int, Entry]) -> Subject | Unread:
    number, entry = task
    try:
        volume, traces = (_of_case if entry.kind == "case" else _of_image)(entry)
    except (ReadError, CohortError, GeometryError, UnsupportedError, FileFaultError) as error:
        return Unread(entry.id, str(error))
    hashes = image_hashes(volume)
    return Subject(
        str(number),
        entry.patient,
        (*traces, ("image", hashes.image)),
        hashes.slices,
        str(fingerprint(volume)),
    )


def _of_case(entry: Entry) -> tuple[Volume, tuple[tuple[str, str], ...]]:
    from MedPrepLib.load.storage import read_stored

    case = read_stored(Path(entry.path), entry.id, entry.name, everything=False)
    return case.volume, ()


def _of_image(entry: Entry) -> tuple[Volume, tuple[tuple[str, str], ...]]:
    from MedPrepLib.config.settings import Screen
    from MedPrepLib.dicom.pixels import read_series
    from MedPrepLib.formats.files import read_volume
    from MedPrepLib.scan.headers import HeaderReader
    from MedPrepLib.scan.image import find_image

    found = find_image(Path(entry.path), entry.id, HeaderReader(None, ()), Screen())
    if found.source.kind == "file" and found.source.paths:
        return read_volume(Path(found.source.paths[0])), ()
    if not found.slices:
        why = "; ".join(f.message for f in found.findings if rejects([f]))
        raise ReadError(why or "no image was found here")
    links = found.links
    uids = (("study", links.study_uid), ("frame", links.frame_of_reference_uid))
    return read_series(found.slices).volume, tuple((k, uid) for k, uid in uids if uid)
