"""What stays where it is: the record of the last split, and what a person fixed by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from MedPrepLib.config.settings import Split
from MedPrepLib.errors import ConfigError, RunError
from MedPrepLib.split.members import Member, Place, SplitPlan
from MedPrepLib.textfiles import read_rows


class Record(msgspec.Struct, frozen=True):
    """Where every patient was placed, also those who are not in the cohort at the moment.

    ``settings``: digest of the settings and the seed; under others, everything is drawn anew.
    """

    settings: str
    places: dict[str, Place] = {}
    centers: tuple[str, ...] = ()

    def after(self, plan: SplitPlan, members: Iterable[Member], settings: str) -> Record:
        """The record once ``plan`` is in force."""
        kept = dict(self.places) if self.settings == settings else {}
        kept.update({member.patient: plan.places[member.id] for member in members})
        held = (*plan.test_centers, *plan.mixed_centers)
        return Record(settings, dict(sorted(kept.items())), held)

    def to_bytes(self) -> bytes:
        """The record as JSON."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1)

    @classmethod
    def parse(cls, data: bytes, source: str) -> Record:
        """What :meth:`to_bytes` made; RunError for anything else."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise RunError(
                f"{source} is no record of a split ({error}); restore it, or delete it to take "
                "the split from the manifest"
            ) from None


def settings_digest(settings: Split, seed: int) -> str:
    """Equal for settings that want the same split; the list fixed by hand does not count."""
    wanted = msgspec.structs.replace(settings, fixed="")
    return hashlib.sha256(msgspec.json.encode((wanted, seed), order="sorted")).hexdigest()


class Fixed(msgspec.Struct, frozen=True):
    """One line of the list fixed by hand; ``fold`` is None for any (or for the test set)."""

    case: str
    patient: str
    place: Place


_SETS = {"train": "train", "training": "train", "test": "test"}


def read_fixed(path: Path, folds: int) -> tuple[Fixed, ...]:
    """A CSV with ``case`` or ``patient`` (ids of the source), ``set`` (train, test) and ``fold``.

    Raises ConfigError that names the lines that cannot be used, never their content.
    """
    if not path.is_file():
        raise ConfigError([f"$.split.fixed: {path.name!r} does not exist"])
    there, table = read_rows(path, "$.split.fixed", ",")
    if "set" not in there or not set(there) & {"case", "patient"}:
        raise ConfigError([f"$.split.fixed: {path.name} needs the columns case or patient; set"])
    rows, problems = [], []
    for line, row in table:
        cells = {name: row.get(name, "").strip() for name in _COLUMNS}
        problem = _problem(cells, folds)
        if problem:
            problems.append(f"$.split.fixed: {path.name}, line {line}: {problem}")
        else:
            fold = int(cells["fold"]) if cells["fold"] else None
            part = "test" if _SETS[cells["set"].lower()] == "test" else "train"
            place = Place("test", None) if part == "test" else Place("train", fold)
            rows.append(Fixed(cells["case"], cells["patient"], place))
    if problems:
        raise ConfigError(problems)
    return tuple(rows)


_MOST_DIGITS = 9
_COLUMNS = ("case", "patient", "set", "fold")


def _problem(cells: Mapping[str, str], folds: int) -> str:
    if not cells["case"] and not cells["patient"]:
        return "neither case nor patient"
    if cells["set"].lower() not in _SETS:
        return "set is neither train nor test"
    fold = cells["fold"]
    if fold and not (fold.isdecimal() and len(fold) < _MOST_DIGITS and int(fold) < folds):
        return f"fold is no number of 0..{folds - 1}"
    return "the test set has no folds" if cells["fold"] and cells["set"].lower() == "test" else ""
