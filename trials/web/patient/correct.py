"""Correct a reported day after its window, and say yes or no to what the clinic wrote down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from uuid import uuid4

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.diary import FieldErrors, Questionnaire
from trials.domain.diary_form import check_answers, readable_answers
from trials.domain.errors import DiaryClosedError, NotFoundError, ProtocolError, StateError
from trials.services import corrections, diary
from trials.store.diary import find_day, latest_entry
from trials.web.access import open_to_patient
from trials.web.edge import current_actor, now, sentence_of, transaction
from trials.web.local_words import day_name
from trials.web.patient.advice import Advice
from trials.web.patient.blueprint import bp, render, typed_in
from trials.web.patient.closed import with_day_in_words
from trials.web.patient.days import date_in
from trials.web.patient.diary import KEY, MOST_DOSES_BY_TAP, watch_refused
from trials.web.patient.listening import listen, way_on
from trials.web.patient.trial import Choice, choose_trial
from trials.web.patient.words import in_words


@dataclass(frozen=True, slots=True)
class CorrectPage:
    """All that templates/patient/correct.html may use. It knows no earlier answer.

    Attributes:
        day: date in words.
        questionnaire: what is asked.
        key: of this form.
        action: where it goes.
        back: own reports.
        doses: rescue doses that have a button.
        typed: what was typed, after an error.
        errors: sentences by field.
        closed: why the day cannot be corrected, "" if it can.
        advice: what must be read at once.
    """

    day: str
    questionnaire: Questionnaire
    key: str
    action: str
    back: str
    doses: range = range(MOST_DOSES_BY_TAP + 1)
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)
    closed: str = ""
    advice: tuple[Advice, ...] = ()


@bp.route("/diary/<day>/correct", methods=["GET", "POST"])
@open_to_patient
def correct(day: str) -> ResponseReturnValue:
    """Keep a correction with its reason; the report it replaces stays on record."""
    at = now()
    typed = typed_in(request.form)
    key = typed["key"] if KEY.fullmatch(typed.get("key", "")) else str(uuid4())
    asked = date_in(day)
    advice = listen(typed.get("reason", ""), key=key, day=asked)
    with transaction() as session:
        choice = choose_trial(session, asked)
        if request.method == "GET":
            return render("correct", _page(session, choice, asked, key))
        questionnaire = diary.questionnaire_of(session, choice.trial)
        answers, errors = check_answers(questionnaire, typed)
        if answers is not None:
            try:
                corrections.correct_day(
                    session,
                    current_actor(),
                    choice.trial,
                    asked,
                    answers,
                    reason=typed.get("reason", ""),
                    key=key,
                    now=at,
                )
            except ProtocolError as problem:
                errors = {"reason": problem.sentence}
            except (DiaryClosedError, StateError) as problem:
                closed = with_day_in_words(problem)
                advice += _heard(session, choice, asked, typed, key)
                page = _page(session, choice, asked, key, closed=closed, advice=advice)
                return render("correct", page), HTTPStatus.CONFLICT
        if errors:
            advice += _heard(session, choice, asked, typed, key)
            page = _page(session, choice, asked, key, typed=typed, errors=errors, advice=advice)
            return render("correct", page), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(way_on(choice, advice, "thanks", day=asked.isoformat()), code=303)


def _heard(
    session: Session, choice: Choice, day: date, typed: Mapping[str, str], key: str
) -> tuple[Advice, ...]:
    """Raise the red flags of a correction that is not kept; return what must be read at once."""
    readable = readable_answers(diary.questionnaire_of(session, choice.trial), typed)
    return watch_refused(session, choice.trial, day, readable, now(), key=key)


def _page(
    session: Session,
    choice: Choice,
    day: date,
    key: str,
    *,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
    closed: str = "",
    advice: tuple[Advice, ...] = (),
) -> CorrectPage:
    row = find_day(session, choice.trial.id, day)
    reported = row is not None and latest_entry(session, row.id) is not None
    if not reported and not closed:
        closed = str(_("This day was not reported, so there is nothing to correct."))
    return CorrectPage(
        day=day_name(day),
        questionnaire=diary.ordered_questionnaire(session, choice.trial),
        key=key,
        action=choice.address("correct", day=day.isoformat()),
        back=choice.address("entries"),
        typed=typed or {},
        errors={name: str(_(sentence)) for name, sentence in (errors or {}).items()},
        closed=closed,
        advice=advice,
    )


# ---- what the clinic wrote down ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing the clinic wrote down, as the patient is asked about it."""

    day: str
    reason: str
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]
    note: str
    correction: str
    entry: int


@dataclass(frozen=True, slots=True)
class ConfirmWrittenPage:
    """All that templates/patient/written.html may use.

    Attributes:
        asked: what waits for a yes or a no, oldest day first.
        action: where the answer goes.
        home: the first page.
    """

    asked: tuple[Asked, ...]
    action: str
    home: str


@bp.route("/written", methods=["GET", "POST"])
@open_to_patient
def written() -> ResponseReturnValue:
    """Show what the clinic wrote down for the patient, and take a yes or a no to each."""
    at = now()
    with transaction() as session:
        choice = choose_trial(session)
        trial = choice.trial
        if request.method == "POST":
            agrees = request.form.get("answer") == "yes"
            correction = request.form.get("correction", "")
            try:
                if correction:
                    corrections.settle_correction(
                        session, current_actor(), trial, correction, agrees=agrees, now=at
                    )
                else:
                    entry = request.form.get("entry", 0, type=int)
                    corrections.confirm_entry(
                        session, current_actor(), trial, entry, is_right=agrees, now=at
                    )
            except (DiaryClosedError, NotFoundError) as problem:
                flash(sentence_of(problem), "warning")
                return redirect(choice.address("today"), code=303)
        questionnaire = diary.questionnaire_of(session, trial)
        page = ConfirmWrittenPage(
            asked=tuple(
                Asked(
                    day=day_name(item.day),
                    reason=item.reason,
                    before=in_words(questionnaire, item.before) if item.before else (),
                    after=in_words(questionnaire, item.after),
                    note=item.after.note,
                    correction=item.public_id,
                    entry=item.entry_id,
                )
                for item in corrections.to_confirm(session, trial)
            ),
            action=choice.address("written"),
            home=choice.address("today"),
        )
    if request.method == "GET":
        return render("written", page)
    flash(_("Thank you, that is kept."), "success")
    return redirect(page.action if page.asked else page.home, code=303)
