"""Keeping pydicom's warnings and log lines in: they quote values of patients' headers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from MedPrepLib.overheard import silenced, warnings_counted

_PYDICOM = ("pydicom",)


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Nothing pydicom warns of or logs inside reaches stderr, a handler or a warning filter.

    What matters in those messages shows in the result (a missing value, an error); the text
    itself may hold names, and is only counted. Not for use in several threads at once.
    """
    with silenced(_PYDICOM), warnings_counted():
        yield
