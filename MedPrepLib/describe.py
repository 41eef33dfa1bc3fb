"""Describing a cohort in numbers, from its manifest and the attributes of its case files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from MedPrepLib.load.case import CaseRecord, read_record
from MedPrepLib.manifest import Manifest, read_manifest
from MedPrepLib.results import patients_of

Triple = tuple[float, float, float]


class Description(msgspec.Struct, frozen=True):
    """What a cohort holds. Ranges are (smallest, largest), along i, j, k."""

    study: str
    task: str
    recipe_hash: str
    cases: int
    patients: int
    excluded: int
    bytes: int
    by_split: dict[str, int]
    by_fold: dict[str, int]
    by_center: dict[str, int]
    by_modality: dict[str, int]
    by_label: dict[str, int]
    """Label name to the number of cases that show it: in the mask, in a box or on a slice."""
    size: tuple[tuple[int, int, int], tuple[int, int, int]] | None
    spacing_mm: tuple[Triple, Triple] | None

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        return msgspec.json.encode(self, order="sorted").decode()

    def to_text(self) -> str:
        """Some lines for a terminal."""
        headline = (
            f"{self.study}: {self.cases} cases of {self.patients} patients, "
            f"{self.bytes / 1e6:.1f} MB, task {self.task}; {self.excluded} excluded"
        )
        lines = [headline]
        counts: tuple[tuple[str, Mapping[str, int]], ...] = (
            ("split", self.by_split),
            ("fold", self.by_fold),
            ("center", self.by_center),
            ("modality", self.by_modality),
            ("label", self.by_label),
        )
        lines += [f"  {name:<9} {_listed(count)}" for name, count in counts]
        if self.size and self.spacing_mm:
            lines.append(f"  {'size':<9} {_range(self.size)} voxels (i, j, k)")
            lines.append(f"  {'spacing':<9} {_range(self.spacing_mm)} mm")
        return "\n".join(lines)


def describe(cohort_dir: Path | str) -> Description:
    """What is in a cohort.

    Raises CohortError for a folder that is no cohort or a case file that cannot be opened,
    CorruptCaseError where bytes were changed.
    """
    manifest = read_manifest(cohort_dir)
    records = [read_record(Path(cohort_dir) / case.shard.name) for case in manifest.cases]
    attributes = [record.attributes for record in records]
    sizes = [tuple(a["size"]) for a in attributes]
    spacings = [tuple(a["spacing"]) for a in attributes]
    shards = sum(case.shard.size for case in manifest.cases)
    return Description(
        study=manifest.study,
        task=manifest.task,
        recipe_hash=manifest.recipe_hash,
        cases=len(manifest.cases),
        patients=len(patients_of(manifest.cases)),
        excluded=len(manifest.excluded),
        bytes=shards + sum(file.size for file in manifest.files),
        by_split=_counted(case.split for case in manifest.cases),
        by_fold=_counted(str(case.fold) for case in manifest.cases if case.fold is not None),
        by_center=_counted(case.center for case in manifest.cases),
        by_modality=_counted(case.modality for case in manifest.cases),
        by_label=_label_counts(manifest, records),
        size=_extremes(sizes),
        spacing_mm=_extremes(spacings),
    )


def _label_counts(manifest: Manifest, records: Iterable[CaseRecord]) -> dict[str, int]:
    counts = dict.fromkeys(manifest.schema.names, 0)
    for record in records:
        voxels = json.loads(record.attributes["voxels"])
        for label in manifest.schema:
            noted = label.value in record.boxes or label.value in record.slices
            counts[label.name] += noted or voxels.get(label.name, 0) > 0
    return counts


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _extremes(rows: list[tuple[Any, ...]]) -> Any:
    if not rows:
        return None
    columns = list(zip(*rows, strict=True))
    return tuple(map(min, columns)), tuple(map(max, columns))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or '(none)'} {count}" for name, count in counts.items()) or "-"


def _range(extremes: tuple[tuple[float, ...], tuple[float, ...]]) -> str:
    low, high = (" x ".join(f"{x:g}" for x in row) for row in extremes)
    return low if low == high else f"{low} to {high}"
