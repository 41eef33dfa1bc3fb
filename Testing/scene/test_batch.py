"""The batch script: every case through a scene, in plain Python as in Slicer."""

from __future__ import annotations

import csv
import os
import resource
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scene.case_samples import GRID, KEY, label_map, write_study

from MedPrepLib.casebook import open_book
from MedPrepLib.config.settings import Consensus
from MedPrepLib.formats.segnrrd import read_seg_nrrd, write_seg_nrrd
from MedPrepLib.load.index import NoSuchCaseError
from MedPrepLib.markups import read_boxes
from MedPrepLib.mrml import Session
from MedPrepLib.mrml.batch import BatchOrder, run_batch
from MedPrepLib.segmentation import from_masks

SCRIPT = Path(__file__).resolve().parents[2] / "MedPrep" / "Scripts" / "medprep_batch.py"


@pytest.fixture
def study(tmp_path):
    return write_two(tmp_path)


def write_two(folder):
    """Two cases; ben's masks lie elsewhere."""
    path = write_study(folder, elsewhere=True, boxes=True)
    shutil.copytree(folder / "raw/north/p1", folder / "raw/north/p2")
    return path


@pytest.fixture
def session(scene, study):
    made = Session(scene)
    made.take_book(open_book(study, key=KEY))
    return made


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- what is written ------------------------------------------------------------------------


def test_every_case_is_compared_and_decided(session, tmp_path):
    heard = []
    summary = run_batch(session, BatchOrder(tmp_path / "out"), heard.append)
    names = [entry.name for entry in session.entries]
    assert [(s.done, s.total, s.item) for s in heard] == [(1, 2, names[0]), (2, 2, names[1])]
    alignment = rows(tmp_path / "out/alignment.csv")
    assert [(r["case"], r["rater"], r["verdict"]) for r in alignment if r["verdict"] != "same"] == [
        (name, "ben", "resample") for name in sorted(names)
    ]
    moved = [float(r["displacement_mm"]) for r in alignment if r["rater"] == "ben"]
    assert moved == pytest.approx([3.2, 3.2])
    agreement = rows(tmp_path / "out/agreement.csv")
    assert len(agreement) == 2 * 2 * 3
    worst = next(r for r in agreement if (r["label"], r["rater_b"]) == ("tumor", "ben"))
    assert float(worst["dice"]) < 0.7
    assert float(worst["hausdorff_mm"]) > 0
    assert worst["cause"] != ""
    assert "LOW_AGREEMENT" in {finding.code for finding in summary.findings}


def test_the_consensus_is_a_file_of_slicer_with_its_lineage(session, tmp_path):
    run_batch(session, BatchOrder(tmp_path / "out", Consensus(ties="rater:ana")))
    name = session.entries[0].name
    path = tmp_path / "out/consensus" / f"{name}.seg.nrrd"
    read = read_seg_nrrd(path)
    assert np.array_equal(read.mask("organ") | read.mask("tumor"), label_map(5, 12) > 0)
    header = path.read_bytes().split(b"\n\n", 1)[0].decode()
    assert "MedPrep.Method:majority" in header
    assert "MedPrep.Raters:ana, ben, eva" in header
    assert [p.name for p in path.parent.iterdir() if "partial" in p.name] == []
    assert path.stat().st_mode & 0o077 == 0
    (box,) = read_boxes(path.with_name(f"{name}.mrk.json"))
    assert box.label == "tumor"


def test_what_a_reviewer_decided_is_followed_and_nothing_is_decided_in_their_name(
    session, study, tmp_path
):
    session.change_reviewer("eva")
    name = session.entries[0].name
    desk = session.open_case(name)
    desk.decide(Consensus())
    mine = label_map(7, 19)
    desk.nodes.put_consensus(mine, None)
    session.save("approved")
    session.close_case()
    run_batch(session, BatchOrder(tmp_path / "out"))
    read = read_seg_nrrd(tmp_path / "out/consensus" / f"{name}.seg.nrrd")
    assert np.array_equal(read.mask("tumor"), mine == 3)
    assert len(list((study.parent / "reviews").rglob("*.review.json"))) == 1
    assert session.book.store.history(name, "eva")[-1].version == 1


