"""Side effects item by item: how often a patient has one on each arm, and how bad it is.

Each diary day has a grade, 0 none to ``severest`` (3, severe, in the diary; 1 where an item is
yes or no). Given the exposure of the arms::

    logit P(grade on day t >= j) = eta - (exp(d_1) + .. + exp(d_{j-1})) + sum_k gamma_k w_k(t)

with the same half-lives as the outcome, gamma_k ~ N(0, 1.5), d_i ~ N(log 1.4, 0.5), and
eta ~ N(logit(f), 1.5) where f is the frequency a label states for the item, 10 % where none is
known. Neighbouring days resemble each other more than this says: a day counts as
``(1 - phi) / (1 + phi)`` of one, phi being the typical memory of diaries, so that a run of seven
bad days is not seven proofs.

The posterior has few terms: points around its mode at the prior medians of the half-lives
(``models.graded``), each with half-lives of its own from their prior, made exact by importance
resampling; Pareto k is its gate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from models.data import TrialData
from models.errors import ModelInputError
from models.exposure import exposures, speeds, targets
from models.graded import Days, Normals, around, find_mode, log_posterior, reaching
from models.importance import effective_size, kronecker, pareto_k, systematic
from models.items import SideEffectItem
from models.posterior import Diagnostics
from models.run_in import with_run_in
from models.specification import HalfLifePerArm, HalfLifeShared, Specification

type Floats = NDArray[np.float64]

ARM_SD = 1.5
LEVEL_SD = 1.5
STEP_LOG, STEP_SD_LOG = math.log(1.4), 0.5
"""Of the logits between neighbouring grades: each next grade has about a quarter of the odds."""
USUAL_FREQUENCY = 0.1
DAY_WORTH = (1.0 - 0.3) / (1.0 + 0.3)
"""What a day counts for, one day's memory of the day before being 0.3."""
HALF_LIVES = 16
"""Half-lives that counts try (``models.secondary``)."""
POINTS = 4096
"""Points drawn around the mode, each with half-lives of its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SideEffect:
    """How often a side effect comes on each arm at steady state, and how bad it is.

    Attributes:
        item: what is known of it.
        arms: the K masked labels.
        reaches: (n, K, M) draws of the share of days with at least grade 1..M; with an item
            that is not ``graded`` M is 1 and stands for severe.
        days: (K,) answered days with the arm in force.
        severe_days: (K,) severe ones of them.
        diagnostics: of the integration; ``pareto_k`` is its gate.
    """

    item: SideEffectItem
    arms: tuple[str, ...]
    reaches: Floats
    days: tuple[int, ...]
    severe_days: tuple[int, ...]
    diagnostics: Diagnostics

    @property
    def any(self) -> Floats:
        """(n, K) share of days with it."""
        return np.asarray(self.reaches[:, :, 0])

    @property
    def severe(self) -> Floats:
        """(n, K) share of days on which it is severe."""
        return np.asarray(self.reaches[:, :, self.item.severe - 1 if self.item.graded else 0])

    @property
    def grade(self) -> Floats:
        """(n, K) mean grade of a day: E[grade] is the sum of P(grade >= j) over j."""
        return np.asarray(self.reaches.sum(axis=2))


def fit_side_effect(
    data: TrialData,
    specification: Specification,
    item: SideEffectItem,
    *,
    seed: int | Sequence[int],
    draws: int = 4000,
    day_worth: float = DAY_WORTH,
    points: int = POINTS,
) -> SideEffect:
    """Return the posterior of how often a side effect comes and how bad it is.

    Args:
        data: the trial; the item is one of its ``severities``, ``NaN`` where not answered.
        specification: for carryover, half-lives and labels.
        item: which, with its grades.
        seed: of the points.
        draws: how many to return.
        day_worth: what a day counts for; 1 where days are known not to resemble each other.
        points: of the integration.

    Raises:
        ModelInputError: when the item was never answered, or a grade is none.
    """
    judged = len(data.arms)
    data, specification = with_run_in(data, specification)
    answered = answered_days(data, item)
    grade = grades(data, item, answered)
    prior = priors_of(item, len(data.arms))
    top = item.severest if item.graded else 1
    generator = np.random.default_rng(seed)
    exposure = at_prior_medians(data, specification)[answered]
    days = Days(exposure, grade, top, day_worth)
    terms, log_density = around(*find_mode(days, prior, prior.mean), points, generator)
    own = None
    if specification.carryover:
        half_life = half_lives_of_prior(specification, points, generator)
        own = exposures(targets(data), speeds(data, specification), half_life)[answered]
    log_weight = log_posterior(terms, days, prior, own) - log_density
    weight = np.exp(log_weight - log_weight.max())
    order = generator.permutation(draws)
    chosen = terms[systematic(weight, (order + generator.random()) / draws)]
    on_arm = [answered & (data.day_arm == k) for k in range(judged)]
    return SideEffect(
        item=item,
        arms=data.arms[:judged],
        reaches=reaching(chosen, np.eye(len(data.arms))[:judged], top),
        days=tuple(int(on.sum()) for on in on_arm),
        severe_days=tuple(
            int((data.severities[item.name][on] >= item.severe).sum()) for on in on_arm
        ),
        diagnostics=Diagnostics(
            draws=draws,
            nodes=weight.size,
            effective_points=effective_size(weight),
            pareto_k=pareto_k(log_weight),
        ),
    )


def answered_days(data: TrialData, item: SideEffectItem) -> NDArray[np.bool_]:
    """(T,) True on the days of the analysis window on which the item was answered.

    Raises:
        ModelInputError: there is none.
    """
    if item.name not in data.severities:
        raise ModelInputError(f"The side effect '{item.name}' was not recorded.")
    answered = np.asarray(data.in_analysis & np.isfinite(data.severities[item.name]))
    if not answered.any():
        raise ModelInputError(f"The side effect '{item.name}' was never answered.")
    return answered


def grades(data: TrialData, item: SideEffectItem, answered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) grades of the answered days; 1 for severe and 0 for the rest of an ungraded item.

    Raises:
        ModelInputError: a grade is above the highest.
    """
    grade = data.severities[item.name][answered].astype(np.int64)
    if grade.max(initial=0) > item.severest:
        raise ModelInputError(
            f"A day of '{item.name}' has grade {grade.max()}; the highest is {item.severest}."
        )
    return grade if item.graded else (grade >= item.severe).astype(np.int64)


