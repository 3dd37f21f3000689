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

from models.analysis import Analysis, analyze
from models.data import TrialData
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
        arm: the arm the periods were on.
        guesses: how many, "do not know" included.
        index: share of right guesses above chance less that of wrong ones: 0 chance, 1 always
            right, below 0 more often wrong than by chance; None with too few guesses.
        low, high: 90 % interval.
    """

    arm: str
    guesses: int
    index: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class GuessReport:
    """The indices, the verdict among periods guessed wrong, and a modest sentence."""

    indices: tuple[BangIndex, ...]
    among_wrong: Analysis | None
    sentence: Phrase


def bang_indices(data: TrialData, guesses: Sequence[Guess]) -> tuple[BangIndex, ...]:
    """Return Bang's index for each arm (Bang, Ni, Davis 2004), for any number of arms.

    With K arms a blind guess is right with chance 1/K. The index is the share of right
    guesses minus the chance share among those who guessed, scaled so that always right is 1.
    """
    arms = len(data.arms)
    found = []
    for k, label in enumerate(data.arms):
        own = [g for g in guesses if int(data.period_arm[g.period]) == k]
        named = [g for g in own if g.arm is not None]
        right = sum(g.arm == label for g in named)
        if len(own) < FEWEST_GUESSES:
            found.append(BangIndex(label, len(own), None, None, None))
            continue
        told = len(named) / len(own)
        low, high = (_share_quantile(right, len(named), p) for p in (0.05, 0.95))
        share = right / len(named) if named else 1 / arms
        values = [told * (s - 1 / arms) / (1 - 1 / arms) for s in (share, low, high)]
        found.append(BangIndex(label, len(own), *values))
    return tuple(found)


def judge_guesses(analysis: Analysis, guesses: Sequence[Guess], *, seed: int) -> GuessReport:
    """Return the indices and whether the verdict survives where the patient guessed wrong.

    The periods guessed right are left out of the fit but still expose; with too few periods
    left the analysis refuses, as it should.
    """
    data = analysis.data
    right = {g.period for g in guesses if g.arm == _label(data, g.period)}
    indices = bang_indices(data, guesses)
    inside = data.in_analysis & ~np.isin(data.day_period, list(right))
    among_wrong = analyze(replace(data, in_analysis=inside), analysis.specification, seed=seed)
    known = [i for i in indices if i.low is not None and i.low > 0]
    return GuessReport(indices, among_wrong, _sentence(indices, bool(known)))


def _label(data: TrialData, period: int) -> str | None:
    arm = int(data.period_arm[period])
    return data.arms[arm] if arm >= 0 else None


def _share_quantile(right: int, of: int, probability: float) -> float:
    """Quantile of a share after so many right guesses, from a Jeffreys prior."""
    return float(betaincinv(right + 0.5, of - right + 0.5, probability))


def _sentence(indices: Sequence[BangIndex], known: bool) -> Phrase:  # noqa: FBT001
    if all(i.index is None for i in indices):
        return Phrase("There are too few guesses to say whether the blinding held.")
    if known:
        return Phrase(
            "The guesses were right more often than by chance. This may come from relief or "
            "side effects that were felt, and does not by itself make the answer wrong."
        )
    return Phrase(
        "The guesses do not show that the blinding was broken; with so few of them, they "
        "could hardly show it."
    )
