"""The cumulative logit of graded days: density, mode, and points around the mode.

With grades 0..M and terms x = (eta, d_1 .. d_{M-1}, gamma_1 .. gamma_K)::

    logit P(grade >= j) = eta - (exp(d_1) + .. + exp(d_{j-1})) + sum_k gamma_k w_k,   j = 1..M

so that the steps between grades are positive whatever their logarithms d are. With M = 1 it is
a logistic regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]

FREEDOM = 5.0
"""Degrees of freedom of the proposal: heavier tails than the posterior's."""
NEWTON_STEPS = 50
FAR = 40.0
"""A logit that stands for a certainty; beyond it nothing changes in double precision."""


@dataclass(frozen=True, slots=True)
class Days:
    """The answered days.

    Attributes:
        exposure: (n, K) of the arms.
        grade: (n,) from 0 to ``severest``.
        severest: M.
        worth: what a day counts for.
    """

    exposure: Floats
    grade: Integers
    severest: int
    worth: float


@dataclass(frozen=True, slots=True)
class Normals:
    """Independent normal priors of the terms x: (q,) means and standard deviations."""

    mean: Floats
    sd: Floats


def steps(terms: Floats, severest: int) -> Floats:
    """(m, M) how far the logit of each grade lies below that of the first; 0 for the first."""
    below = np.zeros((terms.shape[0], severest))
    np.cumsum(np.exp(np.clip(terms[:, 1:severest], -FAR, np.log(FAR))), axis=1, out=below[:, 1:])
    return below


def reaching(terms: Floats, exposure: Floats, severest: int) -> Floats:
    """(m, K', M) P(grade >= j) under (K', K) exposures, for (m, q) terms."""
    effect = terms[:, severest:] @ exposure.T
    below = steps(terms, severest)
    return np.asarray(expit(terms[:, :1, None] + effect[:, :, None] - below[:, None, :]))


def log_posterior(
    terms: Floats, days: Days, prior: Normals, exposure: Floats | None = None
) -> Floats:
    """(m,) log of prior times likelihood of (m, q) terms, each day counting for its worth.

    Args:
        terms: the points.
        days: the answered days.
        prior: of the terms.
        exposure: (n, K, m) of each point its own, instead of that of the days.
    """
    top = days.severest
    below = steps(terms, top)
    effect = (
        terms[:, top:] @ days.exposure.T
        if exposure is None
        else np.einsum("nkm,mk->mn", exposure, terms[:, top:])
    )
    logit = terms[:, :1] + effect
    above, grade = days.grade > 0, days.grade
    likelihood = log_expit(-logit[:, ~above]).sum(axis=1)
    at = grade[above] - 1
    upper = logit[:, above] - below[:, at]
    likelihood += log_expit(upper).sum(axis=1)
    middle = grade[above] < top
    if middle.any():
        # F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)): no difference of two numbers near 1.
        step = (below[:, 1:] - below[:, :-1])[:, at[middle]]
        lower = upper[:, middle] - step
        likelihood += (log_expit(-lower) + np.log(-np.expm1(-np.maximum(step, 1e-12)))).sum(axis=1)
    distance = (((terms - prior.mean) / prior.sd) ** 2).sum(axis=1)
    return np.asarray(days.worth * likelihood - 0.5 * distance)


def around(
    mode: Floats, precision: Floats, points: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return (points, q) Student points around a mode and the log density they were drawn with."""
    factor = np.linalg.cholesky(np.linalg.inv(precision))
    q = mode.size
    normal = generator.standard_normal((points, q))
    stretched = normal * np.sqrt(FREEDOM / generator.chisquare(FREEDOM, points))[:, None]
    log_density = (
        -0.5 * (FREEDOM + q) * np.log1p((stretched**2).sum(axis=1) / FREEDOM)
        - np.log(np.diag(factor)).sum()
    )
    return mode + stretched @ factor.T, log_density


def find_mode(days: Days, prior: Normals, start: Floats) -> tuple[Floats, Floats]:
    """Return the posterior's mode and the expected precision there, by damped Fisher scoring."""
    at = start.copy()
    now = float(log_posterior(at[None], days, prior)[0])
    precision = np.diag(1.0 / prior.sd**2)
    for _ in range(NEWTON_STEPS):
        slope, information = slope_and_information(at, days)
        precision = information + np.diag(1.0 / prior.sd**2)
        step = np.linalg.solve(precision, slope - (at - prior.mean) / prior.sd**2)
        value = now
        for _ in range(20):
            value = float(log_posterior((at + step)[None], days, prior)[0])
            if value >= now:
                break
            step = step / 2
        at, now = at + step, value
        if np.abs(step).max() < 1e-5:
            break
    return at, precision


def slope_and_information(terms: Floats, days: Days) -> tuple[Floats, Floats]:
    """Return (q,) gradient and (q, q) expected information of the likelihood."""
    top, n = days.severest, days.grade.size
    below = steps(terms[None], top)[0]
    logit = terms[0] + days.exposure @ terms[top:]
    reach = np.ones((n, top + 2))
    reach[:, 1:-1] = expit(logit[:, None] - below)
    reach[:, -1] = 0.0
    change = np.zeros((n, top + 2, terms.size))
    density = reach[:, 1:-1] * (1.0 - reach[:, 1:-1])
    change[:, 1:-1, 0] = density
    for i in range(1, top):
        change[:, 1 + i : -1, i] = -np.exp(terms[i]) * density[:, i:]
    change[:, 1:-1, top:] = density[:, :, None] * days.exposure[:, None, :]
    chance = np.maximum(reach[:, :-1] - reach[:, 1:], 1e-12)
    change = change[:, :-1] - change[:, 1:]
    scaled = change / np.sqrt(chance)[:, :, None]
    flat = scaled.reshape(-1, terms.size)
    own = (np.arange(n), days.grade)
    slope = (change[own] / chance[own][:, None]).sum(axis=0)
    return days.worth * slope, days.worth * flat.T @ flat
