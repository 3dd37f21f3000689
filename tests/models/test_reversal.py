from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.analysis import analyze
from models.posterior import Diagnostics, Engine, Posterior
from models.reversal import different_order, paired, rank_reversal, reversal_of, weighed_alone
from models.specification import Arm, Specification


def posterior_of(draws):
    return Posterior(
        arms=("A", "B", "C"),
        arm_mean=draws,
        engine=Engine.EXACT,
        seed=1,
        diagnostics=Diagnostics(draws=draws.shape[0]),
    )


@pytest.fixture(scope="module")
def together():
    """Pain and weighed side effects that belong together, 40,000 draws of 3 arms."""
    rng = np.random.default_rng(5)
    root = rng.normal(size=(6, 6)) / 2
    root[3:, :3] = root[:3, 3:].T
    covariance = root @ root.T + np.eye(6) * 0.1
    across = 0.5 * (covariance[:3, 3:] + covariance[:3, 3:].T)
    covariance[:3, 3:] = covariance[3:, :3] = 0.5 * across
    mean = np.array([5.0, 4.6, 5.3, 0.4, 1.0, 0.2])
    drawn = rng.multivariate_normal(mean, covariance, size=40_000)
    return drawn[:, :3], drawn[:, 3:]


def test_orders_are_those_counted_over_draws_that_belong_together(together):
    """The three posteriors come shuffled apart, and still say what the joint draws say."""
    pain, bother = together
    rng = np.random.default_rng(6)
    specification = Specification(arms=tuple(Arm(label=label) for label in "ABC"))
    found = reversal_of(
        posterior_of(rng.permutation(pain)),
        posterior_of(rng.permutation(pain + bother)),
        posterior_of(rng.permutation(bother)),
        specification,
        seed=3,
    )

    def leader(factor):
        return np.argmin(pain + factor * bother, axis=1)

    order = [np.argsort(v, axis=1) for v in (pain, pain + bother)]
    assert found.p_order == pytest.approx((order[0] != order[1]).any(axis=1).mean(), abs=0.01)
    assert found.p_leader == pytest.approx((leader(0) != leader(1)).mean(), abs=0.01)
    for factor in (0.5, 2.0):
        assert found.p_leader_at[factor] == pytest.approx(
            (leader(factor) != leader(1)).mean(), abs=0.01
        )


def test_paired_draws_have_the_covariance_that_the_difference_implies(together):
    pain, bother = together
    burden = pain + bother
    found = paired(pain, burden[::-1].copy(), np.cov(bother, rowvar=False), seed=1)

    assert np.cov(found, rowvar=False) == pytest.approx(np.cov(burden, rowvar=False), abs=0.03)
    assert np.cov(found - pain, rowvar=False) == pytest.approx(
        np.cov(bother, rowvar=False), abs=0.03
    )


def test_two_orders_differ_when_any_two_arms_change_places():
    first = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    second = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])

    assert different_order(first, second) == 0.5


def test_side_effects_that_eat_the_relief_turn_the_order(trial, specification):
    rng = np.random.default_rng(2)
    bother = np.where(trial.day_arm == 1, 5.0, 0.5) + rng.normal(size=trial.days)
    data = replace(trial, bothers={"bother": np.clip(bother, 0, 10)})
    analysis = analyze(data, replace(specification, weights={"bother": 0.8}), seed=1)
    found = rank_reversal(analysis, seed=1)

    assert found.leader_pain == "B"
    assert found.leader_burden != "B"
    assert found.p_order > 0.95
    assert found.p_leader > 0.9


def test_without_weights_there_is_nothing_to_turn(trial, specification):
    assert rank_reversal(analyze(trial, specification, seed=1), seed=1) is None


def test_the_weighed_series_alone_is_what_it_adds(trial, specification):
    data = replace(trial, bothers={"bother": np.full(trial.days, 3.0)})
    alone = weighed_alone(data, replace(specification, weights={"bother": 0.5}))

    rated = np.isfinite(trial.outcome)
    assert np.allclose(alone.outcome[rated], 1.5)
    assert np.isnan(alone.outcome[~rated]).all()
