"""The card as Markdown, with a head that data set hubs read (YAML front matter)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from MedPrepLib.card import numbers, sections
from MedPrepLib.card.facts import CardInput
from MedPrepLib.card.markup import fenced, inline, plain, yaml_text

HUB_LICENSES = frozenset({
    "apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cdla-permissive-1.0",
    "cdla-permissive-2.0", "cdla-sharing-1.0", "odbl", "odc-by", "pddl",
})  # fmt: skip
"""Identifiers that hubs know by themselves; everything else is called "other", with its name."""

_HUB_TASKS = {
    "segmentation": "image-segmentation",
    "detection": "object-detection",
    "classification": "image-classification",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

LOADING = """\
from MedPrepLib.load import CohortDataset, open_cohort

cohort = open_cohort(".")  # the folder of this file
print(cohort.study, len(cohort.cases), "cases,", cohort.labels.names)
training = CohortDataset(".", "train", fold=None, as_torch=False)
for item in training:  # arrays (1, k, j, i); affine to LPS millimeters
    print(item["id"], item["image"].shape, item["mask"].max(), item["spacing"])
    break
"""
PLAIN = """\
import csv
import h5py

with open("cases.csv", encoding="utf-8", newline="") as stream:
    cases = list(csv.DictReader(stream))
for case in cases[:1]:
    with h5py.File(case["file"]) as file:
        print(case["set"], case["center"], file["image"].shape, file["mask"].dtype)
"""
RECORDS = """\
import mlcroissant

dataset = mlcroissant.Dataset("croissant.json")
for record in dataset.records("cases"):
    print(record)
    break
"""


def to_markdown(card: CardInput) -> str:
    """The whole card; equal input gives equal text."""
    parts = [f"{_head(card)}\n\n# {inline(card.title)}"]
    parts += [f"## {title}\n\n{text}" for title, text in _sections(card) if text]
    return "\n\n".join(parts) + "\n"


def _sections(card: CardInput) -> Iterator[tuple[str, str]]:
    yield "What it is", sections.about(card)
    yield "How it was made", sections.made(card)
    yield "Numbers", _numbers(card)
    yield "Splits", f"{sections.split(card)}\n\n{numbers.by_set(card)}"
    if card.agreement:
        text = f"{sections.rule_of_agreement(card)}\n\n{numbers.agreement(card)}"
        yield "Agreement of raters", text
    yield "Consensus", sections.reference(card)
    yield "What was left out", _excluded(card)
    yield "How to load it", _loading()
    yield "License, people, citation", sections.terms(card)
    yield "Limits", sections.limits(card)
    yield "Privacy", sections.privacy(card)
    yield "Versions", sections.versions(card)


def _numbers(card: CardInput) -> str:
    parts = (
        numbers.by_center(card),
        "Patients, each counted once, at the youngest age:",
        numbers.by_sex(card),
        numbers.by_age(card),
        "Labels, as cases show them in their mask, in boxes or on slices:",
        numbers.by_label(card),
        numbers.sizes(card),
    )
    return "\n\n".join(filter(None, parts))


def _excluded(card: CardInput) -> str:
    count = len(card.manifest.excluded)
    if not count:
        return "Nothing."
    text = f"{count:,} of {count + len(card.cases):,} cases; one may count under several codes."
    return f"{text}\n\n{numbers.excluded(card)}"


def _loading() -> str:
    return "\n\n".join((
        "With MedPrep (numpy and h5py), in the folder of this file:",
        fenced(LOADING, "python"),
        "With h5py alone:",
        fenced(PLAIN, "python"),
        "The table of cases through Croissant:",
        fenced(RECORDS, "python"),
    ))  # fmt: skip


def _head(card: CardInput) -> str:
    told, task = card.settings.card, _HUB_TASKS[card.manifest.task]
    lines = [f"pretty_name: {yaml_text(card.title)}", *_license(plain(told.license))]
    lines += _list("task_categories", [task])
    lines += [f"size_categories:\n- {_size(len(card.cases))}"]
    tags = ["medical", "MedPrep", *sorted({c.modality for c in card.cases} - {""})]
    lines += _list("tags", tags)
    lines += ["configs:", "- config_name: cases", "  data_files:", "  - split: cases",
              "    path: cases.csv"]  # fmt: skip
    return "\n".join(("---", *lines, "---"))


def _license(given: str) -> list[str]:
    if not given:
        return []
    if given.lower() in HUB_LICENSES:
        return [f"license: {given.lower()}"]
    link = given.startswith(("https://", "http://"))
    named = [f"license_link: {yaml_text(given)}"] if link else []
    return ["license: other", f"license_name: {yaml_text(given)}", *named]


def _list(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"- {yaml_text(value)}" for value in values)]


def _size(cases: int) -> str:
    return next((name for limit, name in _SIZES if cases < limit), "n>1M")
