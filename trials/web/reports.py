"""What the clinic does about single diary days: write down, print, read words and photos.

In a blinded trial the clinician still sees no answer of the scales. Words, photos and side effects
in the patient's words are shown: whoever is responsible for a patient has to read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from http import HTTPStatus
from uuid import uuid4

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.diary import Answers, FieldErrors, Questionnaire, Source
from trials.domain.diary_form import check_answers
from trials.domain.errors import NotFoundError, ProtocolError, TrialError
from trials.domain.paper import LONGEST_ON_PAPER, Paper
from trials.domain.words import marked
from trials.services import corrections, diary, on_behalf, photos, problems, trials
from trials.store.diary import DiaryDayRow, days_of_trial, find_day, latest_entry
from trials.store.photo import photos_of_trial
from trials.store.trial import TrialRow
from trials.web.access import open_to
from trials.web.edge import current_actor, now, sentence_of, status_of, transaction, vault

bp = Blueprint("reports", __name__, url_prefix="/clinician/trials/<trial>")

MOST_DOSES_BY_TAP = 4


@dataclass(frozen=True, slots=True)
class WriteDownPage:
    """All that templates/clinician/write_down.html may use. It knows no earlier answer.

    Attributes:
        patient: the patient's code.
        trial_href: back to the trial.
        day: date in words.
        reported: whether there is a report, so that this becomes a correction to be confirmed.
        sources: (value, name) of where it can come from now; none if nothing can be written.
        questionnaire: what is asked.
        key: of this form.
        first: earliest date a sheet can bear.
        last: latest date.
        doses: rescue doses that have a button.
        typed: what was typed.
        errors: sentences by field.
        problem: why it could not be kept, "" at first.
    """

    patient: str
    trial_href: str
    day: str
    reported: bool
    sources: tuple[tuple[str, str], ...]
    questionnaire: Questionnaire
    key: str
    first: str
    last: str
    doses: range = range(MOST_DOSES_BY_TAP + 1)
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)
    problem: str = ""


@bp.get("/report/<day>")
@open_to(Role.CLINICIAN)
def write_down(trial: str, day: str) -> ResponseReturnValue:
    """Show the form for what a patient says by telephone or wrote on paper."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        page = _page(session, row, _date(day), str(uuid4()), now())
    return render_template("clinician/write_down.html", page=page)


@bp.post("/report/<day>")
@open_to(Role.CLINICIAN)
def keep_written(trial: str, day: str) -> ResponseReturnValue:
    """Keep it with where it comes from, or say why that is not possible."""
    actor, at, asked = current_actor(), now(), _date(day)
    typed = {name: value for name, value in request.form.items() if name != "csrf_token"}
    key = typed.get("key", "")[:64] or str(uuid4())
    problem: TrialError | None = None
    errors: FieldErrors = {}
    try:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            answers, errors = check_answers(diary.questionnaire_of(session, row), typed)
            if answers is not None:
                _keep(session, row, asked, answers, typed, key, at)
    except NotFoundError:
        raise
    except TrialError as found:
        problem = found
    if problem is None and not errors:
        flash(_("Kept. The patient is asked on the phone whether it is right."), "success")
        return redirect(url_for("clinician.show_trial", trial=trial), code=303)
    with transaction() as session:
        row = trials.get_trial(session, actor, trial)
        page = _page(session, row, asked, key, at, typed=typed, errors=errors, problem=problem)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem is None else status_of(problem)
    return render_template("clinician/write_down.html", page=page), status


def _keep(
    session: Session,
    trial: TrialRow,
    day: date,
    answers: Answers,
    typed: Mapping[str, str],
    key: str,
    at: datetime,
) -> None:
    actor = current_actor()
    row = find_day(session, trial.id, day)
    if row is not None and latest_entry(session, row.id) is not None:
        reason = typed.get("reason", "")
        corrections.propose_correction(
            session, actor, trial, day, answers, reason=reason, key=key, now=at
        )
        return
    if typed.get("source") == Source.PAPER:
        paper = Paper(_written_on(typed), typed.get("scan", "").strip())
        on_behalf.record_from_paper(session, actor, trial, day, answers, paper, key=key, now=at)
        return
    if typed.get("source") != Source.PHONE:
        raise ProtocolError(marked("Say where it comes from: telephone or paper."))
    on_behalf.record_by_phone(session, actor, trial, day, answers, key=key, now=at)


def _page(
    session: Session,
    trial: TrialRow,
    day: date,
    key: str,
    at: datetime,
    *,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
    problem: TrialError | None = None,
) -> WriteDownPage:
    row = find_day(session, trial.id, day)
    if row is None:
        raise NotFoundError(marked("There is no such day."))
    reported = latest_entry(session, row.id) is not None
    return WriteDownPage(
        patient=trial.patient.code,
        trial_href=url_for("clinician.show_trial", trial=trial.public_id),
        day=format_date(day, "full"),
        reported=reported,
        sources=_sources(row, at, reported=reported),
        questionnaire=diary.questionnaire_of(session, trial),
        key=key,
        first=day.isoformat(),
        last=local_day(at, zone_of(trial.timezone)).isoformat(),
        typed=typed or {},
        errors={name: str(_(sentence)) for name, sentence in (errors or {}).items()},
        problem=sentence_of(problem) if problem is not None else "",
    )


