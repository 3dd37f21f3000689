"""Photos that belong to a diary entry, sealed: a copy of the database shows none of them."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, new_public_id
from trials.store.diary import DiaryDayRow, DiaryEntryRow


class PhotoRow(Base, kw_only=True):
    """One photo of one entry. Rows are only added, and go only with an erasure."""

    __tablename__ = "photo"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("diary_entry.id"), unique=True)
    sealed: Mapped[bytes] = mapped_column(deferred=True)  # a JPEG, AES-256-GCM
    received_at: Mapped[datetime]


def photo_of_entry(session: Session, entry_id: int) -> PhotoRow | None:
    """Return the photo of an entry, or None."""
    return session.scalar(select(PhotoRow).where(PhotoRow.entry_id == entry_id))


def find_photo(session: Session, trial_id: int, public_id: str) -> PhotoRow | None:
    """Return the photo of a trial with this public id."""
    query = select(PhotoRow).where(PhotoRow.trial_id == trial_id, PhotoRow.public_id == public_id)
    return session.scalar(query)


def photos_of_trial(session: Session, trial_id: int) -> list[tuple[date, PhotoRow]]:
    """Return the photos of a trial with the day they are about, newest day first."""
    query = (
        select(DiaryDayRow.day, PhotoRow)
        .join(DiaryEntryRow, DiaryEntryRow.id == PhotoRow.entry_id)
        .join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
        .where(PhotoRow.trial_id == trial_id)
        .order_by(DiaryDayRow.day.desc(), PhotoRow.id.desc())
    )
    return [(day, row) for day, row in session.execute(query)]


def photo_keys_kept(session: Session, author: str, keys: Collection[str]) -> set[str]:
    """Return the keys of one author's entries whose photo arrived."""
    query = (
        select(DiaryEntryRow.idempotency_key)
        .join(PhotoRow, PhotoRow.entry_id == DiaryEntryRow.id)
        .where(DiaryEntryRow.idempotency_key.in_(keys), DiaryEntryRow.author == author)
    )
    return set(session.scalars(query))
