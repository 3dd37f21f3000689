r"""Patients near an end of the scale: a rounded and censored latent Gaussian.

The crossover model holds for a latent pain that knows no ends; what is written down is that
pain rounded to the steps of the scale and cut to its ends::

    y*_t = alpha + sum_k tau_k w_k(t) + beta week_t + u_p(t) + e_t    (the crossover model)
    y_t  = clip(round(y*_t), low, high)

so that a rating says in which interval y* lay: (y - 1/2, y + 1/2), open at the ends. What is
reported is the rating to expect on each arm, E clip(round(N(alpha + tau_k, sigma^2 + s_p^2))):
over the days and the periods of a long future, at steady state and mid-trial.

The posterior is sampled by data augmentation, many chains side by side in numpy: the latent
days one after the other given their neighbours (even days together, then odd days); level,
effects, drift and period effects together given the days; the rest from conditionals in one or
two dimensions. An arm whose ratings all lie at one end is moved together with its days, without
which it would wander for ever. ``models.ends_pymc`` states the same model for the sampler that
differentiates.
"""

from models.ends.days import truncated_normal
from models.ends.fitting import DEFAULT_EFFORT, TARGET_ESS, TARGET_R_HAT, Effort, fit, fit_many
from models.ends.ratings import (
    LARGEST_SHARE,
    expected_rating,
    intervals,
    mean_offset,
    offset_of,
    rounded,
    settled,
    share_at_ends,
)

__all__ = [
    "DEFAULT_EFFORT",
    "LARGEST_SHARE",
    "TARGET_ESS",
    "TARGET_R_HAT",
    "Effort",
    "expected_rating",
    "fit",
    "fit_many",
    "intervals",
    "mean_offset",
    "offset_of",
    "rounded",
    "settled",
    "share_at_ends",
    "truncated_normal",
]
