"""The card of a cohort: true numbers, valid Croissant, code that runs, and nobody's name."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib
import io
import json
import logging
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from click.testing import CliRunner
from core.cohort_samples import build_cohort
from core.small_studies import STUDY, finished, write_study

from MedPrepLib.card import CARD_FILES, CardInput, CaseRow, card_files, card_input, read_card_input
from MedPrepLib.card.markup import fenced, inline, paragraphs, yaml_text
from MedPrepLib.card.numbers import by_age
from MedPrepLib.command import medprep
from MedPrepLib.config import parse_study, public_text
from MedPrepLib.config.settings import Card, Privacy
from MedPrepLib.errors import ConfigError, RunError
from MedPrepLib.load import open_cohort
from MedPrepLib.manifest import Manifest, ManifestCase, read_manifest, write_manifest
from MedPrepLib.results import LeakageProof, ShardFile, SplitSummary
from MedPrepLib.tables import AgreementRow
from MedPrepLib.verify import verify

REPOSITORY = Path(__file__).resolve().parents[2]
TOLD = """
[card]
title = "Kidneys of three towns"
description = \"\"\"
What a kidney looks like.

1. Not a list.\"\"\"
creators = ["Ada Author", "Ben Builder"]
publisher = "Institute of Kidneys"
license = "CC-BY-4.0"
citation = \"\"\"
@misc{kidneys,
  title = {Kidneys}
}\"\"\"
url = "https://example.org/kidneys"
version = "1.2.0"
published = "2026-02-28"
"""
SECRETS = ("Kanarienvogel", "19310713", "case-of-max", "raw/0.nii")
HOSTILE = (
    "a|b",
    "<script>alert(1)</script>",
    "![x](http://e.org/i.png)",
    "[a](javascript:alert)",
    "`code`",
    "*bold* _it_ ~~no~~ $x$",
    "# head",
    "- item",
    "12. item",
    "---",
    "a\n\n---\nlicense: mit",
    '"quoted" \\ back',
    "\u202eright to left",
    "a & b &lt;",
    "\ufffe\U0010ffff\u0085\u2028\ufeff",
    "äöü 中文 \U0001f600",
    "{{ 7*7 }}",
    "=== ",
    "@user #1",
)


def people() -> list[dict[str, str]]:
    """Nine cases of eight patients in two centers; one case is left out, one shows nothing."""
    rows = [
        {
            "case": f"case-of-max-{n}",
            "patient": f"Kanarienvogel{min(n, 7)}",
            "center": "north" if n < 5 else "south",
            "sex": "FM"[n % 2],
            "age": str(25 + 8 * n),
        }
        for n in range(9)
    ]
    rows[0] |= {"sex": "", "age": ""}
    rows[1] |= {"modality": "US"}
    rows[2] |= {"shows": "cyst"}
    rows[3] |= {"shows": ""}
    rows[8] |= {"age": "93"}
    return rows


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("card"), people())
    finished(folder, '[screen]\nmodalities = ["MR"]\n' + TOLD)
    return folder / "cohort"


@pytest.fixture(scope="module")
def croissant() -> ModuleType:
    """mlcroissant; what rdflib and pandas warn of on the way is theirs."""
    pytest.importorskip("mlcroissant", reason="needs mlcroissant (extra test)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("mlcroissant")


def opened(croissant: ModuleType, path: Path):
    """The data set, its errors and its warnings."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = croissant.Dataset(path)
    issues = dataset.metadata.ctx.issues
    return dataset, set(issues.errors), set(issues.warnings)


