"""Fixtures for all tests: where the real test data lie, if they are there at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data beside the checkout; users do not have it."""
    given = os.environ.get("MEDPREP_TEST_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not (folder / "MANIFEST.tsv").is_file():
        pytest.skip(f"real test data are not at {folder} (set MEDPREP_TEST_DATA)")
    return folder
