"""A made-up study of 26 cases for tests of the report: every section has something to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Study
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.report import ReportInput
from MedPrepLib.report.pictures import overlay
from MedPrepLib.results import (
    Agreement,
    CaseResult,
    ConsensusRecord,
    GridVerdict,
    LabelAgreement,
    PairAgreement,
    ReadingResult,
    Statistics,
    Targets,
)
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.split import Member, split

STUDY = """
name = "Lung nodules, four readers"

[[sources]]
kind = "dicom"
path = "/private/incoming/st-olav"
center = "St Olav"

[[sources]]
kind = "table"
path = "charite.csv"

[labels.nodule]
value = 1
color = [230, 80, 60]

[labels.lung]
value = 2
color = [80, 150, 230]
"""
CENTERS = ("Charité", "Hôpital Nord", "St Olav", "UMC Utrecht")
DEVICES = ("Siemens SOMATOM Force", "GE Revolution", "Philips IQon")
RATERS = ("Ada", "Berta", "Chiara", "Dag")
LABELS = ("nodule", "lung")
EXCLUDED = {
    4: catalog.SLICE_GAP.at("", "slice 41 lies 5.0 mm after slice 40, the median is 2.5 mm"),
    9: catalog.SLICE_GAP.at("", "slice 12 lies 2.5 mm after slice 11, the median is 1.25 mm"),
    13: catalog.MODALITY_UNWANTED.at("", "modality PT is not among CT, MR"),
    17: catalog.NO_READING.at("", "there is no mask for this image"),
    22: catalog.WORKER_TIMEOUT.at("", "took longer than 600 s"),
}


def study() -> Study:
    return parse_study(STUDY)


def sample_cases(count: int = 26) -> tuple[CaseResult, ...]:
    return tuple(_case(n) for n in range(count))


def sample_report(pictures: Path | None = None, **changes: object) -> ReportInput:
    """The report of the sample; ``changes`` replace fields of the input."""
    cases = sample_cases()
    settings = study()
    members = [
        Member(case.id, case.patient, case.center, frozenset({"nodule"}), case.pixel_hash)
        for case in cases
        if case.included
    ]
    plan, findings = split(members, settings.split, settings.seed)
    values = {
        "settings": settings,
        "cases": cases,
        "version": "0.1.0",
        "config_hash": "3f" * 32,
        "split": plan,
        "source_findings": (
            catalog.FILE_IGNORED.at("source 1", "212 files are neither images nor masks"),
            *findings,
        ),
        "files_seen": 5321,
        "pictures": pictures,
    }
    return ReportInput(**{**values, **changes})


def draw_pictures(folder: Path, cases: tuple[CaseResult, ...]) -> None:
    """A picture of a phantom for every case that names one."""
    grid = Geometry((96, 80, 40), (3.0, 3.0, 6.0))
    k, j, i = np.indices(grid.shape)
    body = ((i - 48) / 42) ** 2 + ((j - 40) / 30) ** 2 < 1
    for n, case in enumerate(cases):
        noise = np.random.default_rng(n).normal(0, 40, grid.shape)
        air = ((i - 28) / 14) ** 2 + ((j - 40) / 20) ** 2 < 1
        air |= ((i - 68) / 14) ** 2 + ((j - 40) / 20) ** 2 < 1
        image = np.where(body, np.where(air, -850, 40), -1000) + noise
        masks = {}
        for m, reading in enumerate(case.readings):
            center = np.array([20 + n % 5, 38 + m, 66 + n % 4 + m])
            distance = ((k - center[0]) * 2) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2
            layer = np.where(distance < (5 + n % 3) ** 2, 1, np.where(air, 2, 0)).astype(np.uint8)
            segments = (Segment("nodule", 1), Segment("lung", 2))
            masks[reading.rater] = Segmentation((layer,), grid, segments)
        first = next(iter(masks.values()), None)
        consensus = None if first is None else first.layers[0]
        volume = Volume(image.clip(-1024, 3071).astype(np.int16), grid)
        png = overlay(volume, masks, consensus, study().schema(), modality="CT")
        if case.picture:
            (folder / case.picture).write_bytes(png)


def _case(n: int) -> CaseResult:
    name = f"case-{n * 7919 % 10007:05d}"
    raters = RATERS[: (4, 3, 2, 4, 1)[n % 5]]
    voxels = 900 + 53 * n
    readings = tuple(_reading(rater, voxels + 11 * m, n) for m, rater in enumerate(raters))
    agreement = _agreement(n, raters, voxels) if len(raters) > 1 else None
    findings = _findings(n, name, agreement)
    rejected = n in EXCLUDED
    grid = Geometry((512, 512, 90 + n), (0.7 + 0.01 * (n % 9), 0.7 + 0.01 * (n % 9), 1.25 + n % 3))
    return CaseResult(
        id=name,
        patient=f"p{n * 2 // 3:03d}",
        center=CENTERS[n * 2 // 3 % 4],
        modality="MR" if n % 6 == 5 else "PT" if n == 13 else "CT",
        device=DEVICES[n % 3],
        sex="FM"[n * 2 // 3 % 2] if n % 7 else "unknown",
        age_years=41 + (n * 2 // 3 * 13) % 40 if n % 8 else None,
        findings=findings,
        geometry=grid,
        statistics=None if rejected else _statistics(n),
        readings=() if rejected else readings,
        agreement=None if rejected else agreement,
        consensus=None if rejected else _consensus(raters, n),
        targets=None
        if rejected
        else Targets({"nodule": voxels * (n % 4 > 0), "lung": 9**6}, (), ()),
        pixel_hash=f"{n:064x}",
        picture="" if rejected else f"{name}.png",
    )


def _findings(n: int, name: str, agreement: Agreement | None) -> tuple[Finding, ...]:
    found = []
    if n in EXCLUDED:
        found.append(EXCLUDED[n].about(name))
    elif agreement is not None and agreement.lowest is not None and agreement.lowest < 0.7:
        pair = agreement.labels[0].worst_pair
        message = f"nodule: {pair[0]} and {pair[1]} have Dice {agreement.lowest:.3f}, limit 0.7"
        found.append(catalog.LOW_AGREEMENT.at(name, message))
    if n % 11 == 6:
        found.append(catalog.THICK_SLICES.at(name, "slices are 6.5 mm apart, limit 5 mm"))
    if n % 5 == 3:
        found.append(catalog.CLIPPED.at(name, "312 voxels above 3071 HU were clipped"))
    if n == 8:
        item = f"{name}/Berta"
        found.append(catalog.GRID_RESAMPLED.at(item, "spacing 1 x 1 x 3 mm on 0.7 x 0.7 x 2.5 mm"))
    return tuple(found)


def _reading(rater: str, voxels: int, n: int) -> ReadingResult:
    sentence = "on the image's grid (corners agree within 0.0004 mm)"
    verdict = GridVerdict("same", 0.0004, "same grid", sentence)
    return ReadingResult(rater, verdict, {"nodule": voxels, "lung": 531_441}, f"{n:02x}{rater}" * 9)


def _agreement(n: int, raters: tuple[str, ...], voxels: int) -> Agreement:
    pairs, labels = [], []
    for label, base in zip(LABELS, (0.92, 0.97), strict=True):
        own = []
        for m, first in enumerate(raters):
            for second in raters[m + 1 :]:
                dice = (
                    base
                    - 0.012 * (len(first) + len(second) - 6)
                    - (n * 37 % 23) / 60 * (base < 0.95)
                )
                own.append(_pair(label, first, second, round(dice, 4), voxels, n))
        defined = [p for p in own if p.dice is not None]
        worst = min(defined, key=lambda p: p.dice, default=None)
        labels.append(
            LabelAgreement(
                label=label,
                mean_dice=sum(p.dice for p in defined) / len(defined) if defined else None,
                worst_dice=worst.dice if worst else None,
                worst_pair=(worst.rater_a, worst.rater_b) if worst else None,
                pairs_defined=len(defined),
                pairs_both_empty=sum(p.outcome == "both empty" for p in own),
                pairs_not_annotated=sum(p.outcome == "not annotated" for p in own),
            )
        )
        pairs += own
    return Agreement(raters, tuple(labels), tuple(pairs))


def _pair(label: str, a: str, b: str, dice: float, voxels: int, n: int) -> PairAgreement:
    if n == 12 and label == "nodule":
        return PairAgreement(label, a, b, "both empty", None)
    if n == 20 and label == "nodule" and b == "Chiara":
        return PairAgreement(label, a, b, "one empty", 0.0, voxels, 0, 0)
    if n == 2 and label == "lung":
        return PairAgreement(label, a, b, "not annotated", None)
    return PairAgreement(label, a, b, "measured", dice, voxels, voxels + 11, int(voxels * dice))


def _statistics(n: int) -> Statistics:
    percentiles = {"0.5": -1008.0, "50": -612.0 + n, "99.5": 873.0}
    return Statistics(31_457_280, -571.25 + n, 418.5, -1024, 3071, percentiles, 1_204_112, 0, 312)


def _consensus(raters: tuple[str, ...], n: int) -> ConsensusRecord:
    inputs = {rater: f"{n:02x}{rater}".encode().hex() * 3 for rater in raters}
    return ConsensusRecord(
        "majority", raters, "background", 17 * n if len(raters) != 3 else 0, inputs
    )
