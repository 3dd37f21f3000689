"""The page of one trial."""

from dataclasses import dataclass
from datetime import date, datetime

from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_datetime
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role, may_see_allocation
from trials.domain.calendar import local_day, zone_of
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State
from trials.domain.protocol import Protocol
from trials.services import allocation, diary, trials
from trials.services.erasure import may_erase
from trials.services.overview import TrialOverview, overview_of
from trials.services.red_flag_rules import asks_about_mood
from trials.services.trail import trail_of
from trials.store.adverse_event import AdverseEventRow, events_of_trial
from trials.store.alert import alerts_of_trial
from trials.store.diary import DiaryDayRow, days_of_trial
from trials.store.mood import last_screen
from trials.store.trial import (
    TrialRow,
    decision_on,
    frozen_protocol,
    guesses_of_trial,
    latest_protocol,
    pauses_of_trial,
    periods_of_trial,
    protocols_of_trial,
)
from trials.web.access import open_to
from trials.web.agreement import NOTHING, agreed, candidates
from trials.web.alerts import AlertLine, alert_line
from trials.web.calibration import DesignTold, design_told
from trials.web.clinician.blueprint import bp
from trials.web.clinician.lines import (
    ConsentLine,
    DayLine,
    DeedLine,
    ProblemLine,
    consent_lines,
    day_lines,
    paper_links,
    problem_lines,
    trail_lines,
)
from trials.web.clinician.notices import Notice, notices_of
from trials.web.course import Course, Entries, actual_course, planned_course
from trials.web.deeds import DeedLink, deeds_of
from trials.web.edge import current_actor, now, transaction, vault
from trials.web.local_words import days_between
from trials.web.phrases import percent_text


@dataclass(frozen=True, slots=True)
class Figure:
    """One number at the head of the page."""

    value: str
    label: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on the result."""

    treatment: str
    reason: str
    signed: str


@dataclass(frozen=True, slots=True)
class TrialPage:
    """All that templates/clinician/trial.html may use.

    Attributes:
        title: of the trial.
        patient: the patient's code.
        patient_name: who this is.
        patient_href: the patient's page.
        state: where the trial stands.
        lead: the question.
        figures: numbers of the head.
        notices: what needs attention.
        alerts: red flags, newest first.
        events: serious events, newest first, with their pages.
        event_href: writes down a serious event; "" before the start.
        mood: when the questions about mood were answered last; "" if the trial has none.
        course: timeline, adherence and, where it may be seen, pain.
        days: the diary days so far, newest first.
        pauses: stretches and reasons.
        deeds: what can be done now.
        protocol: heading and value of each part of the agreement.
        candidates: name, dose and remark of each.
        version: of the protocol shown.
        hash: of the frozen protocol, "" for a draft.
        commitment: published at the freeze, "" before.
        consents: versions of the protocol.
        guesses: how many guesses are kept, of how many periods over; "" in an open trial.
        trail: deeds, newest first.
        entries: how many diary entries the trail holds besides.
        edit_href: the set-up form, "" unless it is a draft.
        result_href: the result, "" before the release.
        decision: what was decided; None before.
        told: what the design can tell; None for a trial that was never studied.
        problems: what the patient told and nobody has dealt with.
        words_href: notes and photos, "" before the start.
        papers: (name, address) of the paper diary of each period.
    """

    title: str
    patient: str
    patient_name: str
    patient_href: str
    state: State
    lead: str
    figures: tuple[Figure, ...]
    notices: tuple[Notice, ...]
    alerts: tuple[AlertLine, ...]
    events: tuple[tuple[str, str], ...]
    event_href: str
    mood: str
    course: Course
    days: tuple[DayLine, ...]
    pauses: tuple[tuple[str, str], ...]
    deeds: tuple[DeedLink, ...]
    protocol: tuple[tuple[str, str], ...]
    candidates: tuple[tuple[str, str, str], ...]
    version: int
    hash: str
    commitment: str
    consents: tuple[ConsentLine, ...]
    guesses: str
    trail: tuple[DeedLine, ...]
    entries: int
    edit_href: str
    result_href: str
    decision: Decision | None
    told: DesignTold | None
    problems: tuple[ProblemLine, ...] = ()
    words_href: str = ""
    papers: tuple[tuple[str, str], ...] = ()


@bp.get("/trials/<trial>")
@open_to(Role.CLINICIAN)
def show_trial(trial: str) -> ResponseReturnValue:
    """Show one trial."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        page = _trial_page(session, row, now())
    return render_template("clinician/trial.html", page=page)


