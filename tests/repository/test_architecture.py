"""docs/architecture.md says what is so: packages, layers, and the functions of the two ways."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
TOP = ("trials", "models", "scheduler")


def section(title: str) -> str:
    """Return the text under a heading of the page, up to the next heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/architecture.md has no section {title!r}"
    return found[1]


def first_cells(title: str) -> list[str]:
    """Return the code name in the first cell of every row of the section's table."""
    return re.findall(r"^\| `([\w.]+)` \|", section(title), re.MULTILINE)


def packages() -> set[str]:
    """Return every package of the product except the migrations, by dotted name."""
    inits = (path for top in TOP for path in (ROOT / top).rglob("__init__.py"))
    names = {".".join(path.parent.relative_to(ROOT).parts) for path in inits}
    return {name for name in names if "migrations" not in name}


def module_of(dotted: str) -> tuple[Path, str]:
    """Return the file that should define a dotted name, and the name within it."""
    module, _, name = dotted.rpartition(".")
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")), name


def defined_in(path: Path) -> set[str]:
    """Return the functions and classes that a module defines itself."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, definitions)
    }


def test_the_module_map_names_every_package_and_no_other():
    assert set(first_cells("Module map")) == packages()


def test_the_layers_are_those_of_the_import_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")

    shown = re.search(r"```text\n(.*?)```", section("Who may import whom"), re.DOTALL)

    assert shown
    assert shown[1].splitlines() == layers


@pytest.mark.parametrize("way", ["The way of one diary entry", "The way of one fit"])
def test_every_function_on_the_way_is_there(way: str):
    steps = first_cells(way)
    missing = [
        step
        for step in steps
        if not module_of(step)[0].exists()
        or module_of(step)[1] not in defined_in(module_of(step)[0])
    ]

    assert len(steps) >= 4
    assert missing == []


def test_the_web_never_loads_pymc():
    """Not even indirectly, and not only as far as import-linter can see."""
    code = (
        "import sys, trials.web.app; "
        "print([m for m in ('pymc', 'pytensor', 'arviz', 'nutpie', 'xarray') if m in sys.modules])"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"
