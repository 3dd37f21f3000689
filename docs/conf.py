"""How Sphinx builds this documentation: ``make docs``."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "project"
]

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
