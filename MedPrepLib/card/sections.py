"""What a card says in sentences: how a cohort was made, what may be relied on, what may not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from MedPrepLib.card.facts import CardInput
from MedPrepLib.card.markup import code, fenced, inline, paragraphs
from MedPrepLib.card.numbers import NOT_STATED, shared
from MedPrepLib.catalog import SUV_UNKNOWN
from MedPrepLib.config.settings import Privacy
from MedPrepLib.report.methods import METHODS, box_rule
from MedPrepLib.report.text import RULES, percent, plural
from MedPrepLib.results import SplitSummary
from MedPrepLib.sharing import uncleaned

TASKS = {
    "segmentation": "segmentation (a mask per case)",
    "detection": "detection (boxes per case)",
    "classification": "classification (labels per case and slice)",
}


def about(card: CardInput) -> str:
    """What it is: the people's own words, and the size of it."""
    people, cases = len(card.people), card.cases
    size = (
        f"{plural(len(cases), 'case')} of {plural(people, 'patient')} from "
        f"{plural(len({c.center for c in cases}), 'center')}, for {TASKS[card.manifest.task]}."
    )
    told = paragraphs(card.settings.card.description) or f"Purpose and origin: {NOT_STATED}."
    return f"{told}\n\n{size}"


def made(card: CardInput) -> str:
    """How it was made, as far as settings decide on it."""
    return _listed(_made(card))


def _made(card: CardInput) -> Iterator[str]:
    screen, standard, align = (
        getattr(card.settings, name) for name in ("screen", "standardize", "align")
    )
    modalities = {c.modality for c in card.cases}
    yield (
        "Images were found by the content of files; slices are ordered by position. Volumes of "
        f"fewer than {plural(screen.min_slices, 'slice')}, with a missing slice, or sheared by "
        f"more than {screen.max_tilt_mm:g} mm were left out unless a person accepted them."
    )
    if "CT" in modalities:
        yield (
            f"CT: Hounsfield units as int16, limited to {standard.ct_low_hu} to "
            f"{standard.ct_high_hu} HU."
        )
    if "PT" in modalities and standard.pet == "suv":
        left = sum(SUV_UNKNOWN.code in c.findings.split() for c in card.cases)
        kept = f" {plural(left, 'case')} lacked attributes and kept stored values." if left else ""
        yield f"PET: standardized uptake values by body weight (g/mL) as float32.{kept}"
    if modalities - {"CT", "PT"}:
        yield "Other modalities: values as they were stored (with the header's rescaling)."
    yield "Every image keeps its own grid; there is no resampling of images."
    if card.manifest.task == "segmentation" or any(c.readings for c in card.cases):
        yield (
            "Masks on other grids were brought to that of the image with nearest neighbor."
            if align.resample
            else "Masks had to lie on the grid of their image."
        )


def split(card: CardInput) -> str:
    """Who trains and who tests, and what was compared to be sure that nobody does both."""
    summary = card.manifest.split
    text = [
        (
            "The unit of the split is the patient: all cases of one patient lie in one set, and "
            "in one fold."
        ),
        "Normalization (`normalization` in `manifest.json`) knows the training set only.",
    ]
    if summary is None:
        return " ".join(text)
    text[1:1] = _held_out(summary)
    proof = summary.leakage
    if proof is None:
        return " ".join(text)
    verdict = "Nothing is shared by two sets." if proof.clean else "SETS SHARE WHAT THEY MUST NOT."
    pairs = plural(proof.pairs, "pair")
    text.append(f"{pairs} of cases of different sets were compared. {verdict}")
    return f"{' '.join(text)}\n\n{shared(proof)}"


def _held_out(summary: SplitSummary) -> Iterator[str]:
    if not summary.test_cases:
        yield "There is no test set; the folds serve cross-validation only."
        return
    yield f"Test: {inline(summary.origin)}."
    share = percent(summary.test_patients, summary.patients)
    yield f"{share} of patients were held out ({percent(summary.wanted_fraction, 1)} wanted)."


def rule_of_agreement(card: CardInput) -> str:
    """What is measured, and what the limit is."""
    agree = card.settings.agree
    return (
        "Dice of each pair of raters on each label; two empty masks have none and count apart, "
        f"one empty mask counts as 0. The limit is {agree.threshold:g} for {RULES[agree.rule]}; "
        "cases below it are marked `LOW_AGREEMENT`, not left out. All pairs are in "
        "`report/agreement.csv`."
    )


