"""What is written down about a serious adverse event, and what its report must hold.

The cause is judged for every treatment of the trial as if it were the one taken: nobody needs to
know the allocation for that, and nothing is unblinded (ICH E2A; rule B-25).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from trials.domain.diary import FieldErrors
from trials.domain.words import marked as _

TIME_TO_REPORT = timedelta(hours=24)
FIRST_REMINDER = timedelta(hours=12)
REMIND_EVERY = timedelta(hours=6)
LONGEST_TITLE = 120
LONGEST_TEXT = 4000


class Criterion(StrEnum):
    """What makes an event serious (ICH E2A)."""

    DEATH = "death"
    LIFE_THREATENING = "life_threatening"
    HOSPITAL = "hospital"
    DISABILITY = "disability"
    BIRTH_DEFECT = "birth_defect"
    IMPORTANT = "important"


class Severity(StrEnum):
    """How strong it was; a severe headache need not be serious."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class EventOutcome(StrEnum):
    """How it went on."""

    RECOVERED = "recovered"
    RECOVERING = "recovering"
    NOT_RECOVERED = "not_recovered"
    LASTING = "lasting"
    FATAL = "fatal"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What was done with the trial's treatment."""

    NONE = "none"
    TREATMENT_PAUSED = "treatment_paused"
    TREATMENT_STOPPED = "treatment_stopped"
    TRIAL_PAUSED = "trial_paused"
    TRIAL_STOPPED = "trial_stopped"
    CODE_OPENED = "code_opened"


class Causality(StrEnum):
    """How likely a treatment is the cause, if it is the one that was taken."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    UNLIKELY = "unlikely"
    UNRELATED = "unrelated"
    UNASSESSABLE = "unassessable"


CRITERIA: Mapping[Criterion, str] = {
    Criterion.DEATH: _("The patient died"),
    Criterion.LIFE_THREATENING: _("It was life-threatening"),
    Criterion.HOSPITAL: _("Admission to hospital, or a longer stay"),
    Criterion.DISABILITY: _("Lasting or major disability"),
    Criterion.BIRTH_DEFECT: _("Birth defect"),
    Criterion.IMPORTANT: _("Medically important for another reason"),
}
SEVERITIES: Mapping[Severity, str] = {
    Severity.MILD: _("Mild"),
    Severity.MODERATE: _("Moderate"),
    Severity.SEVERE: _("Severe"),
}
OUTCOMES: Mapping[EventOutcome, str] = {
    EventOutcome.RECOVERED: _("Recovered"),
    EventOutcome.RECOVERING: _("Recovering"),
    EventOutcome.NOT_RECOVERED: _("Not recovered"),
    EventOutcome.LASTING: _("Recovered with lasting damage"),
    EventOutcome.FATAL: _("Fatal"),
    EventOutcome.UNKNOWN: _("Not known yet"),
}
ACTIONS: Mapping[Action, str] = {
    Action.NONE: _("None"),
    Action.TREATMENT_PAUSED: _("Treatment of the trial paused"),
    Action.TREATMENT_STOPPED: _("Treatment of the trial stopped"),
    Action.TRIAL_PAUSED: _("Trial paused"),
    Action.TRIAL_STOPPED: _("Trial stopped"),
    Action.CODE_OPENED: _("The pharmacist was asked to open the code"),
}
CAUSALITIES: Mapping[Causality, str] = {
    Causality.CERTAIN: _("Certain"),
    Causality.PROBABLE: _("Probable"),
    Causality.POSSIBLE: _("Possible"),
    Causality.UNLIKELY: _("Unlikely"),
    Causality.UNRELATED: _("Not related"),
    Causality.UNASSESSABLE: _("Cannot be judged"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of an event.

    Attributes:
        title: what it was, in a few words.
        began_on: first day.
        ended_on: last day, None while it lasts.
        severity: how strong it was.
        criteria: why it is serious; none for an event that is severe only.
        outcome: how it went on.
        action: what was done with the treatment.
        causality: catalogue id of each treatment of the trial -> judgement.
        other_cause: another explanation, "" if none.
        course: what happened, in the clinician's words.
    """

    title: str
    began_on: date
    severity: Severity
    outcome: EventOutcome
    action: Action
    course: str
    criteria: tuple[Criterion, ...] = ()
    causality: Mapping[str, Causality] = field(default_factory=dict)
    ended_on: date | None = None
    other_cause: str = ""

    @property
    def is_serious(self) -> bool:
        """Whether a criterion of seriousness is met."""
        return bool(self.criteria)


def check_account(
    form: Mapping[str, str], criteria: Sequence[str], treatments: Sequence[str], *, today: date
) -> tuple[Account | None, FieldErrors]:
    """Read a submitted form.

    Fields: ``title``, ``began_on``, ``ended_on``, ``severity``, ``outcome``, ``action``,
    ``causality-TREATMENT``, ``other_cause``, ``course``.

    Args:
        form: what was typed.
        criteria: the boxes that were ticked.
        treatments: catalogue ids of all treatments of the trial.
        today: in the patient's zone.

    Returns:
        The account, or None and a sentence for each field that needs attention.
    """
    errors: FieldErrors = {}
    title = _text(form, "title", LONGEST_TITLE, _("Please say in a few words what it was."), errors)
    began = _day(form, "began_on", _("Please give the day on which it began."), errors)
    ended = (
        _day(form, "ended_on", _("Please give a date, such as 2026-03-01."), errors)
        if form.get("ended_on")
        else None
    )
    if began is not None and began > today:
        errors["began_on"] = _("This day has not come yet.")
    if began is not None and ended is not None and not began <= ended <= today:
        errors["ended_on"] = _("It cannot end before it began, nor after today.")
    severity = _choice(Severity, form, "severity", _("Please say how strong it was."), errors)
    outcome = _choice(EventOutcome, form, "outcome", _("Please say how it went on."), errors)
    action = _choice(Action, form, "action", _("Please say what was done."), errors)
    kept = tuple(c for c in Criterion if c.value in criteria)
    if severity is not None and severity is not Severity.SEVERE and not kept:
        errors["criteria"] = _("Please tick why it is serious; a report is not due otherwise.")
    sentence = _("Please judge each treatment, as if it were the one that was taken.")
    judged = {
        treatment: _choice(Causality, form, f"causality-{treatment}", sentence, errors)
        for treatment in treatments
    }
    course = _text(form, "course", LONGEST_TEXT, _("Please describe what happened."), errors)
    other = form.get("other_cause", "").strip()[:LONGEST_TEXT]
    if errors or began is None or severity is None or outcome is None or action is None:
        return None, errors
    causality = {treatment: found for treatment, found in judged.items() if found is not None}
    return Account(
        title, began, severity, outcome, action, course, kept, causality, ended, other
    ), {}


def _text(
    form: Mapping[str, str], name: str, longest: int, sentence: str, errors: FieldErrors
) -> str:
    text = form.get(name, "").strip()
    if not text:
        errors[name] = sentence
    elif len(text) > longest:
        errors[name] = _("This text is too long; please shorten it.")
    return text


def _day(form: Mapping[str, str], name: str, sentence: str, errors: FieldErrors) -> date | None:
    try:
        return date.fromisoformat(form.get(name, ""))
    except ValueError:
        errors[name] = sentence
        return None


def _choice[Choice: StrEnum](
    kind: type[Choice], form: Mapping[str, str], name: str, sentence: str, errors: FieldErrors
) -> Choice | None:
    try:
        return kind(form.get(name, ""))
    except ValueError:
        errors[name] = sentence
        return None
