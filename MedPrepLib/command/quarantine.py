"""``medprep quarantine`` and ``medprep readmit``: what a run left out, and what people say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.output import MAX_SENTENCE, echo_json, plain, quoted

if TYPE_CHECKING:
    from MedPrepLib.pipeline.quarantine import Quarantine

STUDY = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Cohort folder [cohort beside STUDY]."
)


@click.command()
@click.argument("study", type=STUDY)
@OUT
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def quarantine(study: Path, out: Path | None, as_json: bool) -> None:
    """List the cases that the last run of STUDY left out, by reason, with what would help.

    Cases go by their public names. "acceptable" reasons can be accepted by medprep readmit.
    """
    from MedPrepLib.pipeline.order import order_of
    from MedPrepLib.pipeline.quarantine import read_quarantine

    held = read_quarantine(order_of(study, out))
    if as_json:
        counts = [{"code": code, "cases": count} for code, count in held.counts()]
        echo_json({"counts": counts, "cases": held.cases, "readmitted": held.readmitted})
    else:
        _echo_quarantine(held)


@click.command()
@click.argument("study", type=STUDY)
@click.argument("case")
@click.option("--code", required=True, help="The finding that is accepted, e.g. SLICE_GAP.")
@click.option("--by", required=True, help="Who decides; shown in the report, so use initials.")
@click.option("--note", default="", help="Why; shown in the report, so no name, date or id.")
@click.option("--withdraw", is_flag=True, help="Take the re-admission back.")
@OUT
def readmit(
    study: Path, case: str, code: str, by: str, note: str, withdraw: bool, out: Path | None
) -> None:
    """Accept a finding that rejects CASE, so that the next run of STUDY takes it in.

    The decision is kept in the study (readmitted.toml beside STUDY) and is bound to the data of
    the case: when these change, it does not count any more. CASE is the name that medprep
    quarantine shows.
    """
    from MedPrepLib.catalog import did_you_mean, find_kind
    from MedPrepLib.errors import RunError
    from MedPrepLib.pipeline import quarantine as held
    from MedPrepLib.pipeline.order import order_of

    code = code.upper()
    if find_kind(code) is None:
        raise click.UsageError(f"no finding code {code!r}{did_you_mean(code)}")
    order = order_of(study, out)
    try:
        if withdraw:
            held.withdraw(order, case, code, by, note)
        else:
            held.readmit(order, case, code, by, note)
    except RunError as error:
        raise click.UsageError(str(error)) from None
    done = "is not re-admitted any more" if withdraw else "is re-admitted"
    click.echo(f"{plain(case)} {done} in spite of {code}, said {plain(by)}.")
    click.echo(f"Next: medprep run {quoted(study)}")


def _echo_quarantine(held: Quarantine) -> None:
    if not held.cases:
        click.echo("Nothing is in quarantine: the last run left out no case.")
    for code, count in held.counts():
        rows = [(c.case, r) for c in held.cases for r in c.reasons if r.code == code]
        fixed = "" if rows[0][1].acceptable else ", cannot be accepted"
        click.echo(f"{code}: {count} case{'s' * (count > 1)}{fixed}")
        for name, reason in rows:
            click.echo(f"  {plain(name)}  {plain(reason.message, MAX_SENTENCE)}")
        for remedy in dict.fromkeys(reason.remedy for _, reason in rows):
            click.echo(f"      {plain(remedy, MAX_SENTENCE)}")
    for one in held.readmitted:
        why = one.readmission
        click.echo(
            plain(f"re-admitted: {one.case}  {why.code} by {why.by}, {why.at[:10]}: {why.note}")
        )
