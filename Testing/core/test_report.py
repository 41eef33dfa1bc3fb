"""The report as text: every number adds up, nothing private or dangerous is in it."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import posixpath
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from PIL import Image
from report_sample import draw_pictures, sample_cases, sample_report, study

from MedPrepLib import atomic, catalog
from MedPrepLib.findings import Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.report import documents, text, write_report
from MedPrepLib.report.agreement import agreement_view, histogram
from MedPrepLib.report.images import MAX_PICTURE_BYTES
from MedPrepLib.report.model import needs_look
from MedPrepLib.report.places import page_names
from MedPrepLib.report.sets import sets_view
from MedPrepLib.report.summary import cohort_table, flow, shares, verdict


class _Reader(HTMLParser):
    """Collects the words outside of style and script, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "input", "br", "link", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, *_):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag, *_):
        pass

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)


def _words(page: str) -> str:
    reader = _Reader(page)
    assert reader.open == []
    return re.sub(r"\s+", " ", " ".join(reader.words))


def pages_of(report) -> dict[str, str]:
    """Every page by its name in the folder of the report."""
    files = documents(report)
    return {name: data.decode() for name, data in files if name.endswith(".html")}


def render(report) -> str:
    """The overview."""
    return pages_of(report)["index.html"]


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample_report())


@pytest.fixture(scope="module")
def every() -> dict[str, str]:
    return pages_of(sample_report())


def test_the_verdict_says_what_the_report_comes_down_to():
    report = sample_report()
    assert verdict(report) == (
        "21 of 26 cases can be trained on; 9 of them need a look first. 5 are excluded."
    )
    assert sum(share.count for share in shares(report)) == 26
    assert sum(share.width for share in shares(report)) == pytest.approx(100, abs=0.01)
    one = sample_report(cases=sample_cases(1), split=None)
    assert verdict(one) == "1 of 1 case can be trained on. Nothing is excluded."


def test_every_case_is_in_the_table_and_has_its_page(page, every):
    words = _words(page)
    for case in sample_cases():
        assert case.id in words
        assert f'href="cases/{case.id}.html"' in page
        assert _words(every[f"cases/{case.id}.html"]).count(case.id) >= 2
    assert len(every) == 26 + 2


def test_every_link_within_the_report_leads_to_a_file_of_it(every):
    for name, page in every.items():
        for link in re.findall(r'href="([^"#]+)', page):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) in every


def test_the_flow_counts_each_excluded_case_once_and_ends_at_the_included():
    report = sample_report()
    steps = flow(report)
    assert sum(step.dropped for step in steps) == len(report.excluded)
    assert steps[-1].left == len(report.included)
    assert {r.code: r.count for step in steps for r in step.reasons} == {
        "SLICE_GAP": 2,
        "MODALITY_UNWANTED": 1,
        "NO_READING": 1,
        "WORKER_TIMEOUT": 1,
    }
    assert [s.doing for s in steps if s.dropped] == [
        "reading the files",
        "screening the headers",
        "matching the annotations",
        "processing",
    ]


def test_a_case_with_two_reasons_is_counted_under_the_first():
    case = sample_cases()[4]
    twice = changed(case, findings=(*case.findings, catalog.NO_READING.at(case.id, "no mask")))
    steps = flow(sample_report(cases=(twice,), split=None))
    assert {r.code for step in steps for r in step.reasons} == {"SLICE_GAP"}


def test_a_rejected_reading_keeps_its_case_but_asks_for_a_look():
    case = sample_cases()[0]
    finding = catalog.MASK_UNREADABLE.at(f"{case.id}/Berta", "the file ends early")
    spoiled = changed(case, findings=(finding,))
    assert spoiled.included
    assert needs_look(spoiled)
    report = sample_report(cases=(spoiled, *sample_cases()[1:]))
    assert report.to_review[0].id == spoiled.id
    assert len(report.excluded) == 5


def test_the_least_agreement_is_looked_at_first():
    lowest = [case.agreement.lowest for case in sample_report().to_review]
    assert lowest == sorted(lowest)
    assert lowest[0] == 0


