"""Start the chains and let them run: one iteration is every step in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ends.days import draw_days, shift_arms
from models.ends.half_lives import draw_nodes, draw_shared_node
from models.ends.layout import Problem
from models.ends.noise import draw_noise
from models.ends.state import State
from models.ends.terms import draw_period_sd, draw_terms, scale_periods
from models.specification import HalfLifeShared, Specification

type Floats = NDArray[np.float64]


def started(
    problem: Problem, specification: Specification, chains: int, generator: np.random.Generator
) -> State:
    """Return chains that each start somewhere else."""
    state = State(problem, specification, chains, generator)
    draw_terms(state)
    return state


def run(state: State, iterations: int) -> dict[str, Floats]:
    """Go on and return (iterations, B, C, ...) of every parameter."""
    k, trend = state.problem.arms, state.problem.trend
    kept: dict[str, list[Floats]] = {
        name: [] for name in ("terms", "sd", "phi", "period_sd", "node", "ratio")
    }
    carryover = state.specification.carryover
    shared = isinstance(state.specification.priors.half_life, HalfLifeShared)
    for _ in range(iterations):
        draw_days(state, 0)
        draw_days(state, 1)
        shift_arms(state)
        state.latent = state.mean + state.residual
        if carryover and shared:
            draw_shared_node(state)
        elif carryover:
            draw_nodes(state)
        draw_terms(state)
        if state.problem.periods:
            scale_periods(state)
            draw_period_sd(state)
        draw_noise(state)
        kept["terms"].append(state.terms[..., : 1 + k + int(trend)])
        kept["sd"].append(state.sd)
        kept["phi"].append(state.phi)
        kept["period_sd"].append(state.period_sd)
        kept["node"].append(state.node.copy())
        kept["ratio"].append(state.ratio())
    return {name: np.array(values) for name, values in kept.items()}
