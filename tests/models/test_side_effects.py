from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data import trial_data
from models.decision import Kind, decide
from models.errors import ModelInputError
from models.side_effects import DAY_WORTH, fit_side_effect, severe_probabilities
from models.specification import Arm, Specification

TWO = Specification(arms=(Arm(label="A"), Arm(label="B")))
FADING = replace(TWO, arms=tuple(Arm(label=a, half_life_days=1.0) for a in "AB"), carryover=True)


def diary(rates, days=140, seed=1):
    arm = np.repeat([0, 1] * (days // 28), 14)
    rng = np.random.default_rng(seed)
    has = (rng.random(arm.size) < np.array(rates)[arm]).astype(float)
    return trial_data(("A", "B"), arm, np.full(arm.size, 5.0), bothers={"nausea": 3 * has})


@pytest.mark.parametrize("specification", [TWO, FADING])
def test_the_rates_of_the_truth_are_found(specification):
    fitted = fit_side_effect(diary((0.1, 0.6), 560), specification, "nausea", seed=1)

    assert fitted.rate.mean(axis=0) == pytest.approx([0.1, 0.6], abs=0.06)
    assert fitted.diagnostics.pareto_k < 0.7
    assert fitted.diagnostics.effective_points > 400


def test_it_is_the_posterior_of_the_formula():
    """Against a fine grid over the three terms."""
    data = diary((0.15, 0.4), 56)
    fitted = fit_side_effect(data, TWO, "nausea", seed=1, draws=20_000)
    eta, a, b = np.meshgrid(*[np.linspace(-6, 4, 81)] * 3, indexing="ij")
    has = data.bothers["nausea"] > 0
    log = -0.5 * (((eta - np.log(1 / 9)) / 1.5) ** 2 + (a / 1.5) ** 2 + (b / 1.5) ** 2)
    for k, effect in enumerate((a, b)):
        on = data.day_arm == k
        x = eta + effect
        log += DAY_WORTH * (has[on].sum() * x - on.sum() * np.logaddexp(0, x))
    weight = np.exp(log - log.max())
    for k, effect in enumerate((a, b)):
        rate = 1 / (1 + np.exp(-(eta + effect)))
        expected = (weight * rate).sum() / weight.sum()
        assert fitted.rate[:, k].mean() == pytest.approx(expected, abs=0.01)


def test_a_side_effect_that_never_came_is_rare_but_not_impossible():
    rate = fit_side_effect(diary((0.0, 0.0)), TWO, "nausea", seed=1).rate

    assert (rate > 0).all()
    assert rate.mean() < 0.06


def test_the_label_s_frequency_is_where_rare_items_start():
    usual, rare = (
        fit_side_effect(diary((0, 0), 28), TWO, "nausea", frequency=f, seed=1).rate.mean()
        for f in (None, 0.001)
    )

    assert rare < usual / 3


def test_only_days_as_severe_as_asked_count():
    data = diary((0.5, 0.5))

    assert fit_side_effect(data, TWO, "nausea", at_least=4, seed=1).rate.mean() < 0.1


def test_a_severe_side_effect_vetoes_the_arm_with_the_least_pain():
    limited = replace(
        TWO, arms=(Arm(label="A", severe_limit=0.2), Arm(label="B", severe_limit=0.2))
    )
    severe = severe_probabilities(diary((0.02, 0.7)), limited, {"nausea": 3.0}, seed=1)
    burden = np.random.default_rng(0).normal((5.0, 3.0), 0.2, (4000, 2))

    verdict = decide(burden, limited, severe=severe)

    assert severe["A"] < 0.2 < severe["B"]
    assert verdict.vetoed == ("B",)
    assert (verdict.kind, verdict.arm) == (Kind.BEST, "A")


def test_what_was_not_asked_cannot_be_judged():
    with pytest.raises(ModelInputError, match="was not recorded"):
        fit_side_effect(diary((0, 0)), TWO, "dizziness", seed=1)
    silent = replace(diary((0, 0)), bothers={"nausea": np.full(140, np.nan)})
    with pytest.raises(ModelInputError, match="never answered"):
        fit_side_effect(silent, TWO, "nausea", seed=1)
