"""The module ``qt`` of the harness behaves as PythonQt does."""

# Signatures are Qt's.
# ruff: noqa: ARG002

from __future__ import annotations

import gc
import weakref

import pytest


@pytest.fixture
def qt(panel):
    import qt

    return qt


# --- attributes -----------------------------------------------------------------------------


def test_a_property_is_an_attribute_and_its_getter_cannot_be_called(qt):
    button = qt.QPushButton("Run")
    button.enabled = False
    button.toolTip = "not now"
    assert (button.enabled, button.text, button.toolTip) == (False, "Run", "not now")
    with pytest.raises(TypeError, match="not callable"):
        button.text()
    button.setText("Stop")
    assert button.text == "Stop"


def test_what_is_no_property_stays_a_method(qt):
    widget = qt.QWidget()
    layout = qt.QVBoxLayout(widget)
    button = qt.QPushButton()
    layout.addWidget(button)
    assert widget.layout() is layout
    assert layout.count() == 1
    assert button.parent() is widget


def test_the_name_of_an_object_is_an_attribute_of_that_name(qt):
    widget = qt.QWidget()
    widget.name = "first"
    assert widget.objectName == "first"


def test_an_attribute_that_the_class_lacks_cannot_be_made(qt):
    with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects"):
        qt.QLabel().shade = "red"
    with pytest.raises(AttributeError, match="creating new attributes"):
        qt.QTableWidgetItem().shade = "red"
    with pytest.raises(AttributeError, match="no attribute named 'shade'"):
        _ = qt.QLabel().shade


def test_a_method_cannot_be_overwritten(qt):
    with pytest.raises(AttributeError, match="can not be overwritten"):
        qt.QPushButton().click = print


def test_a_property_refuses_what_it_cannot_hold(qt):
    bar = qt.QProgressBar()
    for value in ("many", None):
        with pytest.raises(AttributeError, match="does not accept"):
            bar.value = value
    with pytest.raises(AttributeError, match="not writable"):
        qt.QWidget().frameSize = qt.QSize(1, 1)


def test_a_class_derived_in_python_takes_attributes_and_overrides_getters(qt):
    class Mine(qt.QLabel):
        def text(self):
            return "mine"

    label = Mine("theirs")
    label.shade = "red"
    assert (label.shade, label.text()) == ("red", "mine")


def test_objects_that_qt_made_itself_have_the_same_manners(qt):
    table = qt.QTableWidget(2, 2)
    header = table.horizontalHeader()
    header.stretchLastSection = True
    assert header.stretchLastSection is True
    with pytest.raises(AttributeError, match="creating new attributes"):
        header.shade = "red"


def test_items_of_tables_have_methods_and_no_properties(qt):
    item = qt.QTableWidgetItem("0.64")
    item.setBackground(qt.QBrush(qt.QColor(10, 20, 30)))
    assert item.text() == "0.64"
    assert item.background().color().red() == 10


def test_enumerations_are_found_in_their_classes(qt):
    label = qt.QLabel()
    label.setTextFormat(qt.Qt.PlainText)
    assert label.textFormat == qt.Qt.PlainText
    table = qt.QTableWidget(1, 1)
    table.selectionBehavior = qt.QAbstractItemView.SelectRows
    assert table.selectionBehavior == qt.QAbstractItemView.SelectRows
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    assert table.horizontalHeader().sectionResizeMode(0) == qt.QHeaderView.Stretch


def test_string_lists_are_read_as_tuples(qt):
    import slicer

    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = ["vtkMRMLModelNode"]
    assert combo.nodeTypes == ("vtkMRMLModelNode",)


def test_dynamic_properties_are_read_by_property_and_as_attributes(qt):
    edit = qt.QLineEdit()
    edit.setProperty("SlicerParameterName", "study")
    assert edit.property("SlicerParameterName") == "study"
    assert edit.SlicerParameterName == "study"
    assert qt.QLineEdit().property("SlicerParameterName") is None


def test_names_that_only_pyside_has_are_not_in_the_module(qt):
    assert [n for n in ("Signal", "Slot", "Property", "SIGNAL") if hasattr(qt, n)] == []


