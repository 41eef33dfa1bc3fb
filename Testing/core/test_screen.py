"""Screening rules: each fires on its flaw, names value and limit, and is silent otherwise."""

from __future__ import annotations

import msgspec
import pytest

from MedPrepLib import catalog
from MedPrepLib.cohort import Case, ImageSource, Patient, Scan
from MedPrepLib.config.settings import Screen
from MedPrepLib.findings import Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.screen import RULES, judged, modality_of, screen, screen_people

GRID = Geometry((64, 64, 30), (1.0, 1.0, 3.0))
SCAN = Scan(modality="CT", manufacturer="GE", model="X", study_description="CT Thorax")


def case(kind: str = "dicom", **changes: object) -> Case:
    scan = msgspec.structs.replace(SCAN, **changes)
    return Case("c1", Patient("p1", "a"), scan, ImageSource(kind, ("x",), GRID))  # type: ignore[arg-type]


def codes(case: Case, grid: Geometry = GRID, settings: Screen | None = None) -> list[str]:
    return [f.code for f in screen(case, grid, settings or Screen())]


def test_a_good_scan_has_no_findings() -> None:
    assert codes(case()) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"missing_tags": ("StudyInstanceUID",)}, "MISSING_TAGS"),
        ({"study_description": "  "}, "NO_STUDY_DESCRIPTION"),
        ({"manufacturer": "", "model": ""}, "NO_DEVICE"),
        ({"modality": "", "study_description": "thorax"}, "MODALITY_UNKNOWN"),
        ({"study_description": "MRT Kopf"}, "MODALITY_CONFLICT"),
        ({"burned_in": "YES"}, "BURNED_IN_RISK"),
        ({"photometric": "MONOCHROME1"}, "MONOCHROME1"),
    ],
)
def test_a_flaw_of_the_header_is_found(changes: dict[str, object], code: str) -> None:
    assert codes(case(**changes)) == [code]


def test_header_rules_do_not_judge_files_that_have_no_header() -> None:
    bare = case("file", study_description="", manufacturer="", model="")
    assert codes(bare) == []


@pytest.mark.parametrize(
    ("modality", "mm", "found"),
    [
        ("MR", 5.0, False),
        ("MR", 5.01, True),
        ("CT", 6.0, True),
        ("PT", 6.0, False),
        ("US", 9.0, False),
    ],
)
def test_slice_distance_is_judged_by_modality(modality: str, mm: float, found: bool) -> None:
    grid = Geometry((64, 64, 30), (1.0, 1.0, mm))
    scan = case(modality=modality, study_description=modality)
    assert ("THICK_SLICES" in codes(scan, grid)) is found


def test_the_thickness_message_names_value_and_limit() -> None:
    grid = Geometry((64, 64, 30), (1.0, 1.0, 7.5))
    (finding,) = screen(case(modality="MR", study_description=""), grid, Screen())[1:]
    assert "7.50 mm" in finding.message
    assert "5 mm" in finding.message
    assert finding.severity is Severity.REVIEW


def test_unwanted_modalities_are_rejected() -> None:
    assert codes(case(), settings=Screen(modalities=("MR",))) == ["MODALITY_UNWANTED"]
    assert codes(case(), settings=Screen(modalities=("MR", "CT"))) == []


def test_the_modality_comes_from_the_description_only_when_it_names_one() -> None:
    assert modality_of(case(modality="", study_description="MRI brain")) == "MR"
    assert modality_of(case(modality="", study_description="PET/CT")) == ""


def test_a_hybrid_study_is_no_conflict() -> None:
    assert codes(case(modality="PT", study_description="PET/CT whole body")) == []


def test_size_rules() -> None:
    assert codes(case(), Geometry((64, 64, 2))) == ["TOO_FEW_SLICES"]
    assert "IMPLAUSIBLE_SIZE" in codes(case(), Geometry((4096, 4096, 500)))
    assert "ANISOTROPIC" in codes(case(modality="US"), Geometry((64, 64, 30), (0.4, 0.4, 4.1)))


def test_severities_follow_the_study_file() -> None:
    found = screen(case(study_description="", manufacturer="", model=""), GRID, Screen())
    kept = judged(found, {"NO_DEVICE": "off", "NO_STUDY_DESCRIPTION": "reject"})
    assert [(f.code, f.severity) for f in kept] == [("NO_STUDY_DESCRIPTION", Severity.REJECT)]


def test_ids_that_identify_nobody_and_ids_in_two_centers_are_questions() -> None:
    def who(case_id: str, patient: str, center: str) -> Case:
        return Case(case_id, Patient(patient, center), SCAN, ImageSource("file", ("x",)))

    found = screen_people([who("1", " ", "a"), who("2", "LC 7", "a"), who("3", "lc 7 ", "b")])
    assert [(f.item, f.code) for f in found] == [
        ("1", "NO_PATIENT_ID"),
        ("2", "SAME_ID_TWO_CENTERS"),
        ("3", "SAME_ID_TWO_CENTERS"),
    ]


def test_a_fault_that_leaves_no_volume_rejects_whatever_the_study_file_says() -> None:
    finals = [kind for kind in catalog.all_kinds() if kind.final]
    codes = {kind.code for kind in finals}
    assert {"MIXED_ORIENTATION", "DUPLICATE_POSITION", "NO_POSITION", "FOUR_D"} <= codes
    assert not codes & {"SLICE_GAP", "TOO_FEW_SLICES", "AMBIGUOUS_IMAGE", "BURNED_IN_RISK"}
    found = [kind.at("case", "it is so") for kind in finals]
    for word in ("off", "note", "review"):
        assert judged(found, dict.fromkeys(codes, word)) == tuple(found)
    assert all(finding.severity == Severity.REJECT for finding in found)


def test_a_rule_finds_what_it_is_registered_for_and_nothing_else() -> None:
    settings = Screen(modalities=("CT",))
    flawed = [
        case(missing_tags=("StudyInstanceUID",), study_description="", photometric="MONOCHROME1"),
        case(manufacturer="", model="", modality="", study_description=""),
        case(modality="MR", study_description="CT Thorax", burned_in="YES", body_part="HEAD"),
    ]
    grids = [Geometry((64, 64, 2), (0.4, 0.4, 7.0)), Geometry((4096, 4096, 500))]
    for rule in RULES:
        found = {
            f.code for one in flawed for grid in grids for f in rule.check(one, grid, settings)
        }
        assert found == {kind.code for kind in rule.kinds}


def test_a_rule_whose_findings_are_off_is_not_asked() -> None:
    odd = case(burned_in="YES", photometric="MONOCHROME1")
    settings = Screen(severity={"BURNED_IN_RISK": "off", "MODALITY_CONFLICT": "off"})
    assert codes(odd, settings=settings) == ["MONOCHROME1"]
