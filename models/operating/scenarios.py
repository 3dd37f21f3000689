"""The truths that patients are simulated from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from models.specification import Specification

MOST_BOTHER = 6.0
"""Of the bother an arm adds in a scenario: more would leave the scale of 0 to 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A truth to simulate; what is None is drawn from the priors for each patient.

    Attributes:
        name: shown in tables.
        effects: points by arm label, 0 where not named.
        bother: mean bother by arm label.
        half_life_factor: true half-lives over those the protocol assumes.
        sd, autocorrelation, trend_per_week, period_sd: of every patient.
        missing: share of days not rated.
        variant: see ``SimulatedPatient``.
    """

    name: str
    effects: Mapping[str, float] = field(default_factory=dict)
    bother: Mapping[str, float] = field(default_factory=dict)
    half_life_factor: float = 1.0
    sd: float | None = None
    autocorrelation: float | None = None
    trend_per_week: float | None = None
    period_sd: float | None = None
    missing: float = 0.1
    variant: str = "model"


def no_difference(specification: Specification) -> Scenario:
    """Return the truth a threshold is calibrated on: with everything counted, no arm is better.

    Whatever an arm costs by itself, its effect makes good; otherwise naming the arm that costs
    less would count as a false "best", and no threshold could prevent it.
    """
    return Scenario(name="no difference", effects=_evened(specification))


def default_scenarios(specification: Specification) -> tuple[Scenario, ...]:
    """Return the questions a clinician asks of a design.

    The first is always "no difference". The arm that differs is the last, never the
    comparator unless there are only two arms and it comes last. A better arm is better by so
    many points with everything counted that the arms cost by themselves.
    """
    names = specification.labels
    arm = next(a for a in reversed(names) if a != specification.decision.comparator)
    better = -specification.scale.sign * specification.scale.unit
    one, two = (_evened(specification, {arm: points * better}) for points in (1, 2))
    scenarios = [
        no_difference(specification),
        Scenario(name="one better by 1 point", effects=one),
        Scenario(name="one better by 2 points", effects=two),
        Scenario(name="2 points, 30 % missing when bad", effects=two, missing=0.3,
                 variant="missing_when_bad"),
        Scenario(name="2 points, strong drift", effects=two,
                 trend_per_week=0.4 * better),
        Scenario(name="no difference, slow wandering", effects=_evened(specification),
                 variant="wandering"),
        Scenario(name="2 points, heavy tails", effects=two, variant="heavy_tails"),
        Scenario(name="2 points, rounded to whole numbers", effects=two,
                 variant="rounded"),
        Scenario(name="2 points at first, then waning", effects=two,
                 variant="waning"),
    ]  # fmt: skip
    if specification.carryover:
        scenarios.append(
            Scenario(
                name="2 points, half-lives twice as long as assumed",
                effects=two,
                half_life_factor=2.0,
            )
        )
    weight = sum(w for w in specification.weights.values() if w > 0)
    if weight > 0:
        bother = min(2.0 * specification.scale.unit / weight, MOST_BOTHER)
        undone = -specification.scale.sign * weight * bother
        scenarios.append(
            Scenario(
                name="less pain, undone by bother",
                effects=_evened(specification, {arm: undone}),
                bother={arm: bother},
            )
        )
    return tuple(scenarios)


def with_noise(
    scenarios: Sequence[Scenario], sd: float | None, autocorrelation: float | None
) -> tuple[Scenario, ...]:
    """Return scenarios for a patient whose noise is known; what a scenario gives itself stays."""
    return tuple(
        replace(
            scenario,
            sd=sd if scenario.sd is None else scenario.sd,
            autocorrelation=(
                autocorrelation if scenario.autocorrelation is None else scenario.autocorrelation
            ),
        )
        for scenario in scenarios
    )


def _evened(
    specification: Specification, effects: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """Return effects that also make good what the arms cost by themselves.

    Args:
        specification: whose arms may each have a burden of their own.
        effects: differences that shall remain, in points by arm label.
    """
    middle = sum(arm.burden for arm in specification.arms) / len(specification.arms)
    evened = {
        arm.label: effects.get(arm.label, 0.0) + specification.scale.sign * (middle - arm.burden)
        for arm in specification.arms
    }
    return {label: effect for label, effect in evened.items() if effect}
