"""The nodes of quadrature: how fine, where they lie, what they weigh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import hermite, legendre
from numpy.typing import NDArray

from models.specification import HalfLifeShared, Specification

type Floats = NDArray[np.float64]


@cache
def hermgauss(nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss-Hermite quadrature, computed once."""
    return hermite.hermgauss(nodes)


@cache
def leggauss(nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss-Legendre quadrature, computed once."""
    return legendre.leggauss(nodes)


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


def legendre_nodes(interval: Floats, nodes: int) -> tuple[Floats, Floats]:
    """Return (B, N) nodes and log weights of Gauss-Legendre quadrature on (B, 2) intervals."""
    x, w = leggauss(nodes)
    half = 0.5 * (interval[:, 1:] - interval[:, :1])
    return interval[:, :1] + half * (1.0 + x), np.log(w * half)


def shared_nodes(specification: Specification, grid: Grid) -> tuple[Floats, Floats]:
    """Return nodes (days) and log prior weights of a half-life shared by all arms."""
    prior = specification.priors.half_life
    if not isinstance(prior, HalfLifeShared):
        raise TypeError("The half-life is not shared.")
    x, w = leggauss(grid.half_life)
    z = 4.5 * x
    return np.exp(prior.mean_log + prior.sd_log * z), np.log(w) - 0.5 * z**2
