"""What is fitted and how it is judged: frozen with the protocol, before the first day.

The defaults are those of the crossover model on the 0-10 pain scale; their sources are in
models/README.md. On another scale every prior that is in points is multiplied by range / 10.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from models.errors import ModelInputError
from models.items import SideEffectItem

MODEL_VERSION = "crossover-1"
"""Changes when the same data and specification would give another posterior."""

ENDS_VERSION = "rounded-censored-1"
"""The same for the end-of-scale model, its share of days at the ends included."""

SHORTEST_HALF_LIFE = 0.25
"""Days. An effect that fades faster than this is the same to a daily diary."""


def _require_positive(value: float, what: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ModelInputError(f"{what} must be a number above 0.")


class Better(StrEnum):
    """Which end of the outcome's scale the patient wants."""

    LOWER = "lower"
    HIGHER = "higher"


class Ends(StrEnum):
    """Whether ratings near an end of the scale are taken as rounded and cut off there.

    ``BY_RULE``: when more than 15 % of the rated analysis days, all arms pooled, lie at either
    end (see ``models.ends``); the continuous model otherwise.
    """

    NEVER = "never"
    BY_RULE = "by rule"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal prior: mean and standard deviation."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        _require_positive(self.sd, "The standard deviation of a normal prior")


@dataclass(frozen=True, slots=True)
class BoundedNormal:
    """A normal prior cut off at ``low`` and ``high``."""

    mean: float
    sd: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _require_positive(self.sd, "The standard deviation of a normal prior")
        if not self.low < self.high:
            raise ModelInputError("The lower bound of a prior must be below its upper bound.")


@dataclass(frozen=True, slots=True)
class HalfNormal:
    """A half-normal prior for a standard deviation."""

    scale: float

    def __post_init__(self) -> None:
        _require_positive(self.scale, "The scale of a half-normal prior")


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A log-normal prior: mean and standard deviation of the logarithm."""

    mean_log: float
    sd_log: float

    def __post_init__(self) -> None:
        _require_positive(self.sd_log, "The standard deviation of a log-normal prior")


@dataclass(frozen=True, slots=True)
class HalfLifePerArm:
    """log h_k ~ Normal(log h0_k, sd_log): each arm's own, around its catalogued value."""

    sd_log: float = 0.35

    def __post_init__(self) -> None:
        _require_positive(self.sd_log, "The spread of the half-lives")


@dataclass(frozen=True, slots=True)
class HalfLifeShared:
    """One half-life for all arms: log h ~ Normal(mean_log, sd_log)."""

    mean_log: float = 0.0
    sd_log: float = 0.7

    def __post_init__(self) -> None:
        _require_positive(self.sd_log, "The spread of the half-life")


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """The priors of the crossover model, in points of the outcome's scale and weeks.

    Attributes:
        level: the outcome without any arm, mid-trial.
        arm: the effect of each arm at steady state.
        trend_per_week: the drift.
        sd: the marginal standard deviation of the daily noise.
        autocorrelation: of one day's noise with the next day's.
        period_sd: the spread of period effects.
        half_life: the effect half-lives in days, when carryover is modelled.
    """

    level: Normal = Normal(5.0, 2.5)
    arm: Normal = Normal(0.0, 1.5)
    trend_per_week: Normal = Normal(-0.05, 0.2)
    sd: LogNormal | HalfNormal = LogNormal(math.log(1.1), 0.45)
    autocorrelation: BoundedNormal = BoundedNormal(0.3, 0.25, -0.3, 0.98)
    period_sd: HalfNormal = HalfNormal(0.35)
    half_life: HalfLifePerArm | HalfLifeShared = HalfLifePerArm()

    def __post_init__(self) -> None:
        if self.autocorrelation.low <= -1 or self.autocorrelation.high >= 1:
            raise ModelInputError("The autocorrelation lies between -1 and 1, both excluded.")


