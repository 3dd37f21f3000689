"""Reminders of the diary: who is reminded when, and by which ways.

The clock decides what is due (``trials.services.clockwork``); this module turns due days into
messages. A reminder is blind: that there is a diary to answer, never what is taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from trials.domain.calendar import readable_zone
from trials.domain.reminders import (
    Reminder,
    Wish,
    first_reminder,
    kind_word,
    second_reminder,
    second_reminder_now,
)
from trials.services.language import Letter, clock_time, long_day, write_letter
from trials.services.messages import queue_messages
from trials.store.clockwork import DayToAsk, Silence
from trials.store.outbox import NewMessage
from trials.store.reach import ReachRow, listening, reach_of_many


class Channel(StrEnum):
    """A way to a patient."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to one patient: the channel, and an address as ``MessageRow.recipient`` has it."""

    channel: Channel
    recipient: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A diary day that is to be reminded of.

    Attributes:
        day: which.
        wish: when its patient likes to be reminded.
        ways: to its patient; none for somebody who cannot be reached.
    """

    day: DayToAsk
    wish: Wish
    ways: tuple[Way, ...]

    @property
    def zone(self) -> ZoneInfo:
        """The patient's zone; UTC where it cannot be read, so that it holds up no other."""
        return readable_zone(self.day.timezone)

    def first(self, now: datetime) -> Reminder | None:
        """Return when to remind first; None if there is no good moment left."""
        return first_reminder(self.day.opens_at, self.day.closes_at, self.zone, self.wish, now)

    def second(self, first: datetime) -> datetime | None:
        """Return when to remind once more of a day first reminded of at ``first``."""
        return second_reminder(first, self.day.closes_at, self.zone, self.wish)

    def second_now(self, now: datetime) -> Reminder | None:
        """Return until when the second reminder may go out, if now is no quiet hour."""
        return second_reminder_now(self.day.closes_at, self.zone, self.wish, now)


def wish_of(row: ReachRow | None) -> Wish:
    """Return when a patient likes to be reminded; the usual hours where nothing was said."""
    return Wish() if row is None else Wish(row.remind_at, row.quiet_from, row.quiet_to)


def with_ways(session: Session, days: Iterable[DayToAsk]) -> list[Asked]:
    """Add to each day when and by which ways its patient is reminded; two queries for all."""
    asked = list(days)
    patients = {day.patient_id for day in asked}
    if not patients:
        return []
    said = reach_of_many(session, patients)
    browsers: dict[int, list[Way]] = {patient_id: [] for patient_id in patients}
    for push in listening(session, patients):
        browsers[push.patient_id].append(Way(Channel.PUSH, push.public_id))
    return [
        Asked(
            day,
            wish_of(said.get(day.patient_id)),
            (*_written(day.email, said.get(day.patient_id)), *browsers[day.patient_id]),
        )
        for day in asked
    ]


def remind(
    session: Session, template: str, asked: Mapping[Asked, Reminder], *, address: str
) -> int:
    """Put a reminder of each day into the outbox, by every way to its patient.

    Args:
        session: the transaction.
        template: "diary_open" or "diary_again".
        asked: the days and when each is to be reminded of.
        address: of the site.

    Returns:
        how many messages are new; one that was there before is not put in again.
    """
    written: dict[tuple[object, ...], Letter] = {}
    messages = []
    for one, when in asked.items():
        key = (one.day.locale, one.day.site, one.day.timezone, one.day.day, one.day.closes_at)
        if one.ways and key not in written:  # most patients get the same text
            written[key] = _letter(template, one.day, address)
        messages += [_message(template, one.day, way, written[key], when) for way in one.ways]
    return queue_messages(session, messages)


def say_that_reminders_rest(
    session: Session, silences: Iterable[Silence], now: datetime, *, address: str
) -> int:
    """Tell patients kindly that no more reminders come and that they may go on any day."""
    silent = list(silences)
    said = reach_of_many(session, (s.patient_id for s in silent))
    messages = []
    for silence in silent:
        row = said.get(silence.patient_id)
        when = kind_word(readable_zone(silence.timezone), wish_of(row), now)
        for way in _written(silence.patient_email, row)[:1]:
            letter = write_letter(
                "diary_rest", silence.patient_locale, site=silence.site, address=address
            )
            messages.append(
                NewMessage(
                    occasion=f"diary-rest:{silence.trial}:{silence.after}",
                    trial_id=silence.trial_id,
                    diary_day_id=None,
                    channel=way.channel.value,
                    recipient=way.recipient,
                    subject=letter.subject,
                    body=letter.body if way.channel is Channel.EMAIL else letter.short,
                    due_at=when.due_at,
                    void_after=when.void_after,
                    repeatable=False,
                )
            )
    return queue_messages(session, messages)


def _written(email: str, said: ReachRow | None) -> tuple[Way, ...]:
    """Return the ways that need no browser: e-mail and text messages."""
    ways = []
    if email and (said is None or (said.by_email and said.email_failed_at is None)):
        ways.append(Way(Channel.EMAIL, email))
    if said is not None and said.phone and said.phone_failed_at is None:
        ways.append(Way(Channel.SMS, said.phone))
    return tuple(ways)


def _letter(template: str, day: DayToAsk, address: str) -> Letter:
    return write_letter(
        template,
        day.locale,
        day=long_day(day.day, day.locale),
        closes=clock_time(day.closes_at, readable_zone(day.timezone), day.locale),
        site=day.site,
        address=address,
    )


def _message(template: str, day: DayToAsk, way: Way, letter: Letter, when: Reminder) -> NewMessage:
    occasion = f"{template.replace('_', '-')}:{day.id}"
    if way.channel is not Channel.EMAIL:
        occasion += f":{way.channel}:{way.recipient}"
    return NewMessage(
        occasion=occasion,
        trial_id=day.trial_id,
        diary_day_id=day.id,
        channel=way.channel.value,
        recipient=way.recipient,
        subject=letter.subject,
        body=letter.body if way.channel is Channel.EMAIL else letter.short,
        due_at=when.due_at,
        void_after=when.void_after,
        # A push message that comes twice replaces itself on the phone; mail and texts do not.
        repeatable=way.channel is Channel.PUSH,
    )
