"""Is a cohort fit to be given away? What its manifest and the facts in its case files say."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config import parse_study
from MedPrepLib.errors import RunError
from MedPrepLib.load.case import read_attributes
from MedPrepLib.manifest import Manifest, read_manifest
from MedPrepLib.sharing.faces import faces_in
from MedPrepLib.sharing.groups import Groups, grouped, row_of


class ShareCheck(msgspec.Struct, frozen=True):
    """What was found; ``burned_in``, ``faces`` and ``faces_unknown`` are public names of cases."""

    groups: Groups
    burned_in: tuple[str, ...]
    faces: tuple[str, ...]
    faces_unknown: tuple[str, ...]
    """Their headers name no part of the body."""
    given_names: bool
    """The study's own names of cases and patients are used."""
    origins_kept: bool

    @property
    def fit(self) -> bool:
        """True when nothing has to be done or accepted first; faces are only told."""
        return not (self.groups.small or self.burned_in)


def share_check(cohort: Path, k: int = 0) -> ShareCheck:
    """Look at a cohort; ``k`` 0 takes the study's own ``privacy.min_group``.

    Raises CohortError for a folder that is no cohort, CorruptCaseError for a damaged one.
    """
    manifest = read_manifest(cohort)
    privacy = parse_study(manifest.config, "manifest.json", schema=manifest.schema).privacy
    rows = []
    for case in manifest.cases:
        meta = json.loads(read_attributes(cohort / case.shard.name)["meta"])
        rows.append(row_of(case.id, case.center, case.person or case.patient, case.modality, meta))
    faces = faces_in(cohort, manifest)
    return ShareCheck(
        groups=grouped(rows, k or privacy.min_group),
        burned_in=_with(manifest, catalog.BURNED_IN_RISK.code),
        faces=faces.told,
        faces_unknown=faces.unknown,
        given_names=privacy.case_names == "given",
        origins_kept=privacy.origin == "kept",
    )


def require_clean(manifest: Manifest, *, accept_burned_in: bool) -> None:
    """RunError when cases may carry text in their pixels and nobody accepts that for an export."""
    cases = _with(manifest, catalog.BURNED_IN_RISK.code)
    if cases and not accept_burned_in:
        shown = ", ".join(cases[:5]) + (", ..." if len(cases) > 5 else "")
        raise RunError(
            f"{len(cases)} cases may carry text in their pixels (BURNED_IN_RISK, accepted for this "
            f"cohort): {shown}. Look at them, then export with --accept-burned-in"
        )


def uncleaned(manifest: Manifest) -> tuple[str, ...]:
    """What nobody took out of the pixels, in sentences: to be told with every export."""
    faces = _with(manifest, catalog.FACE_POSSIBLE.code)
    told = ["Text burned into pixels is judged by headers only; nothing was searched or erased."]
    if faces:
        told.append(f"Not defaced: {len(faces)} cases may show a face (FACE_POSSIBLE).")
    burned = _with(manifest, catalog.BURNED_IN_RISK.code)
    if burned:
        told.append(f"{len(burned)} cases may carry text in their pixels (BURNED_IN_RISK).")
    return tuple(told)


def _with(manifest: Manifest, code: str) -> tuple[str, ...]:
    return tuple(sorted(case.id for case in manifest.cases if code in case.findings))
