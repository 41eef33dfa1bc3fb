"""The methods paragraph of a paper, with the numbers of this cohort filled in."""

from __future__ import annotations

from collections import Counter

from MedPrepLib.catalog import SUV_UNKNOWN
from MedPrepLib.config.settings import Study
from MedPrepLib.report.agreement import AgreementView
from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.quarantine import readmitted_sentence
from MedPrepLib.report.sets import SetsView
from MedPrepLib.report.summary import primary_reason, raters_of
from MedPrepLib.report.text import RULES, dice, listing, number, percent, plural
from MedPrepLib.results import patients_of

METHODS = {
    "majority": "majority vote of the raters, voxel by voxel",
    "staple": "STAPLE, which weighs each rater by the estimated sensitivity and specificity "
    "(Warfield et al., IEEE TMI 23:903, 2004)",
}
"""How a consensus was made, in words."""


def methods(
    report: ReportInput, agreement: AgreementView, sets: SetsView | None
) -> tuple[str, ...]:
    """Sentences in the past tense, one string per paragraph."""
    return tuple(
        " ".join(sentences)
        for sentences in (
            _data(report),
            _images(report),
            _annotations(report, agreement),
            _split(report, sets),
        )
        if sentences
    )


def _data(report: ReportInput) -> list[str]:
    found, used = report.ordered, report.included
    modalities = Counter(case.modality or "unknown modality" for case in used)
    kinds = listing(f"{count} {name}" for name, count in sorted(modalities.items()))
    text = [
        f"{plural(len(found), 'image volume')} were found in {plural(report.files_seen, 'file')}."
        if report.files_seen
        else f"{plural(len(found), 'image volume')} were found."
    ]
    if report.excluded:
        codes = Counter(primary_reason(case).code for case in report.excluded)
        ordered = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
        reasons = listing(f"{code} (n = {count})" for code, count in ordered)
        text.append(f"{len(report.excluded)} were excluded: {reasons}.")
    if readmitted := readmitted_sentence(report):
        text.append(readmitted)
    text.append(
        f"The cohort comprises {plural(len(used), 'case')} ({kinds or 'none'}) of "
        f"{plural(len(patients_of(used)), 'patient')} from "
        f"{plural(len({case.center for case in used}), 'center')}."
    )
    return text


def _images(report: ReportInput) -> list[str]:
    screen, standard = report.settings.screen, report.settings.standardize
    modalities = {case.modality for case in report.included}
    limits = [
        f"{limit:g} mm for {name}"
        for name, key, limit in (
            ("CT", "CT", screen.max_ct_slice_mm),
            ("MR", "MR", screen.max_mr_slice_mm),
            ("PET", "PT", screen.max_pt_slice_mm),
        )
        if key in modalities
    ]
    text = [
        (
            f"Volumes of fewer than {plural(screen.min_slices, 'slice')}, with slice distances "
            f"that deviate by more than {percent(screen.gap_tolerance, 1)} from their median, or "
            f"sheared by more than {screen.max_tilt_mm:g} mm were not used as they were."
        )
    ]
    if limits:
        text.append(f"Slices farther apart than {listing(limits)} were marked for review.")
    if "CT" in modalities:
        text.append(
            f"CT values were converted to Hounsfield units and limited to "
            f"{number(standard.ct_low_hu)} to {number(standard.ct_high_hu)} HU."
        )
    if "PT" in modalities and standard.pet == "suv":
        text.append(_uptake(report))
    return text


def _uptake(report: ReportInput) -> str:
    """How PET was converted, and how many could not be."""
    left = sum(any(f.code == SUV_UNKNOWN.code for f in c.findings) for c in report.included)
    text = "PET values were converted to standardized uptake values by body weight"
    return f"{text}, but for {plural(left, 'case')} that lacked attributes." if left else f"{text}."


def _annotations(report: ReportInput, view: AgreementView) -> list[str]:
    raters = raters_of(report.included)
    if not raters:
        return []
    text = [
        f"{plural(len(raters), 'rater')} annotated {plural(len(report.settings.labels), 'label')}."
    ]
    if any(case.readings for case in report.included):
        text += _grids(report)
    if view.measured:
        text += _agreement(view)
    if any(case.consensus is not None for case in report.included):
        consensus = report.settings.consensus
        tied = sum(case.consensus.tied_voxels for case in report.included if case.consensus)
        text.append(
            f"The reference was made by {METHODS[consensus.method]}; "
            f"ties ({plural(tied, 'voxel')}) went to {consensus.ties}."
        )
    if any(case.other_raters for case in report.included):
        text.append(
            f"Of the boxes that raters drew, {box_rule(report.settings)} were kept; slices were "
            f"labeled by majority vote, ties went to {report.settings.consensus.ties}."
        )
    return text


def box_rule(study: Study) -> str:
    """Which of the raters' own boxes count, as a phrase."""
    quorum, iou = study.consensus.box_quorum, study.agree.box_iou
    needed = f"{plural(quorum, 'rater')} (all, where fewer looked)" if quorum else "more than half"
    return f"those that {needed} drew (at an intersection over union of {iou:g} or more)"


def _grids(report: ReportInput) -> list[str]:
    """What was done with masks on other grids."""
    align = report.settings.align
    return [
        (
            "A mask was taken to lie on its image's grid when no corner of the two grids was "
            f"farther apart than {align.same_mm:g} mm, or than {align.rounding_fraction:g} of "
            "the smallest voxel edge after rounding of headers."
        ),
        "Masks on other grids were resampled with nearest neighbor."
        if align.resample
        else "Masks on other grids were rejected.",
    ]


def _agreement(view: AgreementView) -> list[str]:
    judged = RULES[view.rule]
    return [
        (
            "Agreement was measured as the Dice coefficient of each pair of raters on each label; "
            "two empty masks have none and were left out of means, one empty mask counts as 0."
        ),
        (
            f"The median over {plural(view.measured, 'case')} of {judged} was {dice(view.median)}; "
            f"{plural(view.below, 'case')} ({percent(view.below, view.measured)}) below "
            f"{view.threshold:g} {'was' if view.below == 1 else 'were'} marked for review."
        ),
    ]


def _split(report: ReportInput, sets: SetsView | None) -> list[str]:
    if sets is None or report.split is None:
        return []
    folds = {place.fold for place in report.split.places.values() if place.fold is not None}
    text = ["The unit of the split is the patient.", sets.sentence]
    if folds:
        text.append(f"The rest was dealt into {plural(len(folds), 'cross-validation fold')}.")
    text.append(
        f"Data were prepared with MedPrep {report.version} "
        f"(configuration {report.config_hash[:12]}, seed {report.settings.seed})."
    )
    return text
