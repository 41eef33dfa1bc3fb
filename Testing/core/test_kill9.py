"""Killed at any moment, a run of packing leaves the committed cases, and goes on to equal bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from MedPrepLib.errors import CohortError
from MedPrepLib.load import open_cohort
from MedPrepLib.verify import verify

TESTING = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")

CHILD = """
import os, signal, sys
from pathlib import Path
from core.cohort_samples import build_cohort, packed_case

folder, limit, count = Path(sys.argv[1]), int(sys.argv[2]), 0

def counted(function):
    def call(*arguments, **options):
        global count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for name in ("open", "fsync", "replace", "rename", "unlink", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
from MedPrepLib.pack import bricks
bricks.encode_brick = counted(bricks.encode_brick)
sys.stdout.write("ready\\n"); sys.stdout.flush()
build_cohort(folder)
print(count)
"""


def build(folder: Path, limit: int = 0) -> subprocess.Popen[str]:
    """A child that packs five cases and their manifest; it dies before its call ``limit``."""
    path = os.pathsep.join([str(TESTING), str(TESTING.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(limit)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def content(folder: Path) -> dict[str, bytes]:
    """Every file under its final name; a run sweeps away the others before it begins."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    files = (path for path in files if not path.name.endswith(".partial"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """What an undisturbed run writes, and how many calls it takes."""
    folder = tmp_path_factory.mktemp("whole")
    child = build(folder)
    calls = int(child.communicate()[0].split()[-1])
    assert child.returncode == 0
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
    folder: Path, whole: tuple[dict[str, bytes], int], limits: Sequence[int]
) -> None:
    """Killed at one call after another in the same folder; then a run that may end."""
    folder.mkdir(exist_ok=True)
    for limit in limits:
        child = build(folder, limit)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        left_after(folder, whole[0])
    child = build(folder)
    child.communicate()
    assert child.returncode == 0
    assert content(folder) == whole[0]


def killed_after(folder: Path, delay_s: float, expected: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    child = build(folder)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(delay_s)
    child.kill()
    child.communicate()
    left_after(folder, expected)


@pytest.mark.fault("F1")
def test_killed_at_some_calls_a_run_goes_on_to_the_same_bytes(tmp_path: Path, whole):
    draw = random.Random(0)
    limits = sorted(draw.sample(range(1, whole[1]), 5))
    killed_and_resumed(tmp_path / "x", whole, limits)


@pytest.mark.fault("F1")
def test_killed_at_some_moments_a_run_leaves_whole_files_only(tmp_path: Path, whole):
    draw = random.Random(1)
    # A folder each: where a run had ended before, the next one's partial files are no fault.
    for number in range(3):
        killed_after(tmp_path / str(number), draw.uniform(0, 0.3), whole[0])
        killed_and_resumed(tmp_path / str(number), whole, [])


@pytest.mark.fault("F1")
@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_killed_at_each_call_a_run_goes_on_to_the_same_bytes(tmp_path: Path, whole):
    for limit in range(1, whole[1] + 1):
        killed_and_resumed(tmp_path / str(limit), whole, [limit])


@pytest.mark.fault("F1")
@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_killed_at_200_moments_a_run_leaves_whole_files_only(tmp_path: Path, whole):
    draw = random.Random(2)
    for number in range(200):
        killed_after(tmp_path / str(number), draw.uniform(0, 0.5), whole[0])
        killed_and_resumed(tmp_path / str(number), whole, [])
