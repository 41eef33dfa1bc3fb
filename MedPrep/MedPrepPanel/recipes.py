"""What the buttons do, as Python for Slicer's console and for scripts, or as a command."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

Recipe = Callable[[Any], str]


def offer(panel: Any) -> None:
    """Give every button a menu at the right mouse button that copies its recipe."""
    for text, recipes in ((_("Copy as Python"), PYTHON), (_("Copy as command"), COMMANDS)):
        for name, recipe in recipes.items():
            button = getattr(panel.ui, name)
            # A menu of its own: actions of a tool button would become a second arrow at it.
            menu = qt.QMenu(button)
            menu.addAction(text).connect("triggered(bool)", _copier(panel, recipe))
            button.setContextMenuPolicy(qt.Qt.CustomContextMenu)
            button.connect("customContextMenuRequested(QPoint)", _opener(button, menu))


def _opener(button: Any, menu: Any) -> Callable[[Any], None]:
    return lambda where: menu.popup(button.mapToGlobal(where))


def _copier(panel: Any, recipe: Recipe) -> Callable[..., None]:
    def copy(checked: bool = False) -> None:
        with panel.trying():
            slicer.app.clipboard().setText(recipe(panel))
            panel.messages.note(_("Copied; paste it into a script or a console."))

    return copy


# --- beginnings -------------------------------------------------------------------------------


def opened(panel: Any) -> str:
    """A session with what is open in the panel."""
    session = panel.session
    lines = [
        "from pathlib import Path",
        "import slicer",
        "from MedPrepLib.mrml import Session",
        f"session = Session(slicer.mrmlScene, {panel.review.reviewer!r})",
    ]
    if session is not None and session.book is not None and not session.reads_files:
        lines.append(_open_scene(session.book))
    else:
        lines.append(f"session.open(Path({panel.path!r}))")
    return _lines(*lines)


def _open_scene(book: Any) -> str:
    nodes = ", ".join(_node(node) for node in book.segmentations)
    return f"session.open_scene({_node(book.volume)}, [{nodes}], Path({str(book.folder)!r}))"


def _node(node: Any) -> str:
    return f"slicer.mrmlScene.GetNodeByID({node.GetID()!r})"


def case_open(panel: Any) -> str:
    """The same with the open case on the desk."""
    name = panel.desk.case.name if panel.desk is not None else panel.opening
    return opened(panel) + _lines(f"desk = session.open_case({name!r})")


def _step(by: int) -> Recipe:
    def recipe(panel: Any) -> str:
        return opened(panel) + _lines(f"desk = session.open_case({panel.cases.neighbor(by)!r})")

    return recipe


# --- one action each --------------------------------------------------------------------------


def _listing(panel: Any) -> str:
    return opened(panel) + _lines(
        "for entry in session.entries:",
        "    print(entry.title, entry.state, entry.lowest_dice, *entry.flags)",
    )


def _fix(panel: Any) -> str:
    rater = panel.alignment.rater
    fixed = rater not in panel.desk.case.fixes
    return case_open(panel) + _lines(f"desk = session.fix_grid({rater!r}, fixed={fixed})")


def _as_drawn(panel: Any) -> str:
    rater = panel.alignment.rater
    return case_open(panel) + _lines(
        f"desk.nodes.show_as_drawn({rater!r}, desk.colors[{rater!r}], visible=True)"
    )


def _worst(panel: Any) -> str:
    label = panel.agreement.label
    return case_open(panel) + _lines(
        f"worst = desk.analysis.worst({label!r})[-1]", "desk.look_at(worst.position_mm)"
    )


def _place(panel: Any, number: int) -> str:
    label = panel.agreement.label
    return _lines(f"place = desk.analysis.places({label!r})[{number}]")


def _next_place(by: int) -> Recipe:
    def recipe(panel: Any) -> str:
        count = len(panel.agreement.places)
        number = (panel.agreement.place + by) % max(count, 1)
        return case_open(panel) + _place(panel, number) + _lines("desk.look_at(place.center_mm)")

    return recipe


def _map(panel: Any) -> str:
    shown = f"desk.show_disagreement({panel.agreement.label!r}, visible=True)"
    return case_open(panel) + _lines(shown)


def _blinded(panel: Any) -> str:
    return case_open(panel) + _lines("desk.blind(blinded=True)")


def decided(panel: Any) -> str:
    """The same with a consensus made as it is chosen now."""
    how = panel.consensus.how()
    return case_open(panel) + _lines(
        "from MedPrepLib.config.settings import Consensus",
        f"desk.decide(Consensus(method={how.method!r}, ties={how.ties!r}))",
    )


def _edit(panel: Any) -> str:
    return decided(panel) + _lines(
        "desk.choose_for_editing()",
        'slicer.util.selectModule("SegmentEditor")',
    )


def _accept(panel: Any) -> str:
    source = str(panel.ui.sourceComboBox.currentData)
    accepted = _lines(f"desk.accept(place, {source!r})")
    return decided(panel) + _place(panel, max(panel.agreement.place, 0)) + accepted


def _box(panel: Any) -> str:
    return decided(panel) + _lines(
        f"desk.add_box({panel.agreement.label!r}, {panel.desk.center_of_views!r})"
    )


def _save(verdict: str) -> Recipe:
    def recipe(panel: Any) -> str:
        notes = panel.review.notes()
        given = "".join(f", {name}={value!r}" for name, value in notes.items() if value)
        return case_open(panel) + _lines(f"session.save({verdict!r}{given})")

    return recipe


def _report(panel: Any) -> str:
    return _lines(
        "import webbrowser",
        "from pathlib import Path",
        f"webbrowser.open(Path({panel.export.report!r}).as_uri())",
    )


def _run(panel: Any) -> str:
    workers = panel.options.workers if panel.options else 0
    command = ["medprep", "run", panel.export.study]
    command += ["--rebuild"] if panel.ui.rebuildCheckBox.checked else []
    return shlex.join([*command, *(["--workers", str(workers)] if workers else [])]) + "\n"


def _cancel(panel: Any) -> str:
    return shlex.join(["touch", str(panel.export.job.cancel_file)]) + "\n"


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


PYTHON: dict[str, Recipe] = {
    "openButton": _listing,
    "compareButton": opened,
    "previousButton": _step(-1),
    "nextButton": _step(1),
    "fixButton": _fix,
    "asDrawnButton": _as_drawn,
    "worstButton": _worst,
    "previousPlaceButton": _next_place(-1),
    "nextPlaceButton": _next_place(1),
    "mapCheckBox": _map,
    "blindedCheckBox": _blinded,
    "makeConsensusButton": decided,
    "editButton": _edit,
    "boxButton": _box,
    "acceptButton": _accept,
    "approveButton": _save("approved"),
    "flagButton": _save("flagged"),
    "openReportButton": _report,
}
"""By button: lines that can be run from nothing, in Slicer or with a scene of one's own."""

COMMANDS: dict[str, Recipe] = {"runButton": _run, "cancelButton": _cancel}
"""By button: one line for a terminal."""
