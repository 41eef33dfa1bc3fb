"""What the main job costs beside merely reading the same files once with SimpleITK.

Run from the repository root: ``python Testing/bench/bench_run.py [--rounds 3]``. Takes the real
test data beside the checkout (or MEDPREP_TEST_DATA). CPU time of the command and of every process
it starts, the two in turns. SimpleITK reads each DICOM series and each mask file that it can;
RTSTRUCT and DICOM SEG, which MedPrep reads too, it cannot. Everything is byte-compiled before, as
it is where it was installed. Linux only.
"""

from __future__ import annotations

import argparse
import compileall
import csv
import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PR_SET_CHILD_SUBREAPER = 36
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
TARGET = 3.0


def data_folder() -> Path:
    given = os.environ.get("MEDPREP_TEST_DATA")
    return Path(given) if given else REPOSITORY.parent / "shared" / "data"


def cpu_seconds(command: list[str]) -> float:
    """CPU time of a command and all its descendants, which this process adopts and waits for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    keeping = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    quiet = subprocess.DEVNULL
    subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=REPOSITORY, env=keeping)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read_with_simpleitk(data: Path) -> int:
    """Read every image and mask of the table and every series of the two folders; how many."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    read = 0
    with (data / "cohort.csv").open() as table:
        for row in csv.DictReader(table):
            image = data / row["image"]
            if image.is_dir():
                read += read_series(image)
            else:
                sitk.ReadImage(str(image))
                read += 1
            for text in filter(None, row["annotations"].split(";")):
                path = data / text.partition("=")[2]
                if path.suffix != ".dcm":
                    sitk.ReadImage(str(path))
                    read += 1
    return read + sum(read_series(data / name) for name in ("broken", "formats"))


def read_series(folder: Path) -> int:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    read = 0
    for base, _, _ in os.walk(folder):
        try:
            for uid in reader.GetGDCMSeriesIDs(base):
                reader.SetFileNames(reader.GetGDCMSeriesFileNames(base, uid))
                reader.Execute()
                read += 1
        except RuntimeError:  # GDCM gives up on some of the broken folders
            continue
    return read


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    given = words.parse_args()
    data = data_folder()
    if not (data / "cohort.csv").is_file():
        print(f"the real test data are not at {data}: nothing to measure")
        return
    if given.read:
        print(read_with_simpleitk(data))
        return
    compileall.compile_dir(REPOSITORY / "MedPrepLib", quiet=1)
    ratios = []
    for number in range(given.rounds):
        read = cpu_seconds([sys.executable, __file__, "--read"])
        with tempfile.TemporaryDirectory() as folder:
            text = (REPOSITORY / "Testing/real/study.toml").read_text()
            study = Path(folder) / "study.toml"
            study.write_text(text.replace("../../../shared/data", data.as_posix()))
            run = cpu_seconds([sys.executable, "-m", "MedPrepLib", "run", str(study)])
            shutil.rmtree(Path(folder) / "cohort")
        ratios.append(run / read)
        print(f"round {number + 1}: SimpleITK reads {read:.2f} s, medprep run {run:.2f} s CPU")
    print(
        f"medprep run / SimpleITK reading: {statistics.median(ratios):.2f} (target <= {TARGET:g})"
    )


if __name__ == "__main__":
    main()
