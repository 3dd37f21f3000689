"""What the steps and the ends of a scale make of a latent outcome, and when that matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from models.burden import is_weighed, net_burden
from models.data import TrialData
from models.specification import Ends, Scale, Specification

type Floats = NDArray[np.float64]


LARGEST_SHARE = 0.15
"""By rule, this model is used when a larger share of the rated days lies at the ends."""


def share_at_ends(data: TrialData, scale: Scale) -> float:
    """Return the share of the rated analysis days at either end of the scale, arms pooled."""
    ratings = data.outcome[data.observed]
    if not ratings.size:
        return 0.0
    half = 0.5 * scale.step
    return float(((ratings < scale.low + half) | (ratings > scale.high - half)).mean())


def settled(data: TrialData, specification: Specification) -> Specification:
    """Return the specification with the choice by rule made: always or never.

    The rule sees the ratings of all arms together, so it is blind to what differs between
    arms. What repeats an analysis with something changed settles it first, by the trial as it
    is, so that no row of a table changes the model by the way.
    """
    if specification.ends is not Ends.BY_RULE:
        return specification
    many = share_at_ends(data, specification.scale) > LARGEST_SHARE
    return replace(specification, ends=Ends.ALWAYS if many else Ends.NEVER)


def expected_rating(mean: Floats, sd: Floats, scale: Scale) -> Floats:
    """Return the expected rating of a latent normal, rounded and cut to the scale.

    Args:
        mean: (...) of the latent outcome.
        sd: (...) of the same shape; 0 is allowed.
        scale: its ends and its step.
    """
    total = np.full(np.shape(mean), scale.low)
    for cut in np.arange(scale.low + 0.5 * scale.step, scale.high, scale.step):
        total += scale.step * ndtr((mean - cut) / np.maximum(sd, 1e-12))
    return np.asarray(total)


def rounded(latent: Floats, scale: Scale) -> Floats:
    """Return the ratings that latent values give: on the steps of the scale, within its ends."""
    steps = np.round((latent - scale.low) / scale.step)
    return np.asarray(np.clip(scale.low + scale.step * steps, scale.low, scale.high))


def intervals(data: TrialData, specification: Specification, offset: Floats) -> Floats:
    """(2, T) between which bounds each day's latent value lay; without bounds where not fitted.

    Args:
        data: the trial with its ratings as they were given.
        specification: for the scale.
        offset: (T,) what is added to the rating, 0 or the weighed bothers.
    """
    scale, half = specification.scale, 0.5 * specification.scale.step
    rating, fitted = data.outcome, data.observed & np.isfinite(offset)
    low = np.where(rating < scale.low + half, -np.inf, rating - half + offset)
    high = np.where(rating > scale.high - half, np.inf, rating + half + offset)
    return np.stack((np.where(fitted, low, -np.inf), np.where(fitted, high, np.inf)))


def offset_of(data: TrialData, specification: Specification) -> Floats:
    """(T,) what the weighed bothers add to the outcome; 0 when nothing is weighed."""
    if not is_weighed(specification):
        return np.zeros(data.days)
    return net_burden(data.with_outcome(np.zeros(data.days)), specification).outcome


def mean_offset(data: TrialData, specification: Specification, *, weighed: bool) -> Floats:
    """(K,) mean of what the weighed bothers add on each arm's rated analysis days."""
    offset = offset_of(data, specification) if weighed else np.zeros(data.days)
    rated = data.observed & np.isfinite(offset)
    arm = rated[:, None] & (data.day_arm[:, None] == np.arange(len(data.arms)))
    total = np.where(rated, offset, 0.0) @ arm
    return np.asarray(total / np.maximum(arm.sum(axis=0), 1))
