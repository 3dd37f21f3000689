"""The audit trail: rows that are only ever added, each tied to the one before."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ForeignKey, select, text
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


def add_record(
    session: Session,
    *,
    at: datetime,
    local_at: str,
    actor: str,
    role: str,
    action: str,
    subject: str,
    before: Json | None,
    after: Json | None,
    why: str,
    site_id: int | None,
    trial_id: int | None,
) -> AuditRow:
    """Append a record behind the newest one; writers queue until the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CHAIN_LOCK})
    newest = session.scalar(select(AuditRow).order_by(AuditRow.number.desc()).limit(1))
    record = AuditRecord(
        number=1 if newest is None else newest.number + 1,
        at=at,
        local_at=local_at,
        actor=actor,
        role=role,
        action=action,
        subject=subject,
        before=before,
        after=after,
        why=why,
    )
    row = AuditRow(
        number=record.number,
        at=at,
        local_at=local_at,
        site_id=site_id,
        trial_id=trial_id,
        actor=actor,
        role=role,
        action=action,
        subject=subject,
        before=before,
        after=after,
        why=why,
        hash=link_hash(FIRST_LINK if newest is None else newest.hash, record),
    )
    session.add(row)
    session.flush()
    return row


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
