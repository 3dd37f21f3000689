"""What is due now: the queries of the clock.

Each takes a bounded number of due rows by an index and changes them in the same statement,
with the state they must be in as its condition. So the cost grows with what is due, not with
what there is, and any number of schedulers may run them at once: a row changes once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from trials.domain.life_cycle import State
from trials.store.account import AccountRow, PatientRow, SiteRow
from trials.store.diary import DiaryDayRow, DiaryEntryRow
from trials.store.fit import FitRow
from trials.store.trial import PeriodRow, TrialRow

_AS_STORED = {"synchronize_session": False}

type LookColumn = InstrumentedAttribute[datetime | None]


@dataclass(frozen=True, slots=True)
class DayToAsk:
    """A diary day with all that a reminder of it needs."""

    id: int
    trial_id: int
    patient_id: int
    day: date
    opens_at: datetime
    closes_at: datetime
    state: str
    timezone: str
    email: str
    locale: str
    site: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A running trial whose newest days were all missed.

    Attributes:
        trial_id: row id.
        trial: public id.
        after: number of the last day that was answered, not expected or not asked for; 0 if none.
        since: date of the first missed day after it.
        days: how many were missed.
        code: of the patient.
        recipient: the clinician's e-mail address.
        locale: the clinician's language.
        patient_id, patient_email, patient_locale, timezone, site: to write to the patient.
        site_timezone: whose working days count.
    """

    trial_id: int
    trial: str
    after: int
    since: date
    days: int
    code: str
    recipient: str
    locale: str
    patient_id: int
    patient_email: str
    patient_locale: str
    timezone: str
    site: str
    site_timezone: str


def open_days(session: Session, now: datetime, most: int) -> list[int]:
    """Open the diary days whose hour has come; return their ids."""
    return _change_days(
        session,
        and_(DiaryDayRow.state == "planned", DiaryDayRow.opens_at <= now),
        DiaryDayRow.opens_at,
        most,
        state="open",
        opened_at=now,
    )


def miss_days(session: Session, now: datetime, most: int) -> list[int]:
    """Give up the diary days that it is too late for; return their ids."""
    return _change_days(
        session,
        and_(DiaryDayRow.state.in_(["planned", "open"]), DiaryDayRow.late_until <= now),
        DiaryDayRow.late_until,
        most,
        state="missed",
        remind_at=None,
    )


def take_second_reminders(session: Session, now: datetime, most: int) -> list[int]:
    """Take the days whose second reminder is due, answered or not; return their ids."""
    return _change_days(
        session, DiaryDayRow.remind_at <= now, DiaryDayRow.remind_at, most, remind_at=None
    )


def plan_second_reminders(session: Session, when: Mapping[int, datetime]) -> None:
    """Write down when to remind of each of these days once more."""
    if when:
        session.execute(
            update(DiaryDayRow), [{"id": key, "remind_at": at} for key, at in when.items()]
        )


def days_to_ask(session: Session, ids: Sequence[int]) -> list[DayToAsk]:
    """Return those of the days that belong to a running trial.

    The trial's state is looked at here: asked for it, SQLite would begin with all running trials.
    """
    if not ids:  # a database would look through all running trials to find none
        return []
    query = (
        select(
            DiaryDayRow.id,
            DiaryDayRow.trial_id,
            TrialRow.patient_id,
            DiaryDayRow.day,
            DiaryDayRow.opens_at,
            DiaryDayRow.closes_at,
            DiaryDayRow.state,
            TrialRow.timezone,
            PatientRow.email,
            PatientRow.locale,
            SiteRow.name.label("site"),
            TrialRow.state.label("of_trial"),
        )
        .join(TrialRow, TrialRow.id == DiaryDayRow.trial_id)
        .join(PatientRow, PatientRow.id == TrialRow.patient_id)
        .join(SiteRow, SiteRow.id == TrialRow.site_id)
        .where(DiaryDayRow.id.in_(ids))
        .order_by(DiaryDayRow.opens_at, DiaryDayRow.id)
    )
    rows = [dict(row) for row in session.execute(query).mappings()]
    return [DayToAsk(**row) for row in rows if row.pop("of_trial") == State.RUNNING.value]


