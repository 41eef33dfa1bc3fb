"""What the README says to type does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def script_under(title: str) -> str:
    """The first Python block below a heading of the README."""
    text = (REPOSITORY / "README.md").read_text("utf-8")
    return re.search(rf"^## {title}\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)[1]


@pytest.mark.heavy
def test_the_training_script_trains_on_the_sample_study(tmp_path: Path):
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, check=False, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip

    assert run("-m", "MedPrepLib", "sample", "study").returncode == 0
    assert run("-m", "MedPrepLib", "run", "study/study.toml").returncode == 1  # cases are rejected
    (tmp_path / "train.py").write_text(script_under("Training"), encoding="utf-8")
    trained = run("-W", "error", "train.py")
    assert trained.returncode == 0, trained.stderr
    loss = float(re.search(r"^epoch 0: loss ([\d.]+)$", trained.stdout, re.MULTILINE)[1])
    assert loss < 1.0  # three classes by chance: 1.1
    assert re.search(r"^\S+ \(\d+, \d+, \d+\)$", trained.stdout, re.MULTILINE)
