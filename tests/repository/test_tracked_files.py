"""What is committed belongs to everybody: no path of one machine, no big file, no secret place."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMES = re.compile(r"(?<![\w.*~-])/(?:work|root|Users|home)/\w")
NOT_OURS = ("uv.lock", "trials/web/static/vendor/")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file under version control."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        pytest.skip("This is not a git checkout, so there are no tracked files to read.")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine(tracked: list[Path]):
    found = []
    for path in tracked:
        name = str(path.relative_to(ROOT))
        if name.startswith(NOT_OURS):
            continue
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{name}: {match[0]}" for match in HOMES.finditer(text)]

    assert found == []


def test_data_and_installed_things_are_not_tracked(tracked: list[Path]):
    kept_out = ("var", ".venv", ".tools", "node_modules", "docs/_build")
    names = [path.relative_to(ROOT).as_posix() for path in tracked]

    assert [
        name for name in names if name.startswith(tuple(f"{folder}/" for folder in kept_out))
    ] == []


def test_no_file_is_larger_than_a_megabyte(tracked: list[Path]):
    """The lock file lists every wheel of every package; nobody reads or writes it by hand."""
    large = [path.name for path in tracked if path.stat().st_size > 1_000_000]

    assert [name for name in large if name != "uv.lock"] == []
