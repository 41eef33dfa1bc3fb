"""Pictures of the panel for the README: python Testing/panel/take_pictures.py Docs/pictures.

The panel is the real one; the window around it is the harness's, not Slicer's.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
WIDTH = 460
DIVIDED_AT = "consensusCollapsibleButton"


def main(folder: Path) -> None:
    """Two pictures of one case: what is read, and what is decided."""
    from panel.harness.install import start

    start()
    from panel.harness.driver import Panel
    from panel.user import User

    driver = Panel()
    with tempfile.TemporaryDirectory() as temporary:
        study = _finished_study(Path(temporary))
        user = User(driver)
        user.open(study)
        user.ui.pathLineEdit.blockSignals(True)
        user.ui.pathLineEdit.text = "/data/sample/study.toml"
        user.ui.reviewerLineEdit.text = "eva"
        user.open_case("BR-0023")
        user.click("stapleRadioButton")
        user.click("makeConsensusButton")
        user.click("nextPlaceButton")
        user.choose("difficultyComboBox", "medium")
        user.click("approveButton")
        user.ui.statusLabel.text = ""
        image = driver.grab(user.handle, Path(temporary) / "panel.png", WIDTH)
        top = user.ui.__dict__[DIVIDED_AT].mapTo(user.handle.representation, _origin()).y() - 4
        folder.mkdir(parents=True, exist_ok=True)
        image.copy(0, 0, WIDTH, top).save(str(folder / "reading.png"))
        image.copy(0, top, WIDTH, image.height() - top).save(str(folder / "deciding.png"))
        driver.reset()


def _origin() -> object:
    import qt

    return qt.QPoint(0, 0)


def _finished_study(folder: Path) -> Path:
    """The sample study after a run, so that the list knows what was found."""
    from MedPrepLib.pipeline import order_of, run
    from MedPrepLib.sample import write_sample

    write_sample(folder)
    run(order_of(folder / "study.toml", workers=1))
    return folder / "study.toml"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
