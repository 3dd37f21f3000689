"""The diary of one day: always empty when it is shown, kept once however often it is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from http import HTTPStatus
from uuid import uuid4

from flask import redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, zone_of
from trials.domain.canonical import canonical_hash
from trials.domain.clocks import Writing
from trials.domain.diary import Answers, FieldErrors, Questionnaire, Source
from trials.domain.diary_form import check_answers, readable_answers
from trials.domain.errors import DiaryClosedError, PhotoError
from trials.services import diary, diary_days, photos, screening
from trials.services.actor import Actor
from trials.services.help_numbers import help_numbers
from trials.store.diary import entry_with_key, last_revisions
from trials.store.trial import TrialRow
from trials.web.access import open_to_patient
from trials.web.edge import current_actor, current_patient, now, transaction, vault
from trials.web.local_words import closing, day_name, near_day
from trials.web.patient.advice import Advice, CallLine, advice_of, calls_by_kind
from trials.web.patient.blueprint import bp, render, typed_in
from trials.web.patient.closed import closed_page
from trials.web.patient.days import date_in
from trials.web.patient.trial import Choice, choose_trial

MOST_DOSES_BY_TAP = 4
"""Doses that have a button of their own; more are typed."""

KEY = re.compile(r"[0-9A-Za-z-]{16,64}")
KEPT_KEY = re.compile(r"[0-9A-Za-z-]{16,64}(:[0-9a-f]{16})?")
"""As a form makes it, and as a form that came back with other answers is kept."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a report needs to find its way when it is sent later.

    Attributes:
        owner: public id of the patient.
        trial: public id of the trial.
        day: ISO date.
        known: how many reports of this day there were when the form was opened.
    """

    owner: str
    trial: str
    day: str
    known: int


@dataclass(frozen=True, slots=True)
class DiaryPage:
    """All that templates/patient/diary.html may use. It knows no earlier answer.

    Attributes:
        day: date in words.
        near: "today", "yesterday" or the date.
        is_today: whether the day is the present one.
        late: whether an answer now is marked as late.
        until: until when it can be sent.
        replaces: whether there is a report already, which this one replaces.
        questionnaire: what is asked.
        doses: rescue doses that have a button.
        key: of this form; the same form sent twice is one report.
        action: where it goes.
        back: where "not now" goes.
        typed: what was typed, after an error.
        errors: sentences by field, in the order of the page.
        identity: of the day and the person, for a report that is kept on the phone first.
        calls: numbers by kind of advice, for the page's script.
        is_shell: whether this is the form of no day yet, which a phone keeps for when there is no
            network; a script fills in the day.
        advice: what must be read at once, though something is missing.
    """

    day: str
    near: str
    is_today: bool
    late: bool
    until: str
    replaces: bool
    questionnaire: Questionnaire
    key: str
    action: str
    back: str
    calls: Mapping[str, tuple[CallLine, ...]]
    doses: range = range(MOST_DOSES_BY_TAP + 1)
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)
    identity: Identity | None = None
    is_shell: bool = False
    advice: tuple[Advice, ...] = ()


@bp.get("/diary/<day>")
@open_to_patient
def show_diary(day: str) -> ResponseReturnValue:
    """Show the form of one day, always empty."""
    at = now()
    with transaction() as session:
        asked = date_in(day)
        choice = choose_trial(session, asked)
        try:
            is_open = diary_days.open_day(session, choice.trial, asked, at)
        except DiaryClosedError as problem:
            closed = closed_page(session, choice, asked, problem, at)
            return render("closed", closed), HTTPStatus.CONFLICT
        page = _diary_page(session, choice, is_open, at, key=str(uuid4()))
    return render("diary", page)


@bp.post("/diary/<day>")
@open_to_patient
def submit_diary(day: str) -> ResponseReturnValue:
    """Keep the answers, or show the form again with what is missing."""
    at = now()
    typed = typed_in(request.form)
    readable: Answers | None = None
    key = typed["key"] if KEY.fullmatch(typed.get("key", "")) else str(uuid4())
    with transaction() as session:
        asked = date_in(day)
        choice = choose_trial(session, asked)
        try:
            questionnaire = diary.questionnaire_of(session, choice.trial)
            readable = readable_answers(questionnaire, typed)
            answers, errors = check_answers(questionnaire, typed)
            photo = sent_photo(errors)
            if answers is None or errors:
                is_open = diary_days.open_day(session, choice.trial, asked, at)
                page = _diary_page(
                    session, choice, is_open, at, key=key, typed=typed, errors=errors
                )
                found = watch_refused(session, choice.trial, asked, readable, at, key=key)
                page = replace(page, advice=found)
                return render("diary", page), HTTPStatus.UNPROCESSABLE_ENTITY
            actor = current_actor()
            kept = keep(session, choice.trial, asked, answers, author=actor, key=key, at=at)
            if photo:
                photos.keep_photo(
                    session, vault(), actor, choice.trial, key=kept.key, content=photo, now=at
                )
        except DiaryClosedError as problem:
            advice = (
                watch_refused(session, choice.trial, asked, readable, at, key=key)
                if readable is not None
                else ()
            )
            closed = closed_page(session, choice, asked, problem, at, typed=True, advice=advice)
            return render("closed", closed), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(choice.address("thanks", day=asked.isoformat()), code=303)


def sent_photo(errors: FieldErrors) -> bytes:
    """Return the photo that came with the form, "" if none; one that is none is an error."""
    file = request.files.get("photo")
    content = file.read() if file is not None else b""
    if not content:
        return b""
    try:
        return photos.only_pixels(content)
    except PhotoError as problem:
        errors["photo"] = problem.sentence
        return b""


def keep(
    session: Session,
    trial: TrialRow,
    day: date,
    answers: Answers,
    *,
    author: Actor,
    key: str,
    at: datetime,
    written: Writing | None = None,
) -> diary.Receipt:
    """Keep one report; the same form sent again with the same answers changes nothing.

    A form that comes back from the browser's history keeps its key. If its answers were
    changed meanwhile it is a correction and must not be taken for the first one.
    """

    def record(under: str) -> diary.Receipt:
        return diary.record_entry(
            session,
            trial,
            day,
            answers,
            source=Source.PATIENT,
            author=author,
            key=under,
            now=at,
            written=written,
        )

    receipt = record(key)
    kept = entry_with_key(session, key)
    if receipt.repeated and kept is not None and kept.answers != answers:
        return record(f"{key}:{canonical_hash(answers)[:16]}")
    return receipt


def watch_refused(
    session: Session,
    trial: TrialRow,
    day: date,
    answers: Answers,
    at: datetime,
    *,
    key: str,
) -> tuple[Advice, ...]:
    """Raise the red flags of a report that is not kept; return what the patient must read.

    Args:
        session: the transaction.
        trial: whose.
        day: the report is about.
        answers: what could be read of it.
        at: UTC instant.
        key: of the form, which raises an alert once.
    """
    screening.watch_refused(session, current_actor(), trial, day, answers, at, key=key)
    return advice_after(session, trial, day, answers)


def advice_after(
    session: Session, trial: TrialRow, day: date, answers: Answers
) -> tuple[Advice, ...]:
    """Return what the patient must read after reporting these answers."""
    found = screening.advice_for(session, trial, day, answers)
    return advice_of(help_numbers(session, trial.site), found)


def _diary_page(
    session: Session,
    choice: Choice,
    is_open: diary_days.DayToAnswer,
    at: datetime,
    *,
    key: str,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
) -> DiaryPage:
    zone = zone_of(choice.trial.timezone)
    today = local_day(at, zone)
    return DiaryPage(
        day=day_name(is_open.day),
        near=near_day(is_open.day, today),
        is_today=is_open.day == today,
        late=is_open.late,
        until=closing(is_open.next_limit, at, zone),
        replaces=is_open.answered,
        questionnaire=diary.ordered_questionnaire(session, choice.trial),
        key=key,
        action=choice.address("submit_diary", day=is_open.day.isoformat()),
        back=choice.address("today"),
        calls=calls_by_kind(session, choice.trial.site),
        typed=typed or {},
        errors={name: str(_(sentence)) for name, sentence in (errors or {}).items()},
        identity=Identity(
            owner=current_patient().public_id,
            trial=choice.trial.public_id,
            day=is_open.day.isoformat(),
            known=last_revisions(session, choice.trial.id).get(is_open.day, 0),
        ),
    )
