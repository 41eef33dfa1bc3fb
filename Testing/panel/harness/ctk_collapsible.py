"""CTK's two widgets that fold."""

# Names and signatures are Slicer's.
# ruff: noqa: ARG002, N801, N815

from __future__ import annotations

from typing import Any

from panel.harness.pythonqt import overrides, own_dict
from panel.harness.standin import plain, stand_in
from PySide6 import QtCore, QtGui, QtWidgets

Style = QtWidgets.QStyle
UNLIMITED = 16777215  # QWIDGETSIZE_MAX


class _Folding:
    """Hides the children of a widget and shows again those that were not hidden before."""

    def _fold(self, folded: bool, header: int) -> None:
        hidden = own_dict(self).setdefault("_hidden_by_fold", [])
        if folded:
            for child in self.findChildren(QtWidgets.QWidget):
                if child.parent() is self and not child.isHidden():
                    child.setVisible(False)
                    hidden.append(child)
        else:
            for child in hidden:
                child.setVisible(True)
            hidden.clear()
        self.setMaximumHeight(header + self.collapsedHeight if folded else UNLIMITED)
        self.updateGeometry()


@stand_in
class ctkCollapsibleButton(_Folding, QtWidgets.QAbstractButton):
    """A header that folds what lies below it; ``checked`` means unfolded."""

    contentsCollapsed = QtCore.Signal(bool)
    collapsedHeight = plain(int, "collapsedHeight", 10)
    flat = plain(bool, "flat", False)
    contentsLineWidth = plain(int, "contentsLineWidth", 1)
    contentsMidLineWidth = plain(int, "contentsMidLineWidth", 0)
    contentsFrameShape = plain(int, "contentsFrameShape", 0)
    contentsFrameShadow = plain(int, "contentsFrameShadow", 16)
    buttonTextAlignment = plain(int, "buttonTextAlignment", 0x84)
    indicatorAlignment = plain(int, "indicatorAlignment", 0x81)

    def __init__(self, *args: Any) -> None:
        text = args[0] if args and isinstance(args[0], str) else ""
        parent = next((a for a in args if isinstance(a, QtWidgets.QWidget)), None)
        super().__init__(parent)
        overrides(self, "sizeHint", "minimumSizeHint")
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._header_height(), 0, 0)
        self.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred
        )
        self.connect("toggled(bool)", self._on_toggled)

    collapsed = QtCore.Property(
        bool,
        lambda self: not self.checked,
        lambda self, value: self.setChecked(not value),
        notify=contentsCollapsed,
    )

    def _on_toggled(self, checked: bool) -> None:
        self._fold(not checked, self._header_height())
        self.contentsCollapsed.emit(not checked)

    def _header_height(self) -> int:
        return self.fontMetrics().height() + 10

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() <= self._header_height()

    def minimumSizeHint(self) -> QtCore.QSize:
        open_ = self.layout() and self.checked
        inner = self.layout().totalMinimumSize() if open_ else QtCore.QSize()
        width = self.fontMetrics().horizontalAdvance(self.text) + 40
        bottom = 0 if self.checked else self.collapsedHeight
        margins = self.contentsMargins()
        height = max(inner.height(), margins.top()) + bottom
        return QtCore.QSize(max(width, inner.width()), height)

    def sizeHint(self) -> QtCore.QSize:
        hint = self.minimumSizeHint
        if self.layout() and self.checked:
            hint = hint.expandedTo(self.layout().totalSizeHint())
        return hint

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        height = self._header_height()
        if self.checked:
            painter.setPen(self.palette.mid().color())
            painter.drawRect(self.rect.adjusted(0, height // 2, -1, -1))
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, height)
        option.state |= Style.StateFlag.State_Raised
        painter.drawControl(Style.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, 4, 12, height - 8)
        down = Style.PrimitiveElement.PE_IndicatorArrowDown
        right = Style.PrimitiveElement.PE_IndicatorArrowRight
        painter.drawPrimitive(down if self.checked else right, arrow)
        where = option.rect.adjusted(24, 0, -4, 0)
        flags = int(QtCore.Qt.AlignmentFlag.AlignVCenter) | 0x0800  # Qt.TextShowMnemonic
        role = QtGui.QPalette.ColorRole.ButtonText
        painter.drawItemText(where, flags, self.palette, self.enabled, self.text, role)


@stand_in
class ctkCollapsibleGroupBox(_Folding, QtWidgets.QGroupBox):
    """A group box that folds; ``checked`` means unfolded."""

    collapsedHeight = plain(int, "collapsedHeight", 10)

    def __init__(self, *args: Any) -> None:
        title = args[0] if args and isinstance(args[0], str) else ""
        parent = next((a for a in args if isinstance(a, QtWidgets.QWidget)), None)
        super().__init__(title, parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.connect("toggled(bool)", self._on_toggled)

    collapsed = QtCore.Property(
        bool, lambda self: not self.checked, lambda self, value: self.setChecked(not value)
    )

    def _on_toggled(self, checked: bool) -> None:
        self._fold(not checked, self.fontMetrics().height())