def priors_of(item: SideEffectItem, arms: int) -> Normals:
    """Return the priors of eta, the log steps between grades, and the effects of the arms.

    For an ungraded item eta stands for severe days, which are rarer by the usual steps.
    """
    level = float(logit(item.frequency or USUAL_FREQUENCY))
    between = (item.severest if item.graded else 1) - 1
    if not item.graded:
        level -= math.exp(STEP_LOG) * (item.severe - 1)
    return Normals(
        np.array([level, *[STEP_LOG] * between, *[0.0] * arms]),
        np.array([LEVEL_SD, *[STEP_SD_LOG] * between, *[ARM_SD] * arms]),
    )


def at_prior_medians(data: TrialData, specification: Specification) -> Floats:
    """(T, K) exposures at the medians of the half-lives' prior; at once without carryover."""
    if not specification.carryover:
        return targets(data)
    half_life = np.array(specification.prior_half_lives())
    return exposures(targets(data), speeds(data, specification), half_life)


def half_lives_of_prior(
    specification: Specification, points: int, generator: np.random.Generator
) -> Floats:
    """(K, points) half-lives in days, evenly from their prior."""
    prior, arms = specification.priors.half_life, len(specification.arms)
    shared = isinstance(prior, HalfLifeShared)
    dimensions = 1 if shared else arms
    even = kronecker(points, dimensions, generator.random(dimensions))
    z = ndtri(np.clip(even, 1e-9, 1 - 1e-9)).T
    centre = np.log(np.array(specification.prior_half_lives()))
    spread = prior.sd_log if isinstance(prior, HalfLifePerArm | HalfLifeShared) else 0.0
    return np.asarray(np.exp(centre[:, None] + spread * (np.tile(z, (arms, 1)) if shared else z)))


def exposures_of_prior(
    data: TrialData, specification: Specification, generator: np.random.Generator
) -> list[Floats]:
    """(T, K) exposures at a few even points of the half-lives' prior; one without carryover."""
    if not specification.carryover:
        return [targets(data)]
    half_life = half_lives_of_prior(specification, HALF_LIVES, generator)
    every = exposures(targets(data), speeds(data, specification), half_life)
    return [every[:, :, h] for h in range(HALF_LIVES)]
