"""``medprep doctor``: what is installed and what works."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.output import echo_json, plain

if TYPE_CHECKING:
    from MedPrepLib.doctor import Checkup, Line

FOUND = 1
MARKS = {"ok": ("ok", "green"), "missing": ("--", "yellow"), "broken": ("!!", "red")}
HOW = {
    "editable": "installed from a checkout (editable)",
    "package": "installed as a package",
    "folder": "used from a folder, not installed by pip",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def doctor(as_json: bool) -> int:
    """Tell what is installed, which codecs and extras work, and what to do about the rest.

    Exits with 1 when something is broken that MedPrep cannot do without.
    """
    from MedPrepLib.doctor import checkup

    found = checkup(Path())
    if as_json:
        echo_json({"works": found.works, **_as_record(found)})
    else:
        _echo(found)
    return 0 if found.works else FOUND


def _as_record(found: Checkup) -> dict[str, object]:
    """All of it, without the user's folders: this is what people paste into reports of trouble."""
    import msgspec

    text = msgspec.json.encode(found).decode()
    for place, word in ((sys.executable, "python"), (str(Path.home()), "~")):
        text = text.replace(place, word)
    return dict(msgspec.json.decode(text))


def _echo(found: Checkup) -> None:
    click.echo(f"MedPrep {found.medprep}, {HOW[found.installed]}")
    click.echo(f"Python {found.python}, {found.platform}")
    _echo_lines("Packages", found.packages)
    _echo_lines("Compressed DICOM", found.codecs)
    _echo_lines("Extras (all optional)", found.extras)
    _echo_lines("Machine", found.machine)
    click.echo()
    if not found.works:
        click.echo("Something is broken (!!). Do this, then run medprep doctor again:")
        _echo_remedies([line for line in found.lines if line.state == "broken"])
        return
    click.echo("MedPrep works here.")
    missing = [line for line in found.lines if line.state == "missing"]
    if missing:
        click.echo("What is marked -- is optional; to have it:")
        extras = [line for line in missing if line in found.extras and line.name != "codecs"]
        _echo_remedies([line for line in missing if line not in extras])
        _echo_extras(extras)
    click.echo("Next: medprep sample study, or medprep init FOLDER for your own data")


def _echo_extras(lines: Sequence[Line]) -> None:
    """One line for all, where the commands differ in the name alone."""
    patterns = {line.remedy.replace(f"[{line.name}]", "[NAME]") for line in lines}
    if len(lines) > 1 and len(patterns) == 1:
        names = ", ".join(line.name for line in lines)
        click.echo(f"  {patterns.pop()}    (NAME: {names})")
    else:
        _echo_remedies(lines)


def _echo_lines(title: str, lines: Sequence[Line]) -> None:
    if not lines:
        return
    click.echo(f"\n{title}")
    width = max(len(line.name) for line in lines)
    for line in lines:
        word, color = MARKS[line.state]
        click.echo(f"  {click.style(word, fg=color)}  {line.name:<{width}}  {plain(line.said)}")


def _echo_remedies(lines: Sequence[Line]) -> None:
    """Each remedy once, with the names of what it brings."""
    for remedy in dict.fromkeys(line.remedy for line in lines if line.remedy):
        names = ", ".join(line.name for line in lines if line.remedy == remedy)
        click.echo(f"  {remedy}    ({names})")
