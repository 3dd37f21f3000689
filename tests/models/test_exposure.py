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


def test_a_switch_is_a_jump_and_the_time_since():
    """A for two days, then B, which builds up twice as fast."""
    target = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    speed = np.array([[np.inf, 1.0], [1.0, 1.0], [1.0, 2.0], [1.0, 2.0]])

    found = switches(target, speed)

    assert found.jump.tolist() == [[0.0, 0.0], [1.0, -1.0]]
    assert found.segment.tolist() == [0, 0, 1, 1]
    assert found.age[2:].tolist() == [[1.0, 2.0], [2.0, 4.0]]
    assert found.wait.tolist() == [[0.0, 0.0], [1.0, 2.0]]


def test_a_missed_dose_is_two_switches_of_its_arm_alone():
    speed = np.array([[1.0, np.inf], [1.0, 1.0], [1.0, 1.0]])

    found = switches(np.array([[0.0, 1.0], [0.0, 0.5], [0.0, 1.0]]), speed)

    assert found.jump.tolist() == [[0.0, 0.0], [0.0, 0.5], [0.0, -0.5]]
    assert found.segment.tolist() == [0, 1, 2]
    assert found.age[1:, 1].tolist() == [1.0, 1.0]
    assert found.wait[2, 1] == 1.0


def test_one_slow_day_among_usual_ones_is_not_overlooked():
    """On the second day alone the effect builds up at half its speed."""
    speed = np.array([[1.0], [0.5], [1.0], [1.0]])
    found = exposures(np.ones((4, 1)), speed, np.array([2.0]))

    assert found[:, 0] == pytest.approx(1.0 - 2.0 ** (-np.array([1.0, 1.5, 2.5, 3.5]) / 2.0))


def test_what_begins_on_the_first_day_is_a_switch_from_nothing():
    found = switches(np.array([[1.0], [1.0]]), np.array([[0.5], [0.5]]))

    assert found.jump.tolist() == [[-1.0]]
    assert found.age.tolist() == [[0.5], [1.0]]


def test_an_arm_heads_for_the_dose_that_was_taken_while_it_is_in_force():
    data = trial_data(("A", "B"), [0, 1, NO_ARM, 1], np.zeros(4), taken=[1.0, 0.5, 1.0, 0.0])

    assert targets(data).tolist() == [[1.0, 0.0], [0.0, 0.5], [0.0, 0.0], [0.0, 0.0]]


def test_an_onset_changes_the_speed_on_the_days_of_its_arm_only():
    slow = replace(
        SPECIFICATION,
        arms=(Arm(label="A", half_life_days=2.0, onset_half_life_days=4.0), SPECIFICATION.arms[1]),
    )
    data = trial_data(("A", "B"), [0, 1, NO_ARM, 0], np.zeros(4))

    begun = replace(slow, in_force_before=False)
    assert speeds(data, begun).tolist() == [[0.5, 1.0], [1.0, 1.0], [1.0, 1.0], [0.5, 1.0]]
    assert speeds(data, slow)[0].tolist() == [np.inf, 1.0]
    assert speeds(data, slow)[1:].tolist() == speeds(data, begun)[1:].tolist()


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


def test_many_half_lives_at_once_are_each_by_itself():
    data = trial_data(("A", "B"), [0, 0, 1, 1, 0], np.zeros(5))
    target, speed = targets(data), speeds(data, SPECIFICATION)
    every = np.array([[0.5, 1.0, 2.0], [3.0, 1.0, 0.25]])

    together = exposures(target, speed, every)

    assert together.shape == (5, 2, 3)
    for point in range(3):
        alone = exposures(target, speed, every[:, point])
        assert together[:, :, point] == pytest.approx(alone)


def test_twice_the_speed_is_half_the_half_life():
    target = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    half_life = np.array([3.0, 2.0])

    fast = exposures(target, np.full((3, 2), 2.0), half_life)

    assert fast == pytest.approx(exposures(target, np.ones((3, 2)), half_life / 2))
