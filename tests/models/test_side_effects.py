"""How often a side effect comes on each arm, and how bad it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from models.data import trial_data
from models.errors import ModelInputError
from models.graded import Days, Normals, log_posterior, slope_and_information
from models.items import SideEffectItem
from models.side_effects import (
    ARM_SD,
    DAY_WORTH,
    LEVEL_SD,
    STEP_LOG,
    STEP_SD_LOG,
    fit_side_effect,
)
from models.specification import Arm, Specification

TWO = Specification(arms=(Arm(label="A"), Arm(label="B")))
FADING = replace(TWO, arms=tuple(Arm(label=a, half_life_days=1.0) for a in "AB"), carryover=True)
NAUSEA = SideEffectItem(name="nausea")
YES_OR_NO = SideEffectItem(name="nausea", severest=1, severe=1)


def diary(grades):
    """Fourteen days on A, fourteen on B, and so on."""
    grades = np.asarray(grades, dtype=np.float64)
    arm = np.repeat([0, 1] * (grades.size // 28), 14)
    return trial_data(("A", "B"), arm, np.full(arm.size, 5.0), severities={"nausea": grades})


def drawn(shares, days=140, seed=1):
    """Grades with these shares of days of at least 1, 2, 3 on A and on B."""
    arm = np.repeat([0, 1] * (days // 28), 14)
    chance = np.random.default_rng(seed).random(arm.size)
    return diary((chance[:, None] < np.array(shares)[arm]).sum(axis=1))


@pytest.mark.parametrize("specification", [TWO, FADING])
def test_the_shares_of_the_truth_are_found(specification):
    shares = np.array(((0.3, 0.1, 0.03), (0.75, 0.43, 0.16)))  # steps of 1.4 logits
    fitted = fit_side_effect(drawn(shares, 560), specification, NAUSEA, seed=1)

    assert fitted.reaches.mean(axis=0) == pytest.approx(shares, abs=0.08)
    assert fitted.any.mean(axis=0) == pytest.approx(shares[:, 0], abs=0.08)
    assert fitted.severe.mean(axis=0) == pytest.approx(shares[:, 2], abs=0.04)
    assert fitted.grade.mean(axis=0) == pytest.approx(shares.sum(axis=1), abs=0.2)
    assert fitted.diagnostics.pareto_k < 0.7
    assert fitted.diagnostics.effective_points > 400


def test_it_is_the_posterior_of_the_formula():
    """Against a fine grid over level, one step and two arms: grades 0, 1, 2."""
    item = SideEffectItem(name="nausea", severest=2, severe=2)
    grades = np.clip(drawn(((0.25, 0.1, 0.0), (0.6, 0.25, 0.0)), 56).severities["nausea"], 0, 2)
    fitted = fit_side_effect(diary(grades), TWO, item, seed=1, draws=20_000)
    axes = np.linspace(-6, 3, 37), np.linspace(-1.2, 2.0, 25), *[np.linspace(-5, 5, 41)] * 2
    eta, step, a, b = np.meshgrid(*axes, indexing="ij")
    log = -0.5 * (
        ((eta - logit(0.1)) / LEVEL_SD) ** 2
        + ((step - STEP_LOG) / STEP_SD_LOG) ** 2
        + (a / ARM_SD) ** 2
        + (b / ARM_SD) ** 2
    )
    data = diary(grades)
    for k, effect in enumerate((a, b)):
        any_, severe = expit(eta + effect), expit(eta + effect - np.exp(step))
        for grade, chance in enumerate((1 - any_, any_ - severe, severe)):
            log += DAY_WORTH * (grades[data.day_arm == k] == grade).sum() * np.log(chance)
    weight = np.exp(log - log.max())
    for k, effect in enumerate((a, b)):
        for j, share in enumerate((expit(eta + effect), expit(eta + effect - np.exp(step)))):
            mean = (weight * share).sum() / weight.sum()
            sd = np.sqrt((weight * (share - mean) ** 2).sum() / weight.sum())
            assert fitted.reaches[:, k, j].mean() == pytest.approx(mean, abs=0.05 * sd)
            assert fitted.reaches[:, k, j].std() == pytest.approx(sd, rel=0.05)


def test_the_slope_is_that_of_the_density():
    rng = np.random.default_rng(3)
    days = Days(rng.random((60, 2)), rng.integers(0, 4, 60), 3, 0.5)
    flat = Normals(np.zeros(5), np.full(5, 1e6))
    at = 0.5 * rng.normal(size=5)

    numerical = [
        (log_posterior((at + e)[None], days, flat) - log_posterior((at - e)[None], days, flat))[0]
        / 2e-5
        for e in 1e-5 * np.eye(5)
    ]

    assert slope_and_information(at, days)[0] == pytest.approx(numerical, rel=1e-4)


def test_with_one_grade_it_is_a_logistic_regression():
    grades = drawn(((0.2, 0.0, 0.0), (0.6, 0.0, 0.0))).severities["nausea"]
    yes_or_no = fit_side_effect(diary(grades), TWO, YES_OR_NO, seed=1)
    by_itself = fit_side_effect(
        diary(3 * grades), TWO, replace(NAUSEA, graded=False, frequency=0.1), seed=1
    )

    assert yes_or_no.reaches.shape[2] == 1
    assert np.array_equal(yes_or_no.grade, yes_or_no.any)
    # Its prior is that of severe days; many days make up for most of the difference.
    assert by_itself.severe.mean(axis=0) == pytest.approx(yes_or_no.any.mean(axis=0), abs=0.03)


def test_a_side_effect_that_never_came_is_rare_but_not_impossible():
    rate = fit_side_effect(drawn(((0.0,) * 3,) * 2), TWO, NAUSEA, seed=1)

    assert (rate.any > 0).all()
    assert rate.any.mean() < 0.06
    assert rate.severe.mean() < rate.any.mean() / 3


def test_the_label_s_frequency_is_where_rare_items_start():
    usual, rare = (
        fit_side_effect(diary(np.zeros(28)), TWO, replace(NAUSEA, frequency=f), seed=1).any.mean()
        for f in (None, 0.001)
    )

    assert rare < usual / 3


def test_milder_days_tell_of_severe_ones_and_need_not():
    """Moderate nausea on most days of B: severe days are likelier there, unless told apart."""
    data = drawn(((0.1, 0.0, 0.0), (0.9, 0.7, 0.02)))
    graded, apart = (
        fit_side_effect(data, TWO, replace(NAUSEA, graded=g), seed=1).severe.mean(axis=0)
        for g in (True, False)
    )

    assert graded[1] > apart[1]


def test_days_and_severe_days_are_counted_by_arm():
    grades = np.zeros(28)
    grades[14:18] = (3, 3, 2, np.nan)
    fitted = fit_side_effect(diary(grades), TWO, NAUSEA, seed=1)

    assert fitted.days == (14, 13)
    assert fitted.severe_days == (0, 2)


def test_what_was_not_asked_cannot_be_judged():
    with pytest.raises(ModelInputError, match="was not recorded"):
        fit_side_effect(diary(np.zeros(28)), TWO, SideEffectItem(name="dizziness"), seed=1)
    with pytest.raises(ModelInputError, match="never answered"):
        fit_side_effect(diary(np.full(28, np.nan)), TWO, NAUSEA, seed=1)
    with pytest.raises(ModelInputError, match="the highest is 3"):
        fit_side_effect(diary(np.full(28, 4.0)), TWO, NAUSEA, seed=1)


@pytest.mark.parametrize("grade", [-1.0, 1.5])
def test_a_grade_is_a_whole_number(grade):
    with pytest.raises(ModelInputError, match="whole numbers"):
        diary(np.full(28, grade))


@pytest.mark.parametrize(
    "wrong", [{"name": " "}, {"severe": 4}, {"severe": 0}, {"frequency": 0.0}, {"frequency": 1.0}]
)
def test_an_item_makes_sense(wrong):
    with pytest.raises(ModelInputError):
        SideEffectItem(**{"name": "nausea", **wrong})
