"""docs/installation.md lists every setting there is."""

import re
from pathlib import Path

from trials.settings import Settings

ROOT = Path(__file__).parents[2]


def test_the_page_and_the_program_have_the_same_settings():
    page = (ROOT / "docs" / "installation.md").read_text("utf-8")
    listed = re.findall(r"^\| `(LENITIVE_\w+)` \|", page, re.MULTILINE)

    assert listed == [f"LENITIVE_{name.upper()}" for name in Settings.model_fields]
