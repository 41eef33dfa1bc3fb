"""The report in a real browser: nothing planted in data runs, nothing is fetched, it works."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.bench_report import made_up
from msgspec.structs import replace as changed
from report_sample import draw_pictures, sample_cases, sample_report, study

from MedPrepLib import catalog
from MedPrepLib.config.settings import Study
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry
from MedPrepLib.report import ReportInput, write_report
from MedPrepLib.report.text import NOTHING
from MedPrepLib.results import Agreement, CaseResult, ConsensusRecord, ReadingResult
from MedPrepLib.split import Member, split

pytest.importorskip("selenium")
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ATTACK = "</script><img src=x onerror=alert(1)>\x1b]0;owned\x07\x9b31m\u202e"
SHOWN = "</script><img src=x onerror=alert(1)>"


def _bad(text: str) -> str:
    return ATTACK + text


def _bad_keys(mapping: dict) -> dict:
    return {_bad(key): value for key, value in mapping.items()}


def _bad_finding(finding: Finding) -> Finding:
    texts = (finding.item, finding.message, finding.remedy)
    item, message, remedy = (_bad(text) for text in texts)
    return replace(finding, code=_bad(finding.code), item=item, message=message, remedy=remedy)


def _bad_reading(reading: ReadingResult) -> ReadingResult:
    grid = changed(reading.grid, cause=_bad(reading.grid.cause), sentence=_bad(ATTACK))
    voxels, content = _bad_keys(reading.voxels), _bad(reading.content_hash)
    return ReadingResult(_bad(reading.rater), grid, voxels, content)


def _bad_agreement(agreement: Agreement) -> Agreement:
    labels = tuple(changed(x, label=_bad(x.label)) for x in agreement.labels)
    pairs = tuple(
        changed(p, label=_bad(p.label), rater_a=_bad(p.rater_a), rater_b=_bad(p.rater_b))
        for p in agreement.pairs
    )
    return Agreement(tuple(map(_bad, agreement.raters)), labels, pairs)


def _bad_consensus(record: ConsensusRecord) -> ConsensusRecord:
    raters, inputs = tuple(map(_bad, record.raters)), _bad_keys(record.inputs)
    return ConsensusRecord(_bad(record.method), raters, _bad(record.tie_rule), 3, inputs)


def _bad_case(case: CaseResult) -> CaseResult:
    return changed(
        case,
        id=_bad(case.id),
        patient=_bad(case.patient),
        center=_bad(case.center),
        modality=_bad(case.modality),
        device=_bad(case.device),
        sex=_bad(case.sex),
        findings=tuple(map(_bad_finding, case.findings)),
        readings=tuple(map(_bad_reading, case.readings)),
        agreement=case.agreement and _bad_agreement(case.agreement),
        consensus=case.consensus and _bad_consensus(case.consensus),
        targets=case.targets and changed(case.targets, voxels=_bad_keys(case.targets.voxels)),
        pixel_hash=_bad(case.pixel_hash),
    )


def _bad_study() -> Study:
    plain = study()
    consensus = changed(plain.consensus, ties=_bad("rater:Ada"))
    labels = _bad_keys(plain.labels)
    return changed(plain, name=_bad(plain.name), labels=labels, consensus=consensus)


def hostile_report(pictures: Path) -> ReportInput:
    """The sample with the attack in front of every text that a source can set."""
    cases = tuple(_bad_case(case) for case in sample_cases())
    members = [
        Member(case.id, case.patient, case.center, frozenset(), case.pixel_hash)
        for case in cases
        if case.included
    ]
    settings = _bad_study()
    plan, _ = split(members, settings.split, 0)
    source = _bad_finding(catalog.FILE_IGNORED.at("source", "message"))
    return sample_report(
        pictures,
        settings=settings,
        cases=cases,
        split=plan,
        version=ATTACK,
        config_hash=ATTACK,
        source_findings=(source,),
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> tuple[Path, Path]:
    """The sample report, and the hostile one; both with the same few pictures."""
    folder = tmp_path_factory.mktemp("report")
    draw_pictures(folder, sample_cases()[:7])
    plain = write_report(folder / "plain", sample_report(folder))
    hostile = write_report(folder / "hostile", hostile_report(folder))
    return plain[-1], hostile[-1]


def _every_page(index: Path) -> list[Path]:
    """The overview, a contact sheet, and pages of cases of every kind."""
    cases = sorted(index.parent.glob("cases/*.html"))
    return [index, index.parent / "contact-1.html", *cases[:4]]


def _requests(browser) -> list[str]:
    """Every address that the page asked for, data URIs apart."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        entry["params"]["request"]["url"]
        for entry in entries
        if entry["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith("data:")]


def _first_cells(browser, column: int) -> list[str]:
    script = "return [...document.querySelector('#case-table').tBodies[0].rows].map("
    return browser.execute_script(script + f"r => r.cells[{column}].textContent.trim())")


def _head(browser, title: str):
    buttons = browser.find_elements(By.CSS_SELECTOR, "#case-table thead button")
    return next(button for button in buttons if button.text == title)


@pytest.mark.fault("F28")
@pytest.mark.parametrize("which", [0, 1], ids=["sample", "hostile"])
def test_pages_run_nothing_of_their_data_and_fetch_only_their_pictures(pages, browser, which):
    folder = pages[which].parent
    own = {path.as_uri() for path in folder.rglob("*.png")}
    for page in _every_page(pages[which]):
        browser.get(page.as_uri())
        with pytest.raises(NoAlertPresentException):
            _ = browser.switch_to.alert
        first, *others = _requests(browser)
        assert first == page.as_uri()
        assert set(others) <= own
        assert browser.get_log("browser") == []
        count = "return document.querySelectorAll(arguments[0]).length"
        assert browser.execute_script(count, "script") == 1
        foreign = "[onerror], [onclick], [style], iframe, object, link, img:not([alt])"
        assert browser.execute_script(count, foreign) == 0
        shown = browser.execute_script(count, "figure.views > img, img.axial")
        assert browser.execute_script(count, "img") == shown


@pytest.mark.parametrize("page", ["index.html", "contact-1.html", "cases/case-00000.html"])
def test_every_picture_is_there_once_it_is_scrolled_to(pages, browser, page):
    browser.get((pages[0].parent / page).as_uri())
    wait = (
        "const done = arguments[0], all = [...document.images];"
        "for (const i of all) i.loading = 'eager';"
        "Promise.all(all.map(i => i.decode())).then(() => done(all.length), e => done(String(e)))"
    )
    assert browser.execute_async_script(wait) > 0


@pytest.mark.fault("F28", "F31")
def test_planted_markup_is_shown_as_the_text_it_is(pages, browser):
    browser.get(pages[1].as_uri())
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith(SHOWN)
    for part in (
        *("#look-first", "#cohort", "#agreement", "#split", "#case-table", "#excluded"),
        *("#images", "#contact"),
    ):
        text = browser.execute_script(
            "return document.querySelector(arguments[0]).textContent", part
        )
        assert SHOWN in text, part
    assert browser.execute_script("return document.title").startswith(SHOWN)
    for page in _every_page(pages[1])[1:]:
        browser.get(page.as_uri())
        assert SHOWN in browser.execute_script("return document.title")
        assert SHOWN in browser.find_element(By.TAG_NAME, "main").text


@pytest.mark.fault("F28")
def test_the_policy_of_the_page_stops_scripts_and_pictures_that_were_slipped_in(pages, browser):
    browser.get(pages[0].as_uri())
    browser.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran=1\">');"
        "const s = document.createElement('script'); s.textContent = 'window.ran=1';"
        "document.body.append(s);"
    )
    assert browser.execute_script("return window.ran") is None
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert any("Content Security Policy" in message for message in refused)