def records(dataset, name: str) -> list[dict[str, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(dataset.records(name))


def text_of(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def front_matter(markdown: str) -> dict[str, object]:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    assert markdown.startswith("---\n")
    return yaml.safe_load(markdown.split("\n---\n", maxsplit=1)[0][4:])


# --- what a run writes ------------------------------------------------------------------------


def test_a_run_writes_the_card_beside_the_manifest_which_seals_it(cohort: Path):
    listed = {file.name: file for file in read_manifest(cohort).files}
    for name in CARD_FILES:
        data = (cohort / name).read_bytes()
        assert listed[name].sha256 == hashlib.sha256(data).hexdigest()
    assert verify(cohort) == ()
    (cohort / "README.md").rename(cohort / "away")
    try:
        assert [p.name for p in verify(cohort)] == ["README.md"]
    finally:
        (cohort / "away").rename(cohort / "README.md")


def test_the_numbers_of_the_card_are_those_of_the_cohort(cohort: Path):
    text = (cohort / "README.md").read_text("utf-8")
    index = open_cohort(cohort)
    assert len(index.cases) == 8
    assert "8 cases of 7 patients from 2 centers" in text
    assert "| north | MR | 4 | 4 |" in text
    assert "| south | MR | 3 | 4 |" in text
    assert "| all |  | 7 | 8 |" in text
    assert "| not stated | 1 |" in text  # sex and age of one
    assert "| 80 and over | 1 |" in text  # two cases of one patient
    assert re.search(r"\| tumor \| 3 \| . \| 6 \|", text)
    assert re.search(r"\| cyst \| 7 \| . \| 1 \|", text)
    assert "`MODALITY_UNWANTED`" in text
    assert "1 of 9 cases" in text
    assert "2 readings: 8" in text
    folds = re.findall(r"\| train, fold \d \| (\d+) \| (\d+) \|", text)
    (test,) = re.findall(r"\| test \| (\d+) \| (\d+) \|", text)
    assert sum(int(n) for n, _ in (*folds, test)) == 7
    assert sum(int(n) for _, n in (*folds, test)) == 8


def test_agreement_on_the_card_is_that_of_the_table_without_excluded_cases(cohort: Path):
    text = (cohort / "README.md").read_text("utf-8")
    with (cohort / "report" / "agreement.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["included"] == "true"]
    tumor = sorted(float(r["dice"]) for r in rows if r["label"] == "tumor" and r["dice"])
    assert len(tumor) == 6
    middle = (tumor[2] + tumor[3]) / 2
    assert f"| tumor | 6 | {int(middle * 1000) / 1000:.3f} | " in text  # cut, never rounded up


def test_the_table_of_cases_says_what_manifest_and_case_files_say(cohort: Path):
    with (cohort / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    index = open_cohort(cohort)
    assert [row["case"] for row in rows] == [entry.id for entry in index.cases]
    for row, entry in zip(rows, index.cases, strict=True):
        case = index.read(entry.id)
        assert row["set"] == entry.split
        assert row["fold"] == ("" if entry.fold is None else str(entry.fold))
        assert row["sex"] == case.meta.get("sex", "unknown")
        assert row["age_years"] == str(case.meta.get("age_years", ""))
        assert row["labels"] == " ".join(str(v) for v in sorted(set(case.mask.ravel()) - {0}))
        assert int(row["readings"]) == len(case.readings)
        assert row["reference"] == case.consensus["method"]
        assert [int(row[f"size_{axis}"]) for axis in "ijk"] == list(case.geometry.size)
        assert [float(row[f"spacing_{axis}_mm"]) for axis in "ijk"] == list(case.spacing)
        data = (cohort / row["file"]).read_bytes()
        assert (int(row["bytes"]), row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert {row["age_years"] for row in rows} >= {"", "90"}


def test_the_card_says_what_people_told_and_what_nobody_told(cohort: Path, tmp_path: Path):
    text = (cohort / "README.md").read_text("utf-8")
    head = front_matter(text)
    assert head["pretty_name"] == "Kidneys of three towns"
    assert head["license"] == "cc-by-4.0"
    assert head["size_categories"] == ["n<1K"]
    assert head["task_categories"] == ["image-segmentation"]
    assert head["configs"][0]["data_files"] == [{"split": "cases", "path": "cases.csv"}]
    assert "What a kidney looks like.\n\n1\\. Not a list." in text
    assert "```bibtex\n@misc{kidneys,\n  title = {Kidneys}\n}\n```" in text
    assert "- Creators: Ada Author, Ben Builder" in text
    silent = card_files(read_card_input(cohort, Card()))["README.md"].decode()
    assert silent.count("not stated") >= 8
    assert "license" not in front_matter(silent)
    assert front_matter(silent)["pretty_name"] == "small"


def test_a_license_that_hubs_do_not_know_is_named(cohort: Path):
    for given, expected in (
        ("Own terms: ask", {"license": "other", "license_name": "Own terms: ask"}),
        ("https://example.org/terms", {"license": "other",
                                       "license_link": "https://example.org/terms"}),
    ):  # fmt: skip
        card = read_card_input(cohort, Card(license=given))
        head = front_matter(card_files(card)["README.md"].decode())
        assert expected.items() <= head.items()


def test_the_card_tells_what_the_study_keeps_and_what_it_does_without(cohort: Path):
    card = read_card_input(cohort)
    usual = card_files(card)["README.md"].decode()
    assert "pseudonyms (HMAC-SHA256" in usual
    privacy = Privacy(
        study_days=True, origin="zero", age_step_years=5, leave_out=("kvp",), case_names="given"
    )
    settings = msgspec.structs.replace(card.settings, privacy=privacy)
    told = card_files(dataclasses.replace(card, settings=settings))["README.md"].decode()
    for sentence in (
        "Cases tell how many days after the patient's first study",
        "Grids begin at 0, 0, 0 mm",
        "the lower end of spans of 5 years",
        "Left out on purpose: kvp.",
        "the study's own, said to be free of identity",
    ):
        assert sentence in told
        assert sentence not in usual


@pytest.mark.fault("F43")
def test_nothing_of_the_sources_stands_in_the_card(cohort: Path):
    private = cohort.with_name("cohort-private")
    names = (private / "identities.csv").read_text("utf-8")
    assert SECRETS[0] in names
    for name in CARD_FILES:
        text = (cohort / name).read_text("utf-8").casefold()
        for secret in (*SECRETS, str(cohort.parent), "cohort-private"):
            assert secret.casefold() not in text, (name, secret)


def test_blocks_of_code_on_the_card_run_in_its_folder(cohort: Path, croissant: ModuleType):
    text = (cohort / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    said = []
    for block in blocks:
        quiet = ["-W", "ignore"] if "mlcroissant" in block else ["-W", "error"]
        done = subprocess.run(
            [sys.executable, *quiet, "-c", block], cwd=cohort, capture_output=True, text=True,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "8 cases" in said[0]
    assert "(12, 18, 20)" in said[1]
    assert "cases/case" in said[2]


# --- Croissant, as mlcroissant sees it ----------------------------------------------------------


def test_the_croissant_file_is_valid_and_complete(cohort: Path, croissant: ModuleType):
    dataset, errors, warned = opened(croissant, cohort / "croissant.json")
    assert errors == set()
    assert warned == set()
    told = dataset.metadata
    assert told.name == "Kidneys of three towns"
    assert told.license == ["CC-BY-4.0"]
    assert told.version == "1.2.0"
    assert told.date_published.date().isoformat() == "2026-02-28"
    assert [person.name for person in told.creators] == ["Ada Author", "Ben Builder"]
    assert told.cite_as.startswith("@misc{kidneys")


def test_what_is_not_stated_is_a_recommendation_and_no_error(
    cohort: Path, croissant: ModuleType, tmp_path: Path
):
    files = card_files(read_card_input(cohort, Card()))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    _, errors, warned = opened(croissant, tmp_path / "croissant.json")
    assert errors == set()
    assert all("is recommended" in warning for warning in warned)


def test_records_of_cases_and_sets_load_with_their_types(cohort: Path, croissant: ModuleType):
    dataset, _, _ = opened(croissant, cohort / "croissant.json")
    with (cohort / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = records(dataset, "cases")
    assert len(found) == len(rows)
    for record, row in zip(found, rows, strict=True):
        assert text_of(record["cases/case"]) == row["case"]
        assert text_of(record["cases/set"]) == row["set"]
        assert text_of(record["cases/sha256"]) == row["sha256"]
        age = record["cases/age_years"]
        assert ("" if age is None else str(age)) == row["age_years"]
        assert record["cases/size_k"] == 12
        assert record["cases/spacing_j_mm"] == 1.5
    sets = {text_of(r["sets/name"]): r["sets/url"] for r in records(dataset, "sets")}
    assert sets == {"train": "cr:TrainingSplit", "test": "cr:TestSplit"}
    pairs = records(dataset, "agreement")
    table = (cohort / "report" / "agreement.csv").read_text("utf-8")
    assert len(pairs) == len(table.splitlines()) - 1


def test_every_public_file_is_named_with_its_hash(cohort: Path, croissant: ModuleType):
    dataset, _, _ = opened(croissant, cohort / "croissant.json")
    named = {file.content_url: file.sha256 for file in dataset.metadata.file_objects}
    there = {p.relative_to(cohort).as_posix() for p in cohort.rglob("*") if p.is_file()}
    # The manifest holds the hash of the card; the card cannot hold that of the manifest.
    assert set(named) == there - {"manifest.json", "README.md", "croissant.json"}
    for name, digest in named.items():
        assert hashlib.sha256((cohort / name).read_bytes()).hexdigest() == digest


# --- later, and for older cohorts ---------------------------------------------------------------


def test_the_command_makes_the_very_card_that_the_run_made(cohort: Path):
    before = {name: (cohort / name).read_bytes() for name in CARD_FILES}
    for name in CARD_FILES:
        (cohort / name).unlink()
    done = CliRunner().invoke(medprep, ["card", str(cohort)], catch_exceptions=False)
    assert done.exit_code == 0
    assert {name: (cohort / name).read_bytes() for name in CARD_FILES} == before
    assert verify(cohort) == ()


def test_a_card_that_the_manifest_seals_is_not_replaced(cohort: Path, tmp_path: Path):
    before = {name: (cohort / name).read_bytes() for name in CARD_FILES}
    study = tmp_path / "other.toml"
    study.write_text(STUDY + '[card]\ntitle = "Another"\n', encoding="utf-8")
    done = CliRunner().invoke(medprep, ["card", str(cohort), "--study", str(study)])
    assert isinstance(done.exception, RunError)
    assert "change [card] in the study file and run that again" in str(done.exception)
    assert {name: (cohort / name).read_bytes() for name in CARD_FILES} == before


def test_an_older_cohort_gets_a_card_and_keeps_its_manifest(tmp_path: Path):
    manifest = build_cohort(tmp_path)
    study = parse_study(STUDY)
    older = msgspec.structs.replace(manifest, config=public_text(study))
    write_manifest(tmp_path, older)
    sealed = (tmp_path / "manifest.json").read_bytes()
    assert b"README.md" not in sealed
    done = CliRunner().invoke(medprep, ["card", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert (tmp_path / "manifest.json").read_bytes() == sealed
    assert verify(tmp_path) == ()
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "5 cases of 5 patients" in card
    assert "Agreement of raters" not in card


def test_other_words_of_people_make_a_new_card_and_leave_the_cases(cohort: Path, tmp_path: Path):
    folder = write_study(tmp_path, people()[4:7])
    finished(folder)
    shards = {p: p.stat().st_mtime_ns for p in (folder / "cohort" / "cases").rglob("*.h5")}
    again = finished(folder, '[card]\ntitle = "Renamed"\n')
    assert again.cases_done == 0
    assert not again.unchanged
    assert "# Renamed" in (folder / "cohort" / "README.md").read_text("utf-8")
    assert {p: p.stat().st_mtime_ns for p in shards} == shards
    assert verify(folder / "cohort") == ()
    assert finished(folder, '[card]\ntitle = "Renamed"\n').unchanged


def test_a_cohort_without_cases_has_a_card_too(tmp_path: Path, croissant: ModuleType):
    folder = write_study(tmp_path, people()[4:5])
    summary = finished(folder, '[screen]\nmodalities = ["CT"]\n')
    assert not summary.included
    text = (folder / "cohort" / "README.md").read_text("utf-8")
    assert "0 cases of 0 patients" in text
    dataset, errors, _ = opened(croissant, folder / "cohort" / "croissant.json")
    assert errors == set()
    assert records(dataset, "cases") == []


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('published = "2026-02-30"', "$.card.published"),
        ('published = "yesterday"', "$.card.published"),
        ('version = "2"', "$.card.version"),
        ('url = "javascript:alert(1)"', "$.card.url"),
        ('url = "https://e.org/> <b>"', "$.card.url"),
        ('creators = [""]', "$.card.creators[0]"),
        ('licence = "MIT"', "$.card.licence"),
    ],
)
def test_what_cannot_stand_on_a_card_is_a_wrong_setting(line: str, path: str):
    with pytest.raises(ConfigError, match=re.escape(path)):
        parse_study(STUDY + f"[card]\n{line}\n")


# --- hostile texts ------------------------------------------------------------------------------


def made(count: int, *, text: str = "", card: Card | None = None) -> CardInput:
    """A card of invented cases; ``text`` stands wherever a person could have put it."""
    name = text or "north"
    study = parse_study(STUDY)
    study = msgspec.structs.replace(study, card=card or Card())
    shards = [
        ShardFile(f"cases/{n % 256:02x}/c{n}.h5", 1000 + n, f"{n:064x}") for n in range(count)
    ]
    cases = tuple(
        ManifestCase(f"c{n}", f"P{n // 2}", name, "CT", "train" if n % 5 else "test",
                     n % 4 if n % 5 else None, shard, ("CLIPPED",))
        for n, shard in enumerate(shards)
    )  # fmt: skip
    proof = LeakageProof(count, 6, count**2, {"patient": count}, {"patient": 0})
    manifest = Manifest(
        medprep_version=text or "0.1.0", study=name, task="segmentation",
        config=public_text(study), config_hash="cd" * 32, recipe_hash="ab" * 32,
        schema=study.schema(), cases=cases, key_id=text,
        files=(ShardFile("report/index.html", 10, "ef" * 32),),
        split=SplitSummary(0.2, count, count // 5, count, count // 5, (name,), leakage=proof),
    )  # fmt: skip
    rows = [
        CaseRow(c.id, c.patient, c.patient, c.center, c.modality, c.split, c.fold, "F", 20 + n % 70,
                3, text or "majority", "3 7", "3:2", "3:9 7:1", 512, 512, 100 + n % 9,
                0.7, 0.7, 1.5, "CLIPPED", c.shard.name, c.shard.size, c.shard.sha256)
        for n, c in enumerate(cases)
    ]  # fmt: skip
    pairs = [
        AgreementRow(c.id, c.center, c.split, True, label, "ana", "ben", "measured", 0.9, 0.8,
                     1.0, 1.0, 0.0, hd95_max_mm=2.0)
        for c in cases for label in study.schema().names
    ]  # fmt: skip
    return card_input(manifest, study, rows, pairs)


@pytest.mark.fault("F28")
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_shown_and_do_nothing(text: str, croissant: ModuleType, tmp_path: Path):
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py")
    told = Card(
        title=text, description=text, creators=(text,), publisher=text, license=text, citation=text
    )
    plain_text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    files = card_files(made(2, text=text, card=told))
    markdown = files["README.md"].decode()
    head = front_matter(markdown)
    assert set(head) <= {"pretty_name", "license", "license_name", "task_categories",
                         "size_categories", "tags", "configs"}  # fmt: skip
    body = markdown.split("\n---\n", 1)[1]
    html = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    expected = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(
        card_files(made(2, text="x", card=Card(title="x", description="x", creators=("x",),
                   publisher="x", license="x", citation="x")))["README.md"].decode().split(
            "\n---\n", 1)[1])  # fmt: skip
    tags = re.compile(r"</?[a-z0-9]+[^>]*>")
    # The same elements in the same order as with a harmless text; paragraphs may be more.
    assert [t for t in tags.findall(html) if t not in ("<p>", "</p>")] == [
        t for t in tags.findall(expected) if t not in ("<p>", "</p>")
    ]
    (tmp_path / "croissant.json").write_bytes(files["croissant.json"])
    (tmp_path / "cases.csv").write_bytes(files["cases.csv"])
    dataset, errors, _ = opened(croissant, tmp_path / "croissant.json")
    assert errors == set()
    assert not set(dataset.metadata.name) - set(plain_text) - {" "}


def test_a_patient_who_comes_again_is_counted_at_the_youngest_age_as_in_the_report():
    card = made(2)
    ages = zip(card.cases, (40, 39), strict=True)
    rows = tuple(msgspec.structs.replace(row, age_years=age) for row, age in ages)
    table = by_age(dataclasses.replace(card, cases=rows)).splitlines()
    assert [re.findall(r"[\w-]+", line)[:2] for line in table[2:]] == [["18-39", "1"]]


def test_the_card_says_which_pets_are_no_suv():
    card = made(3)
    pets = tuple(msgspec.structs.replace(row, modality="PT") for row in card.cases)
    every = dataclasses.replace(card, cases=pets)
    plain = card_files(every)["README.md"].decode()
    assert "(g/mL) as float32.\n" in plain
    one = msgspec.structs.replace(pets[0], findings="CLIPPED SUV_UNKNOWN")
    told = card_files(dataclasses.replace(card, cases=(one, *pets[1:])))["README.md"].decode()
    assert "(g/mL) as float32. 1 case lacked attributes and kept stored values.\n" in told


def test_words_with_marks_read_as_they_were_written():
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py")
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    import html

    render = markdown_it.MarkdownIt("commonmark", {"html": True}).render
    for text in HOSTILE:
        shown = " ".join(html.unescape(re.sub(r"</?p>", " ", render(paragraphs(text)))).split())
        wanted = " ".join(html.unescape(inline(text)).replace("\\\\", "\0").replace("\\", "")
                          .replace("\0", "\\").split())  # fmt: skip
        assert shown.replace(" ", "") == wanted.replace(" ", "")
        assert isinstance(yaml.safe_load(f"a: {yaml_text(text)}")["a"], str)
    assert yaml.safe_load(yaml_text('say "ä" \\n')) == 'say "ä" \\n'
    assert render(fenced("a\n```\n<b>\n```")) == (
        "<pre><code>a\n```\n&lt;b&gt;\n```\n</code></pre>\n"
    )


# --- large ones ---------------------------------------------------------------------------------


def test_a_card_of_two_thousand_cases_is_made_in_a_moment(tmp_path: Path, croissant: ModuleType):
    card = made(2000)
    began = time.process_time()
    files = card_files(card)
    seconds = time.process_time() - began
    assert seconds < 3
    assert card_files(made(2000)) == files
    assert len(files["README.md"]) < 20_000
    assert len(files["cases.csv"]) < 600_000
    assert len(files["croissant.json"]) < 1_200_000
    tree = json.loads(files["croissant.json"])
    assert len(tree["distribution"]) == 2002
    table = list(csv.reader(io.StringIO(files["cases.csv"].decode())))
    assert len(table) == 2001