def states_before(
    session: Session, days: Iterable[DayToAsk], look_back: int
) -> dict[int, list[str]]:
    """Return, for each of these days, the states of the days shortly before it, oldest first.

    A missed day that nobody was asked for, because the clock stood still, is "unasked".
    """
    asked = list(days)
    if not asked:
        return {}
    first = min(d.day for d in asked) - timedelta(days=look_back)
    query = (
        select(
            DiaryDayRow.trial_id,
            DiaryDayRow.day,
            case((_unasked(), "unasked"), else_=DiaryDayRow.state),
        )
        .where(
            DiaryDayRow.trial_id.in_({d.trial_id for d in asked}),
            DiaryDayRow.day >= first,
            DiaryDayRow.day < max(d.day for d in asked),
        )
        .order_by(DiaryDayRow.day)
    )
    known: dict[int, list[tuple[date, str]]] = defaultdict(list)
    for trial_id, day, state in session.execute(query):
        known[trial_id].append((day, state))
    return {d.id: [state for day, state in known[d.trial_id] if day < d.day] for d in asked}


def silences(session: Session, day_ids: Sequence[int], now: datetime, least: int) -> list[Silence]:
    """Return the running trials of these days in which at least so many were missed in a row.

    A day that nobody was asked for, because the clock stood still, ends the row.

    A trial whose last diary day is over is left out: nobody can answer it any more. The trial's
    state is looked at here, and that of its days after they were counted: asked for either,
    SQLite would begin with all running trials, or with all days that were ever missed.
    """
    trials = select(DiaryDayRow.trial_id).where(DiaryDayRow.id.in_(day_ids)).distinct()
    decided = or_(DiaryDayRow.state.in_(["answered", "paused"]), _unasked())
    broken = and_(decided, DiaryDayRow.opens_at <= now)
    last = (
        select(
            DiaryDayRow.trial_id,
            func.coalesce(func.max(DiaryDayRow.number).filter(broken), 0).label("after"),
        )
        .where(DiaryDayRow.trial_id.in_(trials))
        .group_by(DiaryDayRow.trial_id)
        .having(func.max(DiaryDayRow.late_until) > now)
        .subquery()
    )
    is_missed = DiaryDayRow.state == "missed"
    missed = func.count(DiaryDayRow.id).filter(is_missed)
    query = (
        select(
            TrialRow.id,
            TrialRow.public_id,
            last.c.after,
            func.min(DiaryDayRow.day).filter(is_missed),
            missed,
            PatientRow.code,
            AccountRow.email,
            func.coalesce(AccountRow.locale, SiteRow.locale),
            PatientRow.id,
            PatientRow.email,
            PatientRow.locale,
            TrialRow.timezone,
            SiteRow.name,
            SiteRow.timezone,
            TrialRow.state,
        )
        .join(last, last.c.trial_id == TrialRow.id)
        .join(DiaryDayRow, DiaryDayRow.trial_id == TrialRow.id)
        .join(PatientRow, PatientRow.id == TrialRow.patient_id)
        .join(AccountRow, AccountRow.id == TrialRow.clinician_id)
        .join(SiteRow, SiteRow.id == TrialRow.site_id)
        .where(DiaryDayRow.number > last.c.after)
        .group_by(
            TrialRow.id,
            TrialRow.public_id,
            last.c.after,
            TrialRow.timezone,
            PatientRow.id,
            AccountRow.email,
            AccountRow.locale,
            SiteRow.locale,
            SiteRow.name,
            SiteRow.timezone,
        )
        .having(missed >= least)
    )
    return [Silence(*row) for *row, state in session.execute(query) if state == State.RUNNING.value]


