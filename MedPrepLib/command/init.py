"""``medprep init``: a study file for the data of a folder, after a look and some questions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import click

from MedPrepLib.command.output import plain, quoted
from MedPrepLib.errors import RunError

if TYPE_CHECKING:
    from MedPrepLib.survey import SeenLabel, Survey

KINDS = {
    "dicom": "a DICOM tree",
    "folders": "center/patient/case folders",
    "nnunet": "an nnU-Net raw folder",
    "table": "a case table",
}
SHOWN = 8
NO_LABELS = "no names of structures were found in masks: write yours under [labels]"

NO_MASKS = (
    "no masks were found: they are looked for in a folder masks beside each image; where yours is "
    'called otherwise, name it at the source, as in masks = "contours"'
)


class Plan(NamedTuple):
    """What the study file will say."""

    name: str
    kind: str
    path: str
    modality: str
    labels: tuple[SeenLabel, ...]
    chosen: dict[str, Any]
    masks: str = ""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--labels", help="Names of the structures, separated by commas [what masks hold].")
@click.option("--interview", is_flag=True, help="Ask about everything that studies differ in.")
def init(folder: Path, labels: str | None, interview: bool) -> None:
    """Write a commented study.toml for the data in FOLDER.

    Looks at FOLDER to tell a table, an nnU-Net folder, center/patient/case folders and a DICOM
    tree apart, and to find out who drew what. An existing study.toml is left alone.
    """
    from MedPrepLib.survey import survey

    path = folder / "study.toml"
    if path.exists():
        raise RunError(f"{path} exists already; edit it or move it away")
    seen = survey(folder)
    if seen is None:
        raise RunError(
            f"{folder} holds neither images nor a case table; name the folder that does "
            "(or begin with: medprep sample study)"
        )
    _echo_seen(folder, seen)
    plan = _guess(folder, seen, labels)
    if interview:
        plan = _asked(plan)
    path.write_text(_text(plan, path.name), encoding="utf-8")
    click.echo(f"Wrote {path}.")
    unnamed = () if labels or seen.labels or interview else (NO_LABELS,)
    unmasked = (NO_MASKS,) if seen.kind == "folders" and not (seen.raters or seen.labels) else ()
    for problem in (*seen.problems, *unmasked, *unnamed):
        click.echo(f"To do: {plain(problem)}")
    click.echo(f"Next: check sources and labels in it, then  medprep run {quoted(path)}")


def _echo_seen(folder: Path, seen: Survey) -> None:
    some = "the first " if seen.bounded else ""
    unlisted = seen.kind == "table" and not (folder / seen.path).is_file()
    what = "volume files without a table" if unlisted else KINDS[seen.kind]
    click.echo(f"Looked at {some}{seen.files} files in {folder}: {what}.")
    rows = (
        ("modality", seen.modalities),
        ("raters", seen.raters),
        ("labels", [(label.name, label.files) for label in seen.labels]),
    )
    for title, counts in rows:
        if counts:
            click.echo(f"  {title + ':':<10}{_listed(counts)}")


def _listed(counts: Sequence[tuple[str, int]]) -> str:
    shown = [f"{name} ({n})" if n else name for name, n in counts[:SHOWN]]
    more = [f"and {len(counts) - SHOWN} more"] if len(counts) > SHOWN else []
    return plain(", ".join((*shown, *more)))


def _guess(folder: Path, seen: Survey, labels: str | None) -> Plan:
    from MedPrepLib.config.settings.sources import MASK_FOLDER

    return Plan(
        name=(folder.resolve().name or "study")[:64],
        kind=seen.kind,
        path=seen.path,
        modality="" if seen.modalities or not seen.volumes else "?",
        labels=_named(labels, seen) if labels else seen.labels or _named("lesion", seen),
        chosen={},
        masks="" if seen.masks.lower() == MASK_FOLDER else seen.masks,
    )


def _named(text: str, seen: Survey) -> tuple[SeenLabel, ...]:
    """The labels called so; those that were seen keep their numbers where no two clash."""
    from MedPrepLib.survey import SeenLabel

    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {label.name: label for label in seen.labels}
    if names and all(name in known for name in names):
        return tuple(known[name] for name in names)
    return tuple(SeenLabel(name, value) for value, name in enumerate(names, start=1))


def _asked(plan: Plan) -> Plan:
    """What a person says; Enter keeps what is proposed."""
    from MedPrepLib.config.settings import Agree, Consensus, Privacy, Split
    from MedPrepLib.survey import Kind, Survey

    click.echo("\nEnter keeps what stands in brackets; nothing is written before the last answer.")
    name = click.prompt("Name of the study", default=plan.name)
    kind = click.prompt("Kind of data", default=plan.kind, type=click.Choice(get_args(Kind)))
    path = click.prompt("Where they lie, seen from the study file", default=plan.path)
    modality = plan.modality
    if modality:
        modality = click.prompt("Modality of files that are not DICOM (CT, MR, PT)", default="CT")
    proposed = ", ".join(label.name for label in plan.labels)
    labels = click.prompt("Structures, separated by commas", default=proposed)
    chosen = {
        "agree.threshold": click.prompt(
            "Look at a case when the Dice of two raters is below",
            default=Agree().threshold,
            type=click.FloatRange(0, 1),
        ),
        "consensus.method": click.prompt(
            "Consensus of several raters",
            default=Consensus().method,
            type=click.Choice(["majority", "staple"]),
        ),
        "split.test_fraction": click.prompt(
            "Part of the patients for the test set, in whole centers",
            default=Split().test_fraction,
            type=click.FloatRange(0, 0.9),
        ),
        "privacy.case_names": click.prompt(
            "Names of cases: pseudonym, or given (only if they identify nobody)",
            default=Privacy().case_names,
            type=click.Choice(["pseudonym", "given"]),
        ),
    }
    known = Survey("dicom", ".", labels=plan.labels)
    return Plan(name, kind, path, modality, _named(labels, known), chosen, plan.masks)


def _text(plan: Plan, source: str) -> str:
    """The study file; ConfigError when an answer makes no valid one."""
    from MedPrepLib.config import parse_study
    from MedPrepLib.config.template import study_template, toml_text

    lines = ["[[sources]]", f"kind = {toml_text(plan.kind)}", f"path = {toml_text(plan.path)}"]
    if plan.kind == "dicom":
        lines.append('center = "center-1"  # or centers = "centers.csv", a table of them')
    if plan.masks:
        lines.append(f"masks = {toml_text(plan.masks)}  # the folder of masks in a case folder")
    if plan.modality == "?":
        lines.append('# modality = "CT"  # files that are not DICOM do not say what they are')
    elif plan.modality:
        lines.append(f"modality = {toml_text(plan.modality)}")
    sections = "\n".join(_section(label) for label in plan.labels)
    about = '# The structures. Other words for one of them are aliases: aliases = ["..."]\n'
    text = study_template(plan.name, "\n".join(lines), about + sections, plan.chosen)
    parse_study(text, source)
    return text


def _section(label: SeenLabel) -> str:
    from MedPrepLib.config.template import toml_text

    seen = f"  # in {label.files} of the mask files that were looked at" if label.files else ""
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", label.name)
    key = label.name if bare else toml_text(label.name)
    return f"[labels.{key}]{seen}\nvalue = {label.value}"
