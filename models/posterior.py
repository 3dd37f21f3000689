"""Draws from a posterior and the few numbers a reader needs from them.

Both engines end here: whatever follows (verdict, checks, report) does not ask who drew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]

DIFFERENCES = (0.0, 0.5, 1.0, 2.0)
"""Sizes of a difference, in points of a 0-10 scale, whose probability is always said."""


class Engine(StrEnum):
    """Who drew: integration in numpy, a Gibbs sampler in numpy (ends of the scale), or PyMC."""

    EXACT = "exact"
    GIBBS = "gibbs"
    PYMC = "pymc"


@dataclass(frozen=True, slots=True)
class Summary:
    """One quantity of the posterior, in its own unit."""

    mean: float
    sd: float
    q05: float
    q50: float
    q95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """How far the draws can be trusted; what an engine does not have is None.

    Attributes:
        draws: number of draws.
        r_hat: worst split R-hat over all parameters (MCMC).
        ess_bulk: smallest bulk effective sample size (MCMC).
        ess_tail: smallest tail effective sample size (MCMC).
        divergences: divergent transitions after warm-up (MCMC).
        chains: number of chains (MCMC).
        nodes: nodes or points of the integration (exact).
        effective_points: effective number of integration points (exact).
        pareto_k: tail shape of the importance weights (exact, importance sampling only).
    """

    draws: int
    r_hat: float | None = None
    ess_bulk: float | None = None
    ess_tail: float | None = None
    divergences: int | None = None
    chains: int | None = None
    nodes: int | None = None
    effective_points: float | None = None
    pareto_k: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """What is believed about one patient after the data.

    Attributes:
        arms: the K masked labels.
        arm_mean: (n, K) the outcome on each arm at steady state and mid-trial, in points
            (alpha + tau_k); under the end-of-scale model the expected rating there.
        parameters: (n,) draws by name: ``level``, ``sd``, ``autocorrelation`` and, where
            fitted, ``trend_per_week``, ``period_sd``, ``half_life`` (shared) or
            ``half_life[LABEL]`` (per arm); under the end-of-scale model
            ``latent_mean[LABEL]``, alpha + tau_k.
        engine: who drew.
        seed: what the draws were made from.
        diagnostics: see :class:`Diagnostics`.
        seconds: time the engine took.
    """

    arms: tuple[str, ...]
    arm_mean: Floats
    parameters: Mapping[str, Floats] = field(default_factory=dict)
    engine: Engine
    seed: int
    diagnostics: Diagnostics
    seconds: float = 0.0

    @property
    def latent_mean(self) -> Floats:
        """(n, K) alpha + tau_k: ``arm_mean``, but under the end-of-scale model the latent one."""
        names = [f"latent_mean[{label}]" for label in self.arms]
        if names[0] not in self.parameters:
            return self.arm_mean
        return np.stack([self.parameters[name] for name in names], axis=1)

    @property
    def rounds(self) -> bool:
        """Whether the model behind the draws rounds its outcome and cuts it to the scale."""
        return f"latent_mean[{self.arms[0]}]" in self.parameters

    @property
    def size(self) -> int:
        """The number of draws."""
        return int(self.arm_mean.shape[0])


def summarize(draws: Floats) -> Summary:
    """Return mean, standard deviation and 5, 50, 95 % quantiles of one quantity's (n,) draws."""
    low, middle, high = np.quantile(draws, (0.05, 0.5, 0.95))
    return Summary(
        mean=float(draws.mean()),
        sd=float(draws.std(ddof=1)),
        q05=float(low),
        q50=float(middle),
        q95=float(high),
    )
