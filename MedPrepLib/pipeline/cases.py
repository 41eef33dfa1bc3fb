"""The cases of a run: what is known already, who does the rest, and the results as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from MedPrepLib.ledger import Ledger
from MedPrepLib.pipeline import casework
from MedPrepLib.pipeline.capacity import Capacity, capacity
from MedPrepLib.pipeline.crew import OF_OBJECTS, OF_RATERS, Crew, LocalCrew
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.order import PICTURES, Order
from MedPrepLib.pipeline.preflight import require_room
from MedPrepLib.pipeline.shards import (
    Unsettled,
    by_size,
    keep_unsettled,
    require_complete,
    shard_results,
)
from MedPrepLib.pipeline.tasks import inputs_of
from MedPrepLib.pipeline.workers import Lost, WorkerPool
from MedPrepLib.progress import Listener, Step
from MedPrepLib.results import CaseResult
from MedPrepLib.scan.walk import image_suffix
from MedPrepLib.sitelog import WORKERS_LOG


@contextmanager
def crew_of(order: Order) -> Iterator[Crew | None]:
    """The crew of a cluster; None where the cases are done here, by as many as there is room for.

    Raises RunError when the cluster cannot be used.
    """
    if not order.cluster:
        yield None
        return
    from MedPrepLib.pipeline.cluster import joined

    with joined(order) as crew:
        yield crew


def case_results(
    order: Order, tasks: Sequence[CaseTask], ledger: Ledger, crew: Crew | None, listen: Listener
) -> tuple[tuple[CaseResult, ...], int]:
    """A result per case, in order of public name; and how many of them had to be worked for."""
    if not order.wants("screen"):
        return (), 0
    inputs = {task.name: inputs_of(task) for task in tasks}
    recipe = f"{tasks[0].recipe}:{tasks[0].through}" if tasks else ""
    results: dict[str, CaseResult] = {}
    if not order.repeats("pack"):
        results = _kept(order, tasks, inputs, recipe, ledger)
    if order.merge:
        require_complete(order, tasks, results)
    todo = by_size([task for task in tasks if task.name not in results])
    if not order.force and order.wants("pack"):
        require_room(order.cohort, todo)
    who, said = (crew, "") if crew is not None else _local_crew(order, todo)
    listen(Step("cases", len(results), len(tasks), note=said))
    pool: WorkerPool[CaseTask, CaseResult] = WorkerPool(
        casework.work, who, order.study.run.timeout_s
    )
    unsettled: list[Unsettled] = []
    for task, answer in pool.run(todo):
        result = casework.lost_result(task, answer) if isinstance(answer, Lost) else answer
        if isinstance(answer, Lost) or casework.is_passing(result):
            unsettled.append(Unsettled(inputs[task.name], recipe, result))
        else:
            ledger.keep_case(result, inputs[task.name], recipe)
        results[task.name] = result
        listen(Step("cases", len(results), len(tasks), task.name))
    if order.shard is not None:
        keep_unsettled(ledger, unsettled)
    return tuple(results[name] for name in sorted(results)), len(todo)


def _kept(
    order: Order,
    tasks: Sequence[CaseTask],
    inputs: dict[str, str],
    recipe: str,
    ledger: Ledger,
) -> dict[str, CaseResult]:
    """What earlier runs found, here or in shards, and what is still true."""
    kept = {}
    for task in tasks:
        result = ledger.case(task.name, inputs[task.name], recipe)
        if result is not None and _still_there(order, result):
            kept[task.name] = result
    unknown = {name: seen for name, seen in inputs.items() if name not in kept}
    shards = shard_results(order, unknown, recipe, ledger)
    return kept | {name: r for name, r in shards.items() if _still_there(order, r)}


def _still_there(order: Order, result: CaseResult) -> bool:
    """True when the files that a kept result speaks of are where it says."""
    shard = result.shard
    if shard is not None:
        path = order.cohort / shard.name
        if not path.is_file() or path.stat().st_size != shard.size:
            return False
    return not result.picture or (order.private / PICTURES / result.picture).is_file()


def _local_crew(order: Order, todo: Sequence[CaseTask]) -> tuple[Crew, str]:
    """Processes on this machine, and how many they are and why, in words."""
    settings = order.study.run
    memory_bytes = int(settings.memory_gb * 1e9)
    found: Capacity = capacity(todo, order.workers or settings.workers)
    crew = LocalCrew(found.workers, memory_bytes, order.logs / WORKERS_LOG, needed_by(todo))
    return crew, str(found) if todo else ""


def needed_by(tasks: Sequence[CaseTask]) -> tuple[str, ...]:
    """The large packages that only some cases need, where one of ``tasks`` is such a case."""
    read = [task.candidate for task in tasks if task.candidate.case.raters]
    drawn = (path for one in read for path in one.case.drawn_paths)
    objects = any(not image_suffix(path) for path in drawn)
    packed = any(not header.is_native for one in read for header in one.slices)
    compared = any(len(one.case.raters) > 1 for one in read)
    return (OF_OBJECTS if objects or packed else ()) + (OF_RATERS if compared else ())
