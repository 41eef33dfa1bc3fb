"""Study files: what is wrong is named with path, value and range, all of it, before any work."""

from __future__ import annotations

import pytest

from MedPrepLib.config import Study, case_recipe, config_hash, load_study, parse_study
from MedPrepLib.config.template import study_template
from MedPrepLib.errors import ConfigError

BASE = """
name = "lung"
[[sources]]
kind = "folders"
path = "raw"
[labels.lesion]
value = 2
[labels.organ]
value = 1
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_study(text)
    return caught.value.problems


def test_defaults_fill_what_is_not_said() -> None:
    study = parse_study(BASE)
    assert study.agree.threshold == 0.7
    assert study.standardize.windows["lung"].level == -600
    assert study.schema().names == ("organ", "lesion")


@pytest.mark.parametrize(
    ("addition", "path", "parts"),
    [
        ("[screen]\nmax_mr_slice_mm = 50", "$.screen.max_mr_slice_mm", ["50", "0.1..20", "mm"]),
        ("[screen]\nmax_mr_slice_mm = nan", "$.screen.max_mr_slice_mm", ["nan", "0.1..20"]),
        ("[screen]\nmax_mr_slice = 5", "$.screen.max_mr_slice", ["max_mr_slice_mm"]),
        ("[screen]\nmin_slices = 2.5", "$.screen.min_slices", ["2.5", "whole"]),
        ("[screen]\nmin_slices = true", "$.screen.min_slices", ["whole"]),
        ("[screen.severity]\nNO_DEVIC = 'off'", "$.screen.severity.NO_DEVIC", ["NO_DEVICE"]),
        ("[screen.severity]\nNO_DEVICE = 'of'", "$.screen.severity.NO_DEVICE", ["off"]),
        (
            "[screen.severity]\nMIXED_SIZE = 'note'",
            "$.screen.severity.MIXED_SIZE",
            ["cannot be note", "Export the series again"],
        ),
        ("[agree]\nthreshold = 1.2", "$.agree.threshold", ["1.2", "0..1"]),
        (
            "[labels.third]\nvalue = 255\n[consensus]\nties = 'undecided'",
            "$.labels.third.value",
            ["255", "undecided"],
        ),
        ("[agree]\nlesion_iou = 1", "$.agree.lesion_iou", ["1", "0..<1"]),
        ("[agree]\nbox_iou = 0", "$.agree.box_iou", ["0", ">0..1"]),
        ("[agree]\nrule = 'worst'", "$.agree.rule", ["worst_pair", "mean_pair"]),
        ("[consensus]\nties = 'nobody'", "$.consensus.ties", ["background", "rater:"]),
        ("[splits]\nfolds = 5", "$.splits", ["split"]),
        ("[split]\nfolds = 1", "$.split.folds", ["1", "2..20"]),
        ("[pack]\ncodec = 'zip'", "$.pack.codec", ["raw", "lz4", "gzip"]),
        ("[standardize]\nct_low_hu = 4000", "$.standardize.ct_low_hu", ["4000", "3071"]),
        ("[standardize.windows.x]\nlevel = 1", "$.standardize.windows.x.width", ["missing"]),
        ("[report]\nwindow = 'liver'", "$.report.window", ["liver", "lung"]),
        ("[labels.third]\nvalue = 0", "$.labels.third.value", ["0", "1..65535"]),
        ("[labels.third]\nvalue = 2", "$.labels", ["share the value 2"]),
        ("[labels.Le_Sion]\nvalue = 3", "$.labels", ["share the name"]),
        ("[labels.third]\nvalue = 3\npartner = 'organ'", "$.labels", ["point back"]),
        ("[labels.third]\nvalue = 3\ncolor = [1, 2]", "$.labels.third.color", ["list of 3"]),
        ("[labels.third]\nvalue = 3\ncolor = [1, 2, 300]", "$.labels.third.color[2]", ["0..255"]),
        ("[[sources]]\nkind = 'tabel'\npath = 'a'", "$.sources[1].kind", ["table"]),
        ("[[sources]]\npath = 'a'", "$.sources[1].kind", ["missing"]),
        ("[[sources]]\nkind = 'dicom'", "$.sources[1].path", ["missing"]),
        (
            "[[sources]]\nkind = 'dicom'\npath = 'a'\n[sources.annotations.x]\nlabel = 'tumor'",
            "$.sources[1].annotations.x",
            ["tumor", "organ"],
        ),
        (
            "[[sources]]\nkind = 'dicom'\npath = 'a'\n[sources.annotations.x.values]\na = 'organ'",
            "$.sources[1].annotations.x.values",
            ["'a'", "whole number"],
        ),
    ],
)
def test_a_wrong_setting_is_named_with_path_value_and_range(
    addition: str, path: str, parts: list[str]
) -> None:
    (problem,) = problems(BASE + addition)
    assert problem.startswith(f"{path}:")
    assert all(part in problem for part in parts), problem


def test_all_faults_are_named_at_once() -> None:
    found = problems(BASE.replace('name = "lung"', "seed = -1") + "[agree]\nthreshold = 7\nx = 1")
    assert [p.partition(":")[0] for p in found] == [
        "$.seed",
        "$.agree.threshold",
        "$.agree.x",
        "$.name",
    ]


def test_broken_toml_is_a_configuration_error() -> None:
    assert "TOML" in problems("name = ")[0]


def test_recipes_change_with_what_matters_to_a_case_only() -> None:
    study = parse_study(BASE)
    faster = parse_study(BASE + "[run]\nworkers = 7")
    assert case_recipe(faster) == case_recipe(study)
    assert config_hash(faster) == config_hash(study)
    other_split = parse_study(BASE + "[split]\nfolds = 3")
    assert case_recipe(other_split) == case_recipe(study)
    assert config_hash(other_split) != config_hash(study)
    other_tie = parse_study(BASE + '[consensus]\nties = "foreground"')
    assert case_recipe(other_tie) != case_recipe(study)


def test_labels_may_come_from_a_color_table_of_3d_slicer(tmp_path) -> None:
    (tmp_path / "labels.csv").write_text(
        "LabelValue,Name,Color_R,Color_G,Color_B,Color_A\n0,Background,0,0,0,0\n"
        "3,liver,200,100,50,255\n"
    )
    start, end = BASE.index("[labels"), len(BASE)
    text = 'labels_file = "labels.csv"\n' + BASE[:start] + BASE[end:]
    study = parse_study(text, base=tmp_path)
    (label,) = study.schema()
    assert (label.name, label.value, label.color) == ("liver", 3, (200, 100, 50))
    assert "either" in problems('labels_file = "labels.csv"\n' + BASE)[0]
    assert "does not exist" in problems(text)[0]
    assert "missing" in problems(BASE[:start])[0]


def test_the_template_says_the_defaults_and_is_a_valid_study(tmp_path) -> None:
    text = study_template(
        "new", '[[sources]]\nkind = "dicom"\npath = "."', "[labels.lesion]\nvalue = 1"
    )
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    plain = load_study(tmp_path / "study.toml")
    # Every commented default, once active, is accepted and changes nothing.
    active = "\n".join(
        line[2:] if line.startswith("# ") and " = " in line else line for line in text.splitlines()
    )
    assert parse_study(active) == plain
    assert plain == Study(name="new", sources=plain.sources, labels=plain.labels)
