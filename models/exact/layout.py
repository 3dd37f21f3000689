"""The observed days of some trials as padded arrays: design, gaps, periods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data import TrialData
from models.errors import ModelInputError
from models.exact.grid import Grid, shared_nodes
from models.exposure import exposures, speeds, targets
from models.specification import HalfLifeShared, LogNormal, Specification

type Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Batch:
    """B trials padded to the same number of observed days n and periods P.

    Attributes:
        columns: (B, H, n, m) design and rating: level, arms, drift if fitted, rating.
        half_life: (H,) the shared half-lives of the second axis; one element otherwise.
        gap: (B, n) days since the last observed day; infinite for the first.
        real: (B, n) 1 for an observed day, 0 for padding.
        period: (B, n, P) 1 where the day is in the period, observed periods only.
        size: (B,) number of observed days.
        spread_unit: (B,) points; the period spread is integrated in this unit.
    """

    columns: Floats
    half_life: Floats
    gap: Floats
    real: Floats
    period: Floats
    size: Floats
    spread_unit: Floats


def check_trial(data: TrialData, specification: Specification) -> None:
    """Refuse a trial of other arms, or without a rating."""
    if data.arms != specification.labels:
        raise ModelInputError("The data and the specification must name the same arms.")
    if not data.observed.any():
        raise ModelInputError("There is no rating to fit.")


def linear_terms(specification: Specification) -> int:
    """The number of linear terms q: level, arms, drift if fitted."""
    return 1 + len(specification.arms) + int(specification.trend)


def prior_of_terms(specification: Specification) -> tuple[Floats, Floats]:
    """Return (q,) means and (q,) standard deviations of the linear terms."""
    priors = specification.priors
    terms = [priors.level, *[priors.arm] * len(specification.arms)]
    if specification.trend:
        terms.append(priors.trend_per_week)
    return np.array([t.mean for t in terms]), np.array([t.sd for t in terms])


def lay_out(trials: Sequence[TrialData], specification: Specification, grid: Grid) -> Batch:
    """Pad the observed days of the trials to common arrays."""
    shared = specification.carryover and isinstance(specification.priors.half_life, HalfLifeShared)
    half_life = (
        shared_nodes(specification, grid)[0]
        if shared
        else np.array(specification.prior_half_lives())[:1]
    )
    rows = [np.flatnonzero(data.observed) for data in trials]
    periods = [
        np.unique(d.day_period[r], return_inverse=True)[1]
        for d, r in zip(trials, rows, strict=True)
    ]
    n, many = max(r.size for r in rows), max(int(p.max()) + 1 for p in periods)
    size, terms = len(trials), linear_terms(specification)
    columns = np.zeros((size, half_life.size if shared else 1, n, terms + 1))
    gap, real = np.full((size, n), np.inf), np.zeros((size, n))
    period, unit = np.zeros((size, n, many)), np.empty(size)
    arms = len(specification.arms)
    for b, (data, row, dense) in enumerate(zip(trials, rows, periods, strict=True)):
        count = row.size
        columns[b, :, :count, 0] = 1.0
        columns[b, :, :count, 1 : 1 + arms] = _steady(
            data, specification, half_life, shared=shared
        )[:, row]
        if specification.trend:
            columns[b, :, :count, 1 + arms] = data.week[row]
        columns[b, :, :count, terms] = data.outcome[row]
        gap[b, 1:count] = np.diff(row)
        real[b, :count] = 1.0
        period[b, np.arange(count), dense] = 1.0
        unit[b] = _rough_sd(data.outcome[row], dense, specification)
    return Batch(columns, half_life, gap, real, period, real.sum(axis=1), unit)


def _steady(
    data: TrialData, specification: Specification, half_life: Floats, *, shared: bool
) -> Floats:
    """(H, T, K) exposures: at each shared half-life, at the prior medians, or at once."""
    target = targets(data)
    if not specification.carryover:
        return target[np.newaxis]
    speed = speeds(data, specification)
    if shared:
        every = np.broadcast_to(half_life, (target.shape[1], half_life.size))
        return np.moveaxis(exposures(target, speed, every), 2, 0)
    return exposures(target, speed, np.array(specification.prior_half_lives()))[np.newaxis]


def _rough_sd(outcome: Floats, period: NDArray[np.intp], specification: Specification) -> float:
    """Return a daily standard deviation good enough to be a unit: never zero, never refused."""
    count = np.bincount(period)
    means = np.bincount(period, outcome) / count
    prior = specification.priors.sd
    guess = np.exp(prior.mean_log) if isinstance(prior, LogNormal) else 0.67 * prior.scale
    squares = float(((outcome - means[period]) ** 2).sum())
    return float(np.sqrt((squares + 2 * guess**2) / (outcome.size - count.size + 2)))
