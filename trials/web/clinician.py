"""The clinician's list of trials, and the page of one trial.

While a trial is blinded its page shows which days were answered, and nothing of what was
answered: whoever sees pain fall in periods 2 and 3 begins to guess.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_datetime, lazy_gettext, ngettext
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role, may_see_allocation
from trials.domain.calendar import local_day, zone_of
from trials.domain.consent import ON_WITHDRAWAL, OnWithdrawal
from trials.domain.life_cycle import RESULT_KNOWN, STATE_NAMES, UNDER_WAY, State
from trials.domain.protocol import Protocol
from trials.services import allocation, diary, looks, trials
from trials.services.adverse_events import unsigned_events
from trials.services.alerts import open_alerts
from trials.services.erasure import is_erased, may_erase
from trials.services.mood import Occasion, occasion_due
from trials.services.notices import asked_for_call
from trials.services.overview import TrialOverview, overview_of, trials_of
from trials.services.problems import PROBLEM_KINDS, ProblemKind, open_problems
from trials.services.red_flag_rules import asks_about_mood
from trials.services.trail import Trail, trail_of
from trials.store.adverse_event import AdverseEventRow, events_of_trial
from trials.store.alert import alerts_of_trial
from trials.store.correction import confirmations_of_trial, corrections_of_trial
from trials.store.diary import DiaryDayRow, days_of_trial
from trials.store.mood import last_screen
from trials.store.trial import (
    ProtocolRow,
    TrialRow,
    consent_to,
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
from trials.web.alerts import AlertLine, ReportLine, alert_line, report_line
from trials.web.calibration import DesignTold, design_told
from trials.web.course import Course, Entries, actual_course, day_state, planned_course
from trials.web.deeds import DeedLink, deeds_of
from trials.web.edge import current_account, current_actor, now, transaction, vault
from trials.web.local_words import days_between
from trials.web.menu import MenuItem
from trials.web.phrases import percent_text
from trials.web.provenance import provenance
from trials.web.reports import can_write_down

bp = Blueprint("clinician", __name__, url_prefix="/clinician")

MENU = (
    MenuItem(
        Role.CLINICIAN,
        lazy_gettext("Trials"),
        "clinician.list_trials",
        also=(
            "clinician.show_trial",
            "setup.new_trial",
            "setup.create_trial",
            "setup.change_draft",
            "setup.keep_draft",
            "calibration.ask_again",
            "deeds.ask",
            "deeds.do",
            "reports.write_down",
            "reports.keep_written",
            "reports.paper",
            "reports.words",
            "adverse_events.new_event",
            "adverse_events.add_event",
            "adverse_events.show_event",
            "adverse_events.write_more",
            "result.show_result",
            "result.ask_decision",
            "result.sign_decision",
        ),
    ),
    MenuItem(
        Role.CLINICIAN,
        lazy_gettext("Patients"),
        "patients.list_patients",
        also=(
            "patients.new_patient",
            "patients.add_patient",
            "patients.show_patient",
            "patients.change_patient",
            "patients.keep_patient",
            "patients.invite",
            "patients.ask_to_revoke",
            "patients.revoke",
        ),
    ),
)

STATE_FILTERS = ("", "waiting", *State)


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One trial of the list.

    Attributes:
        href: its page.
        patient: the patient's code.
        title: of the trial.
        state: where it stands.
        is_open: whether treatments are known to all.
        clinician: who leads it.
        where: such as "Day 20 of 56, period 2 of 4"; "" before the start and after the end.
        adherence: answered share of the diary days, "" before the first.
        alert: what needs attention, "" for nothing.
        waits: what waits for the clinician, "" for nothing.
    """

    href: str
    patient: str
    title: str
    state: State
    is_open: bool
    clinician: str
    where: str
    adherence: str
    alert: str
    waits: str


@dataclass(frozen=True, slots=True)
class TrialsPage:
    """All that templates/clinician/trials.html may use.

    Attributes:
        lines: the trials that pass the filter, what waits for the clinician first.
        total: how many there are without a filter.
        running: how many run.
        alerts: how many patients are silent.
        unreachable: how many get no reminder though a diary is asked for.
        waiting: how many wait for the clinician.
        red_flags: alerts that nobody has acknowledged.
        reports: reports of serious events that are not signed.
        state: the chosen filter.
        mine: whether only the reader's own are shown.
        states: value and label of each filter.
    """

    lines: tuple[TrialLine, ...]
    total: int
    running: int
    alerts: int
    unreachable: int
    waiting: int
    red_flags: tuple[AlertLine, ...]
    reports: tuple[ReportLine, ...]
    state: str
    mine: bool
    states: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number at the head of the page."""

    value: str
    label: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that needs attention."""

    title: str
    text: str
    kind: str = "warn"


