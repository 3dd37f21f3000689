"""How the machine is: which processes live and what they did last, what waits, what was given up.

For administrators, who read no clinical data: whom a message was for is left out, and of an
analysis that failed only the kind of its error is told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, TextClause, and_, func, select
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import NotFoundError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.store.calibration import CalibrationRow
from trials.store.clockwork import due_now
from trials.store.fit import FitRow
from trials.store.lease import GIVEN_UP, try_again
from trials.store.look import LookRow
from trials.store.outbox import MessageRow
from trials.store.process import Tick, last_ticks, processes

type DueRow = MessageRow | FitRow | LookRow | CalibrationRow
type DueWork = type[DueRow]

QUEUES: dict[str, DueWork] = {
    "messages": MessageRow,
    "analyses": FitRow,
    "looks": LookRow,
    "designs": CalibrationRow,
}
"""The kinds of due work that workers take, by the name metrics and addresses give them."""

SEEN_LATELY = timedelta(minutes=2)
MOST_FAILURES = 50
_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+|\+[0-9]{7,15}")
_KIND_OF_ERROR = re.compile(r"[A-Za-z_.]+")


@dataclass(frozen=True, slots=True)
class Process:
    """A scheduler or worker, whether it was seen in the last minutes, and its last ticks."""

    name: str
    kind: str
    started_at: datetime
    last_seen_at: datetime
    is_alive: bool
    ticks: Mapping[str, Tick]


@dataclass(frozen=True, slots=True)
class Queue:
    """Due work of one kind, in numbers.

    Attributes:
        waiting: not done, not given up.
        overdue: of those, due for more than some minutes.
        failed: given up; somebody has to look.
        oldest_due: since when the oldest is due, or will be; None if nothing waits.
    """

    waiting: int
    overdue: int
    failed: int
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Work that was given up: when, after how many attempts, and what went wrong.

    Attributes:
        queue: its kind, a key of ``QUEUES``.
        id: of its row.
        way: of a message, by which channel; "" for other work.
        failed_at: UTC instant.
        attempts: how many there were.
        error: what went wrong, without addresses and clinical data.
    """

    queue: str
    id: int
    way: str
    failed_at: datetime
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Condition:
    """How the machine is.

    Attributes:
        processes: those that did not say good-bye.
        queues: work that workers take, by a key of ``QUEUES``.
        clock: what the clock itself has to do, by a key of ``trials.store.clockwork.due_now``.
        given_up: the newest failures of all kinds, newest first.
    """

    processes: tuple[Process, ...]
    queues: Mapping[str, Queue]
    clock: Mapping[str, Queue]
    given_up: tuple[GivenUp, ...]

    @property
    def is_served(self) -> bool:
        """Whether a scheduler was seen in the last minutes."""
        return any(p.is_alive and p.kind == "scheduler" for p in self.processes)


def condition_of_machine(session: Session, actor: Actor, *, now: datetime) -> Condition:
    """Return which processes run and how much work waits, for all sites together.

    Raises:
        NotAllowedError: the actor is no administrator.
    """
    require_role(actor, Role.ADMINISTRATOR)
    ticks = last_ticks(session)
    return Condition(
        processes=tuple(
            Process(
                row.name,
                row.kind,
                row.started_at,
                row.last_seen_at,
                is_alive=now - row.last_seen_at < SEEN_LATELY,
                ticks=ticks.get(row.name, {}),
            )
            for row in processes(session)
        ),
        queues={name: queue_of(session, kind, now) for name, kind in QUEUES.items()},
        clock=clock_queues(session, now),
        given_up=_given_up(session),
    )


def queue_of(session: Session, kind: DueWork, now: datetime) -> Queue:
    """Return how much work of a kind waits, by the indexes of what waits and what failed."""
    waiting = and_(kind.done_at.is_(None), kind.failed_at.is_(None))
    query = select(
        func.count(), func.count().filter(kind.due_at < now - SEEN_LATELY), func.min(kind.due_at)
    )
    count, overdue, oldest = session.execute(query.where(waiting)).one()
    failed = session.scalar(select(func.count()).select_from(kind).where(GIVEN_UP))
    return Queue(count, overdue, failed or 0, oldest)


def clock_queues(session: Session, now: datetime) -> dict[str, Queue]:
    """Return what the clock has to do now; it is overdue if the clock stood still for minutes."""
    due, long_due = due_now(session, now), due_now(session, now - SEEN_LATELY)
    return {
        name: Queue(count, long_due[name][0], failed=0, oldest_due=oldest)
        for name, (count, oldest) in due.items()
    }


def do_again(session: Session, actor: Actor, queue: str, row_id: int, now: datetime) -> None:
    """Put work that was given up back into its queue; a second click changes nothing.

    Raises:
        NotAllowedError: the actor is no administrator.
        NotFoundError: there is no such work.
    """
    require_role(actor, Role.ADMINISTRATOR)
    kind = QUEUES.get(queue)
    found = _rows(session, kind, kind.id == row_id, most=1) if kind else []
    row = found[0] if found else None
    if row is None:
        raise NotFoundError(_("There is no such work."))
    if row.failed_at is None:
        return
    if isinstance(row, MessageRow):
        row.sending_at = None
    try_again(session, row, now)
    subject = f"message:{row.public_id}" if isinstance(row, MessageRow) else f"{queue}:{row.id}"
    record(session, actor, "do_again", subject, now)


def _given_up(session: Session) -> tuple[GivenUp, ...]:
    found = []
    for name, kind in QUEUES.items():
        for row in _rows(session, kind, GIVEN_UP, most=MOST_FAILURES):
            assert row.failed_at is not None  # noqa: S101  # that is what was asked for
            way = row.channel if isinstance(row, MessageRow) else ""
            error = _told(row)
            found.append(GivenUp(name, row.id, way, row.failed_at, row.attempts, error))
    found.sort(key=lambda one: (one.failed_at, one.id), reverse=True)
    return tuple(found[:MOST_FAILURES])


def _rows(
    session: Session, kind: DueWork, which: ColumnElement[bool] | TextClause, *, most: int
) -> list[DueRow]:
    """Return rows of a kind of work, the newest failure first."""
    query = select(kind).where(which).order_by(kind.failed_at.desc()).limit(most)
    return cast("list[DueRow]", session.scalars(query).unique().all())


def _told(row: DueRow) -> str:
    """Return what went wrong, as far as an administrator may read it."""
    if isinstance(row, MessageRow):
        return _ADDRESS.sub("…", row.last_error)
    kind = _KIND_OF_ERROR.match(row.last_error)
    return kind[0] if kind else ""
