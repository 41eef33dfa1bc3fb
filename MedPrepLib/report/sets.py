"""Train and test: who is where, how alike the parts are, and that nobody is in two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.text import listing, percent, plural
from MedPrepLib.results import CaseResult, patients_of, person_of

MAX_LABELS = 6


@dataclass(frozen=True, slots=True)
class SetRow:
    """One part of the split. ``positive`` is the share of cases that show each label."""

    name: str
    patients: int
    patients_share: str
    cases: int
    cases_share: str
    centers: str
    positive: tuple[str, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """Cases of one center in training and in test, and how many of each show each label."""

    center: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetsView:
    """The report's section on the split."""

    sentence: str
    labels: tuple[str, ...]
    rows: tuple[SetRow, ...]
    audit: str
    leaks: bool
    balance: tuple[BalanceRow, ...] = ()
    prevalence: str = ""


def set_name(report: ReportInput, case_id: str) -> str:
    """``test``, ``train, fold 2`` (as in the manifest and the loader), or nothing."""
    place = report.split.places.get(case_id) if report.split is not None else None
    if place is None:
        return ""
    if place.part == "test" or place.fold is None:
        return place.part
    return f"train, fold {place.fold}"


def sets_view(report: ReportInput) -> SetsView | None:
    """The split table and the audit for leaks, made again from the cases; None without a split."""
    if report.split is None:
        return None
    parts: dict[str, list[CaseResult]] = defaultdict(list)
    for case in report.included:
        if name := set_name(report, case.id):
            parts[name].append(case)
    train = [case for name in sorted(parts) if name != "test" for case in parts[name]]
    labels = _shown_labels(report)
    everything = train + parts["test"]
    rows = [_row("Train", train, everything, labels, strong=True)]
    rows += [_row(name.removeprefix("train, ").capitalize(), parts[name], everything, labels)
             for name in sorted(parts, key=_fold_order) if name.startswith("train,")]  # fmt: skip
    if parts["test"]:
        rows.append(_row("Test", parts["test"], everything, labels, strong=True))
    leaks = _leaks(parts)
    return SetsView(
        sentence=_sentence(report),
        labels=labels,
        rows=tuple(rows),
        audit=leaks or _no_leaks(report, everything, parts),
        leaks=bool(leaks),
        balance=_balance(train, parts["test"], labels),
        prevalence=_prevalence(report),
    )


def _balance(
    train: Sequence[CaseResult], test: Sequence[CaseResult], labels: Sequence[str]
) -> tuple[BalanceRow, ...]:
    """For every center: cases in training / test, in all and with each label."""

    def cell(center: str, label: str) -> str:
        counts = (
            sum(c.center == center and (not label or _shows(c, label)) for c in part)
            for part in (train, test)
        )
        return " / ".join(map(str, counts))

    centers = sorted({case.center for case in (*train, *test)})
    return tuple(BalanceRow(x, tuple(cell(x, name) for name in ("", *labels))) for x in centers)


def _prevalence(report: ReportInput) -> str:
    """The wanted shares of test patients beside those achieved."""
    shares = report.split.prevalence if report.split is not None else {}
    told = (
        f"{name}: {share.wanted:.1%} wanted, {share.test:.1%} achieved "
        f"(training: {share.train:.1%})"
        for name, share in shares.items()
    )
    return "Test patients that show a class: " + "; ".join(told) + "." if shares else ""


def _fold_order(name: str) -> tuple[int, str]:
    return len(name), name


def _shown_labels(report: ReportInput) -> tuple[str, ...]:
    """The labels in the fewest cases: those that a split can get wrong."""
    names = report.settings.schema().names
    counts = {name: sum(_shows(case, name) for case in report.included) for name in names}
    rarest = sorted(names, key=lambda name: counts[name])[:MAX_LABELS]
    return tuple(name for name in names if name in rarest)


def _shows(case: CaseResult, label: str) -> bool:
    return case.targets is not None and label in case.targets.present


def _row(
    name: str,
    cases: Sequence[CaseResult],
    everything: Sequence[CaseResult],
    labels: Sequence[str],
    *,
    strong: bool = False,
) -> SetRow:
    people, all_people = len(patients_of(cases)), len(patients_of(everything))
    return SetRow(
        name=name,
        patients=people,
        patients_share=percent(people, all_people),
        cases=len(cases),
        cases_share=percent(len(cases), len(everything)),
        centers=listing(sorted({case.center for case in cases}), 6),
        positive=tuple(percent(sum(_shows(c, x) for c in cases), len(cases)) for x in labels),
        strong=strong,
    )


def _sentence(report: ReportInput) -> str:
    plan = report.split
    if plan is None or not plan.test_cases:
        return "There is no test set; the folds serve cross-validation only."
    share = percent(plan.test_patients, plan.patients)
    return (
        f"{plan.test_patients} of {plural(plan.patients, 'patient')} ({share}) and "
        f"{plan.test_cases} of {plural(plan.cases, 'case')} "
        f"({percent(plan.test_cases, plan.cases)}) test; at least "
        f"{percent(plan.wanted_fraction, 1)} of patients were wanted. "
        f"The test set is {plan.origin}."
    )


def _leaks(parts: dict[str, list[CaseResult]]) -> str:
    """What lies in more than one part: people, and images with the same voxels."""
    people: dict[object, set[str]] = defaultdict(set)
    images: dict[str, set[str]] = defaultdict(set)
    for name, cases in parts.items():
        for case in cases:
            people[person_of(case)].add(name)
            if case.pixel_hash:
                images[case.pixel_hash].add(name)
    both = sum(len(names) > 1 for names in people.values())
    same = sum(len(names) > 1 for names in images.values())
    if not both and not same:
        return ""
    return (
        f"LEAK: {plural(both, 'patient')} and {plural(same, 'identical image')} lie in more than "
        "one part of the split. Do not train on this split."
    )


def _no_leaks(
    report: ReportInput, cases: Sequence[CaseResult], parts: dict[str, list[CaseResult]]
) -> str:
    """What was compared; the numbers of the split's own audit follow those found again here."""
    hashed = sum(bool(case.pixel_hash) for case in cases)
    filled = sum(bool(part) for part in parts.values())
    return (
        f"No patient and no identical image lies in two parts: "
        f"{plural(len(patients_of(cases)), 'patient')} and {plural(hashed, 'image')} (by SHA-256 "
        f"of the voxels) were compared across {plural(filled, 'part')}.{_proof(report)}"
    )


def _proof(report: ReportInput) -> str:
    proof = report.split.proof if report.split is not None else None
    if proof is None:
        return ""
    shared = ", ".join(
        f"{proof.shared[kind]} {word}" for kind, word in _WORDS.items() if proof.carriers.get(kind)
    )
    return f" Shared by two parts, of {plural(proof.pairs, 'pair')} of cases compared: {shared}."


_WORDS = {
    "patient": "patients",
    "study": "studies",
    "frame": "frames of reference",
    "image": "images",
    "slice": "slices",
    "near-duplicate": "near-duplicates",
    "patient id": "patient ids of unclear issuer",
}
"""Kinds of evidence (leakage.evidence) in the plural."""
