"""The label schema."""

from __future__ import annotations

import unicodedata

import pytest

from MedPrepLib.errors import LabelError
from MedPrepLib.labels import Label, LabelSchema, Terminology, distinct_color
from MedPrepLib.sides import side_in

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


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_names_match_however_their_accents_are_stored(form: str) -> None:
    schema = LabelSchema((Label(unicodedata.normalize("NFC", "Läsion ﬁbrös"), 1), Label("x", 2)))
    assert schema.named(unicodedata.normalize(form, "LÄSION_fibrös")).value == 1
    assert schema.find("Lasion fibros") is None


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


KIDNEY = Terminology("SCT", "64033007", "Kidney")


def pair(**options):
    left = Label("left kidney", 1, partner="Kidney_R", terminology=KIDNEY)
    right = Label("Kidney_R", 2, aliases=("right kidney",), partner="left kidney", **options)
    return LabelSchema((left, right))


def test_a_code_that_labels_share_means_the_one_of_the_same_side_and_none_without_a_side():
    both = pair(terminology=KIDNEY)
    assert both.coded(KIDNEY) is None
    assert both.coded(KIDNEY, "left") is both.named("left kidney")
    assert both.coded(KIDNEY, "right") is both.named("Kidney_R")
    assert both.coded(KIDNEY, "both") is None


def test_a_label_of_one_side_is_not_meant_by_a_code_of_either():
    alone = pair()
    assert alone.coded(KIDNEY, "right") is None
    assert alone.coded(KIDNEY) is None, "it may be the right one"
    assert alone.coded(KIDNEY, "left") is alone.named("left kidney")


def test_a_label_of_no_side_is_meant_by_its_code_on_either():
    (kidneys,) = schema = LabelSchema((Label("kidneys", 1, terminology=KIDNEY),))
    assert {schema.coded(KIDNEY, side) for side in ("", "left", "right", "both")} == {kidneys}


def test_codes_that_tell_the_sides_apart_need_no_other_word_of_it():
    code = Terminology("SCT", "9846003")
    found = pair(terminology=code)
    assert found.coded(code) is found.named("Kidney_R"), "its partner has another code"
    said = Label("left kidney", 1, terminology=Terminology("SCT", "18639004", "Left kidney"))
    assert LabelSchema((said,)).coded(Terminology("SCT", "18639004")) is said


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("left kidney", "left"), ("Kidney_R", "right"), ("LungLeft", "left"), ("L.lung", "left"),
        ("Niere rechts", "right"), ("linke Niere", "left"), ("Lung, left (upper)", "left"),
        ("bilateral lungs", "both"), ("left and right lung", ""), ("vertebrae_L5", ""),
        ("vertebra L 5", ""), ("ren dx", "right"), ("RLung", "right"), ("Left2", "left"),
        ("bright spot", ""), ("liver", ""), ("leftover", ""),
    ],
)  # fmt: skip
def test_a_side_is_read_from_words_of_their_own(name, side):
    assert side_in(name) == side
