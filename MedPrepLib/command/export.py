"""``medprep export``: a cohort as one file, or for another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from MedPrepLib.export.cohort import Kind

KINDS = ("hdf5", "lmdb", "nnunet", "monai", "nifti", "seg.nrrd")


@click.command()
@click.argument("cohort", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--to", "kind", type=click.Choice(KINDS), required=True, help="What to make.")
@click.option("--fold", type=click.IntRange(0), help="monai: this fold is the validation set.")
@click.option("--modality", help="nnunet: only cases of this modality.")
@click.option("--allow-network", is_flag=True, help="lmdb: on a network file system, too.")
@click.option(
    "--accept-burned-in", is_flag=True, help="Although cases may carry text in their pixels."
)
@click.option("--public", is_flag=True, help="For everybody: refused where a face may be seen.")
@click.option("--accept-face-risk", is_flag=True, help="With --public: although faces may be seen.")
def export(
    cohort: Path,
    target: Path,
    kind: Kind,
    fold: int | None,
    modality: str | None,
    allow_network: bool,
    accept_burned_in: bool,
    public: bool,
    accept_face_risk: bool,
) -> None:
    """Write a COHORT to TARGET in another form.

    hdf5 and lmdb hold everything and train as the cohort itself does; nnunet, monai, nifti and
    seg.nrrd are new folders for other programs. Says what is not cleaned; see also medprep
    share-check.
    """
    from MedPrepLib.errors import OrderError
    from MedPrepLib.export import export_cohort

    _require_used("--fold", fold is not None, kind, "monai")
    _require_used("--modality", modality is not None, kind, "nnunet")
    _require_used("--allow-network", allow_network, kind, "lmdb")
    if accept_face_risk and not public:
        raise click.UsageError("--accept-face-risk says something of exports with --public only")
    try:
        uncleaned = export_cohort(
            cohort,
            kind,
            target,
            allow_network=allow_network,
            fold=fold,
            modality=modality,
            accept_burned_in=accept_burned_in,
            public=public,
            accept_face_risk=accept_face_risk,
        )
    except OrderError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"Written: {target}")
    for sentence in uncleaned:
        click.echo(sentence)


def _require_used(option: str, given: bool, kind: str, only: str) -> None:
    """Raise UsageError for an option that would change nothing: somebody believes it does."""
    if given and kind != only:
        raise click.UsageError(f"{option} is for --to {only}, not for --to {kind}")
