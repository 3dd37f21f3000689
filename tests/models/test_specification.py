from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from models.errors import ModelInputError
from models.specification import (
    Arm,
    Better,
    BoundedNormal,
    DecisionRule,
    HalfLifePerArm,
    HalfLifeShared,
    Normal,
    Priors,
    Scale,
    Specification,
    default_decision,
    default_priors,
)

TWO = (Arm(label="A", half_life_days=1.0), Arm(label="B", half_life_days=0.1))


def test_the_hash_of_the_defaults_never_changes():
    """Frozen protocols hold this value: a changed default is a new model version."""
    assert (
        Specification(arms=TWO).specification_hash
        == "a08dc7b6b145827a34c47ef4da18f0f603c2af1a352f11b7009f672504d4e006"
    )


def test_every_default_is_written_out():
    content = json.loads(Specification(arms=TWO).canonical_json())

    assert content["priors"]["sd"] == {
        "family": "LogNormal",
        "mean_log": math.log(1.1),
        "sd_log": 0.45,
    }
    assert content["decision"]["equal_margin"] == 0.5


def test_every_change_gives_another_hash():
    base = Specification(arms=TWO)
    changed = [
        base,
        replace(base, trend=False),
        replace(base, carryover=True),
        replace(base, weights={"bother": 0.5}),
        replace(base, decision=DecisionRule(best=0.97)),
        replace(base, priors=Priors(half_life=HalfLifeShared(0.0, 0.35))),
        replace(base, priors=Priors(half_life=HalfLifePerArm(0.7))),
    ]

    assert len({s.specification_hash for s in changed}) == len(changed)


def test_on_another_scale_points_are_stretched_and_weeks_are_not():
    priors = default_priors(Scale(0.0, 100.0))

    assert priors.level == Normal(50.0, 25.0)
    assert priors.arm == Normal(0.0, 15.0)
    assert priors.trend_per_week == Normal(-0.5, 2.0)
    assert priors.sd.mean_log == pytest.approx(math.log(11.0))
    assert priors.sd.sd_log == 0.45
    assert priors.autocorrelation == Priors().autocorrelation
    assert default_decision(Scale(0.0, 100.0)).equal_margin == 5.0


def test_where_higher_is_better_the_drift_points_up():
    scale = Scale(0.0, 10.0, Better.HIGHER)

    assert default_priors(scale).trend_per_week.mean == 0.05
    assert scale.sign == -1.0


def test_a_scale_that_does_not_start_at_zero_keeps_its_middle():
    assert default_priors(Scale(1.0, 11.0)).level.mean == 6.0


def test_half_lives_have_a_floor():
    assert Specification(arms=TWO, carryover=True).prior_half_lives() == (1.0, 0.25)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Specification(arms=TWO[:1]),
        lambda: Specification(arms=(TWO[0], TWO[0])),
        lambda: Specification(arms=(Arm(label="A"), Arm(label="B")), carryover=True),
        lambda: Specification(arms=TWO, decision=DecisionRule(comparator="C")),
        lambda: Specification(arms=TWO, weights={"bother": -1.0}),
        lambda: Specification(arms=TWO, weights={"bother": math.nan}),
        lambda: DecisionRule(best=1.2),
        lambda: DecisionRule(minimum_coverage=1.2),
        lambda: DecisionRule(minimum_periods=0),
        lambda: Normal(0.0, 0.0),
        lambda: BoundedNormal(0.3, 0.2, 0.5, 0.5),
        lambda: Priors(autocorrelation=BoundedNormal(0.3, 0.2, -1.0, 0.9)),
        lambda: Scale(10.0, 0.0),
        lambda: Arm(label="A", half_life_days=0.0),
    ],
)
def test_what_cannot_be_is_refused(make):
    with pytest.raises(ModelInputError):
        make()
