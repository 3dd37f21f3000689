"""Steps that move the half-lives: of each arm with its effect, or one of all arms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ends.state import State

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]


def draw_nodes(state: State) -> None:
    """Draw each arm's half-life with its effect, given all else; the effect integrated."""
    p, prior = state.problem, state.specification.priors.arm
    nodes = p.nodes.shape[1]
    variance = state.sd[..., None] ** 2
    trial = np.arange(state.shape[0])[:, None, None]
    phi = state.phi[..., None]
    by_feature = p.features.transpose(0, 2, 1)
    for k in range(p.arms):
        all_nodes = 1 + k * nodes + np.arange(nodes)
        current = 1 + k * nodes + state.node[..., k]
        own = p.own[trial, all_nodes, all_nodes]
        own = own - phi * p.beside[trial, all_nodes, all_nodes]
        own = (own + phi**2 * p.inner[trial, all_nodes, all_nodes]) / (1.0 - phi**2)
        free = state.residual + state.terms[..., 1 + k, None] * by_feature[trial[..., 0], current]
        product = state.weighted(free) @ p.features[:, :, all_nodes]
        spread = 1.0 / (own / variance + prior.sd**-2.0)
        centre = spread * (product / variance + prior.mean * prior.sd**-2.0)
        log_weight = 0.5 * np.log(spread) + 0.5 * centre**2 / spread + p.log_prior[k]
        state.node[..., k] = _chosen(log_weight, state.generator)
        at = state.node[..., k, None]
        effect = np.take_along_axis(centre, at, axis=-1)[..., 0]
        sd = np.sqrt(np.take_along_axis(spread, at, axis=-1)[..., 0])
        effect = effect + sd * state.generator.standard_normal(state.shape)
        state.terms[..., 1 + k] = effect
        chosen = by_feature[trial[..., 0], 1 + k * nodes + state.node[..., k]]
        state.residual = free - effect[..., None] * chosen
    state.mean = state.latent - state.residual


def draw_shared_node(state: State) -> None:
    """Draw the one half-life of all arms given the effects."""
    p = state.problem
    nodes = p.nodes.shape[1]
    size, days = p.features.shape[:2]
    exposure = p.features[:, :, 1 : 1 + p.arms * nodes].reshape(size, days, p.arms, nodes)
    effect = state.terms[..., 1 : 1 + p.arms]
    daily = np.einsum("bck,bnkg->bcng", effect, exposure, optimize=True)
    at = state.node[..., :1][..., None]
    free = state.residual + np.take_along_axis(daily, at, axis=-1)[..., 0]
    rest = (free[..., None] - daily).swapaxes(-1, -2)
    phi = state.phi[..., None]
    product = (rest**2).sum(axis=-1) - 2 * phi * (rest[..., 1:] * rest[..., :-1]).sum(axis=-1)
    product += phi**2 * (rest[..., 1:-1] ** 2).sum(axis=-1)
    log_weight = p.log_prior[0] - 0.5 * product / (1.0 - phi**2) / state.sd[..., None] ** 2
    state.node[...] = _chosen(log_weight, state.generator)[..., None]
    state.residual = np.take_along_axis(rest, state.node[..., :1][..., None], axis=-2)[..., 0, :]
    state.mean = state.latent - state.residual


def _chosen(log_weight: Floats, generator: np.random.Generator) -> Integers:
    """Draw one index along the last axis by weight (Gumbel's trick)."""
    noise = -np.log(generator.standard_exponential(log_weight.shape))
    return np.asarray((log_weight + noise).argmax(axis=-1))
