"""The audit trail: rows that are only ever added, each tied to the one before."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TypedDict

from sqlalchemy import ForeignKey, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.domain.audit import FIRST_LINK, AuditRecord, link_hash
from trials.store.base import Base, Json

_CHAIN_LOCK = 7_274_835  # any constant: PostgreSQL's name for "one writer of the chain at a time"


class AuditRow(Base, kw_only=True):
    """One record of the trail; a trigger refuses to change or remove it."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    local_at: Mapped[str]
    site_id: Mapped[int | None] = mapped_column(ForeignKey("site.id"), index=True)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), index=True)
    actor: Mapped[str]
    role: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    before: Mapped[Json | None]
    after: Mapped[Json | None]
    why: Mapped[str]
    hash: Mapped[str]

    @property
    def value(self) -> AuditRecord:
        """The record as the domain knows it."""
        return AuditRecord(
            number=self.number,
            at=self.at,
            local_at=self.local_at,
            actor=self.actor,
            role=self.role,
            action=self.action,
            subject=self.subject,
            before=self.before,
            after=self.after,
            why=self.why,
        )


class NewRecord(TypedDict):
    """What is said when something is recorded; its place in the chain follows."""

    at: datetime
    local_at: str
    actor: str
    role: str
    action: str
    subject: str
    before: Json | None
    after: Json | None
    why: str
    site_id: int | None
    trial_id: int | None


def recorded_subjects(
    session: Session, trial_ids: Collection[int], action: str, subjects: Collection[str]
) -> set[str]:
    """Return on which of these subjects the deed was done in these trials."""
    query = select(AuditRow.subject).where(
        AuditRow.trial_id.in_(trial_ids), AuditRow.action == action, AuditRow.subject.in_(subjects)
    )
    return set(session.scalars(query))


def add_records(session: Session, new: Sequence[NewRecord]) -> None:
    """Append records behind the newest one; writers queue until the transaction ends.

    Many at once cost the queue hardly more than one: call it last in a transaction.
    """
    if not new:
        return
    session.flush()  # while others need not wait for it yet
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CHAIN_LOCK})
    newest = session.execute(
        select(AuditRow.number, AuditRow.hash).order_by(AuditRow.number.desc()).limit(1)
    ).one_or_none()
    number, link = newest or (0, FIRST_LINK)
    rows: list[dict[str, object]] = []
    for one in new:
        number += 1
        said = {key: value for key, value in one.items() if key not in {"site_id", "trial_id"}}
        link = link_hash(link, AuditRecord(number=number, **said))  # type: ignore[arg-type]
        rows.append({**one, "number": number, "hash": link})
    session.execute(insert(AuditRow), rows)


def chain(session: Session) -> Iterator[tuple[AuditRecord, str]]:
    """Yield every record with its stored hash, in order, a thousand at a time."""
    rows = session.scalars(
        select(AuditRow).order_by(AuditRow.number).execution_options(yield_per=1000)
    )
    for row in rows:
        yield row.value, row.hash


def records_of_trial(session: Session, trial_id: int) -> list[AuditRow]:
    """Return the records about one trial, newest first."""
    query = select(AuditRow).where(AuditRow.trial_id == trial_id).order_by(AuditRow.number.desc())
    return list(session.scalars(query))
