"""What holds the models together as a package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import models

FOLDER = Path(models.__file__).parent
MODULES = sorted(
    ".".join(("models", *path.relative_to(FOLDER).with_suffix("").parts))
    for path in FOLDER.rglob("*.py")
    if path.name != "__init__.py"
)
SAMPLING = {
    "models.cache",
    "models.compiling",
    "models.confirm",
    "models.draws",
    "models.ends_pymc",
    "models.kernels",
    "models.operations",
    "models.pain",
    "models.sampling",
    "models.side_effects_pymc",
}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_in_the_index(module):
    """A model nobody can find in models/README.md does not exist."""
    name = module.removeprefix("models.")

    assert f"`{name}`" in (FOLDER / "README.md").read_text()


def test_nothing_but_the_sampler_loads_pymc():
    """The web process answers with the exact engine; PyMC would cost it a second and 142 MB."""
    light = [module for module in MODULES if module not in SAMPLING]
    code = (
        f"import sys, importlib\nfor m in {light!r}: importlib.import_module(m)\n"
        "heavy = {'pymc', 'pytensor', 'arviz', 'nutpie', 'xarray', 'pandas', 'scipy.stats'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
