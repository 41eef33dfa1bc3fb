"""The repository keeps its own promises: lists, contracts, requirements, what is never used."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import MedPrepLib

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "MedPrepLib"
HEAVY = {
    "dask",
    "distributed",
    "h5py",
    "hdf5plugin",
    "highdicom",
    "lmdb",
    "matplotlib",
    "nibabel",
    "PIL",
    "pydicom",
    "scipy",
    "SimpleITK",
    "sklearn",
    "torch",
    "torchio",
}


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _sources(folder: Path = LIBRARY) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _tracked() -> list[Path]:
    """Every file of the project: those git knows or would add."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listing.splitlines() if (ROOT / name).is_file()]


# --- lists and descriptions -----------------------------------------------------------------


def _lists() -> object:
    path = ROOT / "Testing" / "update_cmake_lists.py"
    spec = importlib.util.spec_from_file_location("update_cmake_lists", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", ["MedPrep", "MedPrepLib"])
def test_the_cmake_lists_name_exactly_the_files_on_disk(folder):
    tool = _lists()
    text = (ROOT / folder / "CMakeLists.txt").read_text("utf-8")
    listed = [name for variable in tool.LISTS[folder] for name in tool.listed(text, variable)]
    on_disk = tool.files_of(ROOT / folder)
    hint = "run python Testing/update_cmake_lists.py"
    assert sorted(set(on_disk) - set(listed)) == [], f"not listed: {hint}"
    assert sorted(set(listed) - set(on_disk)) == [], f"listed, but not there: {hint}"


def test_updating_a_list_replaces_its_entries_and_nothing_else():
    tool = _lists()
    text = "# before\nset(A\n  old.py\n  )\nset(B\n  kept.py\n  )\n"
    expected = "# before\nset(A\n  a.py\n  sub/b.py\n  )\nset(B\n  kept.py\n  )\n"
    assert tool.updated(text, "A", ["a.py", "sub/b.py"]) == expected
    assert tool.listed(expected, "A") == ["a.py", "sub/b.py"]


def test_the_module_folder_holds_one_python_file_because_slicer_takes_each_for_a_module():
    assert [p.name for p in (ROOT / "MedPrep").glob("*.py")] == ["MedPrep.py"]


def _cmake_facts() -> dict[str, str]:
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    facts = dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"$]*)"\)', text, re.MULTILINE))
    return {**facts, "PROJECT": re.search(r"^project\((\w+)\)", text, re.MULTILINE)[1]}


def _s4ext_facts() -> dict[str, str]:
    lines = (ROOT / "extension.s4ext").read_text("utf-8").splitlines()
    facts = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in facts}


def test_the_three_descriptions_of_the_extension_agree():
    cmake, s4ext = _cmake_facts(), _s4ext_facts()
    index = json.loads((ROOT / "MedPrep.json").read_text("utf-8"))
    assert cmake["PROJECT"] == "MedPrep" == _project()["project"]["name"]
    assert cmake["HOMEPAGE"] == s4ext["homepage"] == s4ext["scmurl"] == index["scm_url"]
    assert cmake["CATEGORY"] == s4ext["category"] == index["category"]
    assert cmake["DESCRIPTION"] == s4ext["description"] == _project()["project"]["description"]
    assert cmake["CONTRIBUTORS"] == s4ext["contributors"]
    assert cmake["ICONURL"] == s4ext["iconurl"]
    assert cmake["SCREENSHOTURLS"] == s4ext["screenshoturls"]
    assert s4ext["scmrevision"] == index["scm_revision"]
    assert s4ext["scm"] == index["scm_type"] == "git"
    assert s4ext["build_subdirectory"] == index["build_subdirectory"]
    assert int(s4ext["tier"]) == index["tier"]
    assert bool(int(s4ext["enabled"])) == index["enabled"]
    assert s4ext["depends"] == "NA"
    assert index["build_dependencies"] == []


def test_the_citation_names_the_version_that_the_library_has():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {MedPrepLib.__version__}\n" in cited


def test_the_urls_of_icon_and_screenshots_end_in_files_of_this_repository():
    facts = _cmake_facts()
    for url in (facts["ICONURL"], *facts["SCREENSHOTURLS"].split()):
        assert (ROOT / url.partition("/main/")[2]).is_file(), url


