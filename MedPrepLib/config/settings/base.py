"""What sections of a study file are made of."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Word = Literal["off", "note", "review", "reject"]
Task = Literal["segmentation", "detection", "classification"]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
ColorValue = Annotated[int, Meta(ge=0, le=255)]


def limit(
    about: str, *codes: str, unit: str = "", ge: float | None = None, le: float | None = None
) -> Meta:
    """A setting that decides on findings: what it says, their codes, its unit and its range."""
    extra = {"codes": list(codes), "unit": unit}
    return Meta(ge=ge, le=le, description=about, extra_json_schema=extra)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the study file."""
