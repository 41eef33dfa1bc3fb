"""Rows as table nodes, and a chart of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import vtk


def add_table(scene: Any, rows: Sequence[msgspec.Struct], name: str) -> Any:
    """A new vtkMRMLTableNode with a column per field of the rows; undefined numbers are NaN."""
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    fill_table(node, rows)
    return node


def fill_table(node: Any, rows: Sequence[msgspec.Struct]) -> None:
    """Put these rows in place of those of a table node."""
    changing = node.StartModify()
    table = vtk.vtkTable()
    for field in rows[0].__struct_fields__ if rows else ():
        table.AddColumn(_column(field, [getattr(row, field) for row in rows]))
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.EndModify(changing)


def add_bar_chart(scene: Any, table: Any, labels: str, values: str, title: str) -> Any:
    """A new vtkMRMLPlotChartNode with one bar per row of a table node."""
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", values)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeBar)
    series.SetYColumnName(values)
    series.SetLabelColumnName(labels)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", title)
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(title)
    chart.SetYAxisTitle(values)
    chart.SetLegendVisibility(False)
    return chart


def _column(name: str, values: Sequence[Any]) -> Any:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    known = [v for v in values if v is not None]
    column: Any = vtk.vtkDoubleArray() if known and len(numbers) == len(known) else None
    if column is None:
        column = vtk.vtkStringArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue("" if value is None else str(value))
        return column
    column.SetName(name)
    for value in values:
        column.InsertNextValue(float("nan") if value is None else float(value))
    return column
