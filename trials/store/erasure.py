"""That the answers of a trial were removed: the only key that lets the database remove them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ForeignKey, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.alert import AlertRow
from trials.store.base import Base, Json
from trials.store.correction import ConfirmationRow, CorrectionRow
from trials.store.diary import DiaryDayRow, DiaryEntryRow
from trials.store.fit import FitRow
from trials.store.impression import ImpressionRow
from trials.store.look import LookRow
from trials.store.photo import PhotoRow
from trials.store.problem import ProblemRow
from trials.store.trial import GuessRow


class ErasureRow(Base, kw_only=True):
    """The answers of this trial were removed, as its patient had agreed. It stays for ever."""

    __tablename__ = "erasure"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), unique=True)
    at: Mapped[datetime]
    author: Mapped[str]
    removed: Mapped[Json]
    """How many rows of what."""


def erasure_of(session: Session, trial_id: int) -> ErasureRow | None:
    """Return the erasure of a trial, or None."""
    return session.scalar(select(ErasureRow).where(ErasureRow.trial_id == trial_id))


def erased_trials(session: Session, trial_ids: Collection[int]) -> set[int]:
    """Return of which of these trials the answers were removed."""
    query = select(ErasureRow.trial_id).where(ErasureRow.trial_id.in_(trial_ids))
    return set(session.scalars(query))


def count_answers(session: Session, trial_id: int) -> dict[str, int]:
    """Return how many rows an erasure of this trial removes."""
    days = select(DiaryDayRow.id).where(DiaryDayRow.trial_id == trial_id)
    counted = {
        "entries": (DiaryEntryRow, DiaryEntryRow.diary_day_id.in_(days)),
        "corrections": (CorrectionRow, CorrectionRow.diary_day_id.in_(days)),
        "photos": (PhotoRow, PhotoRow.trial_id == trial_id),
        "guesses": (GuessRow, GuessRow.trial_id == trial_id),
        "impressions": (ImpressionRow, ImpressionRow.trial_id == trial_id),
        "problems": (ProblemRow, ProblemRow.trial_id == trial_id),
        "analyses": (FitRow, FitRow.trial_id == trial_id),
        "looks": (LookRow, LookRow.trial_id == trial_id),
    }
    return {
        name: session.scalar(select(func.count()).select_from(row).where(which)) or 0
        for name, (row, which) in counted.items()
    }


def remove_answers(session: Session, trial_id: int) -> None:
    """Remove all that the patient reported, and what was computed from it.

    The database refuses this unless there is an erasure of the trial. Alerts, adverse events and
    screens of mood stay: a clinic has to account for what it did about a danger. An alert only
    forgets which entry raised it.
    """
    days = select(DiaryDayRow.id).where(DiaryDayRow.trial_id == trial_id)
    entries = select(DiaryEntryRow.id).where(DiaryEntryRow.diary_day_id.in_(days))
    for statement in (
        update(AlertRow).where(AlertRow.diary_entry_id.in_(entries)).values(diary_entry_id=None),
        delete(ConfirmationRow).where(ConfirmationRow.entry_id.in_(entries)),
        delete(CorrectionRow).where(CorrectionRow.diary_day_id.in_(days)),
        delete(PhotoRow).where(PhotoRow.trial_id == trial_id),
        delete(DiaryEntryRow).where(DiaryEntryRow.diary_day_id.in_(days)),
        delete(GuessRow).where(GuessRow.trial_id == trial_id),
        delete(ImpressionRow).where(ImpressionRow.trial_id == trial_id),
        delete(ProblemRow).where(ProblemRow.trial_id == trial_id),
        delete(FitRow).where(FitRow.trial_id == trial_id),
        delete(LookRow).where(LookRow.trial_id == trial_id),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})
