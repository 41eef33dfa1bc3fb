"""The search for near-duplicates: CPU and memory by the number of images, beside the plain way.

Run from the repository root: ``python Testing/bench/bench_twins.py [--counts 1000 2000]``. The
images are made up: six kinds of bodies, and a few copies. The plain way (Testing/plain_nearness.py)
compares all blocks of all pairs, up to ``--plain`` images, and ``--close`` of the pairs that are
looked at closely. One thread, a process for each number; what comes of both is compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def one(count: int, plain: int, close: int) -> None:
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing")]
    import plain_nearness
    from made_up_fingerprints import made_up

    from MedPrepLib.leakage import agreement
    from MedPrepLib.leakage.candidates import candidates

    prints = made_up(count)
    groups = [f"p{n}" for n in range(count)]
    before = peak()
    began = time.process_time()
    pairs = candidates(prints, groups)
    search_s, extra = time.process_time() - began, peak() - before
    some = sorted(pairs)[:: max(1, len(pairs) // close)][:close]
    ours, ours_s = timed(lambda: [agreement(prints[a], prints[b]) for a, b in some])
    theirs, theirs_s = timed(
        lambda: [plain_nearness.agreement(prints[a], prints[b]) for a, b in some]
    )
    assert ours == theirs
    close_ms, plain_ms = (1000 * s / len(some) for s in (ours_s, theirs_s))
    line = f"{count:7d} {search_s:9.1f} {{:>9s}} {extra / 1e6:9.0f} {len(pairs):9d}"
    line += f" {close_ms:9.2f} {plain_ms:9.2f} {len(pairs) * close_ms / 1000:9.0f}"
    if count > plain:
        print(line.format("-"))
        return
    expected, plain_s = timed(lambda: plain_nearness.candidates(prints, groups))
    assert expected <= pairs
    assert len(pairs) - len(expected) <= count / 100, "more than what is level"
    print(line.format(f"{plain_s:.1f}"))


def timed(work):
    began = time.process_time()
    return work(), time.process_time() - began


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--counts", type=int, nargs="*", default=[1000, 2000])
    words.add_argument("--plain", type=int, default=2000)
    words.add_argument("--close", type=int, default=200)
    words.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.one:
        one(given.one, given.plain, given.close)
        return
    print(" images  search s   plain s  extra MB     pairs  ms/pair  plain ms   all, s", flush=True)
    for count in given.counts:
        command = [sys.executable, __file__, "--one", str(count)]
        command += ["--plain", str(given.plain), "--close", str(given.close)]
        subprocess.run(command, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
