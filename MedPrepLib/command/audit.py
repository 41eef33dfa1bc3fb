"""``medprep audit``: leaks in a cohort that exists already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.output import echo_json, plain
from MedPrepLib.command.progress import listener

if TYPE_CHECKING:
    from MedPrepLib.leakaudit import AuditResult

FOUND = 1


@click.command()
@click.argument("cohort", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--splits",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="splits_final.json of an nnU-Net raw folder [in COHORT].",
)
@click.option(
    "--near",
    "limit",
    type=click.FloatRange(0.7, 1),
    default=0.8,
    show_default=True,
    help="Images are copies when this share of gradient signs agrees.",
)
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def audit(cohort: Path, splits: Path | None, limit: float, workers: int, as_json: bool) -> int:
    """Look for patients and images that are in two sets of COHORT.

    COHORT is a MedPrep cohort (or a file or LMDB of `medprep export`), an nnU-Net raw folder with
    splits_final.json, or a CSV with the columns patient, set (train, val, test) and image; fold
    is optional: the round of a row, or without val rows the one in which it validates. Exits with 1
    when something leaks, or when an image could not be read.
    """
    from MedPrepLib.leakaudit import audit_cohort

    with listener("none" if as_json else "auto") as listen:
        result = audit_cohort(cohort, splits=splits, limit=limit, workers=workers, listen=listen)
    if as_json:
        echo_json(result)
    else:
        _echo(result)
    return FOUND if result.leaks or result.unread else 0


def _echo(result: AuditResult) -> None:
    for leak in result.leaks:
        click.echo(
            plain(
                f"LEAK {leak.kind}: {leak.one} ({leak.one_set}) and {leak.other} "
                f"({leak.other_set}): {leak.detail}"
            )
        )
    for image in result.unread:
        click.echo(plain(f"not read: {image.id}: {image.why}"))
    for name, proof in result.proofs.items():
        shared = ", ".join(
            f"{count} {kind}{'' if carriers else ' (none known)'}"
            for (kind, count), carriers in zip(
                proof.shared.items(), proof.carriers.values(), strict=True
            )
        )
        click.echo(
            plain(f"{name}: {proof.pairs} pairs of {proof.cases} images compared; shared: {shared}")
        )
    if not result.leaks:
        click.echo("No leak was found.")
