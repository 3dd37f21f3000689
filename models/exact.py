"""The exact engine: the posterior of one patient by integration, without a Markov chain.

Given the autocorrelation, the ratio of period to daily spread, the daily standard deviation
and the half-lives, the crossover model is linear and Gaussian, so level, arm effects, drift and
period effects are integrated in closed form. What remains has few dimensions:

* autocorrelation and spread ratio by Gauss-Legendre quadrature on an interval fitted to each
  trial, the daily standard deviation by Gauss-Hermite quadrature around its conditional mode;
* one half-life shared by all arms by a further quadrature;
* half-lives of the arms each by importance sampling, with even points, a proposal fitted in a
  pilot round and one quarter of the prior mixed in so that the weights are bounded. Pareto-k
  of the weights is reported and is a gate of its own.

Draws are stratified: they walk through the nodes in order of their weight (each node as often
as it deserves, within one draw) with even normal deviates, and are shuffled afterwards. Means
and quantiles of n draws are therefore closer than n independent draws would be.

No trial sees another: fitting one or a thousand together gives the same draws.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import hermite, legendre
from numpy.typing import NDArray
from scipy.special import ndtri

from models.data import TrialData
from models.errors import ModelInputError
from models.exposure import exposures, speeds, targets
from models.importance import effective_size, kronecker, pareto_k, systematic
from models.posterior import Diagnostics, Engine, Posterior
from models.specification import (
    HalfLifePerArm,
    HalfLifeShared,
    LogNormal,
    Specification,
)

type Floats = NDArray[np.float64]


@cache
def hermgauss(nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss-Hermite quadrature, computed once."""
    return hermite.hermgauss(nodes)


