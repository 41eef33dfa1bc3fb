"""Atomic writing: whole or not at all, private, and on the disk before it has its name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from MedPrepLib import atomic


def test_bytes_arrive_and_nothing_else_stays_in_the_folder(tmp_path: Path):
    atomic.write_bytes(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_an_error_while_writing_leaves_the_old_file_and_no_partial_one(tmp_path: Path):
    target = tmp_path / "a.json"
    target.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), atomic.replacing(target) as partial:
        partial.write_bytes(b"half" + (tmp_path / "missing").read_bytes())
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_the_name_appears_only_after_the_bytes_are_complete(tmp_path: Path):
    target = tmp_path / "a.json"
    with atomic.replacing(target) as partial:
        partial.write_bytes(b"x")
        assert not target.exists()
        assert partial.parent == target.parent
    assert target.read_bytes() == b"x"


@pytest.mark.fault("F2")
def test_file_and_folder_are_synced_around_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def logged_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def logged_replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(Path, "replace", logged_replace)
    atomic.write_bytes(tmp_path / "a", b"x")
    assert done == ["file", "rename", "folder"]


def test_files_and_folders_are_private_even_without_a_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        folder = atomic.make_folder(tmp_path / "one" / "two")
        atomic.write_bytes(folder / "a", b"x")
        with atomic.replacing(folder / "b") as partial:
            assert stat.S_IMODE(partial.stat().st_mode) == 0o600
            partial.write_bytes(b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_a_leftover_of_a_killed_process_is_replaced(tmp_path: Path):
    (tmp_path / ("a" + atomic.PARTIAL_SUFFIX)).write_bytes(b"left over")
    atomic.write_bytes(tmp_path / "a", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_link_planted_at_the_partial_name_is_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ("a" + atomic.PARTIAL_SUFFIX)).symlink_to(victim)
    atomic.write_bytes(tmp_path / "a", b"new")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "a").is_symlink()