def test_a_reviewer_who_cannot_be_followed_is_named_with_the_reason(session, study, tmp_path):
    session.change_reviewer("eva")
    for entry in session.entries:
        session.open_case(entry.name).decide(Consensus())
        session.save("approved")
        session.close_case()
    stale, damaged = (entry.name for entry in session.entries)
    ana = study.parent / "raw/north/p1/c1/masks/ana.nii.gz"
    shutil.copy(ana.with_name("eva.nii.gz"), ana)
    (drawn,) = (study.parent / "reviews" / damaged).glob("*.seg.nrrd")
    drawn.write_bytes(drawn.read_bytes()[:-9])
    session.take_book(open_book(study, key=KEY))
    summary = run_batch(session, BatchOrder(tmp_path / "out"))
    said = {(f.item, f.code) for f in summary.findings if f.code.startswith("REVIEW")}
    assert said == {(stale, "REVIEW_STALE"), (damaged, "REVIEW_UNREADABLE")}


def test_labels_that_nobody_looked_for_are_no_segments_of_the_consensus(session, study, tmp_path):
    text = study.read_text() + "[labels.cyst]\nvalue = 4\n[labels.duct]\nvalue = 5\n"
    study.write_text(text)
    for rater in ("ana", "ben", "eva"):  # a color table says that the duct was looked for
        path = study.parent / f"raw/north/p1/c1/masks/{rater}.nii.gz"
        drawn = from_masks({"organ": label_map(5, 12) == 1, "duct": label_map(5, 12) == 9}, GRID)
        path.unlink()
        write_seg_nrrd(path.with_name(f"{rater}.seg.nrrd"), drawn)
    session.take_book(open_book(study, key=KEY))
    name = next(entry.name for entry in session.entries if "p1" in entry.title)
    run_batch(session, BatchOrder(tmp_path / "out", cases=(name,)))
    read = read_seg_nrrd(tmp_path / "out/consensus" / f"{name}.seg.nrrd")
    assert set(read.names) == {"organ", "duct"}
    assert np.array_equal(read.mask("organ"), label_map(5, 12) == 1)
    assert not read.mask("duct").any()


def test_a_label_that_the_reviewer_alone_drew_is_a_segment_of_the_consensus(
    session, study, tmp_path
):
    study.write_text(study.read_text() + "[labels.cyst]\nvalue = 4\n[labels.duct]\nvalue = 5\n")
    session.take_book(open_book(study, key=KEY))
    session.change_reviewer("eva")
    name = session.entries[0].name
    desk = session.open_case(name)
    desk.decide(Consensus())
    mine = label_map(7, 19)
    mine[0, 0, 0] = 4
    desk.nodes.put_consensus(mine, None)
    session.save("approved")
    session.close_case()
    run_batch(session, BatchOrder(tmp_path / "out", cases=(name,)))
    read = read_seg_nrrd(tmp_path / "out/consensus" / f"{name}.seg.nrrd")
    assert set(read.names) == {"organ", "tumor", "cyst"}


@pytest.mark.parametrize("drawn", [True, False])
def test_a_reviewer_who_found_nothing_is_followed(session, tmp_path, drawn):
    session.change_reviewer("eva")
    name = session.entries[0].name
    desk = session.open_case(name)
    if drawn:
        desk.decide(Consensus())
        desk.nodes.put_consensus(np.zeros_like(label_map(7, 19)), None)
        desk.put_boxes(())
    session.save("approved", nothing_found=True)
    session.close_case()
    run_batch(session, BatchOrder(tmp_path / "out", cases=(name,)))
    read = read_seg_nrrd(tmp_path / "out/consensus" / f"{name}.seg.nrrd")
    assert {label: int(read.mask(label).sum()) for label in read.names} == {"organ": 0, "tumor": 0}
    assert read_boxes(tmp_path / "out/consensus" / f"{name}.mrk.json") == ()


def test_a_case_that_cannot_be_shown_is_a_finding_and_the_others_are_done(session, study, tmp_path):
    image = study.parent / "raw/north/p1/c1/image.nii.gz"
    image.write_bytes(image.read_bytes()[:100])
    session.take_book(open_book(study, key=KEY))
    summary = run_batch(session, BatchOrder(tmp_path / "out"))
    assert len(summary.results) == len(summary.not_shown) == 1
    assert {f.severity.word for f in summary.findings if f.item == summary.not_shown[0]} == {
        "reject"
    }


