"""The rule on draws made by hand: every branch, every threshold on both sides."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from models.data import NO_ARM, trial_data
from models.decision import (
    Kind,
    could_be_best,
    coverage,
    decide,
    expected_loss,
    insufficiencies,
    probability_best,
    refuse,
    untrustworthy,
)
from models.harm import Harm
from models.posterior import Diagnostics
from models.specification import (
    Arm,
    Better,
    DecisionRule,
    HalfLifeShared,
    Priors,
    Scale,
    Specification,
)
from models.words import Phrase, render

THREE = Specification(arms=tuple(Arm(label=label) for label in "ABC"))


def ruled(**changes) -> Specification:
    return replace(THREE, decision=DecisionRule(**changes))


def draws(*means, sd=0.1, n=10_000):
    return np.random.default_rng(0).normal(means, sd, (n, len(means)))


def harms(**probabilities):
    return tuple(Harm(arm, "rash", p, limit=0.1) for arm, p in probabilities.items())


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
    verdict = decide(draws(5, 3, 7), THREE, harms=harms(B=0.3))

    assert (verdict.kind, verdict.arm, verdict.vetoed) == (Kind.BEST, "A", ("B",))
    assert verdict.p_best["B"] == 1.0
    assert "B is left out" in messages(verdict.reasons)


def test_a_chance_of_harm_at_the_limit_is_no_veto():
    assert decide(draws(5, 3, 7), THREE, harms=harms(B=0.2)).arm == "B"


def test_a_harmful_arm_is_not_among_equals():
    verdict = decide(draws(4, 4.1, 4.05), THREE, harms=harms(A=0.5))

    assert verdict.equal_arms == ("B", "C")


def test_harm_everywhere_is_refused():
    verdict = decide(draws(1, 2, 3), THREE, harms=harms(A=0.9, B=0.9, C=0.9))

    assert verdict.kind is Kind.REFUSED
    assert verdict.p_best == {}
    assert verdict.vetoed == ("A", "B", "C")


def test_what_leaves_an_arm_out_is_told_by_its_name_and_kept_by_itself():
    verdict = decide(draws(1, 2, 3), THREE, harms=harms(A=0.9))

    (veto,) = verdict.vetoes
    assert veto.values["item"] == "rash"
    assert veto in verdict.reasons
    assert decide(draws(1, 2, 3), THREE).vetoes == ()


@pytest.mark.parametrize("carryover", [False, True])
def test_without_any_half_life_no_period_is_too_short(carryover):
    """Neither one that is not known nor one that is not asked for counts as a day."""
    days = np.repeat([0, 1, 2, 0, 1, 2], 2)
    short = replace(THREE, arms=tuple(replace(a, half_life_days=0.1) for a in THREE.arms))
    specification = replace(short, carryover=True) if carryover else THREE
    reasons = insufficiencies(diary(days), specification)

    assert "shorter than three" not in messages(reasons)


def test_a_refusal_carries_no_number():
    verdict = refuse([Phrase("Because.")])
    assert verdict.vetoed == ()
    assert refuse([Phrase("Because.")], vetoed=["A"]).vetoed == ("A",)

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
    burden = -np.tile([50.0, 64.0, 50.0], (100, 1))
    assert "by 30 % or more is less than 1" in messages(decide(burden, specification).reasons)


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


def test_a_slow_onset_and_a_half_life_of_all_arms_count_too():
    onset = (Arm(label="A", half_life_days=0.5, onset_half_life_days=4.0), *THREE.arms[1:])
    shared = Priors(half_life=HalfLifeShared(math.log(4.0)))

    for told, specification in (
        (True, replace(THREE, arms=onset)),
        (True, replace(THREE, carryover=True, priors=shared)),
        (False, replace(THREE, carryover=False, priors=shared)),
    ):
        reasons = insufficiencies(diary(WEEKS), specification)
        assert ("shorter than three" in messages(reasons)) is told


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


# -- at the edges of the rule -----------


def test_a_refusal_says_all_its_reasons_and_is_final_unless_told_otherwise():
    verdict = refuse([Phrase("One."), Phrase("Two.")])

    assert render(verdict.sentence) == "No answer can be given from these data."
    assert messages(verdict.reasons) == "One. Two."
    assert verdict.provisional is False
    assert refuse([], provisional=True).provisional is True


@pytest.mark.parametrize("provisional", [True, False])
def test_a_verdict_is_provisional_until_said_otherwise(provisional):
    everywhere = harms(A=0.9, B=0.9, C=0.9)

    assert decide(draws(6, 4, 6), THREE).provisional is True
    assert decide(draws(6, 4, 6), THREE, provisional=provisional).provisional is provisional
    refused = decide(draws(6, 4, 6), THREE, harms=everywhere, provisional=provisional)
    assert refused.provisional is provisional


def test_a_verdict_tells_what_each_choice_would_lose():
    verdict = decide(np.tile([4.0, 3.0, 6.0], (50, 1)), THREE)

    assert verdict.expected_loss == {"A": 1.0, "B": 0.0, "C": 3.0}
    assert verdict.p_best == {"A": 0.0, "B": 1.0, "C": 0.0}


@pytest.mark.parametrize(
    ("numbers", "specification", "kind"),
    [
        (draws(3, 3.02, 6), THREE, Kind.EQUAL),
        (draws(3, 4, 5), ruled(comparator="A"), Kind.NONE),
        (draws(3, 3.4, 3.5, sd=1.0), THREE, Kind.UNDETERMINED),
    ],
)
def test_sizes_are_told_whatever_the_answer_is(numbers, specification, kind):
    verdict = decide(numbers, specification)
    said = messages(verdict.reasons)

    assert verdict.kind is kind
    assert "30 %" in said
    assert "2 points" in said


def test_the_best_arm_is_told_from_each_other_arm_by_its_sizes():
    """On 10 to 110 one point of ten is 10: A is 15 below B and 25 below C, exactly."""
    wide = replace(THREE, scale=Scale(10, 110))
    verdict = decide(np.tile([60.0, 75.0, 85.0], (50, 1)), wide)

    assert render(verdict.sentence) == (
        "A is best for this patient: the chance is more than 99 in 100."
    )
    sure, never = "more than 99 in 100", "less than 1 in 100"
    assert [render(reason) for reason in verdict.reasons] == [
        f"The chance that A is better than B is {sure}.",
        f"The chance that A is better than B by 10 points or more is {sure}.",
        f"The chance that A is better than B by 20 points or more is {never}.",
        f"The chance that the burden on A is lower than on B by 30 % or more is {never}.",
        f"The chance that A is better than C is {sure}.",
        f"The chance that A is better than C by 10 points or more is {sure}.",
        f"The chance that A is better than C by 20 points or more is {sure}.",
        f"The chance that the burden on A is lower than on C by 30 % or more is {sure}.",
    ]


def test_three_of_ten_is_thirty_per_cent():
    verdict = decide(np.tile([7.0, 10.0, 10.0], (50, 1)), THREE)

    assert "by 30 % or more is more than 99" in messages(verdict.reasons)


def test_a_tie_is_not_more_than_a_difference_of_nothing():
    """In one draw of ten A and B are the same: A is still no worse."""
    b = np.where(np.arange(100) < 10, 4.0, 6.0)
    verdict = decide(np.stack((np.full(100, 4.0), b, b + 1), axis=1), THREE)

    assert "A is better than B is more than 99 in 100" in messages(verdict.reasons)


def test_an_arm_left_out_for_harm_is_not_compared():
    reasons = messages(decide(draws(3, 5, 7), THREE, harms=harms(B=0.3)).reasons)

    assert "better than B" not in reasons
    assert "A is better than C" in reasons


def test_a_single_draw_can_be_judged():
    assert decide(np.array([[3.0, 5.0, 7.0]]), THREE, harms=harms(C=0.9)).arm == "A"


def test_what_keeps_the_leader_from_being_best_is_told_by_name():
    n = 100
    b = np.where(np.arange(n) < 40, -0.6, -0.4)
    burden = np.stack((np.zeros(n), b, np.where(np.arange(n) < 10, -9.0, 5.0)), axis=1)
    rule = ruled(comparator="A", equal_probability=0.99, expected_loss=0.5)
    verdict = decide(burden, rule)

    assert verdict.kind is Kind.UNDETERMINED
    assert [render(reason) for reason in verdict.reasons[:3]] == [
        "The chance that B is best is about 90 in 100; the protocol asks for 96 %.",
        "Choosing B could lose 0.84 points on average; the protocol allows 0.5.",
        (
            "The chance that B is better than the reference A by 0.5 points or more is only about "
            "40 in 100."
        ),
    ]


def test_the_margin_over_the_reference_may_be_met_exactly_in_half_of_the_draws():
    b = np.where(np.arange(100) < 50, -0.5, -0.4)
    burden = np.stack((np.zeros(100), b, np.full(100, 5.0)), axis=1)

    assert decide(burden, ruled(comparator="A", comparator_probability=0.5)).kind is Kind.BEST


def test_equal_leaders_need_not_come_first():
    verdict = decide(draws(9, 4.1, 4), THREE)

    assert (verdict.kind, verdict.equal_arms) == (Kind.EQUAL, ("B", "C"))


def test_equality_is_told_with_the_chance_of_the_arm_that_is_least_near():
    n = 100
    b = np.where(np.arange(n) < 85, 0.1, 3.0)
    c = np.where(np.arange(n) < 95, 0.2, 3.0)
    verdict = decide(np.stack((np.zeros(n), b, c), axis=1), ruled(comparator="A"))

    assert verdict.equal_arms == ("A", "B", "C")
    assert render(verdict.sentence) == (
        "A, B, C are practically equal: the chance that they differ by less than 0.5 points is "
        "about 85 in 100. Choose by preference, cost or safety."
    )


def test_a_difference_of_the_whole_margin_is_not_equality():
    burden = np.tile([0.0, 0.5, 9.0], (100, 1))

    assert decide(burden, ruled(comparator="A")).kind is Kind.NONE


@pytest.mark.parametrize(("lowest", "kind"), [(20, Kind.EQUAL), (21, Kind.UNDETERMINED)])
def test_the_best_must_be_among_the_equal_with_their_probability(lowest, kind):
    c = np.where(np.arange(100) < lowest, -9.0, 90.0)
    burden = np.stack((np.zeros(100), np.full(100, 0.1), c), axis=1)

    assert decide(burden, THREE).kind is kind


@pytest.mark.parametrize(("not_below", "kind"), [(80, Kind.NONE), (79, Kind.UNDETERMINED)])
def test_none_is_better_with_its_probability(not_below, kind):
    """Where B is below the reference, it is so by the margin exactly."""
    b = np.where(np.arange(100) < not_below, 3.0, -0.5)
    burden = np.stack((np.zeros(100), b, np.full(100, 5.0)), axis=1)
    verdict = decide(burden, ruled(comparator="A", equal_margin=0.5))

    assert verdict.kind is kind
    if kind is Kind.NONE:
        assert render(verdict.sentence) == (
            "None is better than the reference A: the chance that no other is better by 0.5 "
            "points or more is about 80 in 100."
        )


def test_an_arm_a_little_better_than_the_reference_is_not_better_by_the_margin():
    n = 100
    b = np.where(np.arange(n) % 2, 0.7, -0.4)
    burden = np.stack((np.zeros(n), b, np.full(n, 5.0)), axis=1)

    assert decide(burden, ruled(comparator="A", equal_probability=0.9)).kind is Kind.NONE


# -- what calibrates the threshold -----------


def test_a_leader_kept_from_best_by_the_threshold_alone_tells_its_probability():
    assert could_be_best(shares(70, 30, 0), ruled(best=0.99, expected_loss=1.0)) == 0.7


def test_a_leader_that_could_lose_too_much_is_best_at_no_threshold():
    assert could_be_best(shares(70, 30, 0), ruled(best=0.5, expected_loss=0.5)) is None


def test_a_reference_in_the_lead_is_best_at_no_threshold():
    assert could_be_best(shares(100, 0, 0), ruled(comparator="A")) is None


def test_a_leader_too_near_the_reference_is_best_at_no_threshold():
    near = np.tile([0.3, 0.0, 5.0], (100, 1))

    assert could_be_best(near, ruled(comparator="A")) is None
    assert could_be_best(near, ruled(comparator="C")) == 1.0


# -- at the edges of what suffices -----------

FIVES = np.repeat([0, 1, 2, 0, 1, 2], 5)


def of_fives(rated, day_arm=FIVES):
    """Five days a period, of which so many are rated, period by period."""
    day = np.arange(day_arm.size)
    outcome = np.where(day % 5 < np.repeat(rated, 5), 5.0 + day % 3, np.nan)
    return diary(day_arm, outcome, day_period=day // 5)


def test_the_least_share_of_rated_days_is_enough():
    assert insufficiencies(of_fives([3] * 6), THREE) == ()


def test_only_thin_periods_are_named():
    reasons = messages(insufficiencies(of_fives([2, 5, 3, 5, 5, 5]), THREE))

    assert "A has 1 period(s)" in reasons
    assert "In period 1 only 40 % of the days were rated; at least 60 % are needed." in reasons
    assert reasons.count("In period") == 1


def test_a_thin_run_in_is_not_named():
    day_arm = np.r_[[NO_ARM] * 5, FIVES]
    reasons = messages(insufficiencies(of_fives([0, 2, 5, 5, 5, 5, 5], day_arm), THREE))

    assert "In period 2 only" in reasons
    assert reasons.count("In period") == 1


def test_an_arm_without_data_does_not_hide_what_another_lacks():
    reasons = messages(insufficiencies(of_fives([0, 1, 5, 0, 5, 5]), THREE))

    assert "There is no rating on A." in reasons
    assert "B has 1 period(s)" in reasons


def test_days_left_out_are_no_missing_days():
    inside = np.arange(42) % 7 >= 4
    outcome = np.where(inside, 5.0 + np.arange(42) % 3, np.nan)

    assert insufficiencies(diary(WEEKS, outcome, in_analysis=inside), THREE) == ()


def test_the_days_of_every_arm_count_to_the_whole():
    """A is rated on all days, B and C on half: 67 % in all."""
    rated = np.where(WEEKS == 0, True, np.arange(42) % 2 == 0)
    reasons = insufficiencies(
        diary(WEEKS, np.where(rated, WEEKS + np.arange(42) % 3, np.nan)), THREE
    )

    assert "of all days" not in messages(reasons)


def test_a_diary_without_any_arm_is_refused_for_it():
    reasons = messages(insufficiencies(diary(np.full(14, NO_ARM)), THREE))

    assert reasons.count("There is no rating on") == 3
    assert "Only 0 % of all days were rated" in reasons


def test_four_periods_can_show_a_drift():
    two = Specification(arms=THREE.arms[:2])
    data = trial_data(
        ("A", "B"),
        np.repeat([0, 1, 1, 0], 7),
        5.0 + np.arange(28) % 3,
        day_period=np.repeat(np.arange(4), 7),
    )

    assert insufficiencies(data, two) == ()


def test_a_drift_that_cannot_be_told_says_of_how_many_periods():
    reasons = insufficiencies(diary(np.repeat([0, 1, 2], 14)), THREE)

    assert "With 3 period(s) a drift over time cannot be told" in messages(reasons)


@pytest.mark.parametrize(
    ("weights", "lacking"),
    [({"bother": 0.5}, True), ({"bother": 0.0}, False), ({}, False), ({"sleep": 0.5}, False)],
)
def test_what_is_weighed_must_have_been_recorded(weights, lacking):
    data = diary(WEEKS, bothers={"sleep": np.ones(42)})
    reasons = messages(insufficiencies(data, replace(THREE, weights=weights)))

    assert ("The protocol weighs 'bother', which was not recorded." in reasons) is lacking
    assert "'sleep'" not in reasons


def test_a_period_of_a_single_day_can_be_covered():
    data = diary([0, 1, 1, 2], [5.0, 4.0, np.nan, 3.0])

    assert coverage(data).tolist() == [1.0, 0.5, 1.0]


def test_the_shortest_period_counts_whichever_arm_it_was_given_to():
    day_arm = np.r_[[0] * 3, [1] * 7, [2] * 7, [0] * 7, [1] * 7, [2] * 7]
    slow = replace(THREE, arms=(*THREE.arms[:2], Arm(label="C", half_life_days=1.5)))

    assert messages(insufficiencies(diary(day_arm), slow)).endswith(
        "A period of 3 day(s) on C is shorter than three of its effect half-lives (1.5 days "
        "each), so its effect cannot be told from what lasts over from before."
    )


def test_why_a_sampler_is_not_trusted_is_told_with_its_figures():
    bad = Diagnostics(draws=4000, r_hat=1.2, ess_bulk=80.0, ess_tail=90.0, divergences=3)
    unknown = Diagnostics(draws=4000, r_hat=1.0, ess_tail=2000.0)
    untold = Diagnostics(draws=4000, r_hat=1.0, ess_bulk=2000.0)

    assert messages(untrustworthy(bad)) == (
        "The sampler did not converge (R-hat 1.200, effective draws 80, divergences 3), so its "
        "numbers are not shown."
    )
    for diagnostics in (unknown, untold):
        assert "effective draws 0, divergences 0" in messages(untrustworthy(diagnostics))


def test_weights_that_cannot_be_used_tell_their_tail():
    assert "(Pareto k 0.9)" in messages(untrustworthy(Diagnostics(draws=4000, pareto_k=0.9)))


def test_what_remains_when_all_else_is_left_out_is_not_called_better():
    verdict = decide(draws(3, 4, 5), THREE, harms=harms(A=0.5, B=0.5))
    reference = decide(draws(3, 4, 5), ruled(comparator="C"), harms=harms(A=0.5, B=0.5))

    assert (verdict.kind, verdict.arm) == (Kind.BEST, "C")
    assert render(verdict.sentence).startswith("C is what remains")
    assert verdict.is_left_over
    assert not decide(draws(1, 3, 5), THREE, harms=harms(B=0.5)).is_left_over
    assert not decide(draws(1, 3, 5), THREE).is_left_over
    assert (reference.kind, reference.arm) == (Kind.NONE, "C")


def test_the_best_of_the_rest_says_that_something_is_left_out():
    verdict = decide(draws(1, 3, 5), THREE, harms=harms(A=0.5))

    assert (verdict.kind, verdict.arm) == (Kind.BEST, "B")
    assert render(verdict.sentence).startswith("Of those not left out, B is best")


def test_an_arm_that_is_left_out_does_not_keep_the_reference_from_winning():
    """B would be better than the reference C, but may not be chosen; A is not better."""
    verdict = decide(draws(5, 1, 5), ruled(comparator="C", equal_margin=0.2), harms=harms(B=0.5))

    assert verdict.kind in {Kind.NONE, Kind.EQUAL}
    gap = decide(draws(5, 1, 4.8, sd=0.5), ruled(comparator="C"), harms=harms(B=0.5))
    assert gap.arm != "B"


def test_a_reference_that_is_left_out_is_no_reference_to_stay_with():
    verdict = decide(draws(5, 5.2, 1), ruled(comparator="C"), harms=harms(C=0.5))

    assert verdict.kind is not Kind.NONE
    assert verdict.vetoed == ("C",)