@dataclass(frozen=True, slots=True)
class DayLine:
    """One diary day: whether it was answered, never what was answered."""

    date: str
    number: int
    period: str
    state: str
    note: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A problem that the patient told and nobody has dealt with."""

    when: str
    kind: str
    words: str
    settle_href: str


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """One version of the protocol and the consent to it."""

    version: int
    frozen: str
    hash: str
    consent: str
    wish: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on the result."""

    treatment: str
    reason: str
    signed: str


@dataclass(frozen=True, slots=True)
class DeedLine:
    """One line of the audit trail, as far as it may be shown."""

    at: str
    who: str
    deed: str
    why: str


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


@bp.get("/trials")
@open_to(Role.CLINICIAN)
def list_trials() -> ResponseReturnValue:
    """Show the site's trials."""
    with transaction() as session:
        found = trials_of(session, current_actor(), now())
        red_flags = tuple(map(alert_line, open_alerts(session, current_actor())))
        unsigned = unsigned_events(session, current_actor())
        reports = tuple(report_line(row, now()) for row in unsigned)
    lines = [(overview, _trial_line(overview)) for overview in found]
    state = request.args.get("state", "")
    mine = request.args.get("mine") == "yes"
    chosen = [
        line
        for overview, line in lines
        if _passes(line, state) and (not mine or overview.clinician_id == current_account().id)
    ]
    chosen.sort(key=lambda line: (not line.alert, not line.waits, list(State).index(line.state)))
    page = TrialsPage(
        lines=tuple(chosen),
        total=len(lines),
        running=sum(line.state in UNDER_WAY for _overview, line in lines),
        alerts=sum(overview.is_silent for overview, _line in lines),
        unreachable=sum(overview.is_unreachable for overview, _line in lines),
        waiting=sum(bool(line.waits) for _overview, line in lines),
        red_flags=red_flags,
        reports=reports,
        state=state if state in STATE_FILTERS else "",
        mine=mine,
        states=(
            ("", _("All")),
            ("waiting", _("Waiting for the clinician")),
            *((s.value, str(_(STATE_NAMES[s])).capitalize()) for s in State),
        ),
    )
    return render_template("clinician/trials.html", page=page)


@bp.get("/trials/<trial>")
@open_to(Role.CLINICIAN)
def show_trial(trial: str) -> ResponseReturnValue:
    """Show one trial."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        page = _trial_page(session, row, now())
    return render_template("clinician/trial.html", page=page)


def _passes(line: TrialLine, state: str) -> bool:
    if state == "waiting":
        return bool(line.waits or line.alert)
    return state not in set(State) or line.state == state


def _trial_line(overview: TrialOverview) -> TrialLine:
    return TrialLine(
        href=url_for("clinician.show_trial", trial=overview.public_id),
        patient=overview.patient,
        title=overview.title,
        state=overview.state,
        is_open=overview.blinding is Blinding.OPEN,
        clinician=overview.clinician,
        where=_where(overview),
        adherence="" if overview.adherence is None else percent_text(overview.adherence),
        alert=_silence(overview) or _out_of_reach(overview),
        waits=_waits(overview),
    )


def _where(overview: TrialOverview) -> str:
    if overview.state not in UNDER_WAY:
        return ""
    if overview.day == 0 and overview.start_day is not None:
        return str(_("Starts on %(day)s", day=format_date(overview.start_day, "medium")))
    if overview.period == 0:
        return str(_("Day %(day)s of %(days)s", day=overview.day, days=overview.days))
    return str(
        _(
            "Day %(day)s of %(days)s, period %(period)s of %(periods)s",
            day=overview.day,
            days=overview.days,
            period=overview.period,
            periods=overview.periods,
        )
    )


def _silence(overview: TrialOverview) -> str:
    if not overview.is_silent:
        return ""
    return str(
        ngettext("No diary for %(num)s day", "No diary for %(num)s days in a row", overview.silent)
    )


def _out_of_reach(overview: TrialOverview) -> str:
    """Return that no reminder gets through to the patient, "" if one does."""
    if not overview.is_unreachable:
        return ""
    if overview.ways.has_failed:
        return str(_("Reminders come back"))
    return str(_("No way to send reminders"))


def _waits(overview: TrialOverview) -> str:
    """Return what waits for the clinician, "" if it is somebody else's turn."""
    match overview.state:
        case State.DRAFT:
            return str(_("Check the draft and freeze it"))
        case State.READY:
            return str(_("Start the trial") if overview.consented else _("Record consent"))
        case State.PAUSED:
            return str(_("Resume or stop"))
        case State.RUNNING if overview.is_silent or overview.is_unreachable:
            call = overview.is_silent
            return str(_("Call the patient") if call else _("Ask for another address"))
        case State.RELEASED:
            return str(_("Read the result and decide"))
    return ""