def test_chosen_cases_only_and_an_unknown_one_names_those_that_are_there(session, tmp_path):
    name = session.entries[1].name
    summary = run_batch(session, BatchOrder(tmp_path / "out", cases=(name,)))
    assert [result.id for result in summary.results] == [name]
    with pytest.raises(NoSuchCaseError, match=name):
        run_batch(session, BatchOrder(tmp_path / "out", cases=("nobody",)))


def test_fifty_cases_leave_no_nodes_and_no_memory_behind(scene, tmp_path):
    study = write_study(tmp_path)
    for number in range(2, 51):
        shutil.copytree(tmp_path / "raw/north/p1", tmp_path / f"raw/north/p{number}")
    session = Session(scene)
    session.take_book(open_book(study, key=KEY))
    before = scene.GetNumberOfNodes()
    peaks = []

    def listen(step):
        assert scene.GetNumberOfNodes() == before
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    summary = run_batch(session, BatchOrder(tmp_path / "out"), listen)
    assert len(summary.results) == 50
    assert peaks[-1] - peaks[9] < 5, "MiB, from the tenth case to the fiftieth"


# --- the script -----------------------------------------------------------------------------


def script(*words, folder):
    """The script as a user starts it, from another folder, where slicer-core is installed."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        cwd=folder,
        env={**os.environ, "MEDPREP_KEY_FILE": str(folder / "site.key")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """A folder with a study that the script went through, and what it said."""
    folder = tmp_path_factory.mktemp("scripted")
    words = ("--", write_two(folder), "--scenes", "--fail-on", "review")
    return folder, script(*words, folder=folder)


def test_the_script_tells_how_far_it_is_and_ends_with_the_status_of_what_it_found(scripted):
    folder, done = scripted
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1/2 ")
    assert lines[-1] == f"2 cases compared, 0 could not be shown; see {folder / 'batch'}"
    assert "Dice of the worst pair" in done.stdout
    assert "warning" not in done.stderr.lower()
    assert len(list((folder / "batch/scenes").glob("*.mrb"))) == 2
    words = (folder / "study.toml", "--out", folder / "again", "--fail-on", "never")
    assert script(*words, folder=folder).returncode == 0


def test_a_scene_of_the_batch_holds_image_raters_and_consensus(booted, scripted, files):
    path = next((scripted[0] / "batch/scenes").glob("*.mrb"))
    booted.scene.Clear(True)
    files.load("SceneFile", {"fileName": str(path), "clear": True})
    found = booted.scene.GetNodesByClass("vtkMRMLSegmentationNode")
    names = {found.GetItemAsObject(n).GetName() for n in range(found.GetNumberOfItems())}
    assert names == {"ana", "ben", "eva", "consensus"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nowhere.toml"], 2, "nowhere.toml"),
        (["study.toml", "--ties", "dice"], 2, "is no rule; say background"),
        (["study.toml", "--case", "nobody"], 2, "there is no case nobody"),
        ([], 2, "required: study"),
        (["wrong.toml"], 2, "unknown"),
        (["--help"], 0, "follow what NAME decided"),
    ],
)
def test_a_wrong_call_ends_with_two_and_says_what_is_wrong(
    scene, study, tmp_path, monkeypatch, capfd, words, status, said
):
    (tmp_path / "wrong.toml").write_text(study.read_text() + "[unknown]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDPREP_KEY_FILE", str(tmp_path / "site.key"))
    monkeypatch.setattr("MedPrepLib.mrml.bootstrap.start", lambda: scene)
    assert runpy.run_path(str(SCRIPT))["main"](words) == status
    told = "".join(capfd.readouterr())
    assert said in told
    assert "Traceback" not in told


def test_a_fault_of_the_program_is_reported_and_still_ends_slicer(monkeypatch, caplog):
    names = runpy.run_path(str(SCRIPT))
    monkeypatch.setitem(names["main"].__globals__, "run", lambda _wanted: 1 / 0)
    assert names["main"](["study.toml"]) == 3
    assert "ZeroDivisionError" in caplog.text


def test_an_interrupted_batch_says_that_what_is_done_is_kept(monkeypatch, capsys):
    def interrupted(_wanted):
        raise KeyboardInterrupt

    names = runpy.run_path(str(SCRIPT))
    monkeypatch.setitem(names["main"].__globals__, "run", interrupted)
    assert names["main"](["study.toml"]) == 130
    assert "what is done is kept" in capsys.readouterr().out


def test_the_script_is_plain_ascii():
    """Slicer reads script files in the encoding of the system."""
    SCRIPT.read_text(encoding="ascii")
