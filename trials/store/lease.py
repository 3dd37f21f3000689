"""Due work as rows: taken by one worker at a time, taken again when that worker dies.

A row with a lease is due from ``due_at`` until it is done. To take one, a worker writes its
name and an end of the lease in a single statement; if it is killed, the lease runs out and
another worker takes the row. Any number of workers may ask at once.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Text, or_, select, text, update
from sqlalchemy.orm import Mapped, MappedAsDataclass, Session, mapped_column

LONGEST_ERROR = 2000
GIVEN_UP = text("failed_at IS NOT NULL AND done_at IS NULL")
"""Of work that somebody has to look at; every kind has an index of it."""


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


def claim_several[Row: LeaseMixin](
    session: Session,
    kind: type[Row],
    worker: str,
    now: datetime,
    lease: timedelta,
    most: int,
    *such: ColumnElement[bool],
) -> list[Row]:
    """Take up to ``most`` due rows at once, the longest due first; commit at once.

    Args:
        session: the transaction.
        kind: which rows.
        worker: who takes them.
        now: UTC instant.
        lease: for how long.
        most: so many.
        such: what else holds of them.
    """
    due = (
        select(kind.id)
        .where(
            *such,
            kind.done_at.is_(None),
            kind.failed_at.is_(None),
            kind.due_at <= now,
            or_(kind.leased_until.is_(None), kind.leased_until <= now),
        )
        .order_by(kind.due_at, kind.id)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = session.scalars(
        update(kind)
        .where(kind.id.in_(select(due.c.id)))
        .values(claimed_by=worker, leased_until=now + lease, attempts=kind.attempts + 1)
        .returning(kind.id),
        execution_options={"synchronize_session": False},
    ).all()
    rows = session.scalars(
        select(kind).where(kind.id.in_(taken)).execution_options(populate_existing=True)
    )
    return sorted(rows, key=lambda row: (row.due_at, row.id))


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after this many attempts: 1, 2, 4 ... minutes, at most an hour."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 10)), timedelta(hours=1))


def give_back[Row: LeaseMixin](
    session: Session,
    kind: type[Row],
    row_id: int,
    worker: str,
    now: datetime,
    *,
    error: str,
    most_attempts: int,
) -> Row | None:
    """Return a row whose work failed, to be tried again later or, in the end, by nobody.

    Args:
        session: the transaction.
        kind: which rows.
        row_id: the row.
        worker: who had it; nothing happens if somebody else has it now.
        now: UTC instant.
        error: what went wrong, for the administrator.
        most_attempts: after so many attempts the row has failed for good.

    Returns:
        The row, or None if it was not this worker's any more.
    """
    held = session.scalar(
        select(kind)
        .where(kind.id == row_id, kind.claimed_by == worker, kind.done_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if held is None:
        return None
    held.last_error = error[:LONGEST_ERROR]
    held.claimed_by = held.leased_until = None
    if held.attempts >= most_attempts:
        held.failed_at = now
    else:
        held.due_at = now + back_off(held.attempts)
    session.flush()
    return held


def try_again(session: Session, row: LeaseMixin, now: datetime) -> None:
    """Put work that was given up back into its queue, as if it had never been tried."""
    row.failed_at = row.claimed_by = row.leased_until = None
    row.attempts, row.due_at = 0, now
    session.flush()
