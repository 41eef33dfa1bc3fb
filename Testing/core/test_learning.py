"""Learning curves: the order of readings from a table of dates, and what it says of a rater."""

from __future__ import annotations

import csv
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest

from MedPrepLib.cohort import Case, ImageSource, MaskReading, Patient, Scan
from MedPrepLib.config import parse_study
from MedPrepLib.errors import ConfigError
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.scan.dates import reading_order
from MedPrepLib.tables import AgreementRow, learning_rows, rater_summary

# --- the order ------------------------------------------------------------------------------


def read_by(case: str, *raters: str) -> Case:
    return Case(
        case,
        Patient("p", "north"),
        Scan(),
        ImageSource("file", ()),
        readings=tuple(MaskReading(rater, ()) for rater in raters),
    )


CASES = [read_by("c1", "ana", "ben"), read_by("c2", "ana", "ben"), read_by("c3", "ana")]


def dates(folder: Path, text: str, name: str = "dates.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_every_rater_has_an_order_of_their_own_and_a_day_is_one_place(tmp_path):
    path = dates(
        tmp_path,
        "case,rater,date\nc1,ana,2024-03-05\nc2,ana,2023-12-31\nc3,ana,2024-03-05\n"
        "c2,ben,2024-01-01\n",
    )
    order, findings = reading_order(path, CASES, "dates.csv")
    assert order == {("c2", "ana"): 1, ("c1", "ana"): 2, ("c3", "ana"): 2, ("c2", "ben"): 1}
    assert findings == ()


def test_a_rater_is_one_however_a_table_stores_the_accents(tmp_path):
    path = dates(tmp_path, f"case,rater,date\nc1,{normalize('NFD', 'jörg')},2024-03-05\n")
    order, findings = reading_order(path, [read_by("c1", normalize("NFC", "jörg"))], "dates.csv")
    assert (list(order.values()), findings) == ([1], ())


def test_dates_of_unknown_readings_are_counted_and_named_by_nobody(tmp_path):
    path = dates(tmp_path, "case,rater,date\nc1,ana,2024-03-05\nc3,ben,2024-01-01\n")
    order, (finding,) = reading_order(path, CASES, "dates.csv")
    assert order == {("c1", "ana"): 1}
    assert finding.code == "DATE_UNUSED"
    assert "1 of 2 dated readings" in finding.message
    assert "ben" not in finding.message


def test_a_table_with_tabs_and_other_columns_is_read(tmp_path):
    path = dates(tmp_path, "date\tnote\trater\tcase\n2024-03-05\tx\tana\tc1\n", "dates.tsv")
    assert reading_order(path, CASES, "dates.tsv")[0] == {("c1", "ana"): 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,rater,date\nc1,ana,05.03.2024\n", "line 2 of dates.csv: not a date"),
        ("case,rater,date\nc1,ana,\n", "line 2 of dates.csv: not a date"),
        ("case,rater\nc1,ana\n", "has no column 'date'"),
        (
            "case,rater,date\nc1,ana,2024-03-05\nc1,ana,2024-03-06\n",
            "line 3 of dates.csv: this reading stands twice",
        ),
    ],
)
def test_a_faulty_table_is_refused_with_its_line(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        reading_order(dates(tmp_path, text), CASES, "dates.csv")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'dates.csv' does not exist"):
        reading_order(tmp_path / "dates.csv", CASES, "dates.csv")


# --- the curve ------------------------------------------------------------------------------


def pair(case: str, a: str, b: str, dice: float | None, label: str = "tumor") -> AgreementRow:
    kind = "intra" if a.split("@", maxsplit=1)[0] == b.split("@", maxsplit=1)[0] else "inter"
    outcome = "both empty" if dice is None else "measured"
    return AgreementRow(
        case, "north", "", True, label, a, b, outcome, dice, None, None, None, None, kind
    )


def test_a_step_is_the_mean_dice_with_all_others_at_the_place_of_the_reading():
    rows = [
        pair("c1", "ana", "ben", 0.5),
        pair("c1", "ana", "eva", 0.7),
        pair("c1", "ben", "eva", 0.9),
        pair("c2", "ana", "ben", 0.8),
        pair("c2", "ana", "eva", None),
        pair("c2", "ana", "ana@2", 0.99),
    ]
    steps = learning_rows(rows, {("c2", "ana"): 1, ("c1", "ana"): 2})
    assert [(s.rater, s.nth, s.case, s.pairs) for s in steps] == [
        ("ana", 1, "c2", 1),
        ("ana", 2, "c1", 2),
    ]
    assert [s.mean_dice for s in steps] == pytest.approx([0.8, 0.6])


def curve(values: list[float], places: list[int] | None = None):
    rows = [pair(f"c{n:02}", "ana", "ben", value) for n, value in enumerate(values)]
    order = {(f"c{n:02}", "ana"): n + 1 for n in range(len(values))}
    if places is not None:
        order = {(f"c{n:02}", "ana"): place for n, place in enumerate(places)}
    summary = {row.rater: row for row in rater_summary(rows, 0.7, learning_rows(rows, order))}
    return summary["ana"], summary["ben"]


def test_who_comes_closer_to_the_others_has_a_positive_trend():
    ana, ben = curve([0.5, 0.55, 0.52, 0.6, 0.75, 0.8, 0.78])
    assert (ana.dated, ana.early_dice, ana.late_dice) == (7, 0.52, 0.78)
    assert ana.trend_rho is not None
    assert ana.trend_rho > 0.9
    assert (ben.dated, ben.early_dice, ben.trend_rho) == (0, None, None)


def test_the_order_of_dates_counts_and_not_that_of_cases():
    values = [0.5, 0.55, 0.6, 0.7, 0.75, 0.8]
    ana, _ = curve(values, [6, 5, 4, 3, 2, 1])
    assert ana.trend_rho == pytest.approx(-1)
    assert (ana.early_dice, ana.late_dice) == (0.75, 0.55)


def test_the_trend_is_spearmans_correlation_with_ties():
    values, places = [0.5, 0.7, 0.6, 0.6, 0.9, 0.8, 0.75], [1, 2, 2, 4, 5, 5, 7]
    ana, _ = curve(values, places)

    def ranks(numbers):
        return [np.mean(np.flatnonzero(np.sort(numbers) == n)) for n in numbers]

    assert ana.trend_rho == pytest.approx(np.corrcoef(ranks(places), ranks(values))[0, 1])


@pytest.mark.parametrize(
    ("values", "halves", "trend"),
    [([0.5, 0.6, 0.7], False, False), ([0.5] * 5, True, False), ([0.6] * 8, True, False)],
)
def test_few_or_equal_values_have_no_trend(values, halves, trend):
    ana, _ = curve(values)
    assert (ana.early_dice is not None) == halves
    assert (ana.trend_rho is not None) == trend


# --- from files to the report ---------------------------------------------------------------

GRID = Geometry((12, 10, 6), (1.0, 1.0, 2.0))
STUDY = """
name = "learning"
reading_dates = "dates.csv"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.tumor]
value = 1
[privacy]
case_names = "given"
[split]
test_fraction = 0
"""


def mask(stop: int) -> np.ndarray:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[2:4, 2:8, 1:stop] = 1
    return voxels


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Eight cases in which ana's border comes closer to that of ben from case to case."""
    lines = ["case,rater,date"]
    rng = np.random.default_rng(0)
    for n in range(8):
        folder = tmp_path / "raw" / "north" / f"p{n}" / "baseline"
        (folder / "masks").mkdir(parents=True)
        image = rng.integers(0, 500, GRID.shape).astype(np.int16)
        write_nifti(folder / "image.nii.gz", Volume(image, GRID))
        write_nifti(folder / "masks" / "ana.nii.gz", Volume(mask(3 + n), GRID))
        write_nifti(folder / "masks" / "ben.nii.gz", Volume(mask(11), GRID))
        lines.append(f"north/p{n}/baseline,ana,2024-0{n + 1}-17")
    (tmp_path / "dates.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def finished(folder: Path) -> Summary:
    order = Order(parse_study(STUDY), STUDY, folder, folder / "cohort", workers=1)
    return run(order, key=SiteKey(bytes(32)))


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "cohort" / "report" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_run_writes_the_curve_and_no_date(study):
    finished(study)
    steps = table(study, "learning.csv")
    assert [int(s["nth"]) for s in steps] == list(range(1, 9))
    dice = [float(s["mean_dice"]) for s in steps]
    assert dice == sorted(dice)
    (ana,) = [row for row in table(study, "raters.csv") if row["rater"] == "ana"]
    assert float(ana["trend_rho"]) == pytest.approx(1)
    report = (study / "cohort" / "report" / "index.html").read_text("utf-8")
    assert "First, last half" in report
    assert "+1.00" in report
    for path in (study / "cohort").rglob("*"):
        assert path.is_dir() or b"2024-0" not in path.read_bytes()


def test_other_dates_make_another_table_without_doing_a_case_again(study):
    finished(study)
    text = (study / "dates.csv").read_text("utf-8")
    (study / "dates.csv").write_text(text.replace("2024-01", "2025-01"), encoding="utf-8")
    summary = finished(study)
    assert (summary.cases_done, summary.unchanged) == (0, False)
    assert table(study, "learning.csv")[-1]["case"].endswith("p0_baseline")
    assert finished(study).unchanged


def test_without_dates_there_is_no_table_of_them(study):
    finished(study)
    text = STUDY.replace('reading_dates = "dates.csv"', "")
    run(Order(parse_study(text), text, study, study / "cohort", workers=1), key=SiteKey(bytes(32)))
    assert not (study / "cohort" / "report" / "learning.csv").exists()
    assert "First, last half" not in (study / "cohort" / "report" / "index.html").read_text("utf-8")
