"""Every command that README and the documentation tell exists."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from trials.cli.main import COMMANDS, cli

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_lenitive_command_told_exists(page: Path):
    assert told(page, "lenitive") - set(COMMANDS) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_lenitive_command_explains_itself(name: str):
    explained = CliRunner().invoke(cli, [name, "--help"])

    assert explained.exit_code == 0, explained.output
    assert "Usage:" in explained.output


def test_every_picture_of_the_readme_is_there():
    told_of = re.findall(r"docs/pictures/[\w-]+\.png", (ROOT / "README.md").read_text("utf-8"))

    assert len(told_of) >= 5
    assert [name for name in told_of if not (ROOT / name).is_file()] == []


def test_the_readme_tells_how_to_run_and_to_test():
    assert {"run", "test", "docs"} <= told(ROOT / "README.md", "make")


def test_every_command_of_the_makefile_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    explained = set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))

    assert phony - explained == {"browser"}  # a step of `make test`, not a command of its own
