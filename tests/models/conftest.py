"""A trial of known truth and an independent formula for its posterior."""

from __future__ import annotations

import numpy as np
import pytest

from models.data import TrialData
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, Specification


@pytest.fixture(scope="session")
def specification() -> Specification:
    return Specification(arms=(Arm(label="A"), Arm(label="B"), Arm(label="C")))


@pytest.fixture(scope="session")
def fading() -> Specification:
    """Three arms whose effects last, each its own time."""
    return Specification(
        arms=(
            Arm(label="A", half_life_days=1.5),
            Arm(label="B", half_life_days=0.5),
            Arm(label="C", half_life_days=2.0),
        ),
        carryover=True,
    )


@pytest.fixture(scope="session")
def trial(specification: Specification) -> TrialData:
    """Twelve weekly periods; B is two points better than A and C."""
    patient = SimulatedPatient(level=6.0, effects=(0.0, -2.0, 0.0), sd=1.0, missing=0.1)
    return simulate_trial(
        patient,
        specification,
        np.repeat([0, 1, 2, 2, 0, 1, 1, 2, 0, 0, 2, 1], 7),
        day_period=np.repeat(np.arange(12), 7),
        generator=np.random.default_rng(20),
    )
