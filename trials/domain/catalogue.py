"""Candidate treatments as the catalogue describes them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trials.domain.design import HALF_LIVES_TO_WASH_OUT
from trials.domain.diary import MOST_SIDE_EFFECTS, SideEffect

SHORTEST_EFFECT_HALF_LIFE_DAYS = 0.25
"""A daily diary cannot tell anything faster."""


class Kind(StrEnum):
    """What sort of treatment it is."""

    DRUG = "drug"
    NON_DRUG = "nondrug"
    COMPARATOR = "comparator"


class Blindable(StrEnum):
    """Whether it can be made to look like another treatment."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


class Suitability(StrEnum):
    """Whether it can be a repeated arm of a crossover trial."""

    GOOD = "good"
    GOOD_LONG = "good_long"
    POSSIBLE = "possible"
    POSSIBLE_LONG = "possible_long"
    LIMITED = "limited"
    POOR = "poor"
    UNSUITABLE = "unsuitable"


NEEDS_REASON = frozenset({Suitability.LIMITED, Suitability.POOR})


@dataclass(frozen=True, slots=True)
class Treatment:
    """One line of the catalogue, to be reviewed by the site's clinician and pharmacist.

    Attributes:
        id: stable key.
        name: what people call it.
        kind: drug, non-drug or comparator.
        core: whether it is on the short menu.
        usual_dose: text for people.
        half_life_hours: of the longest active moiety; None where there is none.
        onset_days: until an effect can be judged; None if unknown.
        washout_days: recommended days left out after a switch away from it; None if it
            cannot be washed out.
        period_days: suggested length of a period; None if unknown.
        blindable: whether it can be hidden.
        suitability: as a repeated arm.
        suitability_note: why, in a few words.
        side_effects: keys of the side-effect list.
        source: where the facts come from.
        confidence: V seen in a source, M from memory, J judgement.
    """

    id: str
    name: str
    kind: Kind
    core: bool
    usual_dose: str
    half_life_hours: float | None
    onset_days: int | None
    washout_days: int | None
    period_days: int | None
    blindable: Blindable
    suitability: Suitability
    suitability_note: str
    side_effects: tuple[str, ...]
    source: str
    confidence: str

    @property
    def effect_half_life_days(self) -> float:
        """The centre of the prior of how fast the effect builds up and fades, in days.

        The plasma half-life where there is one; otherwise the recommended washout is taken
        as five half-lives. Never below a quarter of a day.
        """
        if self.half_life_hours is not None:
            days = self.half_life_hours / 24
        else:
            days = (self.washout_days or 0) / HALF_LIVES_TO_WASH_OUT
        return round(max(days, SHORTEST_EFFECT_HALF_LIFE_DAYS), 3)


@dataclass(frozen=True, slots=True)
class ProposedDays:
    """What half-lives and onsets suggest for a set of candidates."""

    period_days: int
    washout_days: int


def propose_days(candidates: Iterable[Treatment]) -> ProposedDays:
    """Return the longest period and washout that any candidate asks for."""
    chosen = list(candidates)
    washout = max((t.washout_days or 0 for t in chosen), default=0)
    period = max((t.period_days or 0 for t in chosen), default=0)
    return ProposedDays(period_days=max(period, washout + 3, 7), washout_days=washout)


def union_of_side_effects(
    candidates: Iterable[Treatment], terms: dict[str, SideEffect]
) -> tuple[SideEffect, ...]:
    """Return the side effects of all candidates together, in the order of the list.

    Every period asks for the same ones, whatever the arm: a list that changed with the
    treatment would tell it. The first twelve are asked; more would tire the patient.
    """
    wanted = {key for treatment in candidates for key in treatment.side_effects}
    return tuple(term for key, term in terms.items() if key in wanted)[:MOST_SIDE_EFFECTS]
