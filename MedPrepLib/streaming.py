"""From DICOM slices to standardized voxels in one pass, slab by slab.

A CT is read, standardized in place and counted while it is in the processor's cache. Packed
straight away it never is in memory as a whole, however long the scan; the file is, byte for
byte, the one that the whole volume gives.

A run does not take this way: it compares readings on the image, draws it, fingerprints it in
canonical orientation, and packs nothing before all of it was judged and found unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from MedPrepLib.config.settings import Pack, Standardize
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.pixels import NotInt16Error, int16_slabs, read_series, series_geometry
from MedPrepLib.findings import Finding
from MedPrepLib.labels import LabelSchema
from MedPrepLib.layout import BRICK
from MedPrepLib.pack import PackedCase, StreamedImage, stream_case, write_case
from MedPrepLib.pack.case import Scalar
from MedPrepLib.results import ShardFile, Statistics
from MedPrepLib.standardize import CtScale, standardize

_NO_STATISTICS = Statistics(0, 0.0, 0.0, 0.0, 0.0, {})


@dataclass(frozen=True)
class PackedSeries:
    """A series in its case file."""

    shard: ShardFile
    statistics: Statistics
    findings: tuple[Finding, ...]
    streamed: bool
    """False where the whole volume had to be in memory: no CT, or values beyond int16."""


def pack_series(
    cohort_dir: Path | str,
    headers: Sequence[SliceHeader],
    case_id: str,
    recipe_hash: str,
    meta: dict[str, Scalar],
    schema: LabelSchema,
    pack: Pack,
    standardization: Standardize,
) -> PackedSeries:
    """Write the case file of a series without annotation, and name it.

    ``headers``: slices in order along their normal, as dicom.series.arrange gives them. ``meta``
    holds keys of layout.META_KEYS, the modality among them. A CT is streamed; anything else is
    read as a whole, for its fill value is known only after the last voxel. Errors are those of
    read_series and write_case; a series with a rejecting finding is written all the same.
    """
    arguments = (headers, case_id, recipe_hash, meta)
    if str(meta.get("modality", "")).upper() == "CT":
        try:
            return _stream_ct(cohort_dir, *arguments, schema, pack, standardization)
        except NotInt16Error:
            pass
    modality = str(meta.get("modality", ""))
    pixels = read_series(headers)
    done = standardize(
        pixels.volume, modality, standardization, case_id, pixels.padding, in_place=True
    )
    packed = PackedCase(
        id=case_id, image=done.volume, pad_value=done.pad_value, mask=None,
        statistics=done.statistics, recipe_hash=recipe_hash, meta=meta,
        unit="HU" if modality.upper() == "CT" else "stored",
    )  # fmt: skip
    shard = write_case(cohort_dir, packed, pack, schema)
    return PackedSeries(shard, done.statistics, done.findings, streamed=False)


def _stream_ct(
    cohort_dir: Path | str,
    headers: Sequence[SliceHeader],
    case_id: str,
    recipe_hash: str,
    meta: dict[str, Scalar],
    schema: LabelSchema,
    pack: Pack,
    standardization: Standardize,
) -> PackedSeries:
    scale = CtScale(standardization)
    geometry = series_geometry(headers)
    image = StreamedImage(geometry, np.dtype(np.int16))
    begun = PackedCase(
        id=case_id, image=image, pad_value=scale.pad_value, mask=None,
        statistics=_NO_STATISTICS, recipe_hash=recipe_hash, meta=meta, unit="HU",
    )  # fmt: skip

    def finished() -> PackedCase:
        return replace(begun, statistics=scale.found(case_id)[0])

    shard = stream_case(
        cohort_dir, begun, _standardized_slabs(headers, scale), finished, pack, schema
    )
    statistics, findings = scale.found(case_id)
    return PackedSeries(shard, statistics, findings, streamed=True)


def _standardized_slabs(
    headers: Sequence[SliceHeader], scale: CtScale
) -> Iterator[npt.NDArray[np.int16]]:
    """Slabs of one row of bricks, one after the other in the same memory."""
    for slab, padding in int16_slabs(headers, BRICK):
        flat = slab.reshape(-1)
        scale.add(flat, flat, padding)
        yield slab
