"""The report of a large cohort: how long it takes, and how large it is.

Run from the repository root: ``python Testing/bench/bench_report.py [--cases 2000] [--keep DIR]``.
The cases are made up as values, as the ledger keeps them: nothing was packed for them. Their
pictures are drawn by the code that a run uses, from a phantom of 512 x 512 x 120 voxels with four
readings; a few dozen are drawn and timed, and every case gets one of them as a file of its own.
Targets are those of the project: 0.3 s a case with its picture, an overview below 15 MB.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec.structs import replace as changed

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing")]
SECONDS_PER_CASE, OVERVIEW_BYTES = 0.3, 15_000_000
CENTERS = ("Charité", "Hôpital Nord", "Leiden", "Porto", "St Olav", "UMC Utrecht")
VENDORS = ("Canon", "GE", "Philips", "Siemens")
SPACINGS = {"CT": (0.78, 1.25), "MR": (0.55, 3.0), "PT": (4.07, 3.0)}
PERCENTILES = {"CT": (-1005, -420, 610), "MR": (2, 180, 1400), "PT": (0.0, 0.3, 6.5)}


def made_up(count: int, seed: int = 1):
    """A report of ``count`` cases: several centers, vendors and modalities, and some odd ones."""
    from report_sample import sample_cases, sample_report, study

    from MedPrepLib.split import Member, split

    rng = random.Random(seed)
    templates = sample_cases()
    people = [_person(rng) for _ in range(max(1, count * 4 // 5))]
    cases = tuple(_case(n, templates, people, rng) for n in range(count))
    members = [
        Member(c.id, c.patient, c.center, frozenset({"nodule"}), c.pixel_hash)
        for c in cases
        if c.included
    ]
    settings = study()
    plan, findings = split(members, settings.split, settings.seed)
    return sample_report(cases=cases, split=plan, source_findings=findings, files_seen=count * 210)


def _person(rng: random.Random) -> tuple[str, str, int | None]:
    age = min(90, max(3, round(rng.gauss(62, 14))))
    return rng.choice(CENTERS), rng.choice("FFMMM"), age if rng.random() > 0.03 else None


def _case(n: int, templates: Sequence, people: Sequence, rng: random.Random):
    """One of the sample's cases (agreement, findings) as another person's image."""
    from MedPrepLib.geometry import Geometry
    from MedPrepLib.results import Statistics

    usable = [t for t in templates if t.included]
    case = rng.choice(templates if rng.random() < 0.4 else usable)
    who = rng.randrange(len(people))
    center, sex, age = people[who]
    modality = rng.choices(tuple(SPACINGS), (70, 25, 5))[0]
    # One center scans with thick slices; a few images are odd for no reason.
    factor = 2.4 if center == "Porto" and rng.random() < 0.1 else rng.lognormvariate(0, 0.12)
    odd = rng.choice((3.0, 0.2)) if rng.random() < 0.01 else 1.0
    inner, slices = (s * rng.lognormvariate(0, 0.08) for s in SPACINGS[modality])
    spacing = (inner, inner, slices * factor)
    low, middle, high = (p * odd * rng.gauss(1, 0.06) for p in PERCENTILES[modality])
    name = f"{rng.getrandbits(40):010x}{n:05d}"
    statistics = Statistics(
        10**7, middle, (high - low) / 4, low, high, {"0.5": low, "50": middle, "99.5": high}
    )
    return changed(
        case,
        id=name,
        patient=f"p{who:05d}",
        center=center,
        modality=modality,
        device=VENDORS[(who + len(center)) % len(VENDORS)],
        sex=sex,
        age_years=age,
        findings=tuple(f.about(f.item.replace(case.id, name)) for f in case.findings),
        geometry=Geometry((512, 512, rng.randrange(60, 320)), spacing),
        statistics=statistics if case.included else None,
        pixel_hash=f"{n:064x}",
        picture=f"{name}.png" if case.included else "",
    )


def draw(count: int) -> tuple[list[bytes], float]:
    """Pictures of phantoms as large as a CT, and the seconds that one takes."""
    from report_sample import study

    from MedPrepLib.geometry import Geometry
    from MedPrepLib.images import Volume
    from MedPrepLib.report.pictures import overlay
    from MedPrepLib.segmentation import Segment, Segmentation

    grid = Geometry((512, 512, 120), (0.75, 0.75, 2.5))
    k, j, i = np.ogrid[:120, :512, :512]
    body = ((i - 256) / 230) ** 2 + ((j - 256) / 170) ** 2 < 1
    lung = ((abs(i - 256) - 105) / 75) ** 2 + ((j - 250) / 110) ** 2 + ((k - 60) / 52) ** 2 < 1
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 40, (120, 512, 512)).astype(np.int16)
    flesh = np.where(body, 40, -1000)
    segments = (Segment("nodule", 1), Segment("lung", 2))
    pictures, seconds = [], 0.0
    for n in range(count + 1):
        x, y, z, radius = (*rng.integers((130, 200, 35), (170, 300, 80)), rng.uniform(8, 24))
        masks, image = {}, np.where(lung, -850, flesh) + noise
        for m, rater in enumerate(("Ada", "Berta", "Chiara", "Dag")):
            far = (i - x - 2 * m) ** 2 + (j - y - m) ** 2 + (3.3 * (k - z)) ** 2
            nodule = far < (radius + rng.normal(0, 1.5)) ** 2
            layer = np.where(nodule, 1, np.where(lung, 2, 0)).astype(np.uint8)
            masks[rater] = Segmentation((layer,), grid, segments)
        image[masks["Ada"].layers[0] == 1] = 30
        volume = Volume(image.astype(np.int16), grid)
        began = time.perf_counter()
        pictures.append(overlay(volume, masks, masks["Ada"].layers[0], study().schema()))
        if n:  # the first one imports what it needs
            seconds += time.perf_counter() - began
    return pictures, seconds / count


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of seconds and bytes."""
    from MedPrepLib.report import write_report

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--drawn", type=int, default=24, help="pictures drawn and timed")
    parser.add_argument("--keep", type=Path, help="leave the report in this folder")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder, private = asked.keep or Path(temporary, "report"), Path(temporary, "pictures")
        private.mkdir()
        drawn, per_picture = draw(asked.drawn)
        report = replace(made_up(asked.cases), pictures=private)
        for n, case in enumerate(report.included):
            (private / case.picture).write_bytes(drawn[n % len(drawn)])
        print(f"{asked.cases} cases, {len(report.included)} included")
        began = time.perf_counter()
        written = write_report(folder, report)
        per_case = (time.perf_counter() - began) / asked.cases
        print(f"pages        {1000 * per_case:7.1f} ms a case")
        size = (folder / "index.html").stat().st_size
        whole = sum(path.stat().st_size for path in written)
        print(f"picture      {1000 * per_picture:7.1f} ms a case, drawn by the run")
        print(f"overview     {size / 1e6:7.2f} MB of at most {OVERVIEW_BYTES / 1e6:.0f}")
        print(f"all files    {whole / 1e6:7.1f} MB in {len(written)} files")
        total = per_picture + per_case
        print(f"a case with its picture: {total:.3f} s of at most {SECONDS_PER_CASE} s")


if __name__ == "__main__":
    main()
