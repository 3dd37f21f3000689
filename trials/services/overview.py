"""The list of a site's trials: how each stands, and what waits for whom.

Set-based: the number of queries does not grow with the number of trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Row, and_, case, func, select
from sqlalchemy.orm import Session, joinedload

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.life_cycle import UNDER_WAY, State
from trials.services.actor import Actor, require_role
from trials.services.reach import Ways, ways_to
from trials.store.diary import DiaryDayRow
from trials.store.trial import ConsentRow, PeriodRow, ProtocolRow, TrialRow

SILENT_DAYS = 3
"""So many closed diary days in a row without an answer are an alert."""


@dataclass(frozen=True, slots=True)
class TrialOverview:
    """One trial of the list.

    Attributes:
        public_id: of the trial.
        title: of the trial.
        patient: the patient's code.
        patient_id: the patient's public id.
        clinician: name of who leads it.
        clinician_id: row id of that account.
        state: where it stands.
        blinding: whether the treatments are hidden.
        start_day: first day; None before the start.
        day: which day of the trial today is, 0 before the first, at most ``days``.
        days: how many days it has; 0 before the start.
        period: number of today's period, 0 outside.
        periods: how many there are; 0 before the start.
        answered: answered diary days.
        due: days answered or missed.
        silent: diary days missed in a row up to now.
        consented: whether the patient agreed to the frozen protocol.
        ways: by which ways the patient is reminded, and which of them failed.
    """

    public_id: str
    title: str
    patient: str
    patient_id: str
    clinician: str
    clinician_id: int
    state: State
    blinding: Blinding
    start_day: date | None
    day: int
    days: int
    period: int
    periods: int
    answered: int
    due: int
    silent: int
    consented: bool
    ways: Ways

    @property
    def adherence(self) -> float | None:
        """Answered share of the days that are settled; None before the first."""
        return self.answered / self.due if self.due else None

    @property
    def is_silent(self) -> bool:
        """Whether the patient of a running trial has stopped answering."""
        return self.state is State.RUNNING and self.silent >= SILENT_DAYS

    @property
    def is_unreachable(self) -> bool:
        """Whether a diary is asked for, or will be, and no reminder gets through."""
        return self.state in UNDER_WAY and not self.ways.is_reachable


def trials_of(session: Session, actor: Actor, now: datetime) -> tuple[TrialOverview, ...]:
    """Return the trials of the actor's site, newest first."""
    require_role(actor, Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST)
    trials = session.scalars(
        select(TrialRow)
        .where(TrialRow.site_id == actor.site_id)
        .options(joinedload(TrialRow.clinician))
        .order_by(TrialRow.created_at.desc(), TrialRow.id.desc())
    ).all()
    return _overviews(session, trials, now)


def overview_of(session: Session, trial: TrialRow, now: datetime) -> TrialOverview:
    """Return how one trial stands."""
    return _overviews(session, [trial], now)[0]


def _overviews(
    session: Session, trials: Sequence[TrialRow], now: datetime
) -> tuple[TrialOverview, ...]:
    ids = [trial.id for trial in trials]
    counts = {row.trial_id: row for row in _count_days(session, ids, now)}
    agreed = _consented(session, ids)
    periods = _periods(session, ids)
    ways = ways_to(session, {trial.patient_id: trial.patient for trial in trials}.values())
    found = []
    for trial in trials:
        count = counts.get(trial.id)
        today = local_day(now, zone_of(trial.timezone))
        own = periods.get(trial.id, [])
        current = next((p.number for p in own if p.first_day <= today <= p.last_day), 0)
        under_way = trial.current_state in UNDER_WAY
        days = count.days if count else 0
        begun = (today - trial.start_day).days + 1 if trial.start_day else 0
        found.append(
            TrialOverview(
                public_id=trial.public_id,
                title=trial.title,
                patient=trial.patient.code,
                patient_id=trial.patient.public_id,
                clinician=trial.clinician.name,
                clinician_id=trial.clinician_id,
                state=trial.current_state,
                blinding=trial.how_blinded,
                start_day=trial.start_day,
                day=max(0, min(begun, days)),
                days=days,
                period=current if under_way else 0,
                periods=len(own),
                answered=count.answered if count else 0,
                due=count.due if count else 0,
                silent=count.silent if count and under_way else 0,
                consented=trial.id in agreed,
                ways=ways[trial.patient_id],
            )
        )
    return tuple(found)


def _count_days(
    session: Session, trials: Sequence[int], now: datetime
) -> Sequence[Row[tuple[int, int, int, int, int]]]:
    """Count the diary days of each trial: all, answered, settled, and missed since the last answer.

    A day is missed once it is too late for an answer, whether the clock has marked it or not.
    """
    day = DiaryDayRow
    last = (
        select(day.trial_id, func.max(day.number).label("number"))
        .where(day.trial_id.in_(trials), day.state == "answered")
        .group_by(day.trial_id)
        .subquery()
    )
    answered = day.state == "answered"
    missed = (day.state == "missed") | (
        day.state.in_(["planned", "open"]) & (day.late_until <= now)
    )
    since = missed & (day.number > func.coalesce(last.c.number, 0))
    query = (
        select(
            day.trial_id,
            func.sum(case((day.state != "cancelled", 1), else_=0)).label("days"),
            func.sum(case((answered, 1), else_=0)).label("answered"),
            func.sum(case((answered | missed, 1), else_=0)).label("due"),
            func.sum(case((since, 1), else_=0)).label("silent"),
        )
        .outerjoin(last, last.c.trial_id == day.trial_id)
        .where(day.trial_id.in_(trials))
        .group_by(day.trial_id)
    )
    return session.execute(query).all()


def _consented(session: Session, trials: Sequence[int]) -> set[int]:
    """Return the trials whose newest protocol is frozen and agreed to."""
    newest = (
        select(ProtocolRow.trial_id, func.max(ProtocolRow.version).label("version"))
        .where(ProtocolRow.trial_id.in_(trials))
        .group_by(ProtocolRow.trial_id)
        .subquery()
    )
    query = (
        select(ProtocolRow.trial_id)
        .join(ConsentRow, ConsentRow.protocol_id == ProtocolRow.id)
        .join(
            newest,
            and_(
                newest.c.trial_id == ProtocolRow.trial_id, newest.c.version == ProtocolRow.version
            ),
        )
    )
    return set(session.scalars(query))


def _periods(session: Session, trials: Sequence[int]) -> dict[int, list[PeriodRow]]:
    found: dict[int, list[PeriodRow]] = {}
    query = (
        select(PeriodRow)
        .where(PeriodRow.trial_id.in_(trials))
        .order_by(PeriodRow.trial_id, PeriodRow.number)
    )
    for row in session.scalars(query):
        found.setdefault(row.trial_id, []).append(row)
    return found