@cache
def leggauss(nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss-Legendre quadrature, computed once."""
    return legendre.leggauss(nodes)


type Symmetric = list[list[Floats]]
"""The lower triangle of a matrix for many nodes at once: element [i][j], j <= i, is an array."""

LOG_2PI = float(np.log(2.0 * np.pi))
SPAN = 5.5
"""Half-width of a quadrature interval in posterior standard deviations."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How finely the exact engine integrates.

    Attributes:
        autocorrelation: Gauss-Legendre nodes.
        spread: Gauss-Legendre nodes for the ratio of period to daily spread.
        sd: Gauss-Hermite nodes for the log of the daily standard deviation.
        half_life: Gauss-Legendre nodes for a shared half-life.
        points: importance points for half-lives of the arms each.
        pilot: importance points of the pilot round.
    """

    autocorrelation: int = 12
    spread: int = 10
    sd: int = 7
    half_life: int = 14
    points: int = 2048
    pilot: int = 384


DEFAULT_GRID = Grid()
FINE_GRID = Grid(autocorrelation=32, spread=28, sd=20, half_life=40, points=16384, pilot=2048)


def fit(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    grid: Grid = DEFAULT_GRID,
) -> Posterior:
    """Return the posterior of one trial; the same seed gives the same draws.

    Args:
        data: the trial; days without a rating or outside the analysis window are not fitted.
        specification: what is fitted, with its priors.
        seed: of the shift of the even points.
        draws: how many to return.
        grid: how finely to integrate.

    Raises:
        ModelInputError: when no day can be fitted.
    """
    return fit_many([data], specification, seed=seed, draws=draws, grid=grid)[0]


def fit_many(
    trials: Sequence[TrialData],
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    grid: Grid = DEFAULT_GRID,
    only_arms: bool = False,
) -> list[Posterior]:
    """Return the posteriors of many trials of one specification, in their order.

    Trials may differ in days, sequence and gaps. The work is cut into pieces that fit the
    processor's cache.

    Args:
        trials: each as for :func:`fit`.
        specification: of all of them.
        seed: as for :func:`fit`.
        draws: from each posterior.
        grid: how finely to integrate.
        only_arms: leave the other parameters out, which a simulation does not need; the
            arms' draws are the same.
    """
    noise = _Noise.make(seed, draws, _linear_terms(specification))
    per_arm = specification.carryover and isinstance(specification.priors.half_life, HalfLifePerArm)
    step = 1 if specification.carryover else 8
    result: list[Posterior] = []
    for start in range(0, len(trials), step):
        began = time.perf_counter()
        some = trials[start : start + step]
        for data in some:
            _check(data, specification)
        batch = _prepare(some, specification, grid)
        surface = _integrate(batch, specification, grid)
        if per_arm:
            fitted = [_sample_half_lives(some[0], batch, surface, specification, noise, grid)]
        else:
            fitted = _draw(batch, surface, specification, noise, only_arms=only_arms)
        seconds = (time.perf_counter() - began) / len(some)
        result += [
            Posterior(
                arms=data.arms,
                arm_mean=one.arm_mean,
                parameters=one.parameters,
                engine=Engine.EXACT,
                seed=seed,
                diagnostics=one.diagnostics,
                seconds=seconds,
            )
            for data, one in zip(some, fitted, strict=True)
        ]
    return result


# -- the trials as arrays ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Batch:
    """B trials padded to the same number of observed days n and periods P.

    Attributes:
        columns: (B, H, n, m) design and rating: level, arms, drift if fitted, rating.
        half_life: (H,) the shared half-lives of the second axis; one element otherwise.
        gap: (B, n) days since the last observed day; infinite for the first.
        real: (B, n) 1 for an observed day, 0 for padding.
        period: (B, n, P) 1 where the day is in the period, observed periods only.
        size: (B,) number of observed days.
        spread_unit: (B,) points; the period spread is integrated in this unit.
    """

    columns: Floats
    half_life: Floats
    gap: Floats
    real: Floats
    period: Floats
    size: Floats
    spread_unit: Floats


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What one trial's integration gives."""

    arm_mean: Floats
    parameters: dict[str, Floats]
    diagnostics: Diagnostics


@dataclass(frozen=True, slots=True)
class _Noise:
    """The even points behind the draws, shared by all trials of a call.

    Attributes:
        positions: (n,) shuffled strata of [0, 1).
        normals: (q, n) normal deviates for level, arms and drift.
        inside: (3, n) where inside its node a draw lies: autocorrelation, spread, sd.
    """

    positions: Floats
    normals: Floats
    inside: Floats
    seed: int

    @classmethod
    def make(cls, seed: int, draws: int, terms: int) -> _Noise:
        """Return the points of a seed."""
        generator = np.random.default_rng(seed)
        order = generator.permutation(draws)
        even = kronecker(draws, terms + 3, generator.random(terms + 3))[order].T
        positions = (order + generator.random()) / draws
        normals = ndtri(np.clip(even[:terms], 1e-12, 1 - 1e-12))
        return cls(positions, np.ascontiguousarray(normals), even[terms:].copy(), seed)


def _check(data: TrialData, specification: Specification) -> None:
    if data.arms != specification.labels:
        raise ModelInputError("The data and the specification must name the same arms.")
    if not data.observed.any():
        raise ModelInputError("There is no rating to fit.")


def _linear_terms(specification: Specification) -> int:
    """The number of linear terms q: level, arms, drift if fitted."""
    return 1 + len(specification.arms) + int(specification.trend)


def _prior_of_terms(specification: Specification) -> tuple[Floats, Floats]:
    """Return (q,) means and (q,) standard deviations of the linear terms."""
    priors = specification.priors
    terms = [priors.level, *[priors.arm] * len(specification.arms)]
    if specification.trend:
        terms.append(priors.trend_per_week)
    return np.array([t.mean for t in terms]), np.array([t.sd for t in terms])


def _prepare(trials: Sequence[TrialData], specification: Specification, grid: Grid) -> _Batch:
    """Pad the observed days of the trials to common arrays."""
    shared = specification.carryover and isinstance(specification.priors.half_life, HalfLifeShared)
    half_life = (
        _shared_nodes(specification, grid)[0]
        if shared
        else np.array(specification.prior_half_lives())[:1]
    )
    rows = [np.flatnonzero(data.observed) for data in trials]
    periods = [
        np.unique(d.day_period[r], return_inverse=True)[1]
        for d, r in zip(trials, rows, strict=True)
    ]
    n, many = max(r.size for r in rows), max(int(p.max()) + 1 for p in periods)
    size, terms = len(trials), _linear_terms(specification)
    columns = np.zeros((size, half_life.size if shared else 1, n, terms + 1))
    gap, real = np.full((size, n), np.inf), np.zeros((size, n))
    period, unit = np.zeros((size, n, many)), np.empty(size)
    arms = len(specification.arms)
    for b, (data, row, dense) in enumerate(zip(trials, rows, periods, strict=True)):
        count = row.size
        columns[b, :, :count, 0] = 1.0
        columns[b, :, :count, 1 : 1 + arms] = _steady(
            data, specification, half_life, shared=shared
        )[:, row]
        if specification.trend:
            columns[b, :, :count, 1 + arms] = data.week[row]
        columns[b, :, :count, terms] = data.outcome[row]
        gap[b, 1:count] = np.diff(row)
        real[b, :count] = 1.0
        period[b, np.arange(count), dense] = 1.0
        unit[b] = _rough_sd(data.outcome[row], dense, specification)
    return _Batch(columns, half_life, gap, real, period, real.sum(axis=1), unit)


def _steady(
    data: TrialData, specification: Specification, half_life: Floats, *, shared: bool
) -> Floats:
    """(H, T, K) exposures: at each shared half-life, at the prior medians, or at once."""
    target = targets(data)
    if not specification.carryover:
        return target[np.newaxis]
    speed = speeds(data, specification)
    if shared:
        every = np.broadcast_to(half_life, (target.shape[1], half_life.size))
        return np.moveaxis(exposures(target, speed, every), 2, 0)
    return exposures(target, speed, np.array(specification.prior_half_lives()))[np.newaxis]


def _rough_sd(outcome: Floats, period: NDArray[np.intp], specification: Specification) -> float:
    """Return a daily standard deviation good enough to be a unit: never zero, never refused."""
    count = np.bincount(period)
    means = np.bincount(period, outcome) / count
    prior = specification.priors.sd
    guess = np.exp(prior.mean_log) if isinstance(prior, LogNormal) else 0.67 * prior.scale
    squares = float(((outcome - means[period]) ** 2).sum())
    return float(np.sqrt((squares + 2 * guess**2) / (outcome.size - count.size + 2)))


# -- the linear-Gaussian part ------------------------------------------------------------


def noise_precision(gap: Floats, real: Floats, phi: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the inverse correlation of AR(1) noise over gaps, a tridiagonal matrix.

    Args:
        gap: (B, n, 1) days since the last observed day.
        real: (B, n, 1) 1 for observed days.
        phi: (B, 1, F) autocorrelations.

    Returns:
        diagonal (B, n, F); element (i, i + 1) (B, n, F), the last being 0; log determinant
        of the correlation (B, F).
    """
    lag = np.where(np.isfinite(gap) & (real > 0), gap, 0.0)
    rho = np.where(lag > 0, np.power(phi, lag), 0.0)
    inverse = real / (1.0 - rho**2)
    diagonal = inverse.copy()
    diagonal[:, :-1] += rho[:, 1:] ** 2 * inverse[:, 1:]
    beside = np.zeros_like(diagonal)
    beside[:, :-1] = -rho[:, 1:] * inverse[:, 1:]
    return diagonal, beside, np.log1p(-(rho**2)).sum(axis=1)


@dataclass(frozen=True, slots=True)
class _Products:
    """Cross-products under the noise precision, before period effects.

    Attributes:
        gram: symmetric m x m of design and rating.
        period: (P, m, ...) of periods with design and rating.
        diagonal: (P, ...) of periods with themselves.
        beside: (P, ...) of each period with the next.
        log_det: log determinant of the noise correlation.
    """

    gram: Symmetric
    period: Floats
    diagonal: Floats
    beside: Floats
    log_det: Floats


def _products(batch: _Batch, phi: Floats) -> _Products:
    """Return the cross-products at (B, F) autocorrelations; trailing axes (B, H, F)."""
    diagonal, beside, log_det = noise_precision(
        batch.gap[..., None], batch.real[..., None], phi[:, None, :]
    )
    columns = batch.columns
    m, size, shared = columns.shape[3], columns.shape[0], columns.shape[1]
    after, before = np.zeros_like(columns), np.zeros_like(columns)
    after[:, :, :-1] = columns[:, :, 1:]
    before[:, :, 1:] = columns[:, :, :-1]
    beside_before = np.zeros_like(beside)
    beside_before[:, 1:] = beside[:, :-1]
    weighted = (
        diagonal[:, None, :, :, None] * columns[:, :, :, None, :]
        + beside[:, None, :, :, None] * after[:, :, :, None, :]
        + beside_before[:, None, :, :, None] * before[:, :, :, None, :]
    )  # (B, H, n, F, m)
    nodes = phi.shape[1]
    flat = weighted.reshape(size, shared, columns.shape[2], nodes * m)
    own = np.matmul(columns.transpose(0, 1, 3, 2), flat).reshape(size, shared, m, nodes, m)
    by_period = np.matmul(batch.period.transpose(0, 2, 1)[:, None], flat)
    by_period = by_period.reshape(size, shared, -1, nodes, m)
    same = np.zeros_like(batch.real)
    same[:, :-1] = (batch.period[:, :-1] * batch.period[:, 1:]).sum(axis=2)
    within = diagonal + 2.0 * beside * same[..., None]
    across = beside * (1.0 - same[..., None])
    to_period = batch.period.transpose(0, 2, 1)
    gram = [[np.ascontiguousarray(own[:, :, i, :, j]) for j in range(i + 1)] for i in range(m)]
    return _Products(
        gram,
        np.ascontiguousarray(by_period.transpose(2, 4, 0, 1, 3)),
        np.matmul(to_period, within).transpose(1, 0, 2)[:, :, None, :],
        np.matmul(to_period, across).transpose(1, 0, 2)[:, :, None, :],
        log_det[:, None, :],
    )


def _without_periods(products: _Products, ratio: Floats | None) -> tuple[Symmetric, Floats]:
    """Integrate the period effects out of the cross-products.

    The periods' own matrix is tridiagonal, since only neighbouring days are correlated, so
    one sweep over the periods eliminates them for all nodes at once.

    Args:
        products: with trailing axes that broadcast against ``ratio``.
        ratio: variance of period effects over that of the noise; None leaves them out.

    Returns:
        the m x m cross-products under noise and periods; log determinant of both.
    """
    if ratio is None:
        return products.gram, products.log_det
    m = products.period.shape[1]
    gram = [
        [np.broadcast_to(g, np.broadcast_shapes(g.shape, ratio.shape)).copy() for g in row]
        for row in products.gram
    ]
    log_det = products.log_det + np.zeros_like(ratio)
    pivot = 1.0 + ratio * products.diagonal[0]
    row = products.period[0] + np.zeros_like(pivot)
    for p in range(products.period.shape[0]):
        if p:
            off = ratio * products.beside[p - 1]
            factor = off / pivot
            pivot = 1.0 + ratio * products.diagonal[p] - factor * off
            row = products.period[p] - factor * row
        scaled = row * (ratio / pivot)
        for i in range(m):
            for j in range(i + 1):
                gram[i][j] -= scaled[i] * row[j]
        log_det = log_det + np.log(pivot)
    return gram, log_det


def _in_prior_units(gram: Symmetric, specification: Specification) -> Symmetric:
    """Return the cross-products with terms in prior standard deviations from their means."""
    mean, sd = _prior_of_terms(specification)
    q = mean.size
    shifted = [i for i in range(q) if mean[i]]
    row = list(gram[q])
    for i in shifted:
        row[q] = row[q] - 2 * mean[i] * gram[q][i] + mean[i] ** 2 * gram[i][i]
        for j in range(i):
            if mean[j]:
                row[q] = row[q] + 2 * mean[i] * mean[j] * gram[i][j]
    for j in range(q):
        for i in shifted:
            row[j] = row[j] - mean[i] * gram[max(i, j)][min(i, j)]
    scaled: Symmetric = [[gram[i][j] * (sd[i] * sd[j]) for j in range(i + 1)] for i in range(q)]
    scaled.append([row[j] * sd[j] for j in range(q)] + [row[q]])
    return scaled


def _factor(scaled: Symmetric, variance: Floats) -> tuple[Symmetric, list[Floats]]:
    """Return Cholesky rows of (variance I + X'X) and the solved right-hand side.

    The last row of ``scaled`` is X'y; both come from one sweep. The diagonal of the factor
    holds the reciprocals.
    """
    q = len(scaled) - 1
    factor: Symmetric = []
    solved: list[Floats] = []
    for i in range(q):
        line: list[Floats] = []
        for j in range(i + 1):
            value = scaled[i][j] + variance if i == j else scaled[i][j] + np.zeros_like(variance)
            for k in range(j):
                value -= line[k] * (factor[j][k] if j < i else line[k])
            line.append(1.0 / np.sqrt(value) if i == j else value * factor[j][j])
        factor.append(line)
    for i in range(q):
        value = scaled[q][i] + np.zeros_like(variance)
        for k in range(i):
            value -= factor[i][k] * solved[k]
        solved.append(value * factor[i][i])
    return factor, solved


# -- the daily standard deviation --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OverSd:
    """The integrand along the log of the daily standard deviation.

    Attributes:
        log_density: (..., S) log of integrand times quadrature weight.
        centre: (...) conditional mode of the log standard deviation.
        scale: (...) half the distance that one unit of the Hermite nodes stands for.
    """

    log_density: Floats
    centre: Floats
    scale: Floats


def _over_sd(
    scaled: Symmetric,
    log_det: Floats,
    size: Floats,
    spread: Floats | None,
    specification: Specification,
    nodes: int,
) -> _OverSd:
    """Integrate over the daily standard deviation at every node of the other parameters.

    Args:
        scaled: cross-products in prior units, without period effects.
        log_det: log determinant of noise and periods in units of the noise variance.
        size: number of observed days, broadcastable.
        spread: period spread over daily standard deviation, None without period effects.
        specification: for the priors.
        nodes: S, how many.
    """
    centre, scale = _sd_mode(scaled, size, spread, specification)
    x, w = hermgauss(nodes)
    log_sd = centre[..., None] + scale[..., None] * x
    variance = np.exp(2.0 * log_sd)
    wide: Symmetric = [[g[..., None] for g in row] for row in scaled]
    factor, solved = _factor(wide, variance)
    q = len(solved)
    squares = wide[q][q] - sum(v * v for v in solved)
    log_density = (
        -0.5 * np.asarray(log_det)[..., None]
        - (np.asarray(size)[..., None] - q) * log_sd
        - 0.5 * squares / variance
    )
    for i in range(q):
        log_density += np.log(factor[i][i])
    log_density += _log_prior_sd(log_sd, spread, specification)
    log_density += np.log(w) + x**2 + np.log(scale)[..., None]
    return _OverSd(log_density, centre, scale)


def _sd_mode(
    scaled: Symmetric, size: Floats, spread: Floats | None, specification: Specification
) -> tuple[Floats, Floats]:
    """Return mode and Hermite scale of the log standard deviation by Newton's method."""
    prior, q = specification.priors.sd, len(scaled) - 1
    typical = np.exp(prior.mean_log) if isinstance(prior, LogNormal) else 0.67 * prior.scale
    shape = scaled[q][q].shape
    _, solved = _factor(scaled, np.full(shape, typical**2))
    squares = np.maximum(scaled[q][q] - sum(v * v for v in solved), 1e-8 * typical**2)
    effective = np.broadcast_to(np.maximum(size - q, 1.0), shape)
    log_sd = 0.5 * np.log(squares / effective)
    period_scale = specification.priors.period_sd.scale
    for _ in range(5):
        inverse = squares * np.exp(-2.0 * log_sd)
        slope, curve = inverse - effective, -2.0 * inverse
        variance = np.exp(2.0 * log_sd)
        if isinstance(prior, LogNormal):
            slope = slope - (log_sd - prior.mean_log) / prior.sd_log**2
            curve = curve - 1.0 / prior.sd_log**2
        else:
            slope = slope + 1.0 - variance / prior.scale**2
            curve = curve - 2.0 * variance / prior.scale**2
        if spread is not None:
            narrow = spread**2 * variance / period_scale**2
            slope = slope + 1.0 - narrow
            curve = curve - 2.0 * narrow
        log_sd = log_sd - np.clip(slope / curve, -1.0, 1.0)
    return log_sd, 1.1 * np.sqrt(-2.0 / curve)


def _log_prior_sd(log_sd: Floats, spread: Floats | None, specification: Specification) -> Floats:
    """Return the log prior of daily sd and period spread, with respect to their logs' measure."""
    prior = specification.priors.sd
    if isinstance(prior, LogNormal):
        result = -0.5 * ((log_sd - prior.mean_log) / prior.sd_log) ** 2
    else:
        result = log_sd - 0.5 * np.exp(2.0 * log_sd) / prior.scale**2
    if spread is not None:
        period_sd = spread[..., None] * np.exp(log_sd)
        result = result + log_sd - 0.5 * (period_sd / specification.priors.period_sd.scale) ** 2
    return np.asarray(result)


# -- quadrature over autocorrelation and spread ---------------------------------------------


@dataclass(frozen=True, slots=True)
class _Surface:
    """The integrand of B trials over all nodes, axes (B, H, F, R, S).

    Attributes:
        phi: (B, F) autocorrelation nodes, phi_weight their log quadrature weights.
        ratio: (B, R) spread nodes (period sd over daily sd), ratio_weight likewise.
        scaled: cross-products in prior units, axes (B, H, F, R).
        over_sd: the integrand along the daily standard deviation.
        log_weight: (B, H, F, R, S) everything together.
        phi_range: (B, 2); ratio_range: (B, 2).
    """

    phi: Floats
    phi_weight: Floats
    ratio: Floats
    ratio_weight: Floats
    scaled: Symmetric
    over_sd: _OverSd
    log_weight: Floats
    phi_range: Floats
    ratio_range: Floats


def _integrate(batch: _Batch, specification: Specification, grid: Grid) -> _Surface:
    """Return the surface on intervals that fit each trial.

    A coarse pass over all the prior allows finds where the posterior lies; the interval is
    narrowed until its width is a fair number of posterior standard deviations.
    """
    size = batch.gap.shape[0]
    bounds = specification.priors.autocorrelation
    phi_range = np.tile((bounds.low, bounds.high), (size, 1)).astype(np.float64)
    limit = 5.0 * specification.priors.period_sd.scale / batch.spread_unit
    ratio_range = np.stack((np.zeros(size), 1.2 * limit), axis=1)
    coarse = Grid(grid.autocorrelation, max(5, grid.spread // 2), 5)
    middle = _at_middle_half_life(batch)
    narrow_phi = narrow_ratio = np.zeros(size, dtype=np.bool_)
    for _ in range(4):
        surface = _evaluate(middle, specification, coarse, phi_range, ratio_range)
        weight = _normalized(surface.log_weight)
        phi_range, narrow_phi = _narrower(
            surface.phi, weight.sum(axis=(1, 3, 4)), phi_range, (bounds.low, bounds.high)
        )
        ratio_range, narrow_ratio = _narrower(
            surface.ratio, weight.sum(axis=(1, 2, 4)), ratio_range, (0.0, np.inf)
        )
        if not (narrow_phi | narrow_ratio).any():
            break
    return _evaluate(batch, specification, grid, phi_range, ratio_range)


def _at_middle_half_life(batch: _Batch) -> _Batch:
    """Return the batch at the middle of its shared half-lives, for the coarse passes."""
    if batch.half_life.size == 1:
        return batch
    middle = batch.half_life.size // 2
    return _Batch(
        batch.columns[:, middle : middle + 1],
        batch.half_life[middle : middle + 1],
        batch.gap,
        batch.real,
        batch.period,
        batch.size,
        batch.spread_unit,
    )


def _narrower(
    nodes: Floats, weight: Floats, interval: Floats, bounds: tuple[float, float]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the interval that holds the posterior, and whether that was a big step.

    Args:
        nodes: (B, N).
        weight: (B, N) normalized posterior weights.
        interval: (B, 2) that the nodes cover.
        bounds: the interval's outermost ends.
    """
    mean = (weight * nodes).sum(axis=1)
    spread = np.sqrt((weight * (nodes - mean[:, None]) ** 2).sum(axis=1))
    width = interval[:, 1] - interval[:, 0]
    # A posterior that falls between the nodes looks narrower than can be known.
    spread = np.maximum(spread, 0.35 * width / nodes.shape[1])
    low = np.maximum(np.maximum(mean - SPAN * spread, interval[:, 0]), bounds[0])
    high = np.minimum(np.minimum(mean + SPAN * spread, interval[:, 1]), bounds[1])
    return np.stack((low, high), axis=1), (high - low) < 0.5 * width


def _evaluate(
    batch: _Batch,
    specification: Specification,
    grid: Grid,
    phi_range: Floats,
    ratio_range: Floats,
) -> _Surface:
    """Evaluate the integrand at all nodes of the given intervals."""
    phi, phi_weight = _legendre(phi_range, grid.autocorrelation)
    prior = specification.priors.autocorrelation
    phi_weight = phi_weight - 0.5 * ((phi - prior.mean) / prior.sd) ** 2
    products = _products(batch, phi)
    if specification.period_effect:
        ratio, ratio_weight = _legendre(ratio_range, grid.spread)
        spread: Floats | None = ratio[:, None, None, :] + np.zeros((1, 1, phi.shape[1], 1))
    else:
        ratio = np.zeros((phi.shape[0], 1))
        ratio_weight, spread = np.zeros_like(ratio), None
    wide = _Products(
        [[g[..., None] for g in row] for row in products.gram],
        products.period[..., None],
        products.diagonal[..., None],
        products.beside[..., None],
        products.log_det[..., None],
    )
    gram, log_det = _without_periods(wide, None if spread is None else spread**2)
    scaled = _in_prior_units(gram, specification)
    over_sd = _over_sd(
        scaled, log_det, batch.size[:, None, None, None], spread, specification, grid.sd
    )
    log_weight = (
        over_sd.log_density
        + phi_weight[:, None, :, None, None]
        + ratio_weight[:, None, None, :, None]
    )
    if batch.half_life.size > 1:
        log_weight = log_weight + _shared_nodes(specification, grid)[1][:, None, None, None]
    return _Surface(
        phi, phi_weight, ratio, ratio_weight, scaled, over_sd, log_weight, phi_range, ratio_range
    )


def _legendre(interval: Floats, nodes: int) -> tuple[Floats, Floats]:
    """Return (B, N) nodes and log weights of Gauss-Legendre quadrature on (B, 2) intervals."""
    x, w = leggauss(nodes)
    half = 0.5 * (interval[:, 1:] - interval[:, :1])
    return interval[:, :1] + half * (1.0 + x), np.log(w * half)


def _shared_nodes(specification: Specification, grid: Grid) -> tuple[Floats, Floats]:
    """Return nodes (days) and log prior weights of a half-life shared by all arms."""
    prior = specification.priors.half_life
    if not isinstance(prior, HalfLifeShared):
        raise TypeError("The half-life is not shared.")
    x, w = leggauss(grid.half_life)
    z = 4.5 * x
    return np.exp(prior.mean_log + prior.sd_log * z), np.log(w) - 0.5 * z**2


def _normalized(log_weight: Floats) -> Floats:
    """Return weights that sum to 1 over all axes but the first."""
    axes = tuple(range(1, log_weight.ndim))
    weight = np.exp(log_weight - log_weight.max(axis=axes, keepdims=True))
    return np.asarray(weight / weight.sum(axis=axes, keepdims=True))


# -- from nodes to draws -------------------------------------------------------------------


def _draw(
    batch: _Batch,
    surface: _Surface,
    specification: Specification,
    noise: _Noise,
    *,
    only_arms: bool,
) -> list[_Fitted]:
    """Draw from each trial's quadrature."""
    phis, ratios, sds = surface.log_weight.shape[2:]
    weight = _normalized(surface.log_weight)
    result = []
    for b in range(weight.shape[0]):
        found = systematic(weight[b].ravel(), noise.positions)
        node, s = np.divmod(found, sds)
        rest, r = np.divmod(node, ratios)
        h, f = np.divmod(rest, phis)
        point: Symmetric = [[g[b].ravel()[node] for g in row] for row in surface.scaled]
        x = _between_hermite(weight[b].sum(axis=(0, 1, 2)), s, noise.inside[2])
        log_sd = surface.over_sd.centre[b].ravel()[node] + (
            surface.over_sd.scale[b].ravel()[node] * x
        )
        values = _terms(point, np.exp(2.0 * log_sd), noise.normals, specification)
        parameters: dict[str, Floats] = {}
        if not only_arms:
            parameters = _named_terms(values, specification)
            parameters["sd"] = np.exp(log_sd)
            parameters |= _nodes_as_parameters(
                weight[b], (h, f, r), surface, b, noise, specification
            )
            if specification.period_effect:
                parameters["period_sd"] = parameters["period_sd"] * parameters["sd"]
        diagnostics = Diagnostics(
            draws=noise.positions.size,
            nodes=weight[b].size,
            effective_points=effective_size(weight[b].ravel()),
        )
        result.append(_Fitted(_arm_means(values, specification), parameters, diagnostics))
    return result


def _nodes_as_parameters(
    weight: Floats,
    node: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    surface: _Surface,
    trial: int,
    noise: _Noise,
    specification: Specification,
) -> dict[str, Floats]:
    """Return autocorrelation, spread ratio and shared half-life as continuous draws.

    Args:
        weight: (H, F, R, S) of the nodes.
        node: of each draw: half-life, autocorrelation, spread.
        surface: for the intervals; ``trial`` is its index in there.
        trial: see above.
        noise: where inside its node a draw lies.
        specification: which of them there are.

    The spread is left as a ratio to the daily standard deviation under ``period_sd``.
    """
    h, f, r = node
    parameters = {
        "autocorrelation": _between_legendre(
            weight.sum(axis=(0, 2, 3)), surface.phi_range[trial], f, noise.inside[0]
        )
    }
    if specification.period_effect:
        parameters["period_sd"] = _between_legendre(
            weight.sum(axis=(0, 1, 3)), surface.ratio_range[trial], r, noise.inside[1]
        )
    if weight.shape[0] > 1:
        parameters["half_life"] = _between_half_lives(
            weight.sum(axis=(1, 2, 3)), h, noise.inside[1], specification
        )
    return parameters


def _terms(
    scaled: Symmetric, variance: Floats, normals: Floats, specification: Specification
) -> list[Floats]:
    """Draw the q linear terms given everything else, in their own units.

    Args:
        scaled: cross-products in prior units at each draw's node, arrays (n,).
        variance: (n,) daily variance.
        normals: (q, n) standard normal deviates.
        specification: for the priors.
    """
    mean, sd = _prior_of_terms(specification)
    factor, solved = _factor(scaled, variance)
    daily = np.sqrt(variance)
    q = mean.size
    values: list[Floats] = [solved[i] + daily * normals[i] for i in range(q)]
    for i in reversed(range(q)):
        for k in range(i + 1, q):
            values[i] = values[i] - factor[k][i] * values[k]
        values[i] = values[i] * factor[i][i]
    return [mean[i] + sd[i] * values[i] for i in range(q)]


def _named_terms(values: list[Floats], specification: Specification) -> dict[str, Floats]:
    """Return the linear terms that are not arms, by name."""
    named = {"level": values[0]}
    if specification.trend:
        named["trend_per_week"] = values[-1]
    return named


def _arm_means(values: list[Floats], specification: Specification) -> Floats:
    """(n, K) level plus effect of each arm; each arm's draws lie together in memory."""
    return np.stack([values[0] + values[1 + k] for k in range(len(specification.arms))]).T


@cache
def _legendre_reader(nodes: int) -> tuple[Floats, Floats]:
    """Return 257 places on [-1, 1] and the matrix that reads a polynomial there from nodes."""
    x, _ = leggauss(nodes)
    return _reader(x, np.linspace(-1.0, 1.0, 257))


@cache
def _hermite_reader(nodes: int) -> tuple[Floats, Floats]:
    """The same for Gauss-Hermite nodes, a little beyond the outermost."""
    x, _ = hermgauss(nodes)
    edge = x[-1] + 0.5
    return _reader(x, np.linspace(-edge, edge, 257))


def _reader(x: Floats, places: Floats) -> tuple[Floats, Floats]:
    """Return ``places`` and the barycentric interpolation matrix from nodes ``x`` to them."""
    difference = x[:, None] - x
    np.fill_diagonal(difference, 1.0)
    weights = 1.0 / difference.prod(axis=1)
    distance = places[:, None] - x
    hit = np.abs(distance) < 1e-13
    distance[hit] = 1.0
    matrix = weights / distance
    matrix /= matrix.sum(axis=1, keepdims=True)
    rows = hit.any(axis=1)
    matrix[rows] = hit[rows]
    return places, matrix


def _between(
    density: Floats, places: Floats, probability: Floats, index: NDArray[np.intp], inside: Floats
) -> Floats:
    """Return a continuous value for draws that know only their node.

    Each node stands for its share of probability in order; ``inside`` says where in that
    share a draw lies, and the inverse of the interpolated distribution turns it into a value.
    """
    cumulative = np.concatenate(([0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))))
    cumulative /= cumulative[-1]
    start = np.concatenate(([0.0], np.cumsum(probability)))
    rank = start[index] + inside * probability[index]
    return np.asarray(np.interp(rank / start[-1], cumulative, places))


def _between_legendre(
    probability: Floats,
    interval: Floats,
    index: NDArray[np.intp],
    inside: Floats,
    *,
    smooth: Floats | None = None,
) -> Floats:
    """Continuous values on an interval from Gauss-Legendre nodes.

    Args:
        probability: (N,) of the nodes.
        interval: its two ends.
        index: (n,) node of each draw.
        inside: (n,) where inside its node's share a draw lies.
        smooth: (N,) probabilities to interpolate between, where those of the nodes are
            themselves estimates and too rough for a polynomial.
    """
    w = leggauss(probability.size)[1]
    places, matrix = _legendre_reader(probability.size)
    density = _interpolated(matrix, (probability if smooth is None else smooth) / w)
    at = interval[0] + 0.5 * (interval[1] - interval[0]) * (1.0 + places)
    return _between(density, at, probability, index, inside)


def _shifted(base: Floats, estimated: Floats, nodes: Floats) -> Floats:
    """Return smooth probabilities near estimated ones: a base times a fitted parabola's exp."""
    half = 0.5 * float(np.ptp(nodes))
    x = (nodes - nodes.mean()) / half
    known = estimated > 0
    design = np.stack((np.ones_like(x), x, x**2), axis=1)
    root = np.sqrt(np.where(known, estimated, 0.0))
    target = np.log(np.where(known, estimated, 1.0) / np.where(known, base, 1.0))
    factors = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
    return np.asarray(base * np.exp(np.clip(design @ factors, -30.0, 30.0)))


def _between_hermite(probability: Floats, index: NDArray[np.intp], inside: Floats) -> Floats:
    """Continuous standardized values from Gauss-Hermite nodes."""
    w = hermgauss(probability.size)[1]
    places, matrix = _hermite_reader(probability.size)
    log_ratio = np.log(np.maximum(probability, 1e-300) / w)
    density = np.exp(np.minimum(matrix @ log_ratio - places**2, 50.0))
    return _between(density, places, probability, index, inside)


def _between_half_lives(
    probability: Floats, index: NDArray[np.intp], inside: Floats, specification: Specification
) -> Floats:
    """Continuous shared half-lives in days."""
    prior = specification.priors.half_life
    if not isinstance(prior, HalfLifeShared):
        raise TypeError("The half-life is not shared.")
    z = _between_legendre(probability, np.array((-4.5, 4.5)), index, inside)
    return np.asarray(np.exp(prior.mean_log + prior.sd_log * z))


def _interpolated(matrix: Floats, density: Floats) -> Floats:
    """Interpolate the log of a density: near a parabola, so a polynomial follows it well."""
    log_density = np.log(np.maximum(density, density.max() * 1e-16))
    return np.asarray(np.exp(np.minimum(matrix @ log_density - log_density.max(), 5.0)))


# -- half-lives of the arms each ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cloud:
    """Importance points over half-lives, autocorrelation and spread.

    Attributes:
        log_h: (K, M) log half-lives; phi and ratio: (M,) node indices.
        scaled, over_sd: as in the surface, at each point.
        log_weight: (M, S) log importance weight times quadrature weight.
    """

    log_h: Floats
    phi: NDArray[np.intp]
    ratio: NDArray[np.intp]
    scaled: Symmetric
    over_sd: _OverSd
    log_weight: Floats

    @property
    def log_point(self) -> Floats:
        """(M,) log weight of each point, the daily standard deviation integrated out."""
        top = self.log_weight.max(axis=1)
        return np.asarray(top + np.log(np.exp(self.log_weight - top[:, None]).sum(axis=1)))


def _sample_half_lives(
    data: TrialData,
    batch: _Batch,
    surface: _Surface,
    specification: Specification,
    noise: _Noise,
    grid: Grid,
) -> _Fitted:
    """Integrate over the arms' half-lives by importance sampling, then draw.

    Autocorrelation and spread are proposed from their posterior at the prior medians of the
    half-lives; the half-lives from their prior in a pilot round, then mostly from a normal
    fitted to the pilot.
    """
    prior = specification.priors.half_life
    if not isinstance(prior, HalfLifePerArm):
        raise TypeError("The half-life is shared.")
    arms = len(specification.arms)
    mean = np.log(np.array(specification.prior_half_lives()))
    centre, spread = mean, np.eye(arms) * prior.sd_log
    generator = np.random.default_rng(noise.seed)
    for points, share in ((grid.pilot, 1.0), (grid.points, 0.25)):
        even = kronecker(points, arms + 2, generator.random(arms + 2))
        z = ndtri(np.clip(even[:, :arms], 1e-12, 1 - 1e-12)).T
        from_prior = even[:, arms] < share
        log_h = np.where(from_prior, mean[:, None] + prior.sd_log * z, centre[:, None] + spread @ z)
        own = _log_normal(log_h, mean, np.eye(arms) * prior.sd_log)
        fitted = _log_normal(log_h, centre, spread)
        proposal = (
            np.logaddexp(np.log(share) + own, np.log1p(-share) + fitted) if share < 1 else own
        )
        cloud = _cloud(
            data, batch, surface, specification, grid, log_h, own - proposal, even[:, -1]
        )
        log_point = cloud.log_point
        weight = np.exp(log_point - log_point.max())
        weight /= weight.sum()
        centre = log_h @ weight
        deviation = log_h - centre[:, None]
        covariance = (deviation * weight) @ deviation.T + np.eye(arms) * 1e-6
        spread = np.linalg.cholesky(1.15 * covariance)
    return _draw_from_cloud(cloud, surface, specification, noise)


def _log_normal(values: Floats, mean: Floats, factor: Floats) -> Floats:
    """Return the log density of (K, M) values under a normal with Cholesky factor (K, K)."""
    standard = np.linalg.solve(factor, values - mean[:, None])
    return np.asarray(-0.5 * (standard**2).sum(axis=0) - np.log(np.diag(factor)).sum())


def _cloud(
    data: TrialData,
    batch: _Batch,
    surface: _Surface,
    specification: Specification,
    grid: Grid,
    log_h: Floats,
    log_ratio: Floats,
    positions: Floats,
) -> _Cloud:
    """Evaluate the integrand at importance points.

    Args:
        data: the trial.
        batch: the same as arrays.
        surface: the same integrated at the prior medians of the half-lives.
        specification: what is fitted.
        grid: for the nodes of the daily standard deviation.
        log_h: (K, M) log half-lives.
        log_ratio: (M,) log of prior over proposal of the half-lives.
        positions: (M,) in [0, 1): which node of autocorrelation and spread.
    """
    log_base = np.log(np.exp(surface.log_weight[0, 0] - surface.log_weight.max()).sum(axis=2))
    base = np.exp(0.8 * log_base).ravel()
    node = systematic(base, positions)
    phi, ratio = np.divmod(node, surface.ratio.shape[1])
    products = _products_at(data, batch, surface.phi[0], phi, log_h, specification)
    spread = surface.ratio[0][ratio] if specification.period_effect else None
    gram, log_det = _without_periods(products, None if spread is None else spread**2)
    scaled = _in_prior_units(gram, specification)
    over_sd = _over_sd(scaled, log_det, batch.size, spread, specification, grid.sd)
    log_weight = (
        over_sd.log_density
        + (
            surface.phi_weight[0][phi]
            + surface.ratio_weight[0][ratio]
            + log_ratio
            - np.log(base[node] / base.sum())
        )[:, None]
    )
    return _Cloud(log_h, phi, ratio, scaled, over_sd, log_weight)


def _products_at(
    data: TrialData,
    batch: _Batch,
    nodes: Floats,
    phi: NDArray[np.intp],
    log_h: Floats,
    specification: Specification,
) -> _Products:
    """Return the cross-products at importance points, trailing axis (M,).

    Only the exposures differ from point to point; what the other columns give is looked up
    by node of the autocorrelation.
    """
    points, arms = log_h.shape[1], log_h.shape[0]
    fixed = _products(batch, nodes[None, :])
    rows = np.flatnonzero(data.observed)
    exposure = exposures(targets(data), speeds(data, specification), np.exp(log_h))[rows]
    diagonal, beside, _ = noise_precision(
        batch.gap[..., None], batch.real[..., None], nodes[None, None, :]
    )
    at, next_to = diagonal[0][:, phi], beside[0][:, phi]
    weighted = exposure * at[:, None, :]
    step = next_to[:-1, None, :]
    weighted[:-1] += step * exposure[1:]
    weighted[1:] += step * exposure[:-1]
    columns = batch.columns[0, 0]
    others = [0, *range(1 + arms, columns.shape[1])]
    flat = weighted.reshape(rows.size, arms * points)
    with_others = (columns[:, others].T @ flat).reshape(len(others), arms, points)
    with_periods = (batch.period[0].T @ flat).reshape(-1, arms, points)
    gram: Symmetric = [
        [fixed.gram[i][j][0, 0, phi] for j in range(i + 1)] for i in range(columns.shape[1])
    ]
    for k in range(arms):
        for j in range(k + 1):
            gram[1 + k][1 + j] = np.einsum("nm,nm->m", exposure[:, k], weighted[:, j])
        for place, other in enumerate(others):
            gram[max(other, 1 + k)][min(other, 1 + k)] = with_others[place, k]
    period = fixed.period[:, :, 0, 0, :][:, :, phi]
    period[:, 1 : 1 + arms] = with_periods
    return _Products(
        gram,
        period,
        fixed.diagonal[:, 0, 0, :][:, phi],
        fixed.beside[:, 0, 0, :][:, phi],
        fixed.log_det[0, 0, phi],
    )


def _draw_from_cloud(
    cloud: _Cloud, surface: _Surface, specification: Specification, noise: _Noise
) -> _Fitted:
    """Draw from the importance points."""
    log_point = cloud.log_point
    weight = np.exp(cloud.log_weight - cloud.log_weight.max())
    weight /= weight.sum()
    by_point = weight.sum(axis=1)
    found = systematic(weight.ravel(), noise.positions)
    m, s = np.divmod(found, weight.shape[1])
    x = _between_hermite(weight.sum(axis=0), s, noise.inside[2])
    log_sd = cloud.over_sd.centre[m] + cloud.over_sd.scale[m] * x
    point: Symmetric = [[g[m] for g in row] for row in cloud.scaled]
    values = _terms(point, np.exp(2.0 * log_sd), noise.normals, specification)
    parameters = _named_terms(values, specification)
    parameters["sd"] = np.exp(log_sd)
    of_phi = np.bincount(cloud.phi, by_point, surface.phi.shape[1])
    base = _normalized(surface.log_weight)[0].sum(axis=(0, 3))
    parameters["autocorrelation"] = _between_legendre(
        of_phi,
        surface.phi_range[0],
        cloud.phi[m],
        noise.inside[0],
        smooth=_shifted(base.sum(axis=1), of_phi, surface.phi[0]),
    )
    if specification.period_effect:
        of_ratio = np.bincount(cloud.ratio, by_point, surface.ratio.shape[1])
        spread = _between_legendre(
            of_ratio,
            surface.ratio_range[0],
            cloud.ratio[m],
            noise.inside[1],
            smooth=_shifted(base.sum(axis=0), of_ratio, surface.ratio[0]),
        )
        parameters["period_sd"] = spread * parameters["sd"]
    for k, label in enumerate(specification.labels):
        parameters[f"half_life[{label}]"] = np.exp(cloud.log_h[k, m])
    diagnostics = Diagnostics(
        draws=noise.positions.size,
        nodes=by_point.size * weight.shape[1],
        effective_points=effective_size(by_point),
        pareto_k=pareto_k(log_point),
    )
    return _Fitted(_arm_means(values, specification), parameters, diagnostics)
