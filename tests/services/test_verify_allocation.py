"""The check that docs/verify-allocation.md tells works with the standard library alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from tests.builders import VAULT, make_actor, make_ready, make_site
from trials.domain.blinding import Role
from trials.services.allocation import commitment_of, open_allocation

PAGE = Path(__file__).parents[2] / "docs" / "verify-allocation.md"


@pytest.mark.parametrize(
    ("forge", "answer"), [(None, "kept"), ("sequence", "BROKEN"), ("seed", "BROKEN")]
)
def test_the_documented_check(session: Session, now, tmp_path: Path, forge, answer):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_ready(session, clinician, now)
    opened = open_allocation(session, VAULT, clinician, trial, now)
    assert opened["commitment"] == commitment_of(session, trial)
    if forge == "sequence":
        opened["sequence"] = [{"A": "B", "B": "A"}[arm] for arm in opened["sequence"]]
    if forge == "seed":
        opened["seed"] = "00" * 32
    (tmp_path / "opened.json").write_text(json.dumps(opened))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == answer
