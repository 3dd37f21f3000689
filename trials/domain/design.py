"""The shape of a trial, fixed before randomization.

A trial of one patient gives every arm in every block, so that a slow drift of pain falls
on all arms alike. The first days after a switch are washout: they are recorded, and they
shape the exposure, but they are not evaluated.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from trials.domain.errors import DesignError
from trials.domain.words import marked as _

MOST_ARMS = 6
MOST_BLOCKS = 12
LONGEST_PERIOD_DAYS = 84
LONGEST_RUN_IN_DAYS = 28
LONGEST_TRIAL_DAYS = 730
LEAST_EVALUATION_DAYS = 3
HALF_LIVES_TO_WASH_OUT = 5
FIRST_LOOK = 2


class Scheme(StrEnum):
    """How the order inside the blocks comes about."""

    BALANCED = "balanced"
    """Orders are rows of a Williams square: each arm follows each other arm equally often."""
    RANDOM_BLOCKS = "random_blocks"
    """Every block is an independent random order."""
    PAIRED = "paired"
    """Every second block reverses the one before (AB BA): a linear drift cancels in the pair."""
    FIXED = "fixed"
    """The order is given by hand; nothing is random, so nothing can be blinded."""


class LookSchedule(StrEnum):
    """When the frozen rule is applied."""

    AT_END = "at_end"
    """Once, when the diary is complete."""
    EACH_BLOCK = "each_block"
    """After each block too, from the second on: a clear answer may end the trial early."""


class Outcome(StrEnum):
    """What the verdict is about."""

    PAIN = "pain"
    """Average pain of the last 24 hours, 0-10."""
    NET_BURDEN = "net_burden"
    """Pain plus side effects, in the patient's own weights, in points of the pain scale."""


class AnalysisSet(StrEnum):
    """Whose effect is estimated when a dose was not taken."""

    AS_ASSIGNED = "as_assigned"
    """Every day counts for the arm that was due (treatment policy)."""
    AS_TAKEN = "as_taken"
    """The exposure follows the reported intake."""


class EndsOfScale(StrEnum):
    """Which model is used for ratings near 0 or 10."""

    BY_RULE = "by_rule"
    """Rounded and cut off when more than 15 % of the rated evaluation days, all arms together,
    lie at either end; else continuous. Decided by the count, not by the result."""
    NEVER = "never"
    """Always the continuous model."""
    ALWAYS = "always"
    """Always rounded and cut off."""


def arm_labels(count: int) -> tuple[str, ...]:
    """Return the masked labels of ``count`` arms: ("A", "B", ...)."""
    return tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count])


@dataclass(frozen=True, slots=True)
class Design:
    """Arms, blocks and days.

    Attributes:
        arms: masked labels such as ("A", "B"); which treatment is "A" is kept elsewhere.
        blocks: how many times each arm is given.
        period_days: days on one arm, washout included; equal for all arms, so that the
            timing of a switch says nothing about the arm.
        washout_days: first days after every switch that are left out of the fit.
        run_in_days: days before the first period on the treatment the patient came with.
        scheme: how the order is found.
        fixed_sequence: the arm of each period, with ``Scheme.FIXED`` only.
    """

    arms: tuple[str, ...]
    blocks: int
    period_days: int
    washout_days: int = 0
    run_in_days: int = 0
    scheme: Scheme = Scheme.BALANCED
    fixed_sequence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_arms(self.arms)
        _check_days(self)
        _check_fixed_sequence(self)

    @property
    def periods(self) -> int:
        """Number of periods: every arm once in every block."""
        return len(self.arms) * self.blocks

    @property
    def total_days(self) -> int:
        """Days from the first of the run-in to the last of the last period."""
        return self.run_in_days + self.periods * self.period_days

    @property
    def evaluation_days(self) -> int:
        """Days of each period that enter the fit."""
        return self.period_days - self.washout_days


def _check_arms(arms: tuple[str, ...]) -> None:
    if len(set(arms)) != len(arms) or len(arms) < 2:
        raise DesignError(_("A trial compares at least two different arms."))
    if len(arms) > MOST_ARMS:
        raise DesignError(
            _("A trial of one patient can compare at most %(most)s arms; this has %(arms)s."),
            most=MOST_ARMS,
            arms=len(arms),
        )
    if any(not label.strip() for label in arms):
        raise DesignError(_("Every arm needs a label."))


