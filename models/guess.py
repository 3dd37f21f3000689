"""Did the blinding hold? The Bang index of the patient's guesses, and what it means.

At the end of each period the patient guesses the arm, or does not know. For one patient the
index says little: a handful of guesses has a wide interval, and a right guess may come from
relief rather than from broken blinding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from models import words
from models.analysis import Analysis, analyze
from models.data import TrialData
from models.decision import Kind
from models.specification import Specification
from models.words import Phrase

type Floats = NDArray[np.float64]

FEWEST_GUESSES = 3
"""Guesses on an arm below which its index is not given."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What the patient thought of one period.

    Attributes:
        period: index of the period, from 0.
        arm: the label guessed; None for "do not know".
    """

    period: int
    arm: str | None


@dataclass(frozen=True, slots=True)
class BangIndex:
    """How guesses on one arm lie between chance and knowledge.

    Attributes:
        arm: the arm the periods were on; None for all arms together.
        guesses: how many, "do not know" included.
        index: share of right guesses above chance less that of wrong ones: 0 chance, 1 always
            right, below 0 more often wrong than by chance; None with too few guesses.
        low, high: 90 % interval.
    """

    arm: str | None
    guesses: int
    index: float | None
    low: float | None
    high: float | None


type Answer = tuple[Kind, str | None, tuple[str, ...]]
"""What a verdict says: its kind, the arm it names, the arms that are equal."""


@dataclass(frozen=True, slots=True)
class GuessReport:
    """Whether the blinding held, said with the modesty that a handful of guesses asks for.

    Attributes:
        indices: by arm.
        overall: of all arms together.
        among_wrong: the analysis of the periods not guessed right.
        survives: whether its verdict is the same; None when too few periods are left.
        sentence: what the guesses say of the blinding.
        survival: what the analysis among the others says.
    """

    indices: tuple[BangIndex, ...]
    overall: BangIndex
    among_wrong: Analysis
    survives: bool | None
    sentence: Phrase
    survival: Phrase


def bang_indices(data: TrialData, guesses: Sequence[Guess]) -> tuple[BangIndex, ...]:
    """Return Bang's index for each arm (Bang, Ni, Davis 2004), for any number of arms.

    With K arms a blind guess is right with chance 1/K. The index is the share of right
    guesses minus the chance share among those who guessed, scaled so that always right is 1.
    """
    return tuple(
        _index(data, label, [g for g in guesses if int(data.period_arm[g.period]) == k])
        for k, label in enumerate(data.arms)
    )


def _index(data: TrialData, arm: str | None, own: Sequence[Guess]) -> BangIndex:
    """Return the index over some guesses."""
    if len(own) < FEWEST_GUESSES:
        return BangIndex(arm, len(own), None, None, None)
    by_chance = 1 / len(data.arms)
    named = [g for g in own if g.arm is not None]
    right = sum(g.arm == _label(data, g.period) for g in named)
    told = len(named) / len(own)
    low, high = (_share_quantile(right, len(named), p) for p in (0.05, 0.95))
    share = right / len(named) if named else by_chance
    index, low, high = (told * (s - by_chance) / (1 - by_chance) for s in (share, low, high))
    return BangIndex(arm, len(own), index, low, high)


def judge_guesses(
    data: TrialData,
    specification: Specification,
    guesses: Sequence[Guess],
    *,
    answer: Answer,
    seed: int,
) -> GuessReport:
    """Return the indices and whether the verdict survives where the patient guessed wrong.

    The periods guessed right are left out of the fit but still expose; with too few periods
    left the analysis refuses, as it should.

    Args:
        data: the trial.
        specification: what was fitted.
        guesses: of its periods.
        answer: of the verdict that is to survive.
        seed: of the fit.
    """
    right = {g.period for g in guesses if g.arm == _label(data, g.period)}
    indices = bang_indices(data, guesses)
    inside = data.in_analysis & ~np.isin(data.day_period, list(right))
    among_wrong = analyze(replace(data, in_analysis=inside), specification, seed=seed)
    verdict = among_wrong.verdict
    survives = (
        None
        if verdict.kind is Kind.REFUSED
        else (verdict.kind, verdict.arm, verdict.equal_arms) == answer
    )
    overall = _index(data, None, guesses)
    return GuessReport(
        indices=indices,
        overall=overall,
        among_wrong=among_wrong,
        survives=survives,
        sentence=_sentence(overall),
        survival=words.too_few_wrong()
        if survives is None
        else words.survives_wrong_guesses(survives),
    )


def _label(data: TrialData, period: int) -> str | None:
    arm = int(data.period_arm[period])
    return data.arms[arm] if arm >= 0 else None


def _share_quantile(right: int, of: int, probability: float) -> float:
    """Quantile of a share after so many right guesses, from a Jeffreys prior."""
    return float(betaincinv(right + 0.5, of - right + 0.5, probability))


def _sentence(overall: BangIndex) -> Phrase:
    """Say what all guesses together show.

    Not arm by arm: of four intervals, each wrong above in one case of twenty, one is in every
    fourth trial whose patient only guessed.
    """
    if overall.low is None:
        return Phrase("There are too few guesses to say whether the blinding held.")
    if overall.low > 0:
        return Phrase(
            "The guesses were right more often than by chance. This may come from relief or "
            "side effects that were felt, and does not by itself make the answer wrong."
        )
    return Phrase(
        "The guesses do not show that the blinding was broken; with so few of them, they "
        "could hardly show it."
    )