NEEDED = """
    QWidget QLabel QLineEdit QPlainTextEdit QTextBrowser QPushButton QToolButton QMenu QAction
    QActionGroup QButtonGroup QRadioButton QCheckBox QComboBox QListWidget QListWidgetItem
    QTableWidget QTableWidgetItem QTreeWidget QTreeWidgetItem QHeaderView QProgressBar QSpinBox
    QDoubleSpinBox QSlider QSplitter QStackedWidget QTabWidget QFrame QGroupBox QScrollArea
    QVBoxLayout QHBoxLayout QFormLayout QGridLayout QShortcut QKeySequence QTimer QSettings
    QFileDialog QDesktopServices QUrl QColor QBrush QPen QPalette QFont QIcon QPixmap QPainter
    QImage QSize QSizePolicy QPoint QRect QApplication QProcess QEvent QObject QUiLoader
    QStyledItemDelegate QMessageBox Qt"""


def test_the_classes_a_panel_needs_are_there(qt):
    assert [n for n in NEEDED.split() if not isinstance(getattr(qt, n, None), type)] == []


# --- signals --------------------------------------------------------------------------------


def test_a_signal_is_connected_by_its_signature_and_cut_to_what_the_target_takes(qt):
    button, heard = qt.QPushButton(), []
    button.checkable = True
    button.connect("clicked(bool)", heard.append)
    button.connect("clicked(bool)", lambda: heard.append("no argument"))
    button.clicked.connect(lambda checked=None: heard.append(("attribute", checked)))
    button.click()
    assert heard == [True, "no argument", ("attribute", True)]


def test_a_disconnected_target_hears_nothing_more(qt):
    button, heard = qt.QPushButton(), []
    target = heard.append
    button.connect("clicked(bool)", target)
    assert button.disconnect("clicked(bool)", target) is True
    assert button.disconnect("clicked(bool)", target) is False
    button.clicked.connect(target)
    button.clicked.disconnect(target)
    button.click()
    assert heard == []


def test_a_connection_keeps_its_target_alive(qt):
    class Target:
        def hear(self):
            Target.last = self

    button = qt.QPushButton()
    button.connect("clicked(bool)", Target().hear)
    gc.collect()
    button.click()
    assert isinstance(Target.last, Target)


def test_a_target_is_let_go_when_the_sender_is_destroyed(qt):
    class Target:
        def hear(self):
            pass

    button, target = qt.QPushButton(), Target()
    button.connect("clicked()", target.hear)
    gone = weakref.ref(target)
    del target
    button.delete()
    gc.collect()
    assert gone() is None


def test_a_signal_that_does_not_exist_cannot_be_connected(qt):
    with pytest.raises(AttributeError, match="signal 'clicked\\(int\\)' does not exist"):
        qt.QPushButton().connect("clicked(int)", print)


def test_a_signal_can_be_connected_with_the_slot_of_an_object(qt):
    box, label = qt.QCheckBox(), qt.QLabel()
    box.connect("toggled(bool)", label, "setDisabled(bool)")
    box.checked = True
    assert label.enabled is False


def test_tables_and_combo_boxes_tell_what_the_user_does(qt):
    table, combo, heard = qt.QTableWidget(2, 2), qt.QComboBox(), []
    table.connect("currentCellChanged(int,int,int,int)", lambda r, c: heard.append((r, c)))
    table.connect("itemSelectionChanged()", lambda: heard.append("selection"))
    table.setCurrentCell(1, 0)
    combo.connect("currentIndexChanged(int)", lambda index: heard.append(combo.itemData(index)))
    combo.addItem("Dice", "dice")
    combo.addItem("Hausdorff", "hd")
    combo.setCurrentIndex(combo.findData("hd"))
    assert sorted(heard[:2], key=str) == [(1, 0), "selection"]
    assert heard[2:] == ["dice", "hd"]


def test_a_single_shot_calls_its_target_once(panel, qt):
    heard = []
    qt.QTimer.singleShot(0, lambda: heard.append("now"))
    panel.wait_until(lambda: heard)
    panel.process()
    assert heard == ["now"]


# --- parts of a panel -----------------------------------------------------------------------


