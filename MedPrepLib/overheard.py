"""What libraries say, counted by kind and tag: their words quote values of patients' headers.

pydicom's "Invalid value for VR DA: 'MUSTERMANN^MAX 1931'" becomes (UserWarning, "", 1). Nothing
else of a warning or a log record is kept, and none of it is shown or handed on.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

LIBRARIES = ("pydicom", "nibabel", "nibabel.global", "highdicom", "h5py", "PIL", "SimpleITK")
"""Loggers whose records are counted; those below them hand theirs up."""

_TAG = re.compile(r"\(?\b([0-9A-Fa-f]{4}),\s?([0-9A-Fa-f]{4})\b\)?")
_COUNTS: Counter[tuple[str, str]] = Counter()


class Overheard(msgspec.Struct, frozen=True, order=True):
    """How often something was said: class of a warning or name and level of a logger, and a tag.

    ``tag``: an attribute of the DICOM standard, "(0010,0030)", if one was named.
    """

    category: str
    tag: str
    count: int


def note(category: str, text: str) -> None:
    """Count a message; of its text only a tag is looked for."""
    _COUNTS[category, _tag_in(text)] += 1


def drain() -> tuple[Overheard, ...]:
    """Everything counted in this process since the last time, sorted."""
    heard = total(Overheard(*key, count) for key, count in _COUNTS.items())
    _COUNTS.clear()
    return heard


def total(heard: Iterable[Overheard]) -> tuple[Overheard, ...]:
    """Equal messages added up."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in heard:
        sums[one.category, one.tag] += one.count
    return tuple(sorted(Overheard(*key, count) for key, count in sums.items()))


def silence() -> None:
    """From now on, this process counts what libraries say. For worker processes."""
    warnings.showwarning = _show
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_Counting()], False


@contextmanager
def silenced(names: Iterable[str] = LIBRARIES) -> Iterator[None]:
    """Inside, what libraries log is counted instead of shown."""
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [_Counting()], False
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def warnings_counted() -> Iterator[None]:
    """Inside, warnings are counted instead of shown, whatever the filters say.

    Warning filters are global: not for use in several threads at once.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    for one in told:
        note(one.category.__name__, str(one.message))


class _Counting(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(f"{record.name} {record.levelname}", str(record.msg))


def _show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    note(category.__name__, str(message))


def _tag_in(text: str) -> str:
    """The first tag of the standard that a text names: a value may look like a tag."""
    from pydicom.datadict import dictionary_has_tag

    for match in _TAG.finditer(text):
        group, element = match.groups()
        if dictionary_has_tag(int(group + element, 16)):
            return f"({group.upper()},{element.upper()})"
    return ""
