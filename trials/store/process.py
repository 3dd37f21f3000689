"""Long-lived processes and when they were last seen."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base


class ProcessRow(Base, kw_only=True):
    """A scheduler or worker process and its last tick, for the administrator's page."""

    __tablename__ = "process"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


def see_process(session: Session, name: str, kind: str, now: datetime) -> None:
    """Write down that a process is alive."""
    row = session.get(ProcessRow, name)
    if row is None:
        session.add(ProcessRow(name=name, kind=kind, started_at=now, last_seen_at=now))
    else:
        row.last_seen_at = now
    session.flush()


def forget_processes(session: Session, unseen_since: datetime) -> None:
    """Remove processes that ended without saying so, long ago."""
    session.execute(delete(ProcessRow).where(ProcessRow.last_seen_at < unseen_since))


def forget_process(session: Session, name: str) -> None:
    """Remove a process that ends."""
    session.execute(delete(ProcessRow).where(ProcessRow.name == name))
