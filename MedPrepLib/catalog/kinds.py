"""What every kind of finding is declared with: its stage, code, severity, meaning and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from MedPrepLib.findings import Kind, Severity

_STAGES = MappingProxyType(
    {
        "scan": "files and series",
        "screen": "header facts and people",
        "standardize": "voxel values",
        "align": "masks, boxes and slice labels on their image",
        "agree": "raters and their consensus",
        "review": "what people decided",
        "split": "train and test sets",
        "run": "the run itself",
    }
)
"""The stages that find something, in order, and what each of them looks at."""

_KINDS: dict[str, Kind] = {}

Declare = Callable[[str, str, str], Kind]
"""(code, meaning, remedy)"""


def declare(stage: str) -> tuple[Declare, Declare, Declare, Declare]:
    """How a stage declares a note, a review, a reject, and what nobody can accept (final).

    Final: a fault that leaves nothing to accept, for no volume, grid or result can be made.
    """
    if stage not in _STAGES:
        raise ValueError(f"{stage} is no stage; there are {', '.join(_STAGES)}")

    def declaring(severity: Severity, *, final: bool = False) -> Declare:
        def one(code: str, meaning: str, remedy: str) -> Kind:
            if code in _KINDS:
                raise ValueError(f"finding code {code} is declared twice")
            _KINDS[code] = Kind(code, severity, meaning, remedy, final, stage)
            return _KINDS[code]

        return one

    return (
        declaring(Severity.NOTE),
        declaring(Severity.REVIEW),
        declaring(Severity.REJECT),
        declaring(Severity.REJECT, final=True),
    )


def stages() -> Mapping[str, str]:
    """The stages that find something, in order, and what each of them looks at."""
    return _STAGES


def all_kinds() -> tuple[Kind, ...]:
    """Every declared kind, by stage, in the order of declaration."""
    order = list(_STAGES)
    return tuple(sorted(_KINDS.values(), key=lambda kind: order.index(kind.stage)))


def find_kind(code: str) -> Kind | None:
    """The kind with this code, if there is one."""
    return _KINDS.get(code)


def did_you_mean(word: str) -> str:
    """``; did you mean "SLICE_GAP"?`` for a word that is close to a code, else nothing."""
    close = difflib.get_close_matches(word.upper(), [kind.code for kind in all_kinds()], n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