def _check_days(design: Design) -> None:
    if design.blocks < 2:
        raise DesignError(
            _("With one block, a drug cannot be told from its week. Use two or more.")
        )
    if design.blocks > MOST_BLOCKS:
        raise DesignError(_("A trial has at most %(most)s blocks."), most=MOST_BLOCKS)
    if not 1 <= design.period_days <= LONGEST_PERIOD_DAYS:
        raise DesignError(
            _("A period lasts from 1 to %(longest)s days."), longest=LONGEST_PERIOD_DAYS
        )
    if design.washout_days < 0:
        raise DesignError(_("The washout cannot be shorter than no day."))
    if design.evaluation_days < LEAST_EVALUATION_DAYS:
        raise DesignError(
            _(
                "A period of %(period)s days with %(washout)s washout days leaves %(left)s days to "
                "evaluate; at least %(least)s are needed. Lengthen the period or shorten the "
                "washout."
            ),
            period=design.period_days,
            washout=design.washout_days,
            left=max(design.evaluation_days, 0),
            least=LEAST_EVALUATION_DAYS,
        )
    if not 0 <= design.run_in_days <= LONGEST_RUN_IN_DAYS:
        raise DesignError(
            _("The run-in lasts from 0 to %(longest)s days."), longest=LONGEST_RUN_IN_DAYS
        )
    if design.total_days > LONGEST_TRIAL_DAYS:
        raise DesignError(
            _("This trial would last %(days)s days; at most %(longest)s are allowed."),
            days=design.total_days,
            longest=LONGEST_TRIAL_DAYS,
        )


def _check_fixed_sequence(design: Design) -> None:
    if design.scheme is not Scheme.FIXED:
        if design.fixed_sequence:
            raise DesignError(_("A sequence can be given by hand only with the fixed order."))
        return
    size = len(design.arms)
    blocks = [
        design.fixed_sequence[start : start + size]
        for start in range(0, len(design.fixed_sequence), size)
    ]
    whole = len(design.fixed_sequence) == design.periods
    if not whole or any(set(block) != set(design.arms) for block in blocks):
        raise DesignError(
            _("The fixed order must hold every arm once in each of the %(blocks)s blocks."),
            blocks=design.blocks,
        )


def planned_looks(design: Design, schedule: LookSchedule) -> tuple[int, ...]:
    """Return the blocks after which the rule is applied before the trial's planned end.

    The first look is after the second block: before it each arm was given once, which can
    never make a verdict. The one after the last block is the final analysis.
    """
    if schedule is LookSchedule.AT_END:
        return ()
    return tuple(range(FIRST_LOOK, design.blocks))


def washout_needed(longest_half_life_hours: float) -> int:
    """Return the days after which about 3 % of the outgoing drug is left.

    Five half-lives of the longest active moiety, at least one day: max(1, ceil(5 h / 24)).
    """
    return max(1, ceil(HALF_LIVES_TO_WASH_OUT * longest_half_life_hours / 24))


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How the posterior becomes a verdict; frozen with the protocol.

    Attributes:
        best: least P(arm has the lowest burden) to call it best; the calibration may ask for
            more (c1 in docs/statistics.md), never for less.
        equal_margin: differences smaller than this do not matter, in points (the ROPE).
        equal_probability: least P(|difference| < equal_margin) to call arms practically equal.
        largest_expected_loss: most burden, in points, that calling it best may cost on average.
        superiority_probability: least P(better than the comparator by the margin).
    """

    best: float = 0.96
    equal_margin: float = 0.5
    equal_probability: float = 0.8
    largest_expected_loss: float = 0.25
    superiority_probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0.5 < self.best < 1.0:
            raise DesignError(_("The probability asked of a best arm lies between 0.5 and 1."))
        if not 0.0 < self.equal_margin <= 3.0:
            raise DesignError(
                _("The smallest difference that matters lies above 0 and at most at 3 points.")
            )
        if not 0.5 <= self.equal_probability < 1.0:
            raise DesignError(_("The probability asked of equal arms lies between 0.5 and 1."))
