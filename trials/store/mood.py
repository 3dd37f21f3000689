"""Answers to the two questions about mood; only added, never changed."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base


class MoodScreenRow(Base, kw_only=True):
    """What a patient answered to the two questions, and why they were asked."""

    __tablename__ = "mood_screen"
    __table_args__ = (
        CheckConstraint("low BETWEEN 0 AND 3", name="low_on_scale"),
        CheckConstraint(
            "thoughts IN ('no', 'sometimes', 'often', 'not_said')", name="known_thoughts"
        ),
        CheckConstraint(
            "occasion IN ('baseline', 'weekly', 'low_mood', 'own')", name="known_occasion"
        ),
        Index("ix_mood_screen_trial_id_answered_at", "trial_id", "answered_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    occasion: Mapped[str]
    day: Mapped[date]  # in the patient's time zone
    low: Mapped[int]
    thoughts: Mapped[str]
    answered_at: Mapped[datetime]


def last_screen(session: Session, trial_id: int) -> MoodScreenRow | None:
    """Return the newest answers, or None."""
    query = (
        select(MoodScreenRow)
        .where(MoodScreenRow.trial_id == trial_id)
        .order_by(MoodScreenRow.answered_at.desc(), MoodScreenRow.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def screen_with_key(session: Session, key: str) -> MoodScreenRow | None:
    """Return the answers that were sent under this key, if they arrived before."""
    return session.scalar(select(MoodScreenRow).where(MoodScreenRow.idempotency_key == key))


def screen_keys_kept(
    session: Session, trial_ids: Collection[int], keys: Collection[str]
) -> set[str]:
    """Return under which of these keys answers arrived in these trials."""
    query = select(MoodScreenRow.idempotency_key).where(
        MoodScreenRow.trial_id.in_(trial_ids), MoodScreenRow.idempotency_key.in_(keys)
    )
    return set(session.scalars(query))
