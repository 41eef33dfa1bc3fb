"""The driver: modules are opened and closed, users are imitated, pictures taken, errors caught."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from pathlib import Path

import pytest
from panel.sample_module import write_sample_module

MEDPREP = Path(__file__).resolve().parents[2] / "MedPrep" / "MedPrep.py"


@pytest.fixture
def sample(panel, tmp_path):
    return panel.open_module(write_sample_module(tmp_path))


# --- modules --------------------------------------------------------------------------------


def test_an_open_module_is_known_to_slicer(panel, sample):
    import slicer

    assert slicer.modules.SampleWidget is sample.widget
    assert slicer.modules.sample.widgetRepresentation().self() is sample.widget
    assert slicer.util.getModuleWidget("Sample") is sample.widget
    assert slicer.modules.SampleInstance.parent.title == "Sample"
    assert slicer.util.selectedModule() == "Sample"
    assert sample.widget.life == ["made", "set up", "entered"]
    assert sample.ui.greetButton.visible


def test_another_module_is_entered_after_this_one_is_left(sample):
    sample.exit()
    assert not sample.representation.isEntered
    assert not sample.ui.greetButton.visible
    sample.enter()
    assert sample.representation.isEntered
    assert sample.widget.life[-3:] == ["entered", "left", "entered"]


def test_a_module_finds_the_package_beside_it_and_nothing_remains(panel, sample):
    folder = str(Path(sample.module.path).parent)
    assert sys.modules["SamplePanel.words"].__file__.startswith(folder)
    assert folder in sys.path
    panel.close_module(sample)
    assert folder not in sys.path
    assert [n for n in sys.modules if n.startswith("Sample") and n != "SampleData"] == []


def test_a_closed_module_was_cleaned_up_and_is_gone(panel, sample):
    import slicer

    life = sample.widget.life
    gone = [weakref.ref(sample.widget), weakref.ref(sample.ui.greetButton)]
    button = sample.ui.greetButton
    panel.close_module(sample)
    del sample
    assert life[-2:] == ["left", "cleaned up"]
    assert not hasattr(slicer.modules, "SampleWidget")
    assert not hasattr(slicer.modules, "sample")
    with pytest.raises(ValueError, match="destroyed"):
        _ = button.text
    del button
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_module_opened_again_is_read_again_and_alone_hears_the_scene(panel, tmp_path):
    import slicer

    script = write_sample_module(tmp_path)
    first = panel.open_module(script)
    added = first.widget.added
    panel.close_module(first)
    words = script.parent / "SamplePanel" / "words.py"
    words.write_text("def greeting(name):\n    return 'welcome'\n")
    second = panel.open_module(script)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "new")
    assert "new" not in added
    assert second.widget.added[-1] == "new"
    panel.click(second.ui.greetButton)
    assert second.ui.greetingLabel.text == "welcome"


def test_a_module_is_reloaded_in_place(panel, sample):
    import slicer

    before = sample.widget
    slicer.util.reloadScriptedModule("Sample")
    panel.process()
    assert before.life[-1] == "cleaned up"
    assert slicer.modules.SampleWidget is sample.widget is not before
    panel.type_text(sample.ui.noteEdit, "you")
    assert sample.widget.parameters.note == "you"


def test_the_tests_inside_a_module_can_be_run(sample):
    import slicer

    slicer.selfTests["Sample"](msec=0)


def test_sample_data_are_registered_when_slicer_has_started(panel):
    panel.open_module(MEDPREP, started=False)
    assert panel.sample_data.sources == []
    panel.app.startupCompleted.emit()
    assert [s["sampleName"] for s in panel.sample_data.sources] == ["MedPrepStudy"]


# --- acting like a user ---------------------------------------------------------------------


def test_what_is_typed_and_clicked_has_its_effect(panel, sample):
    panel.type_text(sample.ui.noteEdit, "you")
    panel.click(sample.ui.greetButton)
    assert sample.ui.greetingLabel.text == "hello, you"


def test_what_is_off_or_out_of_sight_cannot_be_clicked(panel, sample):
    sample.ui.greetButton.toolTip = "type a name first"
    sample.ui.greetButton.enabled = False
    with pytest.raises(AssertionError, match=r"is disabled \(type a name first\)"):
        panel.click(sample.ui.greetButton)
    with pytest.raises(AssertionError, match="loudCheckBox is not visible"):
        panel.click(sample.ui.loudCheckBox)


def test_a_folded_part_unfolds_at_a_click_and_its_boxes_can_be_ticked(panel, sample):
    panel.click(sample.ui.advancedButton)
    panel.click(sample.ui.loudCheckBox)
    assert sample.ui.loudCheckBox.checked
    assert not sample.ui.noteEdit.enabled  # the form connects them


def test_an_entry_is_chosen_by_its_text(panel, sample):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    panel.choose(sample.ui.volumeSelector, "CT")
    assert sample.widget.parameters.volume is node
    with pytest.raises(AssertionError, match="no entry 'MR'"):
        panel.choose(sample.ui.volumeSelector, "MR")


def test_a_click_into_a_cell_selects_it(panel):
    import qt

    table, heard = qt.QTableWidget(3, 2), []
    table.connect("cellClicked(int,int)", lambda row, column: heard.append((row, column)))
    table.connect("cellDoubleClicked(int,int)", lambda row, _: heard.append(row))
    table.show()
    panel.click_cell(table, 2, 1)
    panel.click_cell(table, 1, 0, double=True)
    assert heard == [(2, 1), (1, 0), 1]


def test_a_shortcut_fires_in_the_main_window(panel, sample):
    import qt
    import slicer

    heard = []
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+N"), slicer.util.mainWindow())
    shortcut.connect("activated()", lambda: heard.append("next"))
    panel.press("Ctrl+N")
    panel.press("Ctrl+N", sample.ui.noteEdit)
    shortcut.enabled = False
    panel.press("Ctrl+N")
    shortcut.delete()
    assert heard == ["next", "next"]


def test_a_shortcut_that_slicer_has_already_does_nothing(panel):
    import qt
    import slicer

    heard = []
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+Shift+A"), slicer.util.mainWindow())
    shortcut.connect("activated()", lambda: heard.append("approve"))
    panel.press("Ctrl+Shift+A")
    panel.press("Ctrl+Shift+A")
    shortcut.delete()
    assert heard == []


def test_waiting_ends_when_it_takes_too_long(panel):
    with pytest.raises(AssertionError, match="within 0"):
        panel.wait_until(lambda: False, timeout_s=0.05)


# --- errors ---------------------------------------------------------------------------------


def test_an_exception_in_a_slot_is_collected(panel, sample):
    panel.click(sample.ui.greetButton)
    assert "ValueError: nobody to greet" in panel.slot_errors.report()
    assert [str(e) for e in panel.slot_errors.take(ValueError)] == ["nobody to greet"]
    assert len(panel.slot_errors) == 0


def test_exceptions_in_timers_and_observers_are_collected(panel):
    import qt
    import slicer

    qt.QTimer.singleShot(0, lambda: 1 / 0)
    tag = slicer.mrmlScene.AddObserver("AnyEvent", lambda *_: [].pop())
    slicer.mrmlScene.InvokeEvent("AnyEvent")
    slicer.mrmlScene.RemoveObserver(tag)
    panel.wait_until(lambda: len(panel.slot_errors.take(ZeroDivisionError)) == 1)
    panel.slot_errors.take(IndexError)
    assert len(panel.slot_errors) == 0


FAILING_TEST = """
def test_an_error_that_nobody_took(panel):
    import qt
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
"""


def test_an_exception_that_was_not_taken_fails_the_test(harness, tmp_path):
    """In a pytest of its own, because the failure is the point."""
    import subprocess

    root = Path(__file__).resolve().parents[1]
    (tmp_path / "test_it.py").write_text(FAILING_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "panel.conftest", "test_it.py"]
    done = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "ZeroDivisionError" in done.stdout
    assert "in a slot, a timer or an observer" in done.stdout


# --- pictures -------------------------------------------------------------------------------


def _colors(image):
    return {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(image.height())}


def test_a_picture_of_a_panel_has_the_requested_size_and_is_not_blank(panel, sample, tmp_path):
    import qt

    size = sample.representation.size
    panel.grab(sample, tmp_path / "panel.png", width=300, height=500)
    image = qt.QImage(str(tmp_path / "panel.png"))
    assert (image.width(), image.height()) == (300, 500)
    assert len(_colors(image)) > 20
    assert sample.representation.size == size


def test_a_picture_is_as_high_as_the_panel_wants_to_be(panel, sample, tmp_path):
    folded = panel.grab(sample, tmp_path / "folded.png")
    panel.click(sample.ui.advancedButton)
    unfolded = panel.grab(sample, tmp_path / "unfolded.png")
    assert folded.width() == unfolded.width() == 460
    assert unfolded.height() > folded.height()


def test_letters_are_drawn_and_not_boxes(panel, tmp_path):
    import qt

    pictures = []
    for text in ("iiii", "WWWW"):
        label = qt.QLabel(text)
        pictures.append(_colors(panel.grab(label, tmp_path / "text.png", width=80, height=30)))
    assert min(len(colors) for colors in pictures) > 2
    assert qt.QFontMetrics(qt.QFont()).horizontalAdvance("W") > 2 * qt.QFontMetrics(
        qt.QFont()
    ).horizontalAdvance("i")
