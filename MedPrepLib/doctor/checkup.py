"""All of a checkup in one value."""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec

from MedPrepLib import __version__
from MedPrepLib.doctor.line import Line
from MedPrepLib.doctor.machine import machine_lines, slicer_lines
from MedPrepLib.doctor.packages import core_lines, extra_lines, installed_as


class Checkup(msgspec.Struct, frozen=True):
    """What was found. ``installed``: see packages.installed_as. Holds no path but the key's."""

    medprep: str
    installed: str
    python: str
    platform: str
    packages: tuple[Line, ...]
    codecs: tuple[Line, ...]
    extras: tuple[Line, ...]
    machine: tuple[Line, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them."""
        return (*self.packages, *self.codecs, *self.extras, *self.machine)

    @property
    def works(self) -> bool:
        """False when something is broken that MedPrep needs; what is optional may be missing."""
        return all(line.state != "broken" for line in self.lines)


def checkup(folder: Path) -> Checkup:
    """Look at this installation and at the disk of ``folder``; nothing is changed."""
    packages = tuple(core_lines())
    able = all(line.state == "ok" for line in packages if line.name in {"numpy", "pydicom"})
    return Checkup(
        medprep=__version__,
        installed=installed_as(),
        python=platform.python_version(),
        platform=platform.platform(aliased=True, terse=True),
        packages=packages,
        codecs=_codecs() if able else (),
        extras=tuple(extra_lines()),
        machine=(*machine_lines(folder), *(_key() if able else ()), *slicer_lines()),
    )


def _codecs() -> tuple[Line, ...]:
    """Imported here, because the doctor must be able to say that NumPy is broken."""
    from MedPrepLib.doctor.codecs import codec_lines

    return tuple(codec_lines())


def _key() -> tuple[Line, ...]:
    from MedPrepLib.doctor.sitekey import key_line

    return (key_line(),)
