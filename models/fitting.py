"""Which model is fitted: the continuous one, or that for ratings near an end of the scale.

The specification says it, or the rule in it (``models.ends.settled``); whoever wants the
posterior of one trial asks here and does not ask which.
"""

from __future__ import annotations

from models import ends, exact
from models.burden import is_weighed, net_burden
from models.data import TrialData
from models.ends import DEFAULT_EFFORT, Effort, settled
from models.posterior import Posterior
from models.specification import Ends, Specification

QUICK_EFFORT = Effort(chains=8, warm_up=200, kept=750, rounds=2)
"""For the many rows of a table, each a fit of its own."""
QUICK_GRID = exact.Grid(autocorrelation=10, spread=8, sd=5, points=768, pilot=192)
"""For answers while somebody waits: half the time, and means still within 0.02 posterior SD."""


def fit_outcome(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    effort: Effort = DEFAULT_EFFORT,
    grid: exact.Grid = exact.DEFAULT_GRID,
) -> Posterior:
    """Return the posterior of the outcome alone.

    Args:
        data: the trial, with the ratings as they were given.
        specification: what is fitted.
        seed: the same seed gives the same draws.
        draws: how many to return.
        effort: of the end-of-scale model's chains.
        grid: how finely the continuous model is integrated.
    """
    specification = settled(data, specification)
    if specification.ends is Ends.ALWAYS:
        return ends.fit(data, specification, seed=seed, draws=draws, effort=effort)
    return exact.fit(data, specification, seed=seed, draws=draws, grid=grid)


def fit_burden(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    effort: Effort = DEFAULT_EFFORT,
    grid: exact.Grid = exact.DEFAULT_GRID,
) -> Posterior:
    """Return the posterior of the net burden; that of the outcome when nothing is weighed.

    The arguments are those of :func:`fit_outcome`.
    """
    if not is_weighed(specification):
        return fit_outcome(data, specification, seed=seed, draws=draws, effort=effort, grid=grid)
    specification = settled(data, specification)
    if specification.ends is Ends.ALWAYS:
        return ends.fit(data, specification, seed=seed, draws=draws, weighed=True, effort=effort)
    weighed = net_burden(data, specification)
    return exact.fit(weighed, specification, seed=seed, draws=draws, grid=grid)
