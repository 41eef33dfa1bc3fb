"""Tables, charts and the subject hierarchy in a scene."""

from __future__ import annotations

import math

import msgspec

from MedPrepLib.mrml import hierarchy
from MedPrepLib.mrml.tables import add_bar_chart, add_table, fill_table


class Row(msgspec.Struct, frozen=True):
    label: str
    dice: float | None
    voxels: int
    low: bool


ROWS = (Row("liver", 0.91, 7, False), Row("=tumor", None, 0, True))


def test_a_table_has_a_column_per_field_and_no_number_for_undefined(scene):
    table = add_table(scene, ROWS, "agreement").GetTable()
    names = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert names == ["label", "dice", "voxels", "low"]
    assert table.GetValueByName(1, "label").ToString() == "=tumor"
    assert table.GetValueByName(0, "dice").ToDouble() == 0.91
    assert math.isnan(table.GetValueByName(1, "dice").ToDouble())
    assert table.GetValueByName(1, "low").ToString() == "True"


def test_a_table_is_filled_again_in_place(scene):
    node = add_table(scene, ROWS, "agreement")
    fill_table(node, ROWS[:1])
    assert node.GetTable().GetNumberOfRows() == 1
    fill_table(node, ())
    assert node.GetTable().GetNumberOfRows() == 0


def test_slicer_saves_a_table_that_spreadsheets_can_open(scene, files, tmp_path):
    node = add_table(scene, ROWS, "agreement")
    path = tmp_path / "agreement.csv"
    assert files.save("TableFile", {"nodeID": node.GetID(), "fileName": str(path)})
    assert "liver" in path.read_text("utf-8")


def test_a_chart_has_a_bar_per_row(scene):
    node = add_table(scene, ROWS, "agreement")
    chart = add_bar_chart(scene, node, "label", "dice", "Lowest Dice")
    series = chart.GetNthPlotSeriesNode(0)
    assert series.GetTableNode() is node
    assert (series.GetYColumnName(), series.GetLabelColumnName()) == ("dice", "label")
    assert series.GetPlotTypeAsString(series.GetPlotType()) == "Bar"


# --- hierarchy ------------------------------------------------------------------------------


def items_below(scene, item):
    import vtk

    ids = vtk.vtkIdList()
    hierarchy.hierarchy(scene).GetItemChildren(item, ids, False)
    return [ids.GetId(n) for n in range(ids.GetNumberOfIds())]


def test_cases_of_one_patient_lie_below_one_item(scene):
    tree = hierarchy.hierarchy(scene)
    first = hierarchy.case_item(scene, "p1", "baseline")
    second = hierarchy.case_item(scene, "p1", "followup")
    assert first != second
    assert hierarchy.case_item(scene, "p1", "baseline") == first
    assert tree.GetItemParent(first) == tree.GetItemParent(second)
    assert (tree.GetItemLevel(first), tree.GetItemLevel(tree.GetItemParent(first))) == (
        "Study",
        "Patient",
    )


def test_nodes_hang_below_their_case(scene):
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", "agreement")
    item = hierarchy.case_item(scene, "p1", "baseline")
    hierarchy.put_below(scene, node, item)
    tree = hierarchy.hierarchy(scene)
    assert [tree.GetItemDataNode(i) for i in items_below(scene, item)] == [node]


def test_a_patient_goes_with_the_last_case(scene):
    tree = hierarchy.hierarchy(scene)
    before = tree.GetNumberOfItems()
    first = hierarchy.case_item(scene, "p1", "baseline")
    second = hierarchy.case_item(scene, "p1", "followup")
    hierarchy.remove_case_item(scene, first)
    assert tree.GetNumberOfItems() == before + 2
    hierarchy.remove_case_item(scene, second)
    assert tree.GetNumberOfItems() == before
