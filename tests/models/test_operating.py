from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from models.decision import Kind
from models.operating import (
    DesignShape,
    Scenario,
    Study,
    Trace,
    calibrate,
    calibrated_threshold,
    default_scenarios,
    design_hash,
    draw_order,
    no_difference,
    operating_characteristics,
    threshold_for,
)
from models.specification import Arm, DecisionRule
from trials.domain.design import Design
from trials.domain.randomization import draw_sequence

DESIGN = DesignShape(blocks=3, period_days=7)


@pytest.mark.parametrize("scheme", ["blocks", "latin", "abba", "fixed"])
@pytest.mark.parametrize("arms", [2, 3, 4])
def test_every_block_holds_every_arm_once(scheme, arms):
    design = DesignShape(blocks=4, scheme=scheme)
    order = draw_order(arms, design, np.random.default_rng(1))

    assert len(order) == 4 * arms
    for block in range(4):
        assert sorted(order[block * arms : (block + 1) * arms]) == list(range(arms))


@pytest.mark.parametrize(("arms", "rows"), [(3, 6), (4, 4), (2, 2)])
def test_latin_orders_let_each_arm_follow_each_other_equally(arms, rows):
    order = draw_order(arms, DesignShape(blocks=rows, scheme="latin"), np.random.default_rng(1))
    blocks = [order[i * arms : (i + 1) * arms] for i in range(rows)]

    follows = Counter(pair for block in blocks for pair in pairwise(block))
    assert len(follows) == arms * (arms - 1)
    assert len(set(follows.values())) == 1


def test_abba_mirrors_every_second_block():
    order = draw_order(3, DesignShape(blocks=2, scheme="abba"), np.random.default_rng(1))

    assert order[3:] == order[:3][::-1]


def test_a_better_arm_is_found_and_an_equal_one_is_not(specification):
    scenarios = (
        Scenario(name="no difference", sd=0.8),
        Scenario(name="clear", effects={"C": -3.0}, sd=0.8, autocorrelation=0.2),
    )
    result = operating_characteristics(specification, DESIGN, scenarios, trials=60, draws=500)

    _of_the_priors, same, clear = result.results
    assert clear.right.value > 0.9
    assert clear.wrong.value == 0.0
    assert same.right.value == 0.0
    assert same.wrong.value < 0.15
    assert 0.8 < clear.covered.value <= 1.0
    for one in result.results:
        parts = (one.right, one.wrong, one.equal, one.none, one.undetermined, one.refused)
        assert sum(part.value for part in parts) == pytest.approx(1.0)


def test_the_means_carry_their_monte_carlo_errors(specification):
    (few,), (many,) = (
        operating_characteristics(
            specification, DESIGN, (Scenario(name="no difference"),), trials=trials, draws=200
        ).results
        for trials in (20, 80)
    )

    assert 0 < many.interval_width_error < few.interval_width_error < few.interval_width
    assert few.days_error == 0.0  # without an interim look every trial lives all its days


def test_looks_shorten_a_clear_trial(specification):
    scenario = Scenario(name="clear", effects={"C": -4.0}, sd=0.7)
    once, often = (
        operating_characteristics(
            specification, replace(DESIGN, looks=looks), (scenario,), trials=20, draws=500
        ).results[1]
        for looks in (1, 3)
    )

    assert once.days == 63
    assert often.days < 60


def test_the_first_scenario_is_always_no_difference(specification):
    result = operating_characteristics(
        specification, DESIGN, (Scenario(name="x", effects={"A": 1.0}),), trials=20, draws=200
    )

    assert [r.scenario.name for r in result.results] == ["no difference", "x"]


def test_the_same_seed_gives_the_same_table_however_it_is_cut(specification):
    scenario = (Scenario(name="no difference"),)
    one, again = (
        operating_characteristics(specification, DESIGN, scenario, trials=30, draws=200)
        for _ in range(2)
    )

    assert one == again


def traced(*highest):
    return [
        Trace(Kind.UNDETERMINED, right=False, could_be_best=h, days=1, widths=(), covered=0)
        for h in highest
    ]


