"""Reading a study file: text to settings, with every fault named by its path."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from MedPrepLib.catalog import did_you_mean, find_kind
from MedPrepLib.config.check import problems_in
from MedPrepLib.config.public import public_tree
from MedPrepLib.config.settings import Annotation, Augment, LabelSection, Study, TerminologyCode
from MedPrepLib.errors import ConfigError, LabelError
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.textfiles import MAX_SETTINGS_BYTES, parse_toml, read_text


def load_study(path: Path | str) -> Study:
    """The settings of the study file at ``path``.

    Raises ConfigError, listing every fault with the path of the setting, its value and its
    range; FileNotFoundError when there is no such file.
    """
    file = Path(path)
    return parse_study(study_text(file), file.name, file.parent)


def study_text(path: Path) -> str:
    """The text of a study file, without a byte order mark; ConfigError when it is not UTF-8."""
    return read_text(path, MAX_SETTINGS_BYTES)


def parse_study(
    text: str,
    source: str = "study file",
    base: Path | None = None,
    schema: LabelSchema | None = None,
) -> Study:
    """The settings that TOML ``text`` describes; ConfigError as for :func:`load_study`.

    ``base`` is the folder that ``labels_file`` is relative to. Labels of that file become those
    of the study, so that everything made of it holds them. ``schema`` stands in for that file
    where it is not there any more: a cohort brings its labels along.
    """
    tree = parse_toml(text, source)
    problems = problems_in(tree, Study)
    if problems:
        raise ConfigError(problems, source)
    study = msgspec.convert(tree, Study)
    if study.labels_file and study.labels:
        raise ConfigError(["$.labels_file: give either this or [labels], not both"], source)
    if study.labels_file:
        labels = _labels_of(base or Path(), study) if schema is None else schema
        rows = {label.name: _section(label) for label in labels}
        study = msgspec.structs.replace(study, labels=rows)
    problems = list(_contradictions(study))
    if problems:
        raise ConfigError(problems, source)
    return study


def _contradictions(study: Study) -> Iterator[str]:
    """Faults that only show when several settings are seen together."""
    if not study.labels:
        yield "$.labels: missing, but required (or name a labels_file)"
        return
    try:
        schema = study.schema()
    except LabelError as error:
        yield f"$.labels: {error}"
        return
    yield from _severity_problems(study)
    yield from _screen_problems(study)
    taken = schema.valued(schema.ignore_value)
    if study.consensus.ties == "undecided" and taken is not None:
        yield (
            f"$.labels.{taken.name}.value: {taken.value} is what undecided voxels hold "
            '(consensus.ties = "undecided"); give the label another value'
        )
    low, high = study.standardize.ct_low_hu, study.standardize.ct_high_hu
    if low >= high:
        yield f"$.standardize.ct_low_hu: {low} HU is not below ct_high_hu, {high} HU"
    windows = study.standardize.windows
    if study.report.window and study.report.window not in windows:
        yield f"$.report.window: {study.report.window!r} is not one of {', '.join(windows)}"
    yield from augment_problems(study.augment)
    yield from _date_problems(study.card.published)
    for index, source in enumerate(study.sources):
        for name, annotation in source.annotations.items():
            where = f"$.sources[{index}].annotations.{name}"
            yield from _annotation_problems(annotation, where, schema)


def _date_problems(published: str) -> Iterator[str]:
    """A day of the right form that no month has."""
    try:
        date.fromisoformat(published or "2000-01-01")
    except ValueError:
        yield f"$.card.published: there is no day {published}"


def _severity_problems(study: Study) -> Iterator[str]:
    """Codes that do not exist, and faults that nobody can accept."""
    for code, word in study.screen.severity.items():
        kind = find_kind(code)
        if kind is None:
            yield f"$.screen.severity.{code}: no such finding code{did_you_mean(code)}"
        elif kind.final and word != "reject":
            yield f"$.screen.severity.{code}: cannot be {word}, nothing is left to accept: " + (
                kind.remedy
            )


_MODALITY_SLIPS = {"MRI": "MR", "MRT": "MR", "PET": "PT", "US": "US", "ULTRASOUND": "US",
                   "XRAY": "CR", "X-RAY": "CR", "CAT": "CT"}  # fmt: skip
_DEFAULT_KEYS = frozenset(Study(name="defaults", sources=()).screen.key_tags)


def _screen_problems(study: Study) -> Iterator[str]:
    """Modalities and DICOM keywords that no header can have (PS3.3 C.7.3.1.1.1, PS3.6)."""
    for index, modality in enumerate(study.screen.modalities):
        meant = _MODALITY_SLIPS.get(modality.upper(), modality.upper())
        if modality != meant:
            yield (
                f"$.screen.modalities[{index}]: {modality!r} is no DICOM modality; did you mean "
                f'"{meant}"?'
            )
    if set(study.screen.key_tags) <= _DEFAULT_KEYS:
        return
    from pydicom.datadict import keyword_dict

    for index, keyword in enumerate(study.screen.key_tags):
        if keyword not in keyword_dict:
            close = difflib.get_close_matches(keyword, keyword_dict, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            yield f"$.screen.key_tags[{index}]: {keyword!r} is no DICOM keyword{hint}"


def augment_problems(augment: Augment) -> Iterator[str]:
    """What makes an augmentation unsafe, one line each; ranges are checked for values of code, too.

    A field of cubic B-splines with coefficients within c has derivatives within 2 c / spacing
    along each axis; if the three sum to less than 1 for every component, the Jacobian of x + u(x)
    is positive everywhere (Gershgorin's theorem), hence c < spacing / 6.
    """
    yield from problems_in(_as_toml(augment), Augment, "$.augment")
    limit = augment.elastic_spacing_mm / 6
    if augment.elastic_mm >= limit:
        yield (
            f"$.augment.elastic_mm: {augment.elastic_mm:g} mm is not below {limit:g} mm, a sixth "
            "of elastic_spacing_mm: the field could fold"
        )


def _as_toml(section: msgspec.Struct) -> Any:
    """Settings as TOML would hold them: lists instead of tuples."""
    return msgspec.json.decode(msgspec.json.encode(section))


def _labels_of(base: Path, study: Study) -> LabelSchema:
    """The labels of the study's color table; ConfigError when that cannot be read."""
    from MedPrepLib.colortable import read_color_table

    path = base / study.labels_file
    if not path.is_file():
        raise ConfigError([f"$.labels_file: {study.labels_file!r} does not exist"])
    return read_color_table(path)


def _section(label: Label) -> LabelSection:
    code = label.terminology
    return LabelSection(
        value=label.value,
        color=label.color,
        aliases=label.aliases,
        partner=label.partner or "",
        terminology=TerminologyCode(scheme=code.scheme, value=code.value, meaning=code.meaning)
        if code
        else None,
    )


def _annotation_problems(annotation: Annotation, where: str, schema: LabelSchema) -> Iterator[str]:
    for number in annotation.values:
        if not number.isdecimal():
            yield f"{where}.values: {number!r} is not a whole number (a value of the file)"
    for label in (annotation.label, *annotation.values.values()):
        if label and schema.find(label) is None:
            yield f"{where}: {label!r} is not in [labels] ({', '.join(schema.names)})"


CASE_SECTIONS = (
    "task",
    "labels",
    "screen",
    "standardize",
    "align",
    "agree",
    "consensus",
    "pack",
    "privacy",
    "report",
)
"""Everything that can change what is found or written for one case."""


def case_recipe(study: Study) -> str:
    """SHA-256 over the settings that matter to single cases: equal recipes, equal case files."""
    return _digest({name: getattr(study, name) for name in CASE_SECTIONS})


def config_hash(study: Study) -> str:
    """SHA-256 over every public setting that can change a cohort (``run`` cannot).

    Private ones are left out: whoever guesses a path could check it.
    """
    return _digest(public_tree(study))


def _digest(settings: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()