def _sources(row: DiaryDayRow, at: datetime, *, reported: bool) -> tuple[tuple[str, str], ...]:
    """Return from where a day can be written down at this instant."""
    by_phone = (Source.PHONE.value, str(_("The patient says it on the telephone")))
    if reported:
        return (by_phone,)
    if row.state in {"paused", "cancelled"}:
        return ()
    found = []
    if row.opens_at <= at < row.late_until:
        found.append(by_phone)
    if row.closes_at <= at <= row.late_until + LONGEST_ON_PAPER:
        found.append((Source.PAPER.value, str(_("It stands on a sheet of the paper diary"))))
    return tuple(found)


def can_write_down(row: DiaryDayRow, at: datetime) -> bool:
    """Return whether the clinic can write down, or correct, this day at this instant."""
    return bool(_sources(row, at, reported=row.state == "answered"))


# ---- the paper diary -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaperPage:
    """All that templates/clinician/paper.html may use: one sheet for each day, all alike.

    Attributes:
        patient: the patient's code.
        site: name of the clinic.
        phone: its telephone number, "" if none.
        trial_href: back to the trial.
        days: dates in words, in order.
        questionnaire: what is asked.
        number: how many sheets.
    """

    patient: str
    site: str
    phone: str
    trial_href: str
    days: tuple[str, ...]
    questionnaire: Questionnaire
    number: int


@bp.get("/paper/<int:period>")
@open_to(Role.CLINICIAN)
def paper(trial: str, period: int) -> ResponseReturnValue:
    """Show the sheets of one period, to be printed."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        days = [
            d.day
            for d in days_of_trial(session, row.id)
            if d.period == period and d.state != "cancelled"
        ]
        if not days:
            raise NotFoundError(marked("This trial has no such period."))
        page = PaperPage(
            patient=row.patient.code,
            site=row.site.name,
            phone=row.site.phone,
            trial_href=url_for("clinician.show_trial", trial=row.public_id),
            days=tuple(format_date(day, "full") for day in days),
            questionnaire=diary.questionnaire_of(session, row),
            number=len(days),
        )
    return render_template("clinician/paper.html", page=page)


# ---- words, photos, problems --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DayOfWords:
    """What was said of one day besides the answers.

    Attributes:
        day: date in words.
        note: "" if none.
        effects: side effects in the patient's words, with their severity.
        why: why the treatment was not taken as planned, "" if not said.
        photo_href: of the photo, "" if none.
        proxy: whether somebody else filled it in.
    """

    day: str
    note: str
    effects: tuple[str, ...]
    why: str
    photo_href: str
    proxy: bool


@dataclass(frozen=True, slots=True)
class WordsPage:
    """All that templates/clinician/words.html may use.

    Attributes:
        patient: the patient's code.
        trial_href: back to the trial.
        days: with something to read, newest first.
    """

    patient: str
    trial_href: str
    days: tuple[DayOfWords, ...]


@bp.get("/words")
@open_to(Role.CLINICIAN)
def words(trial: str) -> ResponseReturnValue:
    """Show notes, photos, and side effects in the patient's words."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        page = WordsPage(
            patient=row.patient.code,
            trial_href=url_for("clinician.show_trial", trial=trial),
            days=tuple(_days_of_words(session, row)),
        )
    return render_template("clinician/words.html", page=page)


def _days_of_words(session: Session, trial: TrialRow) -> list[DayOfWords]:
    severities = {1: _("mild"), 2: _("medium"), 3: _("severe")}
    pictures = {
        photo.entry_id: photo.public_id for _day, photo in photos_of_trial(session, trial.id)
    }
    found = []
    for day, entry in reversed(diary.own_entries(session, trial).items()):
        answers = entry.answers
        photo = pictures.get(entry.id, "")
        effects = tuple(f"{e.text} ({severities[e.severity]})" for e in answers.other_effects)
        if not (answers.note or effects or answers.intake_words or photo):
            continue
        found.append(
            DayOfWords(
                day=format_date(day, "full"),
                note=answers.note,
                effects=effects,
                why=answers.intake_words,
                photo_href=url_for("reports.photo", trial=trial.public_id, photo=photo)
                if photo
                else "",
                proxy=answers.by_proxy,
            )
        )
    return found


@bp.get("/photos/<photo>")
@open_to(Role.CLINICIAN)
def photo(trial: str, photo: str) -> ResponseReturnValue:
    """Return one photo, opened for a clinician of the site."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        picture = photos.open_photo(session, vault(), current_actor(), row, photo)
    response = Response(picture, mimetype="image/jpeg")
    response.headers["Content-Disposition"] = "inline; filename=photo.jpg"
    return response


@bp.post("/problems/<problem>/settle")
@open_to(Role.CLINICIAN)
def settle(trial: str, problem: str) -> ResponseReturnValue:
    """Note that somebody dealt with a problem."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        problems.settle_problem(session, current_actor(), row, problem, now())
    return redirect(url_for("clinician.show_trial", trial=trial), code=303)


def _written_on(typed: Mapping[str, str]) -> date:
    try:
        return date.fromisoformat(typed.get("written_on", ""))
    except ValueError:
        raise ProtocolError(marked("Give the date that stands on the sheet.")) from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFoundError(marked("There is no such day.")) from None
