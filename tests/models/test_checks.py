from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.checks import predictive_checks, replicate
from models.exact import fit
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import BoundedNormal, Priors


def forgetful(specification, **changes):
    """A model that may not explain everything by memory from day to day."""
    short = Priors(autocorrelation=BoundedNormal(0.0, 0.1, -0.3, 0.3))
    return replace(specification, priors=short, **changes)


def checked(data, specification):
    posterior = fit(data, specification, seed=1)
    return {c.name: c for c in predictive_checks(data, specification, posterior, seed=1)}


def test_data_of_the_model_pass(trial, specification):
    assert all(check.passed for check in checked(trial, specification).values())


def test_periods_that_differ_far_beyond_their_arm_are_noticed(trial, specification):
    jumps = np.random.default_rng(2).permutation([-3.0, 3.0] * 6)[trial.day_period]

    check = checked(
        trial.with_outcome(trial.outcome + jumps), forgetful(specification, period_effect=False)
    )

    assert not check["period_spread"].passed


def test_days_that_swing_back_each_day_are_noticed(trial, specification):
    swings = np.where(np.arange(trial.days) % 2, 3.0, -3.0)

    assert not checked(trial.with_outcome(trial.outcome + swings), specification)["lag_1"].passed


def test_ratings_stuck_at_an_end_are_noticed(trial, specification):
    stuck = np.where(np.arange(trial.days) % 3 == 0, 10.0, trial.outcome - 2)

    assert not checked(trial.with_outcome(stuck), specification)["high_end"].passed


def test_a_curved_drift_is_told_but_refuses_nothing(trial, specification):
    curve = 8 * (trial.week / trial.week.max()) ** 2
    check = checked(
        trial.with_outcome(trial.outcome + curve), forgetful(specification, period_effect=False)
    )["curvature"]

    assert not check.passed
    assert not check.gate


@pytest.mark.parametrize("case", ["specification", "fading"])
def test_replicates_scatter_like_the_patient(case, request):
    """Their daily spread is that of the truth, with carryover and without."""
    specification = request.getfixturevalue(case)
    patient = SimulatedPatient(
        level=6.0, effects=(0.0, -1.0, 1.0), half_lives=(1.0, 1.0, 1.0), sd=1.2, period_sd=0.0
    )
    arm = np.repeat([0, 1, 2, 2, 1, 0] * 4, 7)
    data = simulate_trial(patient, specification, arm, generator=np.random.default_rng(3))
    posterior = fit(data, specification, seed=1)

    copies = replicate(data, specification, posterior, draws=300, seed=1)

    assert copies.shape == (300, data.days)
    assert np.std(np.diff(copies, axis=1)) == pytest.approx(
        np.nanstd(np.diff(data.outcome)), rel=0.1
    )
