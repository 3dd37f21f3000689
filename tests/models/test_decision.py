"""The rule on draws made by hand: every branch, every threshold on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data import NO_ARM, trial_data
from models.decision import (
    Kind,
    coverage,
    decide,
    expected_loss,
    insufficiencies,
    probability_best,
    refuse,
    untrustworthy,
)
from models.posterior import Diagnostics
from models.specification import Arm, Better, DecisionRule, Scale, Specification
from models.words import Phrase, render

THREE = Specification(arms=tuple(Arm(label=label) for label in "ABC"))


def ruled(**changes) -> Specification:
    return replace(THREE, decision=DecisionRule(**changes))


def draws(*means, sd=0.1, n=10_000):
    return np.random.default_rng(0).normal(means, sd, (n, len(means)))


def shares(*winners):
    """Draws in which each arm is lowest, by two points, exactly so many times."""
    rows = [
        np.where(np.arange(len(winners)) == k, 0.0, 2.0)
        for k, n in enumerate(winners)
        for _ in range(n)
    ]
    return np.array(rows)


def messages(phrases):
    return " ".join(render(phrase) for phrase in phrases)


def test_a_clear_winner_is_best_and_says_by_how_much():
    verdict = decide(draws(6, 4, 6), THREE)

    assert (verdict.kind, verdict.arm) == (Kind.BEST, "B")
    assert verdict.p_best["B"] == 1.0
    assert "B is better than A by 1 points or more is more than 99 in 100" in messages(
        verdict.reasons
    )


@pytest.mark.parametrize(("wins", "kind"), [(96, Kind.BEST), (95, Kind.UNDETERMINED)])
def test_the_threshold_itself_is_enough(wins, kind):
    assert decide(shares(wins, 100 - wins, 0), ruled(best=0.96)).kind is kind


@pytest.mark.parametrize(("allowed", "kind"), [(0.08, Kind.BEST), (0.0799, Kind.UNDETERMINED)])
def test_a_likely_winner_must_not_risk_too_much(allowed, kind):
    verdict = decide(shares(96, 4, 0), ruled(best=0.9, expected_loss=allowed))

    assert verdict.kind is kind
    if kind is Kind.UNDETERMINED:
        assert "could lose 0.08 points on average" in messages(verdict.reasons)


@pytest.mark.parametrize(("ahead", "kind"), [(0.51, Kind.BEST), (0.49, Kind.UNDETERMINED)])
def test_the_winner_must_beat_the_reference_by_the_margin(ahead, kind):
    """B is always lowest, but beats the reference A by half a point only sometimes."""
    n = 10_000
    b = np.where(np.arange(n) < ahead * n, -0.6, -0.4)
    burden = np.stack((np.zeros(n), b, np.full(n, 5.0)), axis=1)
    rule = ruled(comparator="A", equal_probability=0.9)

    assert decide(burden, rule).kind is kind


def test_a_winner_that_is_the_reference_means_none_is_better():
    verdict = decide(draws(4, 6, 6), ruled(comparator="A"))

    assert (verdict.kind, verdict.arm) == (Kind.NONE, "A")


def test_without_a_reference_there_is_no_none():
    assert decide(draws(4, 6, 6), THREE).kind is Kind.BEST


def test_leaders_within_the_margin_are_equal_and_the_third_is_not_among_them():
    verdict = decide(draws(4, 4.1, 6), THREE)

    assert verdict.kind is Kind.EQUAL
    assert verdict.equal_arms == ("A", "B")
    assert verdict.arm is None


def test_all_arms_can_be_equal():
    assert decide(draws(4, 4, 4), THREE).equal_arms == ("A", "B", "C")


def test_equal_leaders_do_not_settle_it_while_another_may_be_best():
    """A and B are the same; C is uncertain, and lowest in two of five draws."""
    n = 10_000
    c = np.where(np.arange(n) < 0.4 * n, 2.0, 8.0)
    burden = np.stack((np.full(n, 4.0), np.full(n, 4.1), c), axis=1)

    assert decide(burden, THREE).kind is Kind.UNDETERMINED


@pytest.mark.parametrize(("inside", "kind"), [(80, Kind.EQUAL), (79, Kind.UNDETERMINED)])
def test_equality_needs_its_probability(inside, kind):
    difference = np.where(np.arange(100) < inside, 0.1, 3.0) * np.where(np.arange(100) % 2, 1, -1)
    burden = np.stack((np.zeros(100), difference, np.full(100, 9.0)), axis=1)

    assert decide(burden, ruled(expected_loss=0.001)).kind is kind


def test_the_margin_itself_is_a_difference_that_matters():
    burden = np.tile([0.0, 0.5, 9.0], (100, 1))

    assert decide(burden, ruled(expected_loss=1.0)).kind is Kind.BEST
    assert (
        decide(np.tile([0.0, 0.499, 9.0], (100, 1)), ruled(comparator="B", best=1.0)).kind
        is Kind.EQUAL
    )


def test_what_cannot_be_told_names_the_leader_and_what_lacks():
    verdict = decide(draws(4, 5, 6, sd=2.0), THREE)

    assert verdict.kind is Kind.UNDETERMINED
    assert verdict.arm is None
    assert "A is ahead" in render(verdict.sentence)
    assert "the protocol asks for 96 %" in messages(verdict.reasons)


def test_a_harmful_arm_is_never_best_but_stays_in_the_numbers():
    verdict = decide(draws(5, 3, 7), THREE, severe={"B": 0.3})

    assert (verdict.kind, verdict.arm, verdict.vetoed) == (Kind.BEST, "A", ("B",))
    assert verdict.p_best["B"] == 1.0
    assert "B is left out" in messages(verdict.reasons)


def test_a_chance_of_harm_at_the_limit_is_no_veto():
    assert decide(draws(5, 3, 7), THREE, severe={"B": 0.2}).arm == "B"


def test_a_harmful_arm_is_not_among_equals():
    verdict = decide(draws(4, 4.1, 4.05), THREE, severe={"A": 0.5})

    assert verdict.equal_arms == ("B", "C")


def test_harm_everywhere_is_refused():
    verdict = decide(draws(1, 2, 3), THREE, severe={"A": 0.9, "B": 0.9, "C": 0.9})

    assert verdict.kind is Kind.REFUSED
    assert verdict.p_best == {}


def test_a_refusal_carries_no_number():
    verdict = refuse([Phrase("Because.")])

    assert (verdict.kind, verdict.p_best, verdict.expected_loss) == (Kind.REFUSED, {}, {})


def test_probabilities_and_losses_of_known_draws():
    burden = np.array([[1.0, 2.0], [3.0, 2.0], [0.0, 4.0], [1.0, 3.0]])

    assert probability_best(burden).tolist() == [0.75, 0.25]
    assert expected_loss(burden).tolist() == [0.25, 1.75]


def test_relative_relief_is_measured_from_the_good_end():
    """On 0 to 100 with higher better, 70 against 50 leaves 30 of 50 undone: 40 % less."""
    specification = replace(THREE, scale=Scale(0, 100, Better.HIGHER))
    burden = -np.tile([50.0, 70.0, 50.0], (100, 1))

    assert "by 30 % or more is more than 99" in messages(decide(burden, specification).reasons)


# -- before the fit ---------------------------------------------------------------------------


def diary(day_arm, outcome=None, **changes):
    outcome = np.random.default_rng(1).normal(5, 1, len(day_arm)) if outcome is None else outcome
    return trial_data(("A", "B", "C"), day_arm, outcome, **changes)


WEEKS = np.repeat([0, 1, 2, 0, 1, 2], 7)


def test_a_whole_trial_is_sufficient():
    assert insufficiencies(diary(WEEKS), THREE) == ()


def test_one_block_cannot_tell_an_arm_from_its_week():
    reasons = insufficiencies(diary(np.repeat([0, 1, 2], 14)), THREE)

    assert messages(reasons).count("at least 2 are needed") == 3


def test_an_arm_without_data_is_named():
    outcome = np.where(WEEKS == 1, np.nan, WEEKS + np.arange(42) % 3)

    assert "There is no rating on B." in messages(insufficiencies(diary(WEEKS, outcome), THREE))


def test_constant_ratings_are_refused():
    reasons = insufficiencies(diary(WEEKS, np.full(42, 4.0)), THREE)

    assert "All ratings are the same" in messages(reasons)


def test_sixty_per_cent_missing_is_refused():
    outcome = np.where(np.arange(42) % 5 < 2, 5.0 + np.arange(42) % 3, np.nan)

    assert "of all days were rated" in messages(insufficiencies(diary(WEEKS, outcome), THREE))


def test_a_thin_period_does_not_count_for_its_arm():
    outcome = 5.0 + np.arange(42) % 3
    outcome[21:25] = np.nan
    reasons = insufficiencies(diary(WEEKS, outcome), THREE)

    assert "A has 1 period(s) with enough ratings" in messages(reasons)
    assert "In period 4 only 43 % of the days were rated" in messages(reasons)


def test_a_thin_period_among_enough_is_no_reason():
    arm = np.repeat([0, 1, 2, 0, 1, 2, 0, 1, 2], 7)
    outcome = 5.0 + np.arange(63) % 3
    outcome[21:26] = np.nan

    assert insufficiencies(diary(arm, outcome), THREE) == ()


def test_coverage_counts_days_inside_the_window_only():
    inside = np.arange(42) % 7 >= 2
    outcome = np.where(inside, 5.0 + np.arange(42) % 3, np.nan)
    data = diary(WEEKS, outcome, in_analysis=inside)

    assert coverage(data).tolist() == [1.0] * 6
    assert insufficiencies(data, THREE) == ()


def test_a_run_in_is_no_period_of_an_arm():
    arm = np.r_[[NO_ARM] * 7, WEEKS]
    outcome = np.r_[[np.nan] * 7, 5.0 + np.arange(42) % 3]

    assert insufficiencies(diary(arm, outcome), THREE) == ()


@pytest.mark.parametrize(("half_life", "refused"), [(7 / 3, False), (2.4, True)])
def test_a_period_must_last_three_half_lives(half_life, refused):
    arms = (Arm(label="A", half_life_days=half_life), *THREE.arms[1:])
    reasons = insufficiencies(diary(WEEKS), replace(THREE, arms=arms))

    assert ("shorter than three" in messages(reasons)) is refused


def test_three_periods_cannot_show_a_drift():
    rule = DecisionRule(minimum_periods=1)
    data = diary(np.repeat([0, 1, 2], 14))

    assert "drift" in messages(insufficiencies(data, replace(THREE, decision=rule)))
    assert insufficiencies(data, replace(THREE, decision=rule, trend=False)) == ()


def test_every_reason_is_given_at_once():
    outcome = np.where(np.arange(42) < 14, 4.0, np.nan)
    reasons = insufficiencies(diary(np.repeat([0, 1, 2], 14), outcome), THREE)

    assert len(reasons) >= 4


# -- after the fit ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [
        ({}, True),
        ({"r_hat": 1.01}, True),
        ({"r_hat": 1.011}, False),
        ({"r_hat": float("nan")}, False),
        ({"ess_bulk": 400.0}, True),
        ({"ess_bulk": 399.0}, False),
        ({"ess_tail": 399.0}, False),
        ({"divergences": 1}, False),
    ],
)
def test_a_sampler_is_trusted_by_its_diagnostics(changes, trusted):
    good = {"draws": 4000, "r_hat": 1.0, "ess_bulk": 2000.0, "ess_tail": 2000.0, "divergences": 0}

    assert (untrustworthy(Diagnostics(**{**good, **changes})) == ()) is trusted


@pytest.mark.parametrize(
    ("k", "trusted"), [(0.7, True), (0.71, False), (float("nan"), False), (-np.inf, True)]
)
def test_importance_weights_are_trusted_by_their_tail(k, trusted):
    assert (untrustworthy(Diagnostics(draws=4000, pareto_k=k)) == ()) is trusted
