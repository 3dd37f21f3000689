"""A design that cannot answer its question is refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.domain.design import DecisionRule, Design, Scheme, arm_labels, washout_needed
from trials.domain.errors import DesignError


def test_days_add_up():
    design = Design(("A", "B", "C"), blocks=4, period_days=14, washout_days=4, run_in_days=7)

    assert (design.periods, design.total_days, design.evaluation_days) == (12, 175, 10)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"arms": ("A",)}, "at least two different arms"),
        ({"arms": ("A", "A")}, "at least two different arms"),
        ({"arms": ("A", " ")}, "needs a label"),
        ({"arms": arm_labels(7)}, "at most 6 arms"),
        ({"blocks": 1}, "a drug cannot be told from its week"),
        ({"blocks": 13}, "at most 12 blocks"),
        ({"period_days": 0}, "from 1 to 84 days"),
        ({"period_days": 85}, "from 1 to 84 days"),
        ({"washout_days": -1}, "shorter than no day"),
        ({"washout_days": 5}, "leaves 2 days to evaluate"),
        ({"run_in_days": 29}, "from 0 to 28 days"),
        ({"period_days": 84, "blocks": 12}, "would last"),
        ({"fixed_sequence": ("A", "B", "A", "B")}, "only with the fixed order"),
        ({"scheme": Scheme.FIXED, "fixed_sequence": ("A", "B")}, "every arm once in each"),
        (
            {"scheme": Scheme.FIXED, "fixed_sequence": ("A", "A", "B", "B")},
            "every arm once in each",
        ),
    ],
)
def test_an_impossible_design_is_refused(changed: dict[str, object], sentence: str):
    possible: dict[str, object] = {"arms": ("A", "B"), "blocks": 2, "period_days": 7}

    with pytest.raises(DesignError, match=sentence):
        Design(**(possible | changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"best": 0.5},
        {"best": 1.0},
        {"equal_margin": 0.0},
        {"equal_margin": 4},
        {"equal_probability": 1},
    ],
)
def test_a_decision_rule_stays_within_reason(changed: dict[str, float]):
    with pytest.raises(DesignError):
        DecisionRule(**changed)


@pytest.mark.parametrize(
    ("half_life_hours", "days"), [(30, 7), (12, 3), (216, 45), (16, 4), (60, 13), (2.5, 1)]
)
def test_washout_is_five_half_lives(half_life_hours: float, days: int):
    """The examples of the catalogue's notes: amitriptyline 7 d ... cannabidiol 13 d."""
    assert washout_needed(half_life_hours) == days


@given(st.floats(min_value=0.1, max_value=500))
def test_after_the_washout_at_most_a_thirtieth_is_left(half_life_hours: float):
    left = 2 ** (-24 * washout_needed(half_life_hours) / half_life_hours)

    assert left <= 1 / 32 + 1e-12
