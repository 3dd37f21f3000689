"""Fit one trial or many: lay out, integrate, draw."""

from __future__ import annotations

import time
from collections.abc import Sequence

from models.data import TrialData
from models.exact.draws import Fitted, Noise, draw_from_surface
from models.exact.grid import DEFAULT_GRID, Grid
from models.exact.half_lives import sample_half_lives
from models.exact.layout import check_trial, lay_out, linear_terms
from models.exact.surface import integrate
from models.posterior import Engine, Posterior
from models.specification import HalfLifePerArm, Specification


def fit(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    grid: Grid = DEFAULT_GRID,
) -> Posterior:
    """Return the posterior of one trial; the same seed gives the same draws.

    Args:
        data: the trial; days without a rating or outside the analysis window are not fitted.
        specification: what is fitted, with its priors.
        seed: of the shift of the even points.
        draws: how many to return.
        grid: how finely to integrate.

    Raises:
        ModelInputError: when no day can be fitted.
    """
    return fit_many([data], specification, seed=seed, draws=draws, grid=grid)[0]


def fit_many(
    trials: Sequence[TrialData],
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    grid: Grid = DEFAULT_GRID,
    only_arms: bool = False,
) -> list[Posterior]:
    """Return the posteriors of many trials of one specification, in their order.

    Trials may differ in days, sequence and gaps. The work is cut into pieces that fit the
    processor's cache.

    Args:
        trials: each as for :func:`fit`.
        specification: of all of them.
        seed: as for :func:`fit`.
        draws: from each posterior.
        grid: how finely to integrate.
        only_arms: leave the other parameters out, which a simulation does not need; the
            arms' draws are the same.
    """
    noise = Noise.make(seed, draws, linear_terms(specification))
    per_arm = specification.carryover and isinstance(specification.priors.half_life, HalfLifePerArm)
    step = 1 if specification.carryover else 8
    result: list[Posterior] = []
    for start in range(0, len(trials), step):
        began = time.perf_counter()
        some = trials[start : start + step]
        for data in some:
            check_trial(data, specification)
        batch = lay_out(some, specification, grid)
        surface = integrate(batch, specification, grid)
        if per_arm:
            fitted = [sample_half_lives(some[0], batch, surface, specification, noise, grid)]
        else:
            fitted = draw_from_surface(batch, surface, specification, noise, only_arms=only_arms)
        seconds = (time.perf_counter() - began) / len(some)
        result += [
            _posterior(data, one, seed, seconds) for data, one in zip(some, fitted, strict=True)
        ]
    return result


def _posterior(data: TrialData, fitted: Fitted, seed: int, seconds: float) -> Posterior:
    return Posterior(
        arms=data.arms,
        arm_mean=fitted.arm_mean,
        parameters=fitted.parameters,
        engine=Engine.EXACT,
        seed=seed,
        diagnostics=fitted.diagnostics,
        seconds=seconds,
    )
