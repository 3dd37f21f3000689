from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.checks import mean_by_day
from models.criticism import day_given_others, foresee_last_block, learned, leave_days_out
from models.exact import fit
from models.fitting import QUICK_EFFORT, fit_outcome
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, Ends, Specification


def test_patients_of_the_model_are_foreseen_as_well_as_promised(specification):
    inside = []
    for seed in range(25):
        patient = SimulatedPatient(level=6.0, effects=(0.0, -1.0, 0.5), missing=0.1)
        arm = np.repeat([0, 1, 2, 2, 1, 0, 1, 0, 2], 10)
        data = simulate_trial(patient, specification, arm, generator=np.random.default_rng(seed))
        found = foresee_last_block(data, specification, seed=1)
        inside.append((found.inside_50, found.inside_90))

    assert np.mean(inside, axis=0) == pytest.approx([0.5, 0.9], abs=0.06)


def test_a_sudden_change_is_not_foreseen(trial, specification):
    worse = trial.with_outcome(trial.outcome + 4.0 * (trial.day_period >= 9))
    found = foresee_last_block(worse, specification, seed=1)

    assert found.inside_90 < 0.5
    assert found.error > 2.0


def test_with_one_block_there_is_nothing_to_foresee_from(trial, specification):
    alone = trial.with_outcome(np.where(trial.day_period >= 9, trial.outcome, np.nan))

    assert foresee_last_block(alone, specification, seed=1) is None


def test_much_is_learned_of_the_arms_and_little_of_half_lives(trial, fading):
    left = learned(fit(trial, fading, seed=1), fading)

    assert left["sd"] < 0.5
    assert 0.6 < left["half_life[B]"] < 1.2
    assert set(left) >= {"effect[A]", "trend_per_week", "period_sd", "level"}


def small_trial(seed=2):
    two = Specification(arms=(Arm(label="A"), Arm(label="B")))
    patient = SimulatedPatient(level=5.0, effects=(0.0, -1.0), sd=1.0, missing=0.1)
    data = simulate_trial(
        patient,
        two,
        np.repeat([0, 1, 1, 0], 5),
        day_period=np.repeat(range(4), 5),
        generator=np.random.default_rng(seed),
    )
    return data, two


def test_a_day_is_told_by_the_others_as_the_joint_normal_tells_it():
    """Against the dense covariance matrix, for a day next to a gap too."""
    data, two = small_trial()
    data = data.with_outcome(np.where(np.arange(20) == 6, np.nan, data.outcome))
    posterior = fit(data, two, seed=1)
    mean, variance = day_given_others(data, two, posterior, draws=5)
    chosen = np.linspace(0, posterior.size - 1, 5).astype(int)
    rows = np.flatnonzero(data.observed)
    expected = mean_by_day(data, two, posterior, chosen)[:, rows]

    for s, draw in enumerate(chosen):
        phi, sd, spread = (
            posterior.parameters[name][draw] for name in ("autocorrelation", "sd", "period_sd")
        )
        same = data.day_period[rows][:, None] == data.day_period[rows]
        covariance = sd**2 * phi ** np.abs(rows[:, None] - rows) + spread**2 * same
        for i in (0, 5, rows.size - 1):
            others = np.delete(np.arange(rows.size), i)
            slope = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, i])
            left = (data.outcome[rows] - expected[s])[others]
            assert mean[s, i] == pytest.approx(expected[s, i] + slope @ left)
            assert variance[s, i] == pytest.approx(covariance[i, i] - slope @ covariance[others, i])


def test_leaving_a_day_out_foretells_it_as_fitting_again_without_it_does():
    data, two = small_trial()
    found = leave_days_out(data, two, fit(data, two, seed=1, draws=8000))

    rows, total = np.flatnonzero(data.observed), 0.0
    for n, row in enumerate(rows):
        without = data.with_outcome(np.where(np.arange(data.days) == row, np.nan, data.outcome))
        mean, variance = day_given_others(data, two, fit(without, two, seed=1), draws=4000)
        error = data.outcome[row] - mean[:, n]
        density = np.exp(-0.5 * error**2 / variance[:, n]) / np.sqrt(2 * np.pi * variance[:, n])
        total += np.log(density.mean())
    assert found.days == rows.size
    assert found.log_density == pytest.approx(total, abs=0.15)
    assert found.influential == ()
    assert 1.0 < found.effective_parameters < 6.0


def test_a_day_out_of_all_order_is_named(trial, specification):
    odd = trial.with_outcome(np.where(np.arange(trial.days) == 29, 0.0, trial.outcome))
    worse = odd.with_outcome(np.where(np.arange(trial.days) == 29, 16.0, trial.outcome))
    found = leave_days_out(worse, specification, fit(worse, specification, seed=1))
    usual = leave_days_out(trial, specification, fit(trial, specification, seed=1))

    assert 30 in found.surprising
    assert found.log_density < usual.log_density - 3
    assert usual.worst < usual.allowed


def test_near_an_end_of_the_scale_blocks_are_foretold_and_single_days_are_not(specification):
    arm = np.repeat([0, 1, 2, 2, 1, 0, 1, 0, 2], 7)
    patient = SimulatedPatient(level=1.0, effects=(0.0, -0.5, 0.5), sd=1.0)
    made = simulate_trial(patient, specification, arm, generator=np.random.default_rng(3))
    data = made.with_outcome(np.clip(np.round(made.outcome), 0, 10))
    near = replace(specification, ends=Ends.ALWAYS)
    posterior = fit_outcome(data, near, seed=1, effort=QUICK_EFFORT)

    assert leave_days_out(data, near, posterior) is None
    assert foresee_last_block(data, near, seed=1).inside_90 > 0.7
