"""More questions to a fitted model: can it foresee a block or a day, and what did it learn?

None refuses a verdict; all stand on the analyst's page. Predictive checks that do refuse
are in ``models.checks``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from models import exact
from models.analysis import weighed_series
from models.checks import mean_by_day, replicate
from models.data import TrialData
from models.ends import settled
from models.fitting import QUICK_EFFORT, fit_burden
from models.importance import LARGEST_PARETO_K, smoothed
from models.posterior import Posterior
from models.specification import HalfLifeShared, LogNormal, Specification

type Floats = NDArray[np.float64]

REPLICATES = 2000
LEFT_OUT_DRAWS = 2000
"""Draws behind the prediction of single days."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """How the last block compares with what the blocks before it foretold.

    Attributes:
        days: rated days of the last block.
        inside_50: share of them inside their 50 % predictive interval; inside_90 likewise.
        error: mean of rating minus prediction, in points.
    """

    days: int
    inside_50: float
    inside_90: float
    error: float


def foresee_last_block(
    data: TrialData, specification: Specification, *, seed: int
) -> Foresight | None:
    """Fit all but the last block and predict its days; None when nothing is left to fit or see.

    The last block is the last K periods. Its period effects are new to the model, and memory
    of the day before is not used, so that a prediction is one of weeks, not of tomorrow.

    Args:
        data: the trial, with the ratings as they were given.
        specification: what is fitted; the net burden when something is weighed.
        seed: of fit and prediction.
    """
    specification = settled(data, specification)
    weighed = weighed_series(data, specification)
    first = data.periods - len(data.arms)
    before = data.in_analysis & (data.day_period < first)
    seen = weighed.observed & (data.day_period >= first)
    if not (weighed.observed & before).any() or not seen.any():
        return None
    earlier = replace(data, in_analysis=before)
    posterior = fit_burden(earlier, specification, seed=seed, effort=QUICK_EFFORT)
    drawn = replicate(
        replace(weighed, in_analysis=before), specification, posterior, draws=REPLICATES, seed=seed
    )[:, seen]
    actual = weighed.outcome[seen]
    low, q25, middle, q75, high = np.quantile(drawn, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    return Foresight(
        days=actual.size,
        inside_50=float(((q25 <= actual) & (actual <= q75)).mean()),
        inside_90=float(((low <= actual) & (actual <= high)).mean()),
        error=float((actual - middle).mean()),
    )


@dataclass(frozen=True, slots=True)
class DayByDay:
    """How well each day is told by all the others (leave one day out, PSIS).

    Attributes:
        days: rated days.
        log_density: sum of the log predictive densities of the days, each given all others;
            higher is better, and only comparable between models of the same days.
        error: its standard error, from the spread over days.
        effective_parameters: by how much the same sum falls short of that of the fitted days.
        allowed: largest tail shape at which a day's figure can be trusted.
        worst: largest tail shape of a day.
        influential: numbers of the days above ``allowed``, as the patient's file counts them:
            taking one of these away changes the fit too much to be told without fitting again.
        surprising: numbers of the days whose rating lies outside 99 % of what the others
            foretell.
    """

    days: int
    log_density: float
    error: float
    effective_parameters: float
    allowed: float
    worst: float
    influential: tuple[int, ...]
    surprising: tuple[int, ...]


def leave_days_out(
    data: TrialData, specification: Specification, posterior: Posterior
) -> DayByDay | None:
    """Predict every rated day from all the others, without fitting again.

    Under the end-of-scale model a day given the others is no normal, and None is returned.

    Args:
        data: the trial that was fitted.
        specification: what was fitted.
        posterior: its draws, of either engine.
    """
    if posterior.rounds:
        return None
    rows = np.flatnonzero(data.observed)
    mean, variance = day_given_others(data, specification, posterior, draws=LEFT_OUT_DRAWS)
    actual = data.outcome[rows]
    log_density = -0.5 * ((actual - mean) ** 2 / variance + np.log(2.0 * np.pi * variance))
    weights = [smoothed(-log_density[:, i]) for i in range(rows.size)]
    log_weight = np.stack([w - np.logaddexp.reduce(w) for w, _k in weights], axis=1)
    shape = np.array([k for _w, k in weights])
    each = np.logaddexp.reduce(log_weight + log_density, axis=0)
    fitted = np.logaddexp.reduce(log_density, axis=0) - np.log(log_density.shape[0])
    below = (np.exp(log_weight) * ndtr((actual - mean) / np.sqrt(variance))).sum(axis=0)
    allowed = min(1.0 - 1.0 / np.log10(log_density.shape[0]), LARGEST_PARETO_K)
    number = data.first_day + rows
    return DayByDay(
        days=int(rows.size),
        log_density=float(each.sum()),
        error=float(np.sqrt(rows.size * each.var(ddof=1))) if rows.size > 1 else 0.0,
        effective_parameters=float((fitted - each).sum()),
        allowed=float(allowed),
        worst=float(shape.max()),
        influential=tuple(int(n) for n in number[shape > allowed]),
        surprising=tuple(int(n) for n in number[(below < 0.005) | (below > 0.995)]),
    )


def day_given_others(
    data: TrialData, specification: Specification, posterior: Posterior, *, draws: int
) -> tuple[Floats, Floats]:
    """(draws, n) mean and variance of each rated day given all the other rated days.

    Under AR(1) noise and period effects the ratings are jointly normal; with Q the inverse of
    their covariance, day i given the others has variance 1 / Q_ii and mean
    y_i - (Q (y - mean))_i / Q_ii. Q is the noise's tridiagonal precision less what the
    period effects take away (Woodbury).

    Args:
        data: the trial.
        specification: what was fitted.
        posterior: its draws.
        draws: how many of them to use, evenly spread.
    """
    chosen = np.linspace(0, posterior.size - 1, min(draws, posterior.size)).astype(np.intp)
    rows = np.flatnonzero(data.observed)
    parameters = posterior.parameters
    left = data.outcome[rows] - mean_by_day(data, specification, posterior, chosen)[:, rows]
    gap = np.concatenate(([np.inf], np.diff(rows).astype(np.float64)))
    diagonal, beside, _ = exact.noise_precision(
        gap[None, :, None],
        np.ones((1, rows.size, 1)),
        parameters["autocorrelation"][chosen][None, None, :],
    )
    own, near = diagonal[0].T, beside[0].T
    noise = 1.0 / parameters["sd"][chosen][:, None] ** 2
    own, near = own * noise, near * noise
    weighted = _tridiagonal(own, near, left[..., None])[..., 0]
    if specification.period_effect:
        dense = np.unique(data.day_period[rows], return_inverse=True)[1]
        period = np.eye(int(dense.max()) + 1)[dense]
        spread = _tridiagonal(own, near, np.broadcast_to(period, (chosen.size, *period.shape)))
        inside = period.T @ spread
        prior = 1.0 / np.maximum(parameters["period_sd"][chosen], 1e-6) ** 2
        inside = inside + prior[:, None, None] * np.eye(period.shape[1])
        solved = np.linalg.solve(inside, spread.transpose(0, 2, 1))
        weighted = weighted - np.einsum("snp,spm,sm->sn", spread, solved, left, optimize=True)
        own = own - np.einsum("snp,spn->sn", spread, solved)
    return data.outcome[rows] - weighted / own, 1.0 / own


def _tridiagonal(own: Floats, near: Floats, columns: Floats) -> Floats:
    """(S, n, m) product of symmetric tridiagonal matrices with columns.

    Args:
        own: (S, n) diagonals.
        near: (S, n) elements beside them, the last one 0.
        columns: (S, n, m).
    """
    result = own[..., None] * columns
    result[:, :-1] += near[:, :-1, None] * columns[:, 1:]
    result[:, 1:] += near[:, :-1, None] * columns[:, :-1]
    return np.asarray(result)


def learned(posterior: Posterior, specification: Specification) -> dict[str, float]:
    """Return what is left of each prior's spread: 1 nothing learned, near 0 almost all.

    Posterior over prior standard deviation, on the log scale for half-lives and daily sd.
    """
    priors, parameters = specification.priors, posterior.parameters
    left = {
        f"effect[{label}]": float((posterior.latent_mean[:, k] - parameters["level"]).std())
        / priors.arm.sd
        for k, label in enumerate(posterior.arms)
    }
    left["level"] = float(parameters["level"].std()) / priors.level.sd
    if "trend_per_week" in parameters:
        left["trend_per_week"] = (
            float(parameters["trend_per_week"].std()) / priors.trend_per_week.sd
        )
    if isinstance(priors.sd, LogNormal):
        left["sd"] = float(np.log(parameters["sd"]).std()) / priors.sd.sd_log
    if "period_sd" in parameters:
        half_normal = priors.period_sd.scale * np.sqrt(1 - 2 / np.pi)
        left["period_sd"] = float(parameters["period_sd"].std() / half_normal)
    spread = priors.half_life.sd_log
    name = "half_life" if isinstance(priors.half_life, HalfLifeShared) else "half_life["
    left |= {
        key: float(np.log(draws).std()) / spread
        for key, draws in parameters.items()
        if key.startswith(name)
    }
    return left
