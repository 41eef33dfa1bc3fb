"""Rules as data: every code with what a study makes of it, its limits and its source."""

from __future__ import annotations

import json

import msgspec.inspect as mi
import pytest
from click.testing import CliRunner

from MedPrepLib import catalog
from MedPrepLib.catalog.kinds import declare
from MedPrepLib.command import medprep
from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Screen, Study
from MedPrepLib.config.thresholds import thresholds
from MedPrepLib.findings import Kind
from MedPrepLib.rulebook import SOURCES, rulebook
from MedPrepLib.screen import PEOPLE_RULES, RULES

STUDY = """
name = "strict"
[[sources]]
kind = "folders"
path = "raw"
[labels.lesion]
value = 1
[screen]
max_ct_slice_mm = 2.5
modalities = ["CT", "MR"]
[screen.severity]
THICK_SLICES = "reject"
NO_DEVICE = "off"
"""


def test_the_rule_book_has_every_code_of_the_catalog_once_and_in_order_of_the_stages() -> None:
    rows = rulebook()
    assert [row.code for row in rows] == [kind.code for kind in catalog.all_kinds()]
    stages = list(dict.fromkeys(row.stage for row in rows))
    assert stages == list(catalog.stages())
    assert {row.stage for row in rows if row.code in ("NO_DEVICE", "THICK_SLICES")} == {"screen"}


def test_every_screening_rule_tells_where_it_comes_from() -> None:
    sources = [rule.source for rule in RULES] + [rule.source for rule in PEOPLE_RULES]
    assert all(source.endswith(".") and len(source) > 20 for source in sources)
    assert [code for code in SOURCES if catalog.find_kind(code) is None] == []
    screening = [row for row in rulebook() if row.stage == "screen"]
    told = {kind.code for rule in (*RULES, *PEOPLE_RULES) for kind in rule.kinds}
    assert {row.code for row in screening if row.source} >= told & {r.code for r in screening}


def test_every_limit_names_the_findings_it_decides_on() -> None:
    for limit in thresholds(Study(name="x", sources=())):
        assert limit.codes, limit.setting
        assert [code for code in limit.codes if catalog.find_kind(code) is None] == []
        assert limit.about
    named = {t.setting for t in thresholds(Study(name="x", sources=()))}
    section = mi.type_info(Screen)
    assert isinstance(section, mi.StructType)
    settings = {f"screen.{field.name}" for field in section.fields} - {"screen.severity"}
    assert settings - named == set()


def test_a_study_shows_its_own_severities_and_limits() -> None:
    rows = {row.code: row for row in rulebook(parse_study(STUDY))}
    thick = rows["THICK_SLICES"]
    assert (thick.default, thick.severity) == ("review", "reject")
    ct = next(t for t in thick.thresholds if t.setting == "screen.max_ct_slice_mm")
    assert (ct.value, ct.default, ct.unit, ct.allowed) == (2.5, 5.0, "mm", "0.1..20")
    assert rows["NO_DEVICE"].severity == "off"
    assert rows["NO_POSITION"].final
    assert rows["SLICE_GAP"].severity == rows["SLICE_GAP"].default == "reject"


def test_the_command_prints_the_table_and_marks_what_the_study_changed(tmp_path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    done = CliRunner().invoke(medprep, ["rules", str(tmp_path / "study.toml")])
    lines = done.output.splitlines()
    (thick,) = [line for line in lines if line.lstrip().startswith("THICK_SLICES")]
    assert thick.split()[1] == "reject*"
    assert "(default review)" in thick
    assert "screen.max_ct_slice_mm = 2.5 mm*" in thick
    assert "screen.max_mr_slice_mm = 5.0 mm;" in thick
    assert "RECIST" in lines[lines.index(thick) + 1]
    assert any(line.startswith("split:") for line in lines)


def test_the_command_answers_programs_and_knows_stages() -> None:
    done = CliRunner().invoke(medprep, ["rules", "--stage", "screen", "--json"])
    rows = json.loads(done.output)
    assert {row["stage"] for row in rows} == {"screen"}
    assert {"code", "default", "severity", "source", "thresholds", "final"} <= rows[0].keys()
    wrong = CliRunner().invoke(medprep, ["rules", "--stage", "screening"])
    assert wrong.exit_code == 2
    assert "scan, screen, standardize" in wrong.output


@pytest.mark.parametrize("code", ["NO_DEVICES", "no_device"])
def test_a_severity_for_an_unknown_code_is_an_error_with_a_suggestion(tmp_path, code) -> None:
    from MedPrepLib.errors import ConfigError

    (tmp_path / "study.toml").write_text(STUDY + f'{code} = "off"\n')
    done = CliRunner().invoke(medprep, ["rules", str(tmp_path / "study.toml")])
    assert isinstance(done.exception, ConfigError)
    (problem,) = done.exception.problems
    assert problem.startswith(f"$.screen.severity.{code}: no such finding code")
    assert "NO_DEVICE" in problem


def test_the_catalog_lists_every_code_that_a_stage_declares() -> None:
    listed = {name: value for name, value in vars(catalog).items() if isinstance(value, Kind)}
    assert {name: kind.code for name, kind in listed.items()} == {c: c for c in listed}
    assert set(listed.values()) == set(catalog.all_kinds())
    assert set(listed) < set(catalog.__all__)
    with pytest.raises(ValueError, match="SLICE_GAP is declared twice"):
        declare("scan")[0]("SLICE_GAP", "again", "")
    with pytest.raises(ValueError, match="no stage"):
        declare("scanning")
