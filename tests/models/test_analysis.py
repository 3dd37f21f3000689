"""One trial from its data to its verdict, and every reason to refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.analysis import analyze, judge
from models.data import trial_data
from models.decision import Kind
from models.posterior import Engine
from models.specification import Arm, DecisionRule
from models.words import render


def test_a_clear_trial_names_the_better_arm_for_now(trial, specification):
    analysis = analyze(trial, specification, seed=1)

    assert (analysis.verdict.kind, analysis.verdict.arm) == (Kind.BEST, "B")
    assert analysis.verdict.provisional
    assert analysis.agreement is None
    assert analysis.burden is analysis.outcome
    assert analysis.burden.engine is Engine.EXACT


def test_the_same_seed_gives_the_same_answer(trial, fading):
    one, again = (analyze(trial, fading, seed=5) for _ in range(2))

    assert one.verdict == again.verdict
    assert one.checks == again.checks
    assert one.provenance == again.provenance


def test_an_answer_says_where_it_came_from(trial, specification):
    provenance = analyze(trial, specification, seed=9).provenance

    assert provenance["data_hash"] == trial.data_hash
    assert provenance["specification_hash"] == specification.specification_hash
    assert provenance["seed"] == "9"
    assert {"code_version", "model_version", "numpy", "pymc"} <= set(provenance)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda y, arm: np.where(np.arange(y.size) < 21, y, np.nan),
        lambda y, arm: np.where(arm == 2, np.nan, y),
        lambda y, arm: np.full(y.size, 5.0),
        lambda y, arm: np.where(np.arange(y.size) % 5 < 2, y, np.nan),
        lambda y, arm: np.full(y.size, np.nan),
    ],
    ids=["one block", "an arm without data", "constant", "60 % missing", "nothing"],
)
def test_insufficient_data_get_a_reason_and_never_a_number(spoil, trial, specification):
    data = trial.with_outcome(spoil(trial.outcome, trial.day_arm))
    analysis = analyze(data, specification, seed=1)

    assert analysis.verdict.kind is Kind.REFUSED
    assert analysis.verdict.reasons
    assert analysis.outcome is None
    assert analysis.burden is None
    assert analysis.verdict.p_best == {}


def test_a_period_shorter_than_three_half_lives_is_refused(trial, fading):
    slow = replace(fading, arms=(Arm(label="A", half_life_days=5.0), *fading.arms[1:]))

    verdict = analyze(trial, slow, seed=1).verdict

    assert verdict.kind is Kind.REFUSED
    assert "shorter than three" in render(verdict.reasons[0])


def test_weights_of_an_unreliable_integration_are_refused(trial, fading):
    analysis = analyze(trial, fading, seed=1)
    bad = replace(analysis.burden, diagnostics=replace(analysis.burden.diagnostics, pareto_k=1.2))

    assert judge(bad, fading, (), provisional=True).kind is Kind.REFUSED


def test_a_diary_stuck_at_zero_is_not_given_to_the_gaussian_model(specification):
    rng = np.random.default_rng(8)
    arm = np.repeat([0, 1, 2, 1, 0, 2, 2, 0, 1], 10)
    pain = np.where(rng.random(90) < 0.75, 0.0, rng.integers(4, 10, 90))
    verdict = analyze(trial_data(("A", "B", "C"), arm, pain), specification, seed=1).verdict

    assert verdict.kind is Kind.REFUSED
    assert "does not describe these data" in render(verdict.reasons[0])


def test_a_weighed_series_that_was_not_recorded_is_refused(trial, specification):
    verdict = analyze(trial, replace(specification, weights={"bother": 0.5}), seed=1).verdict

    assert "'bother', which was not recorded" in render(verdict.reasons[0])


def test_none_is_better_than_a_good_reference(trial, specification):
    rule = DecisionRule(comparator="B")

    verdict = analyze(trial, replace(specification, decision=rule), seed=1).verdict

    assert (verdict.kind, verdict.arm) == (Kind.NONE, "B")
