"""The tables of the evidence, on runs small enough for every day."""

from __future__ import annotations

import numpy as np
import pytest

from models.evidence import calibration, designs, gabapentin, placebo, refusals, reliability
from models.evidence.calibration import Ranks, band, calibration_table, farthest, plot


def test_ranks_of_a_right_engine_are_uniform():
    ranks = calibration.calibrate(simulations=20, missing=(0.15,))

    assert len(ranks) == len(calibration.MODELS)
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
    outcomes = placebo.placebo_test(diaries, calibration_trials=50)

    assert all(o.highest["AR(1) + trend + period"].size == 6 * placebo.LAYS for o in outcomes)
    assert all(0.8 < c1 <= 1.0 for o in outcomes for c1 in o.threshold.values())
    assert all(o.threshold[m] >= least for o in outcomes for m, least in placebo.LEAST.items())
    rows = placebo.placebo_table(outcomes).rows
    assert len(rows) == 4 * 5
    assert {row[4] for row in rows} == {
        f"{c1:.4f}" for o in outcomes for c1 in o.threshold.values()
    }


def test_every_method_is_held_to_the_threshold_of_its_layout():
    layout = placebo.LAYOUTS[0]
    highest = {m: np.array([0.9, 0.97, 0.97, 0.99]) for m in placebo.METHODS}
    covered = {m: np.ones(4) for m in placebo.METHODS}
    named = {m: np.array([False, False, True, True]) for m in placebo.METHODS[1:]}
    thresholds = {**dict.fromkeys(placebo.METHODS, 0.98), placebo.METHODS[4]: 0.995}
    outcome = placebo.Outcome(layout, highest, covered, thresholds, named)

    rows = placebo.placebo_table([outcome]).rows

    assert [row[5].split()[0] for row in rows] == ["25.0"] * 4 + ["0.0"]
    assert [row[6] for row in rows] == ["", *["50.0"] * 4]
    assert [row[8] for row in rows] == ["", "", "NO", "NO", "NO"]


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
    rows = designs.peeking_table(trials=100).rows
    false = {row[:2]: float(row[2].split()[0]) for row in rows}

    assert all(false[arms, "4"] > false[arms, "1"] for arms in "23")


def test_the_leader_is_best_as_often_as_it_says():
    bins = reliability.reliability(trials=300, seed=9)

    assert sum(b.trials for b in bins) == 300
    assert reliability.reliability_table(bins).passed
    assert reliability.plot(bins).count("<circle") == len(bins)


def test_a_leader_that_boasts_is_noticed():
    boasting = reliability.Bin(low=0.9, high=0.96, trials=500, stated=0.93, true=0.7, error=0.011)

    assert not reliability.reliability_table([boasting]).passed


def test_all_that_must_be_refused_is_refused_with_its_reason():
    table = refusals.refusals_table()
    reasons = {row[0]: row[1] for row in table.rows}

    assert table.passed
    assert "at least 2 are needed" in reasons["one block"]
    assert reasons["an arm without data"] == "There is no rating on B."
    assert "All ratings are the same" in reasons["constant ratings"]
    assert "periods" in reasons["60 % of the days missing"].replace("(s)", "s")
    assert "shorter than three" in reasons["a period shorter than three half-lives"]
    assert "low end of the scale" in reasons["a diary stuck at an end of the scale"]
    assert "did not converge" in reasons["a sampler that did not converge"]


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
