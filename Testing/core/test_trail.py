"""The audit trail: appended, chained, and honest about what was done to it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from commands import medprep
from scene.case_samples import KEY, write_study

from MedPrepLib.pipeline import order_of, run
from MedPrepLib.pipeline.record import anchors, reviews_trail
from MedPrepLib.review import Review, ReviewStore
from MedPrepLib.trail import START, Trail

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def trail(tmp_path):
    made = Trail(tmp_path / "t")
    for number in range(5):
        made.add("ana", "review saved", f"c{number}", verdict="approved")
    return made


def lines(trail):
    return trail.path.read_bytes().splitlines(keepends=True)


def test_lines_say_who_did_what_to_which_case_and_follow_each_other(trail):
    first, second, *_ = trail.acts()
    assert (first.who, first.what, first.case) == ("ana", "review saved", "c0")
    assert (first.number, first.previous, second.number) == (1, START, 2)
    assert first.details == {"verdict": "approved"}
    assert trail.faults() == ()
    assert trail.faults([trail.head()]) == ()
    if os.name == "posix":
        assert stat.S_IMODE(trail.path.stat().st_mode) == 0o600


def test_a_changed_line_is_named(trail):
    whole = lines(trail)
    whole[2] = whole[2].replace(b"approved", b"rejected")
    trail.path.write_bytes(b"".join(whole))
    assert [(f.line, f.message) for f in trail.faults()] == [
        (4, "does not follow from the line before, which was changed")
    ]


def test_a_removed_line_is_named(trail):
    whole = lines(trail)
    trail.path.write_bytes(b"".join(whole[:2] + whole[3:]))
    assert trail.faults()[0].line == 3
    assert "taken out" in trail.faults()[0].message


def test_reordered_lines_are_named(trail):
    whole = lines(trail)
    whole[1], whole[3] = whole[3], whole[1]
    trail.path.write_bytes(b"".join(whole))
    assert {fault.line for fault in trail.faults()} >= {2, 4}


def test_a_line_that_was_put_in_is_named(trail):
    whole = lines(trail)
    trail.path.write_bytes(b"".join([*whole[:3], whole[2], *whole[3:]]))
    assert trail.faults()[0].line == 4


def test_lines_cut_off_at_the_end_are_known_by_an_anchor(trail):
    head = trail.head()
    trail.path.write_bytes(b"".join(lines(trail)[:-2]))
    assert trail.faults() == ()
    (fault,) = trail.faults([head])
    assert "5 lines were there once, 3 are left" in fault.message
    for number in range(3):
        trail.add("eve", "review saved", f"x{number}")
    (fault,) = trail.faults([head])
    assert fault.line == 5


def test_a_line_torn_by_a_crash_is_cut_off_and_that_is_said(trail):
    torn = lines(trail)[-1][:-20]
    with trail.path.open("ab") as file:
        file.write(torn)
    assert [fault.message for fault in trail.faults()] == ["was torn by a crash"]
    assert trail.head().lines == 5
    trail.add("ana", "review saved", "c9")
    assert [act.what for act in trail.acts()[-2:]] == ["repaired", "review saved"]
    assert trail.acts()[-2].details == {"bytes": str(len(torn))}
    assert trail.faults() == ()


def test_a_file_that_is_all_torn_begins_anew(tmp_path):
    trail = Trail(tmp_path)
    trail.path.write_bytes(b'{"number":1,"at":"2')
    trail.add("ana", "review saved", "c1")
    assert [act.what for act in trail.acts()] == ["repaired", "review saved"]
    assert trail.faults() == ()


def test_strange_lines_are_kept_and_named(trail):
    with trail.path.open("ab") as file:
        file.write(b"hello\n")
    trail.add("ana", "review saved", "c9")
    assert [(f.line, f.message) for f in trail.faults()] == [(6, "is no line of an audit trail")]
    assert trail.acts()[-1].number == 7


def test_processes_that_append_at_the_same_time_make_one_chain(tmp_path):
    code = (
        "import sys; from pathlib import Path; from MedPrepLib.trail import Trail\n"
        "for n in range(40): Trail(Path(sys.argv[1])).add(sys.argv[2], 'review saved', f'c{n}')"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who], env=env)
        for who in ("ana", "ben")
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    trail = Trail(tmp_path)
    assert trail.faults() == ()
    acts = trail.acts()
    assert len(acts) == 80
    for who in ("ana", "ben"):
        assert [act.case for act in acts if act.who == who] == [f"c{n}" for n in range(40)]


def test_reviews_and_runs_stand_in_the_trail_and_runs_anchor_the_reviews(tmp_path):
    study = write_study(tmp_path)
    order = order_of(study, workers=1)
    first = run(order, key=KEY)
    store = ReviewStore(tmp_path / "reviews")
    saved = store.save(Review(first.results[0].id, "Ana", verdict="approved"))
    store.save(Review(first.results[0].id, "Ana", verdict="approved"))  # says the same
    run(order, key=KEY)
    (act,) = reviews_trail(order).acts()
    assert (act.who, act.what, act.case) == ("Ana", "review saved", saved.case)
    assert act.details["verdict"] == "approved"
    runs = Trail(order.private)
    assert [act.what for act in runs.acts()] == ["run started", "run finished"] * 2
    assert runs.acts()[1].details["included"] == "1"
    assert len(runs.acts()[1].details["cohort"]) == 64
    assert [anchor.lines for anchor in anchors(runs)] == [0, 1]
    assert reviews_trail(order).faults(anchors(runs)) == ()
    reviews_trail(order).path.write_bytes(b"")
    assert reviews_trail(order).faults(anchors(runs))


def test_the_command_prints_and_verifies_the_trail(tmp_path):
    study = write_study(tmp_path)
    order = order_of(study, workers=1)
    trail = reviews_trail(order)
    for number in range(3):
        trail.add("ana", "review saved", f"c{number}")

    shown = medprep("audit-trail", study)
    assert shown.returncode == 0
    assert "ana  review saved  c1" in shown.stdout
    assert "Unchanged. runs: 0 lines" in shown.stdout
    whole = lines(trail)
    trail.path.write_bytes(b"".join([whole[0], whole[2]]))
    checked = medprep("audit-trail", study, "--verify", "--json")
    assert checked.returncode == 1
    (fault,) = msgspec.json.decode(checked.stdout)["faults"]
    assert (fault["trail"], fault["line"]) == ("reviews", 2)
