"""Importance weights: are they fit to be used, and even points to draw with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]

LARGEST_PARETO_K = 0.7
"""Above this the weights' variance is unusable at any number of points (Vehtari et al. 2024)."""


def kronecker(points: int, dimensions: int, shift: Floats) -> Floats:
    """(points, dimensions) an even point set in the unit cube: an additive recurrence.

    The steps are powers of the generalized golden ratio (Roberts 2018). Read along the
    points' order it is even in one dimension more, which is why draws that walk through
    sorted nodes use it.

    Args:
        points: how many.
        dimensions: of the cube.
        shift: (dimensions,) a random shift in [0, 1).
    """
    ratio = 2.0
    for _ in range(40):
        ratio = (1.0 + ratio) ** (1.0 / (dimensions + 1))
    step = ratio ** -np.arange(1.0, dimensions + 1)
    return np.asarray((shift + np.arange(1, points + 1)[:, None] * step) % 1.0)


def systematic(weights: Floats, positions: Floats) -> NDArray[np.intp]:
    """Return the index of the weight each position in [0, 1) falls on."""
    cumulative = np.cumsum(weights)
    found = np.searchsorted(cumulative, positions * cumulative[-1], side="right")
    return np.asarray(np.minimum(found, weights.size - 1))


def pareto_k(log_weights: Floats) -> float:
    """Return the tail shape of importance weights by a generalized Pareto fit.

    The estimator of Zhang and Stephens (2009) with the weak prior of Vehtari et al. (2024),
    on the largest min(n / 5, 3 sqrt(n)) weights. Weights that are all alike have shape -inf.
    """
    return _tail(log_weights)[0]


def smoothed(log_weights: Floats) -> tuple[Floats, float]:
    """Return log weights with their tail smoothed, and the tail's shape (PSIS).

    The largest weights are replaced by the expected order statistics of the Pareto
    distribution fitted to them, and none stays above the largest raw one (Vehtari et al. 2024).
    """
    k, sigma, tail = _tail(log_weights)
    if not math.isfinite(k):
        return log_weights, k
    top = float(log_weights.max())
    order = np.argsort(log_weights, kind="stable")
    cut = math.exp(float(log_weights[order[-tail - 1]]) - top)
    quantile = (np.arange(1, tail + 1) - 0.5) / tail
    excess = (
        -sigma * np.log1p(-quantile)
        if abs(k) < 1e-12
        else sigma * np.expm1(-k * np.log1p(-quantile)) / k
    )
    result = log_weights.copy()
    result[order[-tail:]] = top + np.minimum(np.log(cut + excess), 0.0)
    return result, k


def _tail(log_weights: Floats) -> tuple[float, float, int]:
    """Return shape and scale of the tail of the weights (the largest being 1), and its size."""
    size = log_weights.size
    tail = min(size // 5, math.ceil(3 * math.sqrt(size)))
    if tail < 5:
        return math.inf, math.nan, tail
    ordered = np.sort(np.exp(log_weights - log_weights.max()))
    cut = ordered[-tail - 1]
    excess = ordered[-tail:] - cut
    if excess[-1] <= 1e-12:
        return -math.inf, math.nan, tail
    excess = np.maximum(excess, 1e-300)
    grid = 30 + int(math.sqrt(tail))
    quartile = excess[int(tail / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (
        3.0 * quartile
    )
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    log_likelihood = tail * (np.log(-theta / shape) - shape - 1.0)
    relative = np.exp(log_likelihood - log_likelihood.max())
    best = float((theta * relative).sum() / relative.sum())
    k = float(np.log1p(-best * excess).mean())
    regular = (tail * k + 10 * 0.5) / (tail + 10)
    return regular, -k / best, tail


def effective_size(weights: Floats) -> float:
    """Return Kish's effective number of points."""
    return float(weights.sum() ** 2 / (weights**2).sum())
