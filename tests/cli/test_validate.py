from __future__ import annotations

import pytest
from click.testing import CliRunner

from trials.cli.validate import validate


def test_parity_of_the_exact_engine_is_shown_and_real_cases_are_said_to_be_skipped(monkeypatch):
    monkeypatch.delenv("LENITIVE_REFERENCE_DATA", raising=False)
    done = CliRunner().invoke(validate, ["parity", "--engine", "exact"])

    assert done.exit_code == 0
    assert "synthetic_S1_m1p" in done.stdout
    assert "NO" not in done.stdout
    assert "Real cases are skipped" in done.stderr


def test_a_posterior_that_differs_ends_with_a_failure(tmp_path, monkeypatch):
    monkeypatch.delenv("LENITIVE_REFERENCE_DATA", raising=False)
    from trials.cli.validate import OWN_REFERENCES

    for name in ("case_synthetic_S1.json", "synthetic_S1__m1__quad.json"):
        text = (OWN_REFERENCES / name).read_text()
        (tmp_path / name).write_text(text.replace('"st":1.5', '"st":0.1'))
    done = CliRunner().invoke(
        validate, ["parity", "--engine", "exact", "--reference", str(tmp_path)]
    )

    assert done.exit_code == 1
    assert "NO" in done.stdout


def test_real_files_without_a_folder_are_skipped_with_a_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv("LENITIVE_REFERENCE_DATA", raising=False)
    done = CliRunner().invoke(validate, ["real-files", "--out", str(tmp_path)])

    assert done.exit_code == 1
    assert "Skipped" in done.stderr


@pytest.mark.sampling
def test_parity_of_pymc():
    done = CliRunner().invoke(validate, ["parity", "--engine", "pymc"])

    assert done.exit_code == 0
