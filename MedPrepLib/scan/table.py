"""Cases from a CSV or TSV: one row per image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import Patient, Scan
from MedPrepLib.config.settings import Screen, TableSource
from MedPrepLib.dicom.people import age_in_years, sex_of
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.scan.folders import candidate
from MedPrepLib.scan.found import Candidate
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.image import find_image
from MedPrepLib.scan.readings import drawn_from
from MedPrepLib.textfiles import read_rows

REQUIRED = ("case", "patient", "image")
OPTIONAL = (
    "annotations",
    "center",
    "modality",
    "sex",
    "age",
    "manufacturer",
    "model",
    "study",
    "part",
    "disease",
)

Row = Mapping[str, str]


def scan_table(
    source: TableSource, path: Path, reader: HeaderReader, screen: Screen, called: str
) -> Iterator[Candidate | Finding]:
    """One candidate per usable row, one finding per unusable one; ``called``: see scan.

    Facts of the table win over those of the header: whoever wrote the table knows better.
    Raises ConfigError when the table or one of its columns is missing.
    """
    rows = list(_rows(source, path))
    repeated = {case for case, n in Counter(row["case"] for _, row in rows).items() if n > 1}
    for number, row in rows:
        problem = _problem(row, repeated)
        if problem:
            yield catalog.TABLE_ROW_INVALID.at(f"{called}, line {number}", problem)
        else:
            yield _from_row(row, source, path.parent, reader, screen)


def _rows(source: TableSource, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    there, rows = read_rows(path, f"$.sources: {source.path}", delimiter)
    columns = {name: source.columns.get(name, name) for name in (*REQUIRED, *OPTIONAL)}
    unknown = sorted(set(source.columns) - set(columns))
    missing = [columns[name] for name in REQUIRED if columns[name] not in there]
    missing += [shown for name, shown in source.columns.items() if shown not in there]
    if unknown or missing:
        raise ConfigError([_column_problem(source, unknown, missing, there)])
    for line, row in rows:
        yield line, {name: row.get(column, "").strip() for name, column in columns.items()}


def _column_problem(
    source: TableSource, unknown: list[str], missing: list[str], there: object
) -> str:
    if unknown:
        known = ", ".join((*REQUIRED, *OPTIONAL))
        return f"$.sources.columns.{unknown[0]}: unknown; MedPrep's columns are {known}"
    columns = ", ".join(there) if isinstance(there, (list, tuple)) else ""
    return f"$.sources: {source.path} has no column {missing[0]!r} (it has: {columns})"


def _problem(row: Row, repeated: set[str]) -> str:
    for name in ("case", "image"):
        if not row[name]:
            return f"the column {name!r} is empty"
    if any("\0" in cell for cell in row.values()):
        return "a cell holds a NUL character"
    if row["case"] in repeated:
        return "its case stands in several rows; none of them was used"
    parts = _annotation_texts(row)
    bad = [part for part in parts if not all(part.partition("=")[::2])]
    if bad:
        return f"annotations: entry {parts.index(bad[0]) + 1} of {len(parts)} is not name=path"
    return ""


def _annotation_texts(row: Row) -> list[str]:
    return [part.strip() for part in row["annotations"].split(";") if part.strip()]


def _from_row(
    row: Row, source: TableSource, folder: Path, reader: HeaderReader, screen: Screen
) -> Candidate:
    item = row["case"]
    image = find_image(folder / row["image"], item, reader, screen, row["part"])
    pairs = [part.partition("=")[::2] for part in _annotation_texts(row)]
    own = drawn_from(
        [(name.strip(), str(folder / path.strip())) for name, path in pairs],
        source.annotations,
        (row["patient"], item),
    )
    # Segmentation objects beside the image count only where the table does not name readings.
    beside = () if pairs else image.annotations
    found = msgspec.structs.replace(image, scan=_scan(row, image.scan), annotations=beside)
    return candidate(item, _patient(row, image.patient), found, own, source.modality)


def _patient(row: Row, header: Patient) -> Patient:
    age = age_in_years(row["age"]) if row["age"] else header.age_years
    return Patient(
        id=row["patient"],
        center=row["center"] or header.center,
        age_years=age,
        sex=sex_of(row["sex"]) if row["sex"] else header.sex,
        disease=row["disease"],
    )


def _scan(row: Row, header: Scan) -> Scan:
    return msgspec.structs.replace(
        header,
        modality=row["modality"].upper() or header.modality,
        manufacturer=row["manufacturer"] or header.manufacturer,
        model=row["model"] or header.model,
        study_description=row["study"] or header.study_description,
    )
