"""The ``medprep`` command, called where a test runs: for what needs no process of its own."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from MedPrepLib.command import main
from MedPrepLib.overheard import silenced


def medprep(*words: object) -> subprocess.CompletedProcess[str]:
    """What the command answers; of this process nothing is changed afterwards.

    As in a process of its own, warnings are counted. A bug is raised here, not reported.
    """
    command = ["medprep", *map(str, words)]
    said, told = io.StringIO(), io.StringIO()
    on_term, on_bug = signal.getsignal(signal.SIGTERM), sys.excepthook
    with (
        warnings.catch_warnings(),
        silenced(),
        redirect_stdout(said),
        redirect_stderr(told),
        mock.patch.object(sys, "argv", command),
    ):
        warnings.resetwarnings()
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            signal.signal(signal.SIGTERM, on_term)
            sys.excepthook = on_bug
    return subprocess.CompletedProcess(command, status, said.getvalue(), told.getvalue())
