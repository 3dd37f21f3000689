"""What an administrator may know: who did what (not what was written), and how the machine is.

A record about a trial is shown without its content: an administrator reads no clinical data,
and the reason for stopping a trial is clinical.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.errors import NotFoundError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.store.account import AccountRow
from trials.store.audit import AuditRow, chain
from trials.store.base import Json
from trials.store.fit import FitRow
from trials.store.outbox import MessageRow
from trials.store.process import ProcessRow

type DueWork = type[MessageRow | FitRow]

QUEUES: dict[str, DueWork] = {"messages": MessageRow, "analyses": FitRow}
"""The kinds of due work, by the name metrics give them."""

RECORDS_PER_PAGE = 50
SEEN_LATELY = timedelta(minutes=2)
MOST_FAILURES = 50
_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+|\+[0-9]{7,15}")
"""Whom a message was for is nothing an administrator needs to know."""


@dataclass(frozen=True, slots=True)
class TrailRecord:
    """One record of the trail, as an administrator reads it.

    Attributes:
        number: its place in the chain.
        at: UTC instant.
        who: the person's name, or the public id of a patient, or "system".
        role: in what capacity.
        action: the verb.
        subject: kind and public id of the thing.
        before: what was; None where it is about a trial or patient.
        after: what is; likewise.
    """

    number: int
    at: datetime
    who: str
    role: str
    action: str
    subject: str
    before: Json | None
    after: Json | None


@dataclass(frozen=True, slots=True)
class TrailPage:
    """A page of the trail, newest record first; pages count from 1."""

    records: tuple[TrailRecord, ...]
    page: int
    last_page: int


@dataclass(frozen=True, slots=True)
class Process:
    """A scheduler or worker and whether it was seen in the last minutes."""

    name: str
    kind: str
    started_at: datetime
    last_seen_at: datetime
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """Due work of one kind, in numbers.

    Attributes:
        waiting: not done, not given up.
        overdue: of those, due for more than some minutes.
        failed: given up; somebody has to look.
        oldest_due: since when the oldest waits, or None.
    """

    waiting: int
    overdue: int
    failed: int
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that was given up: when, after how many attempts, and what went wrong."""

    public_id: str
    channel: str
    failed_at: datetime
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Condition:
    """How the machine is."""

    processes: tuple[Process, ...]
    messages: Queue
    fits: Queue


def read_trail(session: Session, actor: Actor, *, page: int) -> TrailPage:
    """Return a page of the trail of the actor's site and of the system itself.

    Raises:
        NotAllowedError: the actor is no administrator.
    """
    require_role(actor, Role.ADMINISTRATOR)
    seen = _records_seen_by(actor)
    count = session.scalar(select(func.count()).select_from(AuditRow).where(seen)) or 0
    last_page = max(1, -(-count // RECORDS_PER_PAGE))
    page = min(max(1, page), last_page)
    rows = session.scalars(
        select(AuditRow)
        .where(seen)
        .order_by(AuditRow.number.desc())
        .limit(RECORDS_PER_PAGE)
        .offset((page - 1) * RECORDS_PER_PAGE)
    ).all()
    names = _names_of(session, rows)
    return TrailPage(tuple(_without_content(row, names) for row in rows), page, last_page)


def check_trail(session: Session, actor: Actor) -> int | None:
    """Return the number of the first record that does not fit into the chain, or None.

    Raises:
        NotAllowedError: the actor is no administrator.
    """
    require_role(actor, Role.ADMINISTRATOR)
    return first_broken(chain(session))


def condition_of_machine(session: Session, actor: Actor, *, now: datetime) -> Condition:
    """Return which processes run and how much work waits, for all sites together.

    Raises:
        NotAllowedError: the actor is no administrator.
    """
    require_role(actor, Role.ADMINISTRATOR)
    rows = session.scalars(select(ProcessRow).order_by(ProcessRow.kind, ProcessRow.name))
    processes = tuple(
        Process(r.name, r.kind, r.started_at, r.last_seen_at, now - r.last_seen_at < SEEN_LATELY)
        for r in rows
    )
    return Condition(
        processes,
        messages=queue_of(session, MessageRow, now),
        fits=queue_of(session, FitRow, now),
    )


def queue_of(session: Session, kind: DueWork, now: datetime) -> Queue:
    """Return how much work of a kind waits."""
    waiting = and_(kind.done_at.is_(None), kind.failed_at.is_(None))
    overdue = and_(waiting, kind.due_at < now - SEEN_LATELY)
    row = session.execute(
        select(
            func.count().filter(waiting),
            func.count().filter(overdue),
            func.count().filter(and_(kind.done_at.is_(None), kind.failed_at.is_not(None))),
            func.min(kind.due_at).filter(waiting),
        )
    ).one()
    return Queue(*row)


def failed_messages(session: Session, actor: Actor) -> list[FailedMessage]:
    """Return the newest messages that were given up, without their text.

    Raises:
        NotAllowedError: the actor is no administrator.
    """
    require_role(actor, Role.ADMINISTRATOR)
    rows = session.scalars(
        select(MessageRow)
        .where(MessageRow.failed_at.is_not(None), MessageRow.done_at.is_(None))
        .order_by(MessageRow.failed_at.desc(), MessageRow.id.desc())
        .limit(MOST_FAILURES)
    )
    return [
        FailedMessage(
            r.public_id, r.channel, r.failed_at, r.attempts, _ADDRESS.sub("…", r.last_error)
        )
        for r in rows
        if r.failed_at is not None
    ]


def send_again(session: Session, actor: Actor, message: str, now: datetime) -> None:
    """Put a message that was given up back into the queue; a second click changes nothing.

    Raises:
        NotAllowedError: the actor is no administrator.
        NotFoundError: there is no such message.
    """
    require_role(actor, Role.ADMINISTRATOR)
    row = session.scalar(
        select(MessageRow).where(MessageRow.public_id == message).with_for_update()
    )
    if row is None:
        raise NotFoundError(_("There is no such message."))
    if row.failed_at is None:
        return
    row.failed_at = row.sending_at = row.claimed_by = row.leased_until = None
    row.attempts, row.due_at = 0, now
    session.flush()
    record(session, actor, "send_again", f"message:{message}", now)


def _records_seen_by(actor: Actor) -> ColumnElement[bool]:
    of_the_system = and_(AuditRow.site_id.is_(None), AuditRow.trial_id.is_(None))
    return or_(AuditRow.site_id == actor.site_id, of_the_system)


def _names_of(session: Session, rows: Sequence[AuditRow]) -> Mapping[str, str]:
    actors = {row.actor for row in rows}
    query = select(AccountRow.public_id, AccountRow.name).where(AccountRow.public_id.in_(actors))
    return dict(iter(session.execute(query)))


def _without_content(row: AuditRow, names: Mapping[str, str]) -> TrailRecord:
    administrative = row.subject.startswith(("account:", "site:"))
    return TrailRecord(
        number=row.number,
        at=row.at,
        who=names.get(row.actor, row.actor),
        role=row.role,
        action=row.action,
        subject=row.subject,
        before=row.before if administrative else None,
        after=row.after if administrative else None,
    )
