"""What designs can tell: asked for when a draft is kept, computed by a worker, kept for good.

A row is about a design and about nobody: two trials of the same design share it.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, Json
from trials.store.lease import GIVEN_UP, LeaseMixin

_WAITING = text("done_at IS NULL AND failed_at IS NULL")


class CalibrationRow(Base, LeaseMixin, kw_only=True):
    """The study of one design, due until it is done.

    ``design_hash`` covers all that decides the answer; being unique it makes a second study of
    the same design impossible, however many ask for it.
    """

    __tablename__ = "calibration"
    __table_args__ = (
        CheckConstraint("done_at IS NULL OR threshold IS NOT NULL", name="done_has_threshold"),
        Index(
            "ix_calibration_waiting",
            "due_at",
            "id",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index(
            "ix_calibration_given_up",
            "failed_at",
            sqlite_where=GIVEN_UP,
            postgresql_where=GIVEN_UP,
        ),
    )

    design_hash: Mapped[str] = mapped_column(unique=True)
    specification: Mapped[Json]
    """What is fitted and the rule, arms in the order of the protocol's candidates."""
    design: Mapped[Json]
    sd: Mapped[float | None] = mapped_column(default=None)
    """The patient's own day-to-day standard deviation, where it is known."""
    autocorrelation: Mapped[float | None] = mapped_column(default=None)
    asked_at: Mapped[datetime]
    threshold: Mapped[float | None] = mapped_column(default=None)
    threshold_low: Mapped[float | None] = mapped_column(default=None)
    threshold_high: Mapped[float | None] = mapped_column(default=None)
    trials: Mapped[int | None] = mapped_column(default=None)
    """Simulated without any difference, for the threshold."""
    characteristics: Mapped[Json | None] = mapped_column(default=None)
    seconds: Mapped[float | None] = mapped_column(default=None)


def add_calibration(
    session: Session,
    *,
    design_hash: str,
    specification: Json,
    design: Json,
    sd: float | None,
    autocorrelation: float | None,
    now: datetime,
) -> bool:
    """Ask for the study of a design; return False if it was asked for before."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(CalibrationRow)
        .values(
            design_hash=design_hash,
            specification=specification,
            design=design,
            sd=sd,
            autocorrelation=autocorrelation,
            asked_at=now,
            due_at=now,
            attempts=0,
            last_error="",
        )
        .on_conflict_do_nothing(index_elements=["design_hash"])
        .returning(CalibrationRow.id)
    )
    return session.scalar(statement) is not None


def find_calibration(session: Session, design_hash: str) -> CalibrationRow | None:
    """Return the study of this design as it is now."""
    return session.scalar(
        select(CalibrationRow)
        .where(CalibrationRow.design_hash == design_hash)
        .execution_options(populate_existing=True)
    )


def studies_before(session: Session, row: CalibrationRow) -> int:
    """Return how many unfinished studies are due before this one."""
    kind = CalibrationRow
    earlier = (kind.due_at < row.due_at) | ((kind.due_at == row.due_at) & (kind.id < row.id))
    query = select(func.count(kind.id)).where(
        kind.done_at.is_(None), kind.failed_at.is_(None), earlier
    )
    return session.scalar(query) or 0


def usual_seconds(session: Session) -> float | None:
    """Return the mean time of the studies done so far; None before the first."""
    return session.scalar(select(func.avg(CalibrationRow.seconds)))
