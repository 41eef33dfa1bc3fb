"""Bring the file lists of the CMakeLists.txt files up to date with the disk.

``python Testing/update_cmake_lists.py`` rewrites them, ``--check`` only says what is stale.
Slicer installs exactly the files that are listed: a forgotten one is missing from the extension.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_INSTALLED = frozenset({"CMakeLists.txt"})
LISTS = {
    "MedPrep": ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"),
    "MedPrepLib": ("MEDPREPLIB_PYTHON_SCRIPTS", "MEDPREPLIB_PYTHON_RESOURCES"),
}


def files_of(folder: Path) -> list[str]:
    """Every file below ``folder`` that belongs into the extension, as sorted relative names."""
    found = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    names = (p.relative_to(folder) for p in found if p.suffix != ".pyc")
    return sorted(n.as_posix() for n in names if n.name not in NOT_INSTALLED and n.name[0] != ".")


def listed(text: str, variable: str) -> list[str]:
    """The entries of ``set(variable ...)`` in a CMakeLists.txt."""
    return _block(variable).search(text)[1].split()


def updated(text: str, variable: str, names: list[str]) -> str:
    """``text`` with the entries of ``set(variable ...)`` replaced by ``names``."""
    lines = "".join(f"  {name}\n" for name in names)
    return _block(variable).sub(lambda _: f"set({variable}\n{lines}  )", text)


def _block(variable: str) -> re.Pattern[str]:
    return re.compile(rf"set\({variable}\n(.*?)  \)", re.DOTALL)


def current(folder: Path) -> str:
    """What the CMakeLists.txt of ``folder`` has to say."""
    scripts, resources = LISTS[folder.name]
    names = files_of(folder)
    text = (folder / "CMakeLists.txt").read_text("utf-8")
    text = updated(text, scripts, [n for n in names if n.endswith(".py")])
    return updated(text, resources, [n for n in names if not n.endswith(".py")])


def main() -> int:
    """Run as a command; 1 when ``--check`` finds a stale list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, only look")
    check = parser.parse_args().check
    stale = 0
    for name in LISTS:
        lists = REPOSITORY / name / "CMakeLists.txt"
        wanted = current(lists.parent)
        if lists.read_text("utf-8") == wanted:
            continue
        stale += 1
        if not check:
            lists.write_text(wanted, "utf-8")
        sys.stdout.write(f"{name}/CMakeLists.txt {'is stale' if check else 'rewritten'}\n")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
