"""Severe side effects that veto an arm, from the diary to the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.analysis import analyze, at_other_weights, judge
from models.data import trial_data
from models.decision import Kind, decide
from models.errors import ModelInputError
from models.harm import Harm, harms_of, in_blind, worst_by_arm
from models.items import SideEffectItem
from models.sensitivity import sensitivity
from models.specification import Arm, Specification
from models.words import render

NAUSEA = SideEffectItem(name="nausea")
LIMITED = Specification(
    arms=tuple(Arm(label=a, severe_limit=0.1) for a in "ABC"), side_effects=(NAUSEA,)
)
BURDEN = np.random.default_rng(0).normal((5.0, 3.0, 5.0), 0.2, (4000, 3))


def with_nausea(trial, severe_on_b, seed=2):
    rng = np.random.default_rng(seed)
    chance = np.where(trial.day_arm == 1, severe_on_b, 0.02)
    return replace(
        trial, severities={"nausea": np.where(rng.random(trial.days) < chance, 3.0, 0.0)}
    )


def test_a_severe_side_effect_vetoes_the_arm_with_the_least_pain(trial):
    before = analyze(trial, LIMITED, seed=1).verdict
    analysis = analyze(with_nausea(trial, 0.5), LIMITED, seed=1)

    assert (before.kind, before.arm) == (Kind.BEST, "B")
    assert analysis.verdict.vetoed == ("B",)
    assert analysis.verdict.arm != "B"
    said = [render(reason) for reason in analysis.verdict.reasons]
    assert any(
        "B is left out: the chance that nausea is severe on more than 10 % of the days" in one
        for one in said
    )
    assert analysis.harms


def test_few_severe_days_veto_nothing(trial):
    verdict = analyze(with_nausea(trial, 0.03), LIMITED, seed=1).verdict

    assert verdict.vetoed == ()
    assert (verdict.kind, verdict.arm) == (Kind.BEST, "B")


def test_the_veto_holds_at_any_weights(trial):
    data = with_nausea(trial, 0.5)

    other = at_other_weights(
        replace(data, bothers={"bother": data.outcome}), LIMITED, {"bother": 0.1}, seed=1
    )

    assert other.verdict.vetoed == ("B",)


def test_a_limit_is_a_share_and_an_arm_without_one_is_never_vetoed(trial):
    unlimited = replace(LIMITED, arms=(LIMITED.arms[0], Arm(label="B"), LIMITED.arms[2]))

    assert analyze(with_nausea(trial, 0.9), unlimited, seed=1).verdict.vetoed == ()
    with pytest.raises(ModelInputError, match="share of days"):
        Arm(label="A", severe_limit=1.0)


def test_what_was_never_severe_on_an_arm_is_not_held_against_it(trial):
    """Moderate on every day of B: the model expects severe days there, the veto waits for one."""
    moderate = replace(trial, severities={"nausea": np.where(trial.day_arm == 1, 2.0, 0.0)})

    assert harms_of(moderate, LIMITED, seed=1) == ()


def test_an_item_the_diary_does_not_have_judges_nothing(trial):
    assert harms_of(trial, LIMITED, seed=1) == ()


def test_the_worst_item_of_an_arm_is_named():
    harms = (
        Harm("A", "nausea", 0.3, 0.1),
        Harm("A", "rash", 0.6, 0.1),
        Harm("B", "rash", 0.2, 0.1),
    )

    assert {arm: harm.item for arm, harm in worst_by_arm(harms, 0.2).items()} == {"A": "rash"}


def test_harm_in_every_arm_leaves_none_to_choose_and_says_which():
    harms = tuple(Harm(label, "rash", 0.9, 0.1) for label in "ABC")
    verdict = decide(BURDEN, LIMITED, harms=harms)

    assert verdict.kind is Kind.REFUSED
    assert verdict.vetoed == ("A", "B", "C")
    assert verdict.p_best == {}
    assert len(verdict.reasons) == 4


def test_an_unreliable_integration_is_refused_with_its_item(trial):
    burden = analyze(trial, LIMITED, seed=1).burden
    verdict = judge(burden, LIMITED, (), (Harm("A", "rash", 0.0, 0.1, 0.9),), provisional=True)

    assert verdict.kind is Kind.REFUSED
    assert "How often rash is severe" in render(verdict.reasons[0])


def test_a_blinded_reader_learns_the_arm_but_no_item():
    harms = (Harm("B", "dry mouth", 0.6, 0.1),)
    shown = in_blind(harms, LIMITED)
    bare = replace(LIMITED, arms=tuple(Arm(label=a) for a in "ABC"))

    assert [(h.arm, h.item) for h in shown] == [("B", "")]
    assert in_blind(harms, bare) == ()
    said = render(decide(BURDEN, LIMITED, harms=shown).reasons[-1])
    assert "B is left out" in said
    assert "dry mouth" not in said


def test_the_table_asks_what_if_severe_days_stood_by_themselves(trial):
    found = sensitivity(analyze(with_nausea(trial, 0.5), LIMITED, seed=1), seed=1, draws=1000)
    rows = {render(row.what): row for row in found.rows}

    row = rows["severe days are counted without what milder ones tell"]
    assert row.holds
    assert all(r.arm != "B" or r.kind is Kind.REFUSED for r in found.rows)


def test_a_limit_and_an_item_change_the_hash_and_nothing_else_does():
    plain = Specification(arms=tuple(Arm(label=a) for a in "ABC"))
    data = trial_data(("A", "B"), [0, 1], [5.0, 4.0])
    graded = trial_data(("A", "B"), [0, 1], [5.0, 4.0], severities={"nausea": [0.0, 1.0]})

    assert "side_effects" not in plain.canonical_json()
    assert LIMITED.specification_hash != plain.specification_hash
    assert data.data_hash != graded.data_hash
