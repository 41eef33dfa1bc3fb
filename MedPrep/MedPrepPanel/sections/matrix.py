"""The table of raters: one cell for each two, colored by how well they agree."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from MedPrepPanel.sections.heat import ink, paint
from MedPrepPanel.sections.widgets import cell, fit_height, plain_tip
from MedPrepPanel.sentences import agreement as sentences

LOW = "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
HIGHEST = 220
"""Pixels; more raters are scrolled."""
NARROWEST, WIDEST_NAME = 58, 110
"""Pixels of a column, so that its value can be read, and of the names of the rows."""
FITTING, SCROLL_BAR = 5, 16
"""Columns that fit beside each other in a column of 430 pixels, and what scrolling more takes."""


def prepare(table: Any) -> None:
    """Once: let values be read however long the names are; tooltips have all of them."""
    for header in (table.horizontalHeader(), table.verticalHeader()):
        header.setTextElideMode(qt.Qt.ElideMiddle)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    table.horizontalHeader().setMinimumSectionSize(NARROWEST)
    table.verticalHeader().setDefaultSectionSize(22)
    table.verticalHeader().setMaximumWidth(WIDEST_NAME)


def fill(table: Any, desk: Any, label: str, metric: Any, raters: tuple[str, ...]) -> None:
    """Show what a metric says about every two raters on a label, as far as it is known by now."""
    from MedPrepLib.casebook import matrix

    table.setRowCount(len(raters))
    table.setColumnCount(len(raters))
    names = [desk.name_of(rater) for rater in raters]
    table.setHorizontalHeaderLabels(names)
    table.setVerticalHeaderLabels(names)
    for number, name in enumerate(names):
        for item in (table.horizontalHeaderItem(number), table.verticalHeaderItem(number)):
            item.setToolTip(plain_tip(name))
    known = bool(label) and desk.analysis.knows(metric.needs, label)
    values = matrix(desk.analysis, label, metric) if known else {}
    for row, a in enumerate(raters):
        for column, b in enumerate(raters):
            pair = (a, b) if (a, b) in values else (b, a)
            if row == column:
                item = _rater(desk.colors[a])
            elif pair in values:
                item = _value(values[pair], metric, desk.analysis.settings.threshold)
                item.setToolTip(sentences.pair_tip(desk, label, pair, item.text(), metric))
            else:
                item = cell("..." if not known else "", _("Being measured") if not known else "")
            item.setTextAlignment(qt.Qt.AlignCenter)
            table.setItem(row, column, item)
    table.visible = len(raters) > 1
    more = SCROLL_BAR if len(raters) > FITTING else 0
    fit_height(table, HIGHEST, more)


def clear(table: Any) -> None:
    """Show nothing."""
    table.setRowCount(0)
    table.setColumnCount(0)
    table.visible = False


def _rater(color: tuple[int, int, int]) -> Any:
    item = cell("")
    item.setBackground(qt.QBrush(qt.QColor(*color)))
    return item


def _value(value: float | None, metric: Any, threshold: float) -> Any:
    from MedPrepLib.casebook import cell_text

    text = cell_text(value, metric, threshold)
    if value is None:
        return cell(text)
    low = metric.name == "Dice" and value < threshold
    item = cell(f"{LOW} {text}" if low else text)
    goodness = metric.goodness(value)
    item.setBackground(qt.QBrush(qt.QColor(*paint(goodness))))
    item.setForeground(qt.QBrush(qt.QColor(*ink(goodness))))
    return item
