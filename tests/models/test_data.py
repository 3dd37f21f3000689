from __future__ import annotations

import numpy as np
import pytest

from models.data import NO_ARM, analysis_window, periods_of, trial_data
from models.errors import ModelInputError


def small(**changes):
    values = {"arms": ("A", "B"), "day_arm": [0, 0, 1, 1], "outcome": [1.0, np.nan, 3.0, 4.0]}
    return trial_data(**{**values, **changes})


def test_a_period_ends_where_the_arm_changes():
    assert periods_of(np.array([NO_ARM, 0, 0, 1, 0])).tolist() == [0, 1, 1, 2, 3]


def test_a_period_of_its_own_may_follow_on_the_same_arm():
    data = small(day_arm=[0, 0, 0, 1], day_period=[0, 0, 1, 2])

    assert data.period_arm.tolist() == [0, 0, 1]


def test_washout_leaves_out_the_first_days_after_each_switch_but_not_of_the_trial():
    inside = analysis_window(np.array([0, 0, 0, 1, 1, 1]), 2)

    assert inside.tolist() == [True, True, True, False, False, True]


def test_a_missing_rating_is_never_observed_and_a_washout_day_neither():
    data = small(in_analysis=[True, True, False, True])

    assert data.observed.tolist() == [True, False, False, True]


def test_weeks_are_counted_from_the_middle_of_the_trial():
    assert small().week == pytest.approx([-1.5 / 7, -0.5 / 7, 0.5 / 7, 1.5 / 7])


def test_unknown_intake_counts_as_taken():
    assert small(taken=[np.nan, 0.5, 1.0, 0.0]).taken.tolist() == [1.0, 0.5, 1.0, 0.0]


def test_the_hash_of_a_trial_never_changes():
    """A stored result is found again by it: this value may never change."""
    data = small(bothers={"bother": [0.0, np.nan, 1.0, 2.0]})

    assert data.data_hash == "43dfcb252a545cb9aabd173a54372522be12fac3b376c7d136fb9302e084a845"


def test_the_hash_sees_every_value():
    hashes = {
        small().data_hash,
        small(outcome=[1.0, np.nan, 3.0, 4.5]).data_hash,
        small(outcome=[1.0, 0.0, 3.0, 4.0]).data_hash,
        small(taken=[1, 1, 1, 0.5]).data_hash,
        small(in_analysis=[True, True, True, False]).data_hash,
        small(day_period=[0, 1, 2, 2]).data_hash,
        small(arms=("A", "C")).data_hash,
        small(bothers={"bother": [1, 1, 1, 1]}).data_hash,
        small(first_day=2).data_hash,
    }

    assert len(hashes) == 9


def test_arrays_of_a_trial_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        small().outcome[0] = 9.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"day_arm": [0, 0, 1, 2]}, "names an arm"),
        ({"outcome": [1.0, 2.0, 3.0]}, "one value for each of the 4 days"),
        ({"outcome": [1.0, 2.0, 3.0, np.inf]}, "finite number"),
        ({"arms": ("A", "A")}, "label of its own"),
        ({"day_period": [0, 0, 0, 1]}, "changes inside a period"),
        ({"day_period": [0, 0, 2, 2]}, "follow each other"),
        ({"taken": [1.0, 1.5, 1.0, 1.0]}, "between 0 and 1"),
        ({"day_arm": [], "outcome": []}, "at least one day"),
    ],
)
def test_contradictions_are_said_in_a_sentence(changes, sentence):
    with pytest.raises(ModelInputError, match=sentence):
        small(**changes)
