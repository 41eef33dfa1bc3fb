"""With MEDPREP_SLICER_SOURCE the Python of a real Slicer takes the place of the harness's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from panel.sample_module import write_sample_module


@pytest.fixture
def real(panel):
    from panel.harness import install

    folder = install.source()
    if folder is None:
        pytest.skip("MEDPREP_SLICER_SOURCE names no checkout of Slicer's sources")
    return folder / "slicer"


def test_the_modules_come_from_the_checkout(real):
    import slicer

    for name in ("util", "i18n", "packaging", "ScriptedLoadableModule", "parameterNodeWrapper"):
        assert Path(getattr(slicer, name).__file__).is_relative_to(real), name


def test_a_module_works_with_slicer_s_own_python(real, panel, tmp_path):
    import slicer

    sample = panel.open_module(write_sample_module(tmp_path))
    assert Path(type(sample.widget).__mro__[1].setup.__code__.co_filename).is_relative_to(real)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    panel.choose(sample.ui.volumeSelector, "CT")
    assert sample.widget.parameters.volume is node


def test_nothing_is_installed_by_slicer_s_own_python_either(real, panel):
    import slicer

    slicer.packaging.pip_ensure(["no-such-package-x"], prompt_install=False)
    assert panel.installations.asked == [["no-such-package-x"]]
