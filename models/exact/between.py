"""From the node of a draw to a value between the nodes."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.exact.grid import hermgauss, leggauss
from models.specification import HalfLifeShared, Specification

type Floats = NDArray[np.float64]


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


def between_legendre(
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


def shifted_density(base: Floats, estimated: Floats, nodes: Floats) -> Floats:
    """Return smooth probabilities near estimated ones: a base times a fitted parabola's exp."""
    half = 0.5 * float(np.ptp(nodes))
    x = (nodes - nodes.mean()) / half
    known = estimated > 0
    design = np.stack((np.ones_like(x), x, x**2), axis=1)
    root = np.sqrt(np.where(known, estimated, 0.0))
    target = np.log(np.where(known, estimated, 1.0) / np.where(known, base, 1.0))
    factors = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
    return np.asarray(base * np.exp(np.clip(design @ factors, -30.0, 30.0)))


def between_hermite(probability: Floats, index: NDArray[np.intp], inside: Floats) -> Floats:
    """Continuous standardized values from Gauss-Hermite nodes."""
    w = hermgauss(probability.size)[1]
    places, matrix = _hermite_reader(probability.size)
    log_ratio = np.log(np.maximum(probability, 1e-300) / w)
    density = np.exp(np.minimum(matrix @ log_ratio - places**2, 50.0))
    return _between(density, places, probability, index, inside)


def between_half_lives(
    probability: Floats, index: NDArray[np.intp], inside: Floats, specification: Specification
) -> Floats:
    """Continuous shared half-lives in days."""
    prior = specification.priors.half_life
    if not isinstance(prior, HalfLifeShared):
        raise TypeError("The half-life is not shared.")
    z = between_legendre(probability, np.array((-4.5, 4.5)), index, inside)
    return np.asarray(np.exp(prior.mean_log + prior.sd_log * z))


def _interpolated(matrix: Floats, density: Floats) -> Floats:
    """Interpolate the log of a density: near a parabola, so a polynomial follows it well."""
    log_density = np.log(np.maximum(density, density.max() * 1e-16))
    return np.asarray(np.exp(np.minimum(matrix @ log_density - log_density.max(), 5.0)))
