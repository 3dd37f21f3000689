"""Secondary outcomes: sleep, interference and rescue doses, told beside the verdict.

None of them decides anything. A 0-10 scale goes through the same exact engine as pain, as a
series of its own. Rescue doses are counts, mostly 0, 1 or 2, which no normal distribution
describes, whatever is taken of them; they have a negative binomial model on the same exposure::

    doses_t ~ NegBin(mean m_t, variance m_t + d m_t^2),  log m_t = eta + sum_k gamma_k w_k(t)

with eta ~ N(0, 1.5) (a median of one dose a day), gamma_k ~ N(0, 1), log d ~ N(log 0.3, 1): from
nearly Poisson to days of many doses. As for side effects a day counts as
``(1 - phi) / (1 + phi)`` of one, since neighbouring days resemble each other. The posterior is
a normal approximation at the mode for a few half-lives and a few d, made exact by importance
weights; Pareto k is its gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.polynomial import hermite
from numpy.typing import NDArray
from scipy.special import gammaln

from models import exact
from models.data import TrialData
from models.decision import insufficiencies, untrustworthy
from models.errors import ModelInputError
from models.importance import effective_size, pareto_k, systematic
from models.posterior import Diagnostics, Engine, Posterior, Summary, summarize
from models.run_in import with_run_in, without_run_in
from models.side_effects import DAY_WORTH, exposures_of_prior
from models.specification import Arm, Scale, Specification, default_priors
from models.words import Phrase

type Floats = NDArray[np.float64]

LEVEL_SD = 1.5
ARM_SD = 1.0
SPREAD_MEDIAN, SPREAD_SD_LOG = 0.3, 1.0
SPREADS = 5
"""Gauss-Hermite nodes for the log of d."""
POINTS = 192
"""Points drawn around the mode at each half-life and d."""
FREEDOM = 5.0


class Measure(StrEnum):
    """What kind of number a secondary outcome is; less is better in both."""

    SCALE = "scale"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Secondary:
    """One secondary outcome by arm.

    Attributes:
        name: of the series.
        measure: points of a 0-10 scale, or doses a day.
        days: answered days in the analysis window.
        arms: mean at steady state by arm; empty when it cannot be told.
        p_best: probability of being lowest, by arm; empty likewise.
        reasons: why it cannot be told.
    """

    name: str
    measure: Measure
    days: int
    arms: Mapping[str, Summary]
    p_best: Mapping[str, float]
    reasons: tuple[Phrase, ...] = ()


def secondary_outcome(
    data: TrialData,
    specification: Specification,
    name: str,
    series: Floats,
    measure: Measure,
    *,
    seed: int,
    draws: int = 4000,
) -> Secondary:
    """Return one secondary outcome by arm, or why it cannot be told.

    Args:
        data: the trial, for its days, arms and doses taken.
        specification: of the trial, for exposure and what a period needs to count.
        name: of the series.
        series: (T,) NaN where not answered.
        measure: what kind of number it is.
        seed: of the fit.
        draws: from the posterior.
    """
    own = data.with_outcome(series)
    asked = for_secondary(specification)
    days = int(own.observed.sum())
    reasons = insufficiencies(own, asked)
    if reasons:
        return Secondary(name, measure, days, {}, {}, reasons)
    whole, fitted = with_run_in(own, asked)
    fit = fit_count if measure is Measure.COUNT else exact.fit
    posterior = without_run_in(fit(whole, fitted, seed=seed, draws=draws), asked)
    doubts = untrustworthy(posterior.diagnostics)
    if doubts:
        return Secondary(name, measure, days, {}, {}, doubts)
    lowest = np.bincount(posterior.arm_mean.argmin(axis=1), minlength=len(data.arms))
    return Secondary(
        name=name,
        measure=measure,
        days=days,
        arms={a: summarize(posterior.arm_mean[:, k]) for k, a in enumerate(data.arms)},
        p_best={a: float(n) / posterior.size for a, n in zip(data.arms, lowest, strict=True)},
    )


def for_secondary(specification: Specification) -> Specification:
    """Return what a secondary 0-10 series is fitted with: exposure as it is, priors of 0-10.

    Nothing is weighed, no arm has a burden of its own and nothing is vetoed.
    """
    priors = replace(default_priors(Scale()), half_life=specification.priors.half_life)
    arms = tuple(
        Arm(
            label=arm.label,
            half_life_days=arm.half_life_days,
            onset_half_life_days=arm.onset_half_life_days,
        )
        for arm in specification.arms
    )
    return replace(specification, arms=arms, scale=Scale(), priors=priors, weights={})


# -- counts ------------------------------------------------------------------------------------


def fit_count(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    day_worth: float = DAY_WORTH,
) -> Posterior:
    """Return the posterior of counts a day on each arm at steady state (``arm_mean``).

    Args:
        data: the trial with the count as its outcome, whole numbers from 0.
        specification: for carryover, half-lives and labels.
        seed: of the points.
        draws: how many to return.
        day_worth: what a day counts for, 1 where one is not like the next.

    Raises:
        ModelInputError: when a day has no whole number of doses, or none was counted.
    """
    counted = data.observed
    doses = data.outcome[counted]
    if not doses.size:
        raise ModelInputError("There is no counted day to fit.")
    if (doses < 0).any() or (doses != np.round(doses)).any():
        raise ModelInputError("Doses are counted: 0, 1, 2 and so on.")
    generator = np.random.default_rng(seed)
    sd = np.array([LEVEL_SD, *[ARM_SD] * len(data.arms)])
    nodes, node_weights = hermite.hermgauss(SPREADS)
    spreads = SPREAD_MEDIAN * np.exp(np.sqrt(2.0) * SPREAD_SD_LOG * nodes)
    terms, log_weights, spread_of = [], [], []
    for exposure in exposures_of_prior(data, specification, generator):
        design = np.column_stack((np.ones(doses.size), exposure[counted]))
        start = np.zeros(sd.size)
        for spread, prior in zip(spreads, node_weights, strict=True):
            points, log_weight, start = _around_mode(
                design, doses, float(spread), sd, start, generator, day_worth
            )
            terms.append(points)
            log_weights.append(log_weight + np.log(prior))
            spread_of.append(np.full(POINTS, spread))
    log_weight = np.concatenate(log_weights)
    weight = np.exp(log_weight - log_weight.max())
    order = generator.permutation(draws)
    found = systematic(weight, (order + generator.random()) / draws)
    chosen = np.concatenate(terms)[found]
    return Posterior(
        arms=data.arms,
        arm_mean=np.asarray(np.exp(chosen[:, :1] + chosen[:, 1:])),
        parameters={"spread": np.concatenate(spread_of)[found]},
        engine=Engine.EXACT,
        seed=seed,
        diagnostics=Diagnostics(
            draws=draws,
            nodes=weight.size,
            effective_points=effective_size(weight),
            pareto_k=pareto_k(log_weight),
        ),
    )


def _around_mode(
    design: Floats,
    doses: Floats,
    spread: float,
    sd: Floats,
    start: Floats,
    generator: np.random.Generator,
    day_worth: float,
) -> tuple[Floats, Floats, Floats]:
    """Return points around the mode, their log importance weights, and the mode.

    Args:
        design: (n, q).
        doses: (n,) counts.
        spread: d.
        sd: (q,) of the prior, whose mean is 0.
        start: (q,) where to look for the mode.
        generator: of the points.
        day_worth: what a day counts for.
    """
    mode, precision = _mode(design, doses, spread, sd, start, day_worth)
    factor = np.linalg.cholesky(np.linalg.inv(precision))
    q = sd.size
    normal = generator.standard_normal((POINTS, q))
    stretched = normal * np.sqrt(FREEDOM / generator.chisquare(FREEDOM, POINTS))[:, None]
    points = mode + stretched @ factor.T
    log_proposal = (
        -0.5 * (FREEDOM + q) * np.log1p((stretched**2).sum(axis=1) / FREEDOM)
        - np.log(np.diag(factor)).sum()
    )
    target = _log_posterior(points, design, doses, spread, sd, day_worth)
    return points, target - log_proposal, mode


def _log_posterior(
    points: Floats, design: Floats, doses: Floats, spread: float, sd: Floats, day_worth: float
) -> Floats:
    """(m,) log of prior times likelihood, each day counting for ``day_worth``."""
    size = 1.0 / spread
    log_mean = points @ design.T
    constant = float((gammaln(doses + size) - gammaln(size)).sum())
    each = doses * log_mean - (doses + size) * np.logaddexp(log_mean, np.log(size))
    constant += doses.size * size * float(np.log(size))
    likelihood = each.sum(axis=1) + constant
    return np.asarray(day_worth * likelihood - 0.5 * ((points / sd) ** 2).sum(axis=1))


def _mode(
    design: Floats, doses: Floats, spread: float, sd: Floats, start: Floats, day_worth: float
) -> tuple[Floats, Floats]:
    """Return the posterior's mode and its precision there, by damped Newton steps."""
    at, now = start.copy(), -np.inf
    size, prior = 1.0 / spread, np.diag(1.0 / sd**2)
    precision = prior
    for _ in range(50):
        mean = np.exp(np.clip(design @ at, -20.0, 10.0))
        slope = day_worth * design.T @ (size * (doses - mean) / (size + mean)) - at / sd**2
        curve = size * mean * (doses + size) / (size + mean) ** 2
        precision = day_worth * (design * curve[:, None]).T @ design + prior
        step = np.linalg.solve(precision, slope)
        for _ in range(20):
            new = (at + step)[None]
            value = float(_log_posterior(new, design, doses, spread, sd, day_worth)[0])
            if value >= now:
                break
            step = step / 2
        at, now = at + step, value
        if np.abs(step).max() < 1e-8:
            break
    return at, precision