# ---- one trial -----------------------------------------------------------------------------------


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
        notices=_notices(session, trial, overview, at),
        alerts=tuple(map(alert_line, alerts_of_trial(session, trial.id))),
        events=tuple(map(_event_line, events_of_trial(session, trial.id))),
        event_href=(
            ""
            if trial.current_state in {State.DRAFT, State.READY}
            else url_for("adverse_events.new_event", trial=trial.public_id)
        ),
        mood=_mood(session, trial, protocol),
        course=_course(session, trial, protocol, rows, entries, at),
        days=tuple(_day_lines(session, trial, rows, entries, at)),
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
        consents=_consents(session, protocols_of_trial(session, trial.id)),
        guesses=_guesses(session, trial, at),
        trail=tuple(_trail(trail_of(session, current_actor(), trial))),
        entries=len(entries),
        edit_href=(
            url_for("setup.change_draft", trial=trial.public_id)
            if trial.current_state is State.DRAFT
            else ""
        ),
        result_href=url_for("result.show_result", trial=trial.public_id) if known else "",
        decision=_decision(session, trial, protocol),
        told=design_told(session, trial, protocol),
        problems=_problems(session, trial),
        words_href=url_for("reports.words", trial=trial.public_id) if rows else "",
        papers=_papers(trial, rows),
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


def _notices(
    session: Session, trial: TrialRow, overview: TrialOverview, at: datetime
) -> tuple[Notice, ...]:
    found = []
    if occasion_due(session, trial, at) is Occasion.BASELINE and not overview.day:
        found.append(
            Notice(
                _("The questions about mood are not answered yet"),
                _(
                    "A treatment of this trial calls for them before the start. The patient finds "
                    "them on the first page."
                ),
            )
        )
    if asked_for_call(session, trial, at):
        found.append(Notice(_("The patient asks to be called"), _("Please call today.")))
    if overview.is_silent:
        found.append(
            Notice(
                _silence(overview),
                _("Please get in touch: a short call often helps, a pause is better than a gap."),
            )
        )
    if overview.state in UNDER_WAY and (overview.is_unreachable or overview.ways.has_failed):
        found.append(_reach_notice(overview))
    found += _looks(session, trial)
    found += [
        Notice(
            _("The code of period %(period)s was opened", period=period),
            _("The pharmacist opened it in an emergency. The other periods stay blinded."),
            "danger",
        )
        for period in allocation.unblinded_periods(session, trial)
    ]
    if trial.current_state is State.STOPPED and trial.end_reason:
        found.append(Notice(_("The trial was stopped"), trial.end_reason, "info"))
    if is_erased(session, trial):
        found.append(
            Notice(
                _("The answers were removed"),
                _("As was agreed with the consent. Which days were answered stays on record."),
                "info",
            )
        )
    return tuple(found)


def _reach_notice(overview: TrialOverview) -> Notice:
    """Say which reminders do not get through, and what helps."""
    if not overview.is_unreachable:
        return Notice(
            _("Some reminders come back"),
            _(
                "One way to the patient was refused for good and is not tried any more; others "
                "work. The patient's page says which."
            ),
            "info",
        )
    if overview.ways.has_failed:
        return Notice(
            _("Reminders do not reach the patient"),
            _(
                "They come back, and are not sent any more. Ask the patient for an address that "
                "works; reminders go on as soon as it is changed."
            ),
        )
    return Notice(
        _("Reminders do not reach the patient"),
        _(
            "There is no e-mail address, no number for text messages, and no phone with messages "
            "turned on. Ask the patient whether that is wanted."
        ),
    )


