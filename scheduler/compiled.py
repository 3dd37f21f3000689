"""Where compiled models are kept, so that a process reads in seconds what takes a minute."""

import os
import re
import shutil
from pathlib import Path

from models.versions import fingerprint

_FLAGS = "PYTENSOR_FLAGS"
_FOLDER = "base_compiledir"
_OF_A_VERSION = re.compile(r"version-[0-9a-f]{16}")


def keep_compiled_in(folder: Path) -> None:
    """Tell PyTensor the folder of its cache, here and in processes started from here.

    It reads the variable when it is first imported. Whoever has set a folder there knows why.
    Each version has a folder of its own inside.
    """
    flags = os.environ.get(_FLAGS, "")
    if _FOLDER not in flags:
        own = folder / folder_name()
        os.environ[_FLAGS] = ",".join(filter(None, (flags, f"{_FOLDER}={own}")))


def folder_name() -> str:
    """Return the name of the folder of this version's compiled models."""
    return f"version-{fingerprint()[:16]}"


def remove_other_versions(folder: Path) -> int:
    """Remove what other versions compiled, and nothing else; return how many they were.

    A process of an older version that still runs compiles what it does not find.
    """
    others = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if _OF_A_VERSION.fullmatch(path.name) and path.name != folder_name()
    ]
    for path in others:
        shutil.rmtree(path, ignore_errors=True)
    return len(others)
