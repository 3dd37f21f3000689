r"""The two pieces of the crossover model that a graph of small steps would make slow.

A sampler asks for the density and its gradient forty thousand times per patient. Both pieces
are recursions along the days: as loops of numba they take two microseconds, as matrices
of PyTensor thirty, and a minute to compile. Each returns its derivatives with its values;
``models.operations`` hands them to PyTensor, which differentiates everything around them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

FIRST = 0.0
"""The gap before the first rated day: nothing is known of any day before."""
FILLS_UP = -1.0
"""The gap of a row that only fills up an array; it counts for nothing."""


def compiled[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of numbers and arrays when it is first called."""
    ready: Any = numba.njit(function, error_model="numpy")
    return ready  # type: ignore[no-any-return]


@compiled
def fading(
    jump: Floats, wait: Floats, age: Floats, segment: Integers, half_life: Floats
) -> tuple[Floats, Floats]:
    """What is left on each rated day of all changes of the exposures' targets before it.

    Between two changes everything fades by the same factor, so that what is left at the last
    change is all that has to be remembered (``models.exposure.switches`` makes the numbers).

    Args:
        jump: (S, K) change of the target, before minus after, at the start of each segment.
        wait: (S, K) days of fading since the segment before.
        age: (n, K) days of fading since the start of a day's segment.
        segment: (n,) the segment of each rated day.
        half_life: (K,) days.

    Returns:
        (n, K) what is left, and its derivative by the half-life of the arm, per day.
    """
    left = np.empty(age.shape)
    slope = np.empty(age.shape)
    at_start = np.empty(jump.shape[0])
    by_rate = np.empty(jump.shape[0])
    for k in range(age.shape[1]):
        rate = math.log(2.0) / half_life[k]
        before = before_by_rate = 0.0
        for s in range(jump.shape[0]):
            factor = math.exp(-rate * wait[s, k])
            before_by_rate = (before_by_rate - wait[s, k] * before) * factor
            before = before * factor + jump[s, k]
            at_start[s], by_rate[s] = before, before_by_rate
        for i in range(age.shape[0]):
            s = segment[i]
            factor = math.exp(-rate * age[i, k])
            left[i, k] = at_start[s] * factor
            slope[i, k] = (age[i, k] * at_start[s] - by_rate[s]) * factor * rate / half_life[k]
    return left, slope


@compiled
def daily_noise(
    residual: Floats, gap: Floats, period: Integers, sd: float, phi: float, period_sd: float
) -> tuple[float, Floats, float, float, float]:
    r"""Log density of daily noise with period effects, and its gradient.

    .. math::
        r_i = u_{p(i)} + e_i, \qquad u_p \sim \mathrm N(0, s_p), \qquad
        e\ \text{stationary AR(1)},\ \operatorname{corr}(e_i, e_{i-1}) = \varphi^{g_i}

    With u = s_p v, the v of a patient given the residuals are normal, and only neighbouring
    periods depend on each other: their precision is tridiagonal, 1 on the diagonal from the
    prior. That integrates them out. The gradient is Fisher's identity: that of the density of
    residuals and v together, averaged over v given the residuals.

    Args:
        residual: (n,) outcome less what is expected, in points.
        gap: (n,) days since the rated day before, or ``FIRST`` or ``FILLS_UP``.
        period: (n,) index of the period, from 0, in steps of 1.
        sd: marginal standard deviation of e, in points.
        phi: autocorrelation of neighbouring days.
        period_sd: s_p in points; its sign does not matter.

    Returns:
        the log density and its derivatives by the residuals (n,), sd, phi and period_sd.
    """
    rest, bend, precision = _steps(gap, sd, phi)
    periods = period.max() + 1
    diagonal, beside, pull = np.ones(periods), np.zeros(periods), np.zeros(periods)
    density = 0.0
    for i in range(residual.size):
        if gap[i] == FILLS_UP:
            continue
        here, there = period[i], period[i - 1]
        fresh = residual[i]
        own = 1.0
        if gap[i] != FIRST:
            fresh -= rest[i] * residual[i - 1]
            if here == there:
                own -= rest[i]
            else:
                diagonal[there] += precision[i] * (period_sd * rest[i]) ** 2
                beside[here] -= precision[i] * rest[i] * period_sd**2
                pull[there] -= precision[i] * rest[i] * period_sd * fresh
        diagonal[here] += precision[i] * (period_sd * own) ** 2
        pull[here] += precision[i] * own * period_sd * fresh
        density += 0.5 * (math.log(precision[i] / (2.0 * math.pi)) - precision[i] * fresh**2)
    explained, mean, variance, covariance = _tridiagonal(diagonal, beside, pull)
    by_residual, by_sd, by_phi, by_period_sd = _gradient(
        residual, gap, period, sd, period_sd, rest, bend, precision, mean, variance, covariance
    )
    return density + explained, by_residual, by_sd, by_phi, by_period_sd


