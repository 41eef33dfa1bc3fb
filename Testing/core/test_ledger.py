"""The ledger: what was done is not done again, what changed is."""

from __future__ import annotations

import os
import sqlite3

import pytest

from MedPrepLib.errors import RunError
from MedPrepLib.ledger import fingerprint, open_ledger, stamp
from MedPrepLib.results import CaseResult


def result(case_id: str) -> CaseResult:
    return CaseResult(case_id, "p", "a", "CT", "GE", "F", 50, ())


def test_headers_are_kept_by_folder_and_way_of_reading(tmp_path) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.keep_headers("a", "r1", [b"one", b"two", b"three"])
        ledger.keep_headers("b\udcff", "r1", [b"other"])
        ledger.keep_headers("a", "r1", [b"1", b"2"])
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.headers("a", "r1") == [b"1", b"2"]
        assert ledger.headers("b\udcff", "r1") == [b"other"]
        assert ledger.headers("a", "r2") == []


def test_a_ledger_of_an_older_layout_is_started_afresh(tmp_path) -> None:
    connection = sqlite3.connect(tmp_path / "l.sqlite")
    connection.executescript(
        "CREATE TABLE headers (path TEXT PRIMARY KEY, record BLOB); PRAGMA user_version = 1;"
    )
    connection.close()
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.keep_headers("a", "r", [b"1"])
        assert ledger.headers("a", "r") == [b"1"]


def test_a_case_counts_as_done_for_the_same_inputs_and_recipe_only(tmp_path) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.keep_case(result("c"), "inputs", "recipe")
        assert ledger.case("c", "inputs", "recipe") == result("c")
        assert ledger.case("c", "other", "recipe") is None
        assert ledger.case("c", "inputs", "other") is None


def test_a_fingerprint_changes_with_size_time_and_loss_of_a_file(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    os.utime(path, ns=(1, 1))
    first = fingerprint([str(path)])
    os.utime(path, ns=(2, 2))
    second = fingerprint([str(path)])
    path.unlink()
    third = fingerprint([str(path)])
    assert len({first, second, third}) == 3


def test_a_fingerprint_changes_with_a_file_that_takes_the_place_of_its_like(tmp_path) -> None:
    path, new = tmp_path / "mask.nrrd", tmp_path / "new"
    for file, content in ((path, b"abc"), (new, b"abd")):
        file.write_bytes(content)
        os.utime(file, ns=(1, 1))
    first = fingerprint([str(path)])
    assert fingerprint([str(path)]) == first
    new.replace(path)
    assert path.stat().st_mtime_ns == 1
    second = fingerprint([str(path)])
    path.write_bytes(b"abe")  # in place, and dated back
    os.utime(path, ns=(1, 1))
    assert len({first, second, fingerprint([str(path)])}) == 3


def test_the_order_of_files_does_not_matter(tmp_path) -> None:
    paths = []
    for name in "ab":
        (tmp_path / name).write_bytes(b"1")
        paths.append(str(tmp_path / name))
    assert fingerprint(paths) == fingerprint(paths[::-1])
    assert stamp(paths[0]).size == 1


def test_a_file_that_is_no_ledger_is_refused_with_the_way_out(tmp_path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_bytes(b"this is no database, but long enough to look like one" * 50)
    with pytest.raises(RunError, match="delete it"), open_ledger(path):
        pass


def test_notes_are_replaced(tmp_path) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.recall("n") is None
        ledger.remember("n", b"1")
        ledger.remember("n", b"2")
        assert ledger.recall("n") == b"2"
