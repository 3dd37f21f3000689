"""The drawn allocation, encrypted.

Two sealed parts under two keys: the masked sequence, which the fit needs, and the code
(seed and arm key), which tells the treatments. Only ``trials.services.allocation`` may
import this module (an import rule holds it to that).
"""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base


class AllocationRow(Base, kw_only=True):
    """One draw for one frozen protocol; never changed, never drawn again."""

    __tablename__ = "allocation"
    __table_args__ = (UniqueConstraint("protocol_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    protocol_id: Mapped[int] = mapped_column(ForeignKey("protocol.id"))
    commitment: Mapped[str]
    sealed_sequence: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_code: Mapped[bytes] = mapped_column(LargeBinary)
    drawn_at: Mapped[datetime]


class UnblindingRow(Base, kw_only=True):
    """The code of one period was opened in an emergency, or of all at the release (period 0)."""

    __tablename__ = "unblinding"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    period: Mapped[int]
    reason: Mapped[str]
    explanation: Mapped[str]
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    opened_at: Mapped[datetime]


def find_allocation(session: Session, protocol_id: int) -> AllocationRow | None:
    """Return the allocation drawn for this frozen protocol."""
    return session.scalar(select(AllocationRow).where(AllocationRow.protocol_id == protocol_id))


def unblindings_of_trial(session: Session, trial_id: int) -> list[UnblindingRow]:
    """Return when the code was opened, in order."""
    query = (
        select(UnblindingRow)
        .where(UnblindingRow.trial_id == trial_id)
        .order_by(UnblindingRow.opened_at, UnblindingRow.id)
    )
    return list(session.scalars(query))