@compiled
def _steps(gap: Floats, sd: float, phi: float) -> tuple[Floats, Floats, Floats]:
    """(n,) what rests of the day before, its derivative by phi, precision of what is new."""
    rest, bend = np.zeros(gap.size), np.zeros(gap.size)
    precision = np.full(gap.size, 1.0 / sd**2)
    for i in range(gap.size):
        if gap[i] > 0:
            power = 1.0 if gap[i] == 1.0 else phi ** (gap[i] - 1.0)
            rest[i], bend[i] = power * phi, gap[i] * power
            precision[i] = 1.0 / (sd**2 * (1.0 - rest[i] ** 2))
    return rest, bend, precision


@compiled
def _tridiagonal(
    diagonal: Floats, beside: Floats, pull: Floats
) -> tuple[float, Floats, Floats, Floats]:
    """Integrate out a normal vector of tridiagonal precision A = ``diagonal``, ``beside``.

    ``beside[p]`` stands between p - 1 and p; ``pull`` is the linear term.

    Returns:
        log of the integral, the mean (P,), the variances (P,), the covariances with the one
        before (P,).
    """
    size = diagonal.size
    pivot, mean = diagonal.copy(), pull.copy()
    link, covariance = np.zeros(size), np.zeros(size)
    for p in range(1, size):
        link[p] = beside[p] / pivot[p - 1]
        pivot[p] -= link[p] * beside[p]
        mean[p] -= link[p] * mean[p - 1]
    integral = 0.0
    for p in range(size):
        integral += 0.5 * (mean[p] ** 2 / pivot[p] - math.log(pivot[p]))
    variance = 1.0 / pivot
    mean /= pivot
    for p in range(size - 2, -1, -1):
        covariance[p + 1] = -link[p + 1] * variance[p + 1]
        variance[p] -= link[p + 1] * covariance[p + 1]
        mean[p] -= link[p + 1] * mean[p + 1]
    return integral, mean, variance, covariance


@compiled
def _gradient(
    residual: Floats,
    gap: Floats,
    period: Integers,
    sd: float,
    period_sd: float,
    rest: Floats,
    bend: Floats,
    precision: Floats,
    mean: Floats,
    variance: Floats,
    covariance: Floats,
) -> tuple[Floats, float, float, float]:
    """Derivatives by residuals, sd, phi and period_sd, by Fisher's identity.

    A day adds log N(new; 0, 1 / precision), new = (r - s v) - rest (r - s v of the day before);
    ``move`` = v - rest (v of the day before) is what moves it with s.
    """
    by_residual = np.zeros(residual.size)
    by_sd = by_phi = by_period_sd = 0.0
    for i in range(residual.size):
        if gap[i] == FILLS_UP:
            continue
        here = period[i]
        new, before, cross = residual[i], 0.0, 0.0
        move, spread = mean[here], variance[here]
        if gap[i] != FIRST:
            there = period[i - 1]
            shared = variance[here] if here == there else covariance[here]
            move -= rest[i] * mean[there]
            spread += rest[i] * (rest[i] * variance[there] - 2.0 * shared)
            new -= rest[i] * residual[i - 1]
            before = residual[i - 1] - period_sd * mean[there]
            cross = period_sd**2 * (shared - rest[i] * variance[there])
        new -= period_sd * move
        weight = precision[i]
        excess = weight * (new**2 + period_sd**2 * spread) - 1.0
        by_residual[i] -= weight * new
        by_sd += excess / sd
        by_period_sd += weight * (new * move - period_sd * spread)
        if gap[i] != FIRST:
            by_residual[i - 1] += weight * rest[i] * new
            by_rest = weight * (new * before + cross) - excess * rest[i] / (1.0 - rest[i] ** 2)
            by_phi += by_rest * bend[i]
    return by_residual, by_sd, by_phi, by_period_sd