def test_a_click_on_a_column_sorts_by_number_and_another_one_turns_it_around(pages, browser):
    browser.get(pages[0].as_uri())
    _head(browser, "Lowest Dice").click()
    shown = [text.removeprefix("▾ ") for text in _first_cells(browser, 6)]
    values = [float(text) for text in shown if text != NOTHING]
    assert values == sorted(values)
    assert len(values) > 10
    assert set(shown[len(values) :]) == {NOTHING}
    _head(browser, "Lowest Dice").click()
    shown = [text.removeprefix("▾ ") for text in _first_cells(browser, 6)]
    assert [float(text) for text in shown[: len(values)]] == sorted(values, reverse=True)
    assert set(shown[len(values) :]) == {NOTHING}
    head = browser.find_element(By.CSS_SELECTOR, "#case-table th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"


def test_columns_can_be_sorted_from_the_keyboard(pages, browser):
    browser.get(pages[0].as_uri())
    browser.execute_script("arguments[0].focus()", _head(browser, "Center"))
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    centers = _first_cells(browser, 1)
    assert centers == sorted(centers)
    assert len(set(centers)) == 4


def test_the_filter_keeps_the_rows_that_hold_the_words(pages, browser):
    browser.get(pages[0].as_uri())
    browser.find_element(By.ID, "filter").send_keys("slice_gap")
    visible = [
        row.text
        for row in browser.find_elements(By.CSS_SELECTOR, "#case-table tbody tr")
        if row.is_displayed()
    ]
    assert len(visible) == 2
    assert all("SLICE_GAP" in text for text in visible)
    assert browser.find_element(By.CSS_SELECTOR, ".filter output").text == "2 of 26"


def _press(browser, keys: str) -> None:
    """As a keyboard does it: to what has the focus now, not to what had it a moment ago."""
    ActionChains(browser).send_keys(keys).perform()


def _heading(browser) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def test_a_case_is_a_click_away_and_keys_lead_on_from_there(pages, browser):
    ids = sorted(case.id for case in sample_cases())
    browser.get(pages[0].as_uri())
    browser.find_element(By.CSS_SELECTOR, "#case-table tbody a").click()
    assert _heading(browser) == ids[0]
    for keys, there in (("n", 1), ("j", 2), ("p", 1), ("k", 0), ("k", 0)):
        _press(browser, keys)
        assert _heading(browser) == ids[there]
    _press(browser, "c")
    assert _heading(browser) == "Contact sheet"
    _press(browser, "u")
    assert browser.current_url == pages[0].as_uri()
    assert browser.get_log("browser") == []


def test_a_key_leads_through_the_cases_to_look_at_in_order_of_urgency(pages, browser):
    wanted = [case.id for case in sample_report().to_review]
    browser.get((pages[0].parent / "cases" / f"{wanted[0]}.html").as_uri())
    for case in wanted[1:]:
        _press(browser, "l")
        assert _heading(browser) == case
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-keys='l']")


