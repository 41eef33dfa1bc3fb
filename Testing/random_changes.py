"""A study that changes by chance: images, readings, reviews, settings, the cohort itself.

    python random_changes.py FOLDER FIRST LAST STEPS

makes studies of the seeds FIRST to LAST - 1 in FOLDER and prints in what a cohort that grew with
the changes differs from one that is made at once.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from MedPrepLib.errors import RunError
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.pipeline import Order, Shard, order_of, run, workers
from MedPrepLib.pipeline.quarantine import read_quarantine, readmit
from MedPrepLib.results import CaseResult
from MedPrepLib.review import Review, ReviewStore
from MedPrepLib.sample.niftifile import write_nifti

KEY = SiteKey(bytes(32))
GRID = Geometry((20, 18, 12), (1.0, 1.5, 2.0), (-10.0, 5.0, 100.0))
RATERS = ("ana", "ben", "cem", "ana@2")
CENTERS = ("north", "south", "east")
SETTINGS = (
    "agree.threshold = 0.9", 'agree.rule = "mean_pair"', 'consensus.method = "staple"',
    'consensus.ties = "foreground"', 'consensus.ties = "undecided"', "report.pictures = true",
    "report.outlier_score = 1.5", 'card.title = "Another title"', "split.test_fraction = 0.3",
    "split.folds = 3", 'privacy.case_names = "given"', 'privacy.origin = "zero"',
    'pack.codec = "gzip"', "pack.foreground_voxels = 5", "screen.max_mr_slice_mm = 1.5",
    "standardize.percentiles = [1, 50, 99]", 'split.fixed = "fixed.csv"', 'run.fail_on = "review"',
    'screen.severity.LOW_AGREEMENT = "reject"', 'screen.severity.NO_READING = "note"',
    'screen.severity.LABEL_NOT_ANNOTATED = "off"', 'screen.severity.READING_EMPTY = "review"',
)  # fmt: skip
KEPT = ("raw", "reviews", "readmitted.toml", "settings")


class World:
    """A folder with a study, and everything that may happen to it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance, self.states = folder, random.Random(seed), 0
        self.results: tuple[CaseResult, ...] = ()
        (folder / "settings").mkdir(parents=True)
        (folder / "fixed.csv").write_text("patient,set,fold\np1,train,0\np2,test,\n")
        for _ in range(3):
            self.add_case()
        self.write_study()

    def change(self) -> str:
        """Something that happens, in words."""
        happens = self.chance.choice((
            self.add_case, self.draw, self.draw, self.damage, self.remove, self.rename, self.move,
            self.copy, self.put_aside, self.set, self.set, self.set, self.review, self.review,
            self.readmit, self.lose, self.go_back,
        ))  # fmt: skip
        happens()
        self.write_study()
        return happens.__name__

    def add_case(self) -> None:
        """An image with some readings."""
        center, patient = self.chance.choice(CENTERS), self.chance.randint(1, 5)
        number = 1 + max((int(case.name[1:]) for case in self._cases()), default=0)
        case = self.folder / "raw" / center / f"p{patient}" / f"c{number}"
        (case / "masks").mkdir(parents=True)
        voxels = np.random.default_rng(self.chance.randrange(1 << 30)).integers(0, 500, GRID.shape)
        write_nifti(case / "image.nii.gz", Volume(voxels.astype(np.int16), GRID))
        for rater in self.chance.sample(RATERS, self.chance.randint(0, 3)):
            self._draw(case / "masks" / f"{rater}.nii.gz")

    def draw(self) -> None:
        """Somebody draws something, anew or again, perhaps on another grid."""
        name = f"{self.chance.choice(RATERS)}.nii.gz"
        self._draw(self.chance.choice(self._cases()) / "masks" / name)

    def damage(self) -> None:
        """A file is cut."""
        path = self.chance.choice(self._files())
        path.write_bytes(path.read_bytes()[:100])

    def remove(self) -> None:
        """A case or a reading is gone."""
        cases = self._cases()
        if len(cases) > 2 and self.chance.random() < 0.4:
            shutil.rmtree(self.chance.choice(cases))
        elif drawn := [path for path in self._files() if path.parent.name == "masks"]:
            self.chance.choice(drawn).unlink()

    def rename(self) -> None:
        """A reading is somebody else's."""
        if drawn := [path for path in self._files() if path.parent.name == "masks"]:
            path = self.chance.choice(drawn)
            path.replace(path.with_name(f"{self.chance.choice(RATERS)}.nii.gz"))

    def move(self) -> None:
        """A case is of another patient or center."""
        case = self.chance.choice(self._cases())
        patient = f"p{self.chance.randint(1, 5)}"
        place = self.folder / "raw" / self.chance.choice(CENTERS) / patient / case.name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            case.rename(place)

    def copy(self) -> None:
        """An image takes the place of another."""
        one, other = self.chance.choice(self._cases()), self.chance.choice(self._cases())
        if one != other:
            shutil.copyfile(one / "image.nii.gz", other / "image.nii.gz")

    def put_aside(self) -> None:
        """A file that is no image lies beside the images."""
        (self.chance.choice(self._cases()) / "note.txt").write_text("nothing")

    def set(self) -> None:
        """A setting is given, or not any more."""
        line = self.chance.choice(SETTINGS)
        path = self.folder / "settings" / line.partition(" =")[0]
        if path.exists() and self.chance.random() < 0.7:
            path.unlink()
        else:
            path.write_text(line)

    def review(self) -> None:
        """Somebody approves or flags a case, or finds nothing in it."""
        if self.results:
            case = self.chance.choice(self.results)
            inputs = {reading.rater: reading.content_hash for reading in case.readings}
            verdict = self.chance.choice(("approved", "flagged"))
            empty = verdict == "approved" and self.chance.random() < 0.3
            who = self.chance.choice(("rev1", "rev2"))
            review = Review(case.id, who, verdict, inputs=inputs, nothing_found=empty)
            ReviewStore(self.folder / "reviews").save(review)

    def readmit(self) -> None:
        """Somebody accepts a finding."""
        order = self.order("cohort")
        try:
            held = read_quarantine(order).cases
        except RunError:
            return
        reasons = [(one.case, why.code) for one in held for why in one.reasons if why.acceptable]
        if reasons:
            case, code = self.chance.choice(reasons)
            try:
                readmit(order, case, code, "ana", "looked at it")
            except RunError:
                return  # its data changed since

    def lose(self) -> None:
        """A file of the cohort is lost."""
        files = sorted(p for p in (self.folder / "cohort").rglob("*") if p.is_file())
        if files:
            self.chance.choice(files).unlink()

    def go_back(self) -> None:
        """Sources, reviews and settings are as they were, with the times of their files."""
        before = self.folder / "states" / str(self.chance.randrange(self.states or 1))
        if before.is_dir():
            for name in KEPT:
                _remove(self.folder / name)
                _copy(before / name, self.folder / name)

    def keep_state(self) -> None:
        """Remember everything that :meth:`go_back` brings back."""
        state = self.folder / "states" / str(self.states)
        state.mkdir(parents=True)
        for name in KEPT:
            _copy(self.folder / name, state / name)
        self.states += 1

    def write_study(self) -> None:
        """The study file of the settings that are given."""
        lines = [path.read_text() for path in sorted((self.folder / "settings").iterdir())]
        head = 'name = "changing"\nsources = [{kind = "folders", path = "raw", modality = "MR"}]\n'
        labels = "labels = {tumor = {value = 3}, cyst = {value = 7}}\n"
        if not any(line.startswith("report.pictures") for line in lines):
            lines.append("report.pictures = false")
        text = head + labels + "".join(line + "\n" for line in lines)
        (self.folder / "study.toml").write_text(text)

    def order(self, cohort: str, **how: object) -> Order:
        """To make the cohort of the study as it is."""
        place = self.folder / cohort
        return order_of(self.folder / "study.toml", place, workers=1, rebuild=True, **how)

    def begin(self) -> str:
        """A run that is killed, one in parts, or one up to a stage; or nothing."""
        how = self.chance.choice(("", "", "", "killed", "killed", "in parts", "not to the end"))
        if how == "killed":
            _killed(self.order("cohort"), self.chance.randint(20, 400))
        elif how == "in parts":
            for number in (1, 2):
                run(self.order("cohort", shard=Shard(number, 2)), key=KEY)
        elif how == "not to the end":
            stage = self.chance.choice(("scan", "align", "pack", "split"))
            run(self.order("cohort", stop=stage), key=KEY)
        return how

    def differences(self) -> list[str]:
        """Files in which the cohort, run again, is not what a new one is, given the same split."""
        for name in ("fresh", "fresh-private"):
            _remove(self.folder / name)
        (self.folder / "fresh-private").mkdir()
        _copy(self.folder / "cohort-private/split.json", self.folder / "fresh-private/split.json")
        done = run(self.order("cohort"), key=KEY)
        self.results = done.results
        fresh = run(self.order("fresh"), key=KEY)
        one, other = self._view("cohort"), self._view("fresh")
        told = (
            [] if sorted(map(str, done.findings)) == sorted(map(str, fresh.findings)) else ["said"]
        )
        return told + [n for n in sorted({*one, *other}) if one.get(n) != other.get(n)]

    def _view(self, name: str) -> dict[str, bytes]:
        private = self.folder / f"{name}-private"
        paths = [*(self.folder / name).rglob("*"), *(private / "pictures").iterdir()]
        paths += [private / "identities.csv", private / "split.json"]
        view = {str(p).replace(str(self.folder / name), ""): p for p in paths if p.is_file()}
        held = msgspec.json.encode(read_quarantine(self.order(name)))
        return {"quarantine": held} | {shown: path.read_bytes() for shown, path in view.items()}

    def _cases(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob("raw/*/*/*/image.nii.gz"))

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("raw/**/*.nii.gz"))

    def _draw(self, path: Path) -> None:
        voxels = np.zeros(GRID.shape, np.uint8)
        start = self.chance.randint(4, 7)
        if self.chance.random() < 0.9:
            voxels[3:8, start : start + 6, 5:14] = 3
        if self.chance.random() < 0.4:
            voxels[8:10, 2:5, 2:6] = 7
        shift = self.chance.choice((0, 0, 0, 0.03, 1, 40))
        origin = (GRID.origin[0] + shift, *GRID.origin[1:])
        write_nifti(path, Volume(voxels, replace(GRID, origin=origin)))


