"""Long-lived processes, when they were last seen, and how each kind of their work went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base


@dataclass(frozen=True, slots=True)
class Tick:
    """How one kind of work went when a process did it last.

    Attributes:
        at: UTC instant of its end.
        seconds: how long it took.
        error: kind of the error that ended it, "" if none did. No message: it may hold a name.
    """

    at: datetime
    seconds: float
    error: str = ""


class ProcessRow(Base, kw_only=True):
    """A scheduler or worker process and its last heartbeat, for the administrator's page."""

    __tablename__ = "process"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class TickRow(Base, kw_only=True):
    """The last time that a process did one kind of its work."""

    __tablename__ = "tick"

    process: Mapped[str] = mapped_column(
        ForeignKey("process.name", ondelete="CASCADE"), primary_key=True
    )
    work: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    seconds: Mapped[float]
    error: Mapped[str]

    @property
    def value(self) -> Tick:
        """The tick as plain values."""
        return Tick(self.at, self.seconds, self.error)


def see_process(
    session: Session,
    name: str,
    kind: str,
    now: datetime,
    ticks: Mapping[str, Tick] | None = None,
) -> None:
    """Write down that a process is alive, and how each kind of its work went last."""
    row = session.get(ProcessRow, name)
    if row is None:
        session.add(ProcessRow(name=name, kind=kind, started_at=now, last_seen_at=now))
    else:
        row.last_seen_at = now
    session.flush()
    for work, tick in (ticks or {}).items():
        session.merge(
            TickRow(process=name, work=work, at=tick.at, seconds=tick.seconds, error=tick.error)
        )
    session.flush()


def processes(session: Session) -> list[ProcessRow]:
    """Return all processes that did not say good-bye, by kind and name."""
    return list(session.scalars(select(ProcessRow).order_by(ProcessRow.kind, ProcessRow.name)))


def last_ticks(session: Session) -> dict[str, dict[str, Tick]]:
    """Return the last tick of each kind of work, by process."""
    found: dict[str, dict[str, Tick]] = {}
    for row in session.scalars(select(TickRow).order_by(TickRow.process, TickRow.work)):
        found.setdefault(row.process, {})[row.work] = row.value
    return found


def forget_processes(session: Session, unseen_since: datetime) -> None:
    """Remove processes that ended without saying so, long ago."""
    session.execute(delete(ProcessRow).where(ProcessRow.last_seen_at < unseen_since))


def forget_process(session: Session, name: str) -> None:
    """Remove a process that ends."""
    session.execute(delete(ProcessRow).where(ProcessRow.name == name))