def test_rows_are_walked_and_opened_with_keys_alone(pages, browser):
    browser.get(pages[0].as_uri())
    _press(browser, "/")
    _press(browser, "slice_gap")
    _press(browser, Keys.ENTER)
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#case-table tbody tr a")]
    for _ in range(3):
        _press(browser, "j")
    _press(browser, Keys.ENTER)
    gaps = sorted(c.id for c in sample_cases() if any(f.code == "SLICE_GAP" for f in c.findings))
    assert _heading(browser) == gaps[-1]
    assert set(gaps) < set(rows)
    _press(browser, "/")
    assert browser.current_url == pages[0].as_uri() + "#filter"
    assert browser.switch_to.active_element.get_attribute("id") == "filter"


def test_letters_typed_into_the_filter_are_letters(pages, browser):
    browser.get(pages[0].as_uri())
    browser.find_element(By.ID, "filter").send_keys("ujknp?/")
    assert browser.find_element(By.ID, "filter").get_attribute("value") == "ujknp?/"
    assert browser.current_url == pages[0].as_uri()
    assert not browser.find_element(By.ID, "keys").is_displayed()


def test_the_list_of_keys_opens_and_single_keys_can_be_switched_off(pages, browser):
    browser.get((pages[0].parent / "cases/case-00000.html").as_uri())
    _press(browser, "?")
    dialog = browser.find_element(By.ID, "keys")
    assert dialog.is_displayed()
    browser.find_element(By.ID, "keys-on").click()
    _press(browser, Keys.ESCAPE)
    assert not dialog.is_displayed()
    _press(browser, "n")
    assert _heading(browser) == "case-00000"
    _press(browser, "?")
    browser.find_element(By.ID, "keys-on").click()
    browser.find_element(By.CSS_SELECTOR, "#keys .close").click()
    _press(browser, "n")
    assert _heading(browser) == "case-00356"