def test_menus_and_groups_of_buttons_tell_what_was_chosen(panel, qt):
    button, menu, heard = qt.QToolButton(), qt.QMenu(), []
    menu.addAction("Shift into place").connect("triggered()", lambda: heard.append("shift"))
    button.setMenu(menu)
    button.popupMode = qt.QToolButton.InstantPopup
    group = qt.QButtonGroup()
    rules = [qt.QRadioButton(name) for name in ("majority", "STAPLE")]
    for number, rule in enumerate(rules):
        group.addButton(rule, number)
    group.connect("buttonClicked(QAbstractButton*)", lambda b: heard.append(b.text))
    menu.actions()[0].trigger()
    rules[1].click()
    assert (heard, group.checkedId()) == (["shift", "STAPLE"], 1)


def test_a_filter_and_a_delegate_written_in_python_are_asked(panel, qt, tmp_path):
    class Filter(qt.QObject):
        def eventFilter(self, watched, event):
            if event.type() == qt.QEvent.MouseButtonPress:
                self.pressed = watched
            return False

    class Delegate(qt.QStyledItemDelegate):
        def paint(self, painter, option, index):
            painter.fillRect(option.rect, qt.QColor(255, 0, 0))

    table = qt.QTableWidget(1, 1)
    watcher, delegate = Filter(), Delegate()
    table.viewport().installEventFilter(watcher)
    table.setItemDelegate(delegate)
    table.show()
    panel.click_cell(table, 0, 0)
    assert watcher.pressed is table.viewport()
    image = panel.grab(table, tmp_path / "table.png", width=200, height=100)
    where = table.viewport().mapTo(table, table.visualRect(table.model().index(0, 0)).center())
    assert image.pixelColor(where).red() == 255


def test_a_sorted_table_and_a_tree_keep_their_data(qt):
    table = qt.QTableWidget(2, 1)
    for row, case in enumerate(("CT_018", "CT_017")):
        item = qt.QTableWidgetItem(case)
        item.setData(qt.Qt.UserRole, row)
        table.setItem(row, 0, item)
    table.sortItems(0)
    assert [table.item(row, 0).data(qt.Qt.UserRole) for row in range(table.rowCount)] == [1, 0]
    tree = qt.QTreeWidget()
    top = qt.QTreeWidgetItem(["CT"])
    top.addChild(qt.QTreeWidgetItem(["reading"]))
    tree.addTopLevelItem(top)
    assert tree.topLevelItem(0).child(0).text(0) == "reading"


# --- what would wait for a user -------------------------------------------------------------


def test_a_question_is_answered_at_once_and_never_with_yes_unless_told(panel, qt):
    assert qt.QMessageBox.question(None, "Delete?", "Really?") == qt.QMessageBox.No
    panel.dialogs.answer("Really", qt.QMessageBox.Yes)
    assert qt.QMessageBox.question(None, "Delete?", "Really?") == qt.QMessageBox.Yes
    assert panel.dialogs.texts("question") == ["Really?", "Really?"]


def test_an_answer_that_the_box_does_not_offer_is_an_error_of_the_test(panel, qt):
    panel.dialogs.answer("Saved", qt.QMessageBox.Yes)
    with pytest.raises(AssertionError, match="no button"):
        qt.QMessageBox.information(None, "Saved", "Saved")


def test_a_file_dialog_returns_the_path_that_was_chosen_as_a_string(panel, qt):
    assert qt.QFileDialog.getOpenFileName(None, "Open", "/here", "*.toml") == ""
    panel.dialogs.choose("/data/study.toml")
    assert qt.QFileDialog.getOpenFileName(None, "Open", "/here", "*.toml") == "/data/study.toml"
    assert [s.title for s in panel.dialogs.shown] == ["Open", "Open"]


def test_an_address_is_recorded_and_not_opened(panel, qt):
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile("/data/report.html"))
    assert panel.dialogs.opened_urls == ["file:///data/report.html"]


def test_a_dialog_that_is_run_does_not_block(panel, qt):
    dialog = qt.QDialog()
    assert dialog.exec_() == 0
    panel.dialogs.run = lambda _: qt.QDialog.Accepted
    assert dialog.exec_() == qt.QDialog.Accepted


def test_settings_are_private_to_the_test(panel, qt):
    settings = qt.QSettings()
    assert settings.allKeys() == []
    settings.setValue("MedPrep/Study", "/data/study.toml")
    assert qt.QSettings().value("MedPrep/Study") == "/data/study.toml"
    assert settings.fileName().startswith(panel.app.slicerHome)


def test_settings_of_the_test_before_are_gone(qt):
    assert qt.QSettings().value("MedPrep/Study") is None
