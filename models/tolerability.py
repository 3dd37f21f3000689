"""Every side effect of the diary by arm, told beside the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.data import TrialData
from models.decision import untrustworthy
from models.harm import fit_well
from models.items import SideEffectItem
from models.posterior import Summary, summarize
from models.side_effects import SideEffect
from models.specification import Specification
from models.words import Phrase


@dataclass(frozen=True, slots=True)
class OnArm:
    """One side effect on one arm, at steady state.

    Attributes:
        days: answered days with the arm in force; severe_days: severe ones of them.
        grade: mean grade of a day.
        any: share of days with it.
        severe: share of days on which it is severe.
        p_above: chance that this share exceeds the arm's limit; None without one.
    """

    days: int
    severe_days: int
    grade: Summary
    any: Summary
    severe: Summary
    p_above: float | None


@dataclass(frozen=True, slots=True)
class Tolerability:
    """One side effect by arm.

    Attributes:
        item: which.
        arms: by label; empty when it cannot be told.
        reasons: why it cannot.
    """

    item: SideEffectItem
    arms: Mapping[str, OnArm]
    reasons: tuple[Phrase, ...] = ()


def tolerability(
    data: TrialData, specification: Specification, *, seed: int
) -> tuple[Tolerability, ...]:
    """Return every side effect that was ever answered, by the fit behind the veto.

    Args:
        data: the trial.
        specification: the items, half-lives and limits.
        seed: of the integration.
    """
    return tuple(
        _by_arm(fit_well(data, specification, item, seed=(seed, place)), specification)
        for place, item in enumerate(specification.side_effects)
        if item.name in data.severities
        and (data.in_analysis & np.isfinite(data.severities[item.name])).any()
    )


def _by_arm(fitted: SideEffect, specification: Specification) -> Tolerability:
    doubts = untrustworthy(fitted.diagnostics)
    if doubts:
        return Tolerability(fitted.item, {}, doubts)
    arms = {}
    for k, arm in enumerate(specification.arms):
        severe, limit = fitted.severe[:, k], arm.severe_limit
        arms[arm.label] = OnArm(
            days=fitted.days[k],
            severe_days=fitted.severe_days[k],
            grade=summarize(fitted.grade[:, k]),
            any=summarize(fitted.any[:, k]),
            severe=summarize(severe),
            p_above=None if limit is None else float((severe > limit).mean()),
        )
    return Tolerability(fitted.item, arms)
