"""``medprep run`` and ``medprep demo``: the main job."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.cancel import cancelled_by
from MedPrepLib.command.output import counted, echo_findings, echo_json, plain, quoted
from MedPrepLib.command.progress import listener
from MedPrepLib.findings import Severity, worst

if TYPE_CHECKING:
    from MedPrepLib.pipeline import Summary

FOUND = 1
SHOWN_FINDINGS = 12
STAGE_NAMES = (
    "scan", "screen", "standardize", "align", "agree", "consensus", "targets", "pack", "split",
    "report",
)  # fmt: skip
"""As in pipeline.STAGES, which is not imported here so that ``--help`` stays quick."""


@click.command()
@click.argument("study", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Cohort folder [cohort beside STUDY].")
@click.option(
    "--from",
    "start",
    type=click.Choice(STAGE_NAMES),
    default=None,
    help="Do this stage and all later ones again, even where nothing changed.",
)
@click.option(
    "--to", "stop", type=click.Choice(STAGE_NAMES), default="report", help="Stop after this stage."
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=0,
    help="Worker processes [study file, else as many as cores and memory allow].",
)
@click.option(
    "--cluster",
    default="",
    metavar="ADDRESS",
    help="Let the workers of a Dask cluster do the cases, as in tcp://HOST:8786.",
)
@click.option(
    "--shard",
    default="",
    metavar="I/N",
    help="Do every N-th case only, for array jobs; medprep merge makes the cohort.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "json", "none"]),
    default="auto",
    show_default=True,
    help="Bars on a terminal, JSON lines for programs, or nothing.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["review", "reject", "never"]),
    help="Exit with 1 when there is a finding of this severity [study file].",
)
@click.option(
    "--rebuild", is_flag=True, help="Make a cohort again that was made with other settings."
)
@click.option("--force", is_flag=True, help="Start although the disk may become full.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--cancel-file",
    type=click.Path(path_type=Path),
    help="Stop, as Ctrl+C does, when this file appears; for programs that cannot send signals.",
)
def run(
    study: Path,
    out: Path | None,
    start: str | None,
    stop: str,
    workers: int,
    cluster: str,
    shard: str,
    progress: str,
    fail_on: str | None,
    rebuild: bool,
    force: bool,
    as_json: bool,
    cancel_file: Path | None,
) -> int:
    """Turn the sources of a STUDY file into a cohort with a report.

    Running it again does only what changed.
    """
    from MedPrepLib.errors import OrderError
    from MedPrepLib.pipeline import order_of, shard_of
    from MedPrepLib.pipeline import run as run_study

    if cluster and workers:
        raise click.UsageError("--workers are processes here; with --cluster Dask says how many")
    try:
        order = order_of(
            study,
            out,
            start=start or "",
            stop=stop,
            workers=workers,
            rebuild=rebuild,
            force=force,
            cluster=cluster,
            shard=shard_of(shard) if shard else None,
        )
    except OrderError as error:
        raise click.UsageError(str(error)) from None
    how = "none" if as_json and progress == "auto" else progress
    with cancelled_by(cancel_file), listener(how) as listen:
        summary = run_study(order, listen)
    status = status_of(summary, fail_on or order.study.run.fail_on)
    if progress == "json":
        click.echo(_last_line(summary, status))
    elif as_json:
        echo_json(as_record(summary, status))
    else:
        echo_summary(summary)
        echo_next(summary, study, status)
    return status


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="demo")
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Worker processes.")
@click.pass_context
def demo(context: click.Context, folder: Path, workers: int) -> int:
    """Write the sample study to FOLDER and run it: the whole job in a minute.

    What an older MedPrep left there is made again.
    """
    from MedPrepLib.command.start import write_sample_study

    study = folder / "study.toml"
    if not study.is_file():
        write_sample_study(folder)
    status: int = context.invoke(run, study=study, workers=workers, fail_on="never", rebuild=True)
    return status


def status_of(summary: Summary, fail_on: str) -> int:
    """1 when something was found that the caller wants to fail on.

    Under "reject" only left-out cases and broken sources count; a left-out reading of a case
    that is still usable does not.
    """
    if fail_on == "never":
        return 0
    if fail_on == "reject":
        broken = worst(summary.source_findings) == Severity.REJECT
        return FOUND if summary.excluded or broken else 0
    highest = worst(summary.findings)
    return FOUND if highest is not None and highest >= Severity.REVIEW else 0


def echo_summary(summary: Summary) -> None:
    """What happened, what is left out and why, and where to go on."""
    included, excluded = summary.included, summary.excluded
    if summary.unchanged:
        known = counted(len(summary.results), "case")
        click.echo(f"Nothing to do: {known} unchanged since the last run.")
    else:
        click.echo(
            f"{counted(len(summary.results), 'case')}: {len(included)} included, "
            f"{len(excluded)} excluded; {summary.cases_done} worked on now, "
            f"{len(summary.results) - summary.cases_done} unchanged{_pace(summary)}."
        )
    codes = Counter(code for result in excluded for code in result.rejections)
    for code, count in sorted(codes.items(), key=lambda pair: (-pair[1], pair[0])):
        click.echo(f"  {count:4d} excluded by {code}")
    review = [r for r in included if (worst(r.findings) or Severity.NOTE) >= Severity.REVIEW]
    if review:
        where = "" if summary.report is None else " (see the report)"
        click.echo(f"{counted(len(review), 'included case')} should be looked at{where}.")
    if not summary.unchanged:
        _echo_worst(summary)
    if summary.plan is not None:
        click.echo(f"Split: {plain(summary.plan.sentence)}.")
        click.echo(f"Cohort: {summary.cohort}")
    if summary.report is not None:
        click.echo(f"Report: {summary.report}")
    if summary.shard:
        click.echo(f"Shard {summary.shard} is done.")
    click.echo(f"Private: {summary.private} (names and paths; do not share)")


def echo_next(summary: Summary, study: Path, status: int) -> None:
    """Why the command does not end with 0, and what to type next."""
    if summary.shard:
        click.echo(f"Next, after the last shard: medprep merge {quoted(study)}")
    elif summary.excluded:
        click.echo(
            f"Next: medprep quarantine {quoted(study)}    what was left out, what would help"
        )
    elif summary.plan is not None:
        click.echo(f"Next: medprep describe {quoted(summary.cohort)}")
    if status == FOUND:
        click.echo("Exit status 1: something is left out or to be looked at (see --fail-on).")


def _pace(summary: Summary) -> str:
    """How long the work took, where any was done."""
    if not summary.cases_done:
        return ""
    each = summary.seconds / summary.cases_done
    return f"; {summary.seconds:.1f} s, {each:.2f} s per case worked on"


def _echo_worst(summary: Summary) -> None:
    serious = [f for f in summary.findings if f.severity == Severity.REJECT]
    echo_findings(serious[:SHOWN_FINDINGS])
    if len(serious) > SHOWN_FINDINGS:
        where = "" if summary.report is None else " in the report"
        click.echo(f"        ... and {len(serious) - SHOWN_FINDINGS} more{where}")


def as_record(summary: Summary, status: int) -> dict[str, object]:
    """The summary as programs get it."""
    return {
        "finished": True,
        "exit": status,
        "cohort": str(summary.cohort),
        "report": str(summary.report or ""),
        "included": len(summary.included),
        "excluded": len(summary.excluded),
        "cases_done": summary.cases_done,
        "files_seen": summary.files_seen,
        "headers_read": summary.headers_read,
        "unchanged": summary.unchanged,
        "findings": [finding.to_json() for finding in summary.findings],
    }


def _last_line(summary: Summary, status: int) -> str:
    import json

    record = as_record(summary, status)
    record.pop("findings")
    return json.dumps(record)
