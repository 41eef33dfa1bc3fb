"""Killed at any moment, a run of packing leaves the committed cases, and goes on to equal bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from MedPrepLib.errors import CohortError
from MedPrepLib.load import open_cohort
from MedPrepLib.verify import verify

TESTING = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")

SERVER = """
import os, signal, sys, time
from pathlib import Path
from core.cohort_samples import build_cohort
from MedPrepLib.pack import bricks

def build(folder, limit):
    count = 0

    def counted(function):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    for name in ("open", "fsync", "replace", "rename", "unlink", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))
    bricks.encode_brick = counted(bricks.encode_brick)
    build_cohort(folder)
    print("calls", count, flush=True)

for line in sys.stdin:
    folder, limit, delay_s = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        build(Path(folder), int(limit))
        os._exit(0)
    if float(delay_s):
        time.sleep(float(delay_s))
        os.kill(child, signal.SIGKILL)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Packer:
    """Packs five cases and their manifest in children of a process that has imported everything."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(TESTING), str(TESTING.parent)])
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._server.communicate(timeout=60)

    def pack(self, folder: Path, limit: int = 0, delay_s: float = 0.0) -> tuple[int, int]:
        """The status of a child, and its calls if it came to its end.

        It dies before its call ``limit``, or is killed ``delay_s`` after it began.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{folder}\t{limit}\t{delay_s}\n")
        self._server.stdin.flush()
        told = {"calls": 0}
        for line in self._server.stdout:
            word, number = line.split()
            told[word] = int(number)
            if word == "ended":
                return told["ended"], told["calls"]
        raise AssertionError("what forks the children has ended")


@pytest.fixture(scope="module")
def packer() -> Iterator[Packer]:
    made = Packer()
    yield made
    made.close()


def content(folder: Path) -> dict[str, bytes]:
    """Every file under its final name; a run sweeps away the others before it begins."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    files = (path for path in files if not path.name.endswith(".partial"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(packer: Packer, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """What an undisturbed run writes, and how many calls it takes."""
    folder = tmp_path_factory.mktemp("whole")
    status, calls = packer.pack(folder)
    assert status == 0
    assert calls > 100
    return content(folder), calls


def left_after(folder: Path, expected: dict[str, bytes]) -> None:
    """Only whole files under final names; no manifest before everything it names."""
    found = content(folder)
    for name, data in found.items():
        assert data == expected[name], name
    if "manifest.json" in found:
        assert {name for name in found if name.startswith("cases/")} == {
            name for name in expected if name.startswith("cases/")
        }
        assert [p for p in verify(folder) if not p.name.endswith(".partial")] == []
    else:
        with pytest.raises(CohortError, match="no cohort"):
            open_cohort(folder)


def killed_and_resumed(
    packer: Packer, folder: Path, whole: tuple[dict[str, bytes], int], limits: Sequence[int]
) -> None:
    """Killed at one call after another in the same folder; then a run that may end."""
    folder.mkdir(exist_ok=True)
    for limit in limits:
        assert packer.pack(folder, limit)[0] == -signal.SIGKILL
        left_after(folder, whole[0])
    assert packer.pack(folder)[0] == 0
    assert content(folder) == whole[0]


def killed_after(packer: Packer, folder: Path, delay_s: float, expected: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    assert packer.pack(folder, delay_s=delay_s)[0] in (0, -signal.SIGKILL)
    left_after(folder, expected)


@pytest.mark.fault("F1")
def test_killed_at_some_calls_a_run_goes_on_to_the_same_bytes(packer, tmp_path: Path, whole):
    draw = random.Random(0)
    limits = sorted(draw.sample(range(1, whole[1]), 5))
    killed_and_resumed(packer, tmp_path / "x", whole, limits)


@pytest.mark.fault("F1")
def test_killed_at_some_moments_a_run_leaves_whole_files_only(packer, tmp_path: Path, whole):
    draw = random.Random(1)
    # A folder each: where a run had ended before, the next one's partial files are no fault.
    for number in range(3):
        killed_after(packer, tmp_path / str(number), draw.uniform(0, 0.3), whole[0])
        killed_and_resumed(packer, tmp_path / str(number), whole, [])


@pytest.mark.fault("F1")
@pytest.mark.heavy
def test_killed_at_each_call_a_run_goes_on_to_the_same_bytes(packer, tmp_path: Path, whole):
    for limit in range(1, whole[1] + 1):
        killed_and_resumed(packer, tmp_path / str(limit), whole, [limit])


@pytest.mark.fault("F1")
@pytest.mark.heavy
def test_killed_at_200_moments_a_run_leaves_whole_files_only(packer, tmp_path: Path, whole):
    draw = random.Random(2)
    for number in range(200):
        killed_after(packer, tmp_path / str(number), draw.uniform(0, 0.5), whole[0])
        killed_and_resumed(packer, tmp_path / str(number), whole, [])
