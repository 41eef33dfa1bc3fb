"""The structures."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from MedPrepLib.config.settings.base import ColorValue, Name, Section
from MedPrepLib.labels import Label, Terminology, distinct_color


class TerminologyCode(Section, frozen=True):
    """A coded concept (DICOM PS3.16)."""

    scheme: Annotated[Name, Meta(description="coding scheme, such as SCT (SNOMED CT)")]
    value: Annotated[Name, Meta(description="code in that scheme")]
    meaning: Annotated[str, Meta(description="what the code stands for, in words")] = ""


class LabelSection(Section, frozen=True):
    """One structure; its key in ``[labels]`` is its name."""

    value: Annotated[int, Meta(ge=1, le=65535, description="voxel value in the packed mask")]
    color: Annotated[
        tuple[ColorValue, ColorValue, ColorValue] | None, Meta(description="sRGB, 0-255")
    ] = None
    aliases: Annotated[
        tuple[str, ...], Meta(description="other names of it in masks and objects")
    ] = ()
    partner: Annotated[str, Meta(description="the same structure on the other side")] = ""
    terminology: Annotated[
        TerminologyCode | None,
        Meta(description="what it is, as a code; matches segments, too (of the same side)"),
    ] = None


def label_of(name: str, row: LabelSection) -> Label:
    """The label that a row of ``[labels]`` describes."""
    code = row.terminology
    return Label(
        name=name,
        value=row.value,
        color=row.color or distinct_color(row.value),
        aliases=row.aliases,
        terminology=Terminology(code.scheme, code.value, code.meaning) if code else None,
        partner=row.partner or None,
    )
