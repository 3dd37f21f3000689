"""When a patient is reminded of the diary, and when reminding stops.

Once at the hour the patient likes (else when the day opens), once more before it closes, never
in the patient's quiet hours, never after it is answered. Who has missed three days in a row
needs a person, not another message: reminders rest until the patient answers again, the
patient gets one kind word, and the clinician is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from trials.domain.calendar import instant, local_day
from trials.domain.errors import ProtocolError
from trials.domain.words import marked as _

SECOND_REMINDER_BEFORE = timedelta(hours=2)
LEAST_APART = timedelta(hours=1)
"""Between the two reminders of a day; closer, the second would only be a nuisance."""
MISSED_BEFORE_REST = 3
KIND_WORD_GOOD_FOR = timedelta(hours=12)
LOOK_BACK_DAYS = 7
"""Enough to hold three decided days behind those that can still be answered late."""


@dataclass(frozen=True, slots=True)
class Wish:
    """When a patient likes to be reminded, by the clock of the place the patient lives in.

    Attributes:
        at: time of the first reminder; None is as soon as the diary opens.
        quiet_from: beginning of the hours without any message.
        quiet_to: their end; the same as the beginning means that there are none.
    """

    at: time | None = None
    quiet_from: time = time(22)
    quiet_to: time = time(8)

    def __post_init__(self) -> None:
        if self.at is not None and self.is_quiet(self.at):
            raise ProtocolError(
                _("The reminder falls into the quiet hours: choose another hour for one of them.")
            )

    def is_quiet(self, wall: time) -> bool:
        """Return whether a time of day lies in the quiet hours, which may span midnight."""
        if self.quiet_from <= self.quiet_to:
            return self.quiet_from <= wall < self.quiet_to
        return wall >= self.quiet_from or wall < self.quiet_to


@dataclass(frozen=True, slots=True)
class Reminder:
    """When to send a reminder, both UTC instants.

    Attributes:
        due_at: not before.
        void_after: not any more; the diary closes, or quiet hours begin.
    """

    due_at: datetime
    void_after: datetime


def first_reminder(
    opens_at: datetime, closes_at: datetime, zone: ZoneInfo, wish: Wish, now: datetime
) -> Reminder | None:
    """Return when to remind of a day first, or None if there is no good moment left.

    Args:
        opens_at: UTC instant at which the day can be answered.
        closes_at: UTC instant from which an answer is late.
        zone: the patient's time zone.
        wish: of the patient.
        now: UTC instant; what was slept through is not sent before it.
    """
    wanted = opens_at if wish.at is None else _next(wish.at, opens_at, zone)
    if wanted >= closes_at:
        wanted = opens_at
    return _outside_quiet(max(wanted, now), closes_at, zone, wish)


def second_reminder(
    first: datetime, closes_at: datetime, zone: ZoneInfo, wish: Wish
) -> datetime | None:
    """Return when to remind once more: two hours before the end, or before it gets quiet.

    Args:
        first: UTC instant of the first reminder.
        closes_at: UTC instant from which an answer is late.
        zone: the patient's time zone.
        wish: of the patient.

    Returns:
        UTC instant; None where there is no such moment, or it would follow within the hour.
    """
    at = closes_at - SECOND_REMINDER_BEFORE
    if wish.is_quiet(_wall(at, zone)):
        at = _next(wish.quiet_from, first, zone) - SECOND_REMINDER_BEFORE / 2
    fits = first + LEAST_APART <= at < closes_at and not wish.is_quiet(_wall(at, zone))
    return at if fits else None


def second_reminder_now(
    closes_at: datetime, zone: ZoneInfo, wish: Wish, now: datetime
) -> Reminder | None:
    """Return until when a second reminder that is due now may be sent; None in quiet hours."""
    if wish.is_quiet(_wall(now, zone)):
        return None
    return _outside_quiet(now, closes_at, zone, wish)


def kind_word(zone: ZoneInfo, wish: Wish, now: datetime) -> Reminder:
    """Return when to tell somebody whose reminders rest from now on that all is well."""
    at = _next(wish.quiet_to, now, zone) if wish.is_quiet(_wall(now, zone)) else now
    return Reminder(at, at + KIND_WORD_GOOD_FOR)


def missed_in_a_row(states: Sequence[str]) -> int:
    """Return how many days were missed since one was answered or not expected.

    Args:
        states: of the days so far, oldest first; days that can still be answered do not count.
            A day that the clock slept through ("unasked") ends the row: nobody was silent.
    """
    missed = 0
    for state in reversed(states):
        if state == "missed":
            missed += 1
        elif state not in {"open", "planned"}:
            break
    return missed


def reminders_rest(states: Sequence[str]) -> bool:
    """Return whether reminders rest, given the states of the days before, oldest first."""
    return missed_in_a_row(states) >= MISSED_BEFORE_REST


def _outside_quiet(
    at: datetime, closes_at: datetime, zone: ZoneInfo, wish: Wish
) -> Reminder | None:
    """Return the first moment from ``at`` on that is not quiet, if it comes before the end."""
    if wish.is_quiet(_wall(at, zone)):
        at = _next(wish.quiet_to, at, zone)
    if at >= closes_at:
        return None
    if wish.quiet_from == wish.quiet_to:
        return Reminder(at, closes_at)
    return Reminder(at, min(closes_at, _next(wish.quiet_from, at, zone)))


def _wall(at: datetime, zone: ZoneInfo) -> time:
    return at.astimezone(zone).time()


def _next(wall: time, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant from ``after`` on at which clocks show ``wall``."""
    day = local_day(after, zone)
    at = instant(day, wall, zone)
    return at if at >= after else instant(day + timedelta(days=1), wall, zone)
