from __future__ import annotations

import numpy as np
import pytest

from models.criticism import foresee_last_block, learned
from models.exact import fit
from models.simulate import SimulatedPatient, simulate_trial


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