def test_the_cohort_table_adds_up_to_its_total():
    *rows, total = cohort_table(sample_report())
    assert total.total
    assert sum(row.cases for row in rows) == total.cases == 21
    assert sum(row.excluded for row in rows) == total.excluded == 5


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.69999, 3, "0.699"),
        (0.57, 2, "0.57"),
        (1.0, 3, "1.000"),
        (0.9999, 2, "0.99"),
        (0.7, 3, "0.700"),
    ],
)
def test_a_dice_is_cut_off_so_that_it_never_looks_better_than_it_is(value, digits, shown):
    assert text.dice(value, digits) == shown
    assert text.dice(None) == text.NOTHING


def test_a_value_on_the_threshold_stands_above_it_in_the_histogram():
    bars = histogram([0.7, 0.69999999, 0.0, 1.0, 0.15, 0.35], 0.7)
    assert sum(bar.count for bar in bars) == 6
    counted = {round(bar.low, 2): bar for bar in bars if bar.count}
    assert set(counted) == {0.0, 0.15, 0.35, 0.65, 0.7, 0.95}
    assert counted[0.65].below
    assert not counted[0.7].below


def test_the_numbers_of_agreement_follow_the_rule_of_the_study():
    report = sample_report()
    view = agreement_view(report)
    lowest = [c.agreement.lowest for c in report.included if c.agreement is not None]
    assert view.measured == len([v for v in lowest if v is not None])
    assert view.below == sum(v < 0.7 for v in lowest if v is not None)
    assert view.worst[0].pair.outcome == "one empty"
    mean = changed(report.settings.agree, rule="mean_pair")
    other = agreement_view(replace(report, settings=changed(report.settings, agree=mean)))
    assert other.median > view.median
    assert "lowest mean over pairs of raters among the labels" in _words(
        render(replace(report, settings=changed(report.settings, agree=mean)))
    )


def test_the_matrix_holds_the_mean_of_all_defined_values_of_a_pair():
    report = sample_report()
    nodule = next(m for m in agreement_view(report).matrices if m.label == "nodule")
    values = [
        pair.dice
        for case in report.included
        for pair in (case.agreement.pairs if case.agreement else ())
        if (pair.label, pair.rater_a, pair.rater_b) == ("nodule", "Ada", "Chiara")
        and pair.dice is not None
    ]
    cell = nodule.rows[nodule.raters.index("Ada")][nodule.raters.index("Chiara")]
    assert cell.mean == pytest.approx(sum(values) / len(values))
    assert cell.cases == len(values)
    assert nodule.rows[1][0] is None


def test_undefined_agreement_is_named_and_never_a_number():
    words = " ".join(map(_words, pages_of(sample_report()).values()))
    assert "both empty" in words
    assert "not annotated" in words
    assert "0.000 (one empty)" in words
    assert "nan" not in words.lower().split()
    assert "None" not in words.split()


def test_the_split_table_covers_everybody_once_and_finds_no_leak():
    report = sample_report()
    view = sets_view(report)
    parts = [row for row in view.rows if row.strong]
    assert sum(row.cases for row in parts) == len(report.included)
    folds = [row for row in view.rows if not row.strong]
    assert sum(row.cases for row in folds) == parts[0].cases
    assert not view.leaks
    assert "No patient and no identical image lies in two parts" in view.audit


@pytest.mark.parametrize("field", ["patient", "pixel_hash"])
def test_a_leak_between_the_parts_is_found_and_shouted(field):
    report = sample_report()
    test = next(c for c in report.included if report.split.places[c.id].part == "test")
    train = next(c for c in report.included if report.split.places[c.id].part == "train")
    same = {field: getattr(test, field), "center": test.center}
    moved = tuple(changed(c, **same) if c.id == train.id else c for c in report.cases)
    view = sets_view(replace(report, cases=moved))
    assert view.leaks
    assert view.audit.startswith("LEAK")
    assert 'class="audit bad"' in render(replace(report, cases=moved))


def test_the_methods_carry_the_numbers_of_this_cohort(page):
    words = _words(page)
    assert "26 image volumes were found in 5,321 files." in words
    assert "SLICE_GAP (n = 2)" in words
    assert "4 raters annotated 2 labels." in words
    assert "limited to \N{MINUS SIGN}1,024 to 3,071 HU" in words
    assert "dealt into 5 cross-validation folds" in words


def test_a_study_without_cases_split_or_second_rater_still_has_a_report():
    empty = _words(render(sample_report(cases=(), split=None, source_findings=())))
    assert "No case was found in the sources." in empty
    single = changed(sample_cases()[4 + 20], findings=())
    alone = _words(render(sample_report(cases=(single,), split=None)))
    assert "No included case has readings of two persons that can be compared." in alone
    bare = changed(
        single, geometry=None, statistics=None, readings=(), consensus=None, targets=None
    )
    assert bare.id in _words(render(sample_report(cases=(bare,), split=None)))


