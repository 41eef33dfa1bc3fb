"""3D Slicer's segmentation files (.seg.nrrd): reader and writer.

Such a file is an NRRD label map, or a list of label maps (layers) where segments overlap, with
``Segment<N>_...`` keys that give names, values, layers, colors, extents and terminology.
Source: Slicer's vtkMRMLSegmentationStorageNode and its developer guide on segmentations.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.atomic import write_bytes
from MedPrepLib.formats.faults import MAX_VOXELS, FileFaultError
from MedPrepLib.formats.nrrd import NrrdHeader, escaped, read_header, read_layers
from MedPrepLib.formats.terminology import entry_of, entry_text, side_of
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import Color, distinct_color
from MedPrepLib.segmentation import Segment, Segmentation

_SEGMENT_KEY = re.compile(r"Segment(\d{1,9})_(\w+)")
_EMPTY_EXTENT = "0 -1 0 -1 0 -1"


def is_seg_nrrd(header: NrrdHeader) -> bool:
    """True when the NRRD lists segments."""
    return any(_SEGMENT_KEY.fullmatch(key) for key in header.keys)


def segment_names(header: NrrdHeader) -> tuple[str, ...]:
    """The names of the listed segments, in the order of the file; no voxel is read."""
    rows = _segment_table(header.keys).values()
    return tuple(name for row in rows if (name := row.get("Name", "").strip()))


def read_seg_nrrd(path: Path, *, max_voxels: int = MAX_VOXELS) -> Segmentation:
    """Every layer and every listed segment, on the file's own (often cropped) grid.

    Segments without voxels stay listed: they were annotated empty. Two segments of one name are
    told apart by " #2". Files of Slicer before 4.11, one layer per segment without a value,
    are read as well. Raises FileFaultError (a ReadError).
    """
    return segmentation_from(read_header(path, max_voxels=max_voxels))


def segmentation_from(header: NrrdHeader) -> Segmentation:
    """The segmentation of an NRRD whose header was read; raises FileFaultError."""
    geometry = header.geometry
    layers = tuple(as_labels(layer) for layer in read_layers(header))
    table = _segment_table(header.keys)
    names = distinct_names([row.get("Name", f"Segment_{n}") for n, row in table.items()])
    segments = tuple(
        _segment(row, name, position, len(layers))
        for position, (name, row) in enumerate(zip(names, table.values(), strict=True))
    )
    places = [(s.layer, s.value) for s in segments]
    if len(set(places)) != len(places) or any(s.layer >= len(layers) for s in segments):
        raise FileFaultError(
            catalog.MASK_UNREADABLE, "segments share a label value, or lie in a missing layer"
        )
    return Segmentation(layers, geometry, segments)


def as_labels(array: VoxelArray) -> VoxelArray:
    """Voxels as unsigned integers of the smallest fitting type.

    Raises FileFaultError (MASK_NOT_LABELS) for negative values and fractions.
    """
    if array.dtype == np.uint8:
        return array
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (low >= 0 and high <= 2**32 - 1):  # NaN fails both
        raise FileFaultError(
            catalog.MASK_NOT_LABELS, f"a label map holds values from {low:g} to {high:g}"
        )
    labels = array.astype(np.min_scalar_type(int(high)))
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        raise FileFaultError(
            catalog.MASK_NOT_LABELS, "a label map holds fractions, not whole numbers"
        )
    return labels


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names in order; the second "x" becomes "x #2", or the next number that nobody has."""
    given = frozenset(names)
    numbered: dict[str, Iterator[str]] = {}
    result: list[str] = []
    for name in names:
        if name in numbered:
            result.append(next(numbered[name]))
        else:
            numbered[name] = _numbered(name, given)
            result.append(name)
    return result


def _numbered(name: str, given: frozenset[str]) -> Iterator[str]:
    """``x #2``, ``x #3``..., without those that are given; no other name makes any of these."""
    made = (f"{name} #{number}" for number in itertools.count(2))
    return (other for other in made if other not in given)


def plain_name(name: str) -> str:
    """The name that :func:`distinct_names` was given."""
    return re.sub(r" #\d+$", "", name)


def _segment_table(keys: Mapping[str, str]) -> dict[int, dict[str, str]]:
    table: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        match = _SEGMENT_KEY.fullmatch(key)
        if match:
            table.setdefault(int(match[1]), {})[match[2]] = value
    return dict(sorted(table.items()))


