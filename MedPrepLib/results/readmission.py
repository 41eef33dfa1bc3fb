"""A finding that a person accepted."""

from __future__ import annotations

import msgspec


class Readmission(msgspec.Struct, frozen=True):
    """That a person took a case in although a finding rejects it: which finding, who, when, why.

    ``at`` is UTC (ISO 8601). ``note`` is shown in reports: what may identify somebody is left
    out of it before.
    """

    code: str
    by: str
    at: str
    note: str