def _copy(source: Path, target: Path) -> None:
    """A file or a folder with its times; nothing where there is none."""
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _killed(order: Order, limit: int) -> None:
    """A run in a child that dies before its call ``limit``, if it comes so far."""
    from faults.remade import Calls

    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return

    def before(number: int) -> None:
        if number == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        Calls(before)
        run(order, key=KEY)
    finally:
        os._exit(0)  # this is not the process of the tests


def history(folder: Path, seed: int, steps: int) -> Iterator[tuple[str, list[str]]]:
    """(what happened, in what the cohort differs from a new one) for every step."""
    world = World(folder, seed)
    for step in range(steps):
        world.keep_state()
        happened = [world.change() for _ in range(world.chance.randint(1, 3) if step else 0)]
        happened.append(world.begin())
        if world.chance.random() < 0.4:
            happened.append(world.change())
        yield f"{seed}.{step}: {', '.join(filter(None, happened))}", world.differences()


def main(folder: Path, first: int, last: int, steps: int) -> None:
    """Print what every step of some studies shows."""
    from faults.remade import here_and_now

    workers.WorkerPool.run = here_and_now
    for seed in range(first, last):
        for happened, differences in history(folder / str(seed), seed, steps):
            print(happened, *differences, sep="\n    ", flush=True)
        shutil.rmtree(folder / str(seed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
