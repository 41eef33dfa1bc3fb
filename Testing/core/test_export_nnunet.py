"""nnU-Net's own check of what is exported for it, where nnU-Net is installed (the extra bench)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from core.cohort_samples import build_cohort

from MedPrepLib.export import export_cohort

CHECK = """
import sys
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
if __name__ == "__main__":
    verify_dataset_integrity(sys.argv[1], num_processes=2)
"""


def verified(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "check.py"  # a file: the check starts processes that import it
    script.write_text(CHECK, encoding="utf-8")
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    return subprocess.run(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, **dict.fromkeys(names, str(tmp_path))},
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip


@pytest.mark.heavy
@pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="nnunetv2 is missing")
def test_nnunets_own_check_finds_nothing_wrong_with_its_dataset(tmp_path: Path):
    sitk = pytest.importorskip("SimpleITK")
    build_cohort(tmp_path / "cohort")
    target = tmp_path / "Dataset042_Kidney"
    export_cohort(tmp_path / "cohort", "nnunet", target, modality="CT")
    found = verified(target, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "verify_dataset_integrity Done" in found.stdout
    assert "rror:" not in found.stdout
    assert "Warning" not in found.stdout
    label = target / "labelsTr" / "case-1.nii.gz"
    image = sitk.ReadImage(str(label))
    image[0, 0, 0] = 9
    sitk.WriteImage(image, str(label))
    spoiled = verified(target, tmp_path)
    assert spoiled.returncode != 0
    assert "Unexpected labels" in spoiled.stdout