def test_the_index_entry_has_only_the_keys_that_the_extensions_index_knows():
    known = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies"}
    known |= {"build_subdirectory", "enabled", "tier"}
    index = json.loads((ROOT / "MedPrep.json").read_text("utf-8"))
    assert set(index) <= known
    assert {"$schema", "category", "scm_url"} <= set(index)
    assert index["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert index["tier"] in range(1, 6)


def test_slicer_is_asked_for_the_core_requirements_and_never_for_an_exact_version():
    text = (ROOT / "MedPrep" / "Resources" / "requirements.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == _project()["project"]["dependencies"]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+>=[\d.]+", line)] == []


# Of Slicer 5.12 and 5.13 (SuperBuild/External_python-*-requirements.cmake); none of these may
# change when MedPrep's requirements are installed into Slicer.
IN_SLICER = {
    "certifi": "2026.5.20",
    "charset-normalizer": "3.4.7",
    "highdicom": "0.27.0",
    "idna": "3.16",
    "numpy": "2.4.6",
    "packaging": "26.2",
    "pillow": "12.2.0",
    "pydicom": "3.0.2",
    "pyjpegls": "1.5.1",
    "pyparsing": "3.3.2",
    "requests": "2.34.2",
    "scipy": "1.17.1",
    "setuptools": "82.0.1",
    "SimpleITK": "2.5.5",
    "six": "1.17.0",
    "typing_extensions": "4.15.0",
    "urllib3": "2.7.0",
}


