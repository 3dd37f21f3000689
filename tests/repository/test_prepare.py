"""tools/prepare.py finds a Python that runs, on machines of many kinds."""

import ast
import sys
from pathlib import Path

import pytest

from tools import prepare

SCRIPT = Path(prepare.__file__)


def program(path: Path, script: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def python_of(path: Path, version: str) -> Path:
    """Write a program that says it is that Python."""
    return program(path, f"echo {version.replace('.', ' ')}")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing: an empty home, an empty PATH, no environment yet."""
    monkeypatch.setattr(prepare, "VENV", tmp_path / "venv")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "shims") + ":" + str(tmp_path / "bin"))
    return tmp_path


def test_the_script_runs_on_an_old_python():
    """It starts before the product's own Python is found."""
    ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 8))


def test_the_newest_on_path_is_taken(machine: Path):
    python_of(machine / "bin" / "python3.12", "3.12")
    newest = python_of(machine / "bin" / "python3.13", "3.13")

    assert prepare.find_python() == str(newest)


def test_a_shim_that_only_fails_is_passed_over(machine: Path):
    program(machine / "shims" / "python3.13", "exit 127")
    real = python_of(machine / "bin" / "python3.13", "3.13")

    assert prepare.find_python() == str(real)


def test_pyenv_is_searched_by_release_not_by_spelling(machine: Path):
    for release in ("3.12.9", "3.12.10", "3.11.2"):
        python_of(machine / ".pyenv/versions" / release / "bin/python", release.rpartition(".")[0])

    assert prepare.find_python() == str(machine / ".pyenv/versions/3.12.10/bin/python")


def test_the_python_in_use_is_kept(machine: Path):
    used = python_of(machine / "venv/bin/python", "3.12")
    python_of(machine / "bin/python3.14", "3.14")

    assert prepare.find_python() == str(used)


def test_an_old_python3_is_not_enough(machine: Path):
    python_of(machine / "bin" / "python3", "3.11")

    assert prepare.find_python() is None


@pytest.mark.usefixtures("machine")
def test_without_any_python_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setattr(prepare, "find_uv", lambda: "false")
    monkeypatch.setattr(sys, "argv", ["prepare.py", "for-run"])
    monkeypatch.setenv("PATH", "/usr/bin/nowhere:/bin")  # /bin/false answers for uv
    monkeypatch.setattr(prepare, "NAMES", ())

    assert prepare.main() == 1
    assert "No Python 3.12 or later was found: install one" in capsys.readouterr().err


@pytest.mark.usefixtures("machine")
def test_a_missing_pip_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")

    assert prepare.find_uv() is None
    assert "pip is missing for /bin/false: install it" in capsys.readouterr().err
