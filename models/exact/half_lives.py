"""Half-lives of the arms each, by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.data import TrialData
from models.exact.between import between_hermite, between_legendre, shifted_density
from models.exact.daily_sd import OverSd, integrate_sd
from models.exact.draws import Fitted, Noise, arm_means, draw_terms, named_terms
from models.exact.elimination import (
    Products,
    Symmetric,
    cross_products,
    in_prior_units,
    noise_precision,
    without_periods,
)
from models.exact.grid import Grid
from models.exact.layout import Batch
from models.exact.surface import Surface, around_both, integrate, missed, normalized
from models.exposure import exposures, speeds, targets
from models.importance import effective_size, kronecker, pareto_k, systematic
from models.posterior import Diagnostics
from models.specification import HalfLifePerArm, Specification

type Floats = NDArray[np.float64]

ATTEMPTS = 4
"""So often is the surface laid out, at half-lives that are closer to the truth each time."""
TO_MISS = 1e-3
"""The share of autocorrelation and spread that may lie outside of the surface."""


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
    over_sd: OverSd
    log_weight: Floats

    @property
    def log_point(self) -> Floats:
        """(M,) log weight of each point, the daily standard deviation integrated out."""
        top = self.log_weight.max(axis=1)
        return np.asarray(top + np.log(np.exp(self.log_weight - top[:, None]).sum(axis=1)))


def sample_half_lives(
    data: TrialData,
    batch: Batch,
    surface: Surface,
    specification: Specification,
    noise: Noise,
    grid: Grid,
) -> Fitted:
    """Integrate over the arms' half-lives by importance sampling, then draw.

    Autocorrelation and spread are proposed from their posterior at the prior medians of the
    half-lives; the half-lives from their prior in a pilot round, then mostly from a normal
    fitted to the pilot. Where quiet data contradict those medians, autocorrelation and spread
    lie elsewhere at the half-lives found: the surface is then laid out again, around both. Weights
    know nothing of a part that no point can reach, so a rest that is missed makes them unusable.
    """
    prior = specification.priors.half_life
    if not isinstance(prior, HalfLifePerArm):
        raise TypeError("The half-life is shared.")
    mean = np.log(np.array(specification.prior_half_lives()))
    proposal = _Proposal(mean, np.eye(mean.size) * prior.sd_log)
    generator = np.random.default_rng(noise.seed)
    trial = partial(_cloud, data, batch, specification=specification, grid=grid)
    cloud, found = _two_rounds(partial(trial, surface=surface), proposal, grid, generator)
    for attempt in range(ATTEMPTS):
        there_batch = _at(data, batch, specification, found.centre)
        there = integrate(there_batch, specification, grid)
        left_out = missed(surface, there)
        if left_out < TO_MISS or attempt == ATTEMPTS - 1:
            break
        surface = around_both(there_batch, specification, grid, surface, there)
        cloud, found = _two_rounds(partial(trial, surface=surface), proposal, grid, generator)
    fitted = _draw_from_cloud(cloud, surface, specification, noise)
    if left_out < TO_MISS:
        return fitted
    return replace(fitted, diagnostics=replace(fitted.diagnostics, pareto_k=math.inf))


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A normal for the log half-lives: (K,) centre and (K, K) Cholesky factor."""

    centre: Floats
    factor: Floats

    def log_density(self, values: Floats) -> Floats:
        """Return (M,) log densities of (K, M) values, up to a constant of K."""
        standard = np.linalg.solve(self.factor, values - self.centre[:, None])
        return np.asarray(-0.5 * (standard**2).sum(axis=0) - np.log(np.diag(self.factor)).sum())


