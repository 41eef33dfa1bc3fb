"""Power that fails: what was not synced is gone, and the cohort is still wholly old or new."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from faults import remade

from MedPrepLib import layout
from MedPrepLib.pipeline import workers
from MedPrepLib.verify import verify


class Disk:
    """What a disk is sure to hold of a folder: contents and names as they were last synced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}
        for path in (root, *root.rglob("*")):
            if path.is_dir():
                self.sync_folder(path)
            else:
                self.contents[path.stat().st_ino] = path.read_bytes()

    def sync_folder(self, path: Path) -> None:
        """Its names are on the disk now."""
        self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}

    def sync(self, handle: int) -> None:
        """The content of an open file, or the names in an open folder, are on the disk now."""
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            self.sync_folder(Path(f"/proc/self/fd/{handle}").readlink())
        else:
            self.contents[status.st_ino] = os.pread(handle, status.st_size, 0)

    def after_power_failed(self, target: Path, *, names_last: bool) -> None:
        """What a machine finds; ``names_last``: every change of a name reached the disk alone."""
        pairs = [(self.root, target)]
        while pairs:
            source, place = pairs.pop()
            place.mkdir()
            now = {e.name: e.inode() for e in os.scandir(source)} if source.is_dir() else {}
            for name, inode in (now if names_last else self.names.get(source, {})).items():
                if source / name in self.names:
                    pairs.append((source / name, place / name))
                else:
                    (place / name).write_bytes(self.contents.get(inode, b""))


@pytest.mark.fault("F2")
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux for open folders")
@pytest.mark.parametrize("names_last", [False, True])
def test_what_was_synced_is_a_whole_cohort_at_every_moment(tmp_path, monkeypatch, names_last):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    study = remade.write_study(tmp_path)
    remade.make(study, tmp_path)
    cohort = tmp_path / "cohort"
    disk, synced = Disk(cohort), os.fsync
    seen: list[bytes] = []

    def failing(handle: int) -> None:
        """Power fails: with all new names right before a sync, with none but synced ones after."""
        if names_last:
            look(cohort, disk, tmp_path / "found", seen, names_last=True)
        synced(handle)
        disk.sync(handle)
        if not names_last:
            look(cohort, disk, tmp_path / "found", seen, names_last=False)

    monkeypatch.setattr(os, "fsync", failing)
    study.write_text(remade.STUDY + remade.OTHER, encoding="utf-8")
    remade.make(study, tmp_path, rebuild=True)
    assert len(set(seen)) == 2, "the old manifest, then the new one"
    assert len(seen) > 20
    assert seen == sorted(seen, key=seen.index), "and never the old one again"


def look(cohort: Path, disk: Disk, found: Path, seen: list[bytes], *, names_last: bool) -> None:
    disk.after_power_failed(found, names_last=names_last)
    seen.append((found / layout.MANIFEST_NAME).read_bytes())
    assert [p for p in verify(found) if "interrupted" not in p.message] == []
    shutil.rmtree(found)


@pytest.mark.fault("F2")
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux for open folders")
def test_the_test_notices_a_file_that_was_not_synced(tmp_path, monkeypatch):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    monkeypatch.setattr("MedPrepLib.atomic._sync_file", lambda _path: None)
    study = remade.write_study(tmp_path)
    (tmp_path / "cohort").mkdir()
    disk, synced = Disk(tmp_path / "cohort"), os.fsync

    def noting(handle: int) -> None:
        synced(handle)
        disk.sync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    remade.make(study, tmp_path)
    disk.after_power_failed(tmp_path / "found", names_last=True)
    assert verify(tmp_path / "found") != ()
