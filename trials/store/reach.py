"""How a patient is reached: wishes for reminders, and the browsers that take push messages."""

from collections.abc import Iterable
from datetime import datetime, time

from sqlalchemy import CheckConstraint, ForeignKey, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base, new_public_id


class ReachRow(Base, kw_only=True):
    """What a patient said about reminders; without a row the defaults hold.

    An address that failed for good is not tried again until somebody changes it.
    """

    __tablename__ = "reach"
    __table_args__ = (CheckConstraint("calendar_issue >= 0", name="calendar_issue_counts_up"),)

    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), primary_key=True)
    remind_at: Mapped[time | None] = mapped_column(default=None)
    """Local time of the first reminder; None is when the diary opens."""
    quiet_from: Mapped[time] = mapped_column(default=time(22))
    quiet_to: Mapped[time] = mapped_column(default=time(8))
    by_email: Mapped[bool] = mapped_column(default=True)
    phone: Mapped[str] = mapped_column(default="")
    """For text messages, in international form; "" for none."""
    email_failed_at: Mapped[datetime | None] = mapped_column(default=None)
    email_failure: Mapped[str] = mapped_column(default="")
    phone_failed_at: Mapped[datetime | None] = mapped_column(default=None)
    calendar_issue: Mapped[int] = mapped_column(default=0)
    """Part of the calendar's secret address; counting it up makes the old address useless."""


class PushRow(Base, kw_only=True):
    """One browser that takes push messages, as it described itself (RFC 8030, RFC 8291)."""

    __tablename__ = "push_subscription"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    endpoint: Mapped[str] = mapped_column(unique=True)
    p256dh: Mapped[str]
    auth: Mapped[str]
    created_at: Mapped[datetime]
    gone_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the push service said that nobody listens any more."""


def reach_of(session: Session, patient_id: int) -> ReachRow:
    """Return what the patient said, or the defaults, not yet kept."""
    return session.get(ReachRow, patient_id) or ReachRow(patient_id=patient_id)


def reach_of_many(session: Session, patient_ids: Iterable[int]) -> dict[int, ReachRow]:
    """Return what these patients said; who said nothing is left out."""
    rows = session.scalars(select(ReachRow).where(ReachRow.patient_id.in_(set(patient_ids))))
    return {row.patient_id: row for row in rows}


def listening(session: Session, patient_ids: Iterable[int]) -> list[PushRow]:
    """Return the browsers of these patients that still take messages, the oldest first."""
    query = select(PushRow).where(
        PushRow.patient_id.in_(set(patient_ids)), PushRow.gone_at.is_(None)
    )
    return list(session.scalars(query.order_by(PushRow.id)))


def find_push(session: Session, endpoint: str) -> PushRow | None:
    """Return the browser with this endpoint."""
    return session.scalar(select(PushRow).where(PushRow.endpoint == endpoint))


def pushes_named(session: Session, public_ids: Iterable[str]) -> dict[str, PushRow]:
    """Return browsers by public id."""
    rows = session.scalars(select(PushRow).where(PushRow.public_id.in_(set(public_ids))))
    return {row.public_id: row for row in rows}


def mark_gone(session: Session, public_id: str, now: datetime) -> None:
    """Write down that nobody listens there any more."""
    session.execute(
        update(PushRow).where(PushRow.public_id == public_id).values(gone_at=now),
        execution_options={"synchronize_session": False},
    )
