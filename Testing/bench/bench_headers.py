"""How fast DICOM headers are read beside other tools, and what a rescan costs.

Run from the repository root: ``python Testing/bench/bench_headers.py [--files 8000]``. CPU time of
one process, candidates take turns in one run, medians; files are in the page cache. The archive is
made of headers of the real test data when there are any, else of the sample study. Slow tools read
a part of the files and their time is multiplied; the table says which part. GDCM scans in a process
of its own: SimpleITK brings another GDCM along, and the two in one process crash or never return.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from archive_files import default_models, write_archive

from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.neighbors import HeaderParser
from MedPrepLib.dicom.rawheader import asked_for
from MedPrepLib.ledger import open_ledger
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.walk import listings_below

KEYS = ("PatientID", "StudyDescription")
RESCAN_US = 10
LONGEST_S = 120
"""A peer that takes longer ends the script."""

SCAN_WITH_GDCM = """
import gdcm, os, resource, sys

def spent_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

tags, *paths = sys.stdin.read().split("\\n")
paths = gdcm.FilenamesType(paths)
scanner = gdcm.Scanner()
for tag in map(int, tags.split()):
    scanner.AddTag(gdcm.Tag(tag >> 16, tag & 0xFFFF))
start = spent_s()
assert scanner.Scan(paths)
taken = spent_s() - start
assert all(scanner.IsKey(path) for path in paths)
print(taken, flush=True)
os._exit(0)  # its destructors may not return
"""


def cpu_s(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def with_pydicom(paths):
    import pydicom

    tags = sorted(asked_for(KEYS).wanted)
    for path in paths:
        for element in pydicom.dcmread(path, specific_tags=tags, stop_before_pixels=True):
            assert element.value is not NotImplemented


def with_gdcm(paths):
    """CPU seconds of GDCM's scanner alone, without imports, as the process that ran it says."""
    tags = " ".join(str(tag) for tag in sorted(asked_for(KEYS).wanted))
    given = "\n".join([tags, *paths])
    script = [sys.executable, "-c", SCAN_WITH_GDCM]
    run = subprocess.run(
        script, input=given, check=True, capture_output=True, text=True, timeout=LONGEST_S
    )
    return float(run.stdout)


def with_simpleitk(sitk, folders):
    for folder in folders:
        for series in sitk.ImageSeriesReader.GetGDCMSeriesIDs(folder):
            assert sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder, series)


def alone(paths):
    for path in paths:
        read_header(path, KEYS)


def in_a_row(paths):
    parser = HeaderParser(KEYS)
    for path in paths:
        parser.read(path)


def peers_of(paths, folders):
    """(name, what measures it, which part of the files it reads, ratio to reach)."""
    tenth, whole = paths[::10], [p for p in paths if p.startswith(tuple(folders[::2]))]
    peers = [("pydicom, same tags with values", lambda: cpu_s(lambda: with_pydicom(tenth)), 10, 12)]
    if is_there("gdcm"):
        part = len(paths) / len(whole)
        peers.append(("GDCM Scanner, same tags", lambda: with_gdcm(whole), part, 4))
    if is_there("SimpleITK"):
        sitk, some = importlib.import_module("SimpleITK"), folders[::5]
        part = len(folders) / len(some)
        listed = ("SimpleITK series listing", lambda: cpu_s(lambda: with_simpleitk(sitk, some)))
        peers.append((*listed, part, 0))
    peers.append(("MedPrep, every file alone", lambda: cpu_s(lambda: alone(tenth)), 10, 0))
    return peers


def is_there(name):
    if importlib.util.find_spec(name) is not None:
        return True
    print(f"{name} is not installed; its row is left out (pip install '.[bench]')")
    return False


def header_rows(paths, folders, rounds):
    peers = peers_of(paths, folders)
    mine, theirs = [], [[] for _ in peers]
    in_a_row(paths[:400])
    for _ in range(rounds):
        mine.append(cpu_s(lambda: in_a_row(paths)))
        for times, (_, measured_s, part, _) in zip(theirs, peers, strict=True):
            times.append(measured_s() * part)
        mine.append(cpu_s(lambda: in_a_row(paths)))
    own = statistics.median(mine)
    count = len(paths)
    what = f"headers of {count} files, {len(asked_for(KEYS).wanted)} tags"
    print(f"{what:<36}{'files':>8}{'us a file':>11}{'ratio':>9}{'target':>9}")
    print(f"{'MedPrep, one after the other':<36}{count:8}{own / count * 1e6:11.1f}")
    for times, (name, _, part, target) in zip(theirs, peers, strict=True):
        other = statistics.median(times)
        shown = f"{target:8g}x" if target else ""
        met = "  missed" if other / own < target else ""
        per_file = f"{count / part:8.0f}{other / count * 1e6:11.1f}"
        print(f"{name:<36}{per_file}{other / own:8.1f}x{shown}{met}", flush=True)


def rescan_rows(tree, count, rounds, target_us):
    """Listing alone, a first scan into an empty ledger, and scans that change nothing."""

    def scan(ledger):
        reader = HeaderReader(ledger, KEYS)
        headers, _, _ = reader.read(listings_below(tree), "tree")
        assert len(headers) == count
        return reader.headers_read

    with open_ledger(tree.parent / f"{tree.name}.sqlite") as ledger:
        first = cpu_s(lambda: scan(ledger))
        assert scan(ledger) == 0
        listing = [cpu_s(lambda: list(listings_below(tree))) for _ in range(3 * rounds)]
        again = [cpu_s(lambda: scan(ledger)) for _ in range(3 * rounds)]
    rows = [
        ("first scan, ledger included", [first], 0),
        ("rescan, nothing changed", again, target_us),
        ("of this, listing with size and time", listing, 0),
    ]
    for name, times, target in rows:
        per_file = statistics.median(times) / count * 1e6
        shown = f"<= {target} us" + ("  missed" if per_file > target else "") if target else ""
        print(f"{name:<36}{count:8}{per_file:11.1f}  {shown}", flush=True)


def one_file_per_folder(paths, tree):
    for number, path in enumerate(paths):
        folder = tree / f"{number:06d}"
        folder.mkdir(parents=True)
        (folder / "IM1").hardlink_to(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        series = write_archive(tree, default_models(Path(folder)), given.files)
        paths = sorted(str(path) for path in tree.rglob("*.dcm"))
        folders = sorted({str(Path(path).parent) for path in paths})
        assert (len(paths), len(folders)) == (given.files, series)
        header_rows(paths, folders, given.rounds)
        rescan_rows(tree, given.files, given.rounds, RESCAN_US)
        print("one file in every folder")
        few = paths[::4]
        one_file_per_folder(few, tree.parent / "scattered")
        rescan_rows(tree.parent / "scattered", len(few), given.rounds, 0)


if __name__ == "__main__":
    main()
