"""What the patient can answer now, and keeping what was answered."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from trials.domain.calendar import Lateness, lateness, local_day, zone_of
from trials.domain.canonical import canonical_hash
from trials.domain.clocks import LONGEST_WAIT, Writing
from trials.domain.diary import Answers, Questionnaire, Source
from trials.domain.errors import DiaryClosedError, NotFoundError
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State
from trials.domain.words import marked as _
from trials.services.actor import Actor, record
from trials.store.diary import (
    DiaryDayRow,
    DiaryEntryRow,
    days_of_trial,
    entry_with_key,
    find_day,
    last_revision,
    latest_entries,
    latest_entry,
    lock_day,
)
from trials.store.trial import TrialRow, frozen_protocol, lock_trial, periods_of_trial

ANALYSED = frozenset({State.ANALYSED, *RESULT_KNOWN})
"""States in which the diary is what the answer was made from, and stays so."""
EXPECTED = frozenset({"open", "answered", "missed"})
"""States of days that were due: the denominator of adherence."""


@dataclass(frozen=True, slots=True)
class DayToAnswer:
    """One diary day as the patient meets it.

    Attributes:
        day: date in the patient's zone.
        late: whether an answer now would be marked as late.
        answered: whether there is an entry already (answering again corrects it).
        until: UTC instant until which it can be answered, or corrected if answered.
        closes_at: UTC instant from which an answer is late and cannot be corrected any more.
    """

    day: date
    late: bool
    answered: bool
    until: datetime
    closes_at: datetime

    @property
    def next_limit(self) -> datetime:
        """What to tell the patient: the end of "on time", or of "late" once that is over."""
        return self.until if self.late else self.closes_at


@dataclass(frozen=True, slots=True)
class Today:
    """All that the patient's first page tells.

    Attributes:
        local_date: today in the patient's zone.
        open_days: days that can be answered or corrected now, oldest first.
        next_opens_at: when the next diary opens; None if there is none.
        next_day: the date of that diary.
        kit: number of the box to take from today, "" if none.
        period: number of today's period, 0 in the run-in or outside.
        day_number: how many days of the trial have begun.
        total_days: how many there are.
        answered_days: how many were answered.
    """

    local_date: date
    open_days: tuple[DayToAnswer, ...]
    next_opens_at: datetime | None
    next_day: date | None
    kit: str
    period: int
    day_number: int
    total_days: int
    answered_days: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was kept. The same key gets the same receipt, however often it is sent.

    Attributes:
        day: date the answers are about.
        revision: 1 for the first report of the day.
        minutes_late: 0 when on time.
        repeated: whether this very submission had arrived before.
        counts: whether it is the report of the day that counts. It is not when a report that
            was written later, on another phone, arrived before.
    """

    day: date
    revision: int
    minutes_late: int
    repeated: bool
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Adherence:
    """How completely the diary was answered, of the days that were due.

    Attributes:
        due: days whose diary has opened, pauses left out.
        answered: of these.
        late: answered after the window had closed.
        missed: too late for an answer.
    """

    due: int
    answered: int
    late: int
    missed: int

    @property
    def share(self) -> float | None:
        """Answered share of the days that are answered or missed; None before the first."""
        settled = self.answered + self.missed
        return self.answered / settled if settled else None


def questionnaire_of(session: Session, trial: TrialRow) -> Questionnaire:
    """Return what this trial's diary asks, the same on every day."""
    frozen = frozen_protocol(session, trial.id)
    if frozen is None:
        raise NotFoundError(_("This trial has no diary yet."))
    return frozen.value.questionnaire


def today(session: Session, trial: TrialRow, now: datetime) -> Today:
    """Return what the patient can do at this instant."""
    rows = [row for row in days_of_trial(session, trial.id) if row.state != "cancelled"]
    local_date = local_day(now, zone_of(trial.timezone))
    upcoming = [row for row in rows if row.state == "planned" and row.opens_at > now]
    begun = [row for row in rows if row.day <= local_date]
    current = begun[-1] if begun and begun[-1].day == local_date else None
    period = current.period if current and current.state != "paused" else 0
    under_way = trial.current_state in UNDER_WAY
    kits = {p.number: p.kit for p in periods_of_trial(session, trial.id)}
    return Today(
        local_date=local_date,
        open_days=tuple(_days_to_answer(rows, now)),
        next_opens_at=upcoming[0].opens_at if upcoming and under_way else None,
        next_day=upcoming[0].day if upcoming and under_way else None,
        kit=kits.get(period, "") if under_way else "",
        period=period,
        day_number=len(begun),
        total_days=len(rows),
        answered_days=sum(row.state == "answered" for row in rows),
    )


def open_day(session: Session, trial: TrialRow, day: date, now: datetime) -> DayToAnswer:
    """Return a day that can be answered or corrected at this instant.

    Raises:
        DiaryClosedError: too early, too late, or no day of this trial.
    """
    row = find_day(session, trial.id, day)
    if row is None:
        raise DiaryClosedError(_("This day does not belong to the trial."))
    previous = latest_entry(session, row.id)
    _check_open(row, previous, now)
    until = row.late_until if previous is None else row.closes_at
    return DayToAnswer(day, now >= row.closes_at, previous is not None, until, row.closes_at)


