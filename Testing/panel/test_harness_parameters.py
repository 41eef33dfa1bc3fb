"""Parameter nodes: types, limits, the scene, and widgets in both directions."""

# No "from __future__ import annotations": the types below name what is local to a function.

import enum
import pathlib
from typing import Annotated, Optional

import pytest


class Rule(enum.Enum):
    MAJORITY = 1
    STAPLE = 2

    def label(self):
        return self.name.lower()


@pytest.fixture
def pnw(panel):
    import slicer
    from slicer import parameterNodeWrapper

    assert parameterNodeWrapper is slicer.parameterNodeWrapper
    return parameterNodeWrapper


@pytest.fixture
def node(panel):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "parameters")


def _all_types(pnw):
    import slicer

    @pnw.parameterPack
    class Limits:
        low: Annotated[float, pnw.WithinRange(0, 1)] = 0.25
        high: Annotated[float, pnw.WithinRange(0, 1)] = 0.75

    @pnw.parameterNodeWrapper
    class Parameters:
        study: str
        count: Annotated[int, pnw.Minimum(1), pnw.Default(3)]
        ratio: Annotated[float, pnw.WithinRange(0, 1)] = 0.5
        blinded: bool
        folder: pathlib.Path
        rule: Rule
        names: list[str]
        ages: dict[str, int]
        comment: Optional[str]  # noqa: UP045  both spellings are in use
        cut: int | None
        volume: slicer.vtkMRMLScalarVolumeNode
        limits: Limits

    return Parameters


def test_every_type_has_a_default_and_keeps_what_is_set(pnw, node):
    import slicer

    Parameters = _all_types(pnw)
    fresh = Parameters(node)
    assert (fresh.study, fresh.count, fresh.ratio, fresh.blinded) == ("", 3, 0.5, False)
    assert (fresh.folder, fresh.rule) == (pathlib.Path(), Rule.MAJORITY)
    assert (list(fresh.names), dict(fresh.ages.items())) == ([], {})
    assert (fresh.comment, fresh.cut, fresh.volume) == (None, None, None)
    assert (fresh.limits.low, fresh.limits.high) == (0.25, 0.75)

    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    fresh.study, fresh.count, fresh.blinded, fresh.cut = "Ł & <b>", 7, True, 4
    fresh.folder, fresh.rule, fresh.names = pathlib.Path("/data"), Rule.STAPLE, ["a", "b"]
    fresh.ages, fresh.comment, fresh.volume = {"a": 4}, "x", volume
    fresh.limits.low = 0.5
    again = Parameters(node)
    assert (again.study, again.count, again.blinded, again.cut) == ("Ł & <b>", 7, True, 4)
    assert (again.folder, again.rule, list(again.names)) == (
        pathlib.Path("/data"),
        Rule.STAPLE,
        ["a", "b"],
    )
    assert (dict(again.ages.items()), again.comment, again.volume) == ({"a": 4}, "x", volume)
    assert again.limits.low == 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 0), ("ratio", 1.5), ("study", None), ("count", "3"), ("rule", "STAPLE")],
)
def test_a_value_outside_its_type_or_limits_is_refused_and_changes_nothing(pnw, node, name, value):
    parameters = _all_types(pnw)(node)
    before = getattr(parameters, name)
    with pytest.raises((ValueError, TypeError)):
        setattr(parameters, name, value)
    assert getattr(parameters, name) == before


def test_a_value_in_a_pack_is_refused_too(pnw, node):
    parameters = _all_types(pnw)(node)
    with pytest.raises(ValueError, match="range"):
        parameters.limits.high = 2
    assert parameters.limits.high == 0.75


def test_parameters_survive_saving_and_loading_the_scene(panel, pnw, tmp_path):
    import slicer

    logic = slicer.ScriptedLoadableModule.ScriptedLoadableModuleLogic()
    logic.moduleName = "Sample"
    Parameters = _all_types(pnw)
    Parameters(logic.getParameterNode()).study = "/data/study.toml"
    panel.save_scene(tmp_path / "scene.mrml")
    panel.close_scene()
    assert Parameters(logic.getParameterNode()).study == ""
    panel.load_scene(tmp_path / "scene.mrml")
    assert Parameters(logic.getParameterNode()).study == "/data/study.toml"


