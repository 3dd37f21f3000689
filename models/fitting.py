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
from models.run_in import with_run_in, without_run_in
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
    whole, fitted = with_run_in(data, settled(data, specification))
    if fitted.ends is Ends.ALWAYS:
        found = ends.fit(whole, fitted, seed=seed, draws=draws, effort=effort)
    else:
        found = exact.fit(whole, fitted, seed=seed, draws=draws, grid=grid)
    return without_run_in(found, specification)


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
    whole, fitted = with_run_in(data, settled(data, specification))
    if fitted.ends is Ends.ALWAYS:
        found = ends.fit(whole, fitted, seed=seed, draws=draws, weighed=True, effort=effort)
    else:
        found = exact.fit(net_burden(whole, fitted), fitted, seed=seed, draws=draws, grid=grid)
    return without_run_in(found, specification)