def test_the_threshold_lets_five_in_a_hundred_through():
    traces = traced(*((p / 1000,) for p in range(1000)))

    threshold, low, high = calibrated_threshold(traces)

    assert np.mean([t.could_be_best[0] >= threshold for t in traces]) == pytest.approx(0.05)
    assert low < threshold < high


def test_the_highest_of_all_looks_counts():
    once, often = (
        calibrated_threshold(traced(*looks))[0] for looks in (((0.5,),) * 20, ((0.5, 0.9),) * 20)
    )

    assert (once, often) == pytest.approx((0.5, 0.9), abs=1e-5)


def test_a_threshold_is_cached_by_all_that_decides_it(specification):
    other_rule = replace(specification, decision=DecisionRule(best=0.99))
    wider = replace(specification, decision=DecisionRule(equal_margin=1.0))

    assert design_hash(specification, DESIGN) == design_hash(other_rule, DESIGN)
    assert design_hash(specification, DESIGN) != design_hash(wider, DESIGN)
    assert design_hash(specification, DESIGN) != design_hash(
        specification, replace(DESIGN, looks=3)
    )


def test_a_known_design_is_not_simulated_again(specification):
    cache = {}
    first = threshold_for(specification, DESIGN, cache, trials=20, draws=200)
    table = operating_characteristics(
        specification, DESIGN, (Scenario(name="no difference"),), trials=20, draws=200
    )

    assert first == table.threshold
    assert cache == {design_hash(specification, DESIGN): first}
    cache[design_hash(specification, DESIGN)] = 0.123
    assert threshold_for(specification, DESIGN, cache) == 0.123


def test_sensible_scenarios_ask_about_side_effects_only_when_they_are_weighed(fading):
    plain = [s.name for s in default_scenarios(fading)]
    weighed = [s.name for s in default_scenarios(replace(fading, weights={"bother": 0.5}))]

    assert plain[0] == "no difference"
    assert any("half-lives" in name for name in plain)
    assert len(weighed) == len(plain) + 1


def test_a_threshold_rests_on_no_scenario_that_is_asked(specification):
    """Whatever "no difference" is asked of wild or silent patients: c1 comes from the priors."""
    plain, wild, silent = (
        operating_characteristics(specification, DESIGN, asked, trials=20, draws=200)
        for asked in (
            (),
            (Scenario(name="wild", period_sd=5.0),),
            (Scenario(name="silent", missing=0.7),),
        )
    )

    assert plain.threshold == wild.threshold == silent.threshold > 0.3


def test_what_arms_cost_by_themselves_makes_no_difference_where_there_is_none(specification):
    """The dearer arm's effect makes its cost good, or naming the cheaper would count as false."""
    costly = replace(
        specification,
        arms=(*specification.arms[:2], replace(specification.arms[2], burden=1.5)),
    )
    same, better = default_scenarios(costly)[:2]

    def burden(scenario: Scenario) -> list[float]:
        return [scenario.effects.get(a.label, 0.0) + a.burden for a in costly.arms]

    assert burden(same) == pytest.approx([0.5, 0.5, 0.5])
    assert burden(better) == pytest.approx([0.5, 0.5, -0.5])
    assert no_difference(specification) == Scenario(name="no difference")
    even, uneven = (
        operating_characteristics(s, DESIGN, trials=40, draws=300, scenarios=(no_difference(s),))
        for s in (specification, costly)
    )
    assert uneven.threshold == pytest.approx(even.threshold, abs=0.04)


def test_bother_that_undoes_relief_stays_on_its_scale(specification):
    light, heavy = (
        default_scenarios(replace(specification, weights={"bother": weight}))[-1]
        for weight in (0.1, 1.0)
    )

    assert light.bother == {"C": 6.0}
    assert light.effects["C"] == pytest.approx(-0.6)
    assert heavy.bother == {"C": 2.0}
    assert heavy.effects["C"] == pytest.approx(-2.0)


def test_a_run_in_with_an_arm_of_its_own_is_simulated_too(specification):
    own = replace(specification, run_in=Arm(label="R"))
    found = operating_characteristics(
        own, replace(DESIGN, run_in_days=7), (no_difference(own),), trials=20, draws=200
    )

    assert found.results[0].refused.value < 0.5
    assert found.results[0].interval_width > 0


