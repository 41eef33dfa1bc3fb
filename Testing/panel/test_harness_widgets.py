"""The stand-ins for CTK's and Slicer's widgets, and forms that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def slicer(panel):
    import slicer

    return slicer


@pytest.fixture
def ctk(panel):
    import ctk

    return ctk


@pytest.fixture
def load(panel, tmp_path):
    """Loads a form that is given as its widgets and connections."""
    import slicer

    def load(widgets: str, connections: str = ""):
        path = tmp_path / "form.ui"
        path.write_text(
            f'<ui version="4.0"><class>F</class>{widgets}'
            f"<connections>{connections}</connections></ui>"
        )
        return slicer.util.loadUI(str(path))

    return load


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        ("ctkSliderWidget", "setRange"),
        ("ctkSliderWidget", "setMinimum"),
        ("ctkDoubleSpinBox", "setRange"),
        ("ctkCollapsibleButton", "setCollapsed"),
        ("ctkPathLineEdit", "setFilters"),
        ("ctkComboBox", "setDefaultText"),
        ("qMRMLNodeComboBox", "setNodeTypes"),
        ("qMRMLNodeComboBox", "currentText"),
        ("qMRMLSegmentSelectorWidget", "currentSegment"),
    ],
)
def test_a_name_that_the_real_widget_lacks_is_an_error(panel, cls, name):
    import ctk
    import slicer

    widget = getattr(ctk if cls.startswith("ctk") else slicer, cls)()
    with pytest.raises(AttributeError, match=name):
        getattr(widget, name)
    with pytest.raises(AttributeError, match="creating new attributes"):
        setattr(widget, name, 1)


def test_a_name_that_the_real_widget_has_and_the_stand_in_lacks_says_so(slicer):
    with pytest.raises(NotImplementedError, match="the stand-in"):
        slicer.qMRMLNodeComboBox().renameCurrentNode()


def test_no_stand_in_offers_a_name_that_is_not_on_the_list(panel):
    from panel.harness import standin
    from PySide6 import QtWidgets

    made = type("ctkCheckBox", (QtWidgets.QCheckBox,), {"setIndicator": lambda _: None})
    with pytest.raises(TypeError, match="offers no setIndicator"):
        standin.stand_in(made)


def test_what_the_widget_inherits_from_qt_is_there(slicer):
    selector = slicer.qMRMLNodeComboBox()
    selector.toolTip = "choose"
    selector.setVisible(False)
    assert (selector.toolTip, selector.visible) == ("choose", False)
    assert selector.className() == "qMRMLNodeComboBox"


# --- CTK ------------------------------------------------------------------------------------


def test_a_collapsible_button_hides_what_is_in_it(panel, ctk):
    import qt

    button, heard = ctk.ctkCollapsibleButton("Advanced"), []
    layout = qt.QVBoxLayout(button)
    inner, hidden = qt.QLabel("inside"), qt.QLabel("hidden before")
    layout.addWidget(inner)
    layout.addWidget(hidden)
    hidden.visible = False
    button.connect("contentsCollapsed(bool)", heard.append)
    button.show()
    panel.process()
    tall = button.sizeHint.height()
    button.collapsed = True
    assert not inner.visible
    assert button.sizeHint.height() < tall
    panel.click(button)
    assert (button.collapsed, inner.visible, hidden.visible) == (False, True, False)
    assert heard == [True, False]


def test_a_slider_stays_in_its_range_and_has_as_many_decimals_as_it_is_told(ctk):
    slider, heard = ctk.ctkSliderWidget(), []
    slider.connect("valueChanged(double)", heard.append)
    slider.minimum, slider.maximum, slider.decimals = -1, 1, 1
    slider.value = 0.26
    slider.value = 7
    slider.value = 1
    assert heard == [0.3, 1.0]
    slider.maximum = 0.5
    assert slider.value == 0.5


def test_a_path_edit_tells_of_every_path_and_can_be_browsed(panel, ctk):
    edit, heard = ctk.ctkPathLineEdit(), []
    edit.filters = ctk.ctkPathLineEdit.Files
    edit.connect("currentPathChanged(QString)", heard.append)
    edit.currentPath = "/data"
    panel.dialogs.choose("/data/study.toml")
    edit.browse()
    assert edit.currentPath == "/data/study.toml"
    assert heard == ["/data", "/data/study.toml"]
    assert [s.kind for s in panel.dialogs.shown] == ["file"]


def test_a_double_spin_box_passes_its_properties_on(ctk):
    box, heard = ctk.ctkDoubleSpinBox(), []
    box.connect("valueChanged(double)", heard.append)
    box.maximum, box.suffix = 5, " mm"
    box.value = 9
    assert (box.value, box.cleanText, heard) == (5.0, "5.00", [5.0])


# --- nodes ----------------------------------------------------------------------------------


def _selector(slicer, **properties):
    selector = slicer.qMRMLNodeComboBox()
    for name, value in {"nodeTypes": ["vtkMRMLScalarVolumeNode"], **properties}.items():
        setattr(selector, name, value)
    selector.setMRMLScene(slicer.mrmlScene)
    return selector


def _volume(slicer, name):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def test_a_node_selector_without_a_scene_is_disabled(slicer):
    selector = slicer.qMRMLNodeComboBox()
    assert not selector.enabled
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.enabled


def test_a_node_selector_follows_the_scene(panel, slicer):
    selector, heard = _selector(slicer, noneEnabled=True), []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    a, b = _volume(slicer, "a"), _volume(slicer, "b")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "no volume")
    assert (selector.nodeCount(), selector.currentNode()) == (2, None)
    panel.process()
    selector.show()
    panel.choose(selector, "b")
    assert (selector.currentNode(), selector.currentNodeID) == (b, b.GetID())
    b.SetName("renamed")
    panel.choose(selector, "renamed")
    slicer.mrmlScene.RemoveNode(b)
    assert selector.currentNode() is a
    panel.close_scene()
    assert (selector.nodeCount(), selector.currentNode()) == (0, None)
    assert heard == [b, a, None]


def test_a_selector_with_nothing_else_to_offer_takes_the_first_node(slicer):
    bare = _selector(slicer, addEnabled=False, removeEnabled=False)
    with_menu = _selector(slicer)
    first = _volume(slicer, "a")
    _volume(slicer, "b")
    assert bare.currentNode() is first
    assert with_menu.currentNode() is None


def test_hidden_nodes_and_other_attributes_are_left_out_on_request(slicer):
    selector = _selector(slicer, showChildNodeTypes=False)
    hidden = _volume(slicer, "hidden")
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    shown = _volume(slicer, "shown")
    shown.SetAttribute("role", "image")
    _volume(slicer, "other")
    selector.addAttribute("vtkMRMLScalarVolumeNode", "role", "image")
    assert selector.nodeCount() == 1
    selector.showHidden = True
    selector.removeEnabled = False
    assert selector.nodeFromIndex(0) is shown


def test_create_new_makes_a_node_and_selects_it(slicer):
    selector = _selector(slicer, baseName="Consensus")
    node = selector.addNode()
    assert node.GetName() == "Consensus"
    assert selector.currentNode() is node
    assert selector.addNode("vtkMRMLModelNode") is None


def test_a_checkable_selector_has_nothing_checked_at_first(slicer):
    selector, heard = slicer.qMRMLCheckableNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLSegmentationNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("checkedNodesChanged()", lambda: heard.append(len(selector.checkedNodes())))
    made = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode") for _ in range(2)]
    assert (selector.noneChecked(), selector.allChecked()) == (True, False)
    selector.check(made[0])
    selector.check(made[1])
    selector.uncheck(made[0])
    assert selector.checkedNodes() == (made[1],)
    slicer.mrmlScene.RemoveNode(made[1])
    assert heard == [1, 2, 1, 0]


def test_a_segment_selector_follows_the_segments(slicer):
    selector, heard = slicer.qMRMLSegmentSelectorWidget(), []
    selector.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "reading")
    selector.connect("currentSegmentChanged(QString)", heard.append)
    selector.setCurrentNode(node)
    tumor = node.GetSegmentation().AddEmptySegment("tumor", "Tumor")
    edema = node.GetSegmentation().AddEmptySegment("edema", "Edema")
    assert selector.segmentIDs() == (tumor, edema)
    selector.setCurrentSegmentID(edema)
    node.GetSegmentation().RemoveSegment(edema)
    assert heard == ["tumor", "edema", "tumor"]


def test_the_hierarchy_tree_shows_items_and_tells_of_the_current_one(slicer):
    tree, heard = slicer.qMRMLSubjectHierarchyTreeView(), []
    node = _volume(slicer, "CT")
    tree.setMRMLScene(slicer.mrmlScene)
    tree.connect("currentItemChanged(vtkIdType)", heard.append)
    tree.setCurrentNode(node)
    item = slicer.mrmlScene.GetSubjectHierarchyNode().GetItemByDataNode(node)
    assert (tree.currentItem(), tree.currentNode(), heard) == (item, node, [item])


def test_a_destroyed_widget_no_longer_observes_the_scene(panel, slicer):
    selector = _selector(slicer)
    selector.delete()
    _volume(slicer, "a")
    panel.close_scene()
    assert len(panel.slot_errors) == 0


# --- forms ----------------------------------------------------------------------------------


def test_a_form_is_built_of_stand_ins_with_their_properties(load, slicer, ctk):
    form = load(
        '<widget class="qMRMLWidget" name="F"><layout class="QVBoxLayout" name="l"><item>'
        '<widget class="ctkCollapsibleButton" name="fold">'
        '<property name="collapsed"><bool>true</bool></property>'
        '<layout class="QVBoxLayout" name="l2"><item><widget class="QLabel" name="inner"/></item>'
        "</layout></widget></item><item>"
        '<widget class="ctkSliderWidget" name="slider">'
        '<property name="maximum"><double>3.5</double></property>'
        '<property name="SlicerParameterName" stdset="0"><string>radius</string></property>'
        "</widget></item></layout></widget>"
    )
    ui = slicer.util.childWidgetVariables(form)
    assert type(form) is slicer.qMRMLWidget
    assert type(ui.slider) is ctk.ctkSliderWidget
    assert (ui.slider.maximum, ui.slider.property("SlicerParameterName")) == (3.5, "radius")
    form.show()
    assert (ui.fold.collapsed, ui.inner.visible) == (True, False)


def test_a_form_connects_its_scene_with_its_selectors_by_name(load, slicer):
    form = load(
        '<widget class="qMRMLWidget" name="F">'
        '<widget class="qMRMLNodeComboBox" name="s"/></widget>',
        "<connection><sender>F</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>"
        "<receiver>s</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>",
    )
    form.setMRMLScene(slicer.mrmlScene)
    assert slicer.util.findChild(form, "s").mrmlScene() is slicer.mrmlScene


def _connection(receiver, slot):
    return (
        "<connection><sender>F</sender><signal>linkActivated(QString)</signal>"
        f"<receiver>{receiver}</receiver><slot>{slot}</slot></connection>"
    )


LABEL = '<widget class="QLabel" name="F">{}</widget>'


@pytest.mark.parametrize(
    ("widgets", "connections", "complaint"),
    [
        ('<widget class="ctkThing" name="F"/>', "", "no stand-in for that class"),
        (LABEL.format('<property name="txt"/>'), "", "F.txt, which QLabel has not"),
        (LABEL.format(""), _connection("G", "clear()"), "connects G"),
        (LABEL.format(""), _connection("F", "vanish()"), "slot 'vanish\\(\\)' does not exist"),
    ],
    ids=["class", "property", "receiver", "slot"],
)
def test_a_form_that_asks_for_what_is_not_there_is_an_error(load, widgets, connections, complaint):
    with pytest.raises((RuntimeError, AttributeError), match=complaint):
        load(widgets, connections)


def test_a_form_that_is_not_there_is_an_error(slicer):
    with pytest.raises(RuntimeError, match="not found"):
        slicer.util.loadUI(str(Path("/no/such/form.ui")))
