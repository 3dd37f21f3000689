"""Draws from the quadrature: even points, walked through the nodes by weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.exact.between import between_half_lives, between_hermite, between_legendre
from models.exact.elimination import Symmetric, factorize
from models.exact.layout import Batch, prior_of_terms
from models.exact.surface import Surface, normalized
from models.importance import effective_size, kronecker, systematic
from models.posterior import Diagnostics
from models.specification import Specification

type Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What one trial's integration gives."""

    arm_mean: Floats
    parameters: dict[str, Floats]
    diagnostics: Diagnostics


@dataclass(frozen=True, slots=True)
class Noise:
    """The even points behind the draws, shared by all trials of a call.

    Attributes:
        positions: (n,) shuffled strata of [0, 1).
        normals: (q, n) normal deviates for level, arms and drift.
        inside: (3, n) where inside its node a draw lies: autocorrelation, spread, sd.
    """

    positions: Floats
    normals: Floats
    inside: Floats
    seed: int

    @classmethod
    def make(cls, seed: int, draws: int, terms: int) -> Noise:
        """Return the points of a seed."""
        generator = np.random.default_rng(seed)
        order = generator.permutation(draws)
        even = kronecker(draws, terms + 3, generator.random(terms + 3))[order].T
        positions = (order + generator.random()) / draws
        normals = ndtri(np.clip(even[:terms], 1e-12, 1 - 1e-12))
        return cls(positions, np.ascontiguousarray(normals), even[terms:].copy(), seed)


def draw_from_surface(
    batch: Batch,
    surface: Surface,
    specification: Specification,
    noise: Noise,
    *,
    only_arms: bool,
) -> list[Fitted]:
    """Draw from each trial's quadrature."""
    phis, ratios, sds = surface.log_weight.shape[2:]
    weight = normalized(surface.log_weight)
    result = []
    for b in range(weight.shape[0]):
        found = systematic(weight[b].ravel(), noise.positions)
        node, s = np.divmod(found, sds)
        rest, r = np.divmod(node, ratios)
        h, f = np.divmod(rest, phis)
        point: Symmetric = [[g[b].ravel()[node] for g in row] for row in surface.scaled]
        x = between_hermite(weight[b].sum(axis=(0, 1, 2)), s, noise.inside[2])
        log_sd = surface.over_sd.centre[b].ravel()[node] + (
            surface.over_sd.scale[b].ravel()[node] * x
        )
        values = draw_terms(point, np.exp(2.0 * log_sd), noise.normals, specification)
        parameters: dict[str, Floats] = {}
        if not only_arms:
            parameters = named_terms(values, specification)
            parameters["sd"] = np.exp(log_sd)
            parameters |= _nodes_as_parameters(
                weight[b], (h, f, r), surface, b, noise, specification
            )
            if specification.period_effect:
                parameters["period_sd"] = parameters["period_sd"] * parameters["sd"]
        diagnostics = Diagnostics(
            draws=noise.positions.size,
            nodes=weight[b].size,
            effective_points=effective_size(weight[b].ravel()),
        )
        result.append(Fitted(arm_means(values, specification), parameters, diagnostics))
    return result


def _nodes_as_parameters(
    weight: Floats,
    node: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    surface: Surface,
    trial: int,
    noise: Noise,
    specification: Specification,
) -> dict[str, Floats]:
    """Return autocorrelation, spread ratio and shared half-life as continuous draws.

    Args:
        weight: (H, F, R, S) of the nodes.
        node: of each draw: half-life, autocorrelation, spread.
        surface: for the intervals; ``trial`` is its index in there.
        trial: see above.
        noise: where inside its node a draw lies.
        specification: which of them there are.

    The spread is left as a ratio to the daily standard deviation under ``period_sd``.
    """
    h, f, r = node
    parameters = {
        "autocorrelation": between_legendre(
            weight.sum(axis=(0, 2, 3)), surface.phi_range[trial], f, noise.inside[0]
        )
    }
    if specification.period_effect:
        parameters["period_sd"] = between_legendre(
            weight.sum(axis=(0, 1, 3)), surface.ratio_range[trial], r, noise.inside[1]
        )
    if weight.shape[0] > 1:
        parameters["half_life"] = between_half_lives(
            weight.sum(axis=(1, 2, 3)), h, noise.inside[1], specification
        )
    return parameters


def draw_terms(
    scaled: Symmetric, variance: Floats, normals: Floats, specification: Specification
) -> list[Floats]:
    """Draw the q linear terms given everything else, in their own units.

    Args:
        scaled: cross-products in prior units at each draw's node, arrays (n,).
        variance: (n,) daily variance.
        normals: (q, n) standard normal deviates.
        specification: for the priors.
    """
    mean, sd = prior_of_terms(specification)
    factor, solved = factorize(scaled, variance)
    daily = np.sqrt(variance)
    q = mean.size
    values: list[Floats] = [solved[i] + daily * normals[i] for i in range(q)]
    for i in reversed(range(q)):
        for k in range(i + 1, q):
            values[i] = values[i] - factor[k][i] * values[k]
        values[i] = values[i] * factor[i][i]
    return [mean[i] + sd[i] * values[i] for i in range(q)]


def named_terms(values: list[Floats], specification: Specification) -> dict[str, Floats]:
    """Return the linear terms that are not arms, by name."""
    named = {"level": values[0]}
    if specification.trend:
        named["trend_per_week"] = values[-1]
    return named


def arm_means(values: list[Floats], specification: Specification) -> Floats:
    """(n, K) level plus effect of each arm; each arm's draws lie together in memory."""
    return np.stack([values[0] + values[1 + k] for k in range(len(specification.arms))]).T
