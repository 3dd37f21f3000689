"""Messages to be sent, each exactly once."""

from collections.abc import Sequence
from datetime import datetime
from typing import NotRequired, TypedDict

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    exists,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, new_public_id
from trials.store.diary import DiaryDayRow
from trials.store.lease import GIVEN_UP, LeaseMixin

URGENT, ORDINARY = 0, 1
PRIORITIES = (URGENT, ORDINARY)

_WAITING = text("done_at IS NULL AND failed_at IS NULL")


class MessageRow(Base, LeaseMixin, kw_only=True):
    """One message to one person.

    ``occasion`` names what it is about, such as "diary-open:DAY-ID"; being unique it makes a
    second message about the same thing impossible, however many schedulers ask for it.

    ``done_at`` means that nothing is left to do: it was sent or, if ``dropped`` gives a
    reason, deliberately not. ``failed_at`` means that somebody has to look at it.
    """

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint("channel IN ('email', 'sms', 'push')", name="known_channel"),
        Index(
            "ix_message_waiting",
            "priority",
            "due_at",
            "id",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index(
            "ix_message_given_up",
            "failed_at",
            sqlite_where=GIVEN_UP,
            postgresql_where=GIVEN_UP,
        ),
    )

    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    occasion: Mapped[str] = mapped_column(unique=True)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), index=True)
    diary_day_id: Mapped[int | None] = mapped_column(ForeignKey("diary_day.id"), default=None)
    """The diary day it asks for; once that day is not open any more, it is not sent."""
    priority: Mapped[int] = mapped_column(default=ORDINARY, server_default=str(ORDINARY))
    """``URGENT`` goes out before everything else that is due, however long that has waited."""
    channel: Mapped[str] = mapped_column(default="email")
    recipient: Mapped[str]
    """An e-mail address, a telephone number, or the public id of a browser that takes push."""
    subject: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    void_after: Mapped[datetime | None] = mapped_column(default=None)
    """A message that could not go out by then is dropped: yesterday's reminder helps nobody."""
    repeatable: Mapped[bool] = mapped_column(default=True)
    """Whether, when a crash leaves unknown if it went out, it is sent again (with the same
    Message-ID) rather than perhaps not at all. Reminders are not: a second one is coming."""
    sending_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it was handed over; committed before, so that a crash in between is known of."""
    dropped: Mapped[str] = mapped_column(default="")
    """Why it was not sent after all: "too late" or "not needed"; "" if it was sent."""


class NewMessage(TypedDict):
    """What is said when a message is put into the outbox; the rest follows."""

    occasion: str
    trial_id: int | None
    diary_day_id: int | None
    recipient: str
    subject: str
    body: str
    due_at: datetime
    void_after: datetime | None
    repeatable: bool
    channel: NotRequired[str]
    priority: NotRequired[int]


def add_messages(session: Session, messages: Sequence[NewMessage]) -> int:
    """Put messages into the outbox; return how many were about something new."""
    if not messages:
        return 0
    blank: dict[str, object] = {
        "priority": ORDINARY,
        "channel": "email",
        "attempts": 0,
        "last_error": "",
        "dropped": "",
    }
    values = [{**blank, **m, "public_id": new_public_id()} for m in messages]
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(MessageRow).on_conflict_do_nothing(index_elements=["occasion"])
    return len(session.scalars(statement.returning(MessageRow.id), values).all())


def days_not_open(session: Session, day_ids: Sequence[int]) -> set[int]:
    """Return which of these diary days nobody needs to be asked for any more."""
    query = select(DiaryDayRow.id).where(DiaryDayRow.id.in_(day_ids), DiaryDayRow.state != "open")
    return set(session.scalars(query))


def drop_messages(session: Session, ids: Sequence[int], reason: str, now: datetime) -> None:
    """Let these messages be, and keep why."""
    if ids:
        session.execute(
            update(MessageRow).where(MessageRow.id.in_(ids)).values(done_at=now, dropped=reason),
            execution_options={"synchronize_session": False},
        )


def mark_unknown(session: Session, ids: Sequence[int], error: str, now: datetime) -> None:
    """Fail messages of which nobody knows whether they went out."""
    if ids:
        session.execute(
            update(MessageRow)
            .where(MessageRow.id.in_(ids))
            .values(failed_at=now, last_error=error),
            execution_options={"synchronize_session": False},
        )


def begin_handover(
    session: Session, message_id: int, worker: str, now: datetime, until: datetime
) -> bool:
    """Write down that a message is being handed over; return False if it must not be.

    It must not if it is not ours any more, or if it became pointless since it was claimed: the
    diary that it asks for was answered, or it is too late for it.
    """
    still_asked = exists().where(
        DiaryDayRow.id == MessageRow.diary_day_id, DiaryDayRow.state == "open"
    )
    ours = session.scalar(
        update(MessageRow)
        .where(
            MessageRow.id == message_id,
            MessageRow.claimed_by == worker,
            MessageRow.leased_until > now,
            MessageRow.done_at.is_(None),
            MessageRow.failed_at.is_(None),
            or_(MessageRow.void_after.is_(None), MessageRow.void_after > now),
            or_(MessageRow.diary_day_id.is_(None), still_asked),
        )
        .values(sending_at=now, leased_until=until)
        .returning(MessageRow.id),
        execution_options={"synchronize_session": False},
    )
    return ours is not None


def end_handover(session: Session, message_id: int, now: datetime) -> bool:
    """Write down that a message went out, even where it was given up meanwhile."""
    first = session.scalar(
        update(MessageRow)
        .where(MessageRow.id == message_id, MessageRow.done_at.is_(None))
        .values(done_at=now, failed_at=None, last_error="")
        .returning(MessageRow.id),
        execution_options={"synchronize_session": False},
    )
    return first is not None


def drop_waiting(
    session: Session, trial_id: int, occasions: str, reason: str, now: datetime
) -> None:
    """Let be what waits to be sent about a thing, and keep why.

    Args:
        session: the transaction.
        trial_id: row id of the trial they belong to.
        occasions: how the occasions begin, such as "alert:k3v9...:".
        reason: kept with the rows.
        now: UTC instant.
    """
    session.execute(
        update(MessageRow)
        .where(
            MessageRow.trial_id == trial_id,
            MessageRow.occasion.startswith(occasions, autoescape=True),
            MessageRow.done_at.is_(None),
            MessageRow.sending_at.is_(None),
        )
        .values(done_at=now, dropped=reason),
        execution_options={"synchronize_session": False},
    )
