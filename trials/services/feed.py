"""The calendar that a patient's telephone subscribes to: when to answer, when to change boxes.

It is as blind as the patient's pages: days and box numbers, the same for every arm. A calendar
is often shown to others, so no event names pain, a drug or the clinic.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event
from sqlalchemy.orm import Session

from trials.domain.calendar import zone_of
from trials.domain.life_cycle import UNDER_WAY
from trials.domain.reminders import first_reminder
from trials.domain.words import marked as _
from trials.services.language import translate
from trials.services.reminding import wish_of
from trials.store.account import PatientRow
from trials.store.diary import DiaryDayRow, days_of_trial
from trials.store.reach import reach_of
from trials.store.trial import PeriodRow, TrialRow, periods_of_trial, trials_of_patient

TAKES = timedelta(minutes=5)
EXPECTED = frozenset({"planned", "open", "answered", "missed"})
"""States of days that a diary is or was asked for; not those of a pause."""


def write_calendar(session: Session, patient: PatientRow, *, address: str, now: datetime) -> bytes:
    """Return the patient's calendar (RFC 5545): one event for each diary day to come, and more.

    Args:
        session: the transaction.
        patient: whose.
        address: of the site.
        now: UTC instant; days that are over are left out.
    """
    feed = Calendar()
    feed.add("prodid", "-//Lenitive//Diary//EN")
    feed.add("version", "2.0")
    feed.add("method", "PUBLISH")
    feed.add("x-wr-calname", translate(_("Diary"), patient.locale))
    feed.add("refresh-interval", timedelta(hours=6), parameters={"value": "DURATION"})
    for trial in trials_of_patient(session, patient.id):
        if trial.current_state in UNDER_WAY:
            for event in _events(session, patient, trial, address, now):
                feed.add_component(event)
    feed.add_missing_timezones()
    return bytes(feed.to_ical())


def _events(
    session: Session, patient: PatientRow, trial: TrialRow, address: str, now: datetime
) -> Iterator[Event]:
    zone = zone_of(trial.timezone)
    wish = wish_of(reach_of(session, patient.id))
    for day in days_of_trial(session, trial.id):
        if day.state in EXPECTED and day.closes_at > now:
            first = first_reminder(day.opens_at, day.closes_at, zone, wish, day.opens_at)
            at = day.opens_at if first is None else first.due_at
            yield _day_event(day, trial, at, zone, patient.locale, address, now)
    for period in periods_of_trial(session, trial.id):
        if period.state == "planned" and period.kit:
            yield _change_event(period, trial, patient.locale, now)


def _day_event(
    day: DiaryDayRow,
    trial: TrialRow,
    at: datetime,
    zone: ZoneInfo,
    locale: str,
    address: str,
    now: datetime,
) -> Event:
    event = Event()
    event.add("uid", f"{trial.public_id}-{day.number}@lenitive")
    event.add("dtstamp", now)
    event.add("summary", translate(_("Diary"), locale))
    event.add("url", f"{address}/today")
    event.add("description", f"{address}/today")
    event.add("dtstart", at.astimezone(zone))
    event.add("dtend", (at + TAKES).astimezone(zone))
    event.add("transp", "TRANSPARENT")
    if day.state != "answered":
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", translate(_("Diary"), locale))
        alarm.add("trigger", timedelta(0))
        event.add_component(alarm)
    return event


def _change_event(period: PeriodRow, trial: TrialRow, locale: str, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"{trial.public_id}-box-{period.number}@lenitive")
    event.add("dtstamp", now)
    event.add("summary", translate(_("Box %(number)s from today"), locale) % {"number": period.kit})
    event.add("dtstart", period.first_day)
    event.add("dtend", period.first_day + timedelta(days=1))
    event.add("transp", "TRANSPARENT")
    return event
