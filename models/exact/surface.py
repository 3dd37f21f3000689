"""Quadrature over autocorrelation, period spread and a shared half-life."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.exact.daily_sd import OverSd, integrate_sd
from models.exact.elimination import (
    Products,
    Symmetric,
    cross_products,
    in_prior_units,
    without_periods,
)
from models.exact.grid import Grid, legendre_nodes, shared_nodes
from models.exact.layout import Batch
from models.specification import Specification

type Floats = NDArray[np.float64]


SPAN = 5.5
"""Half-width of a quadrature interval in posterior standard deviations."""


@dataclass(frozen=True, slots=True)
class Surface:
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
    over_sd: OverSd
    log_weight: Floats
    phi_range: Floats
    ratio_range: Floats


def integrate(batch: Batch, specification: Specification, grid: Grid) -> Surface:
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
        surface = evaluate(middle, specification, coarse, phi_range, ratio_range)
        weight = normalized(surface.log_weight)
        phi_range, narrow_phi = _narrower(
            surface.phi, weight.sum(axis=(1, 3, 4)), phi_range, (bounds.low, bounds.high)
        )
        ratio_range, narrow_ratio = _narrower(
            surface.ratio, weight.sum(axis=(1, 2, 4)), ratio_range, (0.0, np.inf)
        )
        if not (narrow_phi | narrow_ratio).any():
            break
    return evaluate(batch, specification, grid, phi_range, ratio_range)


def _at_middle_half_life(batch: Batch) -> Batch:
    """Return the batch at the middle of its shared half-lives, for the coarse passes."""
    if batch.half_life.size == 1:
        return batch
    middle = batch.half_life.size // 2
    return Batch(
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


def evaluate(
    batch: Batch,
    specification: Specification,
    grid: Grid,
    phi_range: Floats,
    ratio_range: Floats,
) -> Surface:
    """Evaluate the integrand at all nodes of the given intervals."""
    phi, phi_weight = legendre_nodes(phi_range, grid.autocorrelation)
    prior = specification.priors.autocorrelation
    phi_weight = phi_weight - 0.5 * ((phi - prior.mean) / prior.sd) ** 2
    products = cross_products(batch, phi)
    if specification.period_effect:
        ratio, ratio_weight = legendre_nodes(ratio_range, grid.spread)
        spread: Floats | None = ratio[:, None, None, :] + np.zeros((1, 1, phi.shape[1], 1))
    else:
        ratio = np.zeros((phi.shape[0], 1))
        ratio_weight, spread = np.zeros_like(ratio), None
    wide = Products(
        [[g[..., None] for g in row] for row in products.gram],
        products.period[..., None],
        products.diagonal[..., None],
        products.beside[..., None],
        products.log_det[..., None],
    )
    gram, log_det = without_periods(wide, None if spread is None else spread**2)
    scaled = in_prior_units(gram, specification)
    over_sd = integrate_sd(
        scaled, log_det, batch.size[:, None, None, None], spread, specification, grid.sd
    )
    log_weight = (
        over_sd.log_density
        + phi_weight[:, None, :, None, None]
        + ratio_weight[:, None, None, :, None]
    )
    if batch.half_life.size > 1:
        log_weight = log_weight + shared_nodes(specification, grid)[1][:, None, None, None]
    return Surface(
        phi, phi_weight, ratio, ratio_weight, scaled, over_sd, log_weight, phi_range, ratio_range
    )


def missed(covered: Surface, there: Surface) -> float:
    """Return the share of one surface's weight that lies outside what another one covers."""
    weight = normalized(there.log_weight)[0].sum(axis=(0, 3))
    phi, ratio = there.phi[0][:, None], there.ratio[0]
    (low, high), (least, most) = covered.phi_range[0], covered.ratio_range[0]
    outside = (phi < low) | (phi > high) | (ratio < least) | (ratio > most)
    return float(weight[outside].sum())


def around_both(
    batch: Batch, specification: Specification, grid: Grid, one: Surface, other: Surface
) -> Surface:
    """Return the surface on intervals that hold those of both, with twice the nodes."""
    ranges = [
        np.stack((np.minimum(a[:, 0], b[:, 0]), np.maximum(a[:, 1], b[:, 1])), axis=1)
        for a, b in (
            (one.phi_range, other.phi_range),
            (one.ratio_range, other.ratio_range),
        )
    ]
    finer = replace(grid, autocorrelation=2 * grid.autocorrelation, spread=2 * grid.spread)
    return evaluate(batch, specification, finer, *ranges)


def normalized(log_weight: Floats) -> Floats:
    """Return weights that sum to 1 over all axes but the first."""
    axes = tuple(range(1, log_weight.ndim))
    weight = np.exp(log_weight - log_weight.max(axis=axes, keepdims=True))
    return np.asarray(weight / weight.sum(axis=axes, keepdims=True))
