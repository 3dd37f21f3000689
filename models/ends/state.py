"""Where the chains are, and products under the noise they believe in.

The products leave out the factor 1 / sd^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ends.layout import Problem, period_means
from models.specification import HalfLifeShared, LogNormal, Specification

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]


class State:
    """Where C chains for each of B trials are; arrays begin with (B, C)."""

    def __init__(
        self,
        problem: Problem,
        specification: Specification,
        chains: int,
        generator: np.random.Generator,
    ) -> None:
        self.problem, self.specification, self.generator = problem, specification, generator
        size, days = problem.features.shape[:2]
        self.shape = (size, chains)
        priors, terms = specification.priors, [specification.priors.level]
        terms += [priors.arm] * problem.arms
        if problem.trend:
            terms.append(priors.trend_per_week)
        self.prior_mean = np.concatenate([[t.mean for t in terms], np.zeros(problem.periods)])
        self.prior_precision = np.array([1.0 / t.sd**2 for t in terms])
        self.trial = np.arange(size)[:, None]
        self._start(days)

    def _start(self, days: int) -> None:
        """Start every chain somewhere else."""
        problem, generator = self.problem, self.generator
        low, high = problem.bounds[:, :, None, :]
        shape = (*self.shape, days)
        step = self.specification.scale.step
        prior = self.specification.priors.sd
        usual = np.exp(prior.mean_log) if isinstance(prior, LogNormal) else 0.67 * prior.scale
        self.sd = usual * np.exp(0.3 * generator.standard_normal(self.shape))
        self.phi = generator.uniform(0.0, 0.7, self.shape)
        bounds = self.specification.priors.autocorrelation
        self.phi = np.clip(self.phi, bounds.low + 0.01, bounds.high - 0.01)
        scale = self.specification.priors.period_sd.scale
        self.period_sd = scale * np.abs(generator.standard_normal(self.shape)) + 0.05 * scale
        nodes = problem.nodes.shape[1]
        shared = isinstance(self.specification.priors.half_life, HalfLifeShared)
        middle = generator.integers(
            nodes // 4, nodes - nodes // 4, (*self.shape, 1 if shared else problem.arms)
        )
        self.node = np.broadcast_to(middle, (*self.shape, problem.arms)).copy()
        if not self.specification.carryover:
            self.node[:] = 0
        away = step * generator.exponential(0.5, shape)
        inside = np.where(np.isfinite(low), low, high - step) + step * generator.random(shape)
        inside = np.where(np.isneginf(low), high - away, inside)
        inside = np.where(np.isposinf(high), low + away, inside)
        rated = problem.rated[:, None, :] > 0
        usual_value = np.where(rated, inside, 0.0).sum(axis=2) / rated.sum(axis=2)
        free = usual_value[..., None] + self.sd[..., None] * generator.standard_normal(shape)
        self.latent = np.where(rated, inside, free)
        self.mean = np.zeros(shape)
        self.terms = np.zeros((*self.shape, self.prior_mean.size))
        self.residual = self.latent

    def gram(self, rows: Integers, columns: Integers) -> Floats:
        """(B, C, i, j) products of features, rows (B, C, i) with columns (B, C, j)."""
        p, trial = self.problem, np.arange(self.shape[0])[:, None, None, None]
        at = (trial, rows[..., :, None], columns[..., None, :])
        phi = self.phi[..., None, None]
        return np.asarray((p.own[at] - phi * p.beside[at] + phi**2 * p.inner[at]) / (1.0 - phi**2))

    def weighted(self, daily: Floats) -> Floats:
        """(B, C, n) a daily series times the noise precision."""
        phi = self.phi[..., None]
        result = (1.0 + phi**2) * daily
        result[..., 0] = daily[..., 0]
        result[..., -1] = daily[..., -1]
        result[..., 1:] -= phi * daily[..., :-1]
        result[..., :-1] -= phi * daily[..., 1:]
        return np.asarray(result / (1.0 - phi**2))

    def columns(self) -> Integers:
        """(B, C, m) which features the chains use at their half-lives."""
        p = self.problem
        nodes = p.nodes.shape[1]
        arms = 1 + np.arange(p.arms) * nodes + self.node
        last = 1 + p.arms * nodes + np.arange(int(p.trend) + p.periods)
        shape = (*self.shape, 1)
        return np.concatenate(
            [np.zeros(shape, np.int64), arms, np.broadcast_to(last, (*self.shape, last.size))],
            axis=-1,
        )

    def set_mean(self) -> None:
        """Bring the days' means and residuals up to the terms and half-lives."""
        weights = np.zeros((*self.shape, self.problem.features.shape[2]))
        np.put_along_axis(weights, self.columns(), self.terms, axis=-1)
        self.mean = weights @ self.problem.features.transpose(0, 2, 1)
        self.residual = self.latent - self.mean

    def ratio(self) -> Floats:
        """(B, C) the SD of latent pain as a share of that of the latent net burden, in periods."""
        p = self.problem
        if not p.weighed:
            return np.ones(self.shape)
        latent = self.mean + self.residual
        inside = (latent - period_means(latent, p.averaging, p.period)) * p.rated[:, None, :]
        burden = (inside**2).sum(axis=-1)
        pain = ((inside - p.offset[:, None, :]) ** 2).sum(axis=-1)
        return np.asarray(np.sqrt(pain / np.maximum(burden, 1e-12)))
