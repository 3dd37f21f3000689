from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data import NO_ARM, trial_data
from models.exposure import exposures, speeds, switches, targets
from models.specification import Arm, Specification

SPECIFICATION = Specification(
    arms=(Arm(label="A", half_life_days=2.0), Arm(label="B", half_life_days=1.0))
)


def of(day_arm, half_life, taken=None, specification=SPECIFICATION):
    data = trial_data(("A", "B"), day_arm, np.zeros(len(day_arm)), taken=taken)
    return exposures(targets(data), speeds(data, specification), np.array(half_life))


def test_an_effect_is_half_there_after_its_half_life_and_half_gone_likewise():
    w = of([0, 0, 1, 1, 1], [2.0, 1.0])

    assert w[:, 0] == pytest.approx([1, 1, 0.5**0.5, 0.5, 0.5**1.5])
    assert w[:, 1] == pytest.approx([0, 0, 0.5, 0.75, 0.875])


def test_on_the_first_day_the_arm_in_force_has_its_whole_effect():
    assert of([1, 1], [9.0, 9.0])[0].tolist() == [0.0, 1.0]


def test_after_a_run_in_nothing_is_there_yet():
    w = of([NO_ARM, NO_ARM, 0], [1.0, 1.0])

    assert w[:, 0].tolist() == [0.0, 0.0, 0.5]


def test_a_missed_dose_lets_the_effect_fade():
    w = of([0, 0, 0], [1.0, 1.0], taken=[1.0, 0.0, 1.0])

    assert w[:, 0].tolist() == [1.0, 0.5, 0.75]


def test_a_slow_onset_builds_up_slower_than_it_fades():
    slow = replace(
        SPECIFICATION,
        arms=(Arm(label="A", half_life_days=2.0, onset_half_life_days=4.0), SPECIFICATION.arms[1]),
    )
    w = of([1, 0, 0, 1, 1], [2.0, 1.0], specification=slow)

    rising = [1 - 0.5**0.25, 1 - 0.5**0.5]
    assert w[1:3, 0] == pytest.approx(rising)
    assert w[3:, 0] == pytest.approx(rising[1] * np.array([0.5**0.5, 0.5]))


def from_switches(target, speed, half_life):
    """Return exposures by the formula of the engine that differentiates."""
    switched = switches(target, speed)
    left = np.zeros_like(switched.jump)
    for s, (jump, wait) in enumerate(zip(switched.jump, switched.wait, strict=True)):
        left[s] = (left[s - 1] * np.exp2(-wait / half_life) if s else 0.0) + jump
    return target + left[switched.segment] * np.exp2(-switched.age / half_life)


@given(
    st.lists(st.integers(-1, 1), min_size=1, max_size=40),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=40, max_size=40),
    st.floats(0.25, 20.0),
    st.floats(0.25, 20.0),
    st.one_of(st.none(), st.floats(0.25, 20.0)),
    st.booleans(),
)
def test_recursion_and_sum_of_switches_are_the_same_exposure(
    arm, taken, h_a, h_b, onset, in_force_before
):
    """The two engines compute exposure by different formulas; they must agree."""
    specification = Specification(
        in_force_before=in_force_before,
        arms=(
            Arm(label="A", half_life_days=3.0, onset_half_life_days=onset),
            Arm(label="B", half_life_days=1.0),
        ),
    )
    data = trial_data(("A", "B"), arm, np.zeros(len(arm)), taken=taken[: len(arm)])
    target, speed, half_life = targets(data), speeds(data, specification), np.array([h_a, h_b])

    summed = from_switches(target, speed, half_life)

    assert exposures(target, speed, half_life) == pytest.approx(summed, abs=1e-12)
    assert (summed >= -1e-12).all()
    assert (summed <= 1 + 1e-12).all()
