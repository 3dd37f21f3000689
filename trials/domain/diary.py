"""The questions of one diary day, and what counts as an answer.

Pain comes first, then side effects, then treatment and rescue, so that no question colours
the ones before it. Nothing is filled in beforehand, and what is not answered stays
missing: it never becomes a zero.
"""

import re
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

FieldErrors = dict[str, str]
"""Field name -> English sentence, a key of the translation catalogue."""


class Intake(StrEnum):
    """Whether the treatment of the day was taken."""

    ALL = "all"
    PART = "part"
    NONE = "none"


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
class Questionnaire:
    """What is asked every day: the union of all arms' side effects, the same in every period.

    Attributes:
        side_effects: at most twelve, in a fixed order.
        sleep: whether sleep is asked.
        interference: whether interference with activities is asked.
        rescue: name of the rescue medicine, "" if there is none.
    """

    side_effects: tuple[SideEffect, ...] = ()
    sleep: bool = True
    interference: bool = True
    rescue: str = ""

    def __post_init__(self) -> None:
        keys = [item.key for item in self.side_effects]
        if len(set(keys)) != len(keys):
            raise ProtocolError(_("A side effect is on the diary's list twice."))
        if len(keys) > MOST_SIDE_EFFECTS:
            raise ProtocolError(
                _("The diary lists at most %(most)s side effects; choose the ones that matter."),
                most=MOST_SIDE_EFFECTS,
            )


@dataclass(frozen=True, slots=True)
class Answers:
    """What a patient reported for one day.

    Attributes:
        pain: average of the last 24 hours, 0-10.
        bother: how much side effects bothered, 0-10; 0 when there were none.
        side_effects: severity 0-3 of each listed item.
        sleep: how much pain disturbed sleep, 0-10, or None.
        interference: how much pain got in the way, 0-10, or None.
        rescue_doses: number of doses, or None if not asked or not answered.
        intake: whether the day's treatment was taken.
        note: free text, "" if none.
    """

    pain: int
    bother: int
    side_effects: Mapping[str, int] = field(default_factory=dict)
    sleep: int | None = None
    interference: int | None = None
    rescue_doses: int | None = None
    intake: Intake | None = None
    note: str = ""


def check_answers(
    questionnaire: Questionnaire, form: Mapping[str, str]
) -> tuple[Answers | None, FieldErrors]:
    """Read a submitted form.

    Fields: ``pain``, ``any_side_effects`` (yes or no), ``side_effect-KEY`` (0-3), ``bother``,
    ``sleep``, ``interference``, ``intake``, ``rescue_doses``, ``note``.

    Returns:
        The answers, or None and a sentence for each field that needs attention.
    """
    errors: FieldErrors = {}
    pain = _required(form, "pain", SCALE_MAXIMUM, _("Please choose a number from 0 to 10."), errors)
    bother, severities = _check_side_effects(questionnaire, form, errors)
    sleep = _optional(form, "sleep", SCALE_MAXIMUM, errors) if questionnaire.sleep else None
    interference = (
        _optional(form, "interference", SCALE_MAXIMUM, errors)
        if questionnaire.interference
        else None
    )
    intake = _check_intake(form, errors)
    rescue = _check_rescue(form, errors) if questionnaire.rescue else None
    note = form.get("note", "").strip()
    if len(note) > LONGEST_NOTE:
        errors["note"] = _("Please keep the note under 500 characters.")
    if errors or pain is None or bother is None:
        return None, errors
    return Answers(pain, bother, severities, sleep, interference, rescue, intake, note), {}


def _check_side_effects(
    questionnaire: Questionnaire, form: Mapping[str, str], errors: FieldErrors
) -> tuple[int | None, dict[str, int]]:
    """Return bother and severities; "no side effects" answers all items with none."""
    said = form.get("any_side_effects", "")
    if said not in {"yes", "no"}:
        errors["any_side_effects"] = _("Please say whether you had side effects.")
        return None, {}
    if said == "no":
        return 0, {item.key: 0 for item in questionnaire.side_effects}
    severities: dict[str, int] = {}
    for item in questionnaire.side_effects:
        severity = _optional(form, f"side_effect-{item.key}", SEVEREST, errors)
        if severity is not None:
            severities[item.key] = severity
    bother = _required(
        form,
        "bother",
        SCALE_MAXIMUM,
        _("Please choose how much the side effects bothered you, from 0 to 10."),
        errors,
    )
    return bother, severities


def _check_intake(form: Mapping[str, str], errors: FieldErrors) -> Intake | None:
    try:
        return Intake(form.get("intake", ""))
    except ValueError:
        errors["intake"] = _("Please say whether you took today's treatment.")
        return None


def _check_rescue(form: Mapping[str, str], errors: FieldErrors) -> int | None:
    doses = _whole_number(form.get("rescue_doses", ""), MOST_RESCUE_DOSES)
    if doses == "":
        return None
    if isinstance(doses, str):
        errors["rescue_doses"] = _("Please give the number of rescue doses, from 0 to 50.")
        return None
    return doses


def _required(
    form: Mapping[str, str], name: str, most: int, sentence: str, errors: FieldErrors
) -> int | None:
    value = _whole_number(form.get(name, ""), most)
    if isinstance(value, str):
        errors[name] = sentence
        return None
    return value


def _optional(form: Mapping[str, str], name: str, most: int, errors: FieldErrors) -> int | None:
    value = _whole_number(form.get(name, ""), most)
    if value == "":
        return None
    if isinstance(value, str):
        errors[name] = _("Please choose one of the numbers shown.")
        return None
    return value


def _whole_number(text: str, most: int) -> int | str:
    """Return the number, "" if nothing was given, or the text itself if it is no such number."""
    text = text.strip()
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > most:
        return text
    return int(text)
