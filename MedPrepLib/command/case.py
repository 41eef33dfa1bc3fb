"""``medprep check`` and ``medprep compare``: one case, no study file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.output import echo_findings, echo_json, echo_table, plain
from MedPrepLib.findings import Finding, Severity, worst

if TYPE_CHECKING:
    from MedPrepLib.agree.versus import AgainstReference
    from MedPrepLib.results import Agreement

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
        for name, answer in answers.items():
            click.echo(f"{plain(name)}: {answer.sentence}")
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
    help="Values below are explained, and the command exits with 1.",
)
@click.option(
    "--tolerance",
    "tolerance_mm",
    type=click.FloatRange(0, 50, min_open=True),
    default=1.0,
    show_default=True,
    help="Millimeters within which surfaces count as equal (surface Dice).",
)
@click.option("--reference", help="Print sensitivity and precision against this rater, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def compare(
    masks: tuple[Path, ...],
    labels: Path | None,
    threshold: float,
    tolerance_mm: float,
    reference: str | None,
    as_json: bool,
) -> int:
    """Tell how far raters agree, and why not: every pair of MASKS, for every label.

    HD95 is the larger of the two directed 95th percentiles, ASSD the mean over both surfaces, in
    millimeters. Two readings of one rater are called name@1, name@2.
    """
    from MedPrepLib.agree import against_reference
    from MedPrepLib.config.settings import Agree
    from MedPrepLib.onecase import compare_masks

    if len(masks) < 2:
        raise click.UsageError("compare needs at least two masks")
    settings = Agree(threshold=threshold, tolerance_mm=tolerance_mm)
    agreement, findings = compare_masks(masks, labels, settings)
    against = against_reference(agreement.pairs, reference) if reference else ()
    if as_json:
        record = {"agreement": agreement, "findings": [f.to_json() for f in findings]}
        echo_json({**record, "reference": [row._asdict() for row in against]})
    else:
        _echo_pairs(agreement)
        _echo_reference(against, reference or "")
        for cause in agreement.causes:
            if cause.best:
                who = f"{cause.rater_a} / {cause.rater_b}"
                click.echo(plain(f"why  {cause.label}: {who}: {cause.sentence}"))
        echo_findings(findings)
    return FOUND if _serious(findings) else 0


def _echo_pairs(agreement: Agreement) -> None:
    surfaces = agreement.surface_of
    rows = []
    for pair in agreement.pairs:
        if pair.outcome == "not annotated" and not (pair.voxels_a or pair.voxels_b):
            continue
        surface = surfaces.get((pair.label, pair.rater_a, pair.rater_b))
        rows.append(
            (
                f"{pair.label}: {pair.rater_a} / {pair.rater_b}",
                pair.outcome if pair.dice is None else f"{pair.dice:.4f}",
                _length(surface.hd95_max_mm if surface else None),
                _length(surface.assd_mm if surface else None),
                "" if surface is None or surface.nsd is None else f"{surface.nsd:.4f}",
                str(pair.voxels_a),
                str(pair.voxels_b),
            )
        )
    header = ("label: pair", "Dice", "HD95 mm", "ASSD mm", "surface Dice", "voxels", "voxels")
    if rows:
        echo_table(header, rows)
    else:
        click.echo("There is nothing to compare.")


def _echo_reference(rows: Sequence[AgainstReference], reference: str) -> None:
    if rows:
        echo_table(
            (f"against {reference}", "sensitivity", "precision"),
            [
                (f"{row.label}: {row.rater}", _share(row.sensitivity), _share(row.precision))
                for row in rows
            ],
        )


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _length(value_mm: float | None) -> str:
    return "" if value_mm is None else f"{value_mm:.2f}"


def _serious(findings: Sequence[Finding]) -> bool:
    highest = worst(findings)
    return highest is not None and highest >= Severity.REVIEW
