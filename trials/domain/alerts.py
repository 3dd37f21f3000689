"""When an alert that nobody has acknowledged goes to the next person."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from trials.domain.calendar import instant, local_day
from trials.domain.red_flags import Urgency

FRIDAY = 4
END_OF_WORK = time(16, 0)
"""By the site's clock: an alert of the next working day is answered by then."""

WAITS: dict[Urgency, tuple[timedelta, ...]] = {
    Urgency.IMMEDIATE: (
        timedelta(minutes=10),
        timedelta(minutes=10),
        timedelta(minutes=20),
        timedelta(hours=1),
    ),
    Urgency.SAME_DAY: (timedelta(hours=2), timedelta(hours=2), timedelta(hours=12)),
}
"""How long each step waits before the next one; the last wait repeats until somebody acts."""


def next_step_at(urgency: Urgency, step: int, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when an alert goes on if nobody acknowledges it.

    Counted from when the step was really taken: after a long standstill the steps follow one
    another at their pace, not all at once.

    Args:
        urgency: of the alert.
        step: that was just taken, 0 for telling the responsible clinician.
        now: UTC instant.
        zone: of the site.
    """
    waits = WAITS.get(urgency)
    if waits is not None:
        return now + waits[min(step, len(waits) - 1)]
    return after_working_days(1, now, zone)


def after_working_days(days: int, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the end of work of the so many-th working day after today, by the site's clock."""
    day = local_day(now, zone)
    for _day in range(days):
        day += timedelta(days=1)
        while day.weekday() > FRIDAY:
            day += timedelta(days=1)
    return instant(day, END_OF_WORK, zone)
