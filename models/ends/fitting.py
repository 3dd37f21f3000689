"""Fit one trial or many: lay out, run until the chains agree, report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.convergence import Convergence
from models.data import TrialData
from models.ends.chains import run, started
from models.ends.draws import convergences, posterior_of, quantities, thinned
from models.ends.layout import Problem
from models.errors import ModelInputError
from models.posterior import Posterior
from models.specification import Specification

TARGET_R_HAT = 1.01
TARGET_ESS = 1000.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the chains run.

    Attributes:
        chains: side by side, of each trial.
        warm_up: iterations before any draw is kept.
        kept: iterations kept from each chain in one round.
        rounds: at most so many; each after the first is as long as all before together, and
            is run when the chains do not agree yet.
    """

    chains: int = 8
    warm_up: int = 250
    kept: int = 1250
    rounds: int = 4


DEFAULT_EFFORT = Effort()


def fit(
    data: TrialData,
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    weighed: bool = False,
    effort: Effort = DEFAULT_EFFORT,
) -> Posterior:
    """Return the posterior of one trial; the same seed gives the same draws.

    Args:
        data: the trial, with the ratings as they were given (not the net burden).
        specification: what is fitted, with its priors.
        seed: of the chains.
        draws: how many to return, taken evenly from all chains (a multiple of their number).
        weighed: fit the net burden, whose interval each rating and the day's bothers give.
        effort: how long the chains run.

    Returns:
        a posterior whose ``arm_mean`` is the expected rating (or burden) on each arm; the
        latent means are the parameters ``latent_mean[LABEL]``.

    Raises:
        ModelInputError: when no day can be fitted, or a rating lies outside the scale.
    """
    return fit_many([data], specification, seed=seed, draws=draws, weighed=weighed, effort=effort)[
        0
    ]


def fit_many(
    trials: Sequence[TrialData],
    specification: Specification,
    *,
    seed: int,
    draws: int = 4000,
    weighed: bool = False,
    effort: Effort = DEFAULT_EFFORT,
) -> list[Posterior]:
    """Return the posteriors of trials of one specification and shape, fitted side by side.

    Args:
        trials: with the same number of days and periods; see :func:`fit`.
        specification: of all of them.
        seed: of all chains; a trial's draws depend on its company.
        draws: from each posterior.
        weighed: as for :func:`fit`.
        effort: as for :func:`fit`; rounds go on until every trial is content.
    """
    began = time.perf_counter()
    for data in trials:
        _check(data, specification)
    problem = Problem.of(trials, specification, weighed=weighed)
    chains = started(problem, specification, effort.chains, np.random.default_rng(seed))
    run(chains, effort.warm_up)
    kept = [run(chains, effort.kept)]
    worst = convergences(kept, specification, problem)
    for _ in range(1, effort.rounds):
        if all(w.r_hat <= TARGET_R_HAT and _ess(w) >= TARGET_ESS for w in worst):
            break
        kept.append(run(chains, sum(len(some["sd"]) for some in kept)))
        worst = convergences(kept, specification, problem)
    seconds = (time.perf_counter() - began) / len(trials)
    return [
        posterior_of(
            thinned(quantities(kept, b, specification, problem), draws),
            specification,
            worst[b],
            effort.chains,
            seed,
            seconds,
        )
        for b in range(len(trials))
    ]


def _check(data: TrialData, specification: Specification) -> None:
    if data.arms != specification.labels:
        raise ModelInputError("The data and the specification must name the same arms.")
    if not data.observed.any() or data.days < 2:
        raise ModelInputError("There is no rating to fit, or only one day.")
    scale, half = specification.scale, 0.5 * specification.scale.step
    ratings = data.outcome[data.observed]
    if ratings.min() < scale.low - half or ratings.max() > scale.high + half:
        raise ModelInputError(
            "A rating lies outside the scale: the end-of-scale model needs the ratings as given."
        )


def _ess(worst: Convergence) -> float:
    return min(worst.ess_bulk, worst.ess_tail)
