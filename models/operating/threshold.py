"""The calibrated threshold c1 of a design."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

import numpy as np

from models.operating.design import DesignShape, design_hash
from models.operating.looks import PIECE, Task, Trace, simulate_piece
from models.operating.scenarios import no_difference
from models.specification import Specification

FALSE_BEST = 0.05
"""Largest share of false "best" without any difference, over all planned looks."""


def threshold_for(
    specification: Specification,
    design: DesignShape,
    cache: MutableMapping[str, float],
    *,
    trials: int = 1000,
    seed: int = 1,
    draws: int = 2000,
) -> float:
    """Return the calibrated c1 of a design, simulating only when its hash is not in the cache.

    Args:
        specification: as it will be frozen; its own ``best`` does not matter.
        design: the shape, with the planned looks.
        cache: thresholds by design hash; the new one is added.
        trials: simulated without any difference.
        seed: of the simulation.
        draws: from each posterior.
    """
    key = design_hash(specification, design)
    if key not in cache:
        neutral = no_difference(specification)
        pieces = (
            Task(specification, design, neutral, seed, 0, s, min(PIECE, trials - s), draws)
            for s in range(0, trials, PIECE)
        )
        traces = [trace for piece in pieces for trace in simulate_piece(piece)]
        cache[key] = calibrated_threshold(traces)[0]
    return cache[key]


def calibrated_threshold(traces: Sequence[Trace]) -> tuple[float, float, float]:
    """Return c1 with its 95 % Monte Carlo interval, from trials without any difference.

    c1 is the smallest threshold that at most 5 % of the trials reach at any look, the other
    conditions of "best" being met.
    """
    highest = np.sort([max(trace.could_be_best, default=0.0) for trace in traces])
    count = highest.size
    spread = 1.96 * np.sqrt(count * FALSE_BEST * (1 - FALSE_BEST))
    places = [count * (1 - FALSE_BEST) + shift for shift in (0.0, -spread, spread)]
    value, low, high = (
        float(highest[int(np.clip(np.ceil(place) - 1, 0, count - 1))]) for place in places
    )
    return min(value + 1e-6, 1.0), low, high
