"""Whose face may be seen in a cohort: what the headers said, and where they said nothing.

Rendered heads are recognized (Schwarz et al., NEJM 2019; 381:1684). Within a site that is as it is
in the archive; what is given to everybody has to be looked at first.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config import parse_study
from MedPrepLib.errors import RunError
from MedPrepLib.layout import MANIFEST_NAME
from MedPrepLib.load.case import read_attributes
from MedPrepLib.manifest import Manifest, ManifestCase
from MedPrepLib.screen import HEAD_PARTS, HYBRID
from MedPrepLib.vocabulary import BODY_PARTS

_SHOWN = 5


class Faces(msgspec.Struct, frozen=True):
    """Public names of cases: ``told`` have FACE_POSSIBLE, ``unknown`` may be of any body part."""

    told: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def known_none(self) -> bool:
        """True when every image is known to be of another part of the body, or too thin."""
        return not (self.told or self.unknown)


def faces_in(cohort: Path, manifest: Manifest) -> Faces:
    """The cases of a cohort folder whose images may show a face.

    Of a CT, MR or PET whose case file names no other part of the body, nobody knows, unless it is
    thinner than ``screen.face_extent_mm`` in some direction. CorruptCaseError for a damaged case.
    """
    study = parse_study(manifest.config, MANIFEST_NAME, schema=manifest.schema)
    told = {case.id for case in manifest.cases if catalog.FACE_POSSIBLE.code in case.findings}
    rest = (case for case in manifest.cases if case.id not in told)
    limit_mm = study.screen.face_extent_mm
    unknown = (case.id for case in rest if _may_be_a_head(cohort, case, limit_mm))
    return Faces(tuple(sorted(told)), tuple(sorted(unknown)))


def _may_be_a_head(cohort: Path, case: ManifestCase, limit_mm: float) -> bool:
    if case.modality not in HYBRID:
        return False
    attributes = read_attributes(cohort / case.shard.name)
    part = json.loads(attributes["meta"]).get("body_part", "")
    if part in BODY_PARTS and part not in HEAD_PARTS:
        return False
    edges = map(math.prod, zip(attributes["size"], attributes["spacing"], strict=True))
    return min(edges) >= limit_mm


def require_no_face(cohort: Path, manifest: Manifest, *, accept: bool) -> Faces:
    """The faces of a cohort that is made public; RunError unless there are none or they are taken.

    Also for a cohort that is one file: what is made public is made of the folder.
    """
    if not (cohort / MANIFEST_NAME).is_file():
        raise RunError(f"{cohort} is no folder of case files: make the public export of that")
    found = faces_in(cohort, manifest)
    if found.known_none or accept:
        return found
    told = []
    if found.told:
        told.append(f"{len(found.told)} cases may show a face: {_some(found.told)}")
    if found.unknown:
        told.append(
            f"of {len(found.unknown)} cases nobody knows, for their headers name no part of the "
            f"body: {_some(found.unknown)}"
        )
    raise RunError(
        f"{'; '.join(told)}. Nothing is defaced. Deface the sources and run again, or look at "
        "them and export with --accept-face-risk"
    )


def _some(cases: tuple[str, ...]) -> str:
    return ", ".join(cases[:_SHOWN]) + (", ..." if len(cases) > _SHOWN else "")
