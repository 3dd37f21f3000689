"""Planned looks: one row for each block after which the frozen rule is applied early."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, Json, new_public_id
from trials.store.lease import GIVEN_UP, LeaseMixin

_WAITING = text("done_at IS NULL AND failed_at IS NULL")


class LookRow(Base, LeaseMixin, kw_only=True):
    """One planned look at one trial.

    The rows are written when the trial starts, so there is none that the protocol did not
    plan; the unique block makes every look happen once. ``summary`` holds masked arms only,
    ``sealed_summary`` what would tell them apart, as with a fit.
    """

    __tablename__ = "look"
    __table_args__ = (
        UniqueConstraint("trial_id", "block"),
        CheckConstraint(
            "outcome IN ('', 'clear', 'not_clear', 'not_needed')", name="known_outcome"
        ),
        Index("ix_look_waiting", "due_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index(
            "ix_look_given_up",
            "failed_at",
            sqlite_where=GIVEN_UP,
            postgresql_where=GIVEN_UP,
        ),
    )

    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    block: Mapped[int]
    outcome: Mapped[str] = mapped_column(default="")
    """What the frozen rule said: "clear" if one arm was best. "" until it is taken."""
    harm: Mapped[bool] = mapped_column(default=False)
    """Whether an arm was vetoed for harm."""
    data_hash: Mapped[str] = mapped_column(default="")
    """Keyed hash of the diary that was looked at."""
    summary: Mapped[Json | None] = mapped_column(default=None)
    sealed_summary: Mapped[bytes | None] = mapped_column(default=None)


def plan_looks(session: Session, trial_id: int, due: Iterable[tuple[int, datetime]]) -> None:
    """Write down after which blocks the rule is applied, and when these are over at the soonest."""
    session.add_all(LookRow(trial_id=trial_id, block=block, due_at=at) for block, at in due)
    session.flush()


def looks_of_trial(session: Session, trial_id: int) -> list[LookRow]:
    """Return the planned looks of a trial, in order."""
    query = select(LookRow).where(LookRow.trial_id == trial_id).order_by(LookRow.block)
    return list(session.scalars(query))
