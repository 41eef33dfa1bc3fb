"""Scan: from the sources of a study file to candidates for cases. Reads headers, not voxels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config.settings import (
    DicomSource,
    FolderSource,
    NnunetSource,
    Source,
    Study,
    TableSource,
)
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.ledger import Ledger
from MedPrepLib.scan.centers import CenterTable, read_centers
from MedPrepLib.scan.detached import with_data_files
from MedPrepLib.scan.dicomtree import scan_dicom_tree
from MedPrepLib.scan.folders import EXPECTED_FOLDERS, scan_folders
from MedPrepLib.scan.found import Candidate, Scanned
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.nnunet import EXPECTED_NNUNET, scan_nnunet
from MedPrepLib.scan.rules import unused
from MedPrepLib.scan.table import scan_table
from MedPrepLib.scan.unmatched import CaseFolders, unmatched_in

__all__ = ["Candidate", "Scanned", "require_sources", "scan"]


def scan(
    study: Study,
    base: Path,
    ledger: Ledger | None = None,
    on_case: Callable[[str], None] = lambda _: None,
    on_files: Callable[[int], None] = lambda _: None,
) -> Scanned:
    """Find every case that the sources of ``study`` describe; paths are relative to ``base``.

    ``on_case`` hears the id of every case as it is found, ``on_files`` now and then how many files
    were looked at; both may raise to end the scan. With a ledger, only new and changed files are
    opened. Raises ConfigError for sources that do not exist.
    """
    tables = require_sources(study, base)
    reader = HeaderReader(ledger, study.screen.key_tags, on_files)
    candidates: list[Candidate] = []
    findings: list[Finding] = []
    folders: list[CaseFolders] = []
    for index, source in enumerate(study.sources):
        count = len(candidates)
        used: set[str] = set()
        for found in _scan_source(source, index, base, reader, study):
            if isinstance(found, Finding):
                findings.append(found)
            elif isinstance(found, CaseFolders):
                folders.append(found)
            else:
                used.update(found.rules)
                whole = with_data_files(msgspec.structs.replace(found, rules=()))
                candidates.append(_placed(whole, source, base / source.path, tables.get(index)))
                on_case(found.case.id)
        findings += unused(source.annotations, used, _called(index))
        if index in tables:
            findings += tables[index].unused(_called(index))
        if len(candidates) == count:
            findings.append(catalog.SOURCE_EMPTY.at(_called(index), _expected(source)))
    findings += unmatched_in(folders)
    _require_distinct(candidates)
    candidates.sort(key=lambda c: c.case.id)
    return Scanned(tuple(candidates), tuple(findings), reader.files_seen, reader.headers_read)


def _scan_source(
    source: Source, index: int, base: Path, reader: HeaderReader, study: Study
) -> Iterator[Candidate | Finding | CaseFolders]:
    root = base / source.path
    if isinstance(source, TableSource):
        yield from scan_table(source, root, reader, study.screen, _called(index))
        return
    if isinstance(source, FolderSource):
        yield from scan_folders(source, root, reader, study.screen, _called(index))
    elif isinstance(source, NnunetSource):
        yield from scan_nnunet(source, root, _called(index))
    elif isinstance(source, DicomSource):
        masks = base / source.masks if source.masks else None
        yield from scan_dicom_tree(source, root, masks, reader, study.screen, _called(index))


def _expected(source: Source) -> str:
    """What is said of a source without an image: also what it looked for."""
    if isinstance(source, NnunetSource):
        return f"no image was found here; {EXPECTED_NNUNET}"
    if isinstance(source, FolderSource):
        return f"no image was found here; {EXPECTED_FOLDERS}"
    return "no image was found here"


def require_sources(study: Study, base: Path) -> dict[int, CenterTable]:
    """The center tables of the sources that have one, by their place in the study file.

    Raises ConfigError that names everything that the sources need and that is not there.
    """
    problems: list[str] = []
    tables: dict[int, CenterTable] = {}
    for index, source in enumerate(study.sources):
        where = f"$.sources[{index}]"
        problems += _missing(source, base, where)
        centers = "" if isinstance(source, NnunetSource) else source.centers
        if centers:
            try:
                tables[index] = read_centers(base / centers, f"{where}.centers")
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tables


def _missing(source: Source, base: Path, where: str) -> Iterator[str]:
    root = base / source.path
    if isinstance(source, TableSource):
        if not root.is_file():
            yield f"{where}.path: the table {source.path!r} does not exist"
    elif not root.is_dir():
        yield f"{where}.path: the folder {source.path!r} does not exist"
    if isinstance(source, DicomSource) and source.masks and not (base / source.masks).is_dir():
        yield f"{where}.masks: the folder {source.masks!r} does not exist"


def _placed(found: Candidate, source: Source, root: Path, table: CenterTable | None) -> Candidate:
    """The candidate with the center of the source's table; a case table knows better."""
    rows = isinstance(source, TableSource)
    if table is None or (rows and found.case.patient.center):
        return found
    return table.placed(found, _folder_of(found, root.parent if rows else root))


def _folder_of(found: Candidate, root: Path) -> str:
    """The folder of the image relative to the source; the case's id where there is no image."""
    for path in found.case.image.paths[:1]:
        folder = Path(path).parent
        if folder.is_relative_to(root):
            return folder.relative_to(root).as_posix()
    return found.case.id


def _called(index: int) -> str:
    """What findings call a source: its place in the study file, for a path may name a person."""
    return f"source {index + 1}"


def _require_distinct(candidates: list[Candidate]) -> None:
    counts = Counter(candidate.case.id for candidate in candidates)
    repeated = [case for case, count in counts.items() if count > 1]
    if repeated:
        raise ConfigError(
            [f"$.sources: the case {repeated[0]!r} comes from two sources; rename one of them"]
        )
