from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.analysis import analyze, at_other_weights
from models.burden import burden_draws, net_burden
from models.data import trial_data
from models.decision import Kind
from models.errors import ModelInputError
from models.specification import Arm, Better, Scale, Specification

TWO = Specification(arms=(Arm(label="A"), Arm(label="B")), weights={"bother": 0.5})


def diary(**changes):
    values = {"outcome": [4.0, np.nan, 6.0], "bothers": {"bother": [2.0, 2.0, np.nan]}}
    return trial_data(("A", "B"), [0, 0, 1], **{**values, **changes})


def test_bother_adds_to_pain_by_its_weight_and_missing_stays_missing():
    assert net_burden(diary(), TWO).outcome == pytest.approx([5.0, np.nan, np.nan], nan_ok=True)


def test_bother_takes_from_an_outcome_where_higher_is_better():
    better = replace(TWO, scale=Scale(0, 10, Better.HIGHER))

    assert net_burden(diary(), better).outcome[0] == 3.0


def test_a_weighed_series_must_be_there():
    with pytest.raises(ModelInputError, match="'bother' was not recorded"):
        net_burden(diary(bothers={}), TWO)


def test_less_is_always_better_in_burden_and_cost_counts():
    arms = (Arm(label="A", burden=1.0), Arm(label="B"))
    mean = np.array([[4.0, 6.0]])

    assert burden_draws(mean, replace(TWO, arms=arms)).tolist() == [[5.0, 6.0]]
    higher = replace(TWO, arms=arms, scale=Scale(0, 10, Better.HIGHER))
    assert burden_draws(mean, higher).tolist() == [[-3.0, -6.0]]


def test_side_effects_can_turn_the_verdict_and_weights_are_tried_in_a_moment():
    """B takes two points of pain away and adds five points of bother."""
    rng = np.random.default_rng(4)
    arm = np.repeat([0, 1, 1, 0, 0, 1, 1, 0], 10)
    pain = 6 - 2.0 * arm + rng.normal(0, 0.8, arm.size)
    bother = 1 + 5.0 * arm + rng.normal(0, 0.8, arm.size)
    data = trial_data(("A", "B"), arm, pain, bothers={"bother": bother})

    weighed = analyze(data, replace(TWO, weights={"bother": 1.0}), seed=1)

    assert (weighed.verdict.kind, weighed.verdict.arm) == (Kind.BEST, "A")
    assert weighed.outcome is not weighed.burden
    assert weighed.outcome.arm_mean.mean(axis=0).argmin() == 1
    tried = {
        weight: at_other_weights(data, weighed.specification, {"bother": weight}, seed=1)
        for weight in (0.0, 0.4, 1.0)
    }
    assert tried[0.0].verdict.arm == "B"
    assert tried[0.4].verdict.kind is not Kind.BEST
    assert (tried[1.0].verdict.kind, tried[1.0].verdict.arm) == (Kind.BEST, "A")
    assert tried[1.0].verdict.p_best["A"] == pytest.approx(weighed.verdict.p_best["A"], abs=0.02)
