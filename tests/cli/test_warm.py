"""``lenitive warm``: which models it compiles, and where they are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.compiled import folder_name, keep_compiled_in, remove_other_versions
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
        ("", "base_compiledir=/here/OWN"),
        ("optimizer=fast_run", "optimizer=fast_run,base_compiledir=/here/OWN"),
        ("base_compiledir=/mine", "base_compiledir=/mine"),
    ],
)
def test_the_folder_is_told_without_undoing_what_was_said(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTENSOR_FLAGS", before)

    keep_compiled_in(Path("/here"))

    assert os.environ["PYTENSOR_FLAGS"] == after.replace("OWN", folder_name())


def test_only_what_other_versions_compiled_is_removed(tmp_path: Path) -> None:
    """The folder may be anybody's: what does not carry the name of a version stays."""
    own, old, theirs = folder_name(), "version-0123456789abcdef", "version-of-something-else"
    for name in (own, old, theirs):
        (tmp_path / name / "numba").mkdir(parents=True)
        (tmp_path / name / "numba" / "density.nbc").write_bytes(b"code")

    assert remove_other_versions(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {own, theirs}
    assert remove_other_versions(tmp_path) == 0
    assert remove_other_versions(tmp_path / "not there") == 0
