"""Every command that README and the documentation tell exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def told(page: Path, program: str) -> set[str]:
    """Return the commands of a program that stand in a code block or in code type."""
    text = page.read_text("utf-8")
    code = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL) + re.findall(
        r"`([^`\n]+)`", text
    )
    return {found for piece in code for found in re.findall(rf"\b{program} ([a-z][a-z-]*)", piece)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_told_is_in_the_makefile(page: Path):
    assert told(page, "make") - TARGETS == set()


def test_the_readme_tells_how_to_run_and_to_test():
    assert {"run", "test", "docs"} <= told(ROOT / "README.md", "make")


def test_every_command_of_the_makefile_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    explained = set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))

    assert phony - explained == {"browser"}  # a step of `make test`, not a command of its own
