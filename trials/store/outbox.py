"""Messages to be sent, each exactly once."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from trials.store.base import Base, new_public_id
from trials.store.lease import LeaseMixin

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
        Index(
            "ix_message_waiting", "due_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING
        ),
    )

    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    occasion: Mapped[str] = mapped_column(unique=True)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), index=True)
    diary_day_id: Mapped[int | None] = mapped_column(ForeignKey("diary_day.id"), default=None)
    """The diary day it asks for; once that day is not open any more, it is not sent."""
    recipient: Mapped[str]
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
