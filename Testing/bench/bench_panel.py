"""How long a user waits in the panel: a 512 x 512 x 200 case with four raters and five labels.

Run from the repository root: ``python Testing/bench/bench_panel.py`` (needs pip install
"MedPrep[test]"). The case is opened in the real panel, run by the harness of Testing/panel, with
real MRML nodes; beside it Slicer's own code loads the same five files. Waiting times are wall
clock, in one process, after the files were read once; targets are those of the project: 3 s to
open a case after it was read, 0.3 s for a click.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing"), str(REPOSITORY / "Testing/bench")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
OPEN_S, CLICK_S = 3.0, 0.3
STUDY = """
name = "wait"
[[sources]]
kind = "folders"
path = "raw"
modality = "CT"
"""


def write_case(folder: Path, slices: int, roughness: float) -> Path:
    """An image and four raters of five structures, as Slicer's own files."""
    import numpy as np
    from bench_agreement import readings_of

    from MedPrepLib.formats.segnrrd import write_seg_nrrd
    from MedPrepLib.images import Volume
    from MedPrepLib.sample.niftifile import write_nifti

    readings = readings_of(5, 4, slices, roughness)
    geometry = readings["r0"].geometry
    here = folder / "raw/center/patient/case"
    (here / "masks").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(-1000, 1000, geometry.shape)
    write_nifti(here / "image.nii.gz", Volume(noise.astype(np.int16), geometry))
    for rater, mask in readings.items():
        write_seg_nrrd(here / "masks" / f"{rater}.seg.nrrd", mask)
    labels = "".join(f'[labels."{s.name}"]\nvalue = {s.value}\n' for s in readings["r0"].segments)
    (folder / "study.toml").write_text(STUDY + labels)
    return folder / "study.toml"


def took(action: Callable[[], object]) -> float:
    """Wall-clock seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def with_slicer(folder: Path) -> float:
    """Load the files as a user of Slicer does."""
    import slicer

    here = folder / "raw/center/patient/case"

    def load() -> None:
        slicer.util.loadVolume(str(here / "image.nii.gz"))
        for mask in sorted((here / "masks").iterdir()):
            slicer.util.loadSegmentation(str(mask))

    seconds = took(load)
    slicer.mrmlScene.Clear(False)
    return seconds


def main() -> None:
    """Print one row per waiting time."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--slices", type=int, default=200)
    words.add_argument("--roughness", type=float, default=4.0, help="voxels by which raters differ")
    wanted = words.parse_args()
    from panel.harness.install import start

    start()
    from panel.harness.driver import Panel
    from panel.user import User

    driver = Panel()
    with tempfile.TemporaryDirectory() as temporary:
        study = write_case(Path(temporary), wanted.slices, wanted.roughness)
        os.environ["MEDPREP_KEY_FILE"] = str(Path(temporary) / "site.key")
        rows = [("the same five files, by Slicer's own readers", with_slicer(study.parent), 0.0)]
        user = User(driver)
        user.open(study)
        rows += waits(user)
        driver.reset()
    for what, seconds, target in rows:
        verdict = "" if not target else ("  ok" if seconds <= target else f"  over {target} s")
        sys.stdout.write(f"{what:55} {seconds:6.2f} s{verdict}\n")


def waits(user) -> list[tuple[str, float, float]]:
    """What a user waits for, one after the other."""
    inside, ui = user.inside, user.ui
    case = None

    def read() -> None:
        nonlocal case
        case = user.session.read(inside.cases.names()[0])

    rows = [("read image and four masks, compare their grids", took(read), 0.0)]

    def lay_out() -> None:
        inside.opener._case_read(case)
        user.panel.process()

    rows.append(("open: nodes, agreement, matrix", took(lay_out), OPEN_S))

    def choose(name: str, number: int) -> Callable[[], None]:
        def click() -> None:
            getattr(ui, name).setCurrentIndex(number)
            user.panel.process()

        return click

    for number in (2, 3):
        text = f"click on label {number} while others are measured"
        rows.append((text, took(choose("labelComboBox", number)), CLICK_S))
    rows.append(("until all labels are explained and measured", took(lambda: user.idle(300)), 0.0))
    rows += [
        (f"click on label {number}", took(choose("labelComboBox", number)), CLICK_S)
        for number in (1, 4, 0)
    ]
    for number in (3, 4, 8, 0):
        text = ui.metricComboBox.itemText(number)
        rows.append((f"click on {text}", took(choose("metricComboBox", number)), CLICK_S))
    for name, what in (
        ("nextPlaceButton", "click on the next place"),
        ("worstButton", "click on the worst slice"),
        ("mapCheckBox", "map of disagreement"),
        ("makeConsensusButton", "make a consensus and show it"),
        ("acceptButton", "take one rater at a place"),
        ("approveButton", "approve: save consensus and review"),
    ):
        target = CLICK_S if name in ("nextPlaceButton", "worstButton") else 0.0
        if getattr(ui, name).enabled:
            rows.append((what, took(lambda name=name: user.panel.click(getattr(ui, name))), target))
    rows.append(("close: save, take out of the scene", took(inside.opener.leave_case), 0.0))
    return rows


if __name__ == "__main__":
    main()