def reference(card: CardInput) -> str:
    """How masks, boxes and slice labels were made of what raters drew."""
    consensus = card.settings.consensus
    ways = Counter(c.reference or "none" for c in card.cases)
    counted = "; ".join(f"{inline(way)}: {count:,}" for way, count in sorted(ways.items()))
    ties = inline(consensus.ties)
    rule = f"Where several raters drew: {METHODS[consensus.method]}; ties go to {ties}. "
    raters = Counter(c.readings for c in card.cases)
    read = "; ".join(f"{n} readings: {count:,}" for n, count in sorted(raters.items()))
    return (
        f"{rule}{_targets(card)}"
        f"Cases by the way their mask was made: {counted or 'none'}. "
        f"Cases by number of masks read: {read or 'none'}. Every mask that was read is in the case "
        "file, too."
    )


def _targets(card: CardInput) -> str:
    """How raters' own boxes and slice labels became one, where a task is about them."""
    if card.manifest.task == "segmentation":
        return ""
    return (
        f"Boxes that raters drew themselves: {box_rule(card.settings)}; slice labels: those of "
        "most raters. What nobody drew so is derived from masks. The boxes and slice labels of "
        "single raters are not kept. "
    )


def terms(card: CardInput) -> str:
    """License, people and citation, or that they are missing."""
    told = card.settings.card
    address = told.url.strip()
    rows = (
        ("License", inline(told.license)),
        ("Creators", ", ".join(map(inline, told.creators))),
        ("Publisher", inline(told.publisher)),
        ("Web page", f"<{address}>" if address else ""),
        ("Version", inline(told.version)),
        ("Published", inline(told.published)),
    )
    lines = ["What is not stated a person has to fill in (`[card]` of the study file).", ""]
    lines += [f"- {name}: {value or NOT_STATED}" for name, value in rows]
    if told.citation.strip():
        lines += ["", "Please cite:", "", fenced(told.citation, "bibtex")]
    else:
        lines.append(f"- Citation: {NOT_STATED}")
    return "\n".join(lines)


def limits(card: CardInput) -> str:
    """What must not be expected of it."""
    lines = [
        "Not for clinical use.",
        "Cases come from the centers listed above; nothing is known beyond them.",
        *uncleaned(card.manifest),
    ]
    marked = Counter(name for c in card.cases for name in c.findings.split())
    if marked:
        known = ", ".join(f"`{code}` {count:,}" for code, count in sorted(marked.items()))
        lines.append(
            f"What is known of cases that are in (codes, see `report/index.html`): {known}."
        )
    return _listed(lines)


def privacy(card: CardInput) -> str:
    """What was kept of headers, and under which names."""
    settings = card.settings.privacy
    names = (
        "the study's own, said to be free of identity"
        if settings.case_names == "given"
        else "pseudonyms (HMAC-SHA256 under a key that stays at the site"
        + (f", key id {inline(card.manifest.key_id)})" if card.manifest.key_id else ")")
    )
    lines = [
        f"Names of patients and cases are {names}.",
        (
            "Headers were not copied: an allow-list of facts was (`meta` of a case file). There "
            "are no dates, UIDs, descriptions or paths."
        ),
        _ages(settings),
        "Raters, labels and centers are called as the study calls them.",
    ]
    if settings.study_days:
        lines.append("Cases tell how many days after the patient's first study they were made.")
    if settings.origin == "zero":
        lines.append("Grids begin at 0, 0, 0 mm, wherever the patient lay.")
    if settings.leave_out:
        lines.append(f"Left out on purpose: {', '.join(settings.leave_out)}.")
    return _listed(lines)


def _ages(settings: Privacy) -> str:
    step = settings.age_step_years
    text = "Ages are whole years, 90 and over as 90"
    return f"{text}." if step == 1 else f"{text}, and the lower end of spans of {step} years."


def versions(card: CardInput) -> str:
    """What it takes to make it again, or to tell that it is the same."""
    manifest, seed = card.manifest, card.settings.seed
    made_with = f"Made with MedPrep {inline(manifest.medprep_version)}"
    return _listed((
        f"{made_with}; format {manifest.format} {manifest.format_version}.",
        f"Recipe of case files: {code(manifest.recipe_hash)}.",
        f"Settings: {code(manifest.config_hash)} (`config` in `manifest.json`), seed {seed}.",
        (
            "`manifest.json` names every file with its SHA-256, and is sealed by its own "
            "`root_hash`: `medprep verify` checks all of it."
        ),
    ))  # fmt: skip


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
