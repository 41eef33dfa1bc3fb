"""Color tables: a label schema in the files that 3D Slicer keeps its labels in."""

from __future__ import annotations

import pytest

from MedPrepLib.colortable import COLUMNS, read_color_table, write_color_table
from MedPrepLib.errors import ConfigError, LabelError
from MedPrepLib.labels import Label, LabelSchema, Terminology, distinct_color

KIDNEY = Terminology("SCT", "64033007", "Kidney")
SCHEMA = LabelSchema(
    (
        Label("left kidney", 1, (185, 162, 13), terminology=KIDNEY, partner="right kidney"),
        Label("right kidney", 5, (1, 2, 3), terminology=KIDNEY, partner="left kidney"),
        Label("mass, big", 300, (255, 0, 127), terminology=Terminology("SCT", "4147007", "Mass")),
        Label("plain", 65_535, (0, 0, 0)),
    )
)
HEADER = "LabelValue,Name,Color_R,Color_G,Color_B,Color_A\n"


def written(tmp_path, text, name="labels.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(tmp_path, text, name="labels.csv"):
    with pytest.raises(ConfigError) as caught:
        read_color_table(written(tmp_path, text, name))
    assert str(tmp_path) not in str(caught.value)
    return caught.value.problems


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".ctbl", ".txt"])
def test_names_values_and_colors_survive_every_format(tmp_path, suffix):
    path = tmp_path / f"labels{suffix}"
    write_color_table(path, SCHEMA)
    found = read_color_table(path)
    assert [(x.name, x.value, x.color) for x in found] == [
        (x.name, x.value, x.color) for x in SCHEMA
    ]


def test_csv_keeps_codes_that_tell_labels_apart_and_partners(tmp_path):
    write_color_table(tmp_path / "labels.csv", SCHEMA)
    found = read_color_table(tmp_path / "labels.csv")
    assert found.named("mass, big").terminology == Terminology("SCT", "4147007", "Mass")
    assert found.named("left kidney").partner == "right kidney"


def test_a_code_shared_by_two_labels_is_not_taken_for_it_would_match_the_wrong_one(tmp_path):
    write_color_table(tmp_path / "labels.csv", SCHEMA)
    found = read_color_table(tmp_path / "labels.csv")
    assert found.named("left kidney").terminology is None
    assert found.coded(KIDNEY) is None


def test_older_codes_of_left_and_right_make_partners_too(tmp_path):
    head = ",".join(COLUMNS)
    rows = "\n".join(
        f"{value},{name},1,2,3,255,,,,SRT,T-28000,Lung,SRT,{code},,,,,,,"
        for value, name, code in ((1, "lung one", "G-A100"), (2, "lung two", "G-A101"))
    )
    found = read_color_table(written(tmp_path, f"{head}\n{rows}\n"))
    assert found.named("lung one").partner == "lung two"


def test_the_background_is_passed_over_and_a_missing_color_is_made_up(tmp_path):
    text = "Name,LabelValue\nbackground,0\nliver,3\n"
    (label,) = read_color_table(written(tmp_path, text))
    assert (label.name, label.value, label.color) == ("liver", 3, distinct_color(3))


def test_every_faulty_line_is_named_at_once(tmp_path):
    text = (
        HEADER + "1,a,0,0,256,255\nx,b,0,0,0,255\n2,,0,0,0,255\n3,c,red,0,0,255\n70000,d,0,0,0,0\n"
    )
    found = problems(tmp_path, text)
    assert [p.partition(":")[0] for p in found] == [f"line {n}" for n in range(2, 7)]
    assert "outside 0..255" in found[0]
    assert "outside 1..65535" in found[1]
    assert "no name" in found[2]
    assert "not three numbers" in found[3]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (HEADER, "labels.csv", "no label"),
        ("", "labels.csv", "no column"),
        ("LabelValue,Color_R\n1,2\n", "labels.csv", "no column Name"),
        (HEADER + "1,a,0,0,0,255\n1,b,0,0,0,255\n", "labels.csv", "share the value 1"),
        (HEADER + "1,a b,0,0,0,255\n2,A_b,0,0,0,255\n", "labels.csv", "share the name"),
        (b"\xff\xfe\x00\x01", "labels.csv", "UTF-8"),
        ("1 liver 1 2\n", "labels.ctbl", "4 words"),
        (HEADER, "labels.xls", "called"),
    ],
)
def test_a_table_that_is_no_schema_is_refused_with_the_reason(tmp_path, text, name, words):
    assert any(words in problem for problem in problems(tmp_path, text, name))


