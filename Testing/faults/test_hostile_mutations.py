"""Ten thousand spoiled files of every format: a finding or a documented error, quickly, always."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from faults.hostile_files import good_files, spoiled
from faults.hostile_readers import READERS

SLOWEST_S = 10.0
MOST_GROWTH_MB = 300
QUICK, ALL = 1000, 10_000


@pytest.fixture(scope="module")
def goods(tmp_path_factory):
    return good_files(tmp_path_factory.mktemp("good"))


def peak_mb() -> float:
    """The most memory that this process ever had."""
    if sys.platform != "linux":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.fault("F16", "F17", "F18", "F20", "F32")
def test_the_readers_take_every_sound_file(goods, tmp_path):
    for good in goods:
        path = tmp_path / "c1" / good.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(good.content)
        READERS[good.kind](path)
    assert {good.kind for good in goods} == READERS.keys(), "a format is not tried"


def try_all(goods, folder: Path, seeds: range) -> list[str]:
    """What went wrong: anything raised that is not documented, and whatever took too long."""
    folder.mkdir()
    wrong = []
    for seed in seeds:
        good = goods[seed % len(goods)]
        path = folder / good.name
        path.write_bytes(spoiled(good, goods, random.Random(seed)))
        started = time.process_time()
        try:
            READERS[good.kind](path)
        except BaseException as error:  # whatever it is: the test says which seed it was
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong.append(f"seed {seed}, {good.name}: {type(error).__name__}: {error}")
        if time.process_time() - started > SLOWEST_S:
            wrong.append(f"seed {seed}, {good.name}: {time.process_time() - started:.0f} s")
        path.unlink()
    return wrong


@pytest.mark.fault("F16", "F17", "F18", "F19", "F20", "F32", "F60")
def test_spoiled_files_end_in_findings_or_in_documented_errors(goods, tmp_path):
    before = peak_mb()
    assert try_all(goods, tmp_path / "c1", range(QUICK)) == []
    assert peak_mb() - before < MOST_GROWTH_MB


@pytest.mark.heavy
@pytest.mark.fault("F16", "F17", "F18", "F19", "F20", "F32", "F60")
def test_ten_thousand_spoiled_files_end_in_findings_or_in_documented_errors(goods, tmp_path):
    before = peak_mb()
    assert try_all(goods, tmp_path / "c1", range(QUICK, ALL)) == []
    assert peak_mb() - before < MOST_GROWTH_MB