def trials_never_looked_at(
    session: Session, now: datetime, most: int
) -> dict[int, tuple[datetime | None, datetime | None]]:
    """Return running trials that are new to the clock.

    Returns:
        For each, when its next and when its last diary day closes.
    """
    new = (
        select(TrialRow.id)
        .where(TrialRow.state == State.RUNNING.value, TrialRow.completes_at.is_(None))
        .limit(most)
        .with_for_update(of=TrialRow, skip_locked=True, key_share=True)
        .cte("new")
    )
    query = (
        select(
            new.c.id,
            func.min(DiaryDayRow.closes_at).filter(DiaryDayRow.closes_at > now),
            func.max(DiaryDayRow.closes_at),
        )
        .outerjoin(DiaryDayRow, DiaryDayRow.trial_id == new.c.id)
        .group_by(new.c.id)
    )
    return {key: (following, last) for key, following, last in session.execute(query)}


def trials_to_look_at(
    session: Session, column: LookColumn, now: datetime, most: int, *, hold: bool = False
) -> list[int]:
    """Return running trials at which the clock has to look, the longest due first.

    Args:
        session: the transaction.
        column: ``TrialRow.moves_at``, ``completes_at`` or ``fits_at``.
        now: UTC instant.
        most: how many at once.
        hold: whether to keep other schedulers off them until the transaction ends.
    """
    # Two questions, each answered by a range of the index; asked as one, with "or", databases
    # read every running trial.
    found: list[int] = []
    for due in (column.is_(None), column <= now):
        query = (
            select(TrialRow.id)
            .where(TrialRow.state == State.RUNNING.value, due)
            .order_by(column, TrialRow.id)
            .limit(most - len(found))
        )
        if hold:
            query = query.with_for_update(of=TrialRow, skip_locked=True, key_share=True)
        found += session.scalars(query)
    return found


def ended_trials_to_fit(session: Session, now: datetime, most: int) -> list[int]:
    """Return ended trials for which the clock has to ask for the final analysis now."""
    query = (
        select(TrialRow.id)
        .where(
            TrialRow.state.in_([State.COMPLETED.value, State.STOPPED.value]),
            TrialRow.fits_at <= now,
        )
        .order_by(TrialRow.fits_at, TrialRow.id)
        .limit(most)
    )
    return list(session.scalars(query))


def hold_trial(session: Session, trial_id: int, *states: State) -> TrialRow | None:
    """Return the trial if it is in one of the states, held until the transaction ends."""
    held = session.scalar(
        select(TrialRow.id)
        .where(TrialRow.id == trial_id, TrialRow.state.in_([state.value for state in states]))
        .with_for_update(of=TrialRow, skip_locked=True, key_share=True)
    )
    if held is None:
        return None
    return session.get_one(TrialRow, trial_id, populate_existing=True)


def look_again(session: Session, column: LookColumn, when: Mapping[int, datetime | None]) -> None:
    """Write down when the clock looks at each of these trials again.

    It is no change of the trial, so its revision stays and nobody's edit is disturbed.
    """
    by_time: dict[datetime | None, list[int]] = defaultdict(list)
    for trial_id, at in when.items():
        by_time[at].append(trial_id)
    for at, ids in by_time.items():
        session.execute(
            update(TrialRow).where(TrialRow.id.in_(ids)).values({column: at}),
            execution_options=_AS_STORED,
        )


def trials_by_id(session: Session, trial_ids: Sequence[int]) -> list[TrialRow]:
    """Return these trials, read in one query."""
    return list(session.scalars(select(TrialRow).where(TrialRow.id.in_(trial_ids))).unique())


def periods_of_trials(session: Session, trial_ids: Sequence[int]) -> dict[int, list[PeriodRow]]:
    """Return the periods of each trial, in order."""
    query = select(PeriodRow).where(PeriodRow.trial_id.in_(trial_ids)).order_by(PeriodRow.number)
    found: dict[int, list[PeriodRow]] = {trial_id: [] for trial_id in trial_ids}
    for period in session.scalars(query):
        found[period.trial_id].append(period)
    return found


