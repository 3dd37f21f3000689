"""Does the fitted model look like the data? Posterior predictive checks.

Replicated diaries are drawn with the patient's own days, gaps and arms; a feature of the real
diary that hardly any replicate shows means that the model misses something that matters:
memory from day to day, periods that differ beyond their arm, or ratings stuck at an end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data import NO_ARM, TrialData
from models.ends import offset_of, rounded
from models.exposure import exposures, speeds, targets
from models.posterior import Posterior
from models.run_in import means_of_every_arm, with_run_in
from models.specification import HalfLifeShared, Specification
from models.words import Phrase

type Floats = NDArray[np.float64]

REPLICATES = 400
SMALLEST_SHARE = 0.005
"""A check fails when fewer replicates than this lie as far out as the data, on one side."""


@dataclass(frozen=True, slots=True)
class Check:
    """One feature of the diary against its replicates.

    Attributes:
        name: ``lag_1``, ``period_spread``, ``low_end``, ``high_end`` or ``curvature``.
        observed: the feature in the data.
        expected: its median over replicates.
        low: 5 % quantile of the replicates; ``high``: 95 %.
        share_below: replicates below the data, those equal counted half.
        passed: False when the data lie too far out.
        gate: whether failing refuses the verdict.
        phrase: what a failure means.
    """

    name: str
    observed: float
    expected: float
    low: float
    high: float
    share_below: float
    passed: bool
    gate: bool
    phrase: Phrase


def predictive_checks(
    data: TrialData,
    specification: Specification,
    posterior: Posterior,
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> tuple[Check, ...]:
    """Compare the diary with replicates from its own posterior.

    Args:
        data: the trial that was fitted (its ``outcome`` is the fitted series).
        specification: what was fitted.
        posterior: from either engine.
        seed: of the replicates.
        replicates: how many; with 200 or 400 a check fails by itself as often.
    """
    rows = np.flatnonzero(data.observed)
    replicated = replicate(data, specification, posterior, draws=replicates, seed=seed)[:, rows]
    real = data.outcome[rows][np.newaxis]
    arm, period = data.day_arm[rows], data.day_period[rows]
    scale, step = specification.scale, 0.5 * specification.scale.unit
    week = data.week[rows]
    return (
        _check(
            "lag_1",
            _lag_1(real, rows, period),
            _lag_1(replicated, rows, period),
            Phrase("days follow each other more, or less, closely than it expects"),
        ),
        _check(
            "period_spread",
            _period_spread(real, arm, period),
            _period_spread(replicated, arm, period),
            Phrase("periods on the same treatment differ more, or less, than it expects"),
        ),
        _check(
            "low_end",
            (real < scale.low + step).mean(axis=1),
            (replicated < scale.low + step).mean(axis=1),
            Phrase("more, or fewer, ratings lie at the low end of the scale than it expects"),
        ),
        _check(
            "high_end",
            (real > scale.high - step).mean(axis=1),
            (replicated > scale.high - step).mean(axis=1),
            Phrase("more, or fewer, ratings lie at the high end of the scale than it expects"),
        ),
        _check(
            "curvature",
            _curvature(real, week),
            _curvature(replicated, week),
            Phrase("the drift over time is not a straight line"),
            gate=False,
        ),
    )


def replicate(
    data: TrialData,
    specification: Specification,
    posterior: Posterior,
    *,
    draws: int,
    seed: int,
) -> Floats:
    """(draws, T) diaries of patients like this one: same days and arms, new noise and periods.

    Under the end-of-scale model what is drawn is rounded and cut to the scale, in a weighed
    series without its bothers, which stay those of the diary.
    """
    generator = np.random.default_rng(seed)
    chosen = np.linspace(0, posterior.size - 1, draws).astype(np.intp)
    expected = mean_by_day(data, specification, posterior, chosen)
    parameters = posterior.parameters
    phi = parameters["autocorrelation"][chosen]
    shock = np.sqrt(1.0 - phi**2)
    white = generator.standard_normal((data.days, draws))
    noise = np.empty_like(white)
    noise[0] = white[0]
    for t in range(1, data.days):
        noise[t] = phi * noise[t - 1] + shock * white[t]
    result = expected + (parameters["sd"][chosen] * noise).T
    if specification.period_effect:
        offset = generator.standard_normal((draws, data.periods))
        result += (parameters["period_sd"][chosen][:, None] * offset)[:, data.day_period]
    if posterior.rounds:
        weighed = offset_of(data, specification)
        result = rounded(result - weighed, specification.scale) + weighed
    return np.asarray(result)


def mean_by_day(
    data: TrialData,
    specification: Specification,
    posterior: Posterior,
    chosen: NDArray[np.intp],
) -> Floats:
    """(draws, T) expected outcome of each day for the chosen draws, period effects at zero.

    Under the end-of-scale model the expected latent outcome.
    """
    data, specification = with_run_in(data, specification)
    parameters, level = posterior.parameters, posterior.parameters["level"][chosen]
    effect = means_of_every_arm(posterior)[chosen] - level[:, None]
    target = targets(data)
    if specification.carryover:
        half_life = _half_lives(specification, posterior, chosen)
        exposure = exposures(target, speeds(data, specification), half_life)
        expected = level[:, None] + np.einsum("tkd,dk->dt", exposure, effect)
    else:
        expected = level[:, None] + effect @ target.T
    if specification.trend:
        expected = expected + parameters["trend_per_week"][chosen][:, None] * data.week
    return np.asarray(expected)


def _half_lives(
    specification: Specification, posterior: Posterior, chosen: NDArray[np.intp]
) -> Floats:
    """(K, draws) half-lives in days."""
    parameters = posterior.parameters
    if isinstance(specification.priors.half_life, HalfLifeShared):
        return np.tile(parameters["half_life"][chosen], (len(specification.arms), 1))
    return np.stack([parameters[f"half_life[{name}]"][chosen] for name in specification.labels])


def _check(
    name: str, real: Floats, replicated: Floats, phrase: Phrase, *, gate: bool = True
) -> Check:
    observed = float(real[0])
    low, middle, high = np.quantile(replicated, (0.05, 0.5, 0.95))
    below = float((replicated < observed).mean() + 0.5 * (replicated == observed).mean())
    return Check(
        name=name,
        observed=observed,
        expected=float(middle),
        low=float(low),
        high=float(high),
        share_below=below,
        passed=SMALLEST_SHARE <= below <= 1.0 - SMALLEST_SHARE,
        gate=gate,
        phrase=phrase,
    )


def _residuals(outcome: Floats, period: NDArray[np.int64]) -> Floats:
    """(draws, n) ratings less the mean of their period."""
    _, index, count = np.unique(period, return_inverse=True, return_counts=True)
    means = outcome @ np.eye(count.size)[index] / count
    return np.asarray(outcome - means[:, index])


def _lag_1(outcome: Floats, rows: NDArray[np.intp], period: NDArray[np.int64]) -> Floats:
    """Correlation of neighbouring days within periods."""
    residual = _residuals(outcome, period)
    pair = np.flatnonzero((np.diff(rows) == 1) & (np.diff(period) == 0))
    variance = np.maximum((residual**2).mean(axis=1), 1e-12)
    if not pair.size:
        return np.zeros(outcome.shape[0])
    return np.asarray((residual[:, pair] * residual[:, pair + 1]).mean(axis=1) / variance)


def _period_spread(outcome: Floats, arm: NDArray[np.int64], period: NDArray[np.int64]) -> Floats:
    """Standard deviation of period means around the mean of their arm."""
    _, first, index, count = np.unique(
        period, return_index=True, return_inverse=True, return_counts=True
    )
    means = outcome @ np.eye(count.size)[index] / count
    period_arm = arm[first]
    for k in np.unique(period_arm):
        own = period_arm == k
        means[:, own] -= means[:, own].mean(axis=1, keepdims=True)
    compared = period_arm != NO_ARM
    return np.asarray(np.sqrt((means[:, compared] ** 2).mean(axis=1)))


def _curvature(outcome: Floats, week: Floats) -> Floats:
    """How much a parabola over time explains beyond a line (points per squared half-trial)."""
    half = max(float(np.abs(week).max()), 1e-9)
    design = np.stack((np.ones_like(week), week / half, (week / half) ** 2), axis=1)
    if week.size < 4:
        return np.zeros(outcome.shape[0])
    return np.asarray((outcome @ np.linalg.pinv(design).T)[:, 2])
