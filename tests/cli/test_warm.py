"""``lenitive warm``: which models it compiles, and where they are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.compiled import keep_compiled_in
from trials.cli.main import cli
from trials.settings import read_settings


def test_a_database_that_is_not_ready_is_said_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENITIVE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("LENITIVE_DATABASE_URL", raising=False)

    result = CliRunner().invoke(cli, ["warm"])

    assert result.exit_code != 0
    assert "lenitive db upgrade" in result.output
    assert not (tmp_path / "var" / "compiled").exists()


def test_compiled_models_are_kept_in_the_data_folder_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LENITIVE_COMPILED_DIR", raising=False)
    assert read_settings(data_dir=tmp_path).compiled == tmp_path / "compiled"
    monkeypatch.setenv("LENITIVE_COMPILED_DIR", str(tmp_path / "elsewhere"))
    assert read_settings(data_dir=tmp_path).compiled == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "base_compiledir=/here"),
        ("optimizer=fast_run", "optimizer=fast_run,base_compiledir=/here"),
        ("base_compiledir=/mine", "base_compiledir=/mine"),
    ],
)
def test_the_folder_is_told_without_undoing_what_was_said(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTENSOR_FLAGS", before)

    keep_compiled_in(Path("/here"))

    assert os.environ["PYTENSOR_FLAGS"] == after
