"""What compiled models depend on: our text of them, the compilers, and Python."""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

_SOURCES = ("compiling", "kernels", "operations", "pain", "ends_pymc")
_PARTS = ("pymc", "pytensor", "nutpie", "numba", "llvmlite", "numpy")


@cache
def fingerprint() -> str:
    """Return 64 letters that change when other machine code would be made of the same model."""
    text = hashlib.sha256(f"{sys.version} {[version(part) for part in _PARTS]}".encode())
    for module in _SOURCES:
        meaning = ast.dump(ast.parse(Path(__file__).with_name(f"{module}.py").read_text("utf-8")))
        text.update(meaning.encode())
    return text.hexdigest()
