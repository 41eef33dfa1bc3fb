"""``medprep merge``: a cohort of what the shards of a study made."""

from __future__ import annotations

from pathlib import Path

import click

from MedPrepLib.command.output import echo_json
from MedPrepLib.command.progress import listener
from MedPrepLib.command.run import as_record, echo_next, echo_summary, status_of


@click.command()
@click.argument("study", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Cohort folder [cohort beside STUDY].")
@click.option(
    "--rebuild", is_flag=True, help="Make a cohort again that was made with other settings."
)
@click.option(
    "--fail-on",
    type=click.Choice(["review", "reject", "never"]),
    help="Exit with 1 when there is a finding of this severity [study file].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def merge(study: Path, out: Path | None, rebuild: bool, fail_on: str | None, as_json: bool) -> int:
    """Make the cohort of a STUDY whose cases were done by medprep run --shard 1/N to N/N.

    Shards that are missing or incomplete are named, and nothing is written.
    """
    from MedPrepLib.pipeline import order_of
    from MedPrepLib.pipeline import run as run_study

    order = order_of(study, out, rebuild=rebuild, merge=True)
    with listener("none" if as_json else "auto") as listen:
        summary = run_study(order, listen)
    status = status_of(summary, fail_on or order.study.run.fail_on)
    if as_json:
        echo_json(as_record(summary, status))
    else:
        echo_summary(summary)
        echo_next(summary, study, status)
    return status
