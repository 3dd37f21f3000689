"""Do two engines give the same answer about one trial?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.analysis import Agreement
from models.burden import burden_draws
from models.decision import probability_best
from models.posterior import Posterior
from models.specification import Specification

type Floats = NDArray[np.float64]

P_BEST_TOLERANCE = 0.02
MEAN_TOLERANCE = 0.05


def compare_engines(exact: Posterior, mcmc: Posterior, specification: Specification) -> Agreement:
    """Compare two posteriors of one trial: probabilities of being best, means, contrasts.

    The limits are those of STATISTICS (0.02 and 0.05 posterior SD) for the posteriors
    themselves; what is compared are estimates, so twice the Monte Carlo standard error of
    their difference is allowed on top.
    """
    sizes = [p.diagnostics.ess_bulk or float(p.size) for p in (exact, mcmc)]
    best = [probability_best(burden_draws(p.arm_mean, specification)) for p in (exact, mcmc)]
    gap = float(np.abs(best[0] - best[1]).max())
    middle = 0.5 * (best[0] + best[1])
    p_error = float(np.sqrt((middle * (1 - middle)).max() * sum(1 / n for n in sizes)))
    means = []
    for a, b in _quantities(exact.arm_mean, mcmc.arm_mean):
        spread = max(float(a.std()), 1e-12)
        means.append(abs(float(a.mean() - b.mean())) / spread)
    mean_error = float(np.sqrt(sum(1 / n for n in sizes)))
    return Agreement(
        p_best=gap,
        mean=max(means),
        p_best_allowed=P_BEST_TOLERANCE + 2 * p_error,
        mean_allowed=MEAN_TOLERANCE + 2 * mean_error,
    )


def _quantities(a: Floats, b: Floats) -> list[tuple[Floats, Floats]]:
    """Every arm mean and every contrast of two (n, K) sets of draws."""
    arms = range(a.shape[1])
    single = [(a[:, k], b[:, k]) for k in arms]
    return single + [(a[:, j] - a[:, k], b[:, j] - b[:, k]) for k in arms for j in range(k)]
