"""What must not leave the site: keys, identities, hashes that link back, words of libraries."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from faults.dicom_study import dicom_study
from scene.case_samples import write_study

from MedPrepLib import identity, overheard, sitelog
from MedPrepLib.cohort import Case, ImageSource, Patient, Scan
from MedPrepLib.command import medprep
from MedPrepLib.config import config_hash, parse_study, public_text
from MedPrepLib.config.settings import Privacy, Screen
from MedPrepLib.errors import RunError
from MedPrepLib.export.cohort import export_cohort
from MedPrepLib.findings import WITHHELD
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey, load_site_key, public_names
from MedPrepLib.manifest import read_manifest
from MedPrepLib.overheard import Overheard
from MedPrepLib.phi import scan_phi
from MedPrepLib.phi.forms import Identity, Public, all_forms, encoded, spellings
from MedPrepLib.pipeline import order_of, run
from MedPrepLib.screen import screen
from MedPrepLib.shareable import (
    contrast,
    field_strength,
    shareable_age,
    shareable_facts,
    shared_models,
)
from MedPrepLib.sharing import require_clean, share_check, uncleaned
from MedPrepLib.sitekey import back_up_key, existing_key, read_backup, restore_key
from MedPrepLib.trail import Trail
from MedPrepLib.vocabulary import kernel_class

KEY = SiteKey(bytes(range(32)))
REPOSITORY = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are a POSIX matter")


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study that was run, by the command, under umask 0."""
    folder = tmp_path_factory.mktemp("run")
    study = write_study(folder)
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    env["MEDPREP_KEY_FILE"] = str(folder / "keys" / "site.key")
    command = "umask 000; exec " + " ".join(
        [sys.executable, "-m", "MedPrepLib", "run", str(study), "--workers", "1"]
    )
    said = subprocess.run(
        ["sh", "-c", command], capture_output=True, env=env, timeout=200, check=False
    )
    assert said.returncode in (0, 1), said.stderr
    (folder / "said.txt").write_bytes(said.stdout + said.stderr)
    return folder


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


# --- the site key ---------------------------------------------------------------------------
@pytest.mark.fault("F49")
def test_the_bytes_of_the_key_stand_in_nothing_that_is_written_or_said(done):
    secret = (done / "keys" / "site.key").read_bytes()
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    loud = [p for p in files(done) if p.parent.name != "keys"]
    assert len(loud) > 10
    assert [p for p in loud if any(form in p.read_bytes() for form in forms)] == []


@pytest.mark.fault("F49")
def test_the_manifest_tells_which_key_it_was_but_not_the_key(done):
    key = load_site_key(done / "keys" / "site.key")
    assert read_manifest(done / "cohort").key_id == key.key_id
    assert key.key_id == hashlib.sha256(b"id" + key.secret).hexdigest()[:8]
    assert key.secret.hex() not in repr(key)


@pytest.mark.fault("F49")
@pytest.mark.parametrize("forgotten", [(), ("ledger.sqlite",)])
def test_another_key_stops_the_run_and_leaves_the_cohort_alone(study, forgotten):
    run(order_of(study, workers=1), key=KEY)
    for name in forgotten:
        (study.parent / "cohort-private" / name).unlink()
    before = (study.parent / "cohort" / "manifest.json").read_bytes()
    other = SiteKey(bytes(32))
    with pytest.raises(RunError, match=rf"key {KEY.key_id}.*key {other.key_id}.*restore"):
        run(order_of(study, workers=1, rebuild=True), key=other)
    assert (study.parent / "cohort" / "manifest.json").read_bytes() == before
    assert run(order_of(study, workers=1), key=KEY).included


@pytest.mark.fault("F49")
@posix
def test_a_key_that_others_may_read_or_that_lies_in_the_cohort_is_refused(study, monkeypatch):
    path = study.parent / "cohort" / "report" / "site.key"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("MEDPREP_KEY_FILE", str(path))
    with pytest.raises(RunError, match="the site key lies in"):
        run(order_of(study, workers=1))
    load_site_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(RunError, match="may be read by others"):
        load_site_key(path)


@pytest.mark.fault("F49")
def test_a_key_comes_back_from_its_backup_and_never_replaces_another(tmp_path):
    place = tmp_path / "config" / "site.key"
    with pytest.raises(RunError, match="no site key"):
        existing_key(place)
    key = load_site_key(place)
    backup = tmp_path / "backup.txt"
    back_up_key(backup, place)
    if os.name == "posix":
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with pytest.raises(RunError, match="exists already"):
        back_up_key(backup, place)
    place.unlink()
    assert restore_key(backup, place) == key == load_site_key(place)
    assert restore_key(backup, place) == key
    place.write_bytes(bytes(32))
    with pytest.raises(RunError, match="holds another key"):
        restore_key(backup, place)


@pytest.mark.fault("F49")
def test_a_damaged_backup_is_noticed(tmp_path):
    backup = tmp_path / "backup.txt"
    back_up_key(backup, _placed(tmp_path / "site.key"))
    text = backup.read_text()
    digit = text.rstrip()[-1]
    backup.write_text(text.rstrip()[:-1] + ("0" if digit != "0" else "1"))
    with pytest.raises(RunError, match="was damaged"):
        read_backup(backup)
    backup.write_text("hello\n")
    with pytest.raises(RunError, match="no backup"):
        read_backup(backup)


def _placed(path):
    load_site_key(path)
    return path


@pytest.mark.fault("F49")
def test_the_command_shows_the_id_of_the_key_only(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MEDPREP_KEY_FILE": str(tmp_path / "k")}
    key = load_site_key(tmp_path / "k")

    def said(*words):
        command = [sys.executable, "-m", "MedPrepLib", "key", *words]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout

    shown = (
        said("show") + said("backup", str(tmp_path / "b")) + said("restore", str(tmp_path / "b"))
    )
    assert shown.count(key.key_id) == 3
    assert key.secret.hex() not in shown


@pytest.mark.fault("F49")
def test_it_is_on_record_who_made_backed_up_and_restored_a_key(tmp_path, monkeypatch):
    place, backup = tmp_path / "keys" / "site.key", tmp_path / "backup.txt"
    monkeypatch.setenv("MEDPREP_KEY_FILE", str(place))
    first = load_site_key()
    back_up_key(backup)
    place.rename(tmp_path / "old.key")
    second = load_site_key()
    place.unlink()
    restore_key(backup)
    load_site_key()
    acts = identity.key_trail(place).acts()
    assert [(act.what, act.details["key"]) for act in acts] == [
        ("key created", first.key_id),
        ("key backed up", first.key_id),
        ("key created", second.key_id),
        ("key restored", first.key_id),
    ]
    assert all(act.who and act.at for act in acts)
    path = identity.key_trail(place).path
    data = path.read_bytes()
    assert not any(key.secret.hex().encode() in data for key in (first, second))
    shown = CliRunner().invoke(medprep, ["key", "history"], standalone_mode=False)
    assert (shown.return_value, shown.output.count(first.key_id)) == (0, 3)
    path.write_bytes(data.replace(b"backed up", b"looked at"))
    shown = CliRunner().invoke(medprep, ["key", "history"], standalone_mode=False)
    assert shown.return_value == 1
    assert "does not follow from the line before" in shown.output


# --- pseudonyms -----------------------------------------------------------------------------
def _case(name, patient="1"):
    return Case(name, Patient(patient, "north"), Scan(), ImageSource("file", ("x",)))


@pytest.mark.fault("F48")
def test_without_the_key_no_id_is_found_among_ten_thousand():
    names = public_names([_case(f"c{n}", f"{n:07}") for n in range(1, 51)], KEY, "pseudonym")
    wanted = set(names.patients.values())
    guesses = [f"{n:07}" for n in range(10_000)]
    other = SiteKey(b"\1" * 32)
    plain = {hashlib.sha256(guess.encode()).hexdigest()[:12] for guess in guesses}
    assert wanted.isdisjoint(plain)
    assert wanted.isdisjoint({other.pseudonym("patient", "north", "", g) for g in guesses})
    assert wanted <= {KEY.pseudonym("patient", "north", "", g) for g in guesses}


@pytest.mark.fault("F40")
def test_pseudonyms_that_collide_are_lengthened_whatever_the_order(monkeypatch):
    monkeypatch.setattr(identity, "NAME_LENGTH", 2)  # ten bits
    cases = [_case(f"c{n}", f"{n}") for n in range(200)]
    names = public_names(cases, KEY, "pseudonym")
    assert len(set(names.cases.values())) == len(set(names.patients.values())) == 200
    assert {len(name) for name in names.cases.values()} == {2, identity.LONG_NAME}
    assert public_names(cases[::-1], KEY, "pseudonym") == names


# --- the allow-list -------------------------------------------------------------------------
@pytest.mark.fault("F43")
def test_texts_of_headers_become_words_of_closed_lists_or_other():
    scan = Scan(
        modality="CT",
        manufacturer="SIEMENS / Müller",
        model="Force Müller",
        body_part="chest",
        study_description="CT Thorax of Max Müller",
        image_type=("ORIGINAL", "PRIMARY", "Müller"),
        kernel="I50f, 3",
        contrast_agent="Ultravist 120 ml, given by Müller",
        field_strength_t=2.89,
        bits_stored=(12, 16),
        lossy="01",
    )
    case = Case("c", Patient("7", "north", age_years=93, sex="F"), scan, ImageSource("dicom", ()))
    assert shareable_facts(case, "p") == {
        "modality": "CT",
        "patient": "p",
        "center": "north",
        "sex": "F",
        "age_years": 90,
        "age_capped": True,
        "manufacturer": "Siemens",
        "body_part": "CHEST",
        "image_type": "ORIGINAL\\PRIMARY\\other",
        "kernel": "lung",
        "contrast_agent": "yes",
        "field_strength_t": 3.0,
        "bits_stored": 16,
        "lossy": True,
        "study_description_present": True,
    }
    ageless = shareable_facts(case, "p", Privacy(leave_out=("age_years",)))
    assert {"age_years", "age_capped"}.isdisjoint(ageless)
    coarse = Privacy(age_step_years=10, leave_out=("sex", "kernel"))
    young = msgspec.structs.replace(case, patient=Patient("7", "north", age_years=47))
    facts = shareable_facts(young, "p", coarse, "Force")
    assert (facts["age_years"], facts["model"]) == (40, "Force")
    assert {"sex", "kernel", "age_capped"}.isdisjoint(facts)


@pytest.mark.fault("F43")
@pytest.mark.parametrize(
    ("agent", "told"), [("", "unknown"), (" NONE ", "no"), ("ohne", "no"), ("Omnipaque", "yes")]
)
def test_a_contrast_agent_is_told_by_yes_no_or_unknown(agent, told):
    assert contrast(agent) == told


@pytest.mark.fault("F43")
def test_numbers_are_rounded_to_what_many_share():
    assert [field_strength(t) for t in (0.064, 0.35, 1.494, 15000, 2.9, 6.98, None)] == [
        0.06, 0.5, 1.5, 1.5, 3.0, 7.0, None,
    ]  # fmt: skip
    assert [shareable_age(a, 5) for a in (0, 4, 89, 90, 104, None)] == [0, 0, 85, 90, 90, None]
    kernels = {"B30f": "soft", "Br40": "soft", "STANDARD": "soft", "BONEPLUS": "bone"}
    kernels |= {"FC51": "lung", "LUNG": "lung", "H60s": "bone", "Müller": "other", "": ""}
    assert {kernel: kernel_class(kernel) for kernel in kernels} == kernels


@pytest.mark.fault("F43")
def test_a_model_is_kept_when_five_patients_share_it():
    def scans(model, people):
        scan = Scan(model=model)
        return [
            Case(f"{model}{n}", Patient(str(n), ""), scan, ImageSource("dicom", ()))
            for n in range(people)
        ]

    cases = [*scans("Aera", 5), *scans("Skyra", 4), *scans("Unit 20240131", 9), *scans("x" * 40, 9)]
    cases += [msgspec.structs.replace(scans("Skyra", 1)[0], id="again")]
    assert shared_models(cases, lambda case: case.patient.id, 5) == {"Aera"}


@pytest.mark.fault("F43")
def test_grids_begin_at_zero_where_the_study_wants_it(study):
    text = study.read_text() + '\n[privacy]\norigin = "zero"\n'
    study.write_text(text)
    (result,) = run(order_of(study, workers=1), key=KEY).included
    with h5py.File(study.parent / "cohort" / result.shard.name) as file:
        assert list(file.attrs["origin"]) == [0.0, 0.0, 0.0]
        assert set(file["readings"]) == {"ana", "ben", "eva"}
        spacing, size = file.attrs["spacing"], file.attrs["size"]
        direction = file.attrs["direction"].reshape(3, 3)
    (page,) = (study.parent / "cohort" / "report" / "cases").glob("*.html")
    at = r"\(([LR]) (\d+), ([PA]) (\d+), ([SI]) (\d+) mm\), slice (\d+)"
    told = re.findall(at, page.read_text("utf-8"))
    assert told
    assert any(abs(value) > 50 for value in result.geometry.origin)
    for r, x, a, y, i, z, k in told:
        signs = (1 if r == "L" else -1, 1 if a == "P" else -1, 1 if i == "S" else -1)
        place = np.array([int(x), int(y), int(z)]) * signs
        index = np.linalg.solve(direction, place) / spacing
        assert np.all(index > -1)
        assert np.all(index < size)
        assert abs(index[2] - int(k)) <= 3


# --- what links back ------------------------------------------------------------------------
@pytest.mark.fault("F47")
def test_no_hash_of_a_source_file_or_of_its_pixels_is_in_the_cohort(done):
    sources = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files(done / "raw")}
    with h5py.File(next((done / "cohort" / "cases").rglob("*.h5"))) as file:
        voxels = file["image"][()]
    shape = repr((voxels.shape, voxels.dtype.str)).encode()
    sources |= {
        hashlib.sha256(voxels.tobytes()).hexdigest(),
        hashlib.sha256(shape + voxels.tobytes()).hexdigest(),
    }
    assert len(sources) == 6
    for path in files(done / "cohort"):
        data = path.read_bytes()
        assert not [one for one in sources if one.encode() in data or bytes.fromhex(one) in data]


PRIVATE_TEXT = """
# written by Dr. Mueller
name = "x"
reviews = "/data/mueller/reviews"
reading_dates = "mueller.csv"
[[sources]]
kind = "dicom"
path = "/data/mueller"
masks = "mueller masks"
center = "C01"
centers = "mueller centers.csv"
[sources.annotations."dr mueller"]
rater = "R1"
[labels."left lung"]
value = 1
color = [1, 2, 3]
aliases = ["lunge, \\"links\\""]
[screen.severity]
SLICE_GAP = "review"
"""


@pytest.mark.fault("F47")
@pytest.mark.fault("F43")
def test_the_settings_of_a_cohort_name_no_path_column_or_annotation_file():
    study = parse_study(PRIVATE_TEXT)
    text = public_text(study)
    assert "mueller" not in text.casefold()
    again = parse_study(text)
    assert public_text(again) == text
    assert config_hash(again) == config_hash(study)
    assert (again.labels, again.screen, again.sources[0].center) == (
        study.labels,
        study.screen,
        "C01",
    )


@pytest.mark.fault("F47")
def test_the_exact_study_file_stays_in_the_private_folder(done):
    kept = done / "cohort-private" / "study.toml"
    assert kept.read_bytes() == (done / "study.toml").read_bytes()


@pytest.mark.fault("F50")
@posix
def test_everything_written_is_its_owners_whatever_the_umask(done):
    for folder in (done / "cohort", done / "cohort-private", done / "keys"):
        for path in (folder, *folder.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))


@pytest.mark.fault("F51")
@pytest.mark.parametrize("name", ["ledger.sqlite", "identities.csv"])
def test_a_cohort_that_private_files_were_put_into_is_not_exported(study, name):
    summary = run(order_of(study, workers=1), key=KEY)
    (summary.cohort / "report" / name).write_text("Mustermann")
    with pytest.raises(RunError, match=f"{name} lies in"):
        export_cohort(summary.cohort, "nifti", study.parent / "export")
    assert not (study.parent / "export").exists()


@pytest.mark.fault("F51")
def test_identities_stand_beside_the_cohort_and_nothing_in_it_leads_there(done):
    assert (done / "cohort-private" / "identities.csv").is_file()
    assert not [p for p in (done / "cohort").rglob("*") if p.is_symlink()]
    data = b"".join(p.read_bytes() for p in files(done / "cohort"))
    assert b"identities" not in data
    assert b"cohort-private" not in data


# --- what libraries say ---------------------------------------------------------------------
@pytest.mark.fault("F44")
def test_warnings_and_log_lines_are_counted_by_kind_and_tag_only():
    overheard.drain()
    handlers = logging.getLogger("pydicom").handlers
    with overheard.silenced(), overheard.warnings_counted():
        warnings.warn("(0010,0030): Invalid value for VR DA: 'MUSTERMANN^MAX'", stacklevel=1)
        warnings.warn("Invalid value 'MUSTERMANN' in (4711,0815)", stacklevel=1)
        logging.getLogger("pydicom").warning("MUSTERMANN in (0010,0010)")
        logging.getLogger("nibabel").error("MUSTERMANN")
    heard = overheard.drain()
    assert heard == (
        Overheard("UserWarning", "", 1),
        Overheard("UserWarning", "(0010,0030)", 1),
        Overheard("nibabel ERROR", "", 1),
        Overheard("pydicom WARNING", "(0010,0010)", 1),
    )
    assert "MUSTERMANN" not in repr(heard)
    assert logging.getLogger("pydicom").handlers is handlers
    assert overheard.drain() == ()


@pytest.mark.fault("F44")
@pytest.mark.fault("F43")
def test_the_private_log_says_everything_and_is_its_owners_only(done):
    path = done / "cohort-private" / "run.log"
    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert [line["event"] for line in lines if "run" in line["event"]] == [
        "run started",
        "run finished",
    ]
    assert {line["event"] for line in lines} >= {"case"}
    (case,) = [line for line in lines if line["event"] == "case"]
    assert case["source"].endswith("c1")
    assert "raw/north/p1/c1" in case["paths"][0]


@pytest.mark.fault("F43")
def test_a_bug_is_told_without_its_words_and_stands_in_the_private_log(study):
    code = (
        "import sys; from MedPrepLib import command; from MedPrepLib.pipeline import sourcework\n"
        "def broken(*a, **k): raise KeyError('MUSTERMANN')\n"
        "sourcework.scan_cases = broken\n"
        f"sys.argv = ['medprep', 'run', {str(study)!r}]\n"
        "command.main()"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    env["MEDPREP_KEY_FILE"] = str(study.parent / "k" / "key")
    words = [sys.executable, "-c", code]
    ran = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert ran.returncode == 3
    assert "KeyError: this is a bug" in ran.stderr
    assert "MUSTERMANN" not in ran.stdout + ran.stderr
    assert "MUSTERMANN" in (study.parent / "cohort-private" / "run.log").read_text()
    trail = (study.parent / "cohort-private" / "audit.jsonl").read_text()
    assert "run failed" in trail
    assert "MUSTERMANN" not in trail


def test_a_log_that_has_grown_is_put_aside_and_old_ones_go(tmp_path, monkeypatch):
    monkeypatch.setattr(sitelog, "MOST_BYTES", 200)
    for number in range(6):
        path = sitelog.SiteLog(tmp_path).path
        sitelog.rotate(path)
        sitelog.SiteLog(tmp_path).write("event", number=number, text="x" * 200)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "run.log", "run.log.1", "run.log.2", "run.log.3",
    ]  # fmt: skip
    assert b'"number":5' in (tmp_path / "run.log").read_bytes()
    assert b'"number":2' in (tmp_path / "run.log.3").read_bytes()


# --- faces and text in pixels -----------------------------------------------------------------
@pytest.mark.fault("F46")
@pytest.mark.parametrize(
    ("modality", "part", "words", "edges", "face"),
    [
        ("MR", "HEAD", "", (240, 240, 170), True),
        ("CT", "head", "", (230, 230, 160), True),
        ("PT", "WHOLEBODY", "", (600, 600, 1800), True),
        ("MR", "BRAIN", "", (240, 240, 60), False),
        ("CT", "CHEST", "head and shoulders", (400, 400, 350), False),
        ("MR", "", "T1 MPRAGE sag", (256, 256, 176), True),
        ("MR", "", "Kopf nativ", (256, 256, 176), True),
        ("CT", "", "Schädel CT", (256, 256, 176), True),
        ("CT", "", "overhead 1", (256, 256, 176), False),
        ("CT", "MUSTERMANN", "NECK AND FACE", (256, 256, 176), True),
        ("MR", "PROSTATE", "", (200, 200, 90), False),
        ("US", "HEAD", "", (240, 240, 170), False),
    ],
)
def test_heads_seen_from_outside_are_told(modality, part, words, edges, face):
    scan = Scan(modality=modality, body_part=part, study_description=words)
    case = Case("c", Patient("1", "north"), scan, ImageSource("dicom", ("x",)))
    grid = Geometry(tuple(int(e) for e in edges), (1.0, 1.0, 1.0))
    codes = {finding.code for finding in screen(case, grid, Screen())}
    assert ("FACE_POSSIBLE" in codes) is face


@pytest.mark.fault("F45")
@pytest.mark.fault("F46")
def test_text_in_pixels_that_was_accepted_has_to_be_accepted_for_an_export_again(tmp_path):
    study = dicom_study(tmp_path, BurnedInAnnotation="YES")
    summary = run(order_of(study, workers=1), key=KEY)
    (case,) = summary.included
    manifest = read_manifest(summary.cohort)
    with pytest.raises(RunError, match=rf"1 cases may carry text.*{case.id}.*--accept-burned-in"):
        require_clean(manifest, accept_burned_in=False)
    require_clean(manifest, accept_burned_in=True)
    with pytest.raises(RunError, match="--accept-burned-in"):
        export_cohort(summary.cohort, "nifti", tmp_path / "export")
    assert not (tmp_path / "export").exists()
    told = " ".join(
        export_cohort(summary.cohort, "nifti", tmp_path / "export", accept_burned_in=True)
    )
    assert Trail(summary.private).acts()[-1].what == "exported"
    assert told == " ".join(uncleaned(manifest))
    assert "judged by headers only" in told
    assert "BURNED_IN_RISK" in told
    answer = share_check(summary.cohort)
    assert answer.burned_in == (case.id,)
    assert not answer.fit


# --- looking for identities -------------------------------------------------------------------
@pytest.mark.fault("F43")
def test_identities_are_found_wherever_and_however_they_were_written(tmp_path):
    study = dicom_study(tmp_path)
    summary = run(order_of(study, workers=1), key=KEY)
    clean = scan_phi(order_of(study))
    assert clean.leaks == ()
    assert clean.identities > 15
    cohort, export = summary.cohort, tmp_path / "export"
    export.mkdir()
    (cohort / "report" / "note.txt").write_text("seen: Erika MUSTERMANN")
    (export / "b.bin").write_bytes(b"\0\1" + "4711081".encode("utf-16-le") + b"\xff")
    (export / "born 13.07.1931.txt").write_text("")
    with h5py.File(export / "c.h5", "w") as file:
        file.create_dataset("x", data=np.frombuffer(b"St. Elsewhere" * 50, "u1"), compression=1)
    found = scan_phi(order_of(study), [export]).leaks
    assert {(leak.file, leak.category) for leak in found} == {
        ("cohort/report/note.txt", "name"),
        ("export/b.bin", "id"),
        ("export/born 13.07.1931.txt", "date"),
        ("export/c.h5", "institution"),
    }


@pytest.mark.fault("F43")
def test_an_identity_in_the_words_of_the_card_is_found_before_and_after_a_run(tmp_path):
    """As a word of its own: a part of a longer one names nobody."""
    study = dicom_study(tmp_path)
    with study.open("a", encoding="utf-8") as file:
        file.write(
            '[card]\ntitle = "Scans of Mustermannstadt"\ncreators = ["St. Elsewhere", "Ada Doe"]\n'
            'description = "Among 40 patients (case 4711081; x4711082) ... by E. MUSTERMANN"\n'
            'citation = "born 1931-07-13"\n'
        )
    expected = {
        ("[card] description", "id", "4711081"),
        ("[card] description", "name", "Mustermann^Erika"),
        ("[card] citation", "date", "19310713"),
    }
    assert {
        (leak.file, leak.category, leak.text) for leak in scan_phi(order_of(study)).leaks
    } == expected
    run(order_of(study, workers=1), key=KEY)
    found = scan_phi(order_of(study)).leaks
    assert {(leak.category, leak.text) for leak in found} == {each[1:] for each in expected}
    assert {"cohort/README.md", "cohort/manifest.json"} <= {leak.file for leak in found}


def test_what_the_card_names_on_purpose_is_public_and_parts_of_words_are_no_names():
    public = Public(
        "lung\nnorth", "Ada Meier\nSt. Elsewhere", {"[card] title": "Headache of Young"}
    )
    told = {
        word: public.tells(word) for word in ("Lung", "Meier", "st. elsewhere", "Head", "Young")
    }
    assert told == {
        "Lung": True,
        "Meier": True,
        "st. elsewhere": True,
        "Head": True,
        "Young": False,
    }
    assert not public.tells("Ada Mei")
    identities = [Identity("name", "Young^Ann"), Identity("name", "Head^Bob")]
    forms, card, left_out = all_forms(identities, public)
    assert (b"young" in forms, b"head" in forms, b"bob head" in forms) == (True, False, True)
    assert card == {("[card] title", identities[0])}
    assert left_out == 0


@pytest.mark.fault("F43")
def test_names_are_looked_for_in_both_orders_and_short_words_are_not():
    assert {"Mustermann^Max", "Max Mustermann", "Mustermann, Max", "Mustermann"} <= spellings(
        Identity("name", "Mustermann^Max^^Dr.")
    )
    assert "Max" not in spellings(Identity("name", "Mustermann^Max"))
    assert spellings(Identity("id", "0042")) == frozenset()
    assert {"1931-07-13", "13.07.1931"} <= spellings(Identity("date", "19310713"))
    assert spellings(Identity("path", "series")) == frozenset()
    assert {"müller".encode(), "müller".encode("latin-1"), b"m\\u00fcller"} <= encoded("Müller")


# --- groups of people who look alike ----------------------------------------------------------
@pytest.mark.fault("F43")
def test_patients_who_stand_alone_are_named_with_what_would_help(done):
    answer = share_check(done / "cohort")
    assert answer.groups.smallest == 1
    (group,) = answer.groups.small
    assert group.cases == tuple(case.id for case in read_manifest(done / "cohort").cases)
    assert not answer.fit
    assert share_check(done / "cohort", 1).fit


def test_groups_count_people_and_remedies_say_what_is_left():
    from MedPrepLib.sharing.groups import grouped, row_of

    rows = [
        row_of(f"c{n}", "north", f"p{n // 2}", "CT", {"sex": "F", "age_years": 40 + n})
        for n in range(10)
    ]
    alone = grouped(rows, 5)
    assert alone.smallest == 1
    assert len(alone.small) == 10
    best = alone.remedies[0]
    assert (best.setting, best.cases_left) == ("privacy.age_step_years = 10", 0)
    same = [msgspec.structs.replace(r, known=rows[0].known) for r in rows]
    assert (grouped(same, 5).smallest, grouped(same, 6).smallest) == (5, 5)
    assert grouped(same, 5).small == ()


@pytest.mark.fault("F43")
def test_names_of_unknown_structures_stay_in_the_private_log(study, tmp_path):
    mask = next((tmp_path / "raw").rglob("ana.nii.gz"))
    from MedPrepLib.formats.files import read_volume
    from MedPrepLib.formats.segnrrd import write_seg_nrrd
    from MedPrepLib.segmentation import Segment, Segmentation

    volume = read_volume(mask)
    layer = (volume.array > 0).astype(np.uint8)
    segments = (Segment("Mustermann lesion", 1),)
    write_seg_nrrd(
        mask.with_name("dan.seg.nrrd"), Segmentation((layer,), volume.geometry, segments)
    )
    (result,) = run(order_of(study, workers=1), key=KEY).results
    (told,) = [f for f in result.findings if f.code == "LABEL_UNKNOWN"]
    assert told.message == f"not in the label schema: {WITHHELD}"
    assert "Mustermann lesion" in (tmp_path / "cohort-private" / "run.log").read_text()


@pytest.mark.fault("F43")
def test_names_in_findings_about_sources_stay_in_the_private_log(study, tmp_path):
    """They were nowhere to be found, though the report says where they stand."""
    rules = '\n[sources.annotations."Mustermann"]\nignore = true\n'
    study.write_text(study.read_text().replace("\n[labels", f"{rules}\n[labels", 1))
    summary = run(order_of(study, workers=1), key=KEY)
    (told,) = [f for f in summary.source_findings if f.code == "ANNOTATION_RULE_UNUSED"]
    assert told.message.endswith(WITHHELD)
    for path in (p for p in summary.cohort.rglob("*") if p.is_file()):
        assert b"Mustermann" not in path.read_bytes(), path.name
    log = (tmp_path / "cohort-private" / "run.log").read_text()
    assert '\\"Mustermann\\"' in log
