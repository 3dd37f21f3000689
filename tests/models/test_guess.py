from __future__ import annotations

import numpy as np
import pytest

from models.analysis import analyze
from models.decision import Kind
from models.guess import Guess, _index, _sentence, bang_indices, judge_guesses
from models.words import render


def guesses(trial, right):
    """Guesses of every period; ``right`` says in which the patient names the arm."""
    names = trial.arms
    return [
        Guess(p, names[arm] if right(p) else names[(arm + 1) % 3])
        for p, arm in enumerate(trial.period_arm)
    ]


def test_always_right_is_one_always_wrong_is_below_chance_and_not_knowing_is_none(trial):
    known = bang_indices(trial, guesses(trial, lambda p: True))
    wrong = bang_indices(trial, guesses(trial, lambda p: False))
    unsure = bang_indices(trial, [Guess(p, None) for p in range(12)])

    assert [i.index for i in known] == [1.0, 1.0, 1.0]
    assert [i.index for i in wrong] == pytest.approx([-0.5] * 3)
    assert [i.index for i in unsure] == [0.0, 0.0, 0.0]


def test_guesses_by_chance_lie_around_zero(trial):
    found = bang_indices(trial, [Guess(p, "ABC"[p % 3]) for p in range(12)])

    assert all(i.low < 0.5 and i.high > 0 for i in found)


def test_two_guesses_are_too_few(trial):
    found = bang_indices(trial, [Guess(0, "A"), Guess(1, "B")])

    assert all(i.index is None for i in found)
    assert found[2].guesses == 0


def test_guesses_by_chance_are_seldom_said_to_be_right_more_often(trial):
    """One sentence is one test: at most one of twenty patients who only guess is told so."""
    rng = np.random.default_rng(5)
    said = 0
    for _patient in range(1000):
        blind = [Guess(p, "ABC"[rng.integers(3)]) for p in range(12)]
        overall = _index(trial, None, blind)
        said += "right more often" in render(_sentence(overall))

    assert 10 <= said <= 70


def judged(trial, specification, guessed):
    verdict = analyze(trial, specification, seed=1).verdict
    answer = (verdict.kind, verdict.arm, verdict.equal_arms)
    return judge_guesses(trial, specification, guessed, answer=answer, seed=1)


def test_the_verdict_is_tried_on_the_periods_guessed_wrong(trial, specification):
    report = judged(trial, specification, guesses(trial, lambda p: p in (0, 1, 2)))

    assert report.among_wrong.verdict.arm == "B"
    assert report.survives
    assert "the verdict is the same" in render(report.survival)
    assert report.overall.guesses == 12
    assert report.overall.index < 0
    assert "could hardly show it" in render(report.sentence)


def test_a_verdict_that_hangs_on_the_periods_guessed_right_does_not_survive(trial, specification):
    """Where the patient knew B, B is much better; elsewhere all arms are alike."""
    level = trial.outcome + 2.0 * (trial.day_arm == 1)
    known = [p for p, arm in enumerate(trial.period_arm) if arm == 1][:2]
    better = trial.with_outcome(level - 6.0 * np.isin(trial.day_period, known))
    report = judge_guesses(
        better,
        specification,
        guesses(trial, lambda p: p in known),
        answer=(Kind.BEST, "B", ()),
        seed=1,
    )

    assert report.survives is not True
    assert "the same" not in render(report.survival)


def test_with_all_guessed_right_nothing_is_left_to_judge(trial, specification):
    report = judged(trial, specification, guesses(trial, lambda p: True))

    assert report.among_wrong.verdict.kind is Kind.REFUSED
    assert report.survives is None
    assert "too few periods" in render(report.survival)
    assert report.overall.index == 1.0
    assert "more often than by chance" in render(report.sentence)
