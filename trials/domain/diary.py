"""The questions of one diary day, and what counts as an answer.

Pain comes first, then side effects, then treatment and rescue, so that no question colours
the ones before it. Nothing is filled in beforehand, and what is not answered stays
missing: it never becomes a zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trials.domain.errors import ProtocolError
from trials.domain.words import marked as _

SCALE_MAXIMUM = 10
SEVEREST = 3
MOST_RESCUE_DOSES = 50
LONGEST_NOTE = 500
MOST_SIDE_EFFECTS = 12
MOST_OTHER_EFFECTS = 3
LONGEST_EFFECT = 80
LONGEST_WHY = 200
MOST_RESCUE_MEDICINES = 4

FieldErrors = dict[str, str]
"""Field name -> English sentence, a key of the translation catalogue."""


class Intake(StrEnum):
    """Whether the treatment of the day was taken."""

    ALL = "all"
    PART = "part"
    NONE = "none"


class IntakeReason(StrEnum):
    """Why the treatment was not taken as planned."""

    FORGOT = "forgot"
    SIDE_EFFECTS = "side_effects"
    FELT_WELL = "felt_well"
    NO_HELP = "no_help"
    ILL = "ill"
    NONE_LEFT = "none_left"
    ADVISED = "advised"
    OTHER = "other"


INTAKE_REASONS: dict[IntakeReason, str] = {
    IntakeReason.FORGOT: _("Forgot"),
    IntakeReason.SIDE_EFFECTS: _("Side effects"),
    IntakeReason.FELT_WELL: _("Felt well"),
    IntakeReason.NO_HELP: _("Did not help"),
    IntakeReason.ILL: _("Ill"),
    IntakeReason.NONE_LEFT: _("Had none"),
    IntakeReason.ADVISED: _("Was told to"),
    IntakeReason.OTHER: _("Other"),
}

INTAKE_FRACTION: dict[Intake, float] = {Intake.ALL: 1.0, Intake.PART: 0.5, Intake.NONE: 0.0}
"""Dose fraction a_t of the exposure model; "part" is unknown and taken as half."""


class Source(StrEnum):
    """How an entry reached us."""

    PATIENT = "patient"
    PHONE = "phone"
    PAPER = "paper"


@dataclass(frozen=True, slots=True)
class SideEffect:
    """One item of the side-effect list.

    Attributes:
        key: catalogue id, such as "dry_mouth".
        label: what the patient reads.
    """

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class OtherEffect:
    """A side effect that is not on the list, in the patient's words.

    Attributes:
        text: what it was.
        severity: 1-3 (mild, moderate, severe).
    """

    text: str
    severity: int


@dataclass(frozen=True, slots=True)
class RescueUse:
    """How much of one rescue medicine was needed.

    Attributes:
        medicine: name, as the protocol writes it.
        doses: 1-50; a medicine that was not needed is left out.
        last_at: local time of the last dose, "HH:MM", or "" if not said.
    """

    medicine: str
    doses: int
    last_at: str = ""


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """What is asked every day: the union of all arms' side effects, the same in every period.

    Attributes:
        side_effects: at most twelve, in a fixed order.
        sleep: whether sleep is asked.
        interference: whether interference with activities is asked.
        rescue: name of the rescue medicine, "" if there is none.
        more_rescue: names of others, each asked for by itself.
    """

    side_effects: tuple[SideEffect, ...] = ()
    sleep: bool = True
    interference: bool = True
    rescue: str = ""
    more_rescue: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keys = [item.key for item in self.side_effects]
        if len(set(keys)) != len(keys):
            raise ProtocolError(_("A side effect is on the diary's list twice."))
        if len(keys) > MOST_SIDE_EFFECTS:
            raise ProtocolError(
                _("The diary lists at most %(most)s side effects; choose the ones that matter."),
                most=MOST_SIDE_EFFECTS,
            )
        medicines = self.rescue_medicines
        if len(set(medicines)) != len(medicines) or len(medicines) > MOST_RESCUE_MEDICINES:
            raise ProtocolError(_("Give each rescue medicine once, four at most."))
        if self.more_rescue and not (self.rescue and all(self.more_rescue)):
            raise ProtocolError(_("Every rescue medicine needs a name."))

    @property
    def rescue_medicines(self) -> tuple[str, ...]:
        """Names of all rescue medicines, in the order they are asked for."""
        return (self.rescue, *self.more_rescue) if self.rescue else ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What a patient reported for one day.

    Attributes:
        pain: average of the last 24 hours, 0-10.
        bother: how much side effects bothered, 0-10; 0 when there were none.
        side_effects: severity 0-3 of each listed item.
        sleep: how much pain disturbed sleep, 0-10, or None.
        interference: how much pain got in the way, 0-10, or None.
        rescue_doses: number of doses of all medicines, or None if not asked or not answered.
        intake: whether the day's treatment was taken.
        note: free text, "" if none.
        other_effects: side effects that are not on the list.
        rescue: which rescue medicines were needed, and how much of each.
        intake_reason: why the treatment was not taken as planned, None if not said.
        intake_words: the same in the patient's words, "" if none.
        by_proxy: whether somebody else, such as a carer, filled this in for the patient.
    """

    pain: int
    bother: int
    side_effects: Mapping[str, int] = field(default_factory=dict)
    sleep: int | None = None
    interference: int | None = None
    rescue_doses: int | None = None
    intake: Intake | None = None
    note: str = ""
    other_effects: tuple[OtherEffect, ...] = ()
    rescue: tuple[RescueUse, ...] = ()
    intake_reason: IntakeReason | None = None
    intake_words: str = ""
    by_proxy: bool = False
