"""Alerts: red flags that somebody at the clinic has to look at."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import TypedDict

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship

from trials.domain.red_flags import Urgency
from trials.store.account import AccountRow
from trials.store.base import Base, new_public_id
from trials.store.trial import TrialRow

_WAITING = text("escalates_at IS NOT NULL")
_URGENCIES = ", ".join(f"'{urgency}'" for urgency in Urgency)
SOURCES = ("diary", "words", "button", "screen", "silence", "refused")
_SOURCES = ", ".join(f"'{source}'" for source in SOURCES)


class AlertRow(Base, kw_only=True):
    """One red flag of one patient on one day, and who looked at it.

    ``occasion`` names it; being unique it makes a second alert about the same thing impossible.
    ``escalates_at`` says when the next person is told: at once when it is raised, empty when
    somebody acknowledged it.
    """

    __tablename__ = "alert"
    __table_args__ = (
        CheckConstraint(f"urgency IN ({_URGENCIES})", name="known_urgency"),
        CheckConstraint(f"source IN ({_SOURCES})", name="known_source"),
        CheckConstraint("step >= 0", name="step_counts_up"),
        CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged_by_somebody"
        ),
        CheckConstraint(
            "acknowledged_at IS NULL OR escalates_at IS NULL", name="acknowledged_is_quiet"
        ),
        Index(
            "ix_alert_due_to_escalate",
            "escalates_at",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    public_id: Mapped[str] = mapped_column(unique=True, default_factory=new_public_id)
    occasion: Mapped[str] = mapped_column(unique=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), index=True)
    diary_entry_id: Mapped[int | None] = mapped_column(ForeignKey("diary_entry.id"), default=None)
    rule: Mapped[str]  # id of the red flag
    urgency: Mapped[str]
    source: Mapped[str]
    day: Mapped[date]  # the day it is about, in the patient's time zone
    signs: Mapped[str] = mapped_column(default="")  # what raised it, separated by commas
    submissions: Mapped[str] = mapped_column(default="", server_default="")
    """Keys of what the patient sent, separated by commas: each is news once, and only once."""
    raised_at: Mapped[datetime]
    escalates_at: Mapped[datetime | None]
    step: Mapped[int] = mapped_column(default=0)  # how many times somebody was told
    acknowledged_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"), default=None)
    deed: Mapped[str] = mapped_column(default="")  # what was done, in the clinician's words
    trial: Mapped[TrialRow] = relationship(init=False)
    acknowledger: Mapped[AccountRow | None] = relationship(init=False)

    @property
    def how_urgent(self) -> Urgency:
        """The urgency as the domain names it."""
        return Urgency(self.urgency)


class NewAlert(TypedDict):
    """What is said when the clock raises an alert; the rest follows."""

    occasion: str
    trial_id: int
    rule: str
    urgency: str
    source: str
    day: date
    signs: str
    raised_at: datetime
    escalates_at: datetime
    step: int


def add_alerts(session: Session, alerts: Sequence[NewAlert]) -> int:
    """Raise many alerts in one statement; return how many were about something new."""
    if not alerts:
        return 0
    blank: dict[str, object] = {"deed": "", "submissions": ""}
    values = [{**blank, **alert, "public_id": new_public_id()} for alert in alerts]
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(AlertRow).on_conflict_do_nothing(index_elements=["occasion"])
    return len(session.scalars(statement.returning(AlertRow.id), values).all())


def alerts_on(session: Session, trial_id: int, rule: str, day: date) -> list[AlertRow]:
    """Return the alerts of one rule about one day, oldest first."""
    query = (
        select(AlertRow)
        .where(AlertRow.trial_id == trial_id, AlertRow.rule == rule, AlertRow.day == day)
        .order_by(AlertRow.id)
    )
    return list(session.scalars(query))


def is_heard(session: Session, trial_id: int, rule: str, submission: str) -> bool:
    """Return whether this submission is behind an alert of this rule, of whatever day."""
    query = select(AlertRow.id).where(
        AlertRow.trial_id == trial_id,
        AlertRow.rule == rule,
        AlertRow.submissions.contains(submission, autoescape=True),
    )
    return session.scalars(query).first() is not None


def find_alert(session: Session, public_id: str) -> AlertRow | None:
    """Return the alert with this public id."""
    return session.scalar(select(AlertRow).where(AlertRow.public_id == public_id))


def lock_alert(session: Session, alert_id: int) -> AlertRow:
    """Return the alert as it is now, held until the transaction ends."""
    query = (
        select(AlertRow)
        .where(AlertRow.id == alert_id)
        .with_for_update(of=AlertRow)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one()


def open_alerts_of_site(session: Session, site_id: int) -> list[AlertRow]:
    """Return the alerts that nobody at the site has acknowledged, oldest first."""
    query = (
        select(AlertRow)
        .join(TrialRow, TrialRow.id == AlertRow.trial_id)
        .where(TrialRow.site_id == site_id, AlertRow.acknowledged_at.is_(None))
        .options(joinedload(AlertRow.trial))
        .order_by(AlertRow.raised_at, AlertRow.id)
    )
    return list(session.scalars(query))


def settled_alerts_of_site(session: Session, site_id: int, most: int) -> list[AlertRow]:
    """Return the alerts that were acknowledged last, newest first."""
    query = (
        select(AlertRow)
        .join(TrialRow, TrialRow.id == AlertRow.trial_id)
        .where(TrialRow.site_id == site_id, AlertRow.acknowledged_at.is_not(None))
        .options(joinedload(AlertRow.trial), joinedload(AlertRow.acknowledger))
        .order_by(AlertRow.acknowledged_at.desc(), AlertRow.id.desc())
        .limit(most)
    )
    return list(session.scalars(query))


def alerts_of_trial(session: Session, trial_id: int) -> list[AlertRow]:
    """Return every alert of a trial, newest first."""
    query = (
        select(AlertRow)
        .where(AlertRow.trial_id == trial_id)
        .options(joinedload(AlertRow.acknowledger))
        .order_by(AlertRow.raised_at.desc(), AlertRow.id.desc())
    )
    return list(session.scalars(query))


def count_open_alerts(session: Session, trial_ids: Collection[int]) -> dict[int, int]:
    """Return how many alerts of each of these trials nobody has acknowledged."""
    query = (
        select(AlertRow.trial_id, func.count())
        .where(AlertRow.trial_id.in_(trial_ids), AlertRow.acknowledged_at.is_(None))
        .group_by(AlertRow.trial_id)
    )
    return dict(session.execute(query).all())


def take_due_alerts(
    session: Session, now: datetime, most: int, *, only: int | None = None
) -> list[AlertRow]:
    """Return alerts whose next step is due, held until the transaction ends.

    What another scheduler holds is left to it. ``only`` asks for one of them.
    """
    query = (
        select(AlertRow)
        .where(AlertRow.escalates_at <= now)
        .order_by(AlertRow.escalates_at, AlertRow.id)
        .limit(most)
        .with_for_update(of=AlertRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if only is not None:
        query = query.where(AlertRow.id == only)
    return list(session.scalars(query))


def quiet_alerts(session: Session, trial_id: int, rule: str) -> None:
    """Tell nobody any more of these open alerts: what raised them is over by itself."""
    session.execute(
        update(AlertRow)
        .where(
            AlertRow.trial_id == trial_id,
            AlertRow.rule == rule,
            AlertRow.escalates_at.is_not(None),
        )
        .values(escalates_at=None)
    )


def staff_in_role(session: Session, site_id: int, role: str) -> Sequence[AccountRow]:
    """Return the accounts of a site that act in this role and may sign in, by name."""
    query = (
        select(AccountRow)
        .where(AccountRow.site_id == site_id, AccountRow.active.is_(True))
        .where(AccountRow.roles.any(name=role))
        .order_by(AccountRow.name, AccountRow.id)
    )
    return session.scalars(query).unique().all()
