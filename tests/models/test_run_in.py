"""The run-in as an arm of its own, and the switches of the model from the file to the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.analysis import analyze
from models.checks import mean_by_day
from models.criticism import learned
from models.data import NO_ARM, trial_data
from models.decision import Kind
from models.errors import ModelInputError
from models.exposure import exposures, speeds, targets
from models.fitting import fit_outcome
from models.items import SideEffectItem
from models.run_in import RUN_IN_MEAN, with_run_in
from models.secondary import Measure, secondary_outcome
from models.side_effects import fit_side_effect
from models.specification import Arm, Specification

FADING = Specification(
    arms=(Arm(label="A", half_life_days=1.0), Arm(label="B", half_life_days=0.5)), carryover=True
)
OWN = replace(FADING, run_in=Arm(label="before", half_life_days=1.0))


@pytest.fixture(scope="module")
def data():
    """Seven run-in days at 9, then A at 6 and B at 4 in turn."""
    rng = np.random.default_rng(3)
    arm = np.concatenate((np.full(7, NO_ARM), np.repeat([0, 1, 1, 0, 0, 1], 7)))
    period = np.concatenate((np.zeros(7, int), 1 + np.repeat(np.arange(6), 7)))
    mean = np.where(arm == NO_ARM, 9.0, np.where(arm == 0, 6.0, 4.0))
    return trial_data(("A", "B"), arm, mean + rng.normal(0, 0.5, arm.size), day_period=period)


def test_the_run_in_has_a_mean_of_its_own_and_no_part_in_the_verdict(data):
    analysis = analyze(data, OWN, seed=1)

    assert analysis.burden.arms == ("A", "B")
    assert analysis.burden.arm_mean.shape[1] == 2
    assert analysis.burden.parameters[RUN_IN_MEAN].mean() == pytest.approx(9.0, abs=0.8)
    assert "half_life[before]" in analysis.burden.parameters
    assert (analysis.verdict.kind, analysis.verdict.arm) == (Kind.BEST, "B")
    assert set(analysis.verdict.p_best) == {"A", "B"}


def test_without_it_run_in_days_stand_at_the_level(data):
    bare = fit_outcome(data, FADING, seed=1)

    assert RUN_IN_MEAN not in bare.parameters
    # Both arms lie below the level by more than their prior expects, and pull it down.
    assert 6.0 < bare.parameters["level"].mean() < 8.5


def test_what_is_expected_of_run_in_days_is_what_was_seen(data):
    """The effect of what came before is there on the first day and fades into the first period."""
    posterior = fit_outcome(data, OWN, seed=1)
    expected = mean_by_day(data, OWN, posterior, np.arange(0, 4000, 40)).mean(axis=0)

    assert expected[:7] == pytest.approx(9.0, abs=0.6)
    assert 6.0 < expected[7] < 9.0
    assert expected[8] < expected[7]


def test_all_that_stands_beside_the_verdict_takes_the_run_in_along(data):
    graded = replace(data, severities={"nausea": np.where(data.day_arm == NO_ARM, 3.0, 0.0)})
    nausea = fit_side_effect(graded, OWN, SideEffectItem(name="nausea"), seed=1)
    sleep = secondary_outcome(data, OWN, "sleep", data.outcome, Measure.SCALE, seed=1)
    left = learned(fit_outcome(data, OWN, seed=1), OWN)

    assert nausea.arms == ("A", "B")
    assert nausea.any.mean() < 0.1
    assert set(sleep.arms) == {"A", "B"}
    assert "half_life[before]" in left


def test_a_trial_without_a_run_in_is_as_it_was(data):
    bare = trial_data(("A", "B"), data.day_arm[7:], data.outcome[7:])

    assert with_run_in(bare, OWN) == (bare, OWN)


def test_the_run_in_needs_a_name_and_a_half_life_of_its_own():
    with pytest.raises(ModelInputError, match="is also an arm"):
        replace(FADING, run_in=Arm(label="A", half_life_days=1.0))
    with pytest.raises(ModelInputError, match="needs a half-life"):
        replace(FADING, run_in=Arm(label="before"))


def test_the_model_of_record_gets_the_run_in_as_an_arm_too(data):
    from models import confirm

    seen = []

    def sampler(trial, specification, seed):
        seen.append((trial.arms, specification.run_in))
        return fit_outcome(trial, specification, seed=seed)

    analysis = confirm.confirm(data, OWN, seed=1, sampler=sampler)

    assert seen == [(("A", "B", "before"), None)]
    assert analysis.burden.arms == ("A", "B")
    assert analysis.agreement.agrees


@pytest.mark.parametrize("onset", [None, 4.0])
def test_an_effect_that_begins_on_the_first_day_builds_up_from_nothing(onset):
    arms = (Arm(label="A", half_life_days=2.0, onset_half_life_days=onset), FADING.arms[1])
    begins = replace(FADING, arms=arms, in_force_before=False)
    data = trial_data(("A", "B"), [0, 0, 0, 1, 0], np.zeros(5), taken=[1.0, 0.5, 1.0, 1.0, 1.0])
    speed, half_life = speeds(data, begins), np.array([2.0, 1.0])

    w = exposures(targets(data), speed, half_life)

    assert w[0, 0] == pytest.approx(1 - 0.5 ** (1 / (onset or 2.0)))
    in_force = exposures(
        targets(data), speeds(data, replace(begins, in_force_before=True)), half_life
    )
    assert in_force[0, 0] == 1.0
