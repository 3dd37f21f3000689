"""Serious adverse events: one row with its clock, and versions that are only added."""

from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from trials.domain.adverse_event import Account
from trials.store.account import AccountRow
from trials.store.alert import AlertRow
from trials.store.base import Base, Json, new_public_id
from trials.store.trial import TrialRow

_WAITING = text("escalates_at IS NOT NULL")
_ACCOUNT = TypeAdapter(Account)


class AdverseEventRow(Base, kw_only=True):
    """One serious or severe event; its report is due a day after the clinic knew of it.

    ``escalates_at`` says when somebody is reminded that the report is not signed; it is empty
    once it is.
    """

    __tablename__ = "adverse_event"
    __table_args__ = (
        UniqueConstraint("trial_id", "number"),
        CheckConstraint("number >= 1", name="number_counts_from_one"),
        CheckConstraint("known_at < due_at", name="clock_in_order"),
        CheckConstraint("signed_at IS NULL OR escalates_at IS NULL", name="signed_is_quiet"),
        Index(
            "ix_adverse_event_due_to_escalate",
            "escalates_at",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alert.id"), default=None)
    number: Mapped[int]
    known_at: Mapped[datetime]  # when the clinic came to know of it
    due_at: Mapped[datetime]  # by when the report has to be signed
    escalates_at: Mapped[datetime | None]
    step: Mapped[int] = mapped_column(default=0)  # how many times somebody was reminded
    signed_at: Mapped[datetime | None] = mapped_column(default=None)  # of the first report
    trial: Mapped[TrialRow] = relationship(init=False)
    alert: Mapped[AlertRow | None] = relationship(init=False)


class AdverseEventVersionRow(Base, kw_only=True):
    """What was known of the event at one time. Rows are only ever added."""

    __tablename__ = "adverse_event_version"
    __table_args__ = (
        UniqueConstraint("adverse_event_id", "version"),
        CheckConstraint("version >= 1", name="version_counts_from_one"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    adverse_event_id: Mapped[int] = mapped_column(ForeignKey("adverse_event.id"))
    version: Mapped[int]
    content: Mapped[Json]
    signed: Mapped[bool]
    why: Mapped[str]  # of an amendment
    written_by: Mapped[int] = mapped_column(ForeignKey("account.id"))
    written_at: Mapped[datetime]
    writer: Mapped[AccountRow] = relationship(init=False)

    @property
    def account(self) -> Account:
        """What was written, as the domain knows it."""
        return _ACCOUNT.validate_python(self.content)


def find_event(session: Session, public_id: str) -> AdverseEventRow | None:
    """Return the event with this public id."""
    return session.scalar(select(AdverseEventRow).where(AdverseEventRow.public_id == public_id))


def lock_event(session: Session, event_id: int) -> AdverseEventRow:
    """Return the event as it is now, held until the transaction ends."""
    query = (
        select(AdverseEventRow)
        .where(AdverseEventRow.id == event_id)
        .with_for_update(of=AdverseEventRow)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one()


def events_of_trial(session: Session, trial_id: int) -> list[AdverseEventRow]:
    """Return the events of a trial, newest first."""
    query = (
        select(AdverseEventRow)
        .where(AdverseEventRow.trial_id == trial_id)
        .order_by(AdverseEventRow.number.desc())
    )
    return list(session.scalars(query))


def last_number(session: Session, trial_id: int) -> int:
    """Return how many events the trial has; the last has this number."""
    query = select(func.max(AdverseEventRow.number)).where(AdverseEventRow.trial_id == trial_id)
    return session.scalar(query) or 0


def versions_of(session: Session, event_id: int) -> list[AdverseEventVersionRow]:
    """Return every version, first to last."""
    query = (
        select(AdverseEventVersionRow)
        .where(AdverseEventVersionRow.adverse_event_id == event_id)
        .order_by(AdverseEventVersionRow.version)
    )
    return list(session.scalars(query))


def unsigned_events_of_site(session: Session, site_id: int) -> list[AdverseEventRow]:
    """Return the events whose report nobody has signed, the one due first ahead."""
    query = (
        select(AdverseEventRow)
        .join(TrialRow, TrialRow.id == AdverseEventRow.trial_id)
        .where(TrialRow.site_id == site_id, AdverseEventRow.signed_at.is_(None))
        .order_by(AdverseEventRow.due_at, AdverseEventRow.id)
    )
    return list(session.scalars(query))


def take_due_events(session: Session, now: datetime, most: int) -> list[AdverseEventRow]:
    """Return events whose next reminder is due, held until the transaction ends."""
    query = (
        select(AdverseEventRow)
        .where(AdverseEventRow.escalates_at <= now)
        .order_by(AdverseEventRow.escalates_at, AdverseEventRow.id)
        .limit(most)
        .with_for_update(of=AdverseEventRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))
