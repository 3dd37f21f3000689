"""Problems that a patient told the clinic, until somebody has dealt with them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, new_public_id


class ProblemRow(Base, kw_only=True):
    """One problem in the patient's words."""

    __tablename__ = "problem"
    __table_args__ = (
        CheckConstraint("kind IN ('medicine', 'box', 'diary', 'other')", name="known_kind"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    kind: Mapped[str]
    words: Mapped[str]
    at: Mapped[datetime]
    settled_at: Mapped[datetime | None] = mapped_column(default=None)
    settled_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"), default=None)


def problems_of_trial(session: Session, trial_id: int) -> list[ProblemRow]:
    """Return the problems of a trial, the newest first."""
    query = select(ProblemRow).where(ProblemRow.trial_id == trial_id).order_by(ProblemRow.id.desc())
    return list(session.scalars(query))


def find_problem(session: Session, trial_id: int, public_id: str) -> ProblemRow | None:
    """Return the problem of a trial with this public id."""
    return session.scalar(
        select(ProblemRow).where(ProblemRow.trial_id == trial_id, ProblemRow.public_id == public_id)
    )
