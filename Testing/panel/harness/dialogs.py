"""What would stop and wait for a user: recorded, answered at once, never shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QColorDialog,
    QDialog,
    QFileDialog,
    QFontDialog,
    QInputDialog,
    QMenu,
    QMessageBox,
)

Button = QMessageBox.StandardButton
# Nobody says yes by default: the first of these that the box offers is pressed.
REFUSALS = (Button.Cancel, Button.No, Button.Close, Button.Abort, Button.Ok)


@dataclass(frozen=True)
class Shown:
    """One box that a user would have seen; ``answer`` is what the harness returned."""

    kind: str  # information, question, warning, critical, message, dialog, menu, file, folder
    title: str
    text: str
    detail: str = ""
    answer: Any = None


@dataclass
class Dialogs:
    """The record of one test, and what to answer."""

    shown: list[Shown] = field(default_factory=list)
    opened_urls: list[str] = field(default_factory=list)
    # Called with a QDialog that would have been run; returns its result.
    run: Callable[[QDialog], int] | None = None
    _rules: list[tuple[str, Button]] = field(default_factory=list)
    _files: list[Any] = field(default_factory=list)

    def answer(self, text: str, button: Button) -> None:
        """Press ``button`` in every message box whose title or text contains ``text``."""
        self._rules.insert(0, (text, button))

    def choose(self, *paths: str | Path) -> None:
        """What the next file dialogs return, one after the other; without this "" (cancelled)."""
        self._files += [str(path) for path in paths]

    def texts(self, *kinds: str) -> list[str]:
        """The texts shown so far, of these kinds or of all."""
        return [shown.text for shown in self.shown if not kinds or shown.kind in kinds]

    def clear(self) -> None:
        self.__init__()

    def message(self, kind: str, title: str, text: str, detail: str, buttons: Any) -> Button:
        rule = next((b for part, b in self._rules if part in title or part in text), None)
        refusal = next((b for b in REFUSALS if buttons & b), Button.NoButton)
        answer = refusal if rule is None else rule
        if rule is not None and not buttons & rule:
            raise AssertionError(f"the box '{text}' has no button {rule.name}")
        self.shown.append(Shown(kind, title, text, detail, answer))
        return answer

    def file(self, kind: str, title: str, folder: str) -> str:
        path = self._files.pop(0) if self._files else ""
        self.shown.append(Shown(kind, title, str(folder), answer=path))
        return path


dialogs = Dialogs()


def replace_dialogs() -> None:
    """Put the recorder in the place of everything in Qt that waits for a user."""
    for kind in ("information", "question", "warning", "critical"):
        setattr(QMessageBox, kind, staticmethod(_box(kind)))
    for cls, run in ((QMessageBox, _run_box), (QDialog, _run_dialog), (QMenu, _run_menu)):
        cls.exec = cls.exec_ = run
    QFileDialog.getOpenFileName = staticmethod(_file("file"))
    QFileDialog.getSaveFileName = staticmethod(_file("file"))
    QFileDialog.getExistingDirectory = staticmethod(_file("folder"))
    QFileDialog.getOpenFileNames = staticmethod(_files)
    QDesktopServices.openUrl = staticmethod(_open_url)
    for cls in (QInputDialog, QColorDialog, QFontDialog):
        for name in [n for n in dir(cls) if n.startswith("get") and n[3:4].isupper()]:
            setattr(cls, name, staticmethod(_not_there(f"{cls.__name__}.{name}")))


def _box(kind: str) -> Callable[..., Button]:
    def show(
        parent: Any, title: str, text: str, buttons: Any = Button.Ok, default: Any = None
    ) -> Button:
        if kind == "question" and buttons == Button.Ok:
            buttons = Button.Yes | Button.No
        return dialogs.message(kind, title, text, "", buttons)

    return show


def _run_box(box: QMessageBox) -> Button:
    kinds = {"Information": "information", "Question": "question", "Warning": "warning"}
    kind = {**kinds, "Critical": "critical"}.get(box.icon.name, "message")
    buttons = box.standardButtons or Button.Ok
    return dialogs.message(kind, box.windowTitle.strip(), box.text, box.detailedText, buttons)


def _run_dialog(dialog: QDialog) -> int:
    result = dialogs.run(dialog) if dialogs.run else 0
    dialogs.shown.append(Shown("dialog", dialog.windowTitle, _words(dialog), answer=result))
    return result


def _run_menu(menu: QMenu, *_: Any) -> None:
    text = ", ".join(action.text for action in menu.actions())
    dialogs.shown.append(Shown("menu", menu.title, text))


def _words(dialog: QDialog) -> str:
    labels = dialog.findChildren("QLabel")
    return "\n".join(label.text for label in labels if label.text)


def _file(kind: str) -> Callable[..., str]:
    def ask(parent: Any = None, caption: str = "", folder: str = "", *_: Any) -> str:
        return dialogs.file(kind, caption, folder)

    return ask


def _files(parent: Any = None, caption: str = "", folder: str = "", *_: Any) -> tuple[str, ...]:
    path = dialogs.file("file", caption, folder)
    return (path,) if path else ()


def _open_url(url: Any) -> bool:
    dialogs.opened_urls.append(url.toString())
    return True


def _not_there(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"{name} would wait for a user; Testing/panel has no stand-in")

    return refuse