def last_expected_day(session: Session, trial_id: int) -> DiaryDayRow | None:
    """Return the last day of a trial on which a diary is expected."""
    query = (
        select(DiaryDayRow)
        .where(DiaryDayRow.trial_id == trial_id, DiaryDayRow.state.not_in(["paused", "cancelled"]))
        .order_by(DiaryDayRow.day.desc())
        .limit(1)
    )
    return session.scalar(query)


def any_undecided(session: Session, trial_id: int) -> bool:
    """Return whether a day of the trial can still be answered."""
    query = (
        select(DiaryDayRow.id)
        .where(DiaryDayRow.trial_id == trial_id, DiaryDayRow.state.in_(["planned", "open"]))
        .limit(1)
    )
    return session.scalar(query) is not None


def next_closing(session: Session, trial_id: int, now: datetime) -> datetime | None:
    """Return when the next diary day of a trial closes."""
    return session.scalar(
        select(func.min(DiaryDayRow.closes_at)).where(
            DiaryDayRow.trial_id == trial_id, DiaryDayRow.closes_at > now
        )
    )


def answered_since_fit(session: Session, trial_id: int) -> bool:
    """Return whether an entry came in after the newest analysis was asked for."""
    asked = session.scalar(select(func.max(FitRow.requested_at)).where(FitRow.trial_id == trial_id))
    received = session.scalar(
        select(func.max(DiaryEntryRow.received_at))
        .join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
        .where(DiaryDayRow.trial_id == trial_id)
    )
    return received is not None and (asked is None or received > asked)


def waiting_fits(session: Session, purpose: str) -> int:
    """Return how many analyses wait to be run."""
    return (
        session.scalar(
            select(func.count(FitRow.id)).where(
                FitRow.done_at.is_(None), FitRow.failed_at.is_(None), FitRow.purpose == purpose
            )
        )
        or 0
    )


def due_now(session: Session, now: datetime) -> dict[str, tuple[int, datetime | None]]:
    """Return how much of each kind the clock has to do now, and since when the oldest is due.

    Each is counted by the index that the clock itself uses, so the cost grows with what is due.
    """
    running = TrialRow.state == State.RUNNING.value
    day, trial = DiaryDayRow, TrialRow
    kinds: dict[str, tuple[InstrumentedAttribute[Any], ColumnElement[bool]]] = {
        "open": (day.opens_at, and_(day.state == "planned", day.opens_at <= now)),
        "miss": (
            day.late_until,
            and_(day.state.in_(["planned", "open"]), day.late_until <= now),
        ),
        "remind": (day.remind_at, day.remind_at <= now),
        "move": (trial.moves_at, and_(running, trial.moves_at <= now)),
        "complete": (trial.completes_at, and_(running, trial.completes_at <= now)),
        "fit": (trial.fits_at, and_(running, trial.fits_at <= now)),
    }
    found: dict[str, tuple[int, datetime | None]] = {}
    for name, (column, condition) in kinds.items():
        query = select(func.count(), func.min(column)).where(condition)
        count, oldest = session.execute(query).one()
        found[name] = (count, oldest)
    return found


def _unasked() -> ColumnElement[bool]:
    """Return whether a day is missing that nobody was asked for in time."""
    asked = func.coalesce(DiaryDayRow.was_asked_for, false())
    return and_(DiaryDayRow.state == "missed", ~asked)


def _change_days(
    session: Session,
    condition: ColumnElement[bool],
    order: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    most: int,
    **values: object,
) -> list[int]:
    """Change the days that are due in one statement; return their ids."""
    due = (
        select(DiaryDayRow.id)
        .where(condition)
        .order_by(order)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    changed = session.scalars(
        update(DiaryDayRow)
        .where(DiaryDayRow.id.in_(select(due.c.id)))
        .values(**values)
        .returning(DiaryDayRow.id),
        execution_options=_AS_STORED,
    )
    return list(changed)
