"""Days of a trial as several pages show them: open to be answered, or waiting for a guess."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from trials.domain.calendar import local_day
from trials.domain.errors import NotFoundError
from trials.domain.words import marked
from trials.services import diary_days
from trials.store.trial import PeriodRow
from trials.web.local_words import closing, day_name, days_between, near_day
from trials.web.patient.trial import Choice

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A diary day that can be answered or corrected now."""

    name: str
    near: str
    href: str
    until: str
    late: bool
    answered: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A period that the patient is asked about."""

    days: str
    what: str
    href: str


def open_day(choice: Choice, day: diary_days.DayToAnswer, at: datetime, zone: ZoneInfo) -> OpenDay:
    """Return a day that can be answered as it is shown."""
    return OpenDay(
        name=day_name(day.day),
        near=near_day(day.day, local_day(at, zone)),
        href=choice.address("show_diary", day=day.day.isoformat()),
        until=closing(day.next_limit, at, zone),
        late=day.late,
        answered=day.answered,
    )


def waiting(choice: Choice, period: PeriodRow, what: str) -> Waiting:
    """Return a period that is asked about as it is shown; ``what`` was taken in it."""
    return Waiting(
        days=days_between(period.first_day, period.last_day),
        what=what,
        href=choice.address("guess", period=period.number),
    )


def date_in(text: str) -> date:
    """Return the date an address names.

    Raises:
        NotFoundError: it is none.
    """
    try:
        if _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise NotFoundError(marked("There is no such day."))
