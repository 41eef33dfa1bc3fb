"""A real MRML scene, of PyPI's slicer-core; without it these tests are skipped."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")


@pytest.fixture
def booted(tmp_path):
    """A scene with the logics of the core modules, empty but for what Slicer puts there."""
    from MedPrepLib.mrml.bootstrap import boot

    made = boot(tmp_path / "slicer")
    yield made
    made.scene.Clear(True)


@pytest.fixture
def scene(booted):
    """The scene alone."""
    return booted.scene


@pytest.fixture
def files(booted):
    """Slicer's readers and writers."""
    from MedPrepLib.mrml.bootstrap import FileManager

    return FileManager(booted.scene, booted.application_logic, booted.logics)
