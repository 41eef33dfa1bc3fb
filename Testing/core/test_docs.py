"""The documentation is true: generated parts are in step, every block does what it says."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import msgspec
import msgspec.inspect as mi
import pytest

from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Study
from MedPrepLib.layout import META_KEYS
from MedPrepLib.manifest import Manifest, ManifestCase

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "Docs").glob("*.md"))
RUN = frozenset({"sh", "python", "toml"})
REASONS = frozenset(
    {"a cluster", "make", "3D Slicer", "a shell of your own", "trained in test_readme.py"}
)
"""Why a block may be left out: ``<!-- not run: REASON -->`` stands before it."""

FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
WRONG = 97
"""What a shell block exits with when a line of it did not end as it says."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``reason`` is None where it is to be run."""

    page: Path
    line: int
    kind: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line} ({self.kind})"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        yield Block(page, line, found["kind"], found["text"], found["reason"])


def _tool() -> object:
    path = ROOT / "Testing" / "update_docs.py"
    spec = importlib.util.spec_from_file_location("update_docs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- what is generated ------------------------------------------------------------------------


def test_the_generated_references_say_what_the_source_says() -> None:
    assert list(_tool().stale()) == [], "run python Testing/update_docs.py"


def _structs(struct: type) -> Iterator[type]:
    """A section and everything below it."""
    yield struct
    waiting = [field.type for field in mi.type_info(struct).fields]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, mi.StructType):
            yield from _structs(kind.cls)
        waiting += [getattr(kind, name) for name in ("type", "item_type", "value_type")
                    if hasattr(kind, name)]  # fmt: skip
        waiting += getattr(kind, "types", ())


def test_every_setting_says_what_it_does() -> None:
    tool = _tool()
    silent = {
        f"{struct.__name__}.{field.name}"
        for struct in _structs(Study)
        for field in mi.type_info(struct).fields
        if not isinstance(field.type, mi.StructType)
        and not tool._described(field.type)[0].get("description")
    }
    assert silent == set()


def test_the_reference_of_settings_names_every_section_and_setting() -> None:
    text = (ROOT / "Docs" / "study-file.md").read_text("utf-8")
    for struct in _structs(Study):
        for field in mi.type_info(struct).fields:
            section = isinstance(field.type, mi.StructType)
            wanted = f"`[{field.encode_name}]`" if section else f"| `{field.encode_name}` |"
            assert wanted in text, f"{struct.__name__}.{field.name}"


# --- links ------------------------------------------------------------------------------------


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda p: p.name)
def test_links_lead_to_pages_pictures_and_titles_that_exist(page) -> None:
    text = page.read_text("utf-8")
    for target in set(re.findall(r"\]\(([^)\s]+)\)", text)):
        if "://" in target:
            continue
        path, _, title = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if title:
            assert title in _anchors(there), target


def test_the_readme_leads_to_every_page() -> None:
    text = README.read_text("utf-8")
    assert [page.name for page in PAGES if f"(Docs/{page.name})" not in text] == []


# --- blocks -----------------------------------------------------------------------------------


def test_blocks_are_left_out_for_known_reasons_only() -> None:
    found = {block.reason for page in (README, *PAGES) for block in blocks(page) if block.reason}
    assert found == REASONS
    kinds = {block.kind for page in (README, *PAGES) for block in blocks(page)}
    assert kinds <= RUN | {""}, "blocks without a language are shown, not run"


def _lines(text: str) -> Iterator[tuple[str, int]]:
    r"""Each command of a shell block and the status it says it exits with; ``\`` joins lines."""
    for line in text.replace("\\\n", " ").splitlines():
        command, _, comment = line.partition("  #")
        said = re.search(r"exits with (\d+)", comment)
        if command.strip():
            yield command.strip(), int(said[1]) if said else 0


def _shell_script(text: str) -> str:
    script = []
    for command, status in _lines(text):
        failed = f"the command {command!r} exited with $s, not {status}"
        script.append(f"{command}\ns=$?\n[ $s = {status} ] || {{ echo {shlex.quote(failed)} "
                      f"status $s >&2; exit {WRONG}; }}")  # fmt: skip
    return "\n".join(script)


def _ran(block: Block, command: list[str], folder: Path, bin_folder: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "MEDPREP_KEY_FILE": str(bin_folder / "site.key"),
    }
    done = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, env=environment
    )
    output = textwrap.indent(f"{done.stdout}\n{done.stderr}", "  ")
    assert done.returncode == 0, f"{block} fails:\n{output}"