@dataclass(frozen=True, slots=True)
class Scale:
    """The outcome's scale: its two ends, the one the patient wants, and its steps.

    Attributes:
        low, high: the ends.
        better: which end the patient wants.
        step: between neighbouring ratings, which the end-of-scale model asks for.
    """

    low: float = 0.0
    high: float = 10.0
    better: Better = Better.LOWER
    step: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ModelInputError("The low end of the scale must be below its high end.")
        _require_positive(self.step, "The step of the scale")

    @property
    def unit(self) -> float:
        """How many points of this scale one point of a 0-10 scale is."""
        return (self.high - self.low) / 10.0

    @property
    def sign(self) -> float:
        """+1 when lower is better, -1 when higher is: what turns the outcome into a burden."""
        return 1.0 if self.better is Better.LOWER else -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What is known of a masked arm before the trial.

    Attributes:
        label: the masked label.
        half_life_days: the effect half-life h0, the median of its prior.
        onset_half_life_days: of a slow onset, when the effect builds up slower than it fades.
        burden: a constant cost or effort of the arm in points of the outcome (b_k).
        severe_limit: highest acceptable share of days on which a side effect is severe, item
            by item; None: the arm is never vetoed.
    """

    label: str
    half_life_days: float | None = None
    onset_half_life_days: float | None = None
    burden: float = 0.0
    severe_limit: float | None = None

    def __post_init__(self) -> None:
        for days in (self.half_life_days, self.onset_half_life_days):
            if days is not None:
                _require_positive(days, f"The half-life of arm {self.label}")
        if self.severe_limit is not None and not 0 < self.severe_limit < 1:
            raise ModelInputError(
                f"The severe limit of arm {self.label} is a share of days: above 0 and below 1."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule:
    """When the posterior is clear enough to say something (all margins in outcome points).

    Attributes:
        best: c1, the probability of being lowest in net burden that names an arm best;
            calibrated per design and look schedule (see ``models.operating``).
        expected_loss: most that may be lost on average by choosing the best arm.
        equal_margin: differences smaller than this do not matter (ROPE).
        equal_probability: probability of lying inside the margin that makes arms equal.
        comparator: label of the reference arm, if there is one.
        comparator_probability: chance of beating the comparator by the margin that "best" needs.
        veto_probability: chance of exceeding its severe limit that vetoes an arm.
        minimum_periods: periods each arm needs that count.
        minimum_coverage: share of its analysis days that must be rated for a period to count,
            and of all analysis days.
    """

    best: float = 0.96
    expected_loss: float = 0.25
    equal_margin: float = 0.5
    equal_probability: float = 0.8
    comparator: str | None = None
    comparator_probability: float = 0.5
    veto_probability: float = 0.2
    minimum_periods: int = 2
    minimum_coverage: float = 0.6

    def __post_init__(self) -> None:
        for name in ("best", "equal_probability", "comparator_probability", "veto_probability"):
            if not 0 < getattr(self, name) <= 1:
                raise ModelInputError(f"'{name}' is a probability: above 0 and at most 1.")
        if not 0 <= self.minimum_coverage <= 1:
            raise ModelInputError("'minimum_coverage' is a share: from 0 to 1.")
        _require_positive(self.equal_margin, "The margin of practical equality")
        _require_positive(self.expected_loss, "The acceptable expected loss")
        if self.minimum_periods < 1:
            raise ModelInputError("An arm needs at least one period.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """All that decides the posterior and the verdict, besides the data and the seed.

    Attributes:
        arms: the K arms, in the order of ``TrialData.arms``.
        scale: of the outcome.
        trend: fit a linear drift.
        period_effect: fit period effects.
        carryover: let effects build up and fade with their half-lives.
        priors: see :class:`Priors`.
        weights: r_m, outcome points one unit of a bother is worth, by name of its series.
        decision: see :class:`DecisionRule`.
        ends: whether ratings near an end of the scale are taken as rounded and cut off.
        side_effects: items whose severe days can veto an arm.
        in_force_before: on the first day the effect of the arm in force is taken as fully there,
            as of a treatment that was taken before; otherwise it begins to build up then.
        run_in: the run-in as an arm of its own, never judged; None: run-in days stand at the
            level, without any arm.
    """

    arms: tuple[Arm, ...]
    scale: Scale = Scale()
    trend: bool = True
    period_effect: bool = True
    carryover: bool = False
    priors: Priors = Priors()
    weights: Mapping[str, float] = field(default_factory=dict)
    decision: DecisionRule = DecisionRule()
    ends: Ends = Ends.NEVER
    side_effects: tuple[SideEffectItem, ...] = ()
    in_force_before: bool = True
    run_in: Arm | None = None

    def __post_init__(self) -> None:
        labels = self.labels
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ModelInputError("A trial compares at least two different arms.")
        if self.decision.comparator is not None and self.decision.comparator not in labels:
            raise ModelInputError(f"The comparator '{self.decision.comparator}' is not an arm.")
        if self.run_in is not None and self.run_in.label in labels:
            raise ModelInputError(f"The run-in '{self.run_in.label}' is also an arm.")
        items = [item.name for item in self.side_effects]
        if len(set(items)) != len(items):
            raise ModelInputError("A side effect is given twice.")
        if any(not math.isfinite(w) or w < 0 for w in self.weights.values()):
            raise ModelInputError("A weight is a number of points, 0 or more.")
        if self.carryover and isinstance(self.priors.half_life, HalfLifePerArm):
            for arm in (*self.arms, *([self.run_in] if self.run_in else ())):
                if arm.half_life_days is None:
                    raise ModelInputError(f"Carryover is on: arm {arm.label} needs a half-life.")

    @property
    def labels(self) -> tuple[str, ...]:
        """The masked labels in order."""
        return tuple(arm.label for arm in self.arms)

    def prior_half_lives(self) -> tuple[float, ...]:
        """(K,) the median of each arm's half-life prior in days, floored at 0.25."""
        if isinstance(self.priors.half_life, HalfLifeShared):
            return (math.exp(self.priors.half_life.mean_log),) * len(self.arms)
        return tuple(
            max(arm.half_life_days or SHORTEST_HALF_LIFE, SHORTEST_HALF_LIFE) for arm in self.arms
        )

    def canonical_json(self) -> str:
        """The specification as text: sorted keys, no spaces, every default written out."""
        content = {"model_version": MODEL_VERSION, **_named(self)}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def specification_hash(self) -> str:
        """The sha256 of :meth:`canonical_json`."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def default_priors(scale: Scale, sd: LogNormal | HalfNormal | None = None) -> Priors:
    """Return the default priors for a scale: points are stretched, the drift points to better."""
    base, unit = Priors(), scale.unit
    default_sd = LogNormal(math.log(1.1 * unit), 0.45)
    return replace(
        base,
        level=Normal(scale.low + 5.0 * unit, 2.5 * unit),
        arm=Normal(0.0, 1.5 * unit),
        trend_per_week=Normal(-0.05 * unit * scale.sign, 0.2 * unit),
        sd=sd or default_sd,
        period_sd=HalfNormal(0.35 * unit),
    )


def default_decision(scale: Scale) -> DecisionRule:
    """Return the default decision rule with its margins in points of ``scale``."""
    return DecisionRule(expected_loss=0.25 * scale.unit, equal_margin=0.5 * scale.unit)


def _named(specification: Specification) -> dict[str, object]:
    """The specification as plain values; a prior says which family it is of.

    What only the end-of-scale model asks for is left out where it cannot be used, and so is what
    came later and is not used, so that the hashes of older protocols stay what they were.
    """
    content = asdict(specification)
    for name, unused in (("side_effects", ()), ("in_force_before", True), ("run_in", None)):
        if getattr(specification, name) == unused:
            del content[name]
    if specification.ends is Ends.NEVER:
        del content["ends"], content["scale"]["step"]
    else:
        content["ends"] = {"choice": specification.ends.value, "model": ENDS_VERSION}
    priors = content["priors"]
    for name in priors:
        family = type(getattr(specification.priors, name)).__name__
        priors[name] = {"family": family, **priors[name]}
    content["weights"] = {name: float(w) for name, w in specification.weights.items()}
    return content
