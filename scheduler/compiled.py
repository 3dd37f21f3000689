"""Where compiled models are kept, so that a process reads in seconds what takes a minute."""

import os
from pathlib import Path

_FLAGS = "PYTENSOR_FLAGS"
_FOLDER = "base_compiledir"


def keep_compiled_in(folder: Path) -> None:
    """Tell PyTensor the folder of its cache, here and in processes started from here.

    It reads the variable when it is first imported. Whoever has set a folder there knows why.
    """
    flags = os.environ.get(_FLAGS, "")
    if _FOLDER not in flags:
        os.environ[_FLAGS] = ",".join(filter(None, (flags, f"{_FOLDER}={folder}")))