def _runs(page: Path) -> Iterator[Block]:
    """The blocks to run; Python blocks that follow one another are one program.

    One that starts worker processes stands alone: every worker imports its file again.
    """
    waiting: Block | None = None
    for block in blocks(page):
        if block.reason is not None or block.kind not in RUN:
            continue
        alone = block.kind != "python" or "__main__" in block.text
        if waiting is not None and alone:
            yield waiting
            waiting = None
        if alone:
            yield block
        elif waiting is None:
            waiting = block
        else:
            text = f"{waiting.text}\n{block.text}"
            waiting = Block(page, waiting.line, "python", text, None)
    if waiting is not None:
        yield waiting


def _run_page(page: Path, folder: Path, bin_folder: Path) -> None:
    for number, block in enumerate(_runs(page)):
        if block.kind == "toml":
            parse_study(block.text, str(block))
        elif block.kind == "sh":
            _ran(block, ["bash", "-c", _shell_script(block.text)], folder, bin_folder)
            _give_data(folder)
        else:
            script = folder / f"block{number}.py"
            script.write_text(block.text, encoding="utf-8")
            _ran(block, [sys.executable, "-W", "error", script.name], folder, bin_folder)


def _give_data(folder: Path) -> None:
    """The reader's own data, which the README calls ``lung``: some scans of the sample study."""
    raw = folder / "study" / "raw"
    if raw.is_dir() and not (folder / "lung").exists():
        for name in ("north/LC-0003", "south/LC-0040"):
            shutil.copytree(raw / name, folder / "lung" / "raw" / name)


@pytest.fixture(scope="module")
def read_readme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder in which somebody typed what the README says, and the folder of ``medprep``."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    folder = tmp_path_factory.mktemp("reader")
    bin_folder = tmp_path_factory.mktemp("bin")
    program = bin_folder / "medprep"
    program.write_text(
        f"#!{sys.executable}\nfrom MedPrepLib.__main__ import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    program.chmod(0o755)
    _run_page(README, folder, bin_folder)
    return folder, bin_folder


def test_toml_blocks_are_study_files_and_python_blocks_are_python() -> None:
    for block in (block for page in (README, *PAGES) for block in blocks(page)):
        if block.kind == "toml":
            parse_study(block.text, str(block))
        elif block.kind == "python":
            ast.parse(block.text, str(block))


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_every_block_of_the_documentation_runs(read_readme, tmp_path) -> None:
    """In order, page by page; other pages find the sample study as the README left it."""
    read, bin_folder = read_readme
    assert (read / "study" / "cohort" / "report" / "index.html").is_file()
    assert (read / "lung" / "cohort" / "manifest.json").is_file()
    for page in PAGES:
        folder = tmp_path / page.stem
        folder.mkdir()
        if any(block.kind != "toml" for block in _runs(page)):
            shutil.copytree(read / "study", folder / "study", copy_function=os.link)
        _run_page(page, folder, bin_folder)
    _require_format_told(read / "study" / "cohort")


def _require_format_told(cohort: Path) -> None:
    """The page of the format names everything that a cohort holds."""
    text = (ROOT / "Docs" / "disk-format.md").read_text("utf-8")
    named = set(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))
    shards = sorted(cohort.glob("cases/*/*.h5"))
    for path in shards:
        with h5py.File(path) as file:
            assert set(file.attrs) <= named, set(file.attrs) - named
            assert set(file) <= {name.partition("/")[0] for name in named}
            assert set(file["targets"]) == {"boxes", "box_labels", "slices"}
            assert set(json.loads(file.attrs["meta"])) <= META_KEYS
    tree = json.loads((cohort / "manifest.json").read_bytes())
    fields = {field.name for struct in (Manifest, ManifestCase) for field in _fields(struct)}
    assert set(tree) <= fields
    assert fields <= named | {"name", "size", "sha256"}, fields - named


def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def test_a_line_that_fails_is_noticed(tmp_path) -> None:
    wrong = Block(README, 1, "sh", "true  # exits with 1\n", None)
    right = Block(README, 1, "sh", "a=1\n[ $a = 1 ]\nfalse  # exits with 1\n", None)
    _ran(right, ["bash", "-c", _shell_script(right.text)], tmp_path, tmp_path)
    with pytest.raises(AssertionError, match="README"):
        _ran(wrong, ["bash", "-c", _shell_script(wrong.text)], tmp_path, tmp_path)
