"""What is agreed before the start, frozen and hashed.

The protocol names the treatments; the arms' masked labels are dealt to them at the draw.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trials.domain.blinding import Blinding
from trials.domain.calendar import DiaryWindow
from trials.domain.canonical import canonical_hash, plain
from trials.domain.design import (
    AnalysisSet,
    DecisionRule,
    Design,
    EndsOfScale,
    LookSchedule,
    Outcome,
    Scheme,
)
from trials.domain.diary import Questionnaire
from trials.domain.errors import ProtocolError
from trials.domain.taking import TakingPlan
from trials.domain.words import marked as _

PROTOCOL_FORMAT = 1
LARGEST_WEIGHT = 5.0
LARGEST_SD = 5.0
SEVERE_LIMIT = 0.1
"""Usual share of days on which a side effect may be severe: about three days in a month."""
LONG_MEMORY = 0.25
"""Share of a period from which on an effect half-life counts as long."""
BEST_WITH_LONG_MEMORY = 0.985
ADDED_LATER: Mapping[str, object] = {
    "looks": LookSchedule.AT_END.value,
    "calibration": None,
    "known_noise": None,
    "taking": None,
    "shows_pain_line": False,
    "questionnaire.more_rescue": [],
    "severe_limit": None,
    "frequencies": {},
    "ends_of_scale": EndsOfScale.BY_RULE.value,
}
"""Fields that protocols frozen before them do not have, with the value that means the same.
With that value they are left out of the hash, so that it stays what it was. A dot leads to a
field of a part."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One treatment that deserves a trial.

    Attributes:
        treatment: id in the catalogue.
        name: what people call it.
        dose: as the pharmacist dispenses it, such as "25 mg at night".
        effect_half_life_days: how fast its effect builds up and fades, the centre of its prior.
        burden: constant cost or effort, in points of the pain scale per day.
    """

    treatment: str
    name: str
    dose: str = ""
    effect_half_life_days: float = 0.25
    burden: float = 0.0

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ProtocolError(_("Every candidate treatment needs a name."))
        if not 0.0 < self.effect_half_life_days <= 60.0:
            raise ProtocolError(
                _("The effect half-life of %(name)s must lie between 0 and 60 days."),
                name=self.name,
            )


@dataclass(frozen=True, slots=True)
class KnownNoise:
    """How the patient's pain goes up and down by itself, as an earlier diary showed.

    It plans the trial (what the design can tell about this patient) and decides nothing.

    Attributes:
        sd: standard deviation of a day's pain, in points.
        autocorrelation: of one day with the next; None if not known.
    """

    sd: float
    autocorrelation: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.sd <= LARGEST_SD:
            raise ProtocolError(
                _("The ups and downs of pain must lie above 0 and at most at %(most)s points."),
                most=LARGEST_SD,
            )
        if self.autocorrelation is not None and not -0.3 < self.autocorrelation < 0.98:
            raise ProtocolError(
                _("The likeness of one day to the next must lie between -0.3 and 0.98.")
            )


@dataclass(frozen=True, slots=True)
class Calibration:
    """The threshold c1 that a simulation of this design asks for, kept with the agreement.

    Attributes:
        design_hash: of the simulated design.
        threshold: c1: without any difference, at most 5 % of trials name a best arm with it.
        low: lower end of its 95 % Monte Carlo interval.
        high: upper end.
        trials: how many were simulated without any difference.
    """

    design_hash: str
    threshold: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True, slots=True)
class Protocol:
    """The whole agreement.

    Attributes:
        question: what the patient and the clinician want to know, in a sentence.
        candidates: one for each arm of the design; a treatment stands once.
        comparator: the treatment the others must beat, or "" for none.
        blinding: whether the treatments are hidden.
        design: arms, blocks, days.
        outcome: what the verdict is about.
        bother_weight: points of pain the patient would give to be rid of one point of bother.
        decision: the rule of the verdict.
        analysis_set: whose effect is estimated when a dose was not taken.
        questionnaire: what the diary asks.
        window: when the diary is open.
        model_version: which model's formula and priors the verdict uses.
        version: 1 for the first; an amendment counts up.
        looks: when the rule is applied.
        known_noise: what is known of the patient's ups and downs; None for nothing.
        calibration: None until the freeze.
        taking: when in the day the treatment is taken; None if it is not said.
        shows_pain_line: whether the patient sees the own pain line while blinded, never with a
            period on it (blinding rule B-24: off unless the clinic decides otherwise).
        severe_limit: highest acceptable share of days on which one side effect is severe, the
            same on every arm, since a limit of its own would tell the arm. An arm that likely
            exceeds it is never chosen; None: no arm is left out for side effects.
        frequencies: how often the labels of the candidates state a side effect, by its key: where
            the model starts. The highest over all candidates, the same for every arm.
        ends_of_scale: which model is used for ratings near 0 or 10.
    """

    question: str
    candidates: tuple[Candidate, ...]
    design: Design
    comparator: str = ""
    blinding: Blinding = Blinding.BLINDED
    outcome: Outcome = Outcome.NET_BURDEN
    bother_weight: float = 0.5
    decision: DecisionRule = field(default_factory=DecisionRule)
    analysis_set: AnalysisSet = AnalysisSet.AS_ASSIGNED
    questionnaire: Questionnaire = field(default_factory=Questionnaire)
    window: DiaryWindow = field(default_factory=DiaryWindow)
    model_version: str = "crossover-1"
    version: int = 1
    looks: LookSchedule = LookSchedule.AT_END
    known_noise: KnownNoise | None = None
    calibration: Calibration | None = None
    taking: TakingPlan | None = None
    shows_pain_line: bool = False
    severe_limit: float | None = None
    frequencies: Mapping[str, float] = field(default_factory=dict)
    ends_of_scale: EndsOfScale = EndsOfScale.BY_RULE

    def __post_init__(self) -> None:
        treatments = [c.treatment for c in self.candidates]
        if len(treatments) != len(self.design.arms):
            raise ProtocolError(_("There must be as many candidate treatments as arms."))
        if len(set(treatments)) != len(treatments):
            raise ProtocolError(_("A treatment is among the candidates twice."))
        if self.comparator and self.comparator not in treatments:
            raise ProtocolError(_("The reference must be one of the candidates."))
        if not 0.0 <= self.bother_weight <= LARGEST_WEIGHT:
            raise ProtocolError(
                _("The weight of side effects lies between 0 and %(most)s."), most=LARGEST_WEIGHT
            )
        if self.severe_limit is not None and not 0.0 < self.severe_limit < 1.0:
            raise ProtocolError(
                _("The days on which a side effect may be severe are a share between 0 and 100 %.")
            )
        if any(not 0.0 < share < 1.0 for share in self.frequencies.values()):
            raise ProtocolError(_("How often a side effect comes is a share between 0 and 100 %."))
        if self.blinding is Blinding.BLINDED and self.design.scheme is Scheme.FIXED:
            raise ProtocolError(_("A trial with a fixed order is known to all: it must be open."))

    def candidate(self, treatment: str) -> Candidate:
        """Return the candidate with this catalogue id."""
        return next(c for c in self.candidates if c.treatment == treatment)

    @property
    def needed_to_be_best(self) -> float:
        """The probability that names an arm best: as calibrated, but never less than agreed.

        The floor is there because real diaries wander more than simulated ones: on them about
        0.96 was needed where the simulation of some designs asks for less.
        """
        if self.calibration is None:
            return self.decision.best
        return max(self.decision.best, self.calibration.threshold)

    @property
    def treatments(self) -> tuple[str, ...]:
        """Catalogue ids in the order of the protocol."""
        return tuple(c.treatment for c in self.candidates)


def protocol_hash(protocol: Protocol) -> str:
    """Return the SHA-256 that stands for this exact agreement."""
    content = plain(protocol)
    assert isinstance(content, dict)  # noqa: S101  # a dataclass becomes an object
    for path, meaning_the_same in ADDED_LATER.items():
        *parts, name = path.split(".")
        holder = content
        for part in parts:
            holder = holder[part]
        if holder[name] == meaning_the_same:
            del holder[name]
    return canonical_hash({"format": PROTOCOL_FORMAT, "protocol": content})


def with_least_certainty(protocol: Protocol) -> Protocol:
    """Return the protocol with no less certainty agreed than its half-lives ask for.

    Where an effect takes a quarter of a period or more to fade by half, slow waves of real pain
    pass for it more often than simulated noise does: see ``lenitive validate placebo``.
    """
    longest = max(c.effect_half_life_days for c in protocol.candidates)
    if longest < LONG_MEMORY * protocol.design.period_days:
        return protocol
    best = max(protocol.decision.best, BEST_WITH_LONG_MEMORY)
    return replace(protocol, decision=replace(protocol.decision, best=best))


def amended(protocol: Protocol) -> Protocol:
    """Return the same protocol as the next version, open for changes and for a calibration."""
    return replace(protocol, version=protocol.version + 1, calibration=None)