def record_entry(
    session: Session,
    trial: TrialRow,
    day: date,
    answers: Answers,
    *,
    source: Source,
    author: Actor,
    key: str,
    now: datetime,
    written: Writing | None = None,
) -> Receipt:
    """Keep the answers of one day; nothing is ever overwritten.

    Args:
        session: the transaction; the entry is kept when it commits.
        trial: the patient's trial.
        day: date the answers are about.
        answers: checked answers.
        source: how they reached us.
        author: the patient, or the member of staff who wrote them down.
        key: chosen by the sender, new for each submission; sending again under the same key
            changes nothing.
        now: UTC instant of arrival.
        written: when it was written, if it waited on a phone; that instant decides whether the
            day was open, and the entry keeps both.

    Raises:
        DiaryClosedError: too early, too late, or no day of this trial.
    """
    trial = lock_trial(session, trial.id)
    row = find_day(session, trial.id, day)
    if row is None:
        raise DiaryClosedError(_("This day does not belong to the trial."))
    row = lock_day(session, row.id)
    sent_before = entry_with_key(session, key)
    if sent_before is not None:
        if sent_before.diary_day_id != row.id:
            raise DiaryClosedError(_("This form was already sent for another day. Open it again."))
        return _receipt(session, row, sent_before, repeated=True)
    if trial.current_state in ANALYSED:
        raise DiaryClosedError(
            _("The diary is closed: your answers have been worked out. Thank you for all of them.")
        )
    previous = latest_entry(session, row.id)
    at = now if written is None else written.at
    if now - at > LONGEST_WAIT:
        raise DiaryClosedError(
            _("This report waited too long on the phone. Please tell your clinic what it says.")
        )
    # A phone without a network could not know of a report from another one: both are kept.
    _check_open(row, previous if written is None else None, at)
    entry = DiaryEntryRow(
        diary_day_id=row.id,
        revision=last_revision(session, row.id) + 1,
        pain=answers.pain,
        bother=answers.bother,
        side_effects=dict(answers.side_effects),
        sleep=answers.sleep,
        interference=answers.interference,
        rescue_doses=answers.rescue_doses,
        intake=answers.intake.value if answers.intake else None,
        note=answers.note,
        source=source.value,
        author=author.public_id,
        received_at=now,
        zone=trial.timezone,
        minutes_late=_minutes_late(row, at),
        idempotency_key=key,
        written_at=written.at if written is not None else None,
        clock_error_seconds=written.clock_error_seconds if written is not None else None,
    )
    session.add(entry)
    row.state = "answered"
    session.flush()
    record(
        session,
        author,
        "record_entry",
        f"diary:{trial.public_id}/{day.isoformat()}",
        now,
        trial=trial,
        before=_digest(previous),
        after=_digest(entry, doubtful=written is not None and written.doubtful),
    )
    return _receipt(session, row, entry, repeated=False)


def _receipt(
    session: Session, row: DiaryDayRow, entry: DiaryEntryRow, *, repeated: bool
) -> Receipt:
    counting = latest_entry(session, row.id)
    counts = counting is not None and counting.id == entry.id
    return Receipt(row.day, entry.revision, entry.minutes_late, repeated, counts)


def own_entries(session: Session, trial: TrialRow) -> dict[date, DiaryEntryRow]:
    """Return the newest entry of every answered day, oldest first."""
    return latest_entries(session, trial.id)


def adherence(session: Session, trial: TrialRow, now: datetime) -> Adherence:
    """Return how completely the diary was answered so far."""
    due = [
        row
        for row in days_of_trial(session, trial.id)
        if row.state in EXPECTED or (row.state == "planned" and row.opens_at <= now)
    ]
    entries = latest_entries(session, trial.id)
    answered = [row for row in due if row.state == "answered"]
    return Adherence(
        due=len(due),
        answered=len(answered),
        late=sum(entries[row.day].minutes_late > 0 for row in answered),
        missed=sum(row.state != "answered" and row.late_until <= now for row in due),
    )


def _days_to_answer(rows: list[DiaryDayRow], now: datetime) -> list[DayToAnswer]:
    found = []
    for row in rows:
        answered = row.state == "answered"
        until = row.closes_at if answered else row.late_until
        if row.state in {"planned", "open", "answered"} and row.opens_at <= now < until:
            late = now >= row.closes_at
            found.append(DayToAnswer(row.day, late, answered, until, row.closes_at))
    return found


def _check_open(row: DiaryDayRow, previous: DiaryEntryRow | None, now: datetime) -> None:
    if row.state in {"paused", "cancelled"}:
        raise DiaryClosedError(
            _("No diary is expected for %(day)s: the trial is paused or over."),
            day=row.day.isoformat(),
        )
    when = lateness(row.opens_at, row.closes_at, row.late_until, now)
    if when is Lateness.EARLY:
        raise DiaryClosedError(
            _("The diary of %(day)s is not open yet. Please come back in the evening."),
            day=row.day.isoformat(),
        )
    if when is Lateness.TOO_LATE:
        raise DiaryClosedError(
            _(
                "The diary of %(day)s is closed. What was not reported counts as missing, which is "
                "all right: please go on with today's."
            ),
            day=row.day.isoformat(),
        )
    if previous is not None and when is Lateness.LATE:
        raise DiaryClosedError(
            _(
                "Your report of %(day)s can no longer be changed here. If something is wrong, "
                "please tell your clinic."
            ),
            day=row.day.isoformat(),
        )


def _minutes_late(row: DiaryDayRow, now: datetime) -> int:
    """Return 0 when on time; what comes after the closing is late by a minute at least."""
    if now < row.closes_at:
        return 0
    return max(1, int((now - row.closes_at).total_seconds() // 60))


def _digest(entry: DiaryEntryRow | None, *, doubtful: bool = False) -> dict[str, object] | None:
    """Return what the audit trail keeps: enough to prove the entry, not to read it."""
    if entry is None:
        return None
    waited: dict[str, object] = {}
    if entry.written_at is not None:
        waited["written_at"] = entry.written_at.isoformat()
    if doubtful:
        waited["clock"] = "set while it waited"
    return waited | {
        "revision": entry.revision,
        "source": entry.source,
        "minutes_late": entry.minutes_late,
        "answers": canonical_hash(entry.answers),
    }
