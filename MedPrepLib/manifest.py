"""The manifest: what a cohort consists of, written last, sealed by a hash over every byte."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from MedPrepLib import atomic, catalog, layout
from MedPrepLib.errors import CohortError
from MedPrepLib.labels import LabelSchema
from MedPrepLib.results import ShardFile, SplitSummary, Statistics

Part = Literal["train", "test"]


class ManifestCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case of a cohort. ``patient`` is a pseudonym; ``fold`` is None in the test part."""

    id: str
    patient: str
    center: str
    modality: str
    split: Part
    fold: int | None
    shard: ShardFile
    findings: tuple[str, ...] = ()
    """Codes of what is known about the case, each once, sorted."""
    annotated: bool = True
    """Whether somebody drew its mask, which may be empty; else it holds zeros that mean nothing."""
    person: str = ""
    """The name that is equal for all cases of what may be one patient under several names
    (ISSUER_MISSING, ISSUER_AMBIGUOUS); empty: ``patient`` is that name."""


class ExcludedCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case that was left out, and the codes of the findings that reject it."""

    id: str
    codes: tuple[str, ...]


class Normalization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean and population standard deviation over all voxels of several cases."""

    cases: int
    voxels: int
    mean: float
    std: float


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole cohort.

    ``config``: every setting of the study as TOML, but for those that name people or places
    (config.public_text). ``key_id`` tells site keys apart and gives none away.
    ``normalization`` holds, per modality, what was pooled from the training part only. ``files``
    are all other files of the cohort (the report, nnU-Net's list of
    folds). ``split``: proportions, and what the leakage audit compared. ``root_hash`` is set by
    :func:`write_manifest`; see layout.sealed.
    """

    medprep_version: str
    study: str
    task: str
    config: str
    config_hash: str
    recipe_hash: str
    schema: LabelSchema
    cases: tuple[ManifestCase, ...]
    excluded: tuple[ExcludedCase, ...] = ()
    files: tuple[ShardFile, ...] = ()
    normalization: dict[str, Normalization] = {}
    split: SplitSummary | None = None
    key_id: str = ""
    format: str = layout.FORMAT
    format_version: int = layout.FORMAT_VERSION
    root_hash: str = ""


def write_manifest(cohort_dir: Path | str, manifest: Manifest) -> Manifest:
    """Write ``manifest.json`` atomically, and return the manifest with its root hash.

    Cases, exclusions and files are sorted, so the bytes depend on the content alone. Call this
    last: what the manifest names must be on the disk. Raises CohortError when two cases share an
    id or a name leaves the cohort.
    """
    ordered = msgspec.structs.replace(
        manifest,
        cases=tuple(sorted(manifest.cases, key=lambda case: case.id)),
        excluded=tuple(sorted(manifest.excluded, key=lambda case: case.id)),
        files=tuple(sorted(manifest.files, key=lambda file: file.name)),
        root_hash="",
    )
    _require_sound(ordered)
    data, root_hash = layout.sealed(msgspec.to_builtins(ordered))
    atomic.write_bytes(Path(cohort_dir) / layout.MANIFEST_NAME, data)
    return msgspec.structs.replace(ordered, root_hash=root_hash)


def read_manifest(cohort_dir: Path | str) -> Manifest:
    """The manifest of the cohort in ``cohort_dir``.

    Raises CohortError when there is none, when a newer MedPrep wrote it, or when its names leave
    the cohort; CorruptCaseError when a byte was changed.
    """
    return parse_manifest(layout.read_manifest_bytes(cohort_dir))


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in its bytes, wherever they were; errors as for :func:`read_manifest`."""
    tree = layout.unsealed(data, layout.MANIFEST_NAME)
    try:
        manifest = msgspec.convert(tree, Manifest)
    except msgspec.ValidationError as error:
        raise CohortError(f"{layout.MANIFEST_NAME} is no manifest: {error}") from None
    _require_sound(manifest)
    return manifest


def pool_statistics(statistics: Iterable[Statistics]) -> Normalization:
    """Mean and deviation over all voxels of several images, as if they were one.

    Count-weighted: mean = sum(n m) / N; variance = sum(n (s^2 + (m - mean)^2)) / N, with exactly
    rounded sums, so that the order of cases does not matter. All zero for no voxel.
    """
    used = [s for s in statistics if s.count]
    total = sum(s.count for s in used)
    if not total:
        return Normalization(len(used), 0, 0.0, 0.0)
    mean = math.fsum(s.count * s.mean for s in used) / total
    spread = math.fsum(s.count * (s.std**2 + (s.mean - mean) ** 2) for s in used) / total
    return Normalization(len(used), total, mean, math.sqrt(spread))


def training_normalization(
    cases: Iterable[ManifestCase], statistics: Mapping[str, Statistics]
) -> dict[str, Normalization]:
    """What normalization may know: per modality, pooled over the training part only.

    ``statistics`` maps case ids; those of test cases are never looked at. PETs that stayed as
    stored (SUV_UNKNOWN) are left out where others are SUV: activities are thousands of times as
    large.
    """
    by_modality: dict[str, list[ManifestCase]] = {}
    for case in cases:
        if case.split == "train":
            by_modality.setdefault(case.modality, []).append(case)
    return {
        name: pool_statistics(statistics[case.id] for case in _of_one_unit(by_modality[name]))
        for name in sorted(by_modality)
    }


def _of_one_unit(cases: Sequence[ManifestCase]) -> Sequence[ManifestCase]:
    known = [case for case in cases if catalog.SUV_UNKNOWN.code not in case.findings]
    return known or cases


def _require_sound(manifest: Manifest) -> None:
    ids = [case.id for case in manifest.cases]
    if len(set(ids)) != len(ids):
        raise CohortError("two cases of the manifest share an id")
    for case in manifest.cases:
        layout.require_place(case.id, case.shard.name, case.shard.sha256, manifest.format_version)
    for file in manifest.files:
        if not layout.is_safe_name(file.name):
            raise CohortError(f"the manifest names {file.name!r}, which leaves the cohort")
