"""Which days the patient can answer now, and how completely the diary was answered so far."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, zone_of
from trials.domain.errors import DiaryClosedError
from trials.domain.life_cycle import UNDER_WAY
from trials.domain.words import marked as _
from trials.services import diary
from trials.store.diary import (
    DiaryDayRow,
    days_of_trial,
    find_day,
    latest_entries,
    latest_entry,
)
from trials.store.trial import TrialRow, periods_of_trial

EXPECTED = frozenset({"open", "answered", "missed"})
"""States of days that were due: the denominator of adherence."""


@dataclass(frozen=True, slots=True)
class DayToAnswer:
    """One diary day as the patient meets it.

    Attributes:
        day: date in the patient's zone.
        late: whether an answer now would be marked as late.
        answered: whether there is an entry already (answering again corrects it).
        until: UTC instant until which it can be answered, or corrected if answered.
        closes_at: UTC instant from which an answer is late and cannot be corrected any more.
    """

    day: date
    late: bool
    answered: bool
    until: datetime
    closes_at: datetime

    @property
    def next_limit(self) -> datetime:
        """What to tell the patient: the end of "on time", or of "late" once that is over."""
        return self.until if self.late else self.closes_at


@dataclass(frozen=True, slots=True)
class Today:
    """All that the patient's first page tells.

    Attributes:
        local_date: today in the patient's zone.
        open_days: days that can be answered or corrected now, oldest first.
        next_opens_at: when the next diary opens; None if there is none.
        next_day: the date of that diary.
        kit: number of the box to take from today, "" if none.
        period: number of today's period, 0 in the run-in or outside.
        day_number: how many days of the trial have begun.
        total_days: how many there are.
        answered_days: how many were answered.
    """

    local_date: date
    open_days: tuple[DayToAnswer, ...]
    next_opens_at: datetime | None
    next_day: date | None
    kit: str
    period: int
    day_number: int
    total_days: int
    answered_days: int


@dataclass(frozen=True, slots=True)
class Adherence:
    """How completely the diary was answered, of the days that were due.

    Attributes:
        due: days whose diary has opened, pauses left out.
        answered: of these.
        late: answered after the window had closed.
        missed: too late for an answer.
    """

    due: int
    answered: int
    late: int
    missed: int

    @property
    def share(self) -> float | None:
        """Answered share of the days that are answered or missed; None before the first."""
        settled = self.answered + self.missed
        return self.answered / settled if settled else None


def today(session: Session, trial: TrialRow, now: datetime) -> Today:
    """Return what the patient can do at this instant."""
    rows = [row for row in days_of_trial(session, trial.id) if row.state != "cancelled"]
    local_date = local_day(now, zone_of(trial.timezone))
    upcoming = [row for row in rows if row.state == "planned" and row.opens_at > now]
    begun = [row for row in rows if row.day <= local_date]
    current = begun[-1] if begun and begun[-1].day == local_date else None
    period = current.period if current and current.state != "paused" else 0
    under_way = trial.current_state in UNDER_WAY
    kits = {p.number: p.kit for p in periods_of_trial(session, trial.id)}
    return Today(
        local_date=local_date,
        open_days=tuple(_days_to_answer(rows, now)),
        next_opens_at=upcoming[0].opens_at if upcoming and under_way else None,
        next_day=upcoming[0].day if upcoming and under_way else None,
        kit=kits.get(period, "") if under_way else "",
        period=period,
        day_number=len(begun),
        total_days=len(rows),
        answered_days=sum(row.state == "answered" for row in rows),
    )


def open_day(session: Session, trial: TrialRow, day: date, now: datetime) -> DayToAnswer:
    """Return a day that can be answered or corrected at this instant.

    Raises:
        DiaryClosedError: too early, too late, or no day of this trial.
    """
    row = find_day(session, trial.id, day)
    if row is None:
        raise DiaryClosedError(_("This day does not belong to the trial."))
    previous = latest_entry(session, row.id)
    diary.check_open(row, previous, now)
    until = row.late_until if previous is None else row.closes_at
    return DayToAnswer(day, now >= row.closes_at, previous is not None, until, row.closes_at)


def adherence(session: Session, trial: TrialRow, now: datetime) -> Adherence:
    """Return how completely the diary was answered so far."""
    due = [
        row
        for row in days_of_trial(session, trial.id)
        if row.state in EXPECTED or (row.state == "planned" and row.opens_at <= now)
    ]
    entries = latest_entries(session, trial.id)
    answered = [row for row in due if row.state == "answered"]
    return Adherence(
        due=len(due),
        answered=len(answered),
        late=sum(row.day in entries and entries[row.day].minutes_late > 0 for row in answered),
        missed=sum(row.state != "answered" and row.late_until <= now for row in due),
    )


def _days_to_answer(rows: list[DiaryDayRow], now: datetime) -> list[DayToAnswer]:
    found = []
    for row in rows:
        answered = row.state == "answered"
        until = row.closes_at if answered else row.late_until
        if row.state in {"planned", "open", "answered"} and row.opens_at <= now < until:
            late = now >= row.closes_at
            found.append(DayToAnswer(row.day, late, answered, until, row.closes_at))
    return found
