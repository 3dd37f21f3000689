"""The truths that patients are simulated from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from models.specification import Specification


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


def default_scenarios(specification: Specification) -> tuple[Scenario, ...]:
    """Return the questions a clinician asks of a design.

    The first is always "no difference". The arm that differs is the last, never the
    comparator unless there are only two arms and it comes last.
    """
    names = specification.labels
    arm = next(a for a in reversed(names) if a != specification.decision.comparator)
    better = -specification.scale.sign * specification.scale.unit
    scenarios = [
        Scenario(name="no difference"),
        Scenario(name="one better by 1 point", effects={arm: better}),
        Scenario(name="one better by 2 points", effects={arm: 2 * better}),
        Scenario(name="2 points, 30 % missing when bad", effects={arm: 2 * better}, missing=0.3,
                 variant="missing_when_bad"),
        Scenario(name="2 points, strong drift", effects={arm: 2 * better},
                 trend_per_week=0.4 * better),
        Scenario(name="no difference, slow wandering", variant="wandering"),
        Scenario(name="2 points, heavy tails", effects={arm: 2 * better}, variant="heavy_tails"),
        Scenario(name="2 points, rounded to whole numbers", effects={arm: 2 * better},
                 variant="rounded"),
        Scenario(name="2 points at first, then waning", effects={arm: 2 * better},
                 variant="waning"),
    ]  # fmt: skip
    if specification.carryover:
        scenarios.append(
            Scenario(
                name="2 points, half-lives twice as long as assumed",
                effects={arm: 2 * better},
                half_life_factor=2.0,
            )
        )
    weighed = [w for w in specification.weights.values() if w > 0]
    if weighed:
        scenarios.append(
            Scenario(
                name="2 points less pain, undone by bother",
                effects={arm: 2 * better},
                bother={arm: 2.0 * specification.scale.unit / sum(weighed)},
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


def is_neutral(scenario: Scenario) -> bool:
    """Say whether a scenario is the model without any difference."""
    same = not any(scenario.effects.values()) and not any(scenario.bother.values())
    return same and scenario.variant == "model" and scenario.half_life_factor == 1.0
