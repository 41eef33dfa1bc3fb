"""The label schema."""

from __future__ import annotations

import pytest

from MedPrepLib.errors import LabelError
from MedPrepLib.labels import Label, LabelSchema, Terminology, distinct_color

SCHEMA = LabelSchema(
    (
        Label("Left Kidney", 5, aliases=("kidney_l",), partner="Right Kidney"),
        Label("Right Kidney", 2, partner="Left Kidney"),
        Label("tumor", 9, terminology=Terminology("SCT", "108369006", "Neoplasm")),
    )
)


@pytest.mark.parametrize("name", ["left kidney", "LEFT_KIDNEY", "left-kidney", "Kidney L"])
def test_names_match_whatever_their_case_and_separators(name: str) -> None:
    assert SCHEMA.named(name).value == 5


def test_labels_are_found_by_value_and_by_code_whatever_the_code_means() -> None:
    found = SCHEMA.valued(9)
    assert found is not None
    assert found.name == "tumor"
    assert SCHEMA.coded(Terminology("SCT", "108369006", "other words")) == found
    assert SCHEMA.coded(Terminology("SCT", "1")) is None
    assert SCHEMA.valued(4) is None


def test_an_unknown_name_says_which_are_known() -> None:
    with pytest.raises(LabelError, match="Right Kidney, Left Kidney, tumor"):
        SCHEMA.named("spleen")


@pytest.mark.parametrize(
    "labels",
    [
        (Label("a", 1), Label("b", 1)),
        (Label("a", 1), Label("A", 2)),
        (Label("a", 1), Label("b", 2, aliases=("a",))),
        (Label("a", 1, partner="b"), Label("b", 2)),
        (Label("a", 1, partner="nobody"),),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(labels: tuple[Label, ...]) -> None:
    with pytest.raises(LabelError):
        LabelSchema(labels)


@pytest.mark.parametrize("value", [0, -1, 65_536])
def test_values_outside_the_range_are_refused(value: int) -> None:
    with pytest.raises(LabelError, match=r"1\.\.65535"):
        Label("a", value)


def test_colors_of_neighboring_values_differ() -> None:
    colors = [distinct_color(v) for v in range(1, 20)]
    assert len(set(colors)) == len(colors)
