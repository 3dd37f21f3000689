"""What the patient says of a period at its end."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base


class ImpressionRow(Base, kw_only=True):
    """How a period was, all in all, and which box was preferred so far."""

    __tablename__ = "impression"
    __table_args__ = (
        UniqueConstraint("trial_id", "period"),
        CheckConstraint("change BETWEEN 1 AND 7", name="seven_steps"),
        CheckConstraint("preference >= -1", name="a_period_or_none"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    period: Mapped[int]
    change: Mapped[int | None]
    """1 (very much better than before the trial) to 7 (very much worse); None: not answered."""
    words: Mapped[str]
    preference: Mapped[int | None]
    """Number of the period whose box was best so far, 0 no preference, -1 none of them."""
    at: Mapped[datetime]


def impressions_of_trial(session: Session, trial_id: int) -> list[ImpressionRow]:
    """Return what the patient said of each period, in order."""
    query = (
        select(ImpressionRow)
        .where(ImpressionRow.trial_id == trial_id)
        .order_by(ImpressionRow.period)
    )
    return list(session.scalars(query))
