"""Filling widgets, in the ways that all sections share."""

from __future__ import annotations

from typing import Any

import qt


def usable(widget: Any, tip: str, obstacle: str = "") -> None:
    """Switch a button on, or off with the reason in its tooltip."""
    widget.enabled = not obstacle
    widget.toolTip = obstacle or tip


def fill_combo(combo: Any, entries: list[tuple[str, Any]], chosen: Any) -> None:
    """Put (text, data) into a combo box and choose by data, without telling anybody."""
    blocked = combo.blockSignals(True)
    combo.clear()
    for text, data in entries:
        combo.addItem(text, data)
    index = combo.findData(chosen)
    combo.setCurrentIndex(index if index >= 0 else (0 if entries else -1))
    combo.blockSignals(blocked)


def cell(text: str, tip: str = "", *, data: Any = None) -> Any:
    """A table cell with plain text that cannot be edited."""
    item = qt.QTableWidgetItem(text)
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    if tip:
        item.setToolTip(plain_tip(tip))
    if data is not None:
        item.setData(qt.Qt.UserRole, data)
    return item


def plain_tip(text: str) -> str:
    """A text that a tooltip shows as it is: Qt would read markup in it."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<span>{escaped}</span>" if escaped != text else text


def say(label: Any, text: str) -> None:
    """Show a sentence, or nothing, without a gap, where there is none."""
    label.text = text
    label.visible = bool(text)


def fit_list_height(found: Any, most: int) -> None:
    """Make a list whose items flow as high as they need, up to ``most`` pixels."""
    found.visible = found.count > 0
    if found.count:
        bottom = found.visualItemRect(found.item(found.count - 1)).bottom()
        found.setFixedHeight(min(bottom + 8, most))


def fit_height(table: Any, most: int, more: int = 0) -> None:
    """Make a table as high as its rows and ``more`` pixels need, up to ``most``."""
    header = table.horizontalHeader()
    height = (header.height if header.visible else 0) + 4 + more
    height += sum(table.rowHeight(row) for row in range(table.rowCount))
    table.setFixedHeight(min(max(height, 40), most))
