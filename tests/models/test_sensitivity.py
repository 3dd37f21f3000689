from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.analysis import analyze
from models.decision import Kind
from models.sensitivity import sensitivity
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


def test_a_refused_verdict_has_nothing_to_vary(trial, specification):
    silent = trial.with_outcome(np.full(trial.days, np.nan))

    assert sensitivity(analyze(silent, specification, seed=1), seed=1) is None
