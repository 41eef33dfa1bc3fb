"""What MedPrep asks for, beside what is installed."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

import MedPrepLib
from MedPrepLib.doctor.line import Line

DISTRIBUTION = "MedPrep"
DEVELOPING = frozenset({"bench", "dev", "panel", "test"})
"""Extras for those who work on MedPrep itself."""

PURPOSES: Mapping[str, str] = MappingProxyType({
    "codecs": "compressed DICOM",
    "dask": "runs on a cluster",
    "highdicom": "writing DICOM SEG",
    "isal": "faster gzip",
    "lmdb": "cohorts in one LMDB file",
    "lz4": "cohorts packed with LZ4",
    "monai": "items for MONAI",
    "mrml": "the scene of 3D Slicer without Slicer",
    "nibabel": "volumes as nibabel images",
    "torch": "tensors instead of arrays",
    "torchio": "items for torchio",
})  # fmt: skip

_MODULES = MappingProxyType({"pillow": "PIL"})
_WONT_LOAD = (ImportError, OSError, AttributeError, ValueError)
"""What importing a package raises whose binary parts do not fit (NumPy's raise ValueError)."""


@dataclass(frozen=True)
class Requirement:
    """A package and what its version must be; ``extra`` is empty for what MedPrep cannot miss."""

    name: str
    versions: str
    extra: str = ""

    @property
    def text(self) -> str:
        """As pip takes it."""
        return self.name + self.versions


def installed_as() -> str:
    """How MedPrep came here: "editable", "package", or "folder" (never installed by pip)."""
    try:
        origin = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return "folder"
    editable = bool(origin) and json.loads(origin or "{}").get("dir_info", {}).get("editable")
    return "editable" if editable else "package"


def requirements() -> tuple[Requirement, ...]:
    """What MedPrep asks for: by the pyproject.toml of a checkout, else as it was installed.

    Slicer's installation has neither, but a list of what it cannot miss.
    """
    project = Path(MedPrepLib.__file__).parents[1] / "pyproject.toml"
    if project.is_file():
        return tuple(_of_project(tomllib.loads(project.read_text("utf-8"))["project"]))
    try:
        return tuple(map(_parsed, metadata.requires(DISTRIBUTION) or ()))
    except metadata.PackageNotFoundError:
        lists = Path(MedPrepLib.__file__).parents[1].glob("**/requirements.txt")
        lines = next((path.read_text("utf-8").splitlines() for path in lists), [])
        return tuple(_parsed(line) for line in lines if line and not line.startswith("#"))


def core_lines() -> Iterator[Line]:
    """A line per package that MedPrep cannot work without; each is imported."""
    for need in requirements():
        if not need.extra:
            yield _core_line(need)


def extra_lines() -> Iterator[Line]:
    """A line per extra for users, with what it is good for."""
    needs = [need for need in requirements() if need.extra not in {"", *DEVELOPING}]
    for extra in sorted({need.extra for need in needs}):
        parts = [need for need in needs if need.extra == extra]
        lacking = [need for need in parts if not _fits(need)]
        found = ", ".join(f"{p.name} {_version(p)}" for p in parts if p not in lacking)
        purpose = PURPOSES.get(extra, "")
        if not lacking:
            yield Line(extra, "ok", f"{purpose}: {found}" if purpose else found)
            continue
        without = ", ".join(need.text for need in lacking)
        yield Line(extra, "missing", f"{purpose}: needs {without}", install_extra(extra))


def install_extra(extra: str) -> str:
    """The command that installs what an extra consists of."""
    if installed_as() != "folder":
        return _pip(f"{DISTRIBUTION}[{extra}]")
    return _pip(*(need.text for need in requirements() if need.extra == extra))


def _pip(*what: str) -> str:
    wanted = " ".join(f'"{name}"' for name in what)
    return f"{_python()} -m pip install {wanted}"


def _python() -> str:
    """What to type for the interpreter that this runs in."""
    if "slicer" in sys.modules:
        return "PythonSlicer"
    first = shutil.which("python")
    return (
        "python"
        if first and Path(first).parent.samefile(Path(sys.executable).parent)
        else sys.executable
    )


def _core_line(need: Requirement) -> Line:
    found = _version(need)
    if not found:
        return Line(need.name, "broken", f"not installed; needs {need.text}", _pip(need.text))
    if not _fits(need):
        said = f"{found} is installed; needs {need.text}"
        return Line(need.name, "broken", said, _pip(need.text))
    try:
        importlib.import_module(_MODULES.get(need.name, need.name))
    except _WONT_LOAD as error:
        said = f"{found} does not load ({type(error).__name__})"
        return Line(need.name, "broken", said, _pip(need.text) + " --force-reinstall")
    return Line(need.name, "ok", f"{found} ({need.versions})")


def _version(need: Requirement) -> str:
    try:
        return metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return ""


def _fits(need: Requirement) -> bool:
    found = _version(need)
    return bool(found) and satisfies(found, need.versions)


def satisfies(version: str, wanted: str) -> bool:
    """True when the numbers of ``version`` meet all of ``wanted``, as ``>=1.26,<3`` (PEP 440).

    Of versions only the numbers count: what follows them (rc1, +cpu) is passed over.
    """
    have = _numbers(version)
    for sign, number in re.findall(r"(>=|<=|==|!=|<|>)\s*([\d.]+)", wanted):
        limit = _numbers(number)
        width = max(len(have), len(limit))
        a, b = (row + (0,) * (width - len(row)) for row in (have, limit))
        met = {">=": a >= b, "<=": a <= b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b}
        if not met[sign]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _of_project(project: Mapping[str, object]) -> Iterator[Requirement]:
    core, extras = project["dependencies"], project["optional-dependencies"]
    assert isinstance(core, list) and isinstance(extras, dict)  # noqa: PT018, S101 - for mypy
    yield from map(_parsed, core)
    for extra, lines in extras.items():
        yield from (_parsed(line, extra) for line in lines)


def _parsed(line: str, extra: str = "") -> Requirement:
    """From ``lmdb>=1.4; extra == "lmdb"`` or the same without its marker."""
    text, _, marker = line.partition(";")
    match = re.search(r"extra == ['\"]([\w-]+)", marker)
    name, versions = re.fullmatch(
        r"\s*([\w.-]+)(?:\[[\w,-]+\])?\s*(.*?)\s*", text, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    return Requirement(name, versions, match[1] if match else extra)
