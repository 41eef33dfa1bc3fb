"""Drives that do not answer for a moment: which errors say so, and how long to wait for them.

A network drive that loses its server for seconds gives the same error as a broken disk. So such
errors are worth another try, a few times, and everything else is not.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

from MedPrepLib.errors import ReadError

Result = TypeVar("Result")

HICCUPS = frozenset(
    {
        errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
        errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.ECONNRESET, errno.ECONNABORTED,
        errno.ENOTCONN,
    }
)  # fmt: skip
"""What the system says of NFS and SMB servers that restart, and of cables."""

WAITS_S = (1.0, 4.0, 16.0)
"""Seconds before the second, third and fourth try."""


def is_hiccup(error: OSError) -> bool:
    """True for an error that may be gone in a moment."""
    return error.errno in HICCUPS


def patiently(function: Callable[[], Result], waits_s: tuple[float, ...] | None = None) -> Result:
    """What ``function`` gives; tried again after each of ``waits_s`` where a drive hiccups.

    The last try's error is raised, and every other error at once.
    """
    for wait_s in WAITS_S if waits_s is None else waits_s:
        try:
            return function()
        except OSError as error:
            if not is_hiccup(error):
                raise
        time.sleep(wait_s)
    return function()


def answered(function: Callable[[], Result]) -> Result:
    """The same for reading a file: ReadError where a drive stays away, other errors as they are."""
    try:
        return patiently(function)
    except OSError as error:
        if not is_hiccup(error):
            raise
        raise ReadError(f"a drive says: {os.strerror(error.errno or 0)}") from None
