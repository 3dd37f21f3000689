from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.analysis import analyze
from models.data import trial_data
from models.decision import Kind, decide
from models.sensitivity import Intake, sensitivity, sensitivity_in_blind
from models.specification import Arm
from models.words import render


def test_a_clear_verdict_holds_whatever_is_assumed(trial, fading):
    clearer = trial.with_outcome(trial.outcome - (trial.day_arm == 1))
    table = sensitivity(analyze(clearer, fading, seed=1), seed=1)

    assert all(row.holds for row in table.rows)
    assert len(table.rows) == 3 + 12
    assert render(table.sentence) == (
        "The verdict holds in all 15 other ways of looking at the data."
    )


def test_a_verdict_that_hangs_on_one_period_says_so(specification, trial):
    """B is half a point better everywhere and four points in one single period."""
    outcome = trial.outcome + np.where(trial.day_arm == 1, 1.7, 0.0)
    outcome = np.where(trial.day_period == 1, outcome - 4.0, outcome)
    eager = replace(
        specification, decision=replace(specification.decision, best=0.75, expected_loss=0.5)
    )
    analysis = analyze(trial.with_outcome(outcome), eager, seed=1)
    table = sensitivity(analysis, seed=1)

    changed = [render(row.what) for row in table.rows if not row.holds]
    assert analysis.verdict.kind is Kind.BEST
    assert "period 2 is left out" in changed
    assert "it changes if" in render(table.sentence)


def test_weights_and_intake_are_varied_where_there_are_any(trial, specification):
    rng = np.random.default_rng(1)
    data = replace(
        trial,
        bothers={"bother": np.where(trial.day_arm == 1, 3.0, 0.0) + rng.random(trial.days)},
        taken=np.where(np.arange(trial.days) % 9 == 0, 0.0, 1.0),
    )
    analysis = analyze(data, replace(specification, weights={"bother": 0.45}), seed=1)
    rows = {render(row.what): row for row in sensitivity(analysis, seed=1).rows}

    assert {"side effects weigh half as much", "side effects weigh twice as much"} <= set(rows)
    assert "every dose is counted as taken" in rows
    assert rows["side effects weigh twice as much"].p_best["B"] < 0.5


def test_the_missing_days_that_would_turn_the_verdict_are_told(trial, specification):
    """The fewer days are missing, the worse they must be."""
    analysis = analyze(trial, specification, seed=1)
    points = {t.arm: t for t in sensitivity(analysis, seed=1).tipping}

    assert 0 < points["B"].share < 0.3
    assert points["B"].points is None or points["B"].points > 2
    hidden = trial.with_outcome(np.where(np.arange(trial.days) % 6 == 0, np.nan, trial.outcome))
    more = {t.arm: t for t in sensitivity(analyze(hidden, specification, seed=1), seed=1).tipping}
    assert more["B"].points is not None
    assert more["B"].points > 0


def test_a_period_that_leaves_too_few_is_not_counted_as_holding(specification, trial):
    """Two periods of each arm: without one of them no verdict is allowed, so none can hold."""
    short = trial_data(
        trial.arms,
        trial.day_arm[:42],
        trial.outcome[:42] - 2.0 * (trial.day_arm[:42] == 1),
        day_period=trial.day_period[:42],
    )
    table = sensitivity(analyze(short, specification, seed=1), seed=1)
    without = [row for row in table.rows if "left out" in render(row.what)]

    assert len(without) == 6
    assert all(row.kind is Kind.REFUSED and not row.holds for row in without)
    assert render(table.sentence) == (
        "The verdict holds in all 1 other ways of looking at the data."
    )


