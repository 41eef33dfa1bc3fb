"""The section Export: the whole pipeline in a process of its own, watched, cancelled, read."""

from __future__ import annotations

import shutil

import pytest
from panel.user import DICE, STATE
from scene.case_samples import write_study

from MedPrepLib.load import open_cohort


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path)


def finished(user):
    return not user.inside.export.job.running


def test_a_study_is_run_watched_and_its_report_opened(user, study):
    user.open(study)
    assert user.ui.statusLabel.text == "Not run yet."
    assert user.why_not("openReportButton").startswith("There is no report yet")
    assert user.why_not("cancelButton") == "No study is running"
    user.panel.click(user.ui.runButton)
    assert user.why_not("runButton") == "A study is running"
    assert user.ui.progressBar.visible
    said = set()
    user.panel.wait_until(
        lambda: said.add(user.ui.statusLabel.text) or finished(user), timeout_s=90
    )
    user.idle()
    folder = study.parent / "cohort"
    text = f"Finished: the cohort {folder} holds 1 of 1 cases."
    assert user.ui.statusLabel.text == text
    assert len(said) > 2
    assert not user.ui.progressBar.visible
    assert user.column(DICE) == ["0.533"], "the list knows what the run found"
    user.panel.click(user.ui.openReportButton)
    (url,) = user.panel.dialogs.opened_urls
    assert url.endswith("cohort/report/index.html")
    assert len(open_cohort(study.parent / "cohort").cases) == 1


def test_what_was_approved_is_what_the_run_packs(user, study):
    user.open(study)
    user.open_case("p1")
    user.click("makeConsensusButton")
    user.click("nextPlaceButton")
    user.choose("sourceComboBox", "ben")
    user.click("acceptButton")
    user.click("approveButton")
    decided = user.desk.nodes.drawn_consensus()[0]
    user.panel.click(user.ui.runButton)
    user.panel.wait_until(lambda: finished(user), timeout_s=90)
    user.idle()
    assert user.desk is not None, "the open case stays open"
    cohort = open_cohort(study.parent / "cohort")
    assert (cohort.read(cohort.cases[0].id).mask == decided).all()


def test_what_is_drawn_and_not_saved_yet_is_saved_before_the_run(user, study):
    user.open(study)
    user.open_case("p1")
    user.click("makeConsensusButton")
    user.click("approveButton")
    user.click("nextPlaceButton")
    user.click("acceptButton")
    user.panel.click(user.ui.runButton)
    assert "changed after you approved it" in user.told
    user.panel.wait_until(lambda: finished(user), timeout_s=90)
    user.idle()
    assert user.column(STATE) == ["begun"]
    text = (study.parent / "cohort" / "manifest.json").read_text()
    assert "review by" not in text


def test_a_run_that_ends_after_another_study_was_opened_leaves_that_one_alone(
    user, study, tmp_path
):
    other = write_study(tmp_path / "other")
    shutil.copytree(tmp_path / "other/raw/north/p1", tmp_path / "other/raw/north/p2")
    user.open(study)
    user.panel.click(user.ui.runButton)
    user.open(other)
    user.panel.wait_until(lambda: finished(user), timeout_s=90)
    user.idle()
    assert len(user.column(STATE)) == 2
    assert user.ui.statusLabel.text == "Not run yet."
    assert user.why_not("openReportButton").startswith("There is no report yet")
    user.open(study)
    assert str(study.parent / "cohort") in user.ui.statusLabel.text


def test_the_list_is_renewed_from_what_is_open_and_not_from_what_is_typed(user, study, tmp_path):
    user.open(study)
    user.open_case("p1")
    user.panel.click(user.ui.runButton)
    user.panel.paste_text(user.ui.pathLineEdit, str(tmp_path / "elsewhere.toml"))
    user.panel.wait_until(lambda: finished(user), timeout_s=90)
    user.idle()
    assert user.column(DICE) == ["0.533"]
    assert user.told == ""


@pytest.mark.fault("F15")
def test_a_cancelled_run_stops_and_can_go_on(user, sample_folder, tmp_path):
    shutil.copytree(sample_folder, tmp_path / "sample")
    user.open(tmp_path / "sample/study.toml")
    user.ui.workersSpinBox.setValue(1)
    user.panel.click(user.ui.runButton)
    user.panel.wait_until(lambda: user.ui.progressBar.value > 0, timeout_s=60)
    user.panel.click(user.ui.cancelButton)
    assert user.ui.statusLabel.text == "Stopping..."
    assert user.why_not("cancelButton") == "The run has been asked to stop"
    # It takes a second where nothing else runs; this machine may be busy.
    user.panel.wait_until(lambda: finished(user), timeout_s=60)
    assert user.ui.statusLabel.text == "Cancelled; run again to go on."
    assert user.why_not("runButton") == ""
    user.panel.click(user.ui.runButton)
    user.panel.wait_until(lambda: finished(user), timeout_s=120)
    assert user.ui.statusLabel.text.startswith("Finished")


def test_a_faulty_study_file_ends_the_run_with_its_faults_in_the_log(user, study):
    user.open(study)
    study.write_text(study.read_text() + "unknown = 1\n")
    user.panel.click(user.ui.runButton)
    user.panel.wait_until(lambda: finished(user), timeout_s=60)
    user.idle()
    assert user.ui.statusLabel.text == "Not run: the study file is wrong, see the log."
    assert "unknown" in user.ui.logTextEdit.plainText


def test_a_cohort_cannot_be_run_and_says_so(user, study):
    from MedPrepLib.pipeline import order_of, run

    run(order_of(study, workers=1))
    user.open(study.parent / "cohort")
    assert "cannot be run" in user.why_not("runButton")
    assert user.why_not("openReportButton") == ""
    assert "An earlier run left its cohort" in user.ui.statusLabel.text


def test_a_closed_panel_lets_the_run_go_on_and_hears_no_more(user, study):
    user.open(study)
    user.panel.click(user.ui.runButton)
    user.panel.close_module(user.handle)
    manifest = study.parent / "cohort/manifest.json"
    user.panel.wait_until(manifest.is_file, timeout_s=90)