def test_installing_the_requirements_into_slicer_changes_no_package_of_slicer(tmp_path):
    """Pip is asked what it would do in a Python that has what Slicer's has."""
    import venv

    venv.EnvBuilder(with_pip=False).create(tmp_path / "slicer")
    site = next((tmp_path / "slicer").rglob("site-packages"))
    for name, version in IN_SLICER.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "INSTALLER").write_text("pip\n")
        (info / "RECORD").write_text("")
    report = tmp_path / "report.json"
    python = next((tmp_path / "slicer").rglob("bin/python"))
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--disable-pip-version-check", "--dry-run", "--report", str(report)]
    command += ["-r", str(ROOT / "MedPrep" / "Resources" / "requirements.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Failed to establish a new connection" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    wanted = {
        item["metadata"]["name"].lower() for item in json.loads(report.read_text())["install"]
    }
    assert "msgspec" in wanted
    assert wanted & {name.lower() for name in IN_SLICER} == set()


def test_slicer_gets_every_resource_of_the_library_that_pip_gets():
    patterns = _project()["tool"]["setuptools"]["package-data"]["MedPrepLib"]
    for_pip = {p for pattern in patterns for p in LIBRARY.glob(pattern)}
    others = {p for p in LIBRARY.rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc"}}
    assert others - {LIBRARY / "CMakeLists.txt"} == for_pip


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_accepts_every_file_list(tmp_path):
    """Configured with stand-ins for Slicer's macros; each given file has to exist."""
    (tmp_path / "SlicerConfig.cmake").write_text(
        'set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/use.cmake")\n'
        'set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/empty.cmake")\n'
        'set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/empty.cmake")\n'
    )
    (tmp_path / "empty.cmake").write_text("")
    (tmp_path / "use.cmake").write_text(
        "macro(slicerMacroBuildScriptedModule)\n"
        '  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES"'
        " ${ARGN})\n"
        "  foreach(file ${MY_SCRIPTS} ${MY_RESOURCES})\n"
        '    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")\n'
        '      message(FATAL_ERROR "absent: ${file}")\n'
        "    endif()\n"
        "  endforeach()\n"
        '  message(STATUS "module ${MY_NAME} subdirectory ${MY_WITH_SUBDIR}")\n'
        "endmacro()\n"
        "macro(slicer_add_python_unittest)\n"
        '  message(STATUS "unit test ${ARGN}")\n'
        "endmacro()\n"
    )
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), "-DBUILD_TESTING=ON"]
    command += [f"-DSlicer_DIR={tmp_path}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "module MedPrepLib subdirectory TRUE" in done.stdout
    assert "module MedPrep subdirectory FALSE" in done.stdout
    assert "unit test SCRIPT;MedPrep.py" in done.stdout


# --- imports --------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_but_the_package():
    code = "import sys, MedPrepLib; print('\\n'.join(m for m in sys.modules))"
    command = [sys.executable, "-S", "-c", code]
    modules = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    foreign = {m.partition(".")[0] for m in modules.split()} - sys.stdlib_module_names
    assert {m for m in foreign if not m.startswith("_")} == {"MedPrepLib"}
    assert [m for m in modules.split() if m.startswith("MedPrepLib.")] == []


def _imports(nodes: Iterator[ast.AST]) -> set[str]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def _at_file_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run at import; not those in functions or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not function and not guarded:
            yield child
            yield from _at_file_scope(child)


@pytest.mark.parametrize("path", _sources(), ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_heavy_packages_are_imported_where_they_are_used(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert _imports(_at_file_scope(tree)) & HEAVY == set()


def test_the_import_contracts_hold():
    pytest.importorskip("importlinter")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_loader_imports_where_only_numpy_and_h5py_are_installed():
    """A training node: everything else of the requirements cannot be imported there."""
    code = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"{name} is not on a training node", name=name)

sys.meta_path.insert(0, Absent())
import MedPrepLib.load
for module in pkgutil.walk_packages(MedPrepLib.load.__path__, "MedPrepLib.load."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
"""
    absent = {re.split(r"[^\w.-]", r)[0].lower() for r in _project()["project"]["dependencies"]}
    absent = absent - {"numpy", "h5py"} | HEAVY - {"h5py", "hdf5plugin", "torch"}
    absent = absent - {"pillow"} | {"PIL", "torch"}
    command = [sys.executable, "-c", code, ",".join(sorted(absent))]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- what is never used ---------------------------------------------------------------------

FORBIDDEN_IMPORTS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "yaml.load", "compile", "os.popen"}


def _calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
            yield ast.unparse(node.func), keywords


@pytest.mark.fault("F33")
@pytest.mark.parametrize("path", _sources(), ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_nothing_in_the_library_runs_what_it_reads(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert _imports(ast.walk(tree)) & FORBIDDEN_IMPORTS == set()
    for name, keywords in _calls(tree):
        assert name not in FORBIDDEN_CALLS, name
        assert keywords.get("allow_pickle", "False") == "False", name
        assert keywords.get("shell", "False") == "False", name
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", name


def test_no_file_names_a_registry_or_a_place_on_some_machine():
    hosts = ("pypi" + ".org", "python" + "hosted", "pypi" + ".python", "npmjs" + ".org")
    place = re.compile(r"(?<![\w.\-/])/(?:" + "|".join(("work", "root")) + r")/\w")
    wrong = []
    for path in _tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), start=1):
            if any(host in line for host in hosts) or place.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert wrong == []


def test_no_file_keeps_the_two_sides_of_a_merge():
    marker = re.compile(rb"^(<{7} |>{7} |={7}$)", re.MULTILINE)
    assert [str(p.relative_to(ROOT)) for p in _tracked() if marker.search(p.read_bytes())] == []


def test_no_file_is_large_and_no_lock_file_is_kept():
    tracked = _tracked()
    large = [str(p.relative_to(ROOT)) for p in tracked if p.stat().st_size > 500_000]
    assert large == []
    assert {p.name for p in tracked} & {"uv.lock", "poetry.lock", "Pipfile.lock"} == set()


# --- make -----------------------------------------------------------------------------------


def _make(tmp_path: Path, python: str) -> subprocess.CompletedProcess:
    """Runs ``make environment`` with a stand-in for Python; nothing is installed."""
    if os.name == "nt" or shutil.which("make") is None:
        pytest.skip("make is not installed")
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\n{python}\n")
    stand_in.chmod(0o755)
    command = ["make", "environment", f"PYTHON={stand_in}", f"VENV={tmp_path / 'venv'}"]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_make_names_the_debian_package_when_python_cannot_make_environments(tmp_path):
    done = _make(tmp_path, f'case "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"')
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_make_refuses_an_old_python_in_one_line(tmp_path):
    done = _make(tmp_path, "exit 1")
    assert done.returncode != 0
    assert "MedPrep needs Python 3.11 or newer" in done.stderr


def test_make_never_mixes_two_python_versions_in_one_environment(tmp_path):
    other = tmp_path / "venv" / "bin" / "python"
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\necho 3.99\n")
    other.chmod(0o755)
    done = _make(tmp_path, f'exec {sys.executable} "$@"')
    assert done.returncode != 0
    assert "holds Python 3.99" in done.stderr
