"""The run-in as an arm of its own: fitted like the others, never judged.

Without it, run-in days stand at the level, as if no treatment were in force. With it, what the
patient came with has an effect of its own, which is there from the first day and fades into the
first period with its own half-life.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.data import NO_ARM, TrialData
from models.posterior import Posterior
from models.specification import Specification

type Floats = NDArray[np.float64]

RUN_IN_MEAN = "run_in_mean"
"""Name of the parameter that holds the outcome on the run-in's arm."""


def with_run_in(data: TrialData, specification: Specification) -> tuple[TrialData, Specification]:
    """Return both with the run-in as the last arm; as they are where it is none of its own."""
    own = specification.run_in
    if own is None or not (data.day_arm == NO_ARM).any():
        return data, specification
    last = len(data.arms)
    return (
        replace(
            data,
            arms=(*data.arms, own.label),
            day_arm=np.where(data.day_arm == NO_ARM, last, data.day_arm),
        ),
        replace(specification, arms=(*specification.arms, own), run_in=None),
    )


def without_run_in(posterior: Posterior, specification: Specification) -> Posterior:
    """Return the posterior of the judged arms; that of the run-in becomes a parameter."""
    arms = len(specification.arms)
    if len(posterior.arms) == arms:
        return posterior
    return replace(
        posterior,
        arms=posterior.arms[:arms],
        arm_mean=posterior.arm_mean[:, :arms],
        parameters={**posterior.parameters, RUN_IN_MEAN: posterior.arm_mean[:, arms]},
    )


def means_of_every_arm(posterior: Posterior) -> Floats:
    """(n, K or K + 1) alpha + tau_k of the arms, that of the run-in last."""
    if RUN_IN_MEAN not in posterior.parameters:
        return posterior.latent_mean
    latent = [
        draws
        for name, draws in posterior.parameters.items()
        if name.startswith("latent_mean[") and name[12:-1] not in posterior.arms
    ]
    own = latent[0] if latent else posterior.parameters[RUN_IN_MEAN]
    return np.column_stack((posterior.latent_mean, own))
