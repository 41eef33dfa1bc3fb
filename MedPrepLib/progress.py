"""Progress: one record for bars, JSON lines and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """``done`` of ``total`` items of a stage are finished; ``item`` is the latest.

    A total of 0 means that it is not known yet. ``note``: how the stage is done, in one line.
    """

    stage: str
    done: int
    total: int
    item: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for a JSON line."""
        return asdict(self)


Listener = Callable[[Step], None]


def silent(_: Step) -> None:
    """A listener that does nothing."""