def test_a_missing_table_is_a_problem_of_the_configuration(tmp_path):
    with pytest.raises(ConfigError, match=r"labels.csv: the file cannot be read"):
        read_color_table(tmp_path / "labels.csv")


def test_the_older_text_has_comments_underscores_and_unnamed_colors(tmp_path):
    text = "# Color table\n0 background 0 0 0 0\n\n2 _ 1 1 1 255\n3 'left_lung' 10 20.4 30 255\n"
    (label,) = read_color_table(written(tmp_path, text, "labels.ctbl"))
    assert (label.name, label.value, label.color) == ("left lung", 3, (10, 20, 30))


def test_a_name_that_slicer_cannot_read_back_is_refused(tmp_path):
    for name in ('5" lesion', "two\nlines"):
        with pytest.raises(LabelError, match="quotes or controls"):
            write_color_table(tmp_path / "labels.csv", LabelSchema((Label(name, 1),)))
    assert not (tmp_path / "labels.csv").exists()


# --- 3D Slicer ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slicer():
    return pytest.importorskip("slicer", reason="slicer-core is not installed")


@pytest.fixture
def table(slicer):
    """A color node of Slicer and its storage node, in a scene."""
    scene = slicer.vtkMRMLScene()
    node, storage = slicer.vtkMRMLColorTableNode(), slicer.vtkMRMLColorTableStorageNode()
    scene.AddNode(node)
    scene.AddNode(storage)
    yield node, storage
    scene.Clear()


def color_in(node, value):
    rgba = [0.0] * 4
    node.GetColor(value, rgba)
    return tuple(round(x * 255) for x in rgba)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".ctbl"])
def test_slicer_reads_what_was_written(table, tmp_path, suffix):
    node, storage = table
    write_color_table(tmp_path / f"labels{suffix}", SCHEMA)
    storage.SetFileName(str(tmp_path / f"labels{suffix}"))
    assert storage.ReadData(node) == 1
    assert node.GetNumberOfColors() == 65_536
    for label in SCHEMA:
        assert node.GetColorName(label.value) == label.name
        assert color_in(node, label.value) == (*label.color, 255)


def test_slicer_reads_the_codes_and_the_sides(table, tmp_path):
    node, storage = table
    write_color_table(tmp_path / "labels.csv", SCHEMA)
    storage.SetFileName(str(tmp_path / "labels.csv"))
    assert storage.ReadData(node) == 1
    assert node.GetTerminologyType(1).GetCodeValue() == "64033007"
    assert node.GetTerminologyType(300).GetCodeMeaning() == "Mass"
    modifiers = [node.GetTerminologyTypeModifier(value).GetCodeMeaning() for value in (1, 5)]
    assert modifiers == ["Left", "Right"]


@pytest.mark.parametrize("suffix", [".csv", ".ctbl"])
def test_what_slicer_wrote_is_read(table, tmp_path, suffix):
    node, storage = table
    node.SetTypeToUser()
    node.SetNumberOfColors(8)
    node.SetColor(2, "Lung, left", 10 / 255, 20 / 255, 200 / 255, 1.0)
    node.SetColor(7, "tumor", 1.0, 0.0, 0.0, 0.5)
    entry = "~SCT^49755003^Altered~SCT^4147007^Mass~^^~~^^~^^"
    node.SetTerminologyFromString(7, entry)
    storage.SetFileName(str(tmp_path / f"table{suffix}"))
    assert storage.WriteData(node) == 1
    left, tumor = (x for x in read_color_table(tmp_path / f"table{suffix}"))
    assert (left.name, left.value, left.color) == ("Lung, left", 2, (10, 20, 200))
    assert (tumor.name, tumor.value, tumor.color) == ("tumor", 7, (255, 0, 0))
    code = Terminology("SCT", "4147007", "Mass") if suffix == ".csv" else None
    assert tumor.terminology == code
