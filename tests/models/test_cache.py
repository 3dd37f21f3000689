"""Spoiled files of compiled code: never read, never the end of a process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from models import cache
from models.cache import DIGEST, CheckedFile

SPOIL = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda _: b"",
    "a bit turned": lambda text: text[:9] + bytes([text[9] ^ 1]) + text[10:],
    "written by numba alone": lambda text: text[:-DIGEST],
    "something else": lambda _: pickle.dumps({"a": 1}),
    "no pickle": lambda _: b"\x80\x05\xff" * 50,
}


def file(folder: Path) -> CheckedFile:
    return CheckedFile(cache_path=str(folder), filename_base="f", source_stamp=0)


@pytest.mark.parametrize("which", ["nbi", "nbc"])
@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_a_spoiled_file_counts_as_absent_and_is_written_over(tmp_path, which, spoil):
    file(tmp_path).save("key", ("code", 1))
    assert file(tmp_path).load("key") == ("code", 1)
    (path,) = tmp_path.glob(f"*.{which}")
    path.write_bytes(spoil(path.read_bytes()))

    assert file(tmp_path).load("key") is None

    file(tmp_path).save("key", ("code", 2))
    assert file(tmp_path).load("key") == ("code", 2)


def test_code_of_another_version_is_not_read(tmp_path, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(cache, "fingerprint", lambda: "another")
        file(tmp_path).save("key", "code of another version")
        assert file(tmp_path).load("key") == "code of another version"

    assert file(tmp_path).load("key") is None


def test_numba_without_us_reads_what_we_wrote(tmp_path):
    """The folder may be a user's own, shared with other programs."""
    from numba.core import caching

    file(tmp_path).save("key", ("code", 1))
    (theirs,) = {c for c in CheckedFile.__mro__ if c.__name__ == "IndexDataCacheFile"}

    plain = theirs(cache_path=str(tmp_path), filename_base="f", source_stamp=0)
    assert theirs.__module__ == caching.__name__
    assert plain.load("key") == ("code", 1)


def test_what_cannot_be_kept_is_no_error(tmp_path):
    """The folder was removed while we ran; then something stands in its place."""
    gone = file(tmp_path / "gone")
    gone.save("key", 1)
    assert gone.load("key") == 1

    (tmp_path / "taken").write_text("not a folder")
    blocked = file(tmp_path / "taken")
    blocked.save("key", 1)
    assert blocked.load("key") is None


PROGRAM = """
import sys
from models.cache import check_files
check_files()
import numba

@numba.njit(cache=True)
def double(x):
    return 2 * x

print(double(21), sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_a_process_compiles_again_what_it_cannot_read(tmp_path):
    """With real compiled code: kept, read by the next process, spoiled, compiled, read again."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    kept = tmp_path / "kept"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(kept), "PYTHONPATH": str(Path.cwd())}

    def run() -> str:
        command = [sys.executable, str(program)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()

    assert run() == "42 0 1"
    assert run() == "42 1 0"
    for path in kept.rglob("*.nb[ic]"):
        path.write_bytes(path.read_bytes()[:-100])
    assert run() == "42 0 1"
    assert run() == "42 1 0"
