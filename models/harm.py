"""Severe side effects that veto an arm, whatever its pain.

An arm is vetoed when some item is severe on more of its days than the protocol accepts, with a
probability above the rule's. An item that was severe on no day of the arm is not held against
it: nobody would understand a veto for what never happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.data import TrialData
from models.importance import LARGEST_PARETO_K
from models.items import SideEffectItem
from models.side_effects import POINTS, SideEffect, fit_side_effect
from models.specification import Arm, Specification

MORE_POINTS = 8
"""An integration that is not reliable is repeated once, with so many times the points."""


@dataclass(frozen=True, slots=True)
class Harm:
    """How likely an item is severe too often on an arm.

    Attributes:
        arm: label.
        item: name of the side effect.
        probability: that its share of severe days exceeds ``limit``.
        limit: what the protocol accepts on the arm.
        pareto_k: tail shape of the weights behind the probability.
    """

    arm: str
    item: str
    probability: float
    limit: float
    pareto_k: float = -np.inf

    @property
    def is_reliable(self) -> bool:
        """Whether the probability can be used at all."""
        return bool(self.pareto_k <= LARGEST_PARETO_K)


def harms_of(data: TrialData, specification: Specification, *, seed: int) -> tuple[Harm, ...]:
    """Return the probability of each severe side effect on each arm that has a limit.

    Args:
        data: the trial; an item without a series there is left out.
        specification: the items, and the arms' ``severe_limit``.
        seed: of the integration.
    """
    return tuple(
        harm
        for place, item in enumerate(specification.side_effects)
        if (arms := _severe_on(data, specification, item))
        for harm in _harms(fit_well(data, specification, item, seed=(seed, place)), arms)
    )


def is_judged(data: TrialData, specification: Specification) -> bool:
    """Say whether a severe side effect could veto an arm of this trial."""
    return any(_severe_on(data, specification, item) for item in specification.side_effects)


def fit_well(
    data: TrialData, specification: Specification, item: SideEffectItem, *, seed: Sequence[int]
) -> SideEffect:
    """Fit an item, and once more with more points when the integration is not reliable."""
    fitted = fit_side_effect(data, specification, item, seed=seed)
    if (fitted.diagnostics.pareto_k or 0.0) <= LARGEST_PARETO_K:
        return fitted
    return fit_side_effect(data, specification, item, seed=seed, points=MORE_POINTS * POINTS)


def worst_by_arm(harms: Sequence[Harm], veto_probability: float) -> dict[str, Harm]:
    """Return, for each arm that is vetoed, the harm that is most likely above its limit."""
    worst: dict[str, Harm] = {}
    for harm in harms:
        known = worst.get(harm.arm)
        if harm.probability > veto_probability and (
            known is None or harm.probability > known.probability
        ):
            worst[harm.arm] = harm
    return worst


def in_blind(harms: Sequence[Harm], bare: Specification) -> tuple[Harm, ...]:
    """Return what a blinded reader may know of harm: no item, since many are typical of one drug.

    Args:
        harms: of the whole analysis.
        bare: the rule without what tells the arms apart; its arms have a limit when all have the
            same.
    """
    limited = {arm.label for arm in bare.arms if arm.severe_limit is not None}
    return tuple(replace(harm, item="") for harm in harms if harm.arm in limited)


def _severe_on(
    data: TrialData, specification: Specification, item: SideEffectItem
) -> tuple[Arm, ...]:
    """Return the arms with a limit on which the item was severe on some analysed day."""
    if item.name not in data.severities:
        return ()
    severe = data.in_analysis & (data.severities[item.name] >= item.severe)
    return tuple(
        arm
        for k, arm in enumerate(specification.arms)
        if arm.severe_limit is not None and (severe & (data.day_arm == k)).any()
    )


def _harms(fitted: SideEffect, arms: Sequence[Arm]) -> Iterator[Harm]:
    for arm in arms:
        limit = arm.severe_limit or 0.0
        rate = fitted.severe[:, fitted.arms.index(arm.label)]
        yield Harm(
            arm=arm.label,
            item=fitted.item.name,
            probability=float((rate > limit).mean()),
            limit=limit,
            pareto_k=fitted.diagnostics.pareto_k or 0.0,
        )
