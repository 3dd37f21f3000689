"""Start a trial, let it rest, let it go on, end it."""

from datetime import date, datetime, timedelta

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import (
    DiaryDay,
    Phase,
    build_calendar,
    local_day,
    periods_of,
    zone_of,
)
from trials.domain.errors import (
    ProtocolError,
    StateError,
)
from trials.domain.life_cycle import State, Step
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services import allocation, looks
from trials.services.actor import Actor, require_role
from trials.services.steps import check_revision, take_step
from trials.store.diary import DiaryDayRow
from trials.store.trial import (
    PauseRow,
    PeriodRow,
    TrialRow,
    consent_to,
    ended_pauses,
    frozen_protocol,
    pauses_of_trial,
    periods_of_trial,
)

LONGEST_WAIT_FOR_START_DAYS = 90


def start_trial(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    revision: int,
    start_day: date,
    now: datetime,
) -> None:
    """Set the first day; from then on every expected diary day is a row.

    Raises:
        StateError: not ready, or consent is missing.
        ProtocolError: the first day is past or too far ahead.
    """
    require_role(actor, Role.CLINICIAN)
    check_revision(trial, revision)
    frozen = frozen_protocol(session, trial.id)
    ready = trial.current_state is State.READY and frozen is not None
    if ready and frozen and consent_to(session, frozen.id) is None:
        raise StateError(_("Record the patient's consent before the start."))
    take_step(session, actor, trial, Step.START, now)
    assert frozen is not None  # noqa: S101  # a trial that could start is frozen
    zone = zone_of(trial.timezone)
    today = local_day(now, zone)
    if not today <= start_day <= today + timedelta(days=LONGEST_WAIT_FOR_START_DAYS):
        raise ProtocolError(
            _("The first day must be today or within the next %(days)s days."),
            days=LONGEST_WAIT_FOR_START_DAYS,
        )
    trial.start_day = start_day
    trial.started_at = now
    protocol = frozen.value
    days = build_calendar(protocol.design, start_day, zone, protocol.window)
    kits = allocation.kits_of(session, vault, trial)
    for period in periods_of(protocol.design, days):
        session.add(
            PeriodRow(
                trial_id=trial.id,
                number=period.number,
                block=period.block,
                first_day=period.first_day,
                last_day=period.last_day,
                kit=kits[period.number - 1],
            )
        )
    session.add_all(_day_row(trial, day) for day in days)
    session.flush()
    looks.plan(session, trial, protocol, days)


def pause_trial(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, reason: str, now: datetime
) -> None:
    """Let the trial stand still from today; no diary is expected until it is resumed."""
    require_role(actor, Role.CLINICIAN, Role.PATIENT)
    check_revision(trial, revision)
    if not reason.strip():
        raise ProtocolError(_("Please say in a few words why the trial is paused."))
    take_step(session, actor, trial, Step.PAUSE, now, why=reason.strip())
    today = local_day(now, zone_of(trial.timezone))
    first = max(today, trial.start_day or today)
    answered_today = session.scalar(
        select(DiaryDayRow.id).where(
            DiaryDayRow.trial_id == trial.id,
            DiaryDayRow.day == first,
            DiaryDayRow.state == "answered",
        )
    )
    if answered_today is not None:
        first += timedelta(days=1)  # what was reported today stands
    session.add(PauseRow(trial_id=trial.id, first=first, reason=reason.strip()))
    session.execute(
        update(DiaryDayRow)
        .where(
            DiaryDayRow.trial_id == trial.id,
            DiaryDayRow.day >= first,
            DiaryDayRow.state.in_(["planned", "open"]),
        )
        .values(state="paused")
    )
    session.flush()


def resume_trial(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, now: datetime
) -> None:
    """Go on today; the days that were still to come are laid out anew behind the pause."""
    require_role(actor, Role.CLINICIAN)
    check_revision(trial, revision)
    take_step(session, actor, trial, Step.RESUME, now)
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None and trial.start_day is not None  # noqa: S101, PT018
    zone = zone_of(trial.timezone)
    pauses = pauses_of_trial(session, trial.id)
    pauses[-1].resumed = max(local_day(now, zone), pauses[-1].first)
    session.flush()
    protocol = frozen.value
    days = build_calendar(
        protocol.design, trial.start_day, zone, protocol.window, ended_pauses(pauses)
    )
    _lay_out_again(session, trial, days)
    planned = {p.number: p for p in periods_of(protocol.design, days)}
    for row in periods_of_trial(session, trial.id):
        row.first_day = planned[row.number].first_day
        row.last_day = planned[row.number].last_day
    session.flush()


def stop_trial(
    session: Session, actor: Actor, trial: TrialRow, *, revision: int, reason: str, now: datetime
) -> None:
    """End the trial before its last day; what was reported is kept and can be analysed."""
    require_role(actor, Role.CLINICIAN, Role.PATIENT)
    check_revision(trial, revision)
    if not reason.strip():
        raise ProtocolError(_("Please say in a few words why the trial is stopped."))
    take_step(session, actor, trial, Step.STOP, now, why=reason.strip())
    trial.ended_at = now
    trial.end_reason = reason.strip()
    trial.fits_at = now if trial.started_at is not None else None
    own = DiaryDayRow.trial_id == trial.id
    held_back = and_(DiaryDayRow.state == "paused", DiaryDayRow.phase != Phase.PAUSED.value)
    was_due = and_(DiaryDayRow.state.in_(["planned", "open"]), DiaryDayRow.closes_at <= now)
    session.execute(update(DiaryDayRow).where(own, was_due).values(state="missed"))
    session.execute(
        update(DiaryDayRow)
        .where(own, or_(DiaryDayRow.state.in_(["planned", "open"]), held_back))
        .values(state="cancelled")
    )
    session.flush()


def _lay_out_again(session: Session, trial: TrialRow, days: tuple[DiaryDay, ...]) -> None:
    """Write the calendar over the rows that nobody has answered or missed."""
    rows = {
        row.day: row
        for row in session.scalars(select(DiaryDayRow).where(DiaryDayRow.trial_id == trial.id))
    }
    for day in days:
        row = rows.pop(day.day, None)
        if row is None:
            session.add(_day_row(trial, day))
        elif row.state not in {"answered", "missed"}:
            fresh = _day_row(trial, day)
            for column in (
                "number",
                "period",
                "phase",
                "opens_at",
                "closes_at",
                "late_until",
                "state",
            ):
                setattr(row, column, getattr(fresh, column))
    session.flush()


def _day_row(trial: TrialRow, day: DiaryDay) -> DiaryDayRow:
    return DiaryDayRow(
        trial_id=trial.id,
        number=day.number,
        day=day.day,
        period=day.period,
        phase=day.phase.value,
        opens_at=day.opens_at,
        closes_at=day.closes_at,
        late_until=day.late_until,
        state="paused" if day.phase is Phase.PAUSED else "planned",
    )
