"""Trials of one shape as arrays, with every cross-product that the chains need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.burden import is_weighed
from models.data import TrialData
from models.ends.ratings import intervals, mean_offset, offset_of
from models.errors import ModelInputError
from models.exposure import exposures, speeds, targets
from models.specification import Specification

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]


HALF_LIFE_NODES = 48
HALF_LIFE_SPAN = 3.5
"""Half-lives are taken from nodes that reach so many prior SD to each side."""


@dataclass(frozen=True, slots=True)
class Problem:
    """B trials of n days as arrays, with all cross-products the chains need.

    A feature is a column of the design: level, each arm's exposure at each node of its
    half-life, drift, each period. Cross-products under AR(1) noise on consecutive days are
    quadratic in the autocorrelation: (own - phi beside + phi^2 inner) / (1 - phi^2).

    Attributes:
        bounds: (2, B, n) of the latent days.
        features: (B, n, f).
        own, beside, inner: (B, f, f) the three cross-products.
        period: (B, n) index of the period.
        offset: (B, n) weighed bothers less their mean in the period; 0 on days not fitted.
        offset_mean: (B, K) mean of the weighed bothers on each arm's rated days.
        rated: (B, n) 1 for the days that are fitted.
        averaging: (B, n, P) takes the mean of each period's fitted days.
        nodes: (K, G) log half-lives; log_prior (K, G) of each.
        arms, periods: K and P.
        trend: whether drift is among the features.
        weighed: whether an offset is in use.
    """

    bounds: Floats
    features: Floats
    own: Floats
    beside: Floats
    inner: Floats
    period: Integers
    offset: Floats
    offset_mean: Floats
    rated: Floats
    averaging: Floats
    nodes: Floats
    log_prior: Floats
    arms: int
    periods: int
    trend: bool
    weighed: bool

    @classmethod
    def of(
        cls, trials: Sequence[TrialData], specification: Specification, *, weighed: bool
    ) -> Problem:
        """Lay the trials out; days after the last rating of all are left out."""
        days, periods = trials[0].days, trials[0].periods
        if any(data.days != days or data.periods != periods for data in trials):
            raise ModelInputError("Trials fitted side by side must have the same shape.")
        offsets = [offset_of(data, specification) if weighed else np.zeros(days) for data in trials]
        bounds = np.stack(
            [
                intervals(data, specification, offset)
                for data, offset in zip(trials, offsets, strict=True)
            ],
            axis=1,
        )
        rated = np.isfinite(bounds).any(axis=0)
        if not rated.any(axis=1).all():
            raise ModelInputError("There is no rating to fit.")
        n = max(int(np.flatnonzero(rated.any(axis=0)).max()) + 1, 2)
        nodes, log_prior = _half_life_nodes(specification)
        features = np.stack([_features(data, specification, nodes)[:n] for data in trials])
        after, before = features[:, 1:], features[:, :-1]
        crossed = after.transpose(0, 2, 1) @ before
        within = features[:, 1:-1]
        period = np.stack([data.day_period[:n] for data in trials])
        offset = np.where(rated, np.stack(offsets), 0.0)[:, :n]
        counted = rated[:, :n].astype(np.float64)
        member = (period[..., None] == np.arange(periods)) * counted[..., None]
        averaging = member / np.maximum(member.sum(axis=1, keepdims=True), 1.0)
        return cls(
            bounds=bounds[:, :, :n],
            features=features,
            own=features.transpose(0, 2, 1) @ features,
            beside=crossed + crossed.transpose(0, 2, 1),
            inner=within.transpose(0, 2, 1) @ within,
            period=period,
            offset=(offset - period_means(offset, averaging, period)) * counted,
            offset_mean=np.stack(
                [mean_offset(data, specification, weighed=weighed) for data in trials]
            ),
            rated=counted,
            averaging=averaging,
            nodes=nodes,
            log_prior=log_prior,
            arms=len(specification.arms),
            periods=periods if specification.period_effect else 0,
            trend=specification.trend,
            weighed=weighed and is_weighed(specification),
        )


def period_means(daily: Floats, averaging: Floats, period: Integers) -> Floats:
    """(B, ..., n) the mean of each day's period, given a daily series (B, ..., n).

    Args:
        daily: the series, 0 on days not fitted where it is not known.
        averaging: (B, n, P) as in ``Problem``.
        period: (B, n).
    """
    between = (1,) * (daily.ndim - 2)
    means = daily.reshape(daily.shape[0], -1, daily.shape[-1]) @ averaging
    means = means.reshape(*daily.shape[:-1], -1)
    return np.take_along_axis(means, period.reshape(len(period), *between, -1), axis=-1)


def _half_life_nodes(specification: Specification) -> tuple[Floats, Floats]:
    """(K, G) log half-lives and their log prior; one node when effects come and go at once."""
    arms = len(specification.arms)
    if not specification.carryover:
        return np.zeros((arms, 1)), np.zeros((arms, 1))
    prior = specification.priors.half_life
    standard = np.linspace(-HALF_LIFE_SPAN, HALF_LIFE_SPAN, HALF_LIFE_NODES)
    centre = np.log(np.array(specification.prior_half_lives()))
    nodes = centre[:, None] + prior.sd_log * standard
    return nodes, np.broadcast_to(-0.5 * standard**2, nodes.shape).copy()


def _features(data: TrialData, specification: Specification, nodes: Floats) -> Floats:
    """(T, f) level, exposures arm by arm and node by node, drift, periods."""
    target = targets(data)
    exposure = target[:, :, None]
    if specification.carryover:
        exposure = exposures(target, speeds(data, specification), np.exp(nodes))
    columns = [np.ones((data.days, 1)), exposure.reshape(data.days, -1)]
    if specification.trend:
        columns.append(data.week[:, None])
    if specification.period_effect:
        columns.append(np.eye(data.periods)[data.day_period])
    return np.concatenate(columns, axis=1)
