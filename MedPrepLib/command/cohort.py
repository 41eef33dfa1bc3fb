"""``medprep describe`` and ``medprep verify``: a finished cohort."""

from __future__ import annotations

from pathlib import Path

import click

from MedPrepLib.command.output import counted, echo_json, plain
from MedPrepLib.command.progress import listener
from MedPrepLib.progress import Step

FOUND = 1
COHORT = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("cohort", type=COHORT)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def describe(cohort: Path, as_json: bool) -> None:
    """Tell what is in a COHORT: cases, split, labels, sizes."""
    from MedPrepLib.describe import describe as describe_cohort

    description = describe_cohort(cohort)
    if as_json:
        click.echo(description.to_json())
    else:
        click.echo(description.to_text())


@click.command()
@click.argument("cohort", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def verify(cohort: Path, as_json: bool) -> int:
    """Check every byte of a COHORT against its manifest; exits with 1 when something differs.

    Also of one that was exported to hdf5 or lmdb.
    """
    from MedPrepLib.verify import is_consolidated
    from MedPrepLib.verify import verify as verify_cohort

    with listener("none" if as_json else "auto") as listen:
        problems = verify_cohort(
            cohort, progress=lambda done, total, name: listen(Step("verify", done, total, name))
        )
    if as_json:
        echo_json({"cohort": str(cohort), "intact": not problems, "problems": problems})
    elif problems:
        for problem in problems:
            click.echo(plain(f"{problem.name}: {problem.message}"))
        click.echo(f"{counted(len(problems), 'problem')}: this cohort is not what was written.")
    elif is_consolidated(cohort):
        click.echo("Intact: every case is there and gives its checksums.")
    else:
        click.echo("Intact: every file is byte for byte what was written.")
    return FOUND if problems else 0
