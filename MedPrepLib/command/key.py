"""``medprep key``: the secret that makes pseudonyms; only its id is ever shown."""

from __future__ import annotations

from pathlib import Path

import click

from MedPrepLib.command.output import plain

FOUND = 1


@click.group()
def key() -> None:
    """Show, back up or restore the site key, which turns names into pseudonyms.

    It lies where MEDPREP_KEY_FILE says, else in ~/.config/medprep/site.key. Without it, new data
    cannot be linked to old cohorts; with it, pseudonyms can be computed from names.
    """


@key.command()
def show() -> None:
    """Tell where the key lies and its id; never the key."""
    from MedPrepLib.identity import site_key_path
    from MedPrepLib.sitekey import existing_key

    click.echo(f"{existing_key().key_id}  {site_key_path()}")


@key.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write the key into a new FILE that only you may read."""
    from MedPrepLib.sitekey import back_up_key

    click.echo(f"Wrote key {back_up_key(file).key_id} to {file}: keep it in a safe.")


@key.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put the key of a backup FILE in place; a different key that is there stays."""
    from MedPrepLib.sitekey import restore_key

    click.echo(f"Key {restore_key(file).key_id} is in place.")


@key.command()
def history() -> int:
    """Tell who made, backed up or restored the key, when; exits with 1 if that was changed.

    A key that takes the place of another one has another id.
    """
    from MedPrepLib.identity import key_trail, site_key_path

    trail = key_trail(site_key_path())
    for act in trail.acts():
        click.echo(plain(f"{act.at}  {act.who}  {act.what}  {act.details.get('key', '')}"))
    faults = trail.faults()
    for fault in faults:
        click.echo(plain(f"line {fault.line}: {fault.message}"))
    return FOUND if faults else 0
