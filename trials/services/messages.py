"""The outbox: a message is a row first, and goes out from there once.

A row is put in by the transaction that gives the occasion for it. A sender then claims it
and commits; writes down that it is being handed over and commits; hands it over; writes down
that it is done and commits. Whatever is killed when, the row tells how far it came:

* before the handover was written down: another sender starts over;
* after that, with a mail server: nobody can know. A reminder is then not sent again but
  shown to the administrator (the next reminder is hours away); what must arrive, such as a
  message to a clinician, is sent again with the same Message-ID.

With a folder as the way out there is no such moment: a message that is written twice
overwrites itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from trials.services.reach import note_unreachable
from trials.services.transports import DeliveryError, Mail, PushTarget
from trials.store.diary import DiaryDayRow
from trials.store.lease import claim_several, give_back
from trials.store.outbox import (
    ORDINARY,
    PRIORITIES,
    MessageRow,
    NewMessage,
    add_messages,
    begin_handover,
    days_not_open,
    drop_messages,
    end_handover,
    mark_unknown,
)
from trials.store.reach import PushRow, pushes_named
from trials.store.trial import TrialRow

LEASE = timedelta(minutes=2)
MOST_AT_ONCE = 20
MOST_ATTEMPTS = 10

TOO_LATE = "too late"
NOT_NEEDED = "not needed"
UNKNOWN = (
    "Nobody knows whether this message went out: the sender was killed, or the mail server fell "
    "silent, just after it was handed over. It is not sent again, so that nobody gets it twice."
)


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message this sender may send now.

    Attributes:
        id: of its row.
        mail: what to send.
        repeatable: whether it may go out twice rather than not at all.
    """

    id: int
    mail: Mail
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sender took out of the outbox.

    Attributes:
        messages: to be sent now, the longest due first.
        taken: how many rows were looked at, those included that need not be sent any more;
            0 means that nothing is due.
    """

    messages: tuple[ClaimedMessage, ...]
    taken: int


def queue_message(
    session: Session,
    *,
    occasion: str,
    trial: TrialRow | None,
    recipient: str,
    subject: str,
    body: str,
    due_at: datetime,
    void_after: datetime | None = None,
    day: DiaryDayRow | None = None,
    repeatable: bool = True,
    channel: str = "email",
    priority: int = ORDINARY,
) -> bool:
    """Put a message into the outbox; return whether it is about something new.

    Args:
        session: the transaction that gives the occasion.
        occasion: what it is about; a second message about the same is not taken.
        trial: the trial it belongs to, if any.
        recipient: e-mail address, or as ``MessageRow.recipient`` says for other channels.
        subject: one line.
        body: plain text.
        due_at: UTC instant from which it is sent.
        void_after: UTC instant from which it is better not sent at all.
        day: the diary day it asks for; it is not sent once that day is not open.
        repeatable: see ``MessageRow.repeatable``.
        channel: "email", "sms" or "push".
        priority: see ``MessageRow.priority``.
    """
    new = NewMessage(
        occasion=occasion,
        trial_id=None if trial is None else trial.id,
        diary_day_id=None if day is None else day.id,
        recipient=recipient,
        subject=subject,
        body=body,
        due_at=due_at,
        void_after=void_after,
        repeatable=repeatable,
        channel=channel,
        priority=priority,
    )
    return queue_messages(session, [new]) == 1


def queue_messages(session: Session, messages: Iterable[NewMessage]) -> int:
    """Put many messages into the outbox; return how many are about something new."""
    return add_messages(session, list(messages))


def claim_messages(
    session: Session, worker: str, now: datetime, *, lease: timedelta = LEASE
) -> Claim:
    """Take some messages that are due; the caller commits at once.

    Urgent ones come first, whatever else has been due for however long. What came too late, what
    asks for a diary that is answered by now, and what may have gone out already is settled here
    and not handed to the sender.
    """
    rows: list[MessageRow] = []
    for priority in PRIORITIES:  # the urgent ones by themselves: nothing that waits delays them
        such = MessageRow.priority == priority
        rows = rows or claim_several(session, MessageRow, worker, now, lease, MOST_AT_ONCE, such)
    asking = [row.diary_day_id for row in rows if row.diary_day_id is not None]
    settled_days = days_not_open(session, asking) if asking else set()
    browsers = pushes_named(session, (r.recipient for r in rows if r.channel == "push"))
    deaf = [r.id for r in rows if r.channel == "push" and _is_deaf(browsers.get(r.recipient))]
    unknown = [row.id for row in rows if row.sending_at is not None and not row.repeatable]
    late = [row.id for row in rows if row.void_after is not None and row.void_after <= now]
    idle = [row.id for row in rows if row.diary_day_id in settled_days] + deaf
    mark_unknown(session, unknown, UNKNOWN, now)
    drop_messages(session, [i for i in late if i not in unknown], TOO_LATE, now)
    drop_messages(session, [i for i in idle if i not in {*unknown, *late}], NOT_NEEDED, now)
    settled = {*unknown, *late, *idle}
    messages = tuple(
        _claimed(row, browsers.get(row.recipient), now) for row in rows if row.id not in settled
    )
    return Claim(messages, taken=len(rows))


def may_hand_over(
    session: Session,
    message: ClaimedMessage,
    worker: str,
    now: datetime,
    *,
    lease: timedelta = LEASE,
) -> bool:
    """Write down that a message is being handed over; the caller commits before it is.

    Returns:
        False if the claim ran out, or the diary was answered meanwhile: then it must not be
        sent.
    """
    return begin_handover(session, message.id, worker, now, now + lease)


def mark_sent(session: Session, message: ClaimedMessage, now: datetime) -> bool:
    """Write down that a message went out, whoever has its row by now."""
    return end_handover(session, message.id, now)


def mark_failed(
    session: Session, message: ClaimedMessage, worker: str, error: DeliveryError, now: datetime
) -> None:
    """Write down that a message was not taken, and try again later where that can help.

    Args:
        session: the transaction.
        message: which.
        worker: who tried.
        error: what the transport said.
        now: UTC instant.
    """
    if error.unknown and not message.repeatable:
        mark_unknown(session, [message.id], f"{UNKNOWN} ({error})", now)
        return
    row = give_back(
        session,
        MessageRow,
        message.id,
        worker,
        now,
        error=str(error),
        most_attempts=1 if error.for_good else MOST_ATTEMPTS,
    )
    if row is None:
        return
    row.sending_at = None
    if error.for_good:
        note_unreachable(session, row, str(error), now)
    session.flush()


def _is_deaf(browser: PushRow | None) -> bool:
    return browser is None or browser.gone_at is not None


def _topic(row: MessageRow) -> str:
    """Return what a message is about: both reminders of a day are about that day."""
    about = row.occasion if row.diary_day_id is None else f"day:{row.diary_day_id}"
    return sha256(about.encode()).hexdigest()[:32]


def _claimed(row: MessageRow, browser: PushRow | None, now: datetime) -> ClaimedMessage:
    mail = Mail(
        public_id=row.public_id,
        recipient=row.recipient,
        subject=row.subject,
        body=row.body,
        written_at=now,
        channel=row.channel,
        topic=_topic(row),
        void_after=row.void_after,
        target=None
        if browser is None
        else PushTarget(browser.endpoint, browser.p256dh, browser.auth),
    )
    return ClaimedMessage(row.id, mail, row.repeatable)