def _trial_page(session: Session, trial: TrialRow, at: datetime) -> TrialPage:
    overview = overview_of(session, trial, at)
    latest = latest_protocol(session, trial.id)
    frozen = frozen_protocol(session, trial.id)
    shown = frozen if frozen is not None and trial.current_state is not State.DRAFT else latest
    protocol = shown.value
    rows = days_of_trial(session, trial.id)
    entries = diary.own_entries(session, trial)
    known = trial.current_state in RESULT_KNOWN
    return TrialPage(
        title=trial.title,
        patient=trial.patient.code,
        patient_name=trial.patient.name,
        patient_href=url_for("patients.show_patient", patient=trial.patient.public_id),
        state=trial.current_state,
        lead=protocol.question,
        figures=_figures(overview, protocol),
        notices=notices_of(session, trial, overview, at),
        alerts=tuple(map(alert_line, alerts_of_trial(session, trial.id))),
        events=tuple(map(_event_line, events_of_trial(session, trial.id))),
        event_href=(
            ""
            if trial.current_state in {State.DRAFT, State.READY}
            else url_for("adverse_events.new_event", trial=trial.public_id)
        ),
        mood=_mood(session, trial, protocol),
        course=_course(session, trial, protocol, rows, entries, at),
        days=tuple(day_lines(session, trial, rows, entries, at)),
        pauses=tuple(
            (days_between(p.first, p.resumed) if p.resumed else format_date(p.first), p.reason)
            for p in pauses_of_trial(session, trial.id)
        ),
        deeds=deeds_of(trial, consented=overview.consented, erasable=may_erase(session, trial)),
        protocol=agreed(protocol),
        candidates=candidates(protocol),
        version=shown.version,
        hash=shown.hash or "",
        commitment=allocation.commitment_of(session, trial) if shown.hash else "",
        consents=consent_lines(session, protocols_of_trial(session, trial.id)),
        guesses=_guesses(session, trial, at),
        trail=tuple(trail_lines(trail_of(session, current_actor(), trial))),
        entries=len(entries),
        edit_href=(
            url_for("setup.change_draft", trial=trial.public_id)
            if trial.current_state is State.DRAFT
            else ""
        ),
        result_href=url_for("result.show_result", trial=trial.public_id) if known else "",
        decision=_decision(session, trial, protocol),
        told=design_told(session, trial, protocol),
        problems=problem_lines(session, trial),
        words_href=url_for("reports.words", trial=trial.public_id) if rows else "",
        papers=paper_links(trial, rows),
    )


def _event_line(row: AdverseEventRow) -> tuple[str, str]:
    """Return what links to a serious event, and where it leads."""
    label = _(
        "Event %(number)s, known since %(when)s",
        number=row.number,
        when=format_datetime(row.known_at, "short"),
    )
    if row.signed_at is None:
        label = f"{label} ({_('not signed')})"
    return str(label), url_for("adverse_events.show_event", event=row.public_id)


def _mood(session: Session, trial: TrialRow, protocol: Protocol) -> str:
    """Return when the questions about mood were answered last, never what was answered."""
    last = last_screen(session, trial.id)
    if last is not None:
        return str(_("Last answered %(day)s", day=format_date(last.day, "long")))
    return str(_("Not answered yet")) if asks_about_mood(protocol) else ""


def _course(
    session: Session,
    trial: TrialRow,
    protocol: Protocol,
    rows: list[DiaryDayRow],
    entries: Entries,
    at: datetime,
) -> Course:
    """Return the charts; treatments and pain only where the clinician may know the allocation."""
    if not rows:
        return planned_course(protocol.design)
    known = allocation.known_treatments(session, vault(), Role.CLINICIAN, trial) or {}
    over = trial.current_state not in UNDER_WAY
    return actual_course(
        rows,
        entries,
        at,
        today=None if over else local_day(at, zone_of(trial.timezone)),
        treatments={n: protocol.candidate(t).name for n, t in known.items()},
        with_pain=may_see_allocation(Role.CLINICIAN, trial.how_blinded, trial.current_state),
    )


def _figures(overview: TrialOverview, protocol: Protocol) -> tuple[Figure, ...]:
    design = protocol.design
    if not overview.days:
        return (
            Figure(str(design.total_days), _("days in all")),
            Figure(
                str(design.periods),
                _("periods"),
                _("%(days)s days each", days=design.period_days),
            ),
            Figure(str(len(design.arms)), _("treatments to compare")),
        )
    period = ""
    if overview.period:
        period = _("Period %(n)s of %(of)s", n=overview.period, of=overview.periods)
    return (
        Figure(f"{overview.day} / {overview.days}", _("Day of the trial"), period),
        Figure(
            NOTHING if overview.adherence is None else percent_text(overview.adherence),
            _("Diary days answered"),
            _("%(answered)s of %(due)s so far", answered=overview.answered, due=overview.due),
        ),
        Figure(
            str(overview.silent),
            _("Missed in a row"),
            kind="warn" if overview.is_silent else "",
        ),
    )


def _guesses(session: Session, trial: TrialRow, at: datetime) -> str:
    """Return how many guesses are kept; what was guessed stays closed until the release."""
    if trial.how_blinded is Blinding.OPEN or trial.start_day is None:
        return ""
    today: date = local_day(at, zone_of(trial.timezone))
    over = sum(period.last_day <= today for period in periods_of_trial(session, trial.id))
    kept = len(guesses_of_trial(session, trial.id))
    return str(_("%(kept)s of %(over)s periods that are over", kept=kept, over=over))


def _decision(session: Session, trial: TrialRow, protocol: Protocol) -> Decision | None:
    row = decision_on(session, trial.id)
    if row is None:
        return None
    return Decision(
        treatment=protocol.candidate(row.treatment).name
        if row.treatment
        else str(_("none of them")),
        reason=row.reason,
        signed=format_datetime(row.signed_at, "medium"),
    )
