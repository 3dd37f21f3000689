"""What an administrator may know of what people did: who did what, not what was written.

A record about a trial is shown without its content: an administrator reads no clinical data,
and the reason for stopping a trial is clinical.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.services.actor import Actor, require_role
from trials.store.account import AccountRow
from trials.store.audit import AuditRow, chain
from trials.store.base import Json

RECORDS_PER_PAGE = 50


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
