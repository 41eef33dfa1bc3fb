"""The numbers of a card: who is in the cohort, what is drawn, and how far raters agree."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from MedPrepLib.card.facts import CardInput, CaseRow, counts_in
from MedPrepLib.card.markup import code, inline, table
from MedPrepLib.report.strata import age_band
from MedPrepLib.report.summary import meaning
from MedPrepLib.report.text import NOTHING, dice, plural
from MedPrepLib.results import LeakageProof, patients_of
from MedPrepLib.tables import AgreementRow

NOT_STATED = "not stated"
BANDS = ("0-17", "18-39", "40-59", "60-79", "80 and over", NOT_STATED)
"""Names of the age bands of the report."""

_EVIDENCE = {
    "patient": "patients",
    "study": "studies (StudyInstanceUID)",
    "frame": "frames of reference",
    "image": "images (SHA-256 of the voxels)",
    "slice": "slices (SHA-256 of the pixels)",
    "near-duplicate": "near-duplicate images",
    "patient id": "patient ids of unclear issuer",
}
_SEXES = {"F": "female", "M": "male", "O": "other"}


def by_center(card: CardInput) -> str:
    """Patients and cases of every center and modality, in each set."""
    groups = sorted({(c.center, c.modality) for c in card.cases})
    rows = [
        (
            inline(center),
            inline(modality) or NOT_STATED,
            *_counts([c for c in card.cases if (c.center, c.modality) == (center, modality)]),
        )
        for center, modality in groups
    ]
    rows.append(("all", "", *_counts(card.cases)))
    return table(("center", "modality", "patients", "cases", "train", "test"), rows)


def by_sex(card: CardInput) -> str:
    """Patients of every sex."""
    return _people(card, "sex", lambda c: _SEXES.get(c.sex, NOT_STATED), (*_SEXES.values(),))


def by_age(card: CardInput) -> str:
    """Patients of every age band, at their youngest."""
    return _people(card, "age in years", lambda c: BANDS[age_band(c.age_years)], BANDS[:-1])


def by_label(card: CardInput) -> str:
    """Every label: its value and code, how many cases of each set show it, and how often."""
    shown = [(c.set, frozenset(c.labels.split())) for c in card.cases]
    boxes, slices = Counter[int](), Counter[int]()
    for case in card.cases:
        boxes.update(counts_in(case.boxes))
        slices.update(counts_in(case.slices))
    rows = []
    for label in card.manifest.schema:
        term, value = label.terminology, str(label.value)
        sets = Counter(part for part, values in shown if value in values)
        meant = f"{term.scheme} {term.value} {term.meaning}" if term else ""
        rows.append((
            inline(label.name), value, inline(meant) or NOTHING,
            f"{sets.total():,}", f"{sets['train']:,}", f"{sets['test']:,}",
            f"{boxes[label.value]:,}", f"{slices[label.value]:,}",
        ))  # fmt: skip
    header = ("label", "value", "code", "cases that show it", "train", "test", "boxes", "slices")
    return table(header, rows)


def by_set(card: CardInput) -> str:
    """Patients and cases of the test set and of every fold of the training set."""
    parts: dict[tuple[str, int | None], list[CaseRow]] = defaultdict(list)
    for case in card.cases:
        parts[case.set, case.fold].append(case)
    ordered = sorted(parts, key=lambda part: (part[0] == "test", part[1] or 0))
    return table(("set", "patients", "cases"), [_set_row(part, parts[part]) for part in ordered])


def _set_row(part: tuple[str, int | None], cases: Sequence[CaseRow]) -> Sequence[str]:
    name, fold = part
    shown = inline(name) if fold is None else f"{inline(name)}, fold {fold}"
    return shown, *_counts(cases)[:2]


def shared(proof: LeakageProof) -> str:
    """What the audit compared between the sets, and how much of it they share."""
    # In one order, whatever order a manifest has them in.
    rows = [
        (_EVIDENCE.get(kind, inline(kind)), f"{count:,}", f"{proof.shared.get(kind, 0):,}")
        for kind, count in sorted(proof.carriers.items(), key=lambda item: _place(item[0]))
    ]
    return table(("compared", "known of cases", "shared by two sets"), rows)


def _place(kind: str) -> tuple[int, str]:
    known = list(_EVIDENCE)
    return known.index(kind) if kind in _EVIDENCE else len(known), kind


def excluded(card: CardInput) -> str:
    """Every code that left cases out, and what it means."""
    counts = Counter(name for case in card.manifest.excluded for name in case.codes)
    rows = [
        (f"{code(name)}: {inline(meaning(name))}", f"{count:,}")
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table(("reason", "cases"), rows)


def agreement(card: CardInput) -> str:
    """Every label: Dice and surface distance over all pairs of raters on all cases."""
    rows = [
        _agreement_row(label, [row for row in card.agreement if row.label == label], card)
        for label in card.manifest.schema.names
    ]
    header = ("label", "pairs", "median Dice", "mean Dice", "lowest", "below the limit",
              "median HD95 in mm", "both empty", "not annotated")  # fmt: skip
    return table(header, rows)


def _agreement_row(label: str, rows: Sequence[AgreementRow], card: CardInput) -> Sequence[str]:
    values = [row.dice for row in rows if row.dice is not None]
    distances = [row.hd95_max_mm for row in rows if row.hd95_max_mm is not None]
    below = sum(value < card.settings.agree.threshold for value in values)
    outcomes = Counter(row.outcome for row in rows)
    return (
        inline(label),
        f"{len(values):,}",
        dice(statistics.median(values) if values else None),
        dice(statistics.fmean(values) if values else None),
        dice(min(values, default=None)),
        f"{below:,}",
        f"{statistics.median(distances):.1f}" if distances else NOTHING,
        f"{outcomes['both empty']:,}",
        f"{outcomes['not annotated']:,}",
    )


def _people(card: CardInput, what: str, key: Callable[[CaseRow], str], order: Iterable[str]) -> str:
    counts = Counter((key(person), person.set) for person in card.people)
    rows = []
    for name in (*order, NOT_STATED):
        train, test = counts[name, "train"], counts[name, "test"]
        if train or test:
            rows.append((name, f"{train + test:,}", f"{train:,}", f"{test:,}"))
    return table((what, "patients", "train", "test"), rows)


def _counts(cases: Sequence[CaseRow]) -> tuple[str, ...]:
    sets = Counter(case.set for case in cases)
    return (
        f"{len(patients_of(cases)):,}",
        f"{len(cases):,}",
        f"{sets['train']:,}",
        f"{sets['test']:,}",
    )


def sizes(card: CardInput) -> str:
    """How large images are, and how fine, in one sentence; empty without cases."""
    if not card.cases:
        return ""
    size = _span([(c.size_i, c.size_j, c.size_k) for c in card.cases])
    spacing = _span([(c.spacing_i_mm, c.spacing_j_mm, c.spacing_k_mm) for c in card.cases])
    total = sum(c.bytes for c in card.cases) / 1e6
    return (
        f"Images have {size} voxels with {spacing} mm between them (i, j, k), "
        f"{total:,.1f} MB in {plural(len(card.cases), 'file')}."
    )


def _span(rows: Sequence[tuple[float, float, float]]) -> str:
    low, high = (" x ".join(f"{edge(axis):g}" for axis in zip(*rows, strict=True))
                 for edge in (min, max))  # fmt: skip
    return low if low == high else f"{low} to {high}"
