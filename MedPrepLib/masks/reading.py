"""One rater's reading of one image: all its files, with the labels of the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.errors import MedPrepError
from MedPrepLib.findings import Finding
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import Geometry
from MedPrepLib.hiccups import is_hiccup
from MedPrepLib.labels import LabelSchema
from MedPrepLib.masks.dicomseg import read_dicom_seg_with_remarks
from MedPrepLib.masks.labelmaps import read_mask
from MedPrepLib.masks.matching import match, match_findings, open_regions, relabeled
from MedPrepLib.masks.objects import kind_of
from MedPrepLib.masks.remarks import Drawn, remark_findings, with_nothing_left, without_lost
from MedPrepLib.masks.rtstruct import read_rtstruct_with_remarks
from MedPrepLib.segmentation import Segmentation

_AS_UNREADABLE = {
    catalog.FILE_UNREADABLE.code,
    catalog.PIXELS_UNREADABLE.code,
    catalog.NIFTI_INVALID.code,
    catalog.TOO_FEW_SLICES.code,
}
"""Faults that, said of a mask, are called MASK_UNREADABLE; others keep their own code."""


@dataclass(frozen=True, eq=False)
class LoadedReading:
    """What one rater drew, in the names and values of the schema.

    One segmentation per file that annotates at least one label, each on the file's own grid;
    bring them to the image grid, then merge. Labels in none of them were not annotated.
    """

    segmentations: tuple[Segmentation, ...]
    findings: tuple[Finding, ...]


def load_reading(
    reading: MaskReading,
    image_geometry: Geometry,
    schema: LabelSchema,
    item: str,
    *,
    frame: str = "",
) -> LoadedReading:
    """Read every file of a reading and match its segments with the label schema.

    A label is *annotated* (perhaps empty) when

    - the source names one label for the file, whatever the file holds;
    - the source maps a value of the file to it, found or not, unless all voxels have others;
    - the file lists a segment of that name, alias or terminology code, with or without voxels;
    - the file has no names and holds the label's value;
    - the file has no names and no voxel at all: then every label of the schema was looked for;
    - the file has no names and 1 or 255 as its only value, and the schema has just this label.

    So a nameless label map that shows some labels says nothing about the others, and a file with
    voxels of which none is known says nothing at all. Segments with
    no meaning are left out and listed (LABEL_UNKNOWN); files that cannot be read give their
    finding and nothing else. A label of which a region cannot be read is not annotated
    (REGION_LEFT_OUT). Contours (RTSTRUCT) are filled on ``image_geometry``; ``frame`` is the UID
    of the image's frame of reference, where it is known. Never raises for bad data.
    """
    segmentations: list[Segmentation] = []
    findings: list[Finding] = []
    for part in reading.parts:
        try:
            drawn = _read(Path(part.path), image_geometry, frame)
        except FileFaultError as fault:
            findings.append(_said_of_mask(fault, item))
            continue
        except (MedPrepError, OSError) as error:
            if isinstance(error, OSError) and is_hiccup(error):
                raise
            why = f"the mask cannot be read ({type(error).__name__})"
            findings.append(catalog.MASK_UNREADABLE.at(item, why))
            continue
        meant, said = _meant(drawn, part, schema, item)
        segmentations += meant
        findings += said
    return LoadedReading(tuple(segmentations), tuple(findings))


def _meant(
    drawn: Drawn, part: MaskPart, schema: LabelSchema, item: str
) -> tuple[list[Segmentation], list[Finding]]:
    """What a file annotates in the words of the schema, nothing or one segmentation."""
    listed = match(drawn.listed, part, schema, named=drawn.named)
    drawn = with_nothing_left(drawn, listed)
    meaning = without_lost(listed, drawn.lost)
    by_name = part.label is None and not part.values
    opened = open_regions(drawn.open_only, meaning, schema, item) if by_name else []
    findings = [
        *remark_findings(drawn.remarks, listed, item),
        *match_findings(meaning, item),
        *opened,
    ]
    if meaning.annotated:
        return [relabeled(drawn.segmentation, meaning)], findings
    if not opened and drawn.named and not drawn.listed.segments:
        findings.append(catalog.REGION_LEFT_OUT.at(item, "the object lists no closed region"))
    return [], findings


def read_any_mask(path: Path, image_geometry: Geometry | None) -> Segmentation:
    """A mask file of any kind, with its own names and values.

    ``image_geometry`` is the grid on which contours are filled; without it an RTSTRUCT cannot
    be read. Raises FileFaultError.
    """
    return _read(path, image_geometry, "").segmentation


def _read(path: Path, image_geometry: Geometry | None, frame: str) -> Drawn:
    kind = kind_of(path)
    if kind == "seg":
        return read_dicom_seg_with_remarks(path, image_geometry)
    if kind == "labels":
        return Drawn(read_mask(path), named=False)
    if image_geometry is None:
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED, "contours can only be filled on the grid of their image"
        )
    return read_rtstruct_with_remarks(path, image_geometry, frame)


def _said_of_mask(fault: FileFaultError, item: str) -> Finding:
    if fault.kind.code in _AS_UNREADABLE:
        return catalog.MASK_UNREADABLE.at(item, fault.message)
    return fault.at(item)
