"""``medprep card``: the card of a cohort that has none yet."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("cohort", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--study",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Study file whose [card] tells title, license, people, citation.",
)
def card(cohort: Path, study: Path | None) -> None:
    """Write the card of a COHORT: README.md, croissant.json, cases.csv.

    A run writes them by itself; this is for cohorts that were made before. Their manifest is left
    as it is, and does not know the card.
    """
    from MedPrepLib.card import add_card
    from MedPrepLib.config import load_study

    told = load_study(study).card if study is not None else None
    for path in add_card(cohort, told):
        click.echo(f"Written: {path}")
