"""The report's tables and strips over the cohort: sums, small groups, outliers, contact sheets."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from bench.bench_report import made_up
from msgspec.structs import replace as changed
from report_sample import sample_cases, sample_report, study
from scipy import stats

from MedPrepLib import catalog
from MedPrepLib.geometry import Geometry
from MedPrepLib.report import documents
from MedPrepLib.report.contact import PER_SHEET
from MedPrepLib.report.outliers import MIN_VALUES, usual, usual_factor
from MedPrepLib.report.strata import strata
from MedPrepLib.report.strips import PIXELS, _ticks, strips_view, unit_of
from MedPrepLib.report.text import NOTHING
from MedPrepLib.results import Person, people_of
from MedPrepLib.sharing.groups import grouped, row_of


@pytest.fixture(scope="module")
def many():
    return made_up(300)


def _plain(count: int, **fields):
    """``count`` included CT cases of one kind; ``fields`` are lists of values."""
    case = changed(sample_cases()[0], findings=())
    return tuple(
        changed(case, id=f"c{n:03d}", **{name: values[n] for name, values in fields.items()})
        for n in range(count)
    )


def _spaced(slices: list[float]):
    return _plain(len(slices), geometry=[Geometry((9, 9, 9), (1.0, 1.0, s)) for s in slices])


def test_the_usual_range_is_that_of_the_median_absolute_deviation():
    values = np.random.default_rng(4).normal(100, 7, 501).tolist()
    found = usual(values, 3.5, 0.0)
    sigma = stats.median_abs_deviation(values, scale="normal")
    assert found.high - found.low == pytest.approx(7 * sigma, rel=1e-4)
    assert (found.low + found.high) / 2 == pytest.approx(np.median(values))


def test_outliers_do_not_hide_themselves_or_each_other():
    values = [*np.linspace(9, 11, 31), *[1000.0] * 10]
    found = usual(values, 3.5, 0.0)
    assert sum(map(found.apart, values)) == 10
    z = np.abs(stats.zscore(values))
    assert (z > 3.5).sum() == 0, "mean and standard deviation would have missed them"


def test_where_most_values_are_equal_the_rest_is_still_judged():
    found = usual([-1024.0] * 30 + [-1000.0, 500.0], 3.5, 0.0)
    assert found.apart(500)
    assert not found.apart(-1024)
    assert usual([1.0] * 20, 3.5, 0.5) == type(found)(0.5, 1.5)


def test_of_few_values_nothing_is_said():
    assert usual([1.0] * (MIN_VALUES - 1), 3.5, 0.0) is None
    assert usual([1.0] * MIN_VALUES, 3.5, 0.0) is not None


def test_lengths_are_judged_by_factors_and_ten_percent_is_usual():
    found = usual_factor([1.0] * 20, 3.5, 1.1)
    assert (found.low, found.high) == pytest.approx((1 / 1.1, 1.1))


def test_a_thick_slice_among_thin_ones_is_marked_and_linked_to_its_case():
    report = sample_report(cases=_spaced([1.0, 1.25] * 10 + [5.0]), split=None)
    view = strips_view(report)
    assert set(view.of) == {"c020"}
    assert [(one.measure, one.value) for one in view.of["c020"]] == [
        ("Slice distance", "5 mm"),
        ("Extent across slices", "45 mm"),
    ]
    page = dict(documents(report))
    overview = page["index.html"].decode()
    (images,) = re.findall(r'<section id="images".*?</section>', overview, re.DOTALL)
    assert images.count('<a href="cases/c020.html"><title>c020: ') == 2
    assert b"Unlike the other CT cases" in page["cases/c020.html"]
    assert b"Unlike the other" not in page["cases/c000.html"]


def test_a_study_can_ask_for_another_limit():
    settings = study()
    report = sample_report(cases=_spaced([1.0, 1.25] * 10 + [5.0]), split=None)
    calm = changed(settings, report=changed(settings.report, outlier_score=100))
    assert strips_view(replace(report, settings=calm)).of == {}


def test_every_case_has_a_tick_or_a_mark_in_every_strip(many):
    for group in strips_view(many).groups:
        for strip in group.strips:
            spots = sum(lane.path.count("M") + len(lane.marks) for lane in strip.lanes)
            assert 0 < spots <= strip.cases == group.cases
            x = [float(at) for lane in strip.lanes for at in re.findall(r"M([\d.]+) ", lane.path)]
            assert all(0 <= at <= PIXELS for at in x)
            assert all(0 <= mark.at <= PIXELS for lane in strip.lanes for mark in lane.marks)


def test_ticks_stand_where_their_values_are():
    report = sample_report(cases=_spaced([1.0] * 5 + [2.0] * 3 + [3.0] * 4), split=None)
    (group,) = strips_view(report).groups
    strip = next(s for s in group.strips if s.title == "Slice distance")
    (lane,) = strip.lanes
    one, two, three = (float(at) for at in re.findall(r"M([\d.]+) ", lane.path))
    assert two - one == pytest.approx(three - two, abs=0.5)
    places = {words: at for at, words in strip.ticks}
    assert places["2.0"] == pytest.approx(two, abs=0.5)


def test_a_long_drawing_reaches_the_page_whole():
    slices = np.linspace(1.0, 1.3, 240).tolist()
    report = sample_report(cases=_spaced(slices), split=None)
    page = dict(documents(report))["index.html"].decode()
    paths = [lane.path for g in strips_view(report).groups for s in g.strips for lane in s.lanes]
    assert max(map(len, paths)) > 2000
    assert all(f'd="{path}"' in page for path in paths)


def test_modalities_and_units_are_not_mixed():
    pet = changed(sample_cases()[0], modality="PT", findings=())
    lost = changed(pet, findings=(catalog.SUV_UNKNOWN.at(pet.id, "Units are missing"),))
    report = sample_report()
    assert [unit_of(report, c) for c in (sample_cases()[0], pet, lost)] == ["HU", "SUVbw", ""]


def test_the_table_by_sex_and_age_adds_up(many):
    table = strata(many)
    columns = sum(len(head.bands) for head in table.heads)
    people = {(c.center, c.patient) for c in many.included}
    assert sum(row.cases for row in table.rows) == table.total.cases == len(many.included)
    assert table.total.patients == len(people)
    for row in (*table.rows, table.total):
        assert len(row.counts) == columns
        assert sum(count.patients for count in row.counts) == row.patients
        assert all(count.small == (0 < count.patients < 5) for count in row.counts)


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0 17"), (17, "0 17"), (18, "18 39"), (60, "60 79"), (80, "80+"), (None, "?")],
)
def test_an_age_is_in_its_band(age, band):
    case = changed(sample_cases()[0], age_years=age, sex="F")
    (head,) = strata(sample_report(cases=(case,), split=None)).heads
    assert head.bands == (band.replace(" ", NOTHING),)
    assert head.sex == "Female"


def test_a_patient_who_comes_again_is_counted_at_the_youngest_age_in_report_and_card():
    """39 at the first visit, 40 at the second, on another device; once the age is not stated."""
    first = sample_cases()[0]
    for ages in itertools.permutations((40, 39, None)):
        cases = [
            changed(first, id=f"c{n}", age_years=age, sex=sex, device=f"device {n}")
            for n, (age, sex) in enumerate(zip(ages, ("unknown", "F", "unknown"), strict=True))
        ]
        assert people_of(cases) == {(first.center, first.patient): Person("F", 39)}
        table = strata(sample_report(cases=tuple(cases), split=None))
        (head,) = table.heads
        assert (head.sex, head.bands) == ("Female", (f"18{NOTHING}39",))
        assert [row.counts[0].patients for row in (*table.rows, table.total)] == [1, 1, 1, 1]


def test_small_groups_are_those_of_the_share_check(many):
    rows = [
        row_of(c.id, c.center, c.patient, c.modality,
               {"sex": c.sex, "age_years": c.age_years, "manufacturer": c.device})
        for c in many.included
    ]  # fmt: skip
    found = grouped(rows, 5)
    alone = {case for group in found.small for case in group.cases}
    patients = {(c.center, c.patient) for c in many.included if c.id in alone}
    assert strata(many).notice.startswith(f"{len(patients)} patients look like fewer than 4 others")
    alike = sample_report(cases=_plain(6, patient=[f"p{n}" for n in range(6)]), split=None)
    assert strata(alike).notice.startswith("Every patient looks like at least 4 others")


def test_ages_kept_in_spans_are_told_as_such():
    settings = study()
    spans = changed(settings, privacy=changed(settings.privacy, age_step_years=10))
    assert "spans of 10 years" in strata(sample_report(settings=spans)).spans
    assert strata(sample_report()).spans == ""


def test_contact_sheets_hold_every_included_case_once_and_fifty_a_page(many):
    pages = {n: d.decode() for n, d in documents(many) if n.startswith("contact-")}
    assert len(pages) == -(-len(many.included) // PER_SHEET)
    found = [re.findall(r'class="id" href="cases/([^"]+)\.html"', page) for page in pages.values()]
    assert [len(ids) for ids in found[:-1]] == [PER_SHEET] * (len(found) - 1)
    assert sorted(case for ids in found for case in ids) == [case.id for case in many.included]
    shown = {case.id: case for case in many.included}
    kinds = [(shown[case].center, shown[case].modality) for ids in found for case in ids]
    assert kinds == sorted(kinds)


def test_a_large_cohort_has_a_small_overview(many):
    overview = dict(documents(many))["index.html"]
    assert len(overview) < 300 * 3000


def test_values_close_to_each_other_get_numbers_that_differ():
    for low, high in ((-1023.0, -1021.0), (2.6, 2.8), (0.0, 5e5), (-3.0, 3.0)):
        words = [told for _, told in _ticks(low, high)]
        assert 3 <= len(words) == len(set(words)) <= 7
    assert [told for _, told in _ticks(-1023.0, -1021.0)] == [
        f"\N{MINUS SIGN}1,0{n}" for n in ("23.0", "22.5", "22.0", "21.5", "21.0")
    ]
