"""Cohorts made by a stranger: they are opened, verified and read without harm, or refused."""

from __future__ import annotations

import os
import pickle
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from core.cohort_samples import SCHEMA, build_cohort, packed_case
from faults.hostile_files import Good, spoiled

from MedPrepLib.config.settings import Pack
from MedPrepLib.errors import CohortError, UnsupportedError
from MedPrepLib.load import CohortDataset, open_cohort, read_case
from MedPrepLib.load.lmdbvalues import as_value, from_value
from MedPrepLib.manifest import read_manifest
from MedPrepLib.pack import write_case
from MedPrepLib.verify import verify

QUICK, ALL = 200, 5000
SLOWEST_S = 10.0


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    build_cohort(folder, count=2)
    return folder


def use(folder: Path) -> None:
    """What a training script does; a cohort may be refused, and nothing else may happen."""
    verify(folder)
    for way in (open_cohort, read_manifest, lambda f: [*CohortDataset(f, None)]):
        with suppress(CohortError, UnsupportedError):
            way(folder)


def try_all(cohort: Path, seeds: range) -> list[str]:
    """Spoil one file of the cohort, use it, and put it back, over and over."""
    paths = sorted(p for p in cohort.rglob("*") if p.is_file())
    paths += [cohort / "manifest.json", *sorted(cohort.rglob("*.h5"))]
    goods = [Good("", p.name, p.read_bytes()) for p in paths]
    wrong = []
    for seed in seeds:
        draw = random.Random(seed)
        number = draw.randrange(len(paths))
        paths[number].write_bytes(spoiled(goods[number], goods, draw))
        started = time.process_time()
        try:
            use(cohort)
        except BaseException as error:  # whatever it is: the test says which seed it was
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong.append(f"seed {seed}, {paths[number].name}: {type(error).__name__}: {error}")
        if time.process_time() - started > SLOWEST_S:
            wrong.append(f"seed {seed}: {time.process_time() - started:.0f} s")
        paths[number].write_bytes(goods[number].content)
    return wrong


def in_child(cohort: Path, seeds: range) -> str:
    """The same in a forked process: what went wrong there, also when it died of it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, "\n".join(try_all(cohort, seeds)).encode()[:60_000])
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    return said or ("" if status == 0 else f"the process died with status {status}")


@pytest.mark.skipif(sys.platform != "linux", reason="the child is forked")
@pytest.mark.fault("F22", "F35", "F60")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_spoiled_cohorts_are_refused_or_read_without_harm(cohort):
    assert in_child(cohort, range(QUICK)) == ""


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="the child is forked")
@pytest.mark.fault("F22", "F35", "F60")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_five_thousand_spoiled_cohorts_are_refused_or_read_without_harm(cohort):
    assert in_child(cohort, range(QUICK, ALL)) == ""


@pytest.mark.fault("F19", "F22", "F60")
def test_a_small_case_file_cannot_declare_gigabytes(tmp_path):
    path = tmp_path / write_case(tmp_path, packed_case(), Pack(), SCHEMA).name
    with h5py.File(path, "r+") as file:
        del file["image"], file["mask"]
        how = {"chunks": (32, 32, 32), "fletcher32": True}
        file.create_dataset("image", (1200, 1200, 1200), "<i2", **how)
        file.create_dataset("mask", (1200, 1200, 1200), "u1", **how)
    started = time.process_time()
    with pytest.raises(CohortError, match="implausible"):
        read_case(path)
    assert time.process_time() - started < 2


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.fault("F33", "F34", "F60")
def test_a_pickle_in_a_cohort_is_never_run(tmp_path):
    canary = tmp_path / "canary"
    bomb = pickle.dumps(Canary(canary))
    path = tmp_path / write_case(tmp_path, packed_case(), Pack(), SCHEMA).name
    with h5py.File(path, "r+") as file:
        for name in ("meta", "statistics", "labels", "readings"):
            file.attrs[name] = np.void(bomb)
    with pytest.raises(CohortError):
        read_case(path)
    for data in (bomb, as_value(b"x")[:-1] + bomb, bomb + bytes(100)):
        with pytest.raises(CohortError):
            from_value(data, "value")
    (tmp_path / "manifest.json").write_bytes(bomb)
    with pytest.raises(CohortError):
        open_cohort(tmp_path)
    for way in ("a.npy", "a.nii", "a.nrrd"):
        from MedPrepLib.errors import ReadError
        from MedPrepLib.formats.files import read_volume

        (tmp_path / way).write_bytes(b"\x93NUMPY" + bomb)
        with pytest.raises(ReadError):
            read_volume(tmp_path / way)
    assert not canary.exists()
    pickle.loads(bomb)
    assert canary.exists(), "the pickle would have worked"


@pytest.mark.fault("F34")
def test_a_crafted_lmdb_is_refused(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    from MedPrepLib.load.lmdbvalues import read_value

    folder = tmp_path / "lmdb"
    values = {
        b"good": as_value(b"data"),
        b"pickle": pickle.dumps(Canary(tmp_path / "canary")),
        b"short": b"MPLV",
        b"huge": as_value(b"data")[:8] + b"\xff" * 32 + as_value(b"data")[40:],
        b"changed": as_value(b"data")[:-1] + b"X",
    }
    with (
        lmdb.open(str(folder), map_size=1 << 20) as environment,
        environment.begin(write=True) as transaction,
    ):
        for name, value in values.items():
            transaction.put(name, value)
    assert read_value(folder, "good") == b"data"
    for name in ("pickle", "short", "huge", "changed", "absent"):
        with pytest.raises(CohortError):
            read_value(folder, name)
    assert not (tmp_path / "canary").exists()
    data = (folder / "data.mdb").read_bytes()
    draw = random.Random(0)
    for cut in (0, 1, 100, 4096, 5000):
        (folder / "data.mdb").write_bytes(data[:cut])
        with pytest.raises(CohortError):
            read_value(folder, "good")
    for _ in range(5):  # magic, version and flags of both meta pages (CVE-2019-16224 and others)
        changed = bytearray(data)
        for page in (0, 4096):
            changed[page + draw.randrange(8, 24)] ^= 0xFF
        (folder / "data.mdb").write_bytes(changed)
        try:
            assert read_value(folder, "good") == b"data"
        except CohortError:
            continue