def _two_rounds(
    evaluate: Callable[..., _Cloud], prior: _Proposal, grid: Grid, generator: np.random.Generator
) -> tuple[_Cloud, _Proposal]:
    """Return the points of the second round, and the normal that fits them."""
    arms, found = prior.centre.size, prior
    for points, share in ((grid.pilot, 1.0), (grid.points, 0.25)):
        even = kronecker(points, arms + 2, generator.random(arms + 2))
        z = ndtri(np.clip(even[:, :arms], 1e-12, 1 - 1e-12)).T
        log_h = np.where(
            even[:, arms] < share,
            prior.centre[:, None] + prior.factor @ z,
            found.centre[:, None] + found.factor @ z,
        )
        own = proposed = prior.log_density(log_h)
        if share < 1:
            proposed = np.logaddexp(
                np.log(share) + own, np.log1p(-share) + found.log_density(log_h)
            )
        cloud = evaluate(log_h=log_h, log_ratio=own - proposed, positions=even[:, -1])
        weight = np.exp(cloud.log_point - cloud.log_point.max())
        weight /= weight.sum()
        centre = log_h @ weight
        deviation = log_h - centre[:, None]
        covariance = (deviation * weight) @ deviation.T + np.eye(arms) * 1e-6
        found = _Proposal(centre, np.linalg.cholesky(1.15 * covariance))
    return cloud, found


def _at(data: TrialData, batch: Batch, specification: Specification, log_h: Floats) -> Batch:
    """Return the batch at other half-lives of the arms: their (K,) logs."""
    exposure = exposures(targets(data), speeds(data, specification), np.exp(log_h))
    columns = batch.columns.copy()
    columns[0, 0, :, 1 : 1 + log_h.size] = exposure[data.observed]
    return replace(batch, columns=columns)


def _cloud(
    data: TrialData,
    batch: Batch,
    *,
    surface: Surface,
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
    gram, log_det = without_periods(products, None if spread is None else spread**2)
    scaled = in_prior_units(gram, specification)
    over_sd = integrate_sd(scaled, log_det, batch.size, spread, specification, grid.sd)
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
    batch: Batch,
    nodes: Floats,
    phi: NDArray[np.intp],
    log_h: Floats,
    specification: Specification,
) -> Products:
    """Return the cross-products at importance points, trailing axis (M,).

    Only the exposures differ from point to point; what the other columns give is looked up
    by node of the autocorrelation.
    """
    points, arms = log_h.shape[1], log_h.shape[0]
    fixed = cross_products(batch, nodes[None, :])
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
    return Products(
        gram,
        period,
        fixed.diagonal[:, 0, 0, :][:, phi],
        fixed.beside[:, 0, 0, :][:, phi],
        fixed.log_det[0, 0, phi],
    )


def _draw_from_cloud(
    cloud: _Cloud, surface: Surface, specification: Specification, noise: Noise
) -> Fitted:
    """Draw from the importance points."""
    log_point = cloud.log_point
    weight = np.exp(cloud.log_weight - cloud.log_weight.max())
    weight /= weight.sum()
    by_point = weight.sum(axis=1)
    found = systematic(weight.ravel(), noise.positions)
    m, s = np.divmod(found, weight.shape[1])
    x = between_hermite(weight.sum(axis=0), s, noise.inside[2])
    log_sd = cloud.over_sd.centre[m] + cloud.over_sd.scale[m] * x
    point: Symmetric = [[g[m] for g in row] for row in cloud.scaled]
    values = draw_terms(point, np.exp(2.0 * log_sd), noise.normals, specification)
    parameters = named_terms(values, specification)
    parameters["sd"] = np.exp(log_sd)
    of_phi = np.bincount(cloud.phi, by_point, surface.phi.shape[1])
    base = normalized(surface.log_weight)[0].sum(axis=(0, 3))
    parameters["autocorrelation"] = between_legendre(
        of_phi,
        surface.phi_range[0],
        cloud.phi[m],
        noise.inside[0],
        smooth=shifted_density(base.sum(axis=1), of_phi, surface.phi[0]),
    )
    if specification.period_effect:
        of_ratio = np.bincount(cloud.ratio, by_point, surface.ratio.shape[1])
        spread = between_legendre(
            of_ratio,
            surface.ratio_range[0],
            cloud.ratio[m],
            noise.inside[1],
            smooth=shifted_density(base.sum(axis=0), of_ratio, surface.ratio[0]),
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
    return Fitted(arm_means(values, specification), parameters, diagnostics)
