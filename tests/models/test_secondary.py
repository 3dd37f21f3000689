from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nbinom

from models import exact
from models.data import trial_data
from models.errors import ModelInputError
from models.secondary import Measure, fit_count, for_secondary, secondary_outcome
from models.side_effects import DAY_WORTH
from models.specification import Arm, Specification
from models.words import render


def counts(trial, means, *, seed, dispersion=0.5):
    rng = np.random.default_rng(seed)
    mean = np.asarray(means)[trial.day_arm]
    size = 1.0 / dispersion
    doses = rng.negative_binomial(size, size / (size + mean)).astype(np.float64)
    return np.where(rng.random(trial.days) < 0.1, np.nan, doses)


def test_doses_a_day_are_found_on_each_arm(trial, specification):
    truth, covered, ahead = (2.0, 0.5, 1.0), [], []
    for seed in range(20):
        doses = counts(trial, truth, seed=seed)
        found = secondary_outcome(
            trial, specification, "rescue_doses", doses, Measure.COUNT, seed=1
        )
        seen = [np.nanmean(doses[trial.day_arm == k]) for k in range(3)]
        covered += [
            found.arms[arm].q05 < rate < found.arms[arm].q95
            for arm, rate in zip("ABC", truth, strict=True)
        ]
        ahead.append(found.p_best["B"])

        assert [found.arms[arm].mean for arm in "ABC"] == pytest.approx(seen, abs=0.2)
    assert np.mean(covered) > 0.85
    assert np.mean(ahead) > 0.7


def test_the_posterior_of_counts_is_that_of_weighed_draws_from_the_prior():
    """Another way to the same answer: a million draws of the prior, weighed by likelihood."""
    two = Specification(arms=(Arm(label="A"), Arm(label="B")))
    doses = np.array([0, 1, 0, 2, 1, 3, 1, 0, 4, 2, 1, 0], dtype=np.float64)
    data = trial_data(("A", "B"), [0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0], doses)
    found = fit_count(data, two, seed=1, draws=8000)

    rng = np.random.default_rng(1)
    many = 300_000
    level, effect = 1.5 * rng.normal(size=many), rng.normal(size=(2, many))
    size = 1.0 / (0.3 * np.exp(rng.normal(size=many)))
    log_weight = np.zeros(many)
    for day in range(doses.size):
        mean = np.exp(level + effect[data.day_arm[day]])
        log_weight += DAY_WORTH * nbinom.logpmf(doses[day], size, size / (size + mean))
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()

    for k in range(2):
        rate = np.exp(level + effect[k])
        assert found.arm_mean[:, k].mean() == pytest.approx(float(rate @ weight), rel=0.05)
    assert found.diagnostics.pareto_k < 0.5


def test_a_day_without_an_answer_is_no_day_without_doses(trial, specification):
    doses = counts(trial, (2.0, 2.0, 2.0), seed=1)
    some = np.where(np.arange(trial.days) % 3 == 0, np.nan, doses)
    found = secondary_outcome(trial, specification, "rescue", some, Measure.COUNT, seed=1)

    assert found.days == int((trial.in_analysis & np.isfinite(some)).sum())
    assert all(1.0 < summary.q50 < 3.5 for summary in found.arms.values())


def test_a_scale_goes_through_the_same_engine_as_pain(trial, fading):
    """Weights and burdens of arms have nothing to do with sleep."""
    own = replace(fading, arms=tuple(replace(a, burden=3.0) for a in fading.arms))
    weighed = replace(own, weights={"bother": 1.0})
    found = secondary_outcome(trial, weighed, "sleep", trial.outcome, Measure.SCALE, seed=1)
    pain = exact.fit(trial, fading, seed=1).arm_mean

    assert [found.arms[arm].mean for arm in "ABC"] == pytest.approx(pain.mean(axis=0).tolist())
    assert found.p_best["B"] == pytest.approx((pain.argmin(axis=1) == 1).mean())


@pytest.mark.parametrize("measure", list(Measure))
def test_too_few_or_equal_answers_are_told_without_a_number(trial, specification, measure):
    rare = np.where(np.arange(trial.days) < 20, 1.0, np.nan)
    found = secondary_outcome(trial, specification, "sleep", rare, measure, seed=1)
    never = secondary_outcome(trial, specification, "sleep", np.zeros(trial.days), measure, seed=1)

    assert found.arms == found.p_best == {}
    assert "at least 2 are needed to tell it" in " ".join(
        render(reason) for reason in found.reasons
    )
    assert [render(r) for r in never.reasons] == [
        "All ratings are the same, so they cannot show a difference."
    ]


def test_half_a_dose_is_no_count(trial, specification):
    with pytest.raises(ModelInputError, match="counted"):
        fit_count(trial.with_outcome(np.full(trial.days, 0.5)), specification, seed=1)
    with pytest.raises(ModelInputError, match="no counted day"):
        fit_count(trial.with_outcome(np.full(trial.days, np.nan)), specification, seed=1)


def test_effects_last_as_long_for_sleep_as_for_pain(fading):
    assert for_secondary(fading).prior_half_lives() == fading.prior_half_lives()
