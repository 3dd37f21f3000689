"""Trials, their protocols, periods, consents and what ends them."""

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import TypeAdapter
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from trials.domain.blinding import Blinding
from trials.domain.calendar import Pause, Period
from trials.domain.consent import OnWithdrawal
from trials.domain.life_cycle import RESULT_KNOWN, State
from trials.domain.protocol import Protocol
from trials.store.account import AccountRow, PatientRow, SiteRow
from trials.store.base import Base, Json, new_public_id

_STATES = ", ".join(f"'{state}'" for state in State)
_PROTOCOL = TypeAdapter(Protocol)


class TrialRow(Base, kw_only=True):
    """One patient's trial.

    ``revision`` counts every change; an update made on an older revision is refused, so
    two people who edit at once cannot overwrite each other.
    """

    __tablename__ = "trial"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="known_state"),
        CheckConstraint("blinding IN ('blinded', 'open')", name="known_blinding"),
        Index("ix_trial_due_to_move", "state", "moves_at"),
        Index("ix_trial_due_to_complete", "state", "completes_at"),
        Index("ix_trial_due_to_fit", "state", "fits_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"), index=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patient.id"), index=True)
    clinician_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    title: Mapped[str]
    state: Mapped[str] = mapped_column(default=State.DRAFT.value, index=True)
    blinding: Mapped[str] = mapped_column(default=Blinding.BLINDED.value)
    timezone: Mapped[str]
    start_day: Mapped[date | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    end_reason: Mapped[str] = mapped_column(default="")
    moves_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the clock next looks whether a period begins or ends; None: it has not looked yet."""
    completes_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the clock next looks whether the diary is complete; likewise."""
    fits_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the clock next looks whether an analysis is due; likewise."""
    revision: Mapped[int] = mapped_column(init=False)
    site: Mapped[SiteRow] = relationship(init=False, lazy="joined")
    patient: Mapped[PatientRow] = relationship(init=False, lazy="joined")
    clinician: Mapped[AccountRow] = relationship(init=False)

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012  # SQLAlchemy's own form

    @property
    def current_state(self) -> State:
        """The state as the domain names it."""
        return State(self.state)

    @property
    def how_blinded(self) -> Blinding:
        """The blinding as the domain names it."""
        return Blinding(self.blinding)


class ProtocolRow(Base, kw_only=True):
    """One version of a trial's protocol. A frozen one never changes again."""

    __tablename__ = "protocol"
    __table_args__ = (
        UniqueConstraint("trial_id", "version"),
        CheckConstraint("(frozen_at IS NULL) = (hash IS NULL)", name="hashed_when_frozen"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    version: Mapped[int]
    body: Mapped[Json]
    hash: Mapped[str | None] = mapped_column(default=None)
    frozen_at: Mapped[datetime | None] = mapped_column(default=None)
    frozen_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"), default=None)

    @property
    def value(self) -> Protocol:
        """The protocol as the domain knows it."""
        return read_protocol(self.body)


class ConsentRow(Base, kw_only=True):
    """The patient agreed to this version of the protocol."""

    __tablename__ = "consent"
    __table_args__ = (
        UniqueConstraint("protocol_id"),
        CheckConstraint("on_withdrawal IN ('keep', 'remove')", name="known_wish"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    protocol_id: Mapped[int] = mapped_column(ForeignKey("protocol.id"))
    given_on: Mapped[date]
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[int] = mapped_column(ForeignKey("account.id"))
    on_withdrawal: Mapped[str] = mapped_column(
        default=OnWithdrawal.KEEP.value, server_default=OnWithdrawal.KEEP.value
    )
    """What becomes of the answers if the patient withdraws, as agreed."""


class PeriodRow(Base, kw_only=True):
    """Days on one arm, as they are now planned; which arm, only the allocation knows.

    ``kit`` is what is written on the box the patient takes from.
    """

    __tablename__ = "period"
    __table_args__ = (
        UniqueConstraint("trial_id", "number"),
        CheckConstraint("state IN ('planned', 'current', 'over')", name="known_state"),
        CheckConstraint("first_day <= last_day", name="days_in_order"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    number: Mapped[int]
    block: Mapped[int]
    first_day: Mapped[date]
    last_day: Mapped[date]
    kit: Mapped[str]
    state: Mapped[str] = mapped_column(default="planned")

    @property
    def value(self) -> Period:
        """The period as the domain knows it."""
        return Period(self.number, self.block, self.first_day, self.last_day)


class PauseRow(Base, kw_only=True):
    """A stretch of days on which the trial stood still; ``resumed`` is empty while it lasts."""

    __tablename__ = "pause"
    __table_args__ = (CheckConstraint("resumed IS NULL OR first <= resumed", name="in_order"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    first: Mapped[date]
    resumed: Mapped[date | None] = mapped_column(default=None)
    reason: Mapped[str]


class GuessRow(Base, kw_only=True):
    """What the patient thinks a period was, asked at its end and before any result."""

    __tablename__ = "guess"
    __table_args__ = (
        UniqueConstraint("trial_id", "period"),
        CheckConstraint("certainty BETWEEN 0 AND 4", name="five_levels"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    period: Mapped[int]
    treatment: Mapped[str]
    """Catalogue id of a candidate, or "" for "I do not know"."""
    certainty: Mapped[int]
    why: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]


class DecisionRow(Base, kw_only=True):
    """What clinician and patient decided, signed by the clinician."""

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("trial_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    fit_id: Mapped[int] = mapped_column(ForeignKey("fit.id"))
    treatment: Mapped[str]
    """Catalogue id of what is taken from now on, or "" for none of the candidates."""
    reason: Mapped[str]
    signed_by: Mapped[int] = mapped_column(ForeignKey("account.id"))
    signed_at: Mapped[datetime]


def read_protocol(body: Json) -> Protocol:
    """Return the protocol that a row's body describes."""
    return _PROTOCOL.validate_python(body)


def find_trial(session: Session, public_id: str) -> TrialRow | None:
    """Return the trial with this public id."""
    return session.scalar(select(TrialRow).where(TrialRow.public_id == public_id))


def lock_trial(session: Session, trial_id: int) -> TrialRow:
    """Return the trial as it is now, held until the transaction ends.

    Whoever writes about a trial holds it first, then its days, then the audit chain: always
    in this order, or two who wait for each other would both be stopped by the database.
    """
    query = (
        select(TrialRow)
        .where(TrialRow.id == trial_id)
        .with_for_update(of=TrialRow, key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one()


def trials_of_site(session: Session, site_id: int) -> list[TrialRow]:
    """Return the trials of a site, newest first."""
    query = (
        select(TrialRow)
        .where(TrialRow.site_id == site_id)
        .order_by(TrialRow.created_at.desc(), TrialRow.id.desc())
    )
    return list(session.scalars(query))


def trials_of_patient(session: Session, patient_id: int) -> list[TrialRow]:
    """Return the trials of a patient, newest first."""
    query = (
        select(TrialRow)
        .where(TrialRow.patient_id == patient_id)
        .order_by(TrialRow.created_at.desc(), TrialRow.id.desc())
    )
    return list(session.scalars(query))


def latest_protocol(session: Session, trial_id: int) -> ProtocolRow:
    """Return the newest version of the protocol, frozen or not."""
    query = (
        select(ProtocolRow)
        .where(ProtocolRow.trial_id == trial_id)
        .order_by(ProtocolRow.version.desc())
        .limit(1)
    )
    return session.scalars(query).one()


def frozen_protocol(session: Session, trial_id: int) -> ProtocolRow | None:
    """Return the newest frozen version, or None."""
    query = (
        select(ProtocolRow)
        .where(ProtocolRow.trial_id == trial_id, ProtocolRow.frozen_at.is_not(None))
        .order_by(ProtocolRow.version.desc())
        .limit(1)
    )
    return session.scalar(query)


def arms_under_way(session: Session) -> set[int]:
    """Return how many arms the trials compare whose result is still to come."""
    query = (
        select(ProtocolRow)
        .join(TrialRow, TrialRow.id == ProtocolRow.trial_id)
        .where(
            TrialRow.state.not_in(RESULT_KNOWN),
            ProtocolRow.frozen_at.is_not(None),
        )
    )
    return {len(row.value.design.arms) for row in session.scalars(query)}


def protocols_of_trial(session: Session, trial_id: int) -> list[ProtocolRow]:
    """Return every version of the protocol, newest first."""
    query = (
        select(ProtocolRow)
        .where(ProtocolRow.trial_id == trial_id)
        .order_by(ProtocolRow.version.desc())
    )
    return list(session.scalars(query))


def consent_to(session: Session, protocol_id: int) -> ConsentRow | None:
    """Return the consent to this version of a protocol."""
    return session.scalar(select(ConsentRow).where(ConsentRow.protocol_id == protocol_id))


def periods_of_trial(session: Session, trial_id: int) -> list[PeriodRow]:
    """Return the periods in order; none before the start."""
    query = select(PeriodRow).where(PeriodRow.trial_id == trial_id).order_by(PeriodRow.number)
    return list(session.scalars(query))


def pauses_of_trial(session: Session, trial_id: int) -> list[PauseRow]:
    """Return the pauses in order."""
    query = (
        select(PauseRow).where(PauseRow.trial_id == trial_id).order_by(PauseRow.first, PauseRow.id)
    )
    return list(session.scalars(query))


def ended_pauses(pauses: Sequence[PauseRow]) -> tuple[Pause, ...]:
    """Return the pauses that are over, as the domain knows them."""
    return tuple(Pause(p.first, p.resumed) for p in pauses if p.resumed is not None)


def guesses_of_trial(session: Session, trial_id: int) -> list[GuessRow]:
    """Return the patient's guesses, by period."""
    query = select(GuessRow).where(GuessRow.trial_id == trial_id).order_by(GuessRow.period)
    return list(session.scalars(query))


def decision_on(session: Session, trial_id: int) -> DecisionRow | None:
    """Return the signed decision, or None."""
    return session.scalar(select(DecisionRow).where(DecisionRow.trial_id == trial_id))


def count_trials_of_patient(session: Session, patient_id: int) -> int:
    """Return how many trials this patient has or had."""
    query = select(func.count()).where(TrialRow.patient_id == patient_id)
    return session.scalar(query) or 0