def test_a_change_is_told_to_observers_of_the_node(pnw, node):
    import vtk

    parameters, heard = _all_types(pnw)(node), []
    tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: heard.append(1))
    parameters.count = 5
    parameters.RemoveObserver(tag)
    parameters.count = 6
    assert heard == [1]


# --- widgets --------------------------------------------------------------------------------


def _widgets():
    import ctk
    import qt
    import slicer

    radius = ctk.ctkSliderWidget()
    selector = slicer.qMRMLNodeComboBox()
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    return {
        "study": qt.QLineEdit(),
        "count": qt.QSpinBox(),
        "ratio": radius,
        "blinded": qt.QCheckBox(),
        "folder": ctk.ctkPathLineEdit(),
        "rule": qt.QComboBox(),
        "volume": selector,
        "limits.low": qt.QDoubleSpinBox(),
    }


def test_the_node_is_shown_in_the_widgets(pnw, node):
    import slicer

    parameters, widgets = _all_types(pnw)(node), _widgets()
    parameters.connectParametersToGui(widgets)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    parameters.study, parameters.count, parameters.ratio = "a", 7, 0.25
    parameters.blinded, parameters.folder, parameters.rule = True, pathlib.Path("/d"), Rule.STAPLE
    parameters.volume = volume
    parameters.limits.low = 0.5
    assert widgets["study"].text == "a"
    assert (widgets["count"].value, widgets["count"].minimum) == (7, 1)
    assert (widgets["ratio"].value, widgets["ratio"].maximum) == (0.25, 1.0)
    assert widgets["blinded"].checked
    assert widgets["folder"].currentPath == "/d"
    assert widgets["rule"].currentText == "staple"
    assert widgets["volume"].currentNode() is volume
    assert (widgets["limits.low"].value, widgets["limits.low"].maximum) == (0.5, 1.0)


def test_what_the_user_enters_is_kept_in_the_node(pnw, node):
    import slicer

    parameters, widgets = _all_types(pnw)(node), _widgets()
    parameters.connectParametersToGui(widgets)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    widgets["study"].text = "b"
    widgets["count"].value = 9
    widgets["ratio"].value = 0.75
    widgets["blinded"].checked = True
    widgets["folder"].currentPath = "/e"
    widgets["rule"].currentIndex = 1
    widgets["volume"].setCurrentNode(volume)
    widgets["limits.low"].value = 0.125
    assert (parameters.study, parameters.count, parameters.ratio) == ("b", 9, 0.75)
    assert (parameters.blinded, parameters.folder) == (True, pathlib.Path("/e"))
    assert (parameters.rule, parameters.volume) == (Rule.STAPLE, volume)
    assert parameters.limits.low == 0.13  # a spin box has two decimals


def test_disconnected_widgets_and_node_go_their_own_ways(pnw, node):
    parameters, widgets = _all_types(pnw)(node), _widgets()
    tag = parameters.connectParametersToGui(widgets)
    parameters.disconnectGui(tag)
    parameters.study = "node"
    assert widgets["study"].text == ""
    widgets["study"].text = "widget"
    assert parameters.study == "node"


def test_a_form_is_connected_by_the_names_in_it(panel, pnw, node):
    import qt

    form = qt.QWidget()
    edit = qt.QLineEdit(form)
    edit.setProperty("SlicerParameterName", "study")
    parameters = _all_types(pnw)(node)
    parameters.connectGui(form)
    form.show()
    panel.type_text(edit, "typed")
    assert parameters.study == "typed"
    edit.setProperty("SlicerParameterName", "stdy")
    with pytest.raises(ValueError, match="stdy"):
        parameters.connectGui(form)


@pytest.mark.parametrize(
    ("name", "widget"), [("study", "QPlainTextEdit"), ("blinded", "QRadioButton")]
)
def test_a_widget_that_slicer_cannot_connect_is_an_error(pnw, node, name, widget):
    import qt

    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        _all_types(pnw)(node).connectParametersToGui({name: getattr(qt, widget)()})


def test_a_slider_needs_limits(pnw, node):
    import ctk

    @pnw.parameterNodeWrapper
    class Unlimited:
        radius: float

    with pytest.raises(RuntimeError, match="unbounded"):
        Unlimited(node).connectParametersToGui({"radius": ctk.ctkSliderWidget()})
