"""Due work as rows: taken by one worker at a time, taken again when that worker dies.

A row with a lease is due from ``due_at`` until it is done. To take one, a worker writes its
name and an end of the lease in a single statement; if it is killed, the lease runs out and
another worker takes the row. Any number of workers may ask at once.
"""

from datetime import datetime, timedelta

from sqlalchemy import Text, or_, select, update
from sqlalchemy.orm import Mapped, MappedAsDataclass, Session, mapped_column


class LeaseMixin(MappedAsDataclass, kw_only=True):
    """The columns of due work."""

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    due_at: Mapped[datetime] = mapped_column(index=True)
    claimed_by: Mapped[str | None] = mapped_column(default=None)
    leased_until: Mapped[datetime | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None] = mapped_column(default=None, index=True)
    failed_at: Mapped[datetime | None] = mapped_column(default=None)
    last_error: Mapped[str] = mapped_column(Text, default="")


def claim_next[Row: LeaseMixin](
    session: Session, kind: type[Row], worker: str, now: datetime, lease: timedelta
) -> Row | None:
    """Take the row that has been due longest, or return None if nothing is due.

    The caller commits at once, so that others see the lease before the work begins.
    """
    due = (
        select(kind.id)
        .where(
            kind.done_at.is_(None),
            kind.failed_at.is_(None),
            kind.due_at <= now,
            or_(kind.leased_until.is_(None), kind.leased_until <= now),
        )
        .order_by(kind.due_at, kind.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    taken = session.execute(
        update(kind)
        .where(kind.id == due.scalar_subquery())
        .values(claimed_by=worker, leased_until=now + lease, attempts=kind.attempts + 1)
        .returning(kind.id)
    ).scalar_one_or_none()
    return None if taken is None else session.get_one(kind, taken, populate_existing=True)


def still_held[Row: LeaseMixin](session: Session, row: Row, worker: str) -> bool:
    """Return whether this worker may finish the row, holding it until the transaction ends.

    A worker that slept through its lease finds that somebody else has the row now.
    """
    kind = type(row)
    held = session.execute(
        select(kind.id)
        .where(kind.id == row.id, kind.claimed_by == worker, kind.done_at.is_(None))
        .with_for_update()
    ).scalar_one_or_none()
    return held is not None


def extend_lease[Row: LeaseMixin](
    session: Session, kind: type[Row], row_id: int, worker: str, until: datetime
) -> bool:
    """Keep a row longer (a heartbeat); return False if somebody else has it now."""
    kept = session.execute(
        update(kind)
        .where(kind.id == row_id, kind.claimed_by == worker, kind.done_at.is_(None))
        .values(leased_until=until)
        .returning(kind.id)
    ).scalar_one_or_none()
    return kept is not None
