"""Side effects item by item: how often a patient has one on each arm, and harm that vetoes.

Each diary day either has the side effect or has not (or has it severely, or not). Given the
exposure of the arms::

    logit P(side effect on day t) = eta + sum_k gamma_k w_k(t)

with the same half-lives as the outcome, gamma_k ~ N(0, 1.5), and eta ~ N(logit(f), 1.5) where
f is the frequency a label states for a rare item, 10 % where none is known. Neighbouring days
resemble each other more than this says: a day counts as ``(1 - phi) / (1 + phi)`` of one, phi
being the typical memory of diaries, so that a run of seven bad days is not seven proofs.

The posterior is that of a logistic regression with few terms: a normal approximation at its
mode, made exact by importance resampling at a few half-lives drawn from their prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from models.data import TrialData
from models.errors import ModelInputError
from models.exposure import exposures, speeds, targets
from models.importance import effective_size, kronecker, pareto_k, systematic
from models.posterior import Diagnostics
from models.specification import HalfLifePerArm, HalfLifeShared, Specification

type Floats = NDArray[np.float64]

ARM_SD = 1.5
LEVEL_SD = 1.5
USUAL_FREQUENCY = 0.1
DAY_WORTH = (1.0 - 0.3) / (1.0 + 0.3)
"""What a day counts for, one day's memory of the day before being 0.3."""
HALF_LIVES = 16
POINTS = 512
"""Half-lives tried, and points drawn around the mode at each."""
FREEDOM = 5.0
"""Degrees of freedom of the proposal: heavier tails than the posterior's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SideEffect:
    """How often a side effect comes on each arm at steady state.

    Attributes:
        name: of the item.
        arms: the masked labels.
        rate: (n, K) draws of the share of days with it.
        diagnostics: of the integration; ``pareto_k`` is its gate.
    """

    name: str
    arms: tuple[str, ...]
    rate: Floats
    diagnostics: Diagnostics

    def probability_above(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Return, by arm, the probability that the rate exceeds its limit."""
        return {
            arm: float((self.rate[:, k] > limits[arm]).mean())
            for k, arm in enumerate(self.arms)
            if arm in limits
        }


def fit_side_effect(
    data: TrialData,
    specification: Specification,
    name: str,
    *,
    at_least: float = 1.0,
    frequency: float | None = None,
    seed: int,
    draws: int = 4000,
) -> SideEffect:
    """Return the posterior of how often a side effect comes.

    Args:
        data: the trial; the item is one of its ``bothers``, ``NaN`` where not answered.
        specification: for carryover, half-lives and labels.
        name: of the item.
        at_least: severity that counts (1 any, 3 severe on a scale of 0 to 4).
        frequency: share of days or patients that the label states, for the prior.
        seed: of the points.
        draws: how many to return.

    Raises:
        ModelInputError: when the item was never answered.
    """
    if name not in data.bothers:
        raise ModelInputError(f"The side effect '{name}' was not recorded.")
    answered = data.in_analysis & np.isfinite(data.bothers[name])
    if not answered.any():
        raise ModelInputError(f"The side effect '{name}' was never answered.")
    has = (data.bothers[name][answered] >= at_least).astype(np.float64)
    generator = np.random.default_rng(seed)
    mean = np.zeros(1 + len(data.arms))
    mean[0] = logit(np.clip(frequency or USUAL_FREQUENCY, 1e-4, 1 - 1e-4))
    sd = np.array([LEVEL_SD, *[ARM_SD] * len(data.arms)])
    clouds = [
        _around_mode(
            np.column_stack((np.ones(has.size), exposure[answered])), has, mean, sd, generator
        )
        for exposure in exposures_of_prior(data, specification, generator)
    ]
    terms = np.concatenate([c[0] for c in clouds])
    log_weight = np.concatenate([c[1] for c in clouds])
    weight = np.exp(log_weight - log_weight.max())
    order = generator.permutation(draws)
    chosen = terms[systematic(weight, (order + generator.random()) / draws)]
    return SideEffect(
        name=name,
        arms=data.arms,
        rate=np.asarray(expit(chosen[:, :1] + chosen[:, 1:])),
        diagnostics=Diagnostics(
            draws=draws,
            nodes=weight.size,
            effective_points=effective_size(weight),
            pareto_k=pareto_k(log_weight),
        ),
    )


