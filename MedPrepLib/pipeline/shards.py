"""A run in parts, as array jobs do it: every part takes every n-th case and keeps its own ledger.

The rule: cases are in order of their size in voxels, the largest first, and among equals in order
of their public names; shard i of n takes the i-th and every n-th one after it. So shards differ by
one case at most, get large and small ones alike, and need nothing but the same sources.

A part looks up in the study's ledger what earlier runs did, and never writes to it. It is changed
by whole runs and merges only, and these wait for nobody: they refuse to begin while a part runs,
as parts refuse while they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from MedPrepLib.atomic import FILE_MODE, make_folder
from MedPrepLib.errors import RunError
from MedPrepLib.identity import SiteKey
from MedPrepLib.layout import LEDGER_NAME, SHARDS_FOLDER
from MedPrepLib.ledger import Ledger, open_ledger
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.lock import locked, require_unlocked
from MedPrepLib.pipeline.order import Order, Shard
from MedPrepLib.results import CaseResult

UNSETTLED = "unsettled"
_KEY = "key-"
_NAME = re.compile(r"(\d+)-of-(\d+)")


def share(tasks: Sequence[CaseTask], shard: Shard) -> list[CaseTask]:
    """The cases of one shard, the largest first."""
    return by_size(tasks)[shard.number - 1 :: shard.count]


def by_size(tasks: Sequence[CaseTask]) -> list[CaseTask]:
    """The largest case first: the last worker to finish then waits the least."""
    return sorted(tasks, key=lambda task: (-task.voxels, task.name))


@contextmanager
def held(order: Order) -> Iterator[Ledger]:
    """The ledger to work with, held against everybody who would write the same."""
    if order.shard is None:
        with (
            locked(order.private),
            open_ledger(order.private / LEDGER_NAME) as ledger,
            ExitStack() as s,
        ):
            for folder in _folders(order):
                s.enter_context(locked(folder))
            yield ledger
        return
    folder = make_folder(order.logs)
    with locked(folder):
        require_unlocked(order.private)
        with open_ledger(folder / LEDGER_NAME, base=order.private / LEDGER_NAME) as ledger:
            yield ledger


def other_keys(order: Order, key: SiteKey) -> list[bytes]:
    """Ids of other site keys that parts of this run were begun with.

    Machines without a common home folder would each make a key of their own, and nothing of one
    would be found again by the others.
    """
    shards = order.private / SHARDS_FOLDER
    own = shards / f"{_KEY}{key.key_id}"
    others = {path for path in shards.glob(f"{_KEY}*") if path != own}
    if order.shard is not None and not others:
        own.touch(FILE_MODE)
    return sorted(path.name.removeprefix(_KEY).encode() for path in others)


def _folders(order: Order) -> list[Path]:
    shards = order.private / SHARDS_FOLDER
    if not shards.is_dir():
        return []
    return sorted(folder for folder in shards.iterdir() if _NAME.fullmatch(folder.name))


class Unsettled(msgspec.Struct, frozen=True):
    """A result that a later run of the shard does not take over, but a merge does."""

    inputs: str
    recipe: str
    result: CaseResult


def keep_unsettled(ledger: Ledger, results: Sequence[Unsettled]) -> None:
    """Remember what a shard could not settle, in place of what it could not before."""
    ledger.remember(UNSETTLED, msgspec.json.encode(results))


def take_headers(order: Order, ledger: Ledger) -> None:
    """Give a ledger without headers those that a shard read."""
    if order.shard is None and not ledger.has_headers():
        for folder in _folders(order):
            if ledger.copy_headers(folder / LEDGER_NAME):
                return


def shard_results(
    order: Order, inputs: Mapping[str, str], recipe: str, ledger: Ledger
) -> dict[str, CaseResult]:
    """What shards found for cases with these inputs; kept in the study's ledger from now on.

    ``inputs``: the cases to look for. With a merge, also what shards could not settle.
    """
    found: dict[str, CaseResult] = {}
    unsettled: dict[str, CaseResult] = {}
    if order.shard is not None or not inputs:
        return found
    for folder in _folders(order):
        if not (folder / LEDGER_NAME).is_file():
            continue
        with open_ledger(folder / LEDGER_NAME) as part:
            for case, seen, result in part.rows(recipe):
                if inputs.get(case) == seen:
                    found[case] = msgspec.json.decode(result, type=CaseResult)
            for one in _unsettled(part):
                if one.recipe == recipe and inputs.get(one.result.id) == one.inputs:
                    unsettled[one.result.id] = one.result
    ledger.keep_cases((result, inputs[case], recipe) for case, result in found.items())
    return {**unsettled, **found} if order.merge else found


def _unsettled(part: Ledger) -> list[Unsettled]:
    kept = part.recall(UNSETTLED)
    return [] if kept is None else msgspec.json.decode(kept, type=list[Unsettled])


def require_complete(
    order: Order, tasks: Sequence[CaseTask], results: Mapping[str, CaseResult]
) -> None:
    """Raise RunError that names the shards without which a cohort cannot be merged."""
    missing = [task.name for task in tasks if task.name not in results]
    if not missing:
        return
    counts = {int(m[2]) for folder in _folders(order) if (m := _NAME.fullmatch(folder.name))}
    if not counts:
        raise RunError(
            f"no shard of this study was run beside {order.cohort.name}: run it with "
            "--shard 1/N to N/N first"
        )
    ordered = [task.name not in results for task in by_size(tasks)]
    told = [text for count in sorted(counts) if (text := _incomplete(ordered, count))]
    raise RunError(
        f"{len(missing)} of {len(tasks)} cases are not done; incomplete: {'; '.join(told)}. Run "
        "these, or do the rest here with medprep run"
    )


def _incomplete(missing: Sequence[bool], count: int) -> str:
    numbers = [n + 1 for n in range(count) if any(missing[n::count])]
    return f"shard {', '.join(map(str, numbers))} of {count}" if numbers else ""