def test_places_on_the_disk_are_not_told(page, every):
    assert not any("st-olav" in page or "charite.csv" in page for page in every.values())
    assert "(kept in the study file)" in page


def test_no_control_or_invisible_character_reaches_the_page():
    case = sample_cases()[0]
    evil = "a\x00b\x1b[31mc\x9bd\u202ee\u2066f\ud800g\u200bh\x7fi\r\nj\u2028k"
    spoiled = changed(case, center=evil, findings=(catalog.THICK_SLICES.at(case.id, evil),))
    page = "".join(pages_of(sample_report(cases=(spoiled,), split=None)).values())
    assert {c for c in page if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} == {"\n"}
    assert "ab[31mcdefghi  jk" in page
    page.encode("utf-8")


def test_long_texts_are_cut():
    case = changed(sample_cases()[0], center="x" * 5000)
    page = render(sample_report(cases=(case,), split=None))
    assert "x" * 63 + "…" in page
    assert "x" * 64 not in page


def test_no_page_names_anything_outside_of_the_report(every):
    for page in every.values():
        links = re.findall(r"""(?:src|href)=["']?(?!#|data:)([^"'>\s]+)""", page)
        assert all(re.fullmatch(r"(\.\./)?[\w./-]+(#filter)?", link) for link in links)
        assert "http" not in page.replace("http-equiv", "")
        assert "url(" not in page
        assert "@import" not in page
        assert ' style="' not in page


def test_the_policy_names_exactly_this_style_and_this_script(every):
    for file, page in every.items():
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
        images = "'self' file: data:" if file == "index.html" else "'self' file:"
        assert policy.startswith(f"default-src 'none'; img-src {images};")
        for name in ("style", "script"):
            content = re.search(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)[1]
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{name}-src 'sha256-{digest}'" in policy
        assert "unsafe" not in policy


def test_the_bytes_depend_on_the_input_only_not_on_its_order():
    report = sample_report()
    turned = replace(report, cases=tuple(reversed(report.cases)))
    assert pages_of(turned) == pages_of(report)


def test_every_file_of_the_report_is_whole_and_the_overview_comes_last(tmp_path):
    folder = tmp_path / "cohort" / "report"
    paths = write_report(folder, sample_report())
    assert paths[-1] == folder / "index.html"
    assert {p for p in folder.rglob("*") if p.is_file()} == set(paths)
    assert all(p.read_text("utf-8").rstrip().endswith("</html>") for p in paths)
    before = {path: path.read_bytes() for path in paths}
    assert write_report(folder, sample_report()) == paths
    assert {path: path.read_bytes() for path in paths} == before


