"""Problems that a patient told the clinic, and calls asked for, until they are dealt with."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from trials.store.base import Base, new_public_id
from trials.store.trial import TrialRow

CALL = "call"
_WAITING = text("reminds_at IS NOT NULL")


class ProblemRow(Base, kw_only=True):
    """One problem in the patient's words, or a call that was asked for.

    ``reminds_at`` says when the clinic is reminded of it, once; it is empty after that, and when
    somebody has dealt with it.
    """

    __tablename__ = "problem"
    __table_args__ = (
        CheckConstraint("kind IN ('medicine', 'box', 'diary', 'other', 'call')", name="known_kind"),
        Index(
            "ix_problem_due_to_remind",
            "reminds_at",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    kind: Mapped[str]
    words: Mapped[str]
    at: Mapped[datetime]
    settled_at: Mapped[datetime | None] = mapped_column(default=None)
    settled_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"), default=None)
    reminds_at: Mapped[datetime | None] = mapped_column(default=None)
    trial: Mapped[TrialRow] = relationship(init=False)


def problems_of_trial(session: Session, trial_id: int) -> list[ProblemRow]:
    """Return the problems of a trial, the newest first."""
    query = select(ProblemRow).where(ProblemRow.trial_id == trial_id).order_by(ProblemRow.id.desc())
    return list(session.scalars(query))


def find_problem(session: Session, trial_id: int, public_id: str) -> ProblemRow | None:
    """Return the problem of a trial with this public id."""
    return session.scalar(
        select(ProblemRow).where(ProblemRow.trial_id == trial_id, ProblemRow.public_id == public_id)
    )


def waiting_call(session: Session, trial_id: int) -> ProblemRow | None:
    """Return the call that was asked for and that nobody has noted as made."""
    query = select(ProblemRow).where(
        ProblemRow.trial_id == trial_id,
        ProblemRow.kind == CALL,
        ProblemRow.settled_at.is_(None),
    )
    return session.scalars(query).first()


def trials_with_problems(session: Session, site_id: int) -> set[str]:
    """Return the public ids of a site's trials whose patients wait for an answer."""
    query = (
        select(TrialRow.public_id)
        .join(ProblemRow, ProblemRow.trial_id == TrialRow.id)
        .where(TrialRow.site_id == site_id, ProblemRow.settled_at.is_(None))
    )
    return set(session.scalars(query))


def take_due_problems(session: Session, now: datetime, most: int) -> Sequence[ProblemRow]:
    """Return what the clinic has to be reminded of, held until the transaction ends."""
    query = (
        select(ProblemRow)
        .where(ProblemRow.reminds_at <= now)
        .order_by(ProblemRow.reminds_at, ProblemRow.id)
        .limit(most)
        .with_for_update(of=ProblemRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).all()
