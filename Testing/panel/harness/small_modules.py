"""Small modules of Slicer: i18n, packaging, testing, SampleData.

The first three are used unless MEDPREP_SLICER_SOURCE names the real ones.
"""

# Names and signatures are Slicer's.
# ruff: noqa: ARG005, N815

from __future__ import annotations

import importlib.metadata
import tomllib
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Installations:
    """What was asked of pip in one test; nothing is ever installed."""

    asked: list[list[str]] = field(default_factory=list)
    # Raised by the next installation, for example subprocess.CalledProcessError.
    error: Exception | None = None

    def clear(self) -> None:
        self.__init__()

    def install(self, requirements: Any, *_: Any, **__: Any) -> None:
        self.asked.append([str(r) for r in _listed(requirements)])
        if self.error is not None:
            raise self.error


@dataclass
class SampleData:
    """The module SampleData, as far as a module registers data sets there."""

    sources: list[dict[str, Any]] = field(default_factory=list)

    def clear(self) -> None:
        self.__init__()

    def register(
        self,
        category: str = "Custom",
        sampleName: Any = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: Any = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """The arguments are Slicer's, so that a name it does not know is an error."""
        self.sources.append({name: v for name, v in locals().items() if name != "self"})


installations = Installations()
sample_data = SampleData()


def make_i18n() -> types.ModuleType:
    module = types.ModuleType("slicer.i18n", "Texts stay as they are.")
    module.tr = lambda text: text
    module.translate = lambda context, text: text
    return module


def make_testing() -> types.ModuleType:
    module = types.ModuleType("slicer.testing", "For Slicer's own self tests.")

    def exitFailure(message: str = "") -> None:
        raise RuntimeError(message)

    module.exitSuccess = lambda: None
    module.exitFailure = exitFailure
    return module


def make_sample_data() -> types.ModuleType:
    module = types.ModuleType("SampleData", "Records what is registered.")

    class SampleDataLogic:
        registerCustomSampleDataSource = staticmethod(sample_data.register)

    module.SampleDataLogic = SampleDataLogic
    return module


def make_packaging() -> types.ModuleType:
    """Looks which packages are there; asks before it "installs" the others."""
    module = types.ModuleType("slicer.packaging", "Knows what is installed, installs nothing.")
    module.load_requirements = _load_requirements
    module.load_pyproject_dependencies = _load_pyproject
    module.pip_check = lambda req: not _missing(req)
    module.pip_install = installations.install
    module.pip_ensure = _pip_ensure
    return module


def _listed(requirements: Any) -> list[Any]:
    if isinstance(requirements, str):
        return requirements.split()
    return list(requirements) if isinstance(requirements, list | tuple) else [requirements]


def _missing(requirements: Any) -> list[Any]:
    from packaging.requirements import Requirement

    missing = []
    for wanted in (Requirement(str(r)) for r in _listed(requirements)):
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            fits = importlib.metadata.version(wanted.name) in wanted.specifier
        except importlib.metadata.PackageNotFoundError:
            fits = False
        if not fits:
            missing.append(wanted)
    return missing


def _load_requirements(path: str | Path) -> list[Any]:
    from packaging.requirements import Requirement

    lines = (line.strip() for line in Path(path).read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def _load_pyproject(path: str | Path) -> list[Any]:
    from packaging.requirements import Requirement

    project = tomllib.loads(Path(path).read_text("utf-8"))["project"]
    return [Requirement(line) for line in project.get("dependencies", [])]


def _pip_ensure(
    requirements: Any,
    constraints: Any = None,
    skip_packages: Any = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> Any:
    import slicer

    missing = _missing(requirements)
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return None
    title = f"{requester} - Install Python Packages" if requester else "Install Python Packages"
    question = f"{len(missing)} Python packages are missing. Install them?"
    names = "\n".join(f"- {r}" for r in missing)
    if prompt_install and not slicer.util.confirmOkCancelDisplay(
        question, title, detailedText=names
    ):
        raise RuntimeError("User declined package installation")
    return slicer.packaging.pip_install(missing)
