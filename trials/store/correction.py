"""Corrections of a diary day after its window, and the patient's word on what others wrote."""

from datetime import date, datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, Json, new_public_id
from trials.store.diary import DiaryDayRow, DiaryEntryRow


class CorrectionRow(Base, kw_only=True):
    """A change of a reported day that was asked for after the diary had closed.

    The patient's own counts at once. What a member of staff heard by telephone waits until the
    patient has confirmed it: nobody else changes a pain score (rule D-06).
    """

    __tablename__ = "correction"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'confirmed', 'declined')", name="known_state"),
        CheckConstraint("source IN ('patient', 'phone')", name="known_source"),
        CheckConstraint("(state = 'waiting') = (settled_at IS NULL)", name="settled_with_time"),
        CheckConstraint(
            "(state = 'confirmed') = (entry_id IS NOT NULL)", name="confirmed_is_an_entry"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    diary_day_id: Mapped[int] = mapped_column(ForeignKey("diary_day.id"), index=True)
    idempotency_key: Mapped[str] = mapped_column(unique=True)
    author: Mapped[str]  # public id of the patient or of the staff account
    source: Mapped[str]
    reason: Mapped[str]
    before: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))  # answers that counted
    after: Mapped[Json]  # answers that are to count
    asked_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="waiting")
    settled_at: Mapped[datetime | None] = mapped_column(default=None)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("diary_entry.id"), default=None)


class ConfirmationRow(Base, kw_only=True):
    """The patient's word on a report that somebody else wrote down; the first word stands."""

    __tablename__ = "confirmation"

    entry_id: Mapped[int] = mapped_column(ForeignKey("diary_entry.id"), primary_key=True)
    is_right: Mapped[bool]
    at: Mapped[datetime]


def correction_with_key(session: Session, idempotency_key: str) -> CorrectionRow | None:
    """Return the correction that was sent under this key, if it arrived before."""
    return session.scalar(
        select(CorrectionRow).where(CorrectionRow.idempotency_key == idempotency_key)
    )


def find_correction(session: Session, trial_id: int, public_id: str) -> CorrectionRow | None:
    """Return a correction of this trial, held until the transaction ends."""
    query = (
        select(CorrectionRow)
        .join(DiaryDayRow, DiaryDayRow.id == CorrectionRow.diary_day_id)
        .where(DiaryDayRow.trial_id == trial_id, CorrectionRow.public_id == public_id)
        .with_for_update(of=CorrectionRow)
    )
    return session.scalar(query)


def corrections_of_trial(session: Session, trial_id: int) -> list[tuple[date, CorrectionRow]]:
    """Return every correction of a trial with its day, the newest first."""
    query = (
        select(DiaryDayRow.day, CorrectionRow)
        .join(DiaryDayRow, DiaryDayRow.id == CorrectionRow.diary_day_id)
        .where(DiaryDayRow.trial_id == trial_id)
        .order_by(CorrectionRow.id.desc())
    )
    return [(day, row) for day, row in session.execute(query)]


def waiting_correction(session: Session, day_id: int) -> CorrectionRow | None:
    """Return the correction of a day that waits for the patient, if there is one."""
    query = select(CorrectionRow).where(
        CorrectionRow.diary_day_id == day_id, CorrectionRow.state == "waiting"
    )
    return session.scalars(query).first()


def confirmations_of_trial(session: Session, trial_id: int) -> dict[int, ConfirmationRow]:
    """Return the patient's word on reports of others, by entry."""
    query = (
        select(ConfirmationRow)
        .join(DiaryEntryRow, DiaryEntryRow.id == ConfirmationRow.entry_id)
        .join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
        .where(DiaryDayRow.trial_id == trial_id)
    )
    return {row.entry_id: row for row in session.scalars(query)}
