"""The panel on real data: prostates of six raters, masks stored flipped, and what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from panel.user import TITLE

MADE_ALIKE = tuple(f"STS_{number}" for number in ("002", "003", "008", "025", "035"))
"""As STS_001 was, by the same scanners and readers: opening them shows nothing more."""
NONE = "\N{EN DASH}"
STUDY = Path(__file__).resolve().parents[1] / "real" / "study.toml"


@pytest.fixture
def opened(user, shared_data, tmp_path):
    """The study of the real data, with its own folder for what is written."""
    text = STUDY.read_text("utf-8").replace("../../../shared/data", shared_data.as_posix())
    (tmp_path / "study.toml").write_text(text, "utf-8")
    user.open(tmp_path / "study.toml")
    return user


def test_six_raters_of_a_prostate_are_compared_and_decided(opened):
    opened.open_case("ProstateX-0000_t2w")
    assert len(opened.matrix()) == 6
    assert all("..." not in row for row in opened.matrix())
    assert "6 masks share one grid" in opened.ui.alignmentLabel.text
    opened.choose_part("labelComboBox", "prostate")
    opened.choose("metricComboBox", "HD95, larger direction, mm")
    numbers = [cell for row in opened.matrix() for cell in row if cell not in ("", NONE)]
    assert len(numbers) == 4 * 3, "four of them drew the prostate"
    assert min(map(float, numbers)) > 0
    opened.click("stapleRadioButton")
    opened.click("makeConsensusButton")
    assert "sensitivity" in opened.ui.consensusLabel.text
    opened.click("nextPlaceButton")
    opened.click("acceptButton")
    opened.click("approveButton")
    assert "Approved, version 1" in opened.ui.savedLabel.text


def test_a_mask_that_is_stored_flipped_lies_on_the_image_and_is_not_to_be_fixed(opened):
    opened.open_case("totalseg_ct")
    assert "flipped along axis j" in opened.ui.alignmentTable.item(0, 1).text()
    assert "stored flipped" in opened.why_not("fixButton")
    assert {"liver", "spleen"} <= set(opened.desk.case.labels)


def test_every_kind_of_case_opens_or_says_why_not(opened):
    titles = opened.column(TITLE)
    said = {}
    for row, title in enumerate(titles):
        if title.startswith(MADE_ALIKE):
            continue
        opened.panel.click_cell(opened.ui.caseTable, row, TITLE)
        opened.panel.wait_until(lambda: not opened.inside.opening, 60)
        opened.panel.process()
        said[title] = opened.told
        assert bool(opened.desk) != ("cannot be shown" in opened.told), title
    refused = {title for title, text in said.items() if "cannot be shown" in text}
    assert len(titles) == 50
    assert len(refused) == 8
    assert "gantrytilting_001" in refused
    assert not {title for title in refused if title.startswith(("STS", "Prostate"))}
    opened.inside.opener.forget()
