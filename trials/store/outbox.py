"""Messages to be sent, each exactly once."""

from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from trials.store.base import Base, new_public_id
from trials.store.lease import LeaseMixin


class MessageRow(Base, LeaseMixin, kw_only=True):
    """One message to one person.

    ``occasion`` names what it is about, such as "diary-open:DAY-ID"; being unique it makes a
    second message about the same thing impossible, however many schedulers ask for it.
    """

    __tablename__ = "message"

    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    occasion: Mapped[str] = mapped_column(unique=True)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), index=True)
    recipient: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    void_after: Mapped[datetime | None] = mapped_column(default=None)
    """A message that could not go out by then is dropped: yesterday's reminder helps nobody."""
