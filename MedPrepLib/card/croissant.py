"""The card for programs: Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).

JSON-LD that names every public file with its SHA-256, the sets, and the table of cases with the
type and meaning of each column. The manifest is left out: it holds the hash of this very file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from MedPrepLib.card.facts import CardInput, CaseRow
from MedPrepLib.card.markup import plain, visible
from MedPrepLib.report.text import plural
from MedPrepLib.results import ShardFile

CASES_TABLE = "cases.csv"
AGREEMENT_TABLE = "report/agreement.csv"
VERSION = "http://mlcommons.org/croissant/1.0"

CONTEXT: Mapping[str, Any] = MappingProxyType({
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "wd": "https://www.wikidata.org/wiki/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
})  # fmt: skip
"""The context that the specification asks for, and Wikidata for the type of sets."""

_FORMATS = {
    "csv": "text/csv",
    "h5": "application/x-hdf5",
    "html": "text/html",
    "index": "application/octet-stream",
    "json": "application/json",
    "png": "image/png",
}
_SETS = {"train": "cr:TrainingSplit", "test": "cr:TestSplit"}
_SET_TYPE = "wd:Q3985153"

_CASES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "case": ("sc:Text", "Public name of the case."),
    "patient": ("sc:Text", "Pseudonym of the patient, unique within the center."),
    "person": ("sc:Text", "As patient, but equal for ids with and without their issuer."),
    "center": ("sc:Text", "Center, as the study calls it."),
    "modality": ("sc:Text", "DICOM modality: CT, MR, PT..."),
    "set": ("sc:Text", "Part of the split."),
    "fold": ("sc:Integer", "Fold in which a training case validates; empty in the test set."),
    "sex": ("sc:Text", "F, M, O (other) or unknown."),
    "age_years": ("sc:Integer", "Age in whole years, 90 and over as 90; empty where unknown."),
    "readings": ("sc:Integer", "Raters whose masks are in the case file."),
    "reference": ("sc:Text", "How the mask was made; empty without one."),
    "labels": ("sc:Text", "Values of the labels that it shows, with blanks between them."),
    "boxes": ("sc:Text", "Boxes of each label as value:count, with blanks between them."),
    "slices": ("sc:Text", "Slices with each label as value:count, with blanks between them."),
    "size_i": ("sc:Integer", "Voxels along i."),
    "size_j": ("sc:Integer", "Voxels along j."),
    "size_k": ("sc:Integer", "Voxels along k (slices)."),
    "spacing_i_mm": ("sc:Float", "Millimeters between voxels along i."),
    "spacing_j_mm": ("sc:Float", "Millimeters between voxels along j."),
    "spacing_k_mm": ("sc:Float", "Millimeters between voxels along k."),
    "findings": ("sc:Text", "Codes of what is known of the case, with blanks between them."),
    "file": ("sc:Text", "The HDF5 file of the case, relative to this file."),
    "bytes": ("sc:Integer", "Size of that file."),
    "sha256": ("sc:Text", "SHA-256 of that file."),
})  # fmt: skip

_AGREEMENT: Mapping[str, tuple[str, str]] = MappingProxyType({
    "case": ("sc:Text", "Public name of the case; it may be one that was left out."),
    "label": ("sc:Text", "Name of the label."),
    "rater_a": ("sc:Text", "One rater."),
    "rater_b": ("sc:Text", "The other rater."),
    "outcome": ("sc:Text", "measured, both empty, one empty or not annotated."),
    "dice": ("sc:Float", "Dice coefficient; empty where it is not defined."),
    "hd95_max_mm": ("sc:Float", "95th percentile of surface distances, the larger direction, mm."),
})  # fmt: skip


def to_croissant(card: CardInput, cases_table: ShardFile) -> str:
    """The JSON-LD text; equal input gives equal text. ``cases_table``: the file of all cases."""
    tree = {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": plain(card.title),
        "description": _description(card),
        **_told(card),
        "distribution": _distribution(card, cases_table),
        "recordSet": _record_sets(card),
    }
    return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def _description(card: CardInput) -> str:
    given = "\n\n".join(filter(None, map(plain, card.settings.card.description.split("\n\n"))))
    return given or (
        f"{plural(len(card.cases), 'case')} of {plural(len(card.people), 'patient')} for "
        f"{card.manifest.task}, prepared with MedPrep {plain(card.manifest.medprep_version)}."
    )


def _told(card: CardInput) -> dict[str, Any]:
    """What people stated of it; what they did not is left out, never made up."""
    told = card.settings.card
    citation = "\n".join(visible(line).rstrip() for line in told.citation.strip().splitlines())
    values = {
        "license": plain(told.license),
        "citeAs": citation,
        "url": plain(told.url),
        "version": plain(told.version),
        "datePublished": plain(told.published),
        "keywords": ["medical imaging", *sorted({c.modality for c in card.cases} - {""})],
        "creator": [{"@type": "sc:Person", "name": plain(name)} for name in told.creators],
        "publisher": [{"@type": "sc:Organization", "name": plain(told.publisher)}]
        if plain(told.publisher)
        else [],
    }
    return {key: value for key, value in values.items() if value}


def _distribution(card: CardInput, cases_table: ShardFile) -> list[dict[str, Any]]:
    shards = sorted((case.shard for case in card.manifest.cases), key=lambda file: file.name)
    return [_file(file) for file in (cases_table, *card.manifest.files, *shards)]


def _file(file: ShardFile) -> dict[str, Any]:
    kind = file.name.rpartition(".")[2]
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{file.size} B",
        "encodingFormat": _FORMATS.get(kind, "application/octet-stream"),
        "sha256": file.sha256,
    }


def _record_sets(card: CardInput) -> list[dict[str, Any]]:
    sets = [_sets(), _table("cases", "One record per case.", CASES_TABLE, _CASES)]
    if any(file.name == AGREEMENT_TABLE for file in card.manifest.files):
        about = "One record per case, label and pair of raters."
        sets.append(_table("agreement", about, AGREEMENT_TABLE, _AGREEMENT))
    return sets


def _sets() -> dict[str, Any]:
    """The parts of the split, as the specification wants them (Croissant 1.0, ML semantics)."""
    return {
        "@type": "cr:RecordSet",
        "@id": "sets",
        "name": "sets",
        "description": "The parts of the split; patients lie in one of them only.",
        "dataType": "cr:Split",
        "key": {"@id": "sets/name"},
        "field": [
            {"@type": "cr:Field", "@id": "sets/name", "name": "sets/name",
             "description": "Name of the part.", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "sets/url", "name": "sets/url",
             "description": "What the part is for.", "dataType": ["sc:URL", _SET_TYPE]},
        ],
        "data": [{"sets/name": name, "sets/url": url} for name, url in _SETS.items()],
    }  # fmt: skip


def _table(
    name: str, about: str, file: str, columns: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    fields = [_field(name, column, file, *facts) for column, facts in columns.items()]
    tree = {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": about,
        "field": fields,
    }
    return {**tree, "key": {"@id": "cases/case"}} if name == "cases" else tree


def _field(name: str, column: str, file: str, kind: str, about: str) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{name}/{column}",
        "name": f"{name}/{column}",
        "description": about,
        "dataType": kind,
        "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
    }
    if (name, column) == ("cases", "set"):
        field["references"] = {"field": {"@id": "sets/name"}}
    return field


if tuple(_CASES) != CaseRow.__struct_fields__:
    raise TypeError("every column of the table of cases is described, in its order")
