"""Steps that move level, arm effects, drift and period effects, and the size of the latter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ends.state import State

type Floats = NDArray[np.float64]


SMALLEST_PERIOD_SD = 1e-4


def draw_terms(state: State) -> None:
    """Draw level, effects, drift and period effects together, given the days."""
    columns, variance = state.columns(), state.sd**2
    precision = state.gram(columns, columns) / variance[..., None, None]
    own = np.broadcast_to(state.prior_precision, (*state.shape, state.prior_precision.size))
    if state.problem.periods:
        of_periods = np.broadcast_to(
            state.period_sd[..., None] ** -2.0, (*state.shape, state.problem.periods)
        )
        own = np.concatenate([own, of_periods], axis=-1)
    diagonal = np.arange(own.shape[-1])
    precision[..., diagonal, diagonal] += own
    products = state.weighted(state.latent) @ state.problem.features
    right = np.take_along_axis(products, columns, axis=-1) / variance[..., None]
    right += own * state.prior_mean
    factor = np.linalg.cholesky(precision)
    half = np.linalg.solve(factor, right[..., None])
    half += state.generator.standard_normal(half.shape)
    state.terms = np.linalg.solve(factor.swapaxes(-1, -2), half)[..., 0]
    state.set_mean()


def scale_periods(state: State) -> None:
    """Draw the size of all period effects at once; its sign is free, only sizes count."""
    first = state.terms.shape[-1] - state.problem.periods
    unit = state.terms[..., first:] / state.period_sd[..., None]
    trial = np.arange(state.shape[0])[:, None, None]
    daily = unit[trial, np.arange(state.shape[1])[None, :, None], state.problem.period[:, None]]
    free = state.residual + state.period_sd[..., None] * daily
    weighted = state.weighted(daily)
    scale = state.specification.priors.period_sd.scale
    precision = (weighted * daily).sum(axis=-1) / state.sd**2 + scale**-2.0
    centre = (weighted * free).sum(axis=-1) / state.sd**2 / precision
    signed = centre + state.generator.standard_normal(state.shape) / np.sqrt(precision)
    size = np.maximum(np.abs(signed), SMALLEST_PERIOD_SD)
    signed = np.copysign(size, signed)
    state.period_sd = size
    state.terms[..., first:] = signed[..., None] * unit
    state.residual = free - signed[..., None] * daily
    state.mean = state.latent - state.residual


def draw_period_sd(state: State) -> None:
    """Move the period SD given the period effects, by a Metropolis step of its logarithm."""
    periods = state.problem.periods
    squares = (state.terms[..., -periods:] ** 2).sum(axis=-1)
    scale = state.specification.priors.period_sd.scale

    def log_density(log_sd: Floats) -> Floats:
        variance = np.exp(2.0 * log_sd)
        return np.asarray(
            (1.0 - periods) * log_sd - 0.5 * squares / variance - 0.5 * variance / scale**2
        )

    now = np.log(state.period_sd)
    then = now + state.generator.normal(0.0, 1.7 / np.sqrt(periods), state.shape)
    accepted = np.log(state.generator.random(state.shape)) < log_density(then) - log_density(now)
    accepted &= then > np.log(SMALLEST_PERIOD_SD)
    state.period_sd = np.where(accepted, np.exp(then), state.period_sd)
