"""Read the diary's form: answers, or a sentence for each field that needs attention.

Nothing is guessed: an answer that is not there stays missing, and one that is no answer is
asked for again, with everything that was typed still there.
"""

import re
from collections.abc import Mapping

from trials.domain.diary import (
    LONGEST_EFFECT,
    LONGEST_NOTE,
    LONGEST_WHY,
    MOST_OTHER_EFFECTS,
    MOST_RESCUE_DOSES,
    SCALE_MAXIMUM,
    SEVEREST,
    Answers,
    FieldErrors,
    Intake,
    IntakeReason,
    OtherEffect,
    Questionnaire,
    RescueUse,
)
from trials.domain.words import marked as _

MOST_READABLE_DOSES = 999
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def check_answers(
    questionnaire: Questionnaire, form: Mapping[str, str]
) -> tuple[Answers | None, FieldErrors]:
    """Read a submitted form.

    Fields: ``pain``, ``any_side_effects`` (yes or no), ``side_effect-KEY`` (0-3),
    ``other_effect-N`` with ``other_severity-N`` (N from 1), ``bother``, ``sleep``,
    ``interference``, ``intake``, ``intake_reason``, ``intake_words``, ``note``, ``by_proxy``
    (yes), and for the rescue medicines ``rescue_doses`` and ``rescue_at`` (the first),
    ``rescue_doses-N`` and ``rescue_at-N`` (N from 2). A number that stands in ``more_doses`` or
    ``more_doses-N`` counts where the button says "more".

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
    not_as_planned = intake in {Intake.PART, Intake.NONE}
    doses, rescue = _check_rescue(questionnaire, form, errors)
    note = _text(
        form, "note", LONGEST_NOTE, _("Please keep the note under 500 characters."), errors
    )
    why = _text(
        form, "intake_words", LONGEST_WHY, _("Please keep it under 200 characters."), errors
    )
    others = _check_other_effects(form, errors)
    if errors or pain is None or bother is None:
        return None, errors
    return Answers(
        pain=pain,
        bother=bother,
        side_effects=severities,
        sleep=sleep,
        interference=interference,
        rescue_doses=doses,
        intake=intake,
        note=note,
        other_effects=others,
        rescue=rescue,
        intake_reason=_reason(form) if not_as_planned else None,
        intake_words=why if not_as_planned else "",
        by_proxy=form.get("by_proxy") == "yes",
    ), {}


def readable_answers(questionnaire: Questionnaire, form: Mapping[str, str]) -> Answers:
    """Return what can be read of a form that is refused, to look for red flags and nothing else.

    A danger does not wait for the other questions: what is missing or no answer counts as
    nothing, an own side effect without a severity as present, and no text is too long.
    """
    ignored: FieldErrors = {}
    severities: dict[str, int] = {}
    others: list[OtherEffect] = []
    if form.get("any_side_effects") != "no":
        for item in questionnaire.side_effects:
            severities[item.key] = (
                _optional(form, f"side_effect-{item.key}", SEVEREST, ignored) or 0
            )
        for number in range(1, MOST_OTHER_EFFECTS + 1):
            severity = _optional(form, f"other_severity-{number}", SEVEREST, ignored)
            others.append(OtherEffect(form.get(f"other_effect-{number}", ""), severity or 1))
    doses, rescue = _check_rescue(questionnaire, form, ignored, most=MOST_READABLE_DOSES)
    return Answers(
        pain=_optional(form, "pain", SCALE_MAXIMUM, ignored) or 0,
        bother=0,
        side_effects=severities,
        rescue_doses=doses,
        note=form.get("note", ""),
        other_effects=tuple(other for other in others if other.text),
        rescue=rescue,
        intake_words=form.get("intake_words", ""),
    )


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


def _reason(form: Mapping[str, str]) -> IntakeReason | None:
    """Return the reason that was tapped; nobody has to give one."""
    try:
        return IntakeReason(form.get("intake_reason", ""))
    except ValueError:
        return None


def _check_other_effects(form: Mapping[str, str], errors: FieldErrors) -> tuple[OtherEffect, ...]:
    """Return the side effects in the patient's words; each needs a word and how bad it was."""
    if form.get("any_side_effects") != "yes":
        return ()
    found = []
    for number in range(1, MOST_OTHER_EFFECTS + 1):
        name, step = f"other_effect-{number}", f"other_severity-{number}"
        too_long = _("Please keep it under 80 characters.")
        text = _text(form, name, LONGEST_EFFECT, too_long, errors)
        severity = _optional(form, step, SEVEREST, errors)
        if text and not severity:
            errors.setdefault(step, _("Please say how bad it was."))
        elif severity and not text:
            errors.setdefault(name, _("Please say in a word or two what it was."))
        elif text and severity:
            found.append(OtherEffect(text, severity))
    return tuple(found)


def rescue_field(name: str, number: int) -> str:
    """Return the name of a field about the rescue medicine of this number, from 1."""
    return name if number == 1 else f"{name}-{number}"


def _check_rescue(
    questionnaire: Questionnaire,
    form: Mapping[str, str],
    errors: FieldErrors,
    *,
    most: int = MOST_RESCUE_DOSES,
) -> tuple[int | None, tuple[RescueUse, ...]]:
    """Return the doses of all medicines, None if none was answered, and each that was needed."""
    answered, used = False, []
    for number, medicine in enumerate(questionnaire.rescue_medicines, 1):
        field = rescue_field("rescue_doses", number)
        given = form.get(field, "")
        typed = form.get(rescue_field("more_doses", number), "").strip()
        doses = _whole_number(typed if typed and given in {"", "more"} else given, most)
        if doses == "":
            continue
        if isinstance(doses, str):
            errors[field] = _("Please give the number of rescue doses, from 0 to 50.")
            continue
        answered = True
        at = form.get(rescue_field("rescue_at", number), "").strip()
        if doses:
            used.append(RescueUse(medicine, doses, at if _CLOCK.fullmatch(at) else ""))
    total = sum(use.doses for use in used)
    if total > most:
        errors["rescue_doses"] = _("Please give the number of rescue doses, from 0 to 50.")
    return (total if answered else None), tuple(used)


def _text(form: Mapping[str, str], name: str, most: int, sentence: str, errors: FieldErrors) -> str:
    text = form.get(name, "").strip()
    if len(text) > most:
        errors[name] = sentence
    return text


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
