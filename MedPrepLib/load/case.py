"""Reading one case file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from MedPrepLib import layout
from MedPrepLib.errors import (
    CohortError,
    CorruptCaseError,
    GeometryError,
    LabelError,
    UnsupportedError,
)
from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.labels import Label, LabelSchema, Terminology
from MedPrepLib.load.guard import HDF5_ERRORS, opened
from MedPrepLib.load.whole import read_whole
from MedPrepLib.segmentation import Segment, Segmentation

if TYPE_CHECKING:
    import h5py

IntArray = npt.NDArray[np.int32]

UNDECIDED_SLICE = 255
"""In tables of slice labels: raters are divided, and ties stay undecided."""


@dataclass(frozen=True, eq=False)
class CaseHead:
    """What a case file says besides voxels.

    ``annotated`` is False where nobody drew a mask (it is all zero then). ``boxes`` (n, 6):
    k0, j0, i0, k1, j1, i1 with exclusive ends; ``box_labels`` (n,): their label values.
    ``statistics`` is what results.Statistics holds. ``ignore_value``: what undecided voxels of the
    mask hold, for a loss function to leave out; None where every voxel is decided.
    """

    id: str
    geometry: Geometry
    annotated: bool
    pad_value: float
    labels: LabelSchema
    statistics: dict[str, Any]
    boxes: IntArray
    box_labels: IntArray
    ignore_value: int | None


@dataclass(frozen=True, eq=False)
class LoadedCase(CaseHead):
    """One case as it was packed: its head, and everything else.

    ``image`` int16 or float32 and ``mask`` (label values), both (k, j, i) and writable.
    ``slices`` (n, 3): label value, first slice, end slice (exclusive); ``undecided_slices`` (n, 3):
    the same of slices on which raters are divided, where ties stay undecided. ``foreground``: for
    each label name coordinates (n, 3) in the order k, j, i. ``consensus`` is what
    results.ConsensusRecord holds.
    """

    image: VoxelArray
    mask: VoxelArray
    slices: IntArray
    undecided_slices: IntArray
    foreground: dict[str, IntArray]
    readings: dict[str, Segmentation]
    consensus: dict[str, Any] | None
    meta: dict[str, Any]
    recipe_hash: str

    @property
    def spacing(self) -> Triple:
        """Millimeters between voxel centers along i, j, k."""
        return self.geometry.spacing

    @property
    def volume(self) -> Volume:
        """The image on its grid."""
        return Volume(self.image, self.geometry)

    def slice_labels(self) -> npt.NDArray[np.uint8]:
        """Which label is present on which slice: (slices, labels), labels in schema order.

        1 present, 0 absent, UNDECIDED_SLICE (255) for a loss function to leave out.
        """
        columns = {label.value: n for n, label in enumerate(self.labels)}
        table = np.zeros((self.image.shape[0], len(self.labels)), dtype=np.uint8)
        for mark, rows in ((1, self.slices), (UNDECIDED_SLICE, self.undecided_slices)):
            for value, start, stop in rows.tolist():
                table[start:stop, columns[value]] = mark
        return table


def read_case(path: Path | str, *, everything: bool = True) -> LoadedCase:
    """The case in the file at ``path``; every checksum is verified on the way.

    ``everything=False`` leaves ``readings`` and ``foreground`` empty (what training needs).
    Raises CorruptCaseError when bytes differ from what was written, CohortError when the file is
    missing, not a case, made by a newer MedPrep, or holds what a case never holds (load.guard).
    UnsupportedError when it was packed with lz4 and blosc is missing.
    """
    with opened(path) as file:
        return case_in(file, path, everything=everything)


def case_in(file: h5py.Group, path: Path | str, *, everything: bool = True) -> LoadedCase:
    """The case in a file or group that load.guard let in; errors as for :func:`read_case`."""
    attributes = _attributes(file, path)
    with damage_named(attributes["case_id"], path):
        return _case(file, attributes, everything)


@contextmanager
def damage_named(case_id: str, path: Path | str) -> Iterator[None]:
    """Whatever contradicts itself in a case file becomes a CorruptCaseError that names both."""
    try:
        yield
    except UnsupportedError:
        raise
    except (*HDF5_ERRORS, GeometryError, LabelError) as error:
        raise CorruptCaseError(f"case {case_id}, file {path}: damaged ({error})") from None


def read_head(file: h5py.Group, path: Path | str) -> CaseHead:
    """The head of a case that load.guard let in; errors as for :func:`read_case`."""
    attributes = _attributes(file, path)
    with damage_named(attributes["case_id"], path):
        return _head(file, attributes)


def read_attributes(path: Path | str) -> dict[str, Any]:
    """The attributes of a case file without its voxels; errors as for :func:`read_case`."""
    with opened(path) as file:
        return _attributes(file, path)


@dataclass(frozen=True, eq=False)
class CaseRecord:
    """What a case file tells without its voxels; ``boxes`` and ``slices`` count per label value."""

    attributes: dict[str, Any]
    boxes: dict[int, int]
    slices: dict[int, int]


def read_record(path: Path | str) -> CaseRecord:
    """Attributes, boxes and labeled slices of a case file; errors as for :func:`read_case`."""
    with opened(path) as file:
        attributes = _attributes(file, path)
        with damage_named(attributes["case_id"], path):
            _require_members(file, attributes, schema_from(json.loads(attributes["labels"])))
            boxes = Counter(_table(file, "targets/box_labels", (0,)).tolist())
            slices: Counter[int] = Counter()
            for value, start, stop in _table(file, "targets/slices", (0, 3)).tolist():
                slices[value] += stop - start
    return CaseRecord(attributes, dict(boxes), dict(slices))


def schema_from(labels: list[dict[str, Any]]) -> LabelSchema:
    """The label schema that a manifest or a case file holds as JSON."""
    return LabelSchema(
        tuple(
            Label(
                name=row["name"],
                value=row["value"],
                color=_color(row["color"]),
                aliases=tuple(row["aliases"]),
                terminology=_terminology(row["terminology"]),
                partner=row["partner"],
            )
            for row in labels
        )
    )


def _attributes(file: h5py.File, path: Path | str) -> dict[str, Any]:
    try:
        found = {name: _plain(file.attrs[name]) for name in file.attrs}
        version, kept = found["format_version"], found.pop("record_sha256")
        digest = layout.record_hash(found)
    except HDF5_ERRORS as error:
        raise CorruptCaseError(f"{path}: damaged attributes ({error})") from None
    if isinstance(version, int) and version > layout.FORMAT_VERSION:
        raise CohortError(
            f"{path} has format version {version}; this MedPrep reads versions up to "
            f"{layout.FORMAT_VERSION}: install a newer MedPrep"
        )
    if digest != kept:
        raise CorruptCaseError(f"case {found.get('case_id')}, file {path}: attributes were changed")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.size > 9:
        raise TypeError(f"an attribute of type {array.dtype} and size {array.size}")
    return array.tolist()


def _head(file: h5py.File, attributes: dict[str, Any]) -> CaseHead:
    geometry = Geometry(
        size=_triple(attributes["size"]),
        spacing=_triple(attributes["spacing"]),
        origin=_triple(attributes["origin"]),
        direction=tuple(attributes["direction"]),
    )
    labels = schema_from(json.loads(attributes["labels"]))
    _require_members(file, attributes, labels)
    for name in ("image", "mask"):
        if file[name].shape != geometry.shape:
            raise GeometryError(f"{name} has shape {file[name].shape}, not {geometry.shape}")
    return CaseHead(
        id=attributes["case_id"],
        geometry=geometry,
        annotated=bool(attributes["annotated"]),
        pad_value=float(attributes["pad_value"]),
        labels=labels,
        statistics=json.loads(attributes["statistics"]),
        boxes=_table(file, "targets/boxes", (0, 6)),
        box_labels=_table(file, "targets/box_labels", (0,)),
        ignore_value=attributes.get("ignore_value"),
    )


def _case(file: h5py.File, attributes: dict[str, Any], everything: bool) -> LoadedCase:
    head = _head(file, attributes)
    return LoadedCase(
        image=read_whole(file["image"]),
        mask=read_whole(file["mask"]),
        slices=_table(file, "targets/slices", (0, 3)),
        undecided_slices=_ranges(attributes.get("undecided_slices", "[]")),
        foreground=_foreground(file, head.labels) if everything else {},
        readings=_readings(file, attributes, head.geometry) if everything else {},
        consensus=json.loads(attributes["consensus"]),
        meta=json.loads(attributes["meta"]),
        recipe_hash=attributes["recipe_hash"],
        **vars(head),
    )


def _require_members(file: h5py.File, attributes: dict[str, Any], labels: LabelSchema) -> None:
    """The groups hold what the attributes announce: a damaged name must not look like absence."""
    names = layout.slugs(labels.names)
    voxels = json.loads(attributes["voxels"])
    announced = {
        "foreground": {names[name] for name, count in voxels.items() if count},
        "readings": {record["group"] for record in json.loads(attributes["readings"])},
        "targets": {"boxes", "box_labels", "slices"} if attributes["has_targets"] else set(),
    }
    for group, members in announced.items():
        if set(file.get(group, ())) != members:
            raise CohortError(f"{group} does not hold {sorted(members)}")


def _voxels(dataset: h5py.Dataset, geometry: Geometry) -> VoxelArray:
    if dataset.shape != geometry.shape:
        raise GeometryError(f"{dataset.name} has shape {dataset.shape}, not {geometry.shape}")
    return read_whole(dataset)


def _table(file: h5py.File, name: str, empty: tuple[int, ...]) -> IntArray:
    if name not in file:
        return np.zeros(empty, dtype=np.int32)
    rows: IntArray = read_whole(file[name]).astype(np.int32, copy=False)
    if rows.shape[1:] != empty[1:]:
        raise CohortError(f"{name} has an implausible shape {rows.shape}")
    return rows


def _ranges(text: str) -> IntArray:
    rows = np.array(json.loads(text), dtype=np.int32)
    if rows.size and (rows.ndim != 2 or rows.shape[1] != 3):
        raise CohortError(f"undecided_slices has an implausible shape {rows.shape}")
    return rows.reshape(-1, 3)


def _foreground(file: h5py.File, labels: LabelSchema) -> dict[str, IntArray]:
    names = layout.slugs(labels.names)
    places = {name: f"foreground/{names[name]}" for name in labels.names}
    return {name: _table(file, place, (0, 3)) for name, place in places.items()}


def _readings(
    file: h5py.File, attributes: dict[str, Any], geometry: Geometry
) -> dict[str, Segmentation]:
    readings = {}
    for record in json.loads(attributes["readings"]):
        group = file[f"readings/{record['group']}"]
        layers = tuple(_voxels(group[f"layer{n}"], geometry) for n in range(record["layers"]))
        segments = tuple(
            Segment(
                name=row["name"],
                value=row["value"],
                layer=row["layer"],
                color=None if row["color"] is None else _color(row["color"]),
                terminology=_terminology(row["terminology"]),
            )
            for row in record["segments"]
        )
        readings[record["rater"]] = Segmentation(layers, geometry, segments)
    return readings


def _terminology(row: dict[str, str] | None) -> Terminology | None:
    return None if row is None else Terminology(row["scheme"], row["value"], row["meaning"])


def _color(row: list[int]) -> tuple[int, int, int]:
    return _triple(row)


def _triple(values: list[Any]) -> tuple[Any, Any, Any]:
    x, y, z = values
    return (x, y, z)
