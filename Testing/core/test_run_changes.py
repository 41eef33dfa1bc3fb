"""Whatever changes, a cohort that is run again is the one that is made at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import remade
from random_changes import history

from MedPrepLib.pipeline import workers

STEPS = 10


@pytest.mark.parametrize(
    "seed", [2, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(100, 120))]
)
def test_a_cohort_after_changes_by_chance_is_the_one_that_is_made_at_once(
    tmp_path: Path, seed: int, monkeypatch
):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    for happened, differences in history(tmp_path / "study", seed, STEPS):
        assert not differences, happened
