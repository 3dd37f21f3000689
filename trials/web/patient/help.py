"""Help: what to do when something serious happened, and the two questions about mood.

The list holds what no question of the diary asks. Its advice is in the page before anything is
pressed: a script shows it at once and tells the clinic afterwards, or later, when there is a
network again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import uuid4

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, readable_zone
from trials.domain.clocks import LONGEST_WAIT
from trials.domain.diary import FieldErrors
from trials.domain.errors import NotFoundError, ProtocolError
from trials.domain.red_flags import Call, Rule, Urgency
from trials.domain.words import marked
from trials.services import mood as mood_services
from trials.services.help_numbers import help_numbers
from trials.services.red_flag_rules import SUICIDE, rules
from trials.services.serious import tell_serious
from trials.store.trial import TrialRow
from trials.web.access import open_to_patient
from trials.web.edge import current_actor, current_patient, now, sentence_of, status_of, transaction
from trials.web.patient.advice import Advice, CallLine, advice_of, all_calls, calls_for
from trials.web.patient.blueprint import bp, render
from trials.web.patient.diary import KEY
from trials.web.patient.trial import choose_trial, own_trial, own_trials


@dataclass(frozen=True, slots=True)
class SeriousThing:
    """One button of the list: what happened, and what to do then."""

    label: str
    advice: Advice


@dataclass(frozen=True, slots=True)
class HelpPage:
    """All that templates/patient/help.html may use.

    Attributes:
        calls: every number.
        things: the list; none without a trial.
        told: what the clinic was told of just now; None if nothing.
        action: where a button goes.
        mood: the page of the questions about mood, "" without a trial.
        owner: public id of the patient, for what waits on the phone.
        trial: public id of the trial, "" for none.
        home: the first page.
    """

    calls: tuple[CallLine, ...]
    things: tuple[SeriousThing, ...]
    told: Advice | None
    action: str
    mood: str
    owner: str
    trial: str
    home: str


@bp.get("/help-now")
@open_to_patient
def help_now() -> ResponseReturnValue:
    """Show whom to call, and the list of serious things."""
    with transaction() as session:
        page = _help_page(session, told=rules().get(request.args.get("told", "")))
    return render("help", page)


@bp.get("/offline/help")
@open_to_patient
def shell_help() -> ResponseReturnValue:
    """Return the same page as a phone keeps it for times without a network."""
    with transaction() as session:
        page = _help_page(session, told=None)
    return render("help", page, signed_in_as="")


@bp.post("/help-now")
@open_to_patient
def press_serious() -> ResponseReturnValue:
    """Tell the clinic that something serious happened."""
    rule = _pressed(request.form.get("rule", ""))
    at = now()
    with transaction() as session:
        choice = choose_trial(session)
        _tell(session, choice.trial, rule, key=str(uuid4()), happened=at, at=at)
        address = choice.address("help_now", told=rule.id)
    return redirect(address, code=303)


@bp.post("/offline/serious")
@open_to_patient
def take_serious() -> ResponseReturnValue:
    """Take what was pressed on a phone, now or days ago; the phone has shown the advice."""
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict):
        return {"reason": "malformed"}, HTTPStatus.BAD_REQUEST
    at = now()
    try:
        rule = _pressed(str(sent.get("rule", "")))
        with transaction() as session:
            trial = own_trial(session, str(sent.get("trial", "")))
            happened = _pressed_at(sent.get("at"), at)
            _tell(session, trial, rule, key=_key_in(sent), happened=happened, at=at)
    except (NotFoundError, ProtocolError) as problem:
        return {"reason": "unknown_thing", "error": sentence_of(problem)}, status_of(problem)
    return {"told": rule.id}


def _by_urgency(rule: Rule) -> int:
    return list(Urgency).index(rule.urgency)


def _pressed(name: str) -> Rule:
    rule = rules().get(name)
    if rule is None or not rule.button:
        raise ProtocolError(marked("There is no such thing on the list."))
    return rule


def _pressed_at(claimed: object, at: datetime) -> datetime:
    """Return when a button was pressed by the phone's clock, as far as that can be true."""
    if type(claimed) is not int:
        return at
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=claimed)
    except OverflowError:
        return at
    return min(max(found, at - LONGEST_WAIT), at)


def _key_in(sent: Mapping[str, object]) -> str:
    """Return the phone's key; for one that sends none the instant of the press, or a new one."""
    key, pressed = sent.get("key"), sent.get("at")
    if isinstance(key, str) and KEY.fullmatch(key):
        return key
    return f"pressed-{pressed}" if type(pressed) is int else str(uuid4())


def _tell(
    session: Session, trial: TrialRow, rule: Rule, *, key: str, happened: datetime, at: datetime
) -> None:
    day = local_day(happened, readable_zone(trial.timezone))
    tell_serious(session, current_actor(), trial, rule, key=key, day=day, now=at)


