"""What became of the trials, counted, each figure with its Monte Carlo error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.decision import Kind
from models.operating.looks import Trace
from models.operating.scenarios import Scenario
from models.specification import Specification


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of trials with its Monte Carlo standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """What became of the trials of one scenario.

    Attributes:
        scenario: the truth.
        trials: how many.
        right: named the truly best arm best; wrong: named another.
        equal, none, undetermined, refused: the other verdicts.
        interval_width: mean width of the 90 % interval of contrasts, in points; NaN where
            every trial was refused before its fit.
        interval_width_error, days_error: Monte Carlo standard errors of the two means.
        days: mean length under the interim rule.
        covered: share of 90 % intervals of contrasts that hold the truth.
        unlike: share of the first ``CHECKED`` trials with a fit whose diary the predictive checks
            would refuse at the end, whatever the verdict; None where none was checked. The
            other shares leave these checks out.
    """

    scenario: Scenario
    trials: int
    right: Share
    wrong: Share
    equal: Share
    none: Share
    undetermined: Share
    refused: Share
    interval_width: float
    interval_width_error: float
    days: float
    days_error: float
    covered: Share
    unlike: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """What a design can tell.

    Attributes:
        design_hash: of specification (but for c1) and design.
        threshold: the calibrated c1; the ``best`` to freeze.
        threshold_low, threshold_high: its 95 % Monte Carlo interval.
        best_used: the c1 the scenarios were judged with.
        results: one for each scenario, the first being "no difference".
    """

    design_hash: str
    threshold: float
    threshold_low: float
    threshold_high: float
    best_used: float
    results: tuple[ScenarioResult, ...]


def result_of(
    scenario: Scenario, traces: Sequence[Trace], specification: Specification
) -> ScenarioResult:
    """Count what became of a scenario's trials."""
    count = len(traces)

    def share(true: Sequence[bool]) -> Share:
        value = float(np.mean(true)) if len(true) else 0.0
        return Share(value=value, error=float(np.sqrt(value * (1 - value) / max(len(true), 1))))

    pairs = len(specification.arms) * (len(specification.arms) - 1) // 2
    checked = [t.unlike for t in traces if t.unlike is not None]
    held = [n < t.covered for t in traces if t.widths for n in range(pairs)]
    width, width_error = _mean([float(np.mean(t.widths)) for t in traces if t.widths])
    days, days_error = _mean([float(t.days) for t in traces])
    return ScenarioResult(
        scenario=scenario,
        trials=count,
        right=share([t.right for t in traces]),
        wrong=share([t.kind is Kind.BEST and not t.right for t in traces]),
        equal=share([t.kind is Kind.EQUAL for t in traces]),
        none=share([t.kind is Kind.NONE for t in traces]),
        undetermined=share([t.kind is Kind.UNDETERMINED for t in traces]),
        refused=share([t.kind is Kind.REFUSED for t in traces]),
        interval_width=width,
        interval_width_error=width_error,
        days=days,
        days_error=days_error,
        covered=share(held),
        unlike=share(checked) if checked else None,
    )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean with its Monte Carlo standard error; NaN of nothing."""
    if not values:
        return float("nan"), float("nan")
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread / float(np.sqrt(len(values)))