def test_the_missing_days_turn_a_verdict_either_way(specification, trial):
    """What cannot be told becomes told when the days that lack were better, not only worse."""
    wanted = replace(specification, decision=replace(specification.decision, best=0.999))
    hidden = np.where(
        (np.arange(trial.days) % 3 == 0) & (trial.day_arm == 1), np.nan, trial.outcome
    )
    undetermined = analyze(trial.with_outcome(hidden + 1.2 * (trial.day_arm == 1)), wanted, seed=1)
    table = sensitivity(undetermined, seed=1)

    assert undetermined.verdict.kind is Kind.UNDETERMINED
    points = {t.arm: t.points for t in table.tipping}
    burden = undetermined.burden.arm_mean
    share = next(t.share for t in table.tipping if t.arm == "B")
    turning = [
        d
        for d in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5)
        if decide(burden + d * share * np.array([0, 1, 0]), wanted).kind is not Kind.UNDETERMINED
    ]
    assert points["B"] == turning[0]


def test_a_refused_verdict_has_nothing_to_vary(trial, specification):
    silent = trial.with_outcome(np.full(trial.days, np.nan))

    assert sensitivity(analyze(silent, specification, seed=1), seed=1) is None


def bare_of(specification):
    return replace(
        specification,
        arms=tuple(Arm(label=label) for label in specification.labels),
        carryover=False,
        decision=replace(specification.decision, comparator=None),
    )


def test_in_blind_no_row_names_a_period_or_a_half_life(trial, fading):
    compared = replace(fading, decision=replace(fading.decision, comparator="A"))
    analysis = analyze(trial, compared, seed=1)
    rows = sensitivity_in_blind(analysis, bare_of(compared), seed=1)

    assert [render(row.what) for row in rows.rows] == ["periods differ twice as much by themselves"]
    assert rows.tipping == ()
    assert render(rows.sentence).startswith("The verdict holds in")


def test_in_blind_the_reference_says_nothing(trial, fading):
    """Two rules that differ in their reference give a blinded reader the same table."""
    tables = [
        sensitivity_in_blind(analyze(trial, s, seed=1), bare_of(s), seed=1)
        for label in "AB"
        for s in [replace(fading, decision=replace(fading.decision, comparator=label))]
    ]

    assert tables[0].rows == tables[1].rows


def test_late_reports_are_left_out_in_a_row_of_their_own(trial, fading):
    late = np.arange(trial.days) % 9 == 0
    rows = {
        name: {render(row.what) for row in table.rows}
        for name, table in (
            ("late", sensitivity(analyze(trial, fading, seed=1), seed=1, draws=500, late=late)),
            (
                "none",
                sensitivity(analyze(trial, fading, seed=1), seed=1, draws=500, late=late & False),
            ),
        )
    }

    (told,) = rows["late"] - rows["none"]
    assert "came late" in told


def test_a_blinded_reader_is_not_shown_what_late_reports_change(trial, fading):
    analysis = analyze(trial, fading, seed=1)
    late = np.arange(trial.days) % 9 == 0

    table = sensitivity_in_blind(analysis, bare_of(fading), seed=1, draws=500, late=late)

    assert not any("came late" in render(row.what) for row in table.rows)


def test_both_ways_to_count_doses_are_tried(trial, fading):
    """Days of a pause have no dose, whichever way doses are counted."""
    pause = np.where(np.isin(np.arange(trial.days), [30, 31]), 0.0, 1.0)
    reported = pause * np.where(np.arange(trial.days) % 5 == 0, 0.0, 1.0)
    intake = Intake(assigned=pause, taken=reported)
    found = {}
    for name, taken in (("assigned", pause), ("taken", reported)):
        analysis = analyze(replace(trial, taken=taken.copy()), fading, seed=1)
        table = sensitivity(analysis, seed=1, draws=1000, intake=intake)
        found[name] = {render(row.what) for row in table.rows}

    assert "doses are counted as the patient reported them" in found["assigned"]
    assert "every dose is counted as taken" not in found["assigned"]
    assert "every dose is counted as taken" in found["taken"]
    assert "doses are counted as the patient reported them" not in found["taken"]