def _help_page(session: Session, told: Rule | None) -> HelpPage:
    patient = current_patient()
    numbers = help_numbers(session, patient.site)
    things: tuple[SeriousThing, ...] = ()
    action, mood, trial = "", "", ""
    if own_trials(session):
        choice = choose_trial(session)
        action, mood = choice.address("press_serious"), choice.address("mood")
        trial = choice.trial.public_id
        listed = sorted((r for r in rules().values() if r.button), key=_by_urgency)
        things = tuple(
            SeriousThing(rule.button, advice)
            for rule, advice in zip(listed, advice_of(numbers, listed), strict=True)
        )
    return HelpPage(
        calls=all_calls(numbers),
        things=things,
        told=advice_of(numbers, [told])[0] if told is not None else None,
        action=action,
        mood=mood,
        owner=patient.public_id,
        trial=trial,
        home=url_for("patient.today"),
    )


# ---- mood ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MoodPage:
    """All that templates/patient/mood.html may use.

    Attributes:
        calls: the crisis line first.
        advice: what to read after any answer but "no" to the second question.
        key: of this form; "" on the page that a phone keeps.
        action: where it goes.
        back: the first page.
        owner: public id of the patient, for what waits on the phone.
        trial: public id of the trial.
        typed: what was chosen, after an error.
        errors: sentences by field.
    """

    calls: tuple[CallLine, ...]
    advice: Advice
    key: str
    action: str
    back: str
    owner: str
    trial: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MoodHelpPage:
    """All that templates/patient/mood_help.html may use: shown after any answer but "no"."""

    advice: Advice
    home: str


@bp.get("/mood")
@open_to_patient
def mood() -> ResponseReturnValue:
    """Ask the two questions, below the numbers to call."""
    with transaction() as session:
        page = _mood_page(session, key=str(uuid4()))
    return render("mood", page)


@bp.get("/offline/mood")
@open_to_patient
def shell_mood() -> ResponseReturnValue:
    """Return the same page as a phone keeps it for times without a network."""
    with transaction() as session:
        page = _mood_page(session, key="")
    return render("mood", page, signed_in_as="", languages=())


@bp.post("/offline/mood")
@open_to_patient
def take_mood() -> ResponseReturnValue:
    """Take what was answered on a phone, now or days ago; the phone has shown the advice."""
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict):
        return {"reason": "malformed"}, HTTPStatus.BAD_REQUEST
    typed = {name: str(sent.get(name, "")) for name in ("low", "thoughts")}
    low = -1 if _missing(typed) else int(typed["low"])  # what is no answer, the service refuses
    at = now()
    try:
        with transaction() as session:
            mood_services.answer_mood_questions(
                session,
                current_actor(),
                own_trial(session, str(sent.get("trial", ""))),
                low=low,
                thoughts=typed["thoughts"],
                key=_key_in(sent),
                now=at,
                answered=_pressed_at(sent.get("at"), at),
            )
    except (NotFoundError, ProtocolError) as problem:
        return {"reason": "unknown_thing", "error": sentence_of(problem)}, status_of(problem)
    return {"kept": True}


@bp.post("/mood")
@open_to_patient
def answer_mood() -> ResponseReturnValue:
    """Keep the answers; whoever said anything but "no" reads whom to call at once."""
    typed = {name: request.form.get(name, "") for name in ("low", "thoughts")}
    key = request.form.get("key", "")
    key = key if KEY.fullmatch(key) else str(uuid4())
    with transaction() as session:
        errors = _missing(typed)
        if errors:
            page = _mood_page(session, key=key, typed=typed, errors=errors)
            return render("mood", page), HTTPStatus.UNPROCESSABLE_ENTITY
        choice = choose_trial(session)
        row = mood_services.answer_mood_questions(
            session,
            current_actor(),
            choice.trial,
            low=int(typed["low"]),
            thoughts=typed["thoughts"],
            key=key,
            now=now(),
        )
        needs_help = row.thoughts != mood_services.NO_THOUGHTS
        address = choice.address("mood_help" if needs_help else "today")
    if not needs_help:
        flash(_("Thank you. Your answers are kept."), "success")
    return redirect(address, code=303)


@bp.get("/mood/help")
@open_to_patient
def mood_help() -> ResponseReturnValue:
    """Show whom to call when thoughts are dark."""
    with transaction() as session:
        numbers = help_numbers(session, current_patient().site)
    advice = advice_of(numbers, [rules()[SUICIDE]])[0]
    return render("mood_help", MoodHelpPage(advice, url_for("patient.today")))


def _missing(typed: Mapping[str, str]) -> FieldErrors:
    known = {
        "low": {str(n) for n in range(mood_services.LOWEST + 1)},
        "thoughts": set(mood_services.THOUGHTS),
    }
    return {
        name: str(_("Please choose one of the answers."))
        for name, values in known.items()
        if typed[name] not in values
    }


def _mood_page(
    session: Session,
    *,
    key: str,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
) -> MoodPage:
    choice, patient = choose_trial(session), current_patient()
    numbers = help_numbers(session, patient.site)
    return MoodPage(
        calls=calls_for(numbers, Call.CRISIS),
        advice=advice_of(numbers, [rules()[SUICIDE]])[0],
        key=key,
        action=choice.address("answer_mood"),
        back=choice.address("today"),
        owner=patient.public_id,
        trial=choice.trial.public_id,
        typed=typed or {},
        errors=errors or {},
    )
