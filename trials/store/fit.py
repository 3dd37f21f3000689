"""Requested and finished analyses."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, Json, new_public_id
from trials.store.lease import GIVEN_UP, LeaseMixin

_WAITING = text("done_at IS NULL AND failed_at IS NULL")


class FitRow(Base, LeaseMixin, kw_only=True):
    """One analysis of one trial: asked for by a row, run by a worker, kept for good.

    ``summary`` holds masked arms only. ``sealed_summary`` holds what would tell arms apart
    (half-lives, the comparator), encrypted like the code of the allocation.
    """

    __tablename__ = "fit"
    __table_args__ = (
        CheckConstraint("purpose IN ('interim', 'final')", name="known_purpose"),
        UniqueConstraint("trial_id", "purpose", "data_hash", "protocol_hash"),
        Index("ix_fit_trial_done", "trial_id", "done_at"),
        Index("ix_fit_waiting", "due_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index(
            "ix_fit_given_up",
            "failed_at",
            sqlite_where=GIVEN_UP,
            postgresql_where=GIVEN_UP,
        ),
    )

    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    purpose: Mapped[str]
    requested_at: Mapped[datetime]
    requested_by: Mapped[str]
    protocol_hash: Mapped[str]
    data_hash: Mapped[str]
    seed: Mapped[int]
    summary: Mapped[Json | None] = mapped_column(default=None)
    sealed_summary: Mapped[bytes | None] = mapped_column(default=None)
    draws_file: Mapped[str] = mapped_column(default="")


class ReleaseRow(Base, kw_only=True):
    """An analyst approved this fit as the trial's result; from here on it is open."""

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("trial_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    fit_id: Mapped[int] = mapped_column(ForeignKey("fit.id"))
    approved_by: Mapped[int] = mapped_column(ForeignKey("account.id"))
    approved_at: Mapped[datetime]
    comment: Mapped[str]
    opened: Mapped[Json]
    """The allocation in clear: sequence, arm key and seed, so that anybody can check."""


def latest_fit(session: Session, trial_id: int, purpose: str | None = None) -> FitRow | None:
    """Return the newest finished fit of a trial."""
    query = (
        select(FitRow)
        .where(FitRow.trial_id == trial_id, FitRow.done_at.is_not(None))
        .order_by(FitRow.done_at.desc(), FitRow.id.desc())
        .limit(1)
    )
    if purpose is not None:
        query = query.where(FitRow.purpose == purpose)
    return session.scalar(query)


def find_fit(session: Session, public_id: str) -> FitRow | None:
    """Return the fit with this public id."""
    return session.scalar(select(FitRow).where(FitRow.public_id == public_id))


def same_fit(
    session: Session, trial_id: int, purpose: str, data_hash: str, protocol_hash: str
) -> FitRow | None:
    """Return the fit of exactly these data and this protocol, done or waiting."""
    return session.scalar(
        select(FitRow).where(
            FitRow.trial_id == trial_id,
            FitRow.purpose == purpose,
            FitRow.data_hash == data_hash,
            FitRow.protocol_hash == protocol_hash,
        )
    )


def fit_not_begun(session: Session, trial_id: int, purpose: str) -> FitRow | None:
    """Return the fit that waits for its first worker, if there is one."""
    return session.scalar(
        select(FitRow)
        .where(
            FitRow.trial_id == trial_id,
            FitRow.purpose == purpose,
            FitRow.attempts == 0,
            FitRow.done_at.is_(None),
            FitRow.failed_at.is_(None),
        )
        .order_by(FitRow.id)
        .limit(1)
    )


def fits_of_trial(session: Session, trial_id: int) -> list[FitRow]:
    """Return the fits of a trial, the newest request first."""
    query = select(FitRow).where(FitRow.trial_id == trial_id).order_by(FitRow.id.desc())
    return list(session.scalars(query))


def release_of(session: Session, trial_id: int) -> ReleaseRow | None:
    """Return the release of a trial's result."""
    return session.scalar(select(ReleaseRow).where(ReleaseRow.trial_id == trial_id))
