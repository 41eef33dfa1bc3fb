"""The casebook: lists of cases, and cases opened as the run would read them."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.agree import agree
from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.casebook import (
    METRICS,
    CaseAnalysis,
    CaseEntry,
    NotShownError,
    OpenCase,
    cell_text,
    matching,
    matrix,
    metrics_of,
    open_book,
    raters_of,
)
from MedPrepLib.catalog import find_kind
from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Consensus
from MedPrepLib.errors import CohortError
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.load import open_cohort
from MedPrepLib.markups import write_boxes
from MedPrepLib.pipeline import Order, Summary, order_of, run
from MedPrepLib.review import Review
from MedPrepLib.sample.niftifile import write_nifti

KEY = SiteKey(bytes(32))
GRID = Geometry((20, 18, 12), (1.0, 1.0, 2.0), (-10.0, 5.0, 100.0))
STUDY = """
name = "book"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.organ]
value = 1
[labels.tumor]
value = 3
[split]
test_fraction = 0
"""


# --- a study --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(sample_folder, tmp_path_factory) -> Path:
    return shutil.copytree(sample_folder, tmp_path_factory.mktemp("book") / "sample")


@pytest.fixture(scope="module")
def finished(sample) -> Summary:
    return run(order_of(sample / "study.toml", workers=2), key=KEY)


def test_a_study_lists_its_cases_before_any_run(tmp_path):
    write_case(tmp_path, {"ana": slice(3, 8), "ben": slice(3, 8)})
    heard = []
    book = open_book(tmp_path / "study.toml", heard.append, KEY)
    (entry,) = book.entries
    assert (entry.title, entry.center, entry.modality) == ("north/p1/c1", "north", "MR")
    assert (entry.raters, entry.lowest_dice, entry.state) == (("ana", "ben"), None, "to do")
    assert entry.name == KEY.pseudonym("case", "north/p1/c1")
    assert heard != []


def test_after_a_run_the_list_knows_what_was_found(sample, finished):
    entries = {entry.name: entry for entry in open_book(sample, key=KEY).entries}
    assert set(entries) == {result.id for result in finished.results}
    for result in finished.results:
        entry = entries[result.id]
        assert entry.excluded == result.rejections
        assert entry.lowest_dice == (result.agreement.lowest if result.agreement else None)
    assert any("LOW_AGREEMENT" in entry.flags for entry in entries.values())
    assert [e.title for e in open_book(sample, key=KEY).entries] == sorted(
        e.title for e in entries.values()
    )


def test_a_case_is_opened_exactly_as_the_run_packed_it(sample, finished):
    study, cohort = open_book(sample, key=KEY), open_cohort(sample / "cohort")
    for result in finished.included[:6]:
        opened, packed = study.read(result.id), cohort.read(result.id)
        assert np.array_equal(opened.image.array, packed.image)
        assert opened.geometry == packed.geometry
        assert set(opened.masks) == set(packed.readings)
        for rater, mask in opened.masks.items():
            for name in mask.names:
                assert np.array_equal(mask.mask(name), packed.readings[rater].mask(name))
        assert opened.hashes == {r.rater: r.content_hash for r in result.readings}
        assert CaseAnalysis(opened).agreement.lowest == result.agreement.lowest


def test_a_cohort_shows_the_same_as_its_study(sample, finished):
    study, cohort = open_book(sample, key=KEY), open_book(sample / "cohort")
    included = {entry.name: entry for entry in study.entries if not entry.excluded}
    assert {entry.name for entry in cohort.entries} == set(included)
    for entry in cohort.entries:
        assert entry.lowest_dice == included[entry.name].lowest_dice
    name = next(e.name for e in cohort.entries if len(e.raters) > 1)
    one, other = study.read(name), cohort.read(name)
    assert one.hashes == other.hashes
    assert other.packed is not None
    assert other.packed.record.inputs == {
        rater: other.hashes[rater] for rater in other.packed.record.raters
    }
    assert cohort.store.folder == study.store.folder


def test_a_case_without_an_image_says_why_it_cannot_be_shown(sample, finished):
    book = open_book(sample, key=KEY)
    without = [r for r in finished.excluded if any(map(is_final, r.rejections))]
    assert without
    for result in without:
        with pytest.raises(NotShownError, match="cannot be shown") as caught:
            book.read(result.id)
        assert set(result.rejections) & {finding.code for finding in caught.value.findings}


def is_final(code):
    kind = find_kind(code)
    return kind is not None and kind.final


def test_the_even_run_of_a_case_with_a_gap_can_be_looked_at(sample, finished):
    book = open_book(sample, key=KEY)
    (gap,) = (r for r in finished.excluded if "SLICE_GAP" in r.rejections)
    case = book.read(gap.id)
    assert "SLICE_GAP" in {finding.code for finding in case.findings}
    assert case.image.geometry.size[2] >= 3


def test_a_case_that_only_a_rule_leaves_out_can_be_looked_at(tmp_path):
    write_case(tmp_path, {"ana": slice(3, 8), "ben": slice(3, 8)})
    with (tmp_path / "study.toml").open("a", encoding="utf-8") as study:
        study.write('[screen]\nmax_mr_slice_mm = 1.0\nseverity = { THICK_SLICES = "reject" }\n')
    run(order_of(tmp_path / "study.toml", workers=1), key=KEY)
    book = open_book(tmp_path, key=KEY)
    (entry,) = book.entries
    assert entry.excluded != ()
    case = book.read(entry.name)
    assert set(case.masks) == {"ana", "ben"}
    assert set(entry.excluded) <= {finding.code for finding in case.findings}


def test_reviews_are_in_the_list_of_the_study_and_of_the_cohort(tmp_path):
    write_case(tmp_path, {"ana": slice(3, 8), "ben": slice(3, 8)})
    run(order_of(tmp_path / "study.toml", workers=1), key=KEY)
    book = open_book(tmp_path, key=KEY)
    (entry,) = book.entries
    book.store.save(Review(entry.name, "eva", "flagged"))
    assert book.entries[0].state == "flagged"
    cohort = open_book(tmp_path / "cohort")
    assert [(e.state, e.reviewed_by) for e in cohort.entries] == [("flagged", ("eva: flagged",))]


def test_a_folder_that_is_neither_says_what_it_lacks(tmp_path):
    with pytest.raises(CohortError, match=r"manifest.json .* study.toml"):
        open_book(tmp_path)


def test_no_case_of_that_name_is_a_key_error(sample):
    with pytest.raises(KeyError):
        open_book(sample, key=KEY).read("nobody")


def test_a_cohort_moved_away_from_its_label_table_opens(tmp_path):
    write_case(tmp_path, {"ana": slice(3, 8)})
    text = STUDY.split("[labels.organ]", maxsplit=1)[0]
    (tmp_path / "labels.csv").write_text(
        "LabelValue,Name,Color_R,Color_G,Color_B,Color_A\n3,tumor,200,0,0,255\n"
    )
    (tmp_path / "study.toml").write_text(
        'labels_file = "labels.csv"\n' + text + "[split]\ntest_fraction = 0\n"
    )
    run(order_of(tmp_path / "study.toml", workers=1), key=KEY)
    (tmp_path / "labels.csv").unlink()
    book = open_book(tmp_path / "cohort")
    assert book.read(book.entries[0].name).schema.names == ("tumor",)


# --- grids ----------------------------------------------------------------------------------


def write_case(folder: Path, masks: dict[str, slice], grids: dict[str, Geometry] | None = None):
    here = folder / "raw" / "north" / "p1" / "c1"
    (here / "masks").mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 500, GRID.shape).astype(np.int16)
    write_nifti(here / "image.nii.gz", Volume(image, GRID))
    for rater, i in masks.items():
        voxels = np.zeros(GRID.shape, np.uint8)
        voxels[4:8, 4:10, i] = 3
        write_nifti(
            here / "masks" / f"{rater}.nii.gz", Volume(voxels, (grids or {}).get(rater, GRID))
        )
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")


def opened(folder: Path, fixes: frozenset[str] = frozenset()) -> OpenCase:
    book = open_book(folder, key=KEY)
    return book.read(book.entries[0].name, fixes)


def test_a_mask_that_lay_elsewhere_is_kept_as_it_was_drawn(tmp_path):
    elsewhere = replace(GRID, origin=(-6.8, 5.0, 100.0))
    write_case(tmp_path, {"ana": slice(4, 9), "ben": slice(4, 9)}, {"ben": elsewhere})
    case = opened(tmp_path)
    assert set(case.as_drawn) == {"ben"}
    assert case.as_drawn["ben"][0].geometry.displacement_mm(elsewhere) < 1e-4
    assert case.verdicts["ana"].verdict == "same"
    assert case.verdicts["ben"].displacement_mm == pytest.approx(3.2, abs=1e-4)
    assert CaseAnalysis(case).agreement.lowest < 0.7


def test_a_fix_puts_the_mask_on_the_image_and_keeps_the_verdict_of_its_header(tmp_path):
    elsewhere = replace(GRID, origin=(-6.8, 5.0, 100.0))
    write_case(tmp_path, {"ana": slice(4, 9), "ben": slice(4, 9)}, {"ben": elsewhere})
    case = opened(tmp_path, frozenset({"ben"}))
    assert case.fixes == {"ben"}
    assert CaseAnalysis(case).agreement.lowest == 1
    assert case.verdicts["ben"].verdict == "resample"


def test_a_mask_that_cannot_be_used_still_has_a_verdict_and_a_place(tmp_path):
    far = replace(GRID, origin=(500.0, 5.0, 100.0))
    write_case(tmp_path, {"ana": slice(4, 9), "ben": slice(4, 9)}, {"ben": far})
    case = opened(tmp_path)
    assert set(case.masks) == {"ana"}
    assert case.verdicts["ben"].verdict == "reject"
    assert case.as_drawn["ben"][0].geometry.origin[0] == pytest.approx(500)
    assert case.raters == ("ana",)


def test_the_first_look_goes_to_what_was_drawn(tmp_path):
    write_case(tmp_path, {"ana": slice(4, 9), "ben": slice(4, 9)})
    case = opened(tmp_path)
    i, j, k = (round(x) for x in case.geometry.index_at(case.center_mm))
    assert case.masks["ana"].mask("tumor")[k, j, i]
    low, high = case.display_range
    assert low < high


# --- questions ------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path) -> CaseAnalysis:
    write_case(tmp_path, {"ana": slice(3, 8), "ben": slice(5, 12), "eva": slice(3, 9)})
    return CaseAnalysis(opened(tmp_path))


def test_pairs_are_those_of_the_library(asked):
    assert asked.agreement == agree(asked.case.masks, ("tumor",))
    assert asked.case.labels == ("tumor",)
    assert [finding.code for finding in asked.low] == ["LOW_AGREEMENT"]


def test_every_metric_has_a_value_for_every_pair(asked):
    offered = metrics_of(asked.case)
    for metric in offered:
        found = matrix(asked, "tumor", metric)
        assert set(found) == {("ana", "ben"), ("ana", "eva"), ("ben", "eva")}
        assert all(value is not None for value in found.values()), metric.name
    values = {metric.name: matrix(asked, "tumor", metric)["ana", "eva"] for metric in offered}
    assert values["Dice"] == pytest.approx(10 / 11)
    assert values["Jaccard"] == pytest.approx(5 / 6)
    assert values["volume difference"] == pytest.approx(100 * 2 / 11)
    assert values["Hausdorff"] == pytest.approx(1.0)
    assert values["lesions, F1"] == 1


def test_where_raters_differ_and_why_is_answered_for_a_label(asked):
    (cause,) = [
        c for c in asked.causes("tumor") if c.best and {c.rater_a, c.rater_b} == {"ana", "ben"}
    ]
    assert cause.sentence
    assert asked.places("tumor")[0].volume_ml > 0
    assert {w.axis for w in asked.worst("tumor")} == {"i", "j", "k"}
    assert asked.disagreement("tumor").array.max() > 0.9


def test_boxes_and_labels_per_slice_are_compared_like_masks(tmp_path):
    case = opened_kinds(tmp_path)
    asked = CaseAnalysis(case)
    assert case.labels == ("tumor",)
    assert case.labels_of_masks == ()
    assert asked.agreement.lowest is None
    offered = {metric.name: metric for metric in metrics_of(case)}
    assert list(offered) == ["boxes, F1", "boxes, mean IoU", "slices, Dice", "slices, kappa"]
    assert raters_of(case, offered["boxes, F1"]) == ("ana", "ben")
    assert raters_of(case, offered["slices, Dice"]) == ("ana", "ben")
    assert matrix(asked, "tumor", offered["boxes, F1"]) == {("ana", "ben"): pytest.approx(2 / 3)}
    slices = matrix(asked, "tumor", offered["slices, Dice"])
    assert slices == {("ana", "ben"): pytest.approx(2 * 3 / (4 + 5))}


def test_a_box_that_one_drew_and_slices_that_one_noted_are_places_to_look_at(tmp_path):
    case = opened_kinds(tmp_path)
    box, *slices = CaseAnalysis(case).places("tumor")
    assert (box.kind, box.raters_for, box.raters_against) == ("box", ("ana",), ("ben",))
    assert case.geometry.index_at(box.center_mm) == pytest.approx((13.5, 11.5, 8.5))
    assert box.volume_ml == pytest.approx(4 * 4 * 2 * 2 / 1000)
    found = [(p.kind, p.slices.start, p.slices.stop, p.raters_for) for p in slices]
    assert found == [("slices", 2, 3, ("ana",)), ("slices", 6, 8, ("ben",))]
    assert case.geometry.index_at(slices[1].center_mm)[2] == pytest.approx(7)


def opened_kinds(folder: Path) -> OpenCase:
    """Two raters without masks: boxes of the same thing and one more, and slices."""
    write_case(folder, {})
    masks = folder / "raw/north/p1/c1/masks"
    masks.mkdir(exist_ok=True)
    both = to_world(index_box("tumor", (2, 2, 2), (8, 8, 6), GRID), GRID)
    more = to_world(index_box("tumor", (12, 10, 8), (16, 14, 10), GRID), GRID)
    write_boxes(masks / "ana.mrk.json", [both, more])
    write_boxes(masks / "ben.mrk.json", [both])
    for rater, (start, stop) in {"ana": (2, 6), "ben": (3, 8)}.items():
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,{start},{stop}\n")
    return opened(folder)


def test_the_consensus_follows_the_rule_that_is_asked_for(asked):
    vote = asked.consensus(Consensus())
    assert vote.label_map.max() == 3
    assert vote.record.inputs == dict(asked.case.hashes)
    weighed = asked.consensus(Consensus(method="staple"))
    assert {p.rater for p in weighed.record.performance} == {"ana", "ben", "eva"}


def test_a_question_is_answered_once_however_many_ask(asked, monkeypatch):
    from MedPrepLib.casebook import analysis

    calls = []
    real = analysis.surfaces
    monkeypatch.setattr(analysis, "surfaces", lambda *a: calls.append(1) or real(*a))
    threads = [threading.Thread(target=asked.surfaces, args=("tumor",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_a_prepared_label_costs_nothing_more(asked):
    assert not asked.knows("surfaces", "tumor")
    assert asked.knows("pairs", "tumor")
    asked.explain("tumor")
    asked.measure("tumor")
    assert all(asked.knows(what, "tumor") for what in ("surfaces", "lesions", "places", "causes"))


def test_one_rater_alone_has_nothing_to_agree_with(tmp_path):
    write_case(tmp_path, {"ana": slice(3, 8)})
    analysis = CaseAnalysis(opened(tmp_path))
    assert analysis.low == ()
    assert analysis.pairs("tumor") == ()
    assert analysis.places("tumor") == ()
    assert np.count_nonzero(analysis.consensus(Consensus()).label_map) == 4 * 6 * 5


def test_a_case_without_any_mask_can_be_opened(tmp_path):
    write_case(tmp_path, {})
    case = opened(tmp_path)
    assert (case.raters, case.labels) == ((), ())
    assert CaseAnalysis(case).agreement.labels == ()


# --- cells and lists ------------------------------------------------------------------------


def test_a_dice_just_below_the_threshold_is_not_written_as_the_threshold():
    dice = METRICS[0]
    assert cell_text(0.69996, dice, 0.7) == "0.69996"
    assert cell_text(0.7, dice, 0.7) == "0.700"
    assert cell_text(None, dice, 0.7) == "\N{EN DASH}"


def test_goodness_runs_from_poor_to_good_whichever_way_is_up():
    names = {metric.name: metric for metric in METRICS}
    assert names["Dice"].goodness(1.0) == 1
    assert names["Dice"].goodness(0.2) == 0
    assert names["Hausdorff"].goodness(0.0) == 1
    assert names["Hausdorff"].goodness(60.0) == 0
    assert 0 < names["Hausdorff"].goodness(5.0) < 1


def test_a_search_finds_every_word_in_any_column():
    entries = (
        CaseEntry("a1", "north/p1/c1", center="north", raters=("ana",), flags=("LOW_AGREEMENT",)),
        CaseEntry("b2", "south/p2/c1", center="south", raters=("ben",), state="approved"),
    )
    assert [e.name for e in matching(entries, "NORTH low")] == ["a1"]
    assert [e.name for e in matching(entries, "c1")] == ["a1", "b2"]
    assert [e.name for e in matching(entries, "c1", "approved")] == ["b2"]
    assert matching(entries, "north ben") == ()


def test_an_order_for_a_study_file_puts_the_cohort_beside_it(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    order = order_of(tmp_path / "study.toml")
    assert isinstance(order, Order)
    assert order.cohort == tmp_path / "cohort"
    assert order.study == parse_study(STUDY)
