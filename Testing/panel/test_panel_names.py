"""Names that are markup: the panel shows them as they are, and opens nothing that they name."""

from __future__ import annotations

import shutil

import pytest
from scene.case_samples import write_study

IMAGE = '<img src="file://secret.png">'
RATER = "<b>eve<i>"
LABEL = f"tumor {IMAGE} <b>x</b>"


@pytest.fixture
def marked(user, tmp_path):
    """An open case with a label and a rater whose names are markup."""
    study = write_study(tmp_path)
    text = study.read_text().replace("[labels.tumor]", f"[labels.'{LABEL}']")
    study.write_text(text, encoding="utf-8")
    masks = tmp_path / "raw" / "north" / "p1" / "c1" / "masks"
    shutil.move(masks / "ben.nii.gz", masks / f"{RATER}.nii.gz")
    user.open(study)
    user.open_case("p1")
    return user


def would_be_markup(qt, widget):
    """Texts of a widget, or of the cells of a table, that Qt would read as markup."""
    texts = []
    if isinstance(widget, qt.QLabel) and widget.textFormat != qt.Qt.PlainText:
        texts.append(widget.text)
    texts.append(widget.toolTip)
    if isinstance(widget, qt.QTableWidget):
        cells = [widget.item(r, c) for r in range(widget.rowCount)
                 for c in range(widget.columnCount)]  # fmt: skip
        heads = [widget.horizontalHeaderItem(c) for c in range(widget.columnCount)]
        heads += [widget.verticalHeaderItem(r) for r in range(widget.rowCount)]
        texts += [item.toolTip() for item in (*cells, *heads) if item is not None]
    texts = [str(text) for text in texts]
    return [text for text in texts if "<img" in text or "<b>" in text]


@pytest.mark.fault("F29")
def test_no_label_and_no_tooltip_reads_a_name_as_markup(marked):
    import qt

    marked.click("makeConsensusButton")
    widgets = marked.ui.caseTable.window().findChildren(qt.QWidget)
    assert len(widgets) > 50
    assert [text for widget in widgets for text in would_be_markup(qt, widget)] == []


@pytest.mark.fault("F29")
def test_the_names_are_shown_as_they_are_written(marked):
    shown = [text for row in marked.matrix() for text in row]
    heads = [
        marked.ui.matrixTable.horizontalHeaderItem(c).text()
        for c in range(marked.ui.matrixTable.columnCount)
    ]
    assert RATER in (*shown, *heads)
    combo = marked.ui.labelComboBox
    assert any(combo.itemText(n).startswith(LABEL) for n in range(combo.count))
