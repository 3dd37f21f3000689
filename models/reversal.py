"""Would another weight of side effects turn the order of the arms round?

The net burden is pain plus side effects times a weight, so pain alone and the net burden can
put the arms in another order. How likely that is needs both at once. Their two posteriors
are fitted one by one; what ties them is found by polarization: with D the series of weighed
side effects alone, ``var(burden) = var(pain) + var(D) + 2 cov(pain, D)`` says what
``cov(pain, burden) = (var(pain) + var(burden) - var(D)) / 2`` must be. Each draw of pain then
gets a draw of the burden that belongs to it, and at any multiple f of the weights the burden
is ``(1 - f) pain + f burden``: nothing is fitted again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import exact
from models.analysis import Analysis
from models.burden import burden_draws, is_weighed, net_burden
from models.data import TrialData
from models.decision import Kind
from models.posterior import Posterior
from models.run_in import with_run_in, without_run_in
from models.specification import Specification

type Floats = NDArray[np.float64]

FACTORS = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Reversal:
    """How much the order of the arms hangs on the weights.

    Attributes:
        p_order: probability that pain alone puts the arms in another order than the net burden.
        p_leader: probability that pain alone has another arm ahead.
        p_leader_at: probability that another arm is ahead at that multiple of the weights, by
            multiple.
        leader_pain: arm most likely ahead by pain alone.
        leader_burden: arm most likely ahead by net burden.
    """

    p_order: float
    p_leader: float
    p_leader_at: dict[float, float]
    leader_pain: str
    leader_burden: str


def rank_reversal(
    analysis: Analysis,
    *,
    seed: int,
    draws: int = 4000,
    judged_by: Specification | None = None,
) -> Reversal | None:
    """Return how likely the weights turn the order; None when nothing is weighed or believed.

    Args:
        analysis: of the trial, by either engine.
        seed: of the fit of the side effects alone and of the pairing.
        draws: of that fit.
        judged_by: specification whose burdens of arms count, for a blinded reader one without
            any; None for that of the analysis.
    """
    specification, pain, burden = analysis.specification, analysis.outcome, analysis.burden
    if pain is None or burden is None or not is_weighed(specification):
        return None
    if analysis.verdict.kind is Kind.REFUSED:
        return None
    alone = weighed_alone(analysis.data, specification)
    fitted = exact.fit(*with_run_in(alone, specification), seed=seed, draws=draws)
    bother = without_run_in(fitted, specification)
    return reversal_of(pain, burden, bother, judged_by or specification, seed=seed)


def reversal_of(
    pain: Posterior,
    burden: Posterior,
    bother: Posterior,
    specification: Specification,
    *,
    seed: int,
) -> Reversal:
    """Count orders over draws of pain and net burden that belong together.

    Args:
        pain: posterior of the outcome alone.
        burden: posterior of the net burden.
        bother: posterior of the weighed side effects alone, ``burden - pain``.
        specification: for the direction of the scale and the arms' own burdens, which count in
            the net burden only.
        seed: of the pairing.
    """
    sign = specification.scale.sign
    own = np.array([arm.burden for arm in specification.arms])
    first = sign * pain.arm_mean
    second = paired(
        first, sign * burden.arm_mean, np.cov(sign * bother.arm_mean, rowvar=False), seed=seed
    )
    at = {f: (1.0 - f) * first + f * second + own for f in FACTORS}
    by_burden = second + own
    names = specification.labels
    return Reversal(
        p_order=different_order(first, by_burden),
        p_leader=different_leader(first, by_burden),
        p_leader_at={f: different_leader(values, by_burden) for f, values in at.items()},
        leader_pain=names[_likeliest(first)],
        leader_burden=names[_likeliest(burden_draws(burden.arm_mean, specification))],
    )


def different_order(first: Floats, second: Floats) -> float:
    """Return the share of draws in which two (n, K) quantities order the arms differently."""
    return float((np.argsort(first, axis=1) != np.argsort(second, axis=1)).any(axis=1).mean())


def different_leader(first: Floats, second: Floats) -> float:
    """Return the share of draws in which two (n, K) quantities have another arm lowest."""
    return float((first.argmin(axis=1) != second.argmin(axis=1)).mean())


def paired(first: Floats, second: Floats, difference: Floats, *, seed: int) -> Floats:
    """Return draws of the second quantity that belong to the given draws of the first.

    They have the mean and covariance of ``second`` and, with ``first``, the covariance that
    ``difference`` implies, as far as a joint normal distribution allows it.

    Args:
        first: (n, K) draws.
        second: (m, K) draws.
        difference: (K, K) covariance of second minus first.
        seed: of the part of the second that the first does not tell.
    """
    of_first, of_second = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    across = 0.5 * (of_first + of_second - difference)
    slope = np.linalg.solve(of_first, across)
    left = of_second - across.T @ slope
    values, vectors = np.linalg.eigh(0.5 * (left + left.T))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = np.random.default_rng(seed).standard_normal(first.shape)
    told = (first - first.mean(axis=0)) @ slope
    return np.asarray(second.mean(axis=0) + told + noise @ root.T)


def weighed_alone(data: TrialData, specification: Specification) -> TrialData:
    """Return the weighed side effects as a daily series, where the outcome was rated too."""
    total = net_burden(data, specification)
    return data.with_outcome(total.outcome - data.outcome)


def _likeliest(values: Floats) -> int:
    """Return the arm that is lowest in most draws."""
    return int(np.bincount(values.argmin(axis=1), minlength=values.shape[1]).argmax())
