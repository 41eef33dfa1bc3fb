"""Every button can be copied: as Python that does the same from nothing, or as a command."""

from __future__ import annotations

import shutil

import pytest
from panel.user import User
from scene.case_samples import write_study

CASE_BUTTONS = (
    "nextButton", "asDrawnButton", "fixButton", "worstButton", "previousPlaceButton",
    "nextPlaceButton", "mapCheckBox", "blindedCheckBox", "makeConsensusButton", "editButton",
    "acceptButton", "boxButton", "approveButton", "flagButton",
)  # fmt: skip


@pytest.fixture
def study(tmp_path):
    path = write_study(tmp_path, elsewhere=True, boxes=True)
    shutil.copytree(tmp_path / "raw/north/p1", tmp_path / "raw/north/p2")
    return path


@pytest.fixture
def opened(user, study):
    user.open(study)
    user.open_case("p1")
    user.click("makeConsensusButton")
    user.click("nextPlaceButton")
    return user


def copied(user: User, name: str) -> str:
    """What a right click on a button and a click on the menu leave in the clipboard."""
    import qt
    import slicer
    from MedPrepPanel.recipes import COMMANDS

    button = getattr(user.ui, name)
    button.customContextMenuRequested.emit(qt.QPoint(2, 2))
    menu = qt.QApplication.activePopupWidget()
    (action,) = menu.actions()
    assert action.text == ("Copy as command" if name in COMMANDS else "Copy as Python")
    user.panel.click(action)
    menu.hide()
    assert user.told.startswith("Copied")
    return slicer.app.clipboard().text()


def test_every_button_of_the_panel_has_a_recipe(user):
    from MedPrepPanel.recipes import COMMANDS, PYTHON

    buttons = {
        name
        for name, widget in vars(user.ui).items()
        if type(widget).__name__ in ("QPushButton", "QToolButton")
    }
    assert len(buttons) > 15
    assert buttons - {*PYTHON, *COMMANDS} == set()


@pytest.mark.parametrize("name", CASE_BUTTONS)
def test_what_is_copied_runs_from_nothing(opened, name):
    import slicer

    text = copied(opened, name)
    opened.panel.close_scene()
    space: dict[str, object] = {}
    exec(compile(text, name, "exec"), space)
    session = space["session"]
    assert session.desk is not None
    assert session.reviewer == "eva"
    session.drop_case()
    slicer.util.selectModule("MedPrep")


def test_what_is_copied_does_what_the_button_does(opened):
    opened.choose("sourceComboBox", "ben")
    text = copied(opened, "acceptButton")
    opened.click("acceptButton")
    mine = opened.desk.nodes.drawn_consensus()[0]
    opened.panel.close_scene()
    space: dict[str, object] = {}
    exec(compile(text, "accept", "exec"), space)
    session = space["session"]
    assert (session.desk.nodes.drawn_consensus()[0] == mine).all()
    session.drop_case()


def test_a_verdict_is_copied_with_what_was_typed(opened):
    opened.choose("difficultyComboBox", "hard")
    opened.panel.type_text(opened.ui.commentTextEdit, "it's lobulated")
    text = copied(opened, "approveButton")
    assert text.splitlines()[-1] == (
        "session.save('approved', difficulty='hard', comment=\"it's lobulated\")"
    )


def test_a_run_is_copied_as_a_command_of_the_terminal(opened, study):
    opened.ui.workersSpinBox.setValue(3)
    assert copied(opened, "runButton") == f"medprep run {study} --workers 3\n"


def test_what_is_in_the_scene_is_copied_by_its_nodes(user, study):
    import slicer

    from MedPrepLib.casebook import open_book
    from MedPrepLib.mrml import add_segmentation, add_volume

    book = open_book(study)
    case = book.read(book.entries[0].name)
    volume = add_volume(slicer.mrmlScene, case.image, "thorax")
    nodes = [add_segmentation(slicer.mrmlScene, m, r, volume) for r, m in case.masks.items()]
    user.inside.opener.open_scene(volume, nodes)
    text = copied(user, "makeConsensusButton")
    user.session.drop_case()
    space: dict[str, object] = {}
    exec(compile(text, "scene", "exec"), space)
    assert space["session"].desk.has_mask
    space["session"].drop_case()
