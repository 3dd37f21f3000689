"""The integral over the daily standard deviation, at every node of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.exact.elimination import Symmetric, factorize
from models.exact.grid import hermgauss
from models.specification import LogNormal, Specification

type Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OverSd:
    """The integrand along the log of the daily standard deviation.

    Attributes:
        log_density: (..., S) log of integrand times quadrature weight.
        centre: (...) conditional mode of the log standard deviation.
        scale: (...) half the distance that one unit of the Hermite nodes stands for.
    """

    log_density: Floats
    centre: Floats
    scale: Floats


def integrate_sd(
    scaled: Symmetric,
    log_det: Floats,
    size: Floats,
    spread: Floats | None,
    specification: Specification,
    nodes: int,
) -> OverSd:
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
    factor, solved = factorize(wide, variance)
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
    return OverSd(log_density, centre, scale)


def _sd_mode(
    scaled: Symmetric, size: Floats, spread: Floats | None, specification: Specification
) -> tuple[Floats, Floats]:
    """Return mode and Hermite scale of the log standard deviation by Newton's method."""
    prior, q = specification.priors.sd, len(scaled) - 1
    typical = np.exp(prior.mean_log) if isinstance(prior, LogNormal) else 0.67 * prior.scale
    shape = scaled[q][q].shape
    _, solved = factorize(scaled, np.full(shape, typical**2))
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
