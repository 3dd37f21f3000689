"""Days and hours as people say them: "tomorrow at 17:00", "until 3:00 tonight".

Everything is said in the trial's time zone: a patient who travels still has one opening hour,
the one of the trial. The order of day and month and the clock follow the reader's language.
"""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from flask_babel import get_locale
from flask_babel import gettext as _

from trials.domain.calendar import local_day

NIGHT_ENDS = time(6, 0)
"""An hour before this on the next day is still "tonight"."""

_YEAR_AT_END = re.compile(r"[\s,.]*(?:'de'\s*)?y+.*$")


def day_name(day: date) -> str:
    """Return a date with its weekday and without its year: "Sunday, March 1"."""
    pattern = str(get_locale().date_formats["full"].pattern)
    return format_date(day, _YEAR_AT_END.sub("", pattern) or "full", locale=get_locale())


def short_day(day: date) -> str:
    """Return a date in a few letters: "Mar 1"."""
    return format_skeleton("MMMd", day, locale=get_locale())


def days_between(first: date, last: date) -> str:
    """Return a stretch of days: "Mar 1 - Mar 14"."""
    return f"{short_day(first)} \N{EN DASH} {short_day(last)}"


def near_day(day: date, today: date) -> str:
    """Return "today" or "yesterday", else the date."""
    if day == today:
        return str(_("today"))
    if day == today - timedelta(days=1):
        return str(_("yesterday"))
    return day_name(day)


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Return the time of day of an instant: "17:00" or "5:00 PM"."""
    return format_time(at.astimezone(zone), "short", locale=get_locale())


def opening(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return when something begins: "today at 17:00"."""
    day, today = local_day(at, zone), local_day(now, zone)
    if day == today:
        return str(_("today at %(time)s", time=clock(at, zone)))
    if day == today + timedelta(days=1):
        return str(_("tomorrow at %(time)s", time=clock(at, zone)))
    return str(_("on %(day)s at %(time)s", day=day_name(day), time=clock(at, zone)))


def closing(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return until when something lasts: "until 3:00 tonight", "until midnight".

    Midnight belongs to the evening before it: nobody says "until tomorrow at 0:00".
    """
    local, today = at.astimezone(zone), local_day(now, zone)
    if local.time() == time(0, 0):
        return _until_midnight(local.date() - timedelta(days=1), today)
    shown = clock(at, zone)
    if local.date() == today:
        return str(_("until %(time)s", time=shown))
    if local.date() == today + timedelta(days=1):
        if local.time() < NIGHT_ENDS:
            return str(_("until %(time)s tonight", time=shown))
        return str(_("until %(time)s tomorrow", time=shown))
    return str(_("until %(day)s at %(time)s", day=day_name(local.date()), time=shown))


def _until_midnight(evening: date, today: date) -> str:
    if evening == today:
        return str(_("until midnight tonight"))
    if evening == today + timedelta(days=1):
        return str(_("until midnight tomorrow"))
    return str(_("until midnight on %(day)s", day=day_name(evening)))


def city(zone: ZoneInfo) -> str:
    """Return the place a time zone is named after: "Buenos Aires"."""
    return zone.key.rpartition("/")[2].replace("_", " ")
