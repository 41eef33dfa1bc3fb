"""``medprep init``, ``sample`` and ``findings``: how to begin, and what the codes mean."""

from __future__ import annotations

from pathlib import Path

import click

from MedPrepLib.command.output import COLORS, echo_json
from MedPrepLib.errors import RunError


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--labels",
    default="lesion",
    show_default=True,
    help="Names of the structures, separated by commas.",
)
def init(folder: Path, labels: str) -> None:
    """Write a commented study.toml for the data in FOLDER.

    Looks at FOLDER to tell a table, an nnU-Net folder, center/patient/case folders and a DICOM
    tree apart. An existing study.toml is left alone.
    """
    from MedPrepLib.config import parse_study
    from MedPrepLib.config.template import study_template, toml_text

    path = folder / "study.toml"
    if path.exists():
        raise RunError(f"{path} exists already; edit it or move it away")
    names = [name.strip() for name in labels.split(",") if name.strip()]
    sections = "\n".join(
        f"[labels.{toml_text(name)}]\nvalue = {value}" for value, name in enumerate(names, 1)
    )
    kind, source = _guess_source(folder)
    text = study_template(folder.resolve().name or "study", source, sections)
    parse_study(text, path.name)
    path.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {path}: the data look like {kind}.")
    click.echo(f"Next: read it, then  medprep run {path}")


def _guess_source(folder: Path) -> tuple[str, str]:
    """What the folder looks like, in words and as TOML."""
    from MedPrepLib.config.template import toml_text

    tables = sorted([*folder.glob("*.csv"), *folder.glob("*.tsv")])
    if (folder / "dataset.json").is_file() and (folder / "imagesTr").is_dir():
        return "an nnU-Net raw folder", '[[sources]]\nkind = "nnunet"\npath = "."'
    if tables:
        name = toml_text(tables[0].name)
        return f"a case table ({tables[0].name})", f'[[sources]]\nkind = "table"\npath = {name}'
    for root in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        if next(root.glob("*/*/*/masks"), None) or next(root.glob("*/*/*/image*"), None):
            path = toml_text(root.relative_to(folder).as_posix())
            return "center/patient/case folders", f'[[sources]]\nkind = "folders"\npath = {path}'
    return "a DICOM tree", '[[sources]]\nkind = "dicom"\npath = "."\ncenter = "center-1"'


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def sample(folder: Path) -> None:
    """Write the embedded sample study (synthetic patients with every typical flaw) to FOLDER."""
    write_sample_study(folder)
    click.echo(f"Next: medprep run {folder / 'study.toml'}")


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
