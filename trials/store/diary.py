"""Diary days, each with a state, and the entries that answer them."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column
from sqlalchemy.orm.util import AliasedClass

from trials.domain.calendar import Phase
from trials.domain.diary import Answers, Intake, IntakeReason, OtherEffect, RescueUse
from trials.domain.red_flags import PainDay
from trials.store.base import Base, Json

_TO_REMIND = text("remind_at IS NOT NULL")


class DiaryDayRow(Base, kw_only=True):
    """One expected day of a diary; what is missing is a row too.

    ``planned`` until it opens, ``open`` until it is answered or too late, then ``answered``
    or ``missed``; ``paused`` days and days ``cancelled`` by a stop are not expected.
    """

    __tablename__ = "diary_day"
    __table_args__ = (
        UniqueConstraint("trial_id", "day"),
        CheckConstraint(
            "state IN ('planned', 'open', 'answered', 'missed', 'paused', 'cancelled')",
            name="known_state",
        ),
        CheckConstraint(
            "phase IN ('run_in', 'washout', 'evaluation', 'paused')", name="known_phase"
        ),
        CheckConstraint("opens_at < closes_at AND closes_at <= late_until", name="window_in_order"),
        Index("ix_diary_day_due_to_open", "state", "opens_at"),
        Index("ix_diary_day_due_to_miss", "state", "late_until"),
        Index(
            "ix_diary_day_due_to_remind",
            "remind_at",
            sqlite_where=_TO_REMIND,
            postgresql_where=_TO_REMIND,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    number: Mapped[int]
    day: Mapped[date]  # in the patient's time zone
    period: Mapped[int]  # 0 in the run-in
    phase: Mapped[str]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    late_until: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="planned")
    remind_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the patient is reminded once more; None before the day opens and afterwards."""
    opened_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the clock opened it. A day that was slept through is missing like any other, but
    nobody was asked for it, so it is no sign that the patient fell silent."""

    @hybrid_property
    def was_asked_for(self) -> bool:
        """Whether the patient could be reminded of it in time."""
        return self.opened_at is not None and self.opened_at < self.closes_at

    @was_asked_for.inplace.expression
    @classmethod
    def _was_asked_for(cls) -> ColumnElement[bool]:
        return cls.opened_at < cls.closes_at


class DiaryEntryRow(Base, kw_only=True):
    """What a patient reported for one day.

    Rows are only ever added (a trigger refuses anything else). A correction is a new
    revision of the same day, so the answer behind an earlier verdict can be shown again.
    """

    __tablename__ = "diary_entry"
    __table_args__ = (
        UniqueConstraint("diary_day_id", "revision"),
        UniqueConstraint("idempotency_key"),
        CheckConstraint("revision >= 1", name="revision_counts_from_one"),
        CheckConstraint("pain BETWEEN 0 AND 10", name="pain_on_scale"),
        CheckConstraint("bother BETWEEN 0 AND 10", name="bother_on_scale"),
        CheckConstraint("sleep BETWEEN 0 AND 10", name="sleep_on_scale"),
        CheckConstraint("interference BETWEEN 0 AND 10", name="interference_on_scale"),
        CheckConstraint("rescue_doses BETWEEN 0 AND 50", name="rescue_plausible"),
        CheckConstraint("intake IN ('all', 'part', 'none')", name="known_intake"),
        CheckConstraint("source IN ('patient', 'phone', 'paper')", name="known_source"),
        CheckConstraint(
            "intake_reason IN ('', 'forgot', 'side_effects', 'felt_well', 'no_help', 'ill', "
            "'none_left', 'advised', 'other')",
            name="known_intake_reason",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    diary_day_id: Mapped[int] = mapped_column(ForeignKey("diary_day.id"))
    revision: Mapped[int]  # 1 for the first report of the day
    pain: Mapped[int]  # average of the last 24 h, 0-10
    bother: Mapped[int]
    side_effects: Mapped[Json]  # key -> severity 0-3
    sleep: Mapped[int | None]
    interference: Mapped[int | None]
    rescue_doses: Mapped[int | None]
    intake: Mapped[str | None]
    note: Mapped[str]
    source: Mapped[str]
    author: Mapped[str]  # "patient" or the public id of the staff account
    received_at: Mapped[datetime]
    zone: Mapped[str]  # the patient's time zone when it was received
    minutes_late: Mapped[int]  # after the window closed; 0 when on time
    idempotency_key: Mapped[str]
    written_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it was written, if a phone said so; it may have waited there for a network."""
    clock_error_seconds: Mapped[int | None] = mapped_column(default=None)
    """The server's clock minus the phone's, as far as the phone told."""
    other_effects: Mapped[list[dict[str, object]]] = mapped_column(
        JSON, default_factory=list, server_default="[]"
    )  # text, severity 1-3
    rescue: Mapped[list[dict[str, object]]] = mapped_column(
        JSON, default_factory=list, server_default="[]"
    )  # medicine, doses, last_at
    intake_reason: Mapped[str] = mapped_column(default="", server_default="")
    intake_words: Mapped[str] = mapped_column(default="", server_default="")
    by_proxy: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether somebody else, such as a carer, filled it in for the patient."""
    paper_day: Mapped[date | None] = mapped_column(default=None)
    """The date on the sheet, for a report from paper."""
    scan: Mapped[str] = mapped_column(default="", server_default="")
    """Where the sheet's scan is found, likewise."""
    corrects: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is a correction after the window, with a reason: it counts before all else."""
    salt: Mapped[str] = mapped_column(default="", server_default="")
    """Goes into the digest that the audit trail keeps: without it, nobody guesses the answers
    back from the digest once they are removed."""

    @property
    def answered_at(self) -> datetime:
        """When the patient answered: the instant that decides what is on time."""
        return self.written_at or self.received_at

    @property
    def answers(self) -> Answers:
        """The answers as the domain knows them."""
        return Answers(
            pain=self.pain,
            bother=self.bother,
            side_effects={key: int(str(value)) for key, value in self.side_effects.items()},
            sleep=self.sleep,
            interference=self.interference,
            rescue_doses=self.rescue_doses,
            intake=Intake(self.intake) if self.intake else None,
            note=self.note,
            other_effects=tuple(
                OtherEffect(str(item["text"]), int(str(item["severity"])))
                for item in self.other_effects
            ),
            rescue=tuple(
                RescueUse(str(item["medicine"]), int(str(item["doses"])), str(item["last_at"]))
                for item in self.rescue
            ),
            intake_reason=IntakeReason(self.intake_reason) if self.intake_reason else None,
            intake_words=self.intake_words,
            by_proxy=self.by_proxy,
        )


def days_of_trial(session: Session, trial_id: int) -> list[DiaryDayRow]:
    """Return every diary day of a trial, in order."""
    query = select(DiaryDayRow).where(DiaryDayRow.trial_id == trial_id).order_by(DiaryDayRow.day)
    return list(session.scalars(query))


def find_day(session: Session, trial_id: int, day: date) -> DiaryDayRow | None:
    """Return the diary day of this date."""
    return session.scalar(
        select(DiaryDayRow).where(DiaryDayRow.trial_id == trial_id, DiaryDayRow.day == day)
    )


def lock_day(session: Session, day_id: int) -> DiaryDayRow:
    """Return the day, held until the transaction ends, so that revisions count in turn."""
    query = (
        select(DiaryDayRow)
        .where(DiaryDayRow.id == day_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one()


def latest_entry(session: Session, day_id: int) -> DiaryEntryRow | None:
    """Return the report of a day that counts, or None."""
    entry, other = DiaryEntryRow, aliased(DiaryEntryRow)
    query = select(entry).where(
        entry.diary_day_id == day_id,
        ~exists().where(other.diary_day_id == day_id, _counts_before(other, entry)),
    )
    return session.scalar(query)


def _counts_before(
    other: type[DiaryEntryRow] | AliasedClass[DiaryEntryRow], entry: type[DiaryEntryRow]
) -> ColumnElement[bool]:
    """Return whether another report of the day counts and this one does not.

    What the patient wrote last counts, in whatever order two phones sent it; but what was
    written after the closing never replaces what was there, unless it is a correction that was
    asked for as such, with a reason (rule D-05). Of several corrections the last counts.
    """
    other_at = func.coalesce(other.written_at, other.received_at)
    entry_at = func.coalesce(entry.written_at, entry.received_at)
    return or_(
        and_(other.corrects, ~entry.corrects),
        and_(other.corrects, entry.corrects, other.revision > entry.revision),
        and_(
            ~other.corrects,
            ~entry.corrects,
            or_(
                and_(other.minutes_late == 0, entry.minutes_late > 0),
                and_(
                    other.minutes_late == 0,
                    entry.minutes_late == 0,
                    or_(
                        other_at > entry_at,
                        and_(other_at == entry_at, other.revision > entry.revision),
                    ),
                ),
                and_(
                    other.minutes_late > 0,
                    entry.minutes_late > 0,
                    other.revision < entry.revision,
                ),
            ),
        ),
    )


def last_revision(session: Session, day_id: int) -> int:
    """Return how many reports of this day there are; the last to arrive has this number."""
    query = select(func.max(DiaryEntryRow.revision)).where(DiaryEntryRow.diary_day_id == day_id)
    return session.scalar(query) or 0


def last_revisions(session: Session, trial_id: int) -> dict[date, int]:
    """Return how many reports there are of each answered day."""
    query = (
        select(DiaryDayRow.day, func.max(DiaryEntryRow.revision))
        .join(DiaryEntryRow, DiaryEntryRow.diary_day_id == DiaryDayRow.id)
        .where(DiaryDayRow.trial_id == trial_id)
        .group_by(DiaryDayRow.day)
    )
    return dict(session.execute(query).all())


def latest_entries(session: Session, trial_id: int) -> dict[date, DiaryEntryRow]:
    """Return the report that counts of every answered day, oldest day first."""
    entry, other = DiaryEntryRow, aliased(DiaryEntryRow)
    superseded = exists().where(
        other.diary_day_id == entry.diary_day_id, _counts_before(other, entry)
    )
    query = (
        select(DiaryDayRow.day, entry)
        .join(entry, entry.diary_day_id == DiaryDayRow.id)
        .where(DiaryDayRow.trial_id == trial_id, ~superseded)
        .order_by(DiaryDayRow.day)
    )
    return dict(session.execute(query).all())


def first_day_with(
    session: Session, trial_id: int, effect: str, after: datetime | None
) -> date | None:
    """Return the first day reported with a side effect; None if there is none.

    Every report counts, replaced ones too.

    Args:
        session: the transaction.
        trial_id: row id.
        effect: key of the side effect.
        after: only reports received later than this UTC instant.
    """
    query = (
        select(func.min(DiaryDayRow.day))
        .join(DiaryEntryRow, DiaryEntryRow.diary_day_id == DiaryDayRow.id)
        .where(
            DiaryDayRow.trial_id == trial_id,
            DiaryEntryRow.side_effects[effect].as_integer() > 0,
        )
    )
    if after is not None:
        query = query.where(DiaryEntryRow.received_at > after)
    return session.scalar(query)


def pain_around(session: Session, trial_id: int, first: date, last: date) -> list[PainDay]:
    """Return pain of the run-in and of the days from ``first`` to ``last``, as far as it counts."""
    entry, other = DiaryEntryRow, aliased(DiaryEntryRow)
    superseded = exists().where(
        other.diary_day_id == entry.diary_day_id, _counts_before(other, entry)
    )
    query = (
        select(DiaryDayRow.day, entry.pain, DiaryDayRow.phase)
        .join(entry, entry.diary_day_id == DiaryDayRow.id)
        .where(
            DiaryDayRow.trial_id == trial_id,
            or_(DiaryDayRow.phase == Phase.RUN_IN.value, DiaryDayRow.day.between(first, last)),
            ~superseded,
        )
    )
    return [
        PainDay(day, pain, in_run_in=phase == Phase.RUN_IN.value)
        for day, pain, phase in session.execute(query)
    ]


def revisions_of_day(session: Session, day_id: int) -> list[DiaryEntryRow]:
    """Return every report of a day, first to last."""
    query = (
        select(DiaryEntryRow)
        .where(DiaryEntryRow.diary_day_id == day_id)
        .order_by(DiaryEntryRow.revision)
    )
    return list(session.scalars(query))


def entry_with_key(session: Session, idempotency_key: str) -> DiaryEntryRow | None:
    """Return the entry that was sent under this key, if it arrived before."""
    return session.scalar(
        select(DiaryEntryRow).where(DiaryEntryRow.idempotency_key == idempotency_key)
    )


def keys_kept(session: Session, author: str, keys: Collection[str]) -> set[str]:
    """Return which of these submissions of one author arrived."""
    query = select(DiaryEntryRow.idempotency_key).where(
        DiaryEntryRow.idempotency_key.in_(keys), DiaryEntryRow.author == author
    )
    return set(session.scalars(query))
