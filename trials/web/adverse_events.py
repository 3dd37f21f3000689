"""Serious adverse events: the form, what was written so far, and the report ready to be sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.diary import FieldErrors
from trials.domain.errors import NotFoundError, ProtocolError, TrialError
from trials.domain.life_cycle import UNDER_WAY, State
from trials.domain.protocol import Protocol
from trials.domain.words import marked
from trials.services import adverse_events as services
from trials.services import trials
from trials.services.alerts import get_alert
from trials.store.adverse_event import AdverseEventRow, AdverseEventVersionRow, versions_of
from trials.store.alert import AlertRow
from trials.store.trial import TrialRow
from trials.web.access import open_to
from trials.web.adverse_form import (
    EventForm,
    choices_of_fields,
    in_words,
    is_signed,
    latest_day,
    local_minute,
    read_account,
    read_known_at,
    treatments_of,
)
from trials.web.adverse_report import report_text
from trials.web.edge import current_actor, now, sentence_of, status_of, transaction

bp = Blueprint("adverse_events", __name__, url_prefix="/clinician")


@dataclass(frozen=True, slots=True)
class NewEventPage:
    """All that templates/clinician/new_event.html may use."""

    patient: str
    title: str
    trial_href: str
    form: EventForm


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version of what was written."""

    number: int
    written: str
    why: str
    signed: bool
    report_href: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """All that templates/clinician/event.html may use.

    Attributes:
        number: of the event in its trial.
        patient: the patient's code.
        trial_href: the trial.
        title: what it was.
        serious: whether a criterion of seriousness is met.
        due: until when the report has to be signed; "" once it is.
        overdue: whether that is over.
        signed: when it was signed, "" before.
        report: the newest version as it would be sent.
        versions: newest first.
        form: to add what became known.
        pause_href: pauses the trial; "" if that cannot be done.
        stop_href: stops it, likewise.
    """

    number: int
    patient: str
    trial_href: str
    title: str
    serious: bool
    due: str
    overdue: bool
    signed: str
    report: str
    versions: tuple[VersionLine, ...]
    form: EventForm
    pause_href: str
    stop_href: str


# ---- a new one -------------------------------------------------------------------------------


@bp.get("/trials/<trial>/events/new")
@open_to(Role.CLINICIAN)
def new_event(trial: str) -> ResponseReturnValue:
    """Show the form of a new serious event."""
    at = now()
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        protocol = services.protocol_of(session, row)
        alert = _alert(session, row)
        known = alert.raised_at if alert is not None else at
        typed = {"known_at": local_minute(known, row), "began_on": (alert.day if alert else "")}
        page = _new_page(row, protocol, at, {k: str(v) for k, v in typed.items()})
    return render_template("clinician/new_event.html", page=page)


@bp.post("/trials/<trial>/events/new")
@open_to(Role.CLINICIAN)
def add_event(trial: str) -> ResponseReturnValue:
    """Write down a serious event, and sign its report if wanted."""
    at = now()
    errors: FieldErrors = {}
    try:
        with transaction() as session:
            row = trials.get_trial(session, current_actor(), trial)
            protocol = services.protocol_of(session, row)
            account, errors = read_account(row, protocol, at)
            known_at = read_known_at(row, errors)
            if account is None or errors or known_at is None:
                page = _new_page(row, protocol, at, request.form, errors=errors)
                return (
                    render_template("clinician/new_event.html", page=page),
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                )
            event = services.record_event(
                session,
                current_actor(),
                row,
                account,
                known_at=known_at,
                alert=_alert(session, row),
                signed=is_signed(),
                now=at,
            )
            address = url_for("adverse_events.show_event", event=event.public_id)
    except ProtocolError as problem:
        with transaction() as session:
            row = trials.get_trial(session, current_actor(), trial)
            protocol = services.protocol_of(session, row)
            page = _new_page(row, protocol, at, request.form, problem=problem)
        return render_template("clinician/new_event.html", page=page), status_of(problem)
    flash(_("The event is written down."), "success")
    return redirect(address, code=303)


def _alert(session: Session, trial: TrialRow) -> AlertRow | None:
    """Return the alert that the address names, if it is one of this trial."""
    wanted = request.args.get("alert", "")
    if not wanted:
        return None
    found = get_alert(session, current_actor(), wanted)
    return found if found.trial_id == trial.id else None


def _new_page(
    trial: TrialRow,
    protocol: Protocol,
    at: datetime,
    typed: Mapping[str, str],
    *,
    errors: FieldErrors | None = None,
    problem: TrialError | None = None,
) -> NewEventPage:
    action = url_for(
        "adverse_events.add_event", trial=trial.public_id, alert=request.args.get("alert")
    )
    return NewEventPage(
        patient=trial.patient.code,
        title=trial.title,
        trial_href=url_for("clinician.show_trial", trial=trial.public_id),
        form=EventForm(
            action=action,
            typed=typed,
            treatments=treatments_of(protocol),
            today=latest_day(trial, at),
            options=choices_of_fields(),
            criteria=tuple(request.form.getlist("criteria")),
            errors=in_words(errors or {}),
            error=sentence_of(problem) if problem is not None else "",
            asks_when_known=True,
        ),
    )


