"""What goes into a case file, and the attributes that describe it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from MedPrepLib import __version__, layout
from MedPrepLib.errors import GeometryError, LabelError, MedPrepError
from MedPrepLib.filters import Codec
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.pack.codecs import library_of
from MedPrepLib.results import ConsensusRecord, Statistics, Targets, Unit
from MedPrepLib.segmentation import Segmentation

Scalar = str | int | float | bool | None
GRID_TOLERANCE_MM = 1e-3
MAX_TEXT = 256
"""Characters of a text in ``meta``: enough for a device name, too few for a report."""


@dataclass(frozen=True)
class StreamedImage:
    """An image that is not in memory: its voxels go to the file slab by slab as they are read."""

    geometry: Geometry
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class PackedCase:
    """Everything that a case file holds.

    ``id`` is the public name. ``image``: int16 or float32, in memory or streamed. ``mask``: label
    values of the schema, (k, j, i), unsigned integers, 0 is background; None where nobody
    annotated. ``readings``: each rater's own segmentation on the image grid. ``unit``: of the
    voxels, "HU", "SUVbw" (g/mL) or "stored" (whatever the source had). ``meta``: facts with keys
    of layout.META_KEYS.
    Raises MedPrepError (and the built-in that fits) for an unsafe id, another type or grid, or a
    fact that may not be kept.
    """

    id: str
    image: Volume | StreamedImage
    pad_value: float
    mask: VoxelArray | None
    statistics: Statistics
    recipe_hash: str
    readings: Mapping[str, Segmentation] = field(default_factory=dict)
    targets: Targets | None = None
    consensus: ConsensusRecord | None = None
    meta: Mapping[str, Scalar] = field(default_factory=dict)
    unit: Unit = "stored"

    def __post_init__(self) -> None:
        layout.require_public_id(self.id)
        if self.pixel_type not in (np.int16, np.float32):
            raise MedPrepError(f"an image is packed as int16 or float32, not {self.pixel_type}")
        voxels = math.prod(self.geometry.shape)
        if voxels > layout.MAX_VOXELS:
            raise MedPrepError(f"an image of {voxels} voxels cannot be packed")
        if self.mask is not None:
            _require_mask(self.mask, self.geometry)
        if self.pixel_type == np.int16 and self.pad_value != np.int16(self.pad_value):
            raise MedPrepError(f"pad value {self.pad_value:g} is no int16")
        for rater, reading in self.readings.items():
            _require_same_grid(rater, reading.geometry, self.geometry)
        _require_allowed(self.meta)

    @property
    def geometry(self) -> Geometry:
        """The grid of the image, and of everything drawn on it."""
        return self.image.geometry

    @property
    def pixel_type(self) -> np.dtype[Any]:
        """The type of the image's voxels."""
        image = self.image
        return image.dtype if isinstance(image, StreamedImage) else image.array.dtype

    @property
    def ignore_value(self) -> int | None:
        """What undecided voxels of the mask hold; None when there are none by rule."""
        return None if self.consensus is None else self.consensus.ignore_value


def attributes_of(
    case: PackedCase, schema: LabelSchema, counts: Mapping[int, int], codec: Codec
) -> dict[str, Any]:
    """The attributes of the file: numbers, lists of numbers and texts (JSON where nested).

    ``counts`` holds the voxels of the mask per value. ``record_sha256`` is the hash of all
    others, so that the loader notices a flipped bit there.
    """
    grid = case.geometry
    record: dict[str, Any] = {
        "format": "medprep-case",
        "format_version": layout.FORMAT_VERSION,
        "medprep_version": __version__,
        "case_id": case.id,
        "recipe_hash": case.recipe_hash,
        "codec": codec,
        "codec_library": library_of(codec),
        "world": "LPS",
        "units": "mm",
        "intensity_unit": case.unit,
        "array_order": "k,j,i",
        "size": list(grid.size),
        "spacing": [float(x) for x in grid.spacing],
        "origin": [float(x) for x in grid.origin],
        "direction": [float(x) for x in grid.direction],
        "pad_value": float(case.pad_value),
        "annotated": int(case.mask is not None),
        "has_targets": int(case.targets is not None),
        "labels": layout.canonical_json(msgspec.to_builtins(schema.labels)),
        "voxels": layout.canonical_json({x.name: counts.get(x.value, 0) for x in schema}),
        "statistics": layout.canonical_json(msgspec.to_builtins(case.statistics)),
        "consensus": layout.canonical_json(msgspec.to_builtins(case.consensus)),
        "readings": layout.canonical_json(_readings_record(case.readings)),
        "meta": layout.canonical_json(dict(case.meta)),
    }
    if case.ignore_value is not None:
        record["ignore_value"] = case.ignore_value
    if case.targets is not None and case.targets.undecided:
        rows = [[schema.named(s.label).value, s.start, s.stop] for s in case.targets.undecided]
        record["undecided_slices"] = layout.canonical_json(rows)
    return {**record, "record_sha256": layout.record_hash(record)}


def _readings_record(readings: Mapping[str, Segmentation]) -> list[dict[str, Any]]:
    names = layout.slugs(readings)
    return [
        {
            "rater": rater,
            "group": names[rater],
            "layers": len(readings[rater].layers),
            "segments": msgspec.to_builtins(readings[rater].segments),
        }
        for rater in sorted(readings)
    ]


def _require_mask(mask: VoxelArray, grid: Geometry) -> None:
    if mask.shape != grid.shape:
        raise GeometryError(f"a mask of shape {mask.shape} does not fit {grid.shape}")
    if mask.dtype.kind != "u":
        raise LabelError(f"a mask holds unsigned integers, not {mask.dtype}")


def _require_same_grid(rater: str, reading: Geometry, image: Geometry) -> None:
    if reading.size != image.size or reading.displacement_mm(image) > GRID_TOLERANCE_MM:
        raise GeometryError(f"the reading of rater {rater!r} does not lie on the image grid")


def _require_allowed(meta: Mapping[str, Scalar]) -> None:
    unknown = sorted(set(meta) - layout.META_KEYS)
    if unknown:
        raise MedPrepError(f"meta may not hold {', '.join(unknown)}: not on the allow-list")
    for key, value in meta.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise MedPrepError(f"meta {key!r} has {len(value)} characters, more than {MAX_TEXT}")
        if not isinstance(value, str | int | float | None):
            raise MedPrepError(f"meta {key!r} is a {type(value).__name__}, not a plain value")