@pytest.mark.fault("F5")
def test_a_disk_that_fills_up_with_a_page_leaves_the_overview_as_it_was(tmp_path, monkeypatch):
    first, *rest = sample_cases()
    write_report(tmp_path, sample_report())
    before = (tmp_path / "index.html").read_bytes()
    sync = atomic._sync_file

    def full(path):
        if path.name == f"{first.id}.html.partial":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(path)

    monkeypatch.setattr(atomic, "_sync_file", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(tmp_path, sample_report(cases=(changed(first, center="Oslo"), *rest)))
    assert (tmp_path / "index.html").read_bytes() == before
    assert not list(tmp_path.rglob("*.partial"))


def test_a_link_in_the_place_of_a_page_is_replaced_not_followed(tmp_path):
    folder = tmp_path / "report"
    page = write_report(folder, sample_report())[0]
    page.rename(tmp_path / "outside.html")
    page.symlink_to(tmp_path / "outside.html")
    write_report(folder, sample_report())
    assert page.is_file()
    assert not page.is_symlink()


def test_names_of_files_come_from_ids_only_where_they_are_names_everywhere():
    ids = ["a.b-1", "../up", "CON", "nul.x", ".hidden", "Case", "case", "x" * 65, "", "ü", "\ud800"]
    names = page_names(ids)
    assert names["a.b-1"] == "a.b-1"
    assert all(re.fullmatch(r"x-[0-9a-f]{24}", names[case]) for case in ids[1:])
    assert len({name.lower() for name in names.values()}) == len(ids)
    assert page_names(["a.b-1", "other"])["a.b-1"] == "a.b-1"


def test_pictures_lie_beside_the_pages_and_broken_missing_or_foreign_ones_do_not(tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw_pictures(folder, sample_cases()[:3])
    first, second, third, *rest = sample_cases()
    stolen = (folder / first.picture).rename(tmp_path / "outside.png")
    (folder / second.picture).write_bytes(b"<svg onload=alert(1)>")
    cases = (changed(first, picture="../outside.png"), second, third, *rest)
    files = dict(documents(sample_report(folder, cases=cases)))
    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    assert pictures == {f"cases/{third.id}.png": (folder / third.picture).read_bytes()}
    assert f'<img src="{third.id}.png"' in files[f"cases/{third.id}.html"].decode()
    assert stolen.is_file()
    too_large = (folder / third.picture).read_bytes().ljust(MAX_PICTURE_BYTES + 1, b"\0")
    (folder / third.picture).write_bytes(too_large)
    files = dict(documents(sample_report(folder, cases=cases)))
    assert not any(name.endswith(".png") for name in files)
    assert not any(b"<img" in data for data in files.values())


def test_the_overview_carries_the_pictures_of_what_to_look_at_first(tmp_path):
    report = sample_report(tmp_path)
    draw_pictures(tmp_path, report.to_review[:3])
    embedded = set(re.findall(r'src="data:image/png;base64,([^"]+)"', render(report)))
    wanted = [(tmp_path / case.picture).read_bytes() for case in report.to_review[:3]]
    assert embedded == {base64.b64encode(data).decode() for data in wanted}


def test_what_augmentation_does_is_shown_where_it_was_drawn():
    drawn = dict(documents(sample_report(augmentation=_png_of(6, 4))))
    assert drawn["augmentation.png"] == _png_of(6, 4)
    page = drawn["index.html"].decode()
    assert 'src="augmentation.png" width="6" height="4"' in page
    assert "rotation by at most 10 degrees" in page
    plain = dict(documents(sample_report()))
    assert "augmentation.png" not in plain
    assert "augmentation" not in plain["index.html"].decode().lower()


def _png_of(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, height)).save(stream, "PNG")
    return stream.getvalue()


def test_a_study_can_leave_the_pictures_out(tmp_path):
    draw_pictures(tmp_path, sample_cases()[:2])
    plain = study()
    settings = changed(plain, report=changed(plain.report, pictures=False))
    assert "<img" not in "".join(pages_of(sample_report(tmp_path, settings=settings)).values())


def test_every_severity_is_told_by_word_and_sign_and_not_by_color_alone(every):
    words = " ".join(map(_words, every.values()))
    for severity, sign in zip(Severity, "●▲■", strict=True):
        assert f"{sign} {severity.word}" in words


def test_the_methods_say_how_pet_was_converted_and_what_was_not():
    first, second = (changed(c, modality="PT", findings=()) for c in sample_cases()[4:6])
    unknown = catalog.SUV_UNKNOWN.at(second.id, "Units (0054,1001) is missing")
    said = "converted to standardized uptake values by body weight"
    assert f"{said}. " in _words(render(sample_report(cases=(first,), split=None)))
    both = (first, changed(second, findings=(unknown,)))
    assert f"{said}, but for 1 case that" in _words(render(sample_report(cases=both, split=None)))


@pytest.mark.parametrize("edge_mm", [100, 150, 500])
def test_an_extent_of_whole_tens_of_millimeters_keeps_its_zeros(edge_mm: int):
    """150 mm was told as 15 mm."""
    case = next(case for case in sample_cases() if case.geometry is not None)
    grid = Geometry((edge_mm, 154, 51), (1.0, 1.0, 3.2701))
    made = documents(sample_report(cases=(changed(case, geometry=grid),), split=None))
    page = next(data for name, data in made if name.startswith("cases/") and name.endswith("html"))
    shown = " ".join(re.sub(r"<[^>]+>", " ", page.decode()).split())
    shown = shown.replace("\N{MULTIPLICATION SIGN}", "x")
    assert f"Extent {edge_mm} x 154 x 167 mm" in shown
    assert f"Voxels (i, j, k) {edge_mm} x 154 x 51" in shown
    assert "Spacing 1 x 1 x 3.27 mm" in shown
