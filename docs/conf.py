"""How Sphinx builds this documentation: ``make docs``."""

import ast
import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = "Lenitive"
author = "The Lenitive developers"
copyright = "2026, The Lenitive developers"
release = version = _PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Lenitive"
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Let a page ask for the modules of a package with ``<!-- modules of trials.domain -->``."""
    app.connect("source-read", _insert_modules)


def _insert_modules(_app: Sphinx, _docname: str, source: list[str]) -> None:
    source[0] = re.sub(r"<!-- modules of ([\w.]+) -->", _table_of_modules, source[0])


def _table_of_modules(asked: re.Match[str]) -> str:
    """Return a table of the modules of one package with the first line of their docstrings."""
    folder = _ROOT.joinpath(*asked[1].split("."))
    paths = [path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("__")]
    rows = [f"| `{asked[1]}.{path.stem}` | {_first_line(path)} |" for path in paths]
    return "\n".join(["| module | what it is |", "|---|---|", *rows])


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")