# ---- what was written ------------------------------------------------------------------------


@bp.get("/events/<event>")
@open_to(Role.CLINICIAN)
def show_event(event: str) -> ResponseReturnValue:
    """Show what is known of an event, its report, and the form to add more."""
    with transaction() as session:
        row = services.get_event(session, current_actor(), event)
        page = _event_page(session, row, now())
    return render_template("clinician/event.html", page=page)


@bp.post("/events/<event>")
@open_to(Role.CLINICIAN)
def write_more(event: str) -> ResponseReturnValue:
    """Add a version, and sign it if wanted."""
    at = now()
    try:
        with transaction() as session:
            row = services.get_event(session, current_actor(), event)
            account, errors = read_account(row.trial, services.protocol_of(session, row.trial), at)
            if account is None:
                page = _event_page(session, row, at, typed=request.form, errors=errors)
                return (
                    render_template("clinician/event.html", page=page),
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                )
            services.write_more(
                session,
                current_actor(),
                row,
                account,
                version=request.form.get("version", 0, type=int),
                why=request.form.get("why", ""),
                signed=is_signed(),
                now=at,
            )
    except NotFoundError:
        raise
    except TrialError as problem:
        with transaction() as session:
            row = services.get_event(session, current_actor(), event)
            page = _event_page(session, row, at, typed=request.form, problem=problem)
        return render_template("clinician/event.html", page=page), status_of(problem)
    flash(_("It is written down."), "success")
    return redirect(url_for("adverse_events.show_event", event=event), code=303)


@bp.get("/events/<event>/report/<int:version>")
@open_to(Role.CLINICIAN)
def report(event: str, version: int) -> ResponseReturnValue:
    """Return the report of one version as plain text, ready to be sent."""
    with transaction() as session:
        row = services.get_event(session, current_actor(), event)
        found = next((v for v in versions_of(session, row.id) if v.version == version), None)
        if found is None:
            raise NotFoundError(marked("There is no such version."))
        text = report_text(session, row, found)
    response = Response(text, mimetype="text/plain")
    response.headers["Content-Disposition"] = (
        f'attachment; filename="event-{row.public_id}-{version}.txt"'
    )
    return response


def _event_page(
    session: Session,
    event: AdverseEventRow,
    at: datetime,
    *,
    typed: Mapping[str, str] | None = None,
    errors: FieldErrors | None = None,
    problem: TrialError | None = None,
) -> EventPage:
    trial = event.trial
    versions = versions_of(session, event.id)
    newest = versions[-1]
    account = newest.account
    state = trial.current_state
    href = url_for("adverse_events.show_event", event=event.public_id)
    form = EventForm(
        action=href,
        typed=services.as_typed(account) if typed is None else typed,
        treatments=treatments_of(services.protocol_of(session, trial)),
        today=latest_day(trial, at),
        options=choices_of_fields(),
        criteria=tuple(c.value for c in account.criteria)
        if typed is None
        else tuple(request.form.getlist("criteria")),
        errors=in_words(errors or {}),
        error=sentence_of(problem) if problem is not None else "",
        asks_why=event.signed_at is not None,
        version=newest.version,
    )
    return EventPage(
        number=event.number,
        patient=trial.patient.code,
        trial_href=url_for("clinician.show_trial", trial=trial.public_id),
        title=account.title,
        serious=account.is_serious,
        due="" if event.signed_at else format_datetime(event.due_at, "medium"),
        overdue=event.signed_at is None and event.due_at <= at,
        signed=format_datetime(event.signed_at, "medium") if event.signed_at else "",
        report=report_text(session, event, newest),
        versions=tuple(_version_line(event, version) for version in reversed(versions)),
        form=form,
        pause_href=_deed(trial, "pause") if state is State.RUNNING else "",
        stop_href=_deed(trial, "stop") if state in UNDER_WAY else "",
    )


def _version_line(event: AdverseEventRow, row: AdverseEventVersionRow) -> VersionLine:
    return VersionLine(
        number=row.version,
        written=f"{format_datetime(row.written_at, 'medium')}, {row.writer.name}",
        why=row.why,
        signed=row.signed,
        report_href=url_for("adverse_events.report", event=event.public_id, version=row.version),
    )


def _deed(trial: TrialRow, deed: str) -> str:
    return url_for("deeds.ask", trial=trial.public_id, deed=deed)
