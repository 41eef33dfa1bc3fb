"""What a case costs, and what a hundred thousand would: seconds, bytes, memory; workers and parent.

Run from the repository root: ``python Testing/bench/bench_scale.py [--many 2000]``. Writes studies
of images of three sizes with two readings each, and runs each with one worker; then two studies of
tiny cases, one four times as large as the other: the cost of scan, split and report per case shows
whether anything grows faster than the study. Bytes are those of all read and write calls of the
command and its workers, page cache or not. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PR_SET_CHILD_SUBREAPER = 36
SIZES = {(128, 128, 64): 6, (256, 256, 96): 3, (512, 512, 96): 2}
"""How many cases of which size."""
TINY = (16, 16, 6)
STUDIES = 100_000
CORES = 64


@dataclass(frozen=True)
class Cost:
    """Of one run. ``stages``: seconds from the first step of a stage to that of the next."""

    cases: int
    wall_s: float
    cpu_s: float
    read_bytes: int
    written_bytes: int
    parent_bytes: int
    worker_bytes: int
    stages: dict[str, float]


def measured(study: Path, cases: int, workers: int) -> Cost:
    """Run a study as a command, whose descendants this process adopts and waits for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, began = own_bytes(), time.monotonic()
    command = [sys.executable, "-m", "MedPrepLib", "run", str(study), "--progress", "json"]
    command += ["--workers", str(workers)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    starts: dict[str, float] = {}
    assert run.stdout is not None
    for line in run.stdout:
        record = json.loads(line)
        starts.setdefault(record.get("stage", "end"), time.monotonic() - began)
    cpu_s, parent, worker = 0.0, 0, 0
    while True:
        try:
            pid, _, used = os.wait3(0)
        except ChildProcessError:
            break
        cpu_s += used.ru_utime + used.ru_stime
        if pid == run.pid:
            parent = used.ru_maxrss << 10
        else:
            worker = max(worker, used.ru_maxrss << 10)
    after = own_bytes()
    names = list(starts)
    stages = {a: starts[b] - starts[a] for a, b in itertools.pairwise(names)}
    read, written = (new - old for new, old in zip(after, before, strict=True))
    wall_s = time.monotonic() - began
    return Cost(cases, wall_s, cpu_s, read, written, parent, worker, stages)


def own_bytes() -> tuple[int, int]:
    """Bytes read and written by this process and all children that it waited for."""
    facts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(facts["rchar"]), int(facts["wchar"])


def once(count: int, size: tuple[int, int, int], workers: int) -> Cost:
    """The cost of a study, in a process of its own: peaks of memory are never given back."""
    command = [sys.executable, __file__, "--one", json.dumps([count, size, workers])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def one(count: int, size: tuple[int, int, int], workers: int) -> Cost:
    sys.path.insert(0, str(REPOSITORY / "Testing"))
    from many_cases import write_many

    with tempfile.TemporaryDirectory() as folder:
        return measured(write_many(Path(folder), count, size, raters=2), count, workers)


def show_sizes(base: Cost) -> list[tuple[int, Cost]]:
    """The cost of a case by its size, beside that of starting with a single tiny case."""
    print("size of a case      voxels   CPU s  read MB  written MB  worker MB  B/voxel")
    rows = []
    for size, count in SIZES.items():
        cost = once(count, size, 1)
        voxels = size[0] * size[1] * size[2]
        extra = max(0, cost.worker_bytes - base.worker_bytes)
        print(
            f"{'x'.join(map(str, size)):16s} {voxels / 1e6:7.2f} M "
            f"{(cost.cpu_s - base.cpu_s) / count:7.2f} "
            f"{(cost.read_bytes - base.read_bytes) / count / 1e6:8.1f} "
            f"{(cost.written_bytes - base.written_bytes) / count / 1e6:11.1f} "
            f"{cost.worker_bytes / 1e6:10.0f} {extra / voxels:8.1f}"
        )
        rows.append((voxels, cost))
    return rows


def show_parent(many: int) -> Cost:
    """What the parent does for a case, in a small and in a large study."""
    # The steps "split" and "report" are told when they are done.
    print("\ncases     scan ms  cases and split ms  report ms  parent MB   (per case)")
    cost = None
    for count in (many // 4, many):
        cost = once(count, TINY, 2)
        per = {name: 1000 * seconds / count for name, seconds in cost.stages.items()}
        print(
            f"{count:6d} {per['scan']:10.2f} {per['cases']:19.2f} {per['split']:10.2f} "
            f"{cost.parent_bytes / 1e6:10.0f}"
        )
    assert cost is not None
    return cost


def show_extrapolation(rows: list[tuple[int, Cost]], base: Cost, parent: Cost) -> None:
    """The largest size, a hundred thousand times."""
    voxels, cost = rows[-1]
    hours = STUDIES * (cost.cpu_s - base.cpu_s) / cost.cases / 3600
    read, written = (
        STUDIES * (getattr(cost, name) - getattr(base, name)) / cost.cases / 1e12
        for name in ("read_bytes", "written_bytes")
    )
    own_s = sum(parent.stages[name] for name in ("scan", "split")) / parent.cases
    print(f"\n{STUDIES} cases of {voxels / 1e6:.0f} M voxels:")
    print(f"  workers: {hours:.0f} core hours; {hours / CORES:.1f} h on {CORES} cores")
    print(f"  disks: {read:.1f} TB read, {written:.1f} TB written; on {CORES} cores "
          f"{1e6 * (read + written) / (3600 * hours / CORES):.0f} MB/s")  # fmt: skip
    print(f"  parent, alone: {STUDIES * own_s / 3600:.2f} h, "
          f"{STUDIES * parent.parent_bytes / parent.cases / 1e9:.1f} GB at most")  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--many", type=int, default=2000)
    words.add_argument("--one", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.one:
        count, size, workers = json.loads(given.one)
        print(json.dumps(one(count, tuple(size), workers).__dict__))
        return
    base = once(1, TINY, 1)
    print(f"one tiny case: {base.cpu_s:.1f} s CPU, worker {base.worker_bytes / 1e6:.0f} MB\n")
    rows = show_sizes(base)
    show_extrapolation(rows, base, show_parent(given.many))


if __name__ == "__main__":
    main()
