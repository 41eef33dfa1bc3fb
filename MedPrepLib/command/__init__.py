"""The ``medprep`` command: an adapter that parses words, calls the library, prints answers.

Exit status: 0 clean, 1 findings at or above ``--fail-on``, 2 wrong call or study file, 3 failed,
130 cancelled.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from types import FrameType, TracebackType

import click

from MedPrepLib import __version__
from MedPrepLib.command.audit import audit
from MedPrepLib.command.card import card
from MedPrepLib.command.case import check, compare
from MedPrepLib.command.cohort import describe, verify
from MedPrepLib.command.completion import completion
from MedPrepLib.command.doctor import doctor
from MedPrepLib.command.export import export
from MedPrepLib.command.init import init
from MedPrepLib.command.key import key
from MedPrepLib.command.merge import merge
from MedPrepLib.command.privacy import audit_trail, scan_phi, share_check
from MedPrepLib.command.quarantine import quarantine, readmit
from MedPrepLib.command.rules import rules
from MedPrepLib.command.run import demo, run
from MedPrepLib.command.start import findings, sample
from MedPrepLib.errors import ConfigError, MedPrepError
from MedPrepLib.overheard import silence

WRONG_CALL = 2
FAILED = 3
CANCELLED = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A disk, a quota, or a limit of the shell on sizes of files."""


class WholeSentences(click.Group):
    """A group whose list of commands is not cut in the middle of a sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One row per command, its first paragraph wrapped."""
        commands = [self.commands[name] for name in self.list_commands(ctx)]
        rows = [(str(command.name), first_paragraph(command)) for command in commands]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def first_paragraph(command: click.Command) -> str:
    """What the help of a command begins with, on one line."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


@click.group(
    cls=WholeSentences,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: medprep demo, or medprep init FOLDER for your own data. In trouble: "
    "medprep doctor.",
)
@click.version_option(__version__, prog_name="medprep")
def medprep() -> None:
    """Turn raw hospital exports and several doctors' annotations into a curated cohort."""


COMMANDS = (
    init, sample, run, merge, demo, quarantine, readmit, rules, findings, check, compare, describe,
    verify, audit, card, export, doctor, completion, key, share_check, scan_phi,
    audit_trail,
)  # fmt: skip
for command in COMMANDS:
    medprep.add_command(command)


def main() -> None:
    """Run the command and exit with its status; errors are one clear text, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.excepthook = _report_bug
    silence()  # what libraries warn of quotes headers
    try:
        status = medprep.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(WRONG_CALL)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("cancelled; run the same command again to go on", err=True)
        sys.exit(CANCELLED)
    except ConfigError as error:
        click.echo(f"{error.source} cannot be used:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(WRONG_CALL)
    except (MedPrepError, OSError) as error:
        full = isinstance(error, OSError) and error.errno in FULL
        remedy = "; make room and run again: finished cases are kept" if full else ""
        click.echo(f"medprep: {error}{remedy}", err=True)
        sys.exit(FAILED)


def _report_bug(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show where a bug is and exit as failed: Python's own status 1 means findings here.

    What an exception says may quote a header: it stands in the private log of the run, and is
    shown when MEDPREP_DEBUG is set.
    """
    if os.environ.get("MEDPREP_DEBUG"):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write("".join(traceback.format_tb(trace)))
        sys.stderr.write(
            f"{kind.__name__}: this is a bug. What it says may name patients: it stands in run.log "
            "of the private folder, and here with MEDPREP_DEBUG=1\n"
        )
    sys.stderr.flush()
    os._exit(FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
