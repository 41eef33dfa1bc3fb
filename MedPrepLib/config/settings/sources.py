"""Where images and masks come from."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from MedPrepLib.config.settings.base import Section

MASK_FOLDER = "masks"


class Annotation(Section, frozen=True):
    """How the files called by one annotation name are to be read, or the folder of one rater."""

    rater: Annotated[str, Meta(description="who drew it; default: the annotation's name")] = ""
    label: Annotated[str, Meta(description="every non-zero voxel means this label")] = ""
    values: Annotated[
        dict[str, str], Meta(description="label name for each number in the file, as text keys")
    ] = msgspec.field(default_factory=dict)
    ignore: Annotated[bool, Meta(description="leave these files out")] = False


class SourceSection(Section, frozen=True, tag_field="kind"):
    """What all sources have in common."""

    path: Annotated[str, Meta(min_length=1, description="relative to the study file")]
    modality: Annotated[str, Meta(description="modality of files whose header has none")] = ""
    annotations: Annotated[
        dict[str, Annotation], Meta(description="by rater file or annotation name")
    ] = msgspec.field(default_factory=dict)


class DicomSource(SourceSection, frozen=True, tag="dicom"):
    """A tree of DICOM files; each image series becomes a case."""

    center: Annotated[str, Meta(description="center of all cases of this source")] = ""
    centers: Annotated[
        str,
        Meta(
            description="a CSV that tells centers: columns center and any of folder, institution, "
            "station, patient"
        ),
    ] = ""
    masks: Annotated[
        str,
        Meta(
            description="folder with one sub-folder per case or SeriesInstanceUID, holding "
            "<rater>.nii.gz, .nrrd, .seg.nrrd or .mha"
        ),
    ] = ""


class FolderSource(SourceSection, frozen=True, tag="folders"):
    """center/patient/case/ with image.* (or a folder image/ of DICOM) and masks/<rater>.*."""

    centers: Annotated[
        str,
        Meta(
            description="a CSV that tells centers: columns center and any of folder, institution, "
            "station, patient"
        ),
    ] = ""
    masks: Annotated[
        str,
        Meta(
            description="what the folder of masks in a case folder is called, however capitalized",
            min_length=1,
            max_length=64,
        ),
    ] = MASK_FOLDER
    part: Annotated[
        str, Meta(description='the volume meant where series hold several: "b800", "echo1"')
    ] = ""


class TableSource(SourceSection, frozen=True, tag="table"):
    """A CSV or TSV with one row per case.

    Columns: case, patient, image, annotations (``name=path;name=path``); optional: center,
    modality, sex, age, manufacturer, model, study, part (the volume meant where a series holds
    several: b800, echo1). ``columns`` renames them. Paths are relative to the table.
    """

    columns: Annotated[
        dict[str, str], Meta(description="our column name = the table's column name")
    ] = msgspec.field(default_factory=dict)
    centers: Annotated[
        str,
        Meta(
            description="a CSV that tells centers: columns center and any of folder, institution, "
            "station, patient; for rows that name no center"
        ),
    ] = ""


class NnunetSource(SourceSection, frozen=True, tag="nnunet"):
    """An nnU-Net raw folder (channel 0000 only) or one of the Medical Segmentation Decathlon.

    Both have imagesTr, labelsTr and dataset.json; the Decathlon's images have no channel number.
    """

    center: Annotated[str, Meta(description="center of all cases of this source")] = ""


Source = DicomSource | FolderSource | TableSource | NnunetSource