def severe_probabilities(
    data: TrialData,
    specification: Specification,
    names: Mapping[str, float],
    *,
    seed: int,
) -> dict[str, float]:
    """Return what ``decide`` takes as ``severe``: the worst probability over items, by arm.

    Args:
        data: the trial.
        specification: the arms' ``severe_limit``; arms without one are never vetoed.
        names: severity that counts as severe, by item.
        seed: of the points.
    """
    limits = {arm.label: arm.severe_limit for arm in specification.arms if arm.severe_limit}
    worst = dict.fromkeys(limits, 0.0)
    for name, severe in names.items():
        fitted = fit_side_effect(data, specification, name, at_least=severe, seed=seed)
        for arm, probability in fitted.probability_above(limits).items():
            worst[arm] = max(worst[arm], probability)
    return worst


def exposures_of_prior(
    data: TrialData, specification: Specification, generator: np.random.Generator
) -> list[Floats]:
    """(T, K) exposures at even points of the half-lives' prior; one without carryover."""
    target = targets(data)
    if not specification.carryover:
        return [target]
    prior, arms = specification.priors.half_life, len(data.arms)
    shared = isinstance(prior, HalfLifeShared)
    dimensions = 1 if shared else arms
    even = kronecker(HALF_LIVES, dimensions, generator.random(dimensions))
    z = ndtri(np.clip(even, 1e-9, 1 - 1e-9))
    spread = prior.sd_log if isinstance(prior, HalfLifePerArm | HalfLifeShared) else 0.0
    centre = np.log(np.array(specification.prior_half_lives()))
    half_life = np.exp(centre[:, None] + spread * (np.tile(z.T, (arms, 1)) if shared else z.T))
    every = exposures(target, speeds(data, specification), half_life)
    return [every[:, :, h] for h in range(HALF_LIVES)]


def _around_mode(
    design: Floats, has: Floats, mean: Floats, sd: Floats, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return points around the posterior's mode and their log importance weights.

    Args:
        design: (n, q).
        has: (n,) 0 or 1.
        mean: (q,) of the prior.
        sd: (q,) of the prior.
        generator: of the points.
    """
    mode, precision = _mode(design, has, mean, sd)
    factor = np.linalg.cholesky(np.linalg.inv(precision))
    q = mean.size
    normal = generator.standard_normal((POINTS, q))
    stretch = np.sqrt(FREEDOM / generator.chisquare(FREEDOM, POINTS))
    points = mode + (normal * stretch[:, None]) @ factor.T
    distance = ((normal * stretch[:, None]) ** 2).sum(axis=1)
    log_proposal = (
        -0.5 * (FREEDOM + q) * np.log1p(distance / FREEDOM) - np.log(np.diag(factor)).sum()
    )
    return points, _log_posterior(points, design, has, mean, sd) - log_proposal


def _log_posterior(points: Floats, design: Floats, has: Floats, mean: Floats, sd: Floats) -> Floats:
    """(m,) log of prior times likelihood, each day counting for ``DAY_WORTH``."""
    eta = points @ design.T
    likelihood = (has * eta - np.logaddexp(0.0, eta)).sum(axis=1)
    return np.asarray(DAY_WORTH * likelihood - 0.5 * (((points - mean) / sd) ** 2).sum(axis=1))


def _mode(design: Floats, has: Floats, mean: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Return the posterior's mode and its precision there, by damped Newton steps."""
    at, now = mean.copy(), -np.inf
    precision = np.diag(1.0 / sd**2)
    for _ in range(50):
        share = expit(design @ at)
        slope = DAY_WORTH * design.T @ (has - share) - (at - mean) / sd**2
        curve = DAY_WORTH * (design * (share * (1 - share))[:, None]).T @ design
        precision = curve + np.diag(1.0 / sd**2)
        step = np.linalg.solve(precision, slope)
        for _ in range(20):
            value = float(_log_posterior((at + step)[None], design, has, mean, sd)[0])
            if value >= now:
                break
            step = step / 2
        at, now = at + step, value
        if np.abs(step).max() < 1e-8:
            break
    return at, precision
