"""The fixture ``panel``: a Slicer for one test, and what makes a test of the panel fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from panel.harness.driver import Panel
    from panel.user import User

HERE = Path(__file__).parent
# VTK 9.6 sets the shape of an array in a way NumPy 2.5 warns of; Slicer's Python brings NumPy 2.4.
VTK_NUMPY = "ignore:Setting the shape on a NumPy array:DeprecationWarning:"
VTK_MODULES = ("vtkmodules.util.numpy_support", "vtk.util.numpy_support")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for module in VTK_MODULES:
                item.add_marker(pytest.mark.filterwarnings(VTK_NUMPY + module))


@pytest.fixture(scope="session")
def harness() -> type[Panel]:
    """The driver, once the packages it needs are known to be there."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    for package, wheel in (
        ("slicer", "slicer-core"),
        ("PySide6.QtWidgets", "PySide6-Essentials"),
        ("PySide6.QtTest", "PySide6-Essentials"),
    ):
        pytest.importorskip(
            package,
            reason=f"the panel is tested with {wheel}, which is not installed or lacks a library",
            exc_type=ImportError,
        )
    from panel.harness.install import start

    start()
    from panel.harness.driver import Panel

    return Panel


@pytest.fixture
def panel(harness: type[Panel]) -> Iterator[Panel]:
    """A harness for one test; exceptions in slots that the test did not take fail it."""
    driver = harness()
    driver.slot_errors.install()
    try:
        yield driver
        driver.reset()
    finally:
        driver.slot_errors.remove()
    if len(driver.slot_errors):
        pytest.fail("in a slot, a timer or an observer:\n" + driver.slot_errors.report())


@pytest.fixture
def user(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody called eva in front of the open module, with a site key of their own."""
    import qt
    from panel.user import User

    monkeypatch.setenv("MEDPREP_KEY_FILE", str(tmp_path / "site.key"))
    qt.QSettings().setValue("MedPrep/reviewer", "eva")
    return User(panel)