def test_the_first_tab_offers_to_skip_and_shows_where_it_is(pages, browser):
    for page in _every_page(pages[0])[:3]:
        browser.get(page.as_uri())
        _press(browser, Keys.TAB)
        link = browser.switch_to.active_element
        assert link.text.startswith("Skip to")
        assert link.rect["x"] >= 0
        assert link.value_of_css_property("outline-style") == "solid"
        target = link.get_attribute("hash")
        assert browser.find_elements(By.CSS_SELECTOR, target)


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways_as_a_whole(pages, browser, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        for page in _every_page(pages[0]):
            browser.get(page.as_uri())
            assert browser.execute_script(script) == 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_codes_of_findings_are_not_cut_on_a_common_screen(pages, browser):
    browser.get(pages[0].as_uri())
    script = "const e = document.querySelector('#case-table').parentElement;"
    assert browser.execute_script(script + "return e.scrollWidth - e.clientWidth") == 0


def _contrast(first: str, second: str) -> float:
    """Contrast ratio of two rgb(...) colors (WCAG 2.2, relative luminance)."""
    lights = []
    for color in (first, second):
        parts = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(lights) / min(lights)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_background_in_light_and_dark(pages, browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.get(pages[0].as_uri())
        style = "return getComputedStyle(document.querySelector(arguments[0])).{}"
        paper = browser.execute_script(style.format("backgroundColor"), "body")
        for words in ("body", ".quiet", "a.id", ".below", ".badge.out", ".badge.ready"):
            color = browser.execute_script(style.format("color"), words)
            assert _contrast(color, paper) >= 4.5, (words, color, paper)
        for shade in range(6, 10):
            if not browser.find_elements(By.CSS_SELECTOR, f".heat.h{shade}"):
                continue
            ink = browser.execute_script(style.format("color"), f".heat.h{shade}")
            wash = browser.execute_script(style.format("backgroundColor"), f".heat.h{shade}")
            assert _contrast(ink, wash) >= 4.5, (shade, ink, wash)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_everything_is_open_in_print_and_closed_again_after_it(pages, browser):
    browser.get(pages[0].as_uri())
    closed = "return document.querySelectorAll('details:not([open])').length"
    before = browser.execute_script(closed)
    assert before == 1, "the settings"
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(closed) == 0
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(closed) == before


def test_a_triangle_of_an_outlier_opens_its_case(browser, tmp_path):
    normal = [changed(sample_cases()[0], id=f"c{n:02d}", findings=()) for n in range(9)]
    thick = changed(normal[0], geometry=Geometry((512, 512, 40), (0.7, 0.7, 9.0)))
    report = sample_report(cases=(thick, *normal[1:]), split=None)
    browser.get(write_report(tmp_path, report)[-1].as_uri())
    mark = browser.find_element(By.CSS_SELECTOR, "#images svg a")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    mark.click()
    assert _heading(browser) == "c00"
    assert "Slice distance: 9 mm" in browser.find_element(By.CSS_SELECTOR, ".apart").text


def test_a_large_cohort_opens_and_is_filtered_without_complaint(browser, tmp_path):
    report = made_up(160)
    browser.get(write_report(tmp_path, report)[-1].as_uri())
    browser.find_element(By.ID, "filter").send_keys("porto ct low_agreement")
    shown = browser.find_element(By.CSS_SELECTOR, ".filter output").text
    wanted = sum(
        c.center == "Porto"
        and c.modality == "CT"
        and any(f.code == "LOW_AGREEMENT" for f in c.findings)
        for c in report.cases
    )
    assert shown == f"{wanted} of 160"
    assert wanted
    for page in ("contact-1.html", "contact-3.html"):
        browser.get((tmp_path / page).as_uri())
    assert browser.get_log("browser") == [], "no drawing was cut, no picture is missing"
