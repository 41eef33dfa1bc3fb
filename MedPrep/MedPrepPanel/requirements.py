"""What MedPrepLib needs and Slicer lacks, installed when it is needed for the first time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from MedPrepPanel import library


class RequirementsError(RuntimeError):
    """Packages that are needed are not there."""


def install(path: Path) -> None:
    """Offer to install what the requirements file names and this Python lacks.

    Raises RequirementsError when the user declines or the installation fails, also in testing
    mode, where Slicer installs nothing.
    """
    try:
        _install(path)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        raise RequirementsError(
            _("MedPrep cannot work without its Python packages ({reason})").format(reason=error)
        ) from None
    lacking = library.missing(library.requirement_lines(path))
    if lacking:
        raise RequirementsError(
            _("Python packages are missing: {names}").format(names=", ".join(lacking))
        )


def _install(path: Path) -> None:
    try:
        from slicer import packaging
    except ImportError:  # before Slicer 5.11
        lacking = library.missing(library.requirement_lines(path))
        if lacking:
            slicer.util.pip_install(lacking)
        return
    packaging.pip_ensure(packaging.load_requirements(path), requester="MedPrep")
