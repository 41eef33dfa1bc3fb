"""Fixtures for all tests: where the real test data lie, if they are there at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faults import summary
from filelock import FileLock

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

REPOSITORY = Path(__file__).resolve().parents[1]
HEAVY_S = 1800

# Hundreds of processes are started here: without bytecode, each of them would compile all modules.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data beside the checkout; users do not have it."""
    given = os.environ.get("MEDPREP_TEST_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not (folder / "MANIFEST.tsv").is_file():
        pytest.skip(f"real test data are not at {folder} (set MEDPREP_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample study as ``medprep sample`` writes it, for all tests of all workers to read.

    What changes it, or runs it where it lies, takes a copy. Written by a process with hashes and a
    clock of its own: test_sample.py looks whether that makes a difference.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, written = base / "sample-study", base / "sample-study.written"
    with FileLock(base / "sample-study.lock"):
        if not written.exists():
            command = [sys.executable, "-m", "MedPrepLib", "sample", str(folder)]
            own = {"PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo"}
            subprocess.run(command, env=os.environ | own, check=True, capture_output=True)
            written.touch()
    return folder


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """One headless Chromium for all tests, with a new profile; it never calls home."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.unhandled_prompt_behavior = "ignore"
    service = webdriver.ChromeService(executable_path=driver)
    started = webdriver.Chrome(options=options, service=service)
    started.set_window_size(1280, 1000)
    yield started
    started.quit()


@pytest.fixture
def browser(chromium: WebDriver) -> WebDriver:
    """The browser on an empty page, with empty logs ("browser" console, "performance" network)."""
    chromium.get("about:blank")
    for log in ("browser", "performance"):
        chromium.get_log(log)
    return chromium


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--faults`` prints which faults were tried and survived."""
    parser.addoption("--faults", action="store_true", help="print the table of faults survived")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note which faults tests are about; heavy ones count as hung later than others."""
    summary.note_rows(items)
    for item in items:
        if item.get_closest_marker("heavy") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(HEAVY_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults."""
    if terminalreporter.config.getoption("--faults"):
        summary.print_table(terminalreporter)