def _looks(session: Session, trial: TrialRow) -> Iterable[Notice]:
    """Yield what planned looks found; which arm it is stays closed."""
    if trial.current_state not in UNDER_WAY:
        return
    block = looks.clear_look(session, trial)
    if block:
        yield Notice(
            _("The answer is clear after block %(block)s", block=block),
            _(
                "By the frozen rule one treatment is best already. Talk with the patient: the "
                "trial may be stopped now and analysed, or go on as planned. Which treatment it "
                "is, is told after the release."
            ),
            "good",
        )
    harm = looks.harmful_look(session, trial)
    if harm:
        yield Notice(
            _("A treatment does harm, says the look after block %(block)s", block=harm),
            _(
                "Severe side effects of one treatment are likely above the limit that was agreed. "
                "Talk with the patient, and pause or stop the trial. In an emergency the "
                "pharmacist opens the code."
            ),
            "danger",
        )


def _day_lines(
    session: Session, trial: TrialRow, rows: list[DiaryDayRow], entries: Entries, at: datetime
) -> Iterable[DayLine]:
    told = confirmations_of_trial(session, trial.id)
    waiting = {day for day, c in corrections_of_trial(session, trial.id) if c.state == "waiting"}
    closed = trial.current_state in diary.ANALYSED or is_erased(session, trial)
    for row in reversed(rows):
        if row.state == "cancelled" or row.opens_at > at:
            continue
        state = "paused" if row.state == "paused" else day_state(row, entries, at)
        notes = list(provenance(entries.get(row.day), told))
        if row.day in waiting:
            notes.append(_("a correction waits for the patient"))
        writable = not closed and can_write_down(row, at)
        yield DayLine(
            date=format_date(row.day, "EEE d MMM"),
            number=row.number,
            period=_("Run-in") if row.period == 0 else str(row.period),
            state=state,
            note=", ".join(notes),
            href=url_for("reports.write_down", trial=trial.public_id, day=row.day.isoformat())
            if writable
            else "",
        )


def _problems(session: Session, trial: TrialRow) -> tuple[ProblemLine, ...]:
    return tuple(
        ProblemLine(
            when=format_datetime(row.at, "short"),
            kind=str(_(PROBLEM_KINDS[ProblemKind(row.kind)])),
            words=row.words,
            settle_href=url_for("reports.settle", trial=trial.public_id, problem=row.public_id),
        )
        for row in open_problems(session, trial)
    )


def _papers(trial: TrialRow, rows: list[DiaryDayRow]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            str(_("Period %(number)s", number=number) if number else _("Run-in")),
            url_for("reports.paper", trial=trial.public_id, period=number),
        )
        for number in sorted({row.period for row in rows if row.state != "cancelled"})
    )


def _consents(session: Session, versions: Iterable[ProtocolRow]) -> tuple[ConsentLine, ...]:
    found = []
    for row in versions:
        if row.frozen_at is None or row.hash is None:
            continue
        consent = consent_to(session, row.id)
        found.append(
            ConsentLine(
                version=row.version,
                frozen=format_datetime(row.frozen_at, "medium"),
                hash=row.hash,
                consent=format_date(consent.given_on, "long") if consent else "",
                wish=str(_(ON_WITHDRAWAL[OnWithdrawal(consent.on_withdrawal)])) if consent else "",
            )
        )
    return tuple(found)


def _guesses(session: Session, trial: TrialRow, at: datetime) -> str:
    """Return how many guesses are kept; what was guessed stays closed until the release."""
    if trial.how_blinded is Blinding.OPEN or trial.start_day is None:
        return ""
    today: date = local_day(at, zone_of(trial.timezone))
    over = sum(period.last_day <= today for period in periods_of_trial(session, trial.id))
    kept = len(guesses_of_trial(session, trial.id))
    return str(_("%(kept)s of %(over)s periods that are over", kept=kept, over=over))


def _trail(trail: Trail) -> Iterable[DeedLine]:
    roles = {
        "patient": _("the patient"),
        "system": _("Lenitive"),
        "pharmacist": _("pharmacist"),
        "analyst": _("analyst"),
        "clinician": _("clinician"),
        "administrator": _("administrator"),
    }
    for line in trail.lines:
        role = str(roles.get(line.role, line.role))
        deed = str(_(line.deed))
        if line.period:
            deed = f"{deed}: {_('period %(number)s', number=line.period)}"
        yield DeedLine(
            at=format_datetime(line.at, "short"),
            who=f"{line.who} ({role})" if line.who else role,
            deed=deed,
            why=line.why,
        )


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