@pytest.mark.parametrize(("arms", "blocks"), [(2, 4), (3, 3)])
def test_orders_are_dealt_like_those_of_the_trial(arms, blocks):
    """Every order that a balanced trial can get is simulated, and no other."""
    names = "ABC"[:arms]
    design = Design(arms=tuple(names), blocks=blocks, period_days=7)
    shape = DesignShape(blocks=blocks, period_days=7, scheme="latin")
    real = {draw_sequence(design, f"{n:032d}".encode()) for n in range(6000)}
    simulated = {
        tuple(names[k] for k in draw_order(arms, shape, np.random.default_rng(n)))
        for n in range(6000)
    }

    assert simulated == real


def test_an_order_given_by_hand_is_kept_and_its_arms_are_dealt():
    by_hand = DesignShape(blocks=2, scheme="fixed", order=(0, 1, 1, 0))
    orders = {tuple(draw_order(2, by_hand, np.random.default_rng(n))) for n in range(20)}

    assert orders == {(0, 1, 1, 0), (1, 0, 0, 1)}


def test_the_washout_of_the_first_period_can_be_left_out(specification):
    kept, left_out = (
        operating_characteristics(
            specification,
            replace(DESIGN, washout_days=4, washout_first=first),
            (Scenario(name="no difference", sd=1.0),),
            trials=20,
            draws=200,
        ).results[1]
        for first in (False, True)
    )

    assert left_out.interval_width > kept.interval_width


def test_a_study_judges_its_scenarios_with_the_threshold_it_calibrated(specification):
    lax = replace(specification, decision=DecisionRule(best=0.51))
    told = calibrate(Study(specification=lax, design=DESIGN), trials=40, scenario_trials=20,
                     draws=200)  # fmt: skip

    assert told.best_used == max(0.51, told.threshold)
    assert told.results[0].scenario.name == "no difference"
    assert {r.trials for r in told.results} == {20}


def test_a_study_never_judges_laxer_than_agreed(specification):
    strict = replace(specification, decision=DecisionRule(best=0.999))
    told = calibrate(Study(specification=strict, design=DESIGN), trials=20, scenario_trials=20,
                     draws=200)  # fmt: skip

    assert told.best_used == 0.999 > told.threshold


def test_a_study_is_known_by_all_that_decides_it(specification):
    study = Study(specification=specification, design=DESIGN)
    others = (
        replace(study, sd=2.0),
        replace(study, autocorrelation=0.5),
        replace(study, design=replace(DESIGN, looks=3)),
        replace(study, design=replace(DESIGN, washout_first=True)),
        replace(study, specification=replace(specification, decision=DecisionRule(best=0.99))),
        replace(study, specification=replace(specification, trend=False)),
    )

    assert len({study.design_hash, *(other.design_hash for other in others)}) == len(others) + 1
    assert {s.sd for s in replace(study, sd=2.0).scenarios()} == {2.0}


def test_the_false_best_share_holds_on_trials_the_threshold_was_not_made_from(specification):
    looks = replace(DESIGN, looks=3)
    lax = replace(specification, decision=DecisionRule(best=0.51))
    told = calibrate(Study(specification=lax, design=looks), trials=150, scenario_trials=80,
                     draws=300)  # fmt: skip
    same = told.results[0]

    assert same.wrong.value <= 0.05 + 3 * max(same.wrong.error, 0.024)


def test_what_the_predictive_checks_would_refuse_is_told_beside(specification):
    """None of the model's own patients; most whose periods differ far beyond the prior."""
    told = operating_characteristics(
        specification,
        DesignShape(blocks=3, period_days=7),
        [Scenario(name="no difference"), Scenario(name="wild periods", period_sd=6.0)],
        trials=40,
        draws=500,
    )
    own, wild = told.results

    assert own.unlike is not None
    assert own.unlike.value < 0.1
    assert wild.unlike is not None
    assert wild.unlike.value > 0.5
    assert wild.refused.value < 0.2  # it is told beside, and changes no verdict
