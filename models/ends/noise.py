"""The step that moves autocorrelation and daily standard deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ends.state import State
from models.specification import LogNormal

type Floats = NDArray[np.float64]


NOISE_STEPS = 4
"""Metropolis steps of autocorrelation and daily SD in each iteration; they are cheap."""


def draw_noise(state: State) -> None:
    """Move autocorrelation and daily SD given the residuals, by Metropolis steps.

    In the coordinates atanh(phi) and log of the SD of what is new each day the two are
    nearly independent.
    """
    r, priors = state.residual, state.specification.priors
    days = r.shape[-1]
    squares = (r**2).sum(axis=-1)
    beside = (r[..., 1:] * r[..., :-1]).sum(axis=-1)
    inner = (r[..., 1:-1] ** 2).sum(axis=-1)
    bounds = priors.autocorrelation

    def log_density(angle: Floats, log_new: Floats) -> Floats:
        phi = np.tanh(angle)
        rest = 1.0 - phi**2
        log_sd = log_new - 0.5 * np.log(rest)
        product = squares - 2.0 * phi * beside + phi**2 * inner
        value = -days * log_new + 0.5 * np.log(rest) - 0.5 * product * np.exp(-2.0 * log_new)
        value -= 0.5 * ((phi - bounds.mean) / bounds.sd) ** 2
        value += np.log(rest)  # d phi = (1 - phi^2) d angle
        if isinstance(priors.sd, LogNormal):
            value -= 0.5 * ((log_sd - priors.sd.mean_log) / priors.sd.sd_log) ** 2
        else:
            value += log_sd - 0.5 * np.exp(2.0 * log_sd) / priors.sd.scale**2
        return np.where((phi > bounds.low) & (phi < bounds.high), value, -np.inf)

    angle = np.arctanh(state.phi)
    log_new = np.log(state.sd) + 0.5 * np.log1p(-(state.phi**2))
    now = log_density(angle, log_new)
    steps = state.generator.standard_normal((NOISE_STEPS, 2, *state.shape))
    steps *= (1.7 / np.sqrt(days)) * np.array([1.0, 0.7])[None, :, None, None]
    chances = np.log(state.generator.random((NOISE_STEPS, *state.shape)))
    for step, chance in zip(steps, chances, strict=True):
        then = log_density(angle + step[0], log_new + step[1])
        accepted = chance < then - now
        angle = np.where(accepted, angle + step[0], angle)
        log_new = np.where(accepted, log_new + step[1], log_new)
        now = np.where(accepted, then, now)
    state.phi = np.tanh(angle)
    state.sd = np.exp(log_new - 0.5 * np.log1p(-(state.phi**2)))