def _segment(row: Mapping[str, str], name: str, position: int, layers: int) -> Segment:
    old_style = "LabelValue" not in row and "Layer" not in row and layers > 1
    try:
        value = int(row.get("LabelValue", "1"))
        layer = int(row.get("Layer", str(position) if old_style else "0"))
    except ValueError:
        raise FileFaultError(
            catalog.MASK_UNREADABLE, "a segment's layer or label value is not a whole number"
        ) from None
    if value < 1 or layer < 0:
        raise FileFaultError(
            catalog.MASK_UNREADABLE, "a segment's layer or label value is negative"
        )
    entry = re.search(r"TerminologyEntry:([^|]*)", row.get("Tags", ""))
    text = entry[1] if entry else ""
    color = _color(row.get("Color", ""))
    return Segment(name, value, layer, color, entry_of(text), side=side_of(text))


def _color(text: str) -> Color | None:
    try:
        r, g, b = (min(max(round(float(x) * 255), 0), 255) for x in text.split())
    except (ValueError, OverflowError):
        return None
    return (r, g, b)


def write_seg_nrrd(path: Path, segmentation: Segmentation) -> None:
    """Write a file that 3D Slicer opens as a segmentation: the same input gives the same bytes.

    All layers are kept, and empty segments stay listed. The file appears under its name only
    when it is complete. Raises OSError when it cannot be written.
    """
    dtype = np.result_type(*(layer.dtype for layer in segmentation.layers), np.uint8)
    header = _header_text(segmentation, dtype.newbyteorder("<"))
    if len(segmentation.layers) == 1:
        voxels = segmentation.layers[0]
    else:  # the list axis is the fastest in the file, as in Slicer's own files
        voxels = np.stack(segmentation.layers, axis=-1)
    packer = zlib.compressobj(level=4, wbits=31)  # gzip without name and with time 0
    data = packer.compress(np.ascontiguousarray(voxels, dtype.newbyteorder("<")).data)
    write_bytes(path, header.encode() + data + packer.flush())


def _header_text(segmentation: Segmentation, dtype: np.dtype[np.generic]) -> str:
    geometry, count = segmentation.geometry, len(segmentation.layers)
    listed = count > 1
    vectors = [_vector_text(geometry.affine[:3, axis]) for axis in range(3)]
    sizes = [str(n) for n in geometry.size]
    lines = [
        "NRRD0004",
        f"type: {_type_name(dtype)}",
        f"dimension: {4 if listed else 3}",
        "space: left-posterior-superior",
        "sizes: " + " ".join([str(count), *sizes] if listed else sizes),
        "space directions: " + " ".join(["none", *vectors] if listed else vectors),
        "kinds: " + ("list " if listed else "") + "domain domain domain",
        *(["endian: little"] if dtype.itemsize > 1 else []),
        "encoding: gzip",
        f"space origin: {_vector_text(geometry.affine[:3, 3])}",
    ]
    extents = _extents(segmentation)
    for number, (segment, extent) in enumerate(zip(segmentation.segments, extents, strict=True)):
        rows = _segment_rows(segment, number, extent)
        lines += [f"Segment{number}_{key}:={escaped(value)}" for key, value in rows.items()]
    lines += [
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    return "\n".join(lines) + "\n\n"


def _segment_rows(segment: Segment, number: int, extent: str) -> dict[str, str]:
    color = segment.color or distinct_color(segment.value)
    tags = entry_text(segment.terminology) if segment.terminology else ""
    return {
        "ID": f"Segment_{number + 1}",
        "Name": segment.name,
        "NameAutoGenerated": "0",
        "Color": " ".join(format(x / 255, ".6g") for x in color),
        "ColorAutoGenerated": "0",
        "LabelValue": str(segment.value),
        "Layer": str(segment.layer),
        "Extent": extent,
        "Tags": f"TerminologyEntry:{tags}|" if tags else "|",
    }


def _extents(segmentation: Segmentation) -> list[str]:
    """For each segment the first and last index along i, j, k of its voxels; one pass a layer."""
    from scipy.ndimage import find_objects

    boxes = [find_objects(layer) for layer in segmentation.layers]
    texts = []
    for segment in segmentation.segments:
        of_layer = boxes[segment.layer]
        box = of_layer[segment.value - 1] if segment.value <= len(of_layer) else None
        spans = [f"{part.start} {part.stop - 1}" for part in reversed(box or ())]
        texts.append(" ".join(spans) or _EMPTY_EXTENT)
    return texts


def _vector_text(vector: Sequence[float] | VoxelArray) -> str:
    return "(" + ",".join(repr(float(x)) for x in vector) + ")"


def _type_name(dtype: np.dtype[np.generic]) -> str:
    names = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int"}
    return names.get(dtype.itemsize, "unsigned long long")
