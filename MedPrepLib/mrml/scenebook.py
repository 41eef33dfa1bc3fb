"""A book of the one case that a scene holds already: a volume, and segmentations of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.agree.versus import is_consensus
from MedPrepLib.casebook.entries import CaseEntry, with_reviews
from MedPrepLib.casebook.opened import NotShownError, OpenCase
from MedPrepLib.cohort import MaskPart
from MedPrepLib.config import Study
from MedPrepLib.config.settings import LabelSection
from MedPrepLib.consensus import reading_hash
from MedPrepLib.errors import GeometryError, MedPrepError
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.formats.segnrrd import distinct_names
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import slug
from MedPrepLib.labels import LabelSchema
from MedPrepLib.masks import common_schema, merge
from MedPrepLib.masks.matching import match, match_findings, relabeled
from MedPrepLib.mrml.segmentations import parts_of
from MedPrepLib.mrml.volumes import digest_of, volume_of
from MedPrepLib.reading import align_parts
from MedPrepLib.results import GridVerdict
from MedPrepLib.review import ReviewStore
from MedPrepLib.segmentation import Segment, Segmentation

NAMES = MaskPart("")
"""Segments in a scene are matched by their names."""


@dataclass(frozen=True, eq=False)
class SceneBook:
    """One volume node and the segmentation nodes of its raters; their names are the raters'.

    Labels are the names of the segments. ``folder``: where reviews are kept, by the name of the
    volume and what it shows: volumes of one name are many. What is read is copied: :meth:`read`
    again after the nodes were edited. Nodes that are gone from the scene are left out.
    """

    volume: Any
    segmentations: tuple[Any, ...]
    folder: Path

    @property
    def title(self) -> str:
        """What the panel calls it."""
        return "scene"

    @property
    def study(self) -> Study:
        """Defaults, with the labels of the scene."""
        return _study(self._schema())

    @property
    def store(self) -> ReviewStore:
        """Reviews of scenes."""
        return ReviewStore(self.folder)

    @property
    def readings(self) -> dict[str, Any]:
        """The segmentation nodes by rater."""
        present = [node for node in self.segmentations if node.GetScene() is not None]
        names = distinct_names([node.GetName() for node in present])
        return dict(zip(names, present, strict=True))

    @property
    def entries(self) -> tuple[CaseEntry, ...]:
        """The one case."""
        name = f"{slug(self.volume.GetName())[:47]}-{digest_of(self.volume)}"
        entry = CaseEntry(name, self.volume.GetName(), raters=tuple(sorted(self.readings)))
        return (with_reviews(entry, self.store.latest(name)[0]),)

    def read(self, name: str, fixes: frozenset[str] = frozenset()) -> OpenCase:
        """The case as the nodes are now; see Casebook."""
        try:
            image = volume_of(_present(self.volume))
        except MedPrepError as error:
            why = catalog.PIXELS_UNREADABLE.at(name, str(error))
            raise NotShownError(name, (why,)) from None
        schema = self._schema()
        reader = _Reader(image.geometry, schema, _study(schema), fixes)
        for rater, node in self.readings.items():
            if is_consensus(rater):
                reader.findings.append(
                    catalog.RATER_NAME_TAKEN.at(f"scene/{rater}", f"a rater is called {rater!r}")
                )
            else:
                reader.read(rater, node)
        return OpenCase(
            name=name,
            title=self.volume.GetName(),
            patient="",
            study=reader.study,
            schema=schema,
            image=image,
            modality=_modality(self.volume),
            masks=reader.masks,
            verdicts=reader.verdicts,
            as_drawn=reader.as_drawn,
            hashes={rater: reading_hash(mask) for rater, mask in reader.masks.items()},
            findings=tuple(reader.findings),
            fixes=fixes,
        )

    def _schema(self) -> LabelSchema:
        found = []
        for rater, node in self.readings.items():
            if is_consensus(rater):
                continue
            try:
                parts, empty = parts_of(node, sided=True)
            except MedPrepError:  # said when the node is read
                continue
            found += list(parts)
            if empty:
                found.append(_all_empty(empty))
        return common_schema(found)


class _Reader:
    """Brings one node after the other to the grid of the image."""

    def __init__(
        self, geometry: Geometry, schema: LabelSchema, study: Study, fixes: frozenset[str]
    ) -> None:
        self.geometry, self.schema, self.study, self.fixes = geometry, schema, study, fixes
        self.masks: dict[str, Segmentation] = {}
        self.verdicts: dict[str, GridVerdict] = {}
        self.as_drawn: dict[str, tuple[Segmentation, ...]] = {}
        self.findings: list[Finding] = []

    def read(self, rater: str, node: Any) -> None:
        item = f"scene/{rater}"
        try:
            drawn, empty = parts_of(node, sided=True)
        except MedPrepError as error:
            self.findings.append(catalog.MASK_UNREADABLE.at(item, str(error)))
            return
        meanings = [match(part, NAMES, self.schema) for part in drawn]
        for meaning in meanings:
            self.findings += match_findings(meaning, item)
        parts = tuple(map(relabeled, drawn, meanings))
        if not parts:
            self._keep(rater, self._with_empty(self._blank(), empty))
            return
        aligned = align_parts(
            parts, self.geometry, self.study.align, item, adopt=rater in self.fixes
        )
        self.findings += aligned.findings
        if aligned.verdict is not None:
            self.verdicts[rater] = aligned.verdict
            if aligned.verdict.verdict not in ("same", "rounding"):
                self.as_drawn[rater] = parts
        if not rejects(aligned.findings):
            self._keep(rater, self._with_empty(merge(aligned.parts, item).segmentation, empty))

    def _keep(self, rater: str, mask: Segmentation) -> None:
        self.masks[rater] = mask

    def _blank(self) -> Segmentation:
        return Segmentation((np.zeros(self.geometry.shape, np.uint8),), self.geometry, ())

    def _with_empty(self, mask: Segmentation, empty: tuple[Segment, ...]) -> Segmentation:
        """The mask with the labels that were annotated and hold nothing."""
        if not empty:
            return mask
        labels = match(_all_empty(empty), NAMES, self.schema).annotated
        more = tuple(
            Segment(label.name, label.value, 0, label.color, label.terminology)
            for label in labels
            if mask.find(label.name) is None
        )
        return replace(mask, segments=mask.segments + more) if more else mask


def _present(volume: Any) -> Any:
    if volume.GetScene() is None:
        raise GeometryError(f"{volume.GetName()} is not in the scene any more")
    return volume


def _all_empty(segments: tuple[Segment, ...]) -> Segmentation:
    """Names without voxels, as a segmentation that only stands for them."""
    numbered = tuple(replace(s, value=n) for n, s in enumerate(segments, start=1))
    return Segmentation((np.zeros((1, 1, 1), np.uint8),), Geometry((1, 1, 1)), numbered)


def _study(schema: LabelSchema) -> Study:
    rows: Mapping[str, LabelSection] = {
        label.name: LabelSection(value=label.value, color=label.color) for label in schema
    }
    return Study(name="scene", sources=(), labels=dict(rows))


def _modality(volume: Any) -> str:
    """What the node says, or CT where the voxels look like Hounsfield units."""
    return volume.GetAttribute("DICOM.Modality") or ""
