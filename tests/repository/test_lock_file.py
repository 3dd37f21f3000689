"""The lock file installs from the public index alone, whoever wrote it and where."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "uv.lock").read_text("utf-8")


def test_no_other_host_than_the_public_index():
    assert set(re.findall(r"https?://([^/\"]+)", LOCK)) == {"pypi.org", "files.pythonhosted.org"}


def test_nothing_comes_from_a_file_or_a_repository():
    sources = {key for package in tomllib.loads(LOCK)["package"] for key in package["source"]}

    assert sources == {"registry", "editable"}  # the one editable package is Lenitive itself


def test_every_file_is_held_to_its_checksum():
    files = re.findall(r"\{ url = [^}]*\}", LOCK)

    assert [file for file in files if 'hash = "sha256:' not in file] == []
