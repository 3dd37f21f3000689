"""One number for benefit and harm: the daily net burden in points of the outcome.

``l_t = outcome_t + sum_m r_m bother_mt`` when lower is better, minus when higher is, plus a
constant of each arm for its cost or effort. It is a daily series like the outcome, so the
same engine gives its posterior with the correlation of relief and side effects inside.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.data import TrialData
from models.errors import ModelInputError
from models.specification import Specification

type Floats = NDArray[np.float64]


def net_burden(data: TrialData, specification: Specification) -> TrialData:
    """Return the trial with its net burden in place of the outcome.

    A day counts only when the outcome and every weighed bother were rated: nothing is
    filled in.

    Raises:
        ModelInputError: when a weighed bother has no series.
    """
    missing = [name for name in specification.weights if name not in data.bothers]
    if missing:
        raise ModelInputError(f"The weighed series '{missing[0]}' was not recorded.")
    total = data.outcome.copy()
    for name, weight in specification.weights.items():
        if weight > 0:
            total += specification.scale.sign * weight * data.bothers[name]
    return data.with_outcome(total)


def is_weighed(specification: Specification) -> bool:
    """Say whether the net burden differs from the outcome."""
    return any(weight > 0 for weight in specification.weights.values())


def burden_draws(arm_mean: Floats, specification: Specification) -> Floats:
    """(n, K) draws of L_k: net burden with less always better, the arms' own burden added.

    Args:
        arm_mean: (n, K) draws of the arms' means of the net burden (or of the outcome).
        specification: for the direction of the scale and the arms' constant burdens.
    """
    own = np.array([arm.burden for arm in specification.arms])
    return np.asarray(specification.scale.sign * arm_mean + own)


def with_weights_scaled(specification: Specification, factor: float) -> Mapping[str, float]:
    """Return all weights times a factor, for the verdict at half and double weights."""
    return {name: factor * weight for name, weight in specification.weights.items()}
