"""The tables of the evidence, on runs small enough for every day."""

from __future__ import annotations

import numpy as np
import pytest

from models.evidence import calibration, designs, gabapentin, placebo
from models.evidence.calibration import Ranks, band, calibration_table, farthest, plot


def test_ranks_of_a_right_engine_are_uniform():
    ranks = calibration.calibrate(simulations=20, missing=(0.15,))

    assert len(ranks) == len(calibration.SPECIFICATIONS)
    table = calibration_table(ranks)
    assert table.passed
    assert {"mean on A", "half-life"} <= {row[2] for row in table.rows}


def test_ranks_of_a_wrong_engine_are_noticed():
    biased = Ranks("biased", 0.0, {"mean": np.random.default_rng(1).beta(2, 1, 500)})

    assert not calibration_table([biased]).passed
    assert "<svg" in plot([biased])


def test_the_distance_from_uniform_is_the_known_one():
    assert farthest(np.array([0.5])) == 0.5
    assert farthest((np.arange(100) + 0.5) / 100) == pytest.approx(0.005)


def test_the_band_is_that_of_kolmogorov():
    assert band(1000, 0.95) == pytest.approx(1.358 / 1000**0.5, rel=0.05)


def test_a_trial_of_noise_has_few_winners_and_the_table_counts_them():
    rng = np.random.default_rng(5)
    diaries = [tuple(np.clip(np.round(rng.normal(5, 1, 70)), 0, 10)) for _ in range(6)]
    diaries.append(tuple([5.0] * 70))
    outcomes = placebo.placebo_test(diaries)

    assert all(o.highest["AR(1) + trend + period"].size == 6 * placebo.LAYS for o in outcomes)
    assert len(placebo.placebo_table(outcomes).rows) == 4 * 3


def test_the_t_test_of_equal_and_of_different_days():
    from models.data import trial_data

    arm = np.repeat([0, 1], 10)
    same = trial_data(("A", "B"), arm, np.tile([4.0, 6.0], 10))
    apart = trial_data(("A", "B"), arm, np.tile([4.0, 6.0], 10) + 5 * arm)

    assert placebo._t_test(same) == (0.5, True)
    assert placebo._t_test(apart)[0] > 0.99


def test_modelled_carryover_removes_the_bias_of_ignoring_it(monkeypatch):
    monkeypatch.setattr(designs, "CARRYOVER_CASES", ((3.0, 14),))
    rows = designs.carryover_table(trials=40).rows
    bias = {row[2]: float(row[3].split()[0]) for row in rows}

    assert bias["ignored"] > 0.3
    assert abs(bias["modelled, h0 right"]) < 0.25


def test_peeking_finds_more_winners():
    false = [float(row[1].split()[0]) for row in designs.peeking_table(trials=100).rows]

    assert false[2] > false[0]


def test_the_leader_is_best_as_often_as_it_says():
    assert designs.reliability_table(trials=300, seed=9).passed


def test_real_trials_of_period_means_are_judged(tmp_path):
    """On a file of the same form as the real one."""
    lines = ["patient,day,period,treatment,outcome,value,cycle,rfs"]
    for cycle in (1, 2, 3):
        lines.append(f"1,,c{cycle}p,placebo,pain_0_10,{7 + 0.1 * cycle},{cycle},1")
        lines.append(f"1,,c{cycle}g,gabapentin,pain_0_10,{2 + 0.1 * cycle},{cycle},1")
        lines.append(f"2,,c{cycle}p,placebo,pain_0_10,{5 if cycle == 1 else ''},{cycle},1")
        lines.append(f"2,,c{cycle}g,gabapentin,pain_0_10,,{cycle},1")
    (tmp_path / "trials.csv").write_text("\n".join(lines))
    table = gabapentin.gabapentin_table(tmp_path / "trials.csv")

    counts = {row[0]: row[1] for row in table.rows}
    assert counts == {"best": "1", "equal": "0", "none": "0", "undetermined": "0", "refused": "1"}
    assert "gabapentin 1 times" in table.notes[0]
