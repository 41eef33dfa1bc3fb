"""``medprep doctor`` and ``medprep completion``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from MedPrepLib.command import medprep
from MedPrepLib.doctor import codecs, packages
from MedPrepLib.doctor.sitekey import key_line

ROOT = Path(__file__).resolve().parents[2]


def doctor(*paths: Path) -> subprocess.CompletedProcess:
    """The command in a process of its own, with folders that come first on the path."""
    places = os.pathsep.join(map(str, (*paths, ROOT)))
    command = [sys.executable, "-m", "MedPrepLib", "doctor"]
    environment = os.environ | {"PYTHONPATH": places}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_a_sound_installation_works_and_exits_with_0() -> None:
    result = CliRunner().invoke(medprep, ["doctor", "--json"], standalone_mode=False)
    assert result.return_value == 0
    record = json.loads(result.output)
    assert record["works"]
    names = {re.split(r"[^\w.-]", line)[0] for line in _project()["dependencies"]}
    assert {line["name"] for line in record["packages"]} == names
    assert {line["state"] for line in record["packages"]} == {"ok"}
    extras = set(_project()["optional-dependencies"])
    assert {line["name"] for line in record["extras"]} == extras - packages.DEVELOPING


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_every_extra_says_what_it_is_good_for() -> None:
    assert set(_project()["optional-dependencies"]) - packages.DEVELOPING <= set(packages.PURPOSES)


def test_what_people_paste_names_no_folder_of_theirs() -> None:
    result = CliRunner().invoke(medprep, ["doctor", "--json"], standalone_mode=False)
    assert str(Path.home()) + "/" not in result.output
    assert sys.executable not in result.output


@pytest.mark.parametrize("package", ["numpy", "SimpleITK"])
def test_a_package_that_does_not_load_is_named_with_the_command_that_mends_it(tmp_path, package):
    (tmp_path / f"{package}.py").write_text("raise ImportError('numpy.core does not fit')\n")
    done = doctor(tmp_path)
    assert done.returncode == 1, done.stderr
    assert re.search(rf"!!  {package} +\S+ does not load \(ImportError\)", done.stdout)
    assert f'-m pip install "{package}>=' in done.stdout
    assert "--force-reinstall" in done.stdout


def test_a_version_out_of_range_is_broken(monkeypatch) -> None:
    real = packages.metadata.version
    old = {"pydicom": "2.4.4"}
    monkeypatch.setattr(packages.metadata, "version", lambda name: old.get(name) or real(name))
    lines = {line.name: line for line in packages.core_lines()}
    assert lines["pydicom"].state == "broken"
    assert lines["pydicom"].said.startswith("2.4.4 is installed; needs pydicom>=")


@pytest.mark.parametrize(
    ("version", "wanted", "met"),
    [
        ("1.26.4", ">=1.26", True),
        ("1.9", ">=1.26", False),
        ("2.13.0+cpu", ">=2,<3", True),
        ("3.0", ">=2,<3", False),
        ("0.20.0rc1", "==0.20", True),
        ("5.13.31053.0", "", True),
        ("1.0", "!=1.0.0", False),
    ],
)
def test_versions_are_compared_number_by_number(version, wanted, met) -> None:
    pytest.importorskip("packaging")
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    assert packages.satisfies(version, wanted) == met
    if "rc" not in version:
        assert SpecifierSet(wanted).contains(Version(version)) == met


@pytest.mark.parametrize("syntax", codecs.SAMPLES)
def test_the_samples_hold_what_they_say_for_every_decoder_there_is(syntax) -> None:
    from base64 import b64decode

    from pydicom.pixels.decoders.base import get_decoder

    decoder = get_decoder(syntax)
    assert decoder.is_available, "the extra codecs belongs to the tests"
    eight = syntax == codecs.BASELINE
    for plugin in decoder.available_plugins:
        pixels, _ = decoder.as_array(
            codecs.encapsulated(b64decode(codecs.SAMPLES[syntax][1])),
            decoding_plugin=plugin,
            raw=True,
            rows=codecs.EDGE,
            columns=codecs.EDGE,
            number_of_frames=1,
            samples_per_pixel=1,
            bits_allocated=8 if eight else 16,
            bits_stored=8 if eight else 12,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
            pixel_keyword="PixelData",
        )
        difference = np.abs(pixels.astype(int) - codecs.expected(syntax))
        assert difference.max() <= (2 if eight else 0), plugin


def test_a_codec_that_is_not_there_is_missing_with_the_command_that_brings_it(monkeypatch) -> None:
    from MedPrepLib.errors import UnsupportedError

    def no_codec(*_):
        raise UnsupportedError("no codec")

    monkeypatch.setattr(codecs, "decoded", no_codec)
    lines = list(codecs.codec_lines())
    assert {line.state for line in lines[:4]} == {"missing"}
    assert all(
        '"MedPrep[codecs]"' in line.remedy or "pylibjpeg" in line.remedy for line in lines[:4]
    )


def test_a_codec_that_decodes_to_something_else_is_broken(monkeypatch) -> None:
    monkeypatch.setattr(codecs, "decoded", lambda *_: np.zeros((codecs.EDGE, codecs.EDGE), int))
    assert {line.state for line in list(codecs.codec_lines())[:4]} == {"broken"}


def test_the_codecs_extra_brings_what_pydicom_says_it_needs() -> None:
    """Pylibjpeg's plug-ins do nothing without pylibjpeg itself."""
    from pydicom.pixels.decoders.pylibjpeg import DECODER_DEPENDENCIES

    brought = {need.name for need in packages.requirements() if need.extra == "codecs"}
    for syntax in ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"):
        needed = {re.split(r"[^\w.-]", text)[0] for text in DECODER_DEPENDENCIES[syntax]}
        assert needed <= brought


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_site_key_is_looked_at_but_neither_read_nor_made(tmp_path, monkeypatch) -> None:
    key = tmp_path / "site.key"
    monkeypatch.setenv("MEDPREP_KEY_FILE", str(key))
    assert "the first run makes it" in key_line().said
    assert not key.exists()
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    assert key_line().state == "ok"
    key.chmod(0o644)
    assert (key_line().state, key_line().remedy) == ("broken", f"chmod 600 {key}")
    key.write_bytes(bytes(31))
    assert "31 bytes, not 32" in key_line().said


def _completions(tmp_path: Path, line: str) -> list[str]:
    """What bash offers on Tab after ``line``, with the script as it is printed."""
    program = tmp_path / "bin" / "medprep"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\nfrom MedPrepLib.__main__ import main\nmain()\n")
    program.chmod(0o755)
    words = line.split(" ")
    script = f"""
eval "$(medprep completion bash)"
COMP_WORDS=({" ".join(repr(word) for word in words)})
COMP_CWORD={len(words) - 1}
_medprep_completion medprep
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stderr == "", done.stderr
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_and_options(tmp_path) -> None:
    assert _completions(tmp_path, "medprep co") == ["compare", "completion"]
    assert "--interview" in _completions(tmp_path, "medprep init --")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_says_how_to_keep_it(shell) -> None:
    result = CliRunner().invoke(medprep, ["completion", shell], standalone_mode=False)
    lines = result.output.splitlines()
    assert lines[0].startswith(f"# Completion of medprep for {shell}")
    assert f"medprep completion {shell}" in lines[1]
    assert "_MEDPREP_COMPLETE" in result.output
