"""``medprep sample`` and ``findings``: how to begin, and what the codes mean."""

from __future__ import annotations

from pathlib import Path

import click

from MedPrepLib.command.output import COLORS, echo_json, quoted
from MedPrepLib.errors import RunError


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def sample(folder: Path) -> None:
    """Write the embedded sample study (synthetic patients with every typical flaw) to FOLDER."""
    write_sample_study(folder)
    click.echo(f"Next: medprep run {quoted(folder / 'study.toml')}")


def write_sample_study(folder: Path) -> None:
    """Write the sample study into an empty or new folder; RunError when it holds something."""
    from MedPrepLib.sample import write_sample

    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(f"{folder} is not empty; choose a new folder")
    written = write_sample(folder)
    click.echo(f"Wrote the sample study to {folder}: {len(written.cases)} synthetic cases.")


@click.command()
@click.argument("codes", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def findings(codes: tuple[str, ...], as_json: bool) -> None:
    """Explain the finding CODES (all of them when none is given)."""
    from MedPrepLib.catalog import all_kinds, did_you_mean, find_kind

    unknown = [code for code in codes if find_kind(code.upper()) is None]
    if unknown:
        hint = did_you_mean(unknown[0]) or "; see: medprep findings"
        raise click.UsageError(f"no finding code {unknown[0]!r}{hint}")
    wanted = {code.upper() for code in codes}
    kinds = [kind for kind in all_kinds() if not wanted or kind.code in wanted]
    if as_json:
        echo_json(
            [
                {
                    "code": k.code,
                    "severity": k.severity.word,
                    "meaning": k.meaning,
                    "remedy": k.remedy,
                }
                for k in kinds
            ]
        )
        return
    for kind in kinds:
        word = click.style(f"{kind.severity.word:>6}", fg=COLORS[kind.severity])
        click.echo(f"{word}  {kind.code}: {kind.meaning}\n        {kind.remedy}")
