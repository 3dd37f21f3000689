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
    Trace,
    calibrated_threshold,
    default_scenarios,
    design_hash,
    draw_order,
    operating_characteristics,
    threshold_for,
)
from models.specification import DecisionRule

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

    same, clear = result.results
    assert clear.right.value > 0.9
    assert clear.wrong.value == 0.0
    assert same.right.value == 0.0
    assert same.wrong.value < 0.15
    assert 0.8 < clear.covered.value <= 1.0
    for one in result.results:
        parts = (one.right, one.wrong, one.equal, one.none, one.undetermined, one.refused)
        assert sum(part.value for part in parts) == pytest.approx(1.0)


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
