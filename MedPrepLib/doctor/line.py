"""One line of a checkup."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "missing", "broken"]
"""``missing``: optional, and not there; ``broken``: MedPrep cannot work like this."""


class Line(msgspec.Struct, frozen=True):
    """What was looked at, how it is, in words; ``remedy``: what to do, empty when nothing."""

    name: str
    state: State
    said: str
    remedy: str = ""
