"""``medprep rules``: every rule with what a study makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.output import COLORS, echo_json
from MedPrepLib.findings import Severity

if TYPE_CHECKING:
    from MedPrepLib.config.thresholds import Threshold
    from MedPrepLib.rulebook import RuleRow


@click.command()
@click.argument(
    "study", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--stage", help="Show the rules of this stage only.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def rules(study: Path | None, stage: str | None, as_json: bool) -> None:
    """List every rule: what it may find, what that is worth, its limits, where it comes from.

    With a STUDY file, severities and limits are those of the study; changed ones are marked
    with *. "reject!" is final: nobody can accept it.
    """
    from MedPrepLib.catalog import stages
    from MedPrepLib.config import load_study
    from MedPrepLib.rulebook import rulebook

    if stage is not None and stage not in stages():
        raise click.UsageError(f"no stage {stage!r}; stages are {', '.join(stages())}")
    rows = rulebook(load_study(study) if study else None)
    shown = [row for row in rows if stage in (None, row.stage)]
    if as_json:
        echo_json(shown)
        return
    width = max(len(row.code) for row in shown)
    for name, members in groupby(shown, key=lambda row: row.stage):
        click.echo(f"{name}: {stages()[name]}")
        for row in members:
            _echo_row(row, width)


def _echo_row(row: RuleRow, width: int) -> None:
    mark = "*" if row.severity != row.default else "!" if row.final else ""
    color = None if row.severity == "off" else COLORS[Severity.from_word(row.severity)]
    word = click.style(f"{row.severity + mark:<8}", fg=color)
    was = f"(default {row.default}) " if row.severity != row.default else ""
    click.echo(f"  {row.code:<{width}}  {word}  {was}{_limits(row.thresholds)}".rstrip())
    if row.source:
        click.echo(f"      {row.source}")


def _limits(limits: Sequence[Threshold]) -> str:
    return "; ".join(map(_limit, limits))


def _limit(limit: Threshold) -> str:
    value = limit.value
    if isinstance(value, tuple | list):
        value = ", ".join(map(str, value)) or "any"
    elif isinstance(value, bool):
        value = str(value).lower()
    unit = f" {limit.unit}" if limit.unit else ""
    changed = "*" if limit.value != limit.default else ""
    return f"{limit.setting} = {value}{unit}{changed}"
