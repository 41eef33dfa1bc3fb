"""The report in a real browser: nothing planted in data runs, nothing is fetched, it works."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from report_sample import draw_pictures, sample_cases, sample_report, study

from MedPrepLib import catalog
from MedPrepLib.config.settings import Study
from MedPrepLib.findings import Finding
from MedPrepLib.report import ReportInput, write_report
from MedPrepLib.report.text import NOTHING
from MedPrepLib.results import Agreement, CaseResult, ConsensusRecord, ReadingResult
from MedPrepLib.split import Member, split

pytest.importorskip("selenium")
from selenium.common.exceptions import NoAlertPresentException
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
    draw_pictures(folder, sample_cases()[:3])
    (plain,) = write_report(folder / "plain", sample_report(folder))
    (hostile,) = write_report(folder / "hostile", hostile_report(folder))
    return plain, hostile


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
def test_the_page_runs_nothing_of_its_data_and_fetches_nothing(pages, browser, which):
    browser.get(pages[which].as_uri())
    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert
    assert _requests(browser) == [pages[which].as_uri()]
    assert browser.get_log("browser") == []
    count = "return document.querySelectorAll(arguments[0]).length"
    assert browser.execute_script(count, "script") == 1
    pictures = browser.execute_script(count, "img")
    assert (
        pictures == browser.execute_script(count, "figure.views > img[src^='data:image/png']") > 0
    )
    assert browser.execute_script(count, "[onerror], [onclick], [style], iframe, object, link") == 0
    broken = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.execute_script(broken) == 0


@pytest.mark.fault("F28", "F31")
def test_planted_markup_is_shown_as_the_text_it_is(pages, browser):
    browser.get(pages[1].as_uri())
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith(SHOWN)
    for part in ("#look-first", "#cohort", "#agreement", "#split", "#case-table", "#excluded"):
        text = browser.execute_script(
            "return document.querySelector(arguments[0]).textContent", part
        )
        assert SHOWN in text, part
    assert browser.execute_script("return document.title").startswith(SHOWN)


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


def test_a_link_to_a_case_opens_its_details_again_and_again(pages, browser):
    browser.get(pages[0].as_uri())
    link = browser.find_element(By.CSS_SELECTOR, "#case-table tbody a")
    details = browser.find_element(By.CSS_SELECTOR, link.get_attribute("hash"))
    assert not details.get_attribute("open")
    browser.execute_script("arguments[0].click()", link)
    assert details.get_attribute("open")
    browser.execute_script("arguments[0].open = false; arguments[1].click()", details, link)
    assert details.get_attribute("open")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways_as_a_whole(pages, browser, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.get(pages[0].as_uri())
        script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        assert browser.execute_script(script) == 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


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


def test_everything_is_open_in_print(pages, browser):
    browser.get(pages[0].as_uri())
    closed = "return document.querySelectorAll('main details:not([open])').length"
    assert browser.execute_script(closed) == 26
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(closed) == 0
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(closed) == 26
