"""Keeping pydicom's warnings and log lines in: they quote values of patients' headers."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Nothing pydicom warns of or logs inside reaches stderr, a handler or a warning filter.

    What matters in those messages shows in the result (a missing value, an error); the text
    itself may hold names. Warning filters are global: not for use in several threads at once.
    """
    logger = logging.getLogger("pydicom")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled
