"""The Slicer module as far as it can be judged without Slicer.

What needs a running Slicer is in the module's own test class; here its files are read, and the
parts of the panel that need no Qt are run for real, with real child processes.
"""

from __future__ import annotations

import ast
import importlib
import os
import py_compile
import re
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MedPrep"
SCRIPT = MODULE / "MedPrep.py"
UI = MODULE / "Resources" / "UI" / "MedPrep.ui"
IN_SLICER = {"slicer", "vtk", "qt", "ctk", "numpy", "SimpleITK"}


@pytest.fixture
def panel(monkeypatch):
    """Imports a module of the panel the way Slicer does: only the module's folder is known."""
    monkeypatch.syspath_prepend(str(MODULE))
    yield lambda name: importlib.import_module(f"MedPrepPanel.{name}")
    for name in [n for n in sys.modules if n.partition(".")[0] == "MedPrepPanel"]:
        monkeypatch.delitem(sys.modules, name)


def _tree() -> ast.Module:
    return ast.parse(SCRIPT.read_text("utf-8"))


def _class(name: str) -> ast.ClassDef:
    return next(n for n in _tree().body if isinstance(n, ast.ClassDef) and n.name == name)


# --- what Slicer reads ----------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(MODULE.rglob("*.py")), ids=lambda p: p.name)
def test_every_file_of_the_module_compiles(path, tmp_path):
    py_compile.compile(str(path), cfile=str(tmp_path / "out.pyc"), doraise=True)


@pytest.mark.parametrize("path", sorted(MODULE.rglob("*.py")), ids=lambda p: p.name)
def test_at_file_scope_the_module_imports_only_what_every_slicer_has(path):
    allowed = IN_SLICER | {"MedPrepPanel"} | sys.stdlib_module_names
    for node in ast.parse(path.read_text("utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        assert [n for n in names if n.partition(".")[0] not in allowed] == []


def test_the_script_has_the_classes_that_slicer_looks_for():
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for node in _tree().body
        if isinstance(node, ast.ClassDef)
    }
    assert "ScriptedLoadableModule" in bases["MedPrep"]
    assert bases["MedPrepWidget"] == {"ScriptedLoadableModuleWidget", "VTKObservationMixin"}
    assert "ScriptedLoadableModuleLogic" in bases["MedPrepLogic"]
    assert "ScriptedLoadableModuleTest" in bases["MedPrepTest"]


def test_every_test_method_of_the_module_is_run_by_its_runTest():
    methods = {n.name: n for n in _class("MedPrepTest").body if isinstance(n, ast.FunctionDef)}
    run = ast.unparse(methods["runTest"])
    assert [name for name in methods if name.startswith("test_") and name not in run] == []


def test_every_text_a_user_reads_can_be_translated():
    shown = {"text", "toolTip", "title", "helpText"}
    bare = []
    for path in MODULE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Attribute) and target.attr in shown:
                literal = [c for c in ast.walk(node.value) if isinstance(c, ast.Constant)]
                translated = "_(" in ast.unparse(node.value)
                if any(isinstance(c.value, str) and c.value for c in literal) and not translated:
                    bare.append(f"{path.name}:{node.lineno}")
    assert bare == []


def _widgets() -> dict[str, str]:
    return {w.get("name"): w.get("class") for w in ElementTree.parse(UI).iter("widget")}


def _sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in MODULE.rglob("*.py"))


def test_the_module_uses_only_widgets_that_the_form_has():
    used = set(
        re.findall(r"\bui\.(\w+(?:Button|ComboBox|Label|Edit|Table|List|SpinBox))", _sources())
    )
    assert used - set(_widgets()) == set()


def test_no_button_of_the_form_is_dead():
    sources = _sources()
    menus = {"openButton"}  # opens a menu; its actions are connected
    buttons = {name for name, kind in _widgets().items() if kind in {"QPushButton", "QToolButton"}}
    connected = set(
        re.findall(r"\bui\.(\w+)\.connect\(\s*\"(?:clicked|toggled)\(bool\)\"", sources)
    )
    assert buttons - menus - connected == set()


def test_the_form_declares_every_widget_class_that_is_not_qt_s_own():
    declared = {c.findtext("class") for c in ElementTree.parse(UI).iter("customwidget")}
    assert {kind for kind in _widgets().values() if not kind.startswith("Q")} == declared


def test_every_parameter_named_in_the_form_is_a_field_of_the_parameter_node():
    root = ElementTree.parse(UI).getroot()
    named = {
        p.findtext("string")
        for p in root.iter("property")
        if p.get("name") == "SlicerParameterName"
    }
    node = _class("MedPrepParameterNode")
    fields = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
    assert named == fields


def test_the_icon_is_a_png_of_128_by_128_pixels():
    image = pytest.importorskip("PIL.Image")
    with image.open(MODULE / "Resources" / "Icons" / "MedPrep.png") as icon:
        assert (icon.format, icon.size) == ("PNG", (128, 128))


# --- progress -------------------------------------------------------------------------------


def test_a_line_of_progress_becomes_a_step(panel):
    progress = panel("progress")
    line = '{"stage": "pack", "done": 3, "total": 20, "item": "CT_3"}'
    assert progress.parse_line(line) == progress.Step("pack", 3, 20, "CT_3")


def test_the_last_line_says_how_the_run_ended(panel):
    progress = panel("progress")
    line = '{"finished": true, "exit": 1, "cohort": "/c", "report": "/c/report/index.html"}'
    assert progress.parse_line(line) == progress.Finished(1, "/c", "/c/report/index.html")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "UserWarning: something",
        "{",
        "[1, 2]",
        "7",
        '{"stage": "scan"}',
        '{"stage": "scan", "done": "3", "total": 4}',
        '{"finished": true}',
        '{"finished": true, "exit": true}',
    ],
)
def test_any_other_line_is_shown_as_it_is(panel, line):
    progress = panel("progress")
    assert progress.parse_line(line) == progress.Remark(line)


# --- the background job ---------------------------------------------------------------------


def _execute(module, args, *, blocking, logCallback, completedCallback, options=("-S",)):
    """What Slicer's function does, run to its end: lines of both streams, then the status.

    Without site-packages (``-S``) the child finds only what the job lets it find.
    """
    assert blocking is False
    child = subprocess.Popen(
        [sys.executable, *options, "-m", module, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=MODULE,  # not the checkout: Python looks into the current folder first
        text=True,
    )
    for line in child.stdout:
        logCallback(line.rstrip())
    child.stdout.close()
    completedCallback(child.wait())


def _execute_with_requirements(module, args, **callbacks):
    """The same with the requirements of the library, as Slicer's Python has them."""
    _execute(module, args, options=(), **callbacks)


def _library(folder: Path, body: str) -> Path:
    """A stand-in for MedPrepLib whose command runs ``body``."""
    package = folder / "MedPrepLib"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(f"import json, os, sys\n{body}\n")
    return folder


def _run(panel, tmp_path, body):
    heard = []
    job = panel("job").StudyJob(_execute, heard.append, tmp_path / "temporary")
    job.start(tmp_path / "study.toml", _library(tmp_path, body))
    assert not job.running
    return heard


def test_a_job_runs_the_study_and_tells_every_step(panel, tmp_path):
    body = (
        "assert sys.argv[1:] == ['run', sys.argv[2], '--progress', 'json', *sys.argv[5:]]\n"
        "assert sys.argv[2].endswith('study.toml')\n"
        "assert sys.argv[5] == '--cancel-file' and not os.path.exists(sys.argv[6])\n"
        "assert len(sys.argv) == 7\n"
        "print(json.dumps({'stage': 'scan', 'done': 1, 'total': 2, 'item': 'a'}), flush=True)\n"
        "print('a remark', file=sys.stderr, flush=True)\n"
        "print(json.dumps({'finished': True, 'exit': 1, 'cohort': 'c', 'report': 'r',\n"
        "                  'included': 3, 'excluded': 2}))\n"
        "sys.exit(1)"
    )
    progress = panel("progress")
    assert _run(panel, tmp_path, body) == [
        progress.Step("scan", 1, 2, "a"),
        progress.Remark("a remark"),
        progress.Finished(1, "c", "r", 3, 2),
    ]


def test_a_job_hands_on_how_many_processes_are_wanted(panel, tmp_path):
    heard = []
    job = panel("job").StudyJob(_execute, heard.append, tmp_path)
    body = "print(' '.join(sys.argv[7:]))"
    job.start(tmp_path / "study.toml", _library(tmp_path, body), workers=3)
    assert heard[0].text == "--workers 3"


def test_a_job_is_asked_to_stop_by_a_file_that_is_gone_afterwards(panel, tmp_path):
    heard = []

    def listen(event):
        heard.append(event)
        job.cancel()

    job = panel("job").StudyJob(_execute, listen, tmp_path)
    body = (
        "import time\nprint('begun', flush=True)\n"
        "while not os.path.exists(sys.argv[6]):\n    time.sleep(0.01)\n"
        "sys.exit(130)"
    )
    job.start(tmp_path / "study.toml", _library(tmp_path, body))
    assert heard[-1] == panel("progress").Finished(130)
    assert not job.cancel_file.exists()
    job.cancel()
    assert not job.cancel_file.exists(), "nothing runs that could be asked"


def test_a_child_that_dies_without_a_word_is_a_failed_run(panel, tmp_path):
    heard = _run(panel, tmp_path, "os._exit(9)")
    assert heard == [panel("progress").Finished(9)]


def test_the_exit_status_counts_and_not_what_the_child_announced(panel, tmp_path):
    body = "print(json.dumps({'finished': True, 'exit': 0}), flush=True)\nos._exit(3)"
    assert _run(panel, tmp_path, body) == [panel("progress").Finished(3)]


def test_the_environment_is_as_before_once_the_child_has_started(panel, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    body = "print(os.environ['PYTHONPATH'])"
    heard = _run(panel, tmp_path, body)
    assert heard[0].text == os.pathsep.join([str(tmp_path), str(tmp_path / "mine")])
    assert os.environ["PYTHONPATH"] == str(tmp_path / "mine")
    monkeypatch.delenv("PYTHONPATH")
    job = panel("job").StudyJob(_execute, heard.append, tmp_path)
    job.start(tmp_path / "study.toml", tmp_path)
    assert "PYTHONPATH" not in os.environ


def test_a_closed_panel_hears_nothing_more(panel, tmp_path):
    heard = []
    job = panel("job").StudyJob(_execute, heard.append, tmp_path)
    job.detach()
    job.start(tmp_path / "study.toml", _library(tmp_path, "print('hello')"))
    assert heard == []
    assert not job.running


def test_a_job_that_could_not_start_can_be_started_again(panel, tmp_path):
    def broken(*_, **__):
        raise RuntimeError("PythonSlicer executable not found")

    job = panel("job").StudyJob(broken, lambda _: None, tmp_path)
    with pytest.raises(RuntimeError, match="PythonSlicer"):
        job.start(tmp_path / "study.toml", tmp_path)
    assert not job.running


def test_a_slicer_without_background_execution_is_noticed_before_the_run(panel, tmp_path):
    job = panel("job").StudyJob(None, lambda _: None, tmp_path)
    assert not job.available
    with pytest.raises(RuntimeError, match="background"):
        job.start(tmp_path / "study.toml", tmp_path)


# --- finding the library --------------------------------------------------------------------


def _in_bare_python(code: str, **environment: str) -> str:
    """Runs ``code`` in a Python without site-packages that knows only the module's folder."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        check=False,
        cwd=MODULE / "Resources",
        env={**os.environ, "PYTHONPATH": str(MODULE), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_from_a_source_checkout_the_library_beside_the_module_is_found():
    code = (
        "from MedPrepPanel.library import library_folder\n"
        "print(library_folder())\nimport MedPrepLib\nprint(MedPrepLib.__file__)"
    )
    expected = [str(ROOT), str(ROOT / "MedPrepLib" / "__init__.py")]
    assert _in_bare_python(code).splitlines() == expected


def test_an_installed_library_comes_before_the_one_beside_the_module(tmp_path):
    _library(tmp_path, "")
    path = os.pathsep.join([str(MODULE), str(tmp_path)])
    code = "from MedPrepPanel.library import library_folder; print(library_folder())"
    assert _in_bare_python(code, PYTHONPATH=path) == str(tmp_path.resolve())


def test_missing_requirements_are_those_of_which_no_version_is_there(panel, tmp_path):
    library = panel("library")
    path = tmp_path / "requirements.txt"
    path.write_text("# comment\npytest>=8  # here\n\nno-such-package_x[extra]>=1\n")
    lines = library.requirement_lines(path)
    assert lines == ["pytest>=8", "no-such-package_x[extra]>=1"]
    assert library.missing(lines) == ["no-such-package_x[extra]>=1"]


# --- sentences ------------------------------------------------------------------------------


@pytest.fixture
def sentences(panel, monkeypatch):
    """The panel's texts; translation is the one part of Slicer they need."""
    monkeypatch.setitem(sys.modules, "slicer", types.ModuleType("slicer"))
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    monkeypatch.setitem(sys.modules, "slicer.i18n", i18n)
    return panel("sentences.export")


def test_a_run_button_that_cannot_work_says_why(sentences, tmp_path):
    path = tmp_path / "study.toml"
    study = str(path)
    assert sentences.obstacle("", False, True).startswith("Open a study file first")
    assert study in sentences.obstacle(study, False, True)
    path.write_text("")
    assert sentences.obstacle(study, False, True) == ""
    assert "5.12" in sentences.obstacle(study, False, False)
    assert "running" in sentences.obstacle(study, True, True)


def test_a_total_that_is_not_known_yet_is_not_called_zero(sentences, panel):
    step = panel("progress").Step
    assert sentences.step_text(step("scan", 7, 0, "a")) == "scan: 7 so far a"
    assert sentences.step_text(step("scan", 7, 9, "a")) == "scan: 7 of 9 a"
    assert sentences.step_text(step("scan", 7, 9, "a"), 130.0) == "scan: 7 of 9 a, 2 min left"


def test_how_much_longer_a_stage_takes_is_told_once_it_can_be_known(panel):
    progress, now = panel("progress"), [0.0]
    pace = progress.Pace(lambda: now[0])

    def left(stage, done, total, at):
        now[0] = at
        return pace.left_s(progress.Step(stage, done, total))

    assert left("pack", 40, 100, 0.0) is None, "done by an earlier run, at once"
    assert left("pack", 41, 100, 30.0) is None, "one item says little"
    assert left("pack", 50, 100, 100.0) == pytest.approx(500.0)
    assert left("verify", 10, 20, 101.0) is None, "another stage has another pace"
    assert left("verify", 0, 0, 200.0) is None


def test_every_end_of_a_run_is_a_sentence_of_its_own(sentences, panel):
    def text(*said):
        return sentences.outcome_text(panel("progress").Finished(*said))

    ends = [text(0, "/c", "/r"), text(1, "/c", "/r"), text(2), text(3), text(130)]
    assert len(set(ends)) == 5
    assert all("/c" in end for end in ends[:2])
    assert "status -9" in text(-9)


def test_a_traceback_is_not_taken_for_a_finished_run_with_findings(sentences, panel):
    """Python exits with 1 after an uncaught error; so does a run that has findings."""
    assert "failed" in sentences.outcome_text(panel("progress").Finished(1))
    assert "failed" in sentences.outcome_text(panel("progress").Finished(3, "/c", ""))


# --- with the real library ------------------------------------------------------------------


def _run_for_real(panel, study: Path, heard: list) -> None:
    job = panel("job").StudyJob(_execute_with_requirements, heard.append, study.parent)
    job.start(study, ROOT)


def _tiny_study(folder: Path) -> Path:
    """One CT of 8 x 9 x 10 voxels, read twice, and the study file for it."""
    np = pytest.importorskip("numpy")
    sitk = pytest.importorskip("SimpleITK")
    case = folder / "raw" / "center-a" / "patient-1" / "case-1"
    (case / "masks").mkdir(parents=True)
    image = np.arange(720, dtype=np.int16).reshape(10, 9, 8)
    _write(sitk, case / "image.nrrd", image)
    for rater, threshold in (("anna", 300), ("ben", 320)):
        _write(sitk, case / "masks" / f"{rater}.nrrd", (image > threshold).astype(np.uint8))
    study = folder / "study.toml"
    study.write_text(
        'name = "tiny"\n[[sources]]\nkind = "folders"\npath = "raw"\nmodality = "CT"\n'
        "[labels.lesion]\nvalue = 1\n"
    )
    return study


def _write(sitk, path: Path, array) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.7, 2.5))
    sitk.WriteImage(image, str(path))


def test_the_panel_understands_what_the_real_command_prints(panel, tmp_path):
    study = _tiny_study(tmp_path)
    heard = []

    _run_for_real(panel, study, heard)
    progress = panel("progress")
    steps = [event for event in heard if isinstance(event, progress.Step)]
    *_, last = heard
    assert isinstance(last, progress.Finished), heard
    assert last.exit in (0, 1), heard
    assert Path(last.cohort) == (tmp_path / "cohort").resolve()
    assert Path(last.report).is_file()
    assert {"scan", "report"} <= {step.stage for step in steps}
    assert all(0 <= step.done <= step.total for step in steps if step.total)
    assert [event for event in heard if isinstance(event, progress.Remark)] == []


def test_a_wrong_study_file_ends_with_two_and_its_faults_in_the_log(panel, tmp_path):
    study = tmp_path / "study.toml"
    study.write_text('name = "x"\nunknown = 1\n')
    heard = []

    _run_for_real(panel, study, heard)
    progress = panel("progress")
    assert heard[-1] == progress.Finished(2)
    assert any("unknown" in event.text for event in heard[:-1])
