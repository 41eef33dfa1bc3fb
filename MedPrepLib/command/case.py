"""``medprep check`` and ``medprep compare``: one case, no study file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from MedPrepLib.command.output import echo_findings, echo_json, echo_table
from MedPrepLib.findings import Finding, Severity, worst

FOUND = 1
EXISTING = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("image", type=EXISTING)
@click.argument("masks", type=EXISTING, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def check(image: Path, masks: tuple[Path, ...], as_json: bool) -> int:
    """Tell whether MASKS lie on the grid of IMAGE (a file or a folder of DICOM).

    Prints the distance in millimeters, the verdict and its cause; exits with 1 unless every mask
    fits without resampling.
    """
    from MedPrepLib.onecase import check_alignment

    answers, findings = check_alignment(image, masks)
    if as_json:
        echo_json({"masks": answers, "findings": [f.to_json() for f in findings]})
    else:
        rows = [
            (name, answer.verdict, f"{answer.displacement_mm:.3f} mm", answer.cause)
            for name, answer in answers.items()
        ]
        if rows:
            echo_table(("mask", "verdict", "distance", "cause"), rows)
        for answer in answers.values():
            click.echo(answer.sentence)
        echo_findings(findings)
    misfits = [a for a in answers.values() if a.verdict in ("resample", "reject")]
    return FOUND if misfits or _serious(findings) else 0


@click.command()
@click.argument("masks", type=EXISTING, nargs=-1, required=True)
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Study file whose [labels] name the structures [names of the files].",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Values below are marked, and the command exits with 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def compare(masks: tuple[Path, ...], labels: Path | None, threshold: float, as_json: bool) -> int:
    """Tell how far raters agree: Dice of every pair of MASKS, for every label."""
    from MedPrepLib.onecase import compare_masks

    if len(masks) < 2:
        raise click.UsageError("compare needs at least two masks")
    agreement, findings = compare_masks(masks, labels, threshold)
    if as_json:
        echo_json({"agreement": agreement, "findings": [f.to_json() for f in findings]})
    else:
        rows = [
            (
                f"{p.label}: {p.rater_a} / {p.rater_b}",
                _shown(p.dice, p.outcome),
                str(p.voxels_a),
                str(p.voxels_b),
            )
            for p in agreement.pairs
            if p.outcome != "not annotated" or p.voxels_a or p.voxels_b
        ]
        if rows:
            echo_table(("label: pair", "Dice", "voxels", "voxels"), rows)
        else:
            click.echo("There is nothing to compare.")
        echo_findings(findings)
    return FOUND if _serious(findings) else 0


def _shown(dice: float | None, outcome: str) -> str:
    return outcome if dice is None else f"{dice:.4f}"


def _serious(findings: Sequence[Finding]) -> bool:
    highest = worst(findings)
    return highest is not None and highest >= Severity.REVIEW
