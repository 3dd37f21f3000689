"""Steps that move the latent days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from models.ends.state import State

type Floats = NDArray[np.float64]


FAR = -36.0
"""Beyond so many SD the normal distribution function is no longer a number above 0."""


def draw_days(state: State, first: int) -> None:
    """Draw every second latent day given its neighbours and its interval."""
    r, phi = state.residual, state.phi[..., None]
    days = r.shape[-1]
    rows = slice(first, days, 2)
    neighbours = np.zeros_like(r)
    neighbours[..., 1:] += r[..., :-1]
    neighbours[..., :-1] += r[..., 1:]
    both = np.ones(days)
    both[[0, -1]] = 0.0
    both = both[rows]
    precision = (1.0 + both * phi**2) / (1.0 - phi**2)
    centre = neighbours[..., rows] * phi / (1.0 + both * phi**2)
    spread = state.sd[..., None] / np.sqrt(precision)
    low, high = state.problem.bounds[:, :, None, rows]
    away = state.mean[..., rows] + centre
    drawn = truncated_normal(
        (low - away) / spread, (high - away) / spread, state.generator.random(centre.shape)
    )
    state.residual = r.copy()
    state.residual[..., rows] = centre + spread * drawn


def shift_arms(state: State) -> None:
    """Move an arm's effect and its days together, as far as their intervals allow.

    The residuals stay what they are, so that only the effect's prior and the intervals
    speak (a generalized Gibbs step of Liu and Sabatti 2000).
    """
    problem, priors = state.problem, state.specification.priors
    low, high = problem.bounds[:, :, None, :]
    columns = state.columns()
    for k in range(problem.arms):
        weight = np.take_along_axis(
            problem.features.transpose(0, 2, 1), columns[..., 1 + k][..., None], axis=1
        )
        moved = weight > 1e-9
        size = np.where(moved, weight, 1.0)
        latent = state.mean + state.residual
        least = np.where(moved, (low - latent) / size, -np.inf).max(axis=-1)
        most = np.where(moved, (high - latent) / size, np.inf).min(axis=-1)
        effect = state.terms[..., 1 + k]
        at = priors.arm.mean - effect
        shift = at + priors.arm.sd * truncated_normal(
            (np.minimum(least, 0.0) - at) / priors.arm.sd,
            (np.maximum(most, 0.0) - at) / priors.arm.sd,
            state.generator.random(state.shape),
        )
        state.terms[..., 1 + k] += shift
        state.mean = state.mean + shift[..., None] * weight


def truncated_normal(low: Floats, high: Floats, uniform: Floats) -> Floats:
    """Return standard normal deviates between two bounds, by inversion in the nearer tail.

    Args:
        low: (...) lower bounds, -inf for none.
        high: (...) upper bounds, inf for none; not below ``low``.
        uniform: (...) deviates in [0, 1).
    """
    flip = low > -high
    least, most = np.where(flip, -high, low), np.where(flip, -low, high)
    below, above = ndtr(least), ndtr(most)
    value = ndtri(below + np.clip(uniform, 1e-15, 1.0 - 1e-15) * (above - below))
    far = most < FAR
    if far.any():
        # So far out the tail is an exponential.
        reach = -np.log(np.clip(uniform, 1e-15, 1.0)) / np.maximum(-most, 1.0)
        value = np.where(far, most - reach, value)
    value = np.clip(value, least, most)
    return np.asarray(np.where(flip, -value, value))
