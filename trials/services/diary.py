"""Keep what was answered: once, in its window, and never overwritten."""

import secrets
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import Lateness, lateness
from trials.domain.canonical import canonical_hash, plain
from trials.domain.clocks import LONGEST_WAIT, Writing
from trials.domain.diary import Answers, Questionnaire, Source
from trials.domain.errors import DiaryClosedError, NotAllowedError, NotFoundError
from trials.domain.life_cycle import RESULT_KNOWN, State
from trials.domain.paper import Paper, time_on_paper
from trials.domain.words import marked as _
from trials.services import screening
from trials.services.actor import Actor, record
from trials.store.diary import (
    DiaryDayRow,
    DiaryEntryRow,
    entry_with_key,
    find_day,
    last_revision,
    latest_entries,
    latest_entry,
    lock_day,
)
from trials.store.erasure import erasure_of
from trials.store.trial import TrialRow, frozen_protocol, lock_trial

SALT_BYTES = 16
_ASKED_LATER = frozenset({"other_effects", "rescue", "intake_reason", "intake_words", "by_proxy"})
"""Answers that entries without a salt are older than."""

ANALYSED = frozenset({State.ANALYSED, *RESULT_KNOWN})
"""States in which the diary is what the answer was made from, and stays so."""


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
        key: under which it is kept.
    """

    day: date
    revision: int
    minutes_late: int
    repeated: bool
    counts: bool = True
    key: str = ""


def questionnaire_of(session: Session, trial: TrialRow) -> Questionnaire:
    """Return what this trial's diary asks, the same on every day."""
    frozen = frozen_protocol(session, trial.id)
    if frozen is None:
        raise NotFoundError(_("This trial has no diary yet."))
    return frozen.value.questionnaire


def ordered_questionnaire(session: Session, trial: TrialRow) -> Questionnaire:
    """Return what is asked, with the side effects this patient had before at the head.

    Who has to scroll past ten others to the one that comes back every day gives up. The order
    tells which were ever reported, nothing of when or how much; it goes by how often.
    """
    asked = questionnaire_of(session, trial)
    often: dict[str, int] = {}
    for entry in latest_entries(session, trial.id).values():
        for key, severity in entry.answers.side_effects.items():
            often[key] = often.get(key, 0) + (severity > 0)
    items = sorted(asked.side_effects, key=lambda item: -often.get(item.key, 0))
    return replace(asked, side_effects=tuple(items))  # sorted keeps the list's order in a tie


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
    paper: Paper | None = None,
    correction: str = "",
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
        paper: the sheet it was typed in from; its date decides.
        correction: the reason of a correction that was asked for as such; it needs no open day.

    Raises:
        DiaryClosedError: too early, too late, or no day of this trial.
        NotAllowedError: somebody else than the patient would change a report (rule D-06).
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
    check_not_closed_for_good(session, trial)
    previous = latest_entry(session, row.id)
    if previous is not None and author.role not in {Role.PATIENT, None}:
        raise NotAllowedError(
            _("This day was reported already. Only the patient can change a report.")
        )
    at = _answered_at(row, now, written, paper)
    if not correction:
        # A phone without a network could not know of a report from another one: both are kept.
        check_open(row, previous if written is None else None, at)
    entry = DiaryEntryRow(
        diary_day_id=row.id,
        revision=last_revision(session, row.id) + 1,
        **_columns(answers),
        source=source.value,
        author=author.public_id,
        received_at=now,
        zone=trial.timezone,
        minutes_late=_minutes_late(row, at),
        idempotency_key=key,
        written_at=at if written is not None or paper is not None else None,
        clock_error_seconds=written.clock_error_seconds if written is not None else None,
        paper_day=paper.written_on if paper is not None else None,
        scan=paper.scan if paper is not None else "",
        corrects=bool(correction),
        salt=new_salt(),
    )
    session.add(entry)
    row.state = "answered"
    session.flush()
    record(
        session,
        author,
        "correct_entry" if correction else "record_entry",
        f"diary:{trial.public_id}/{day.isoformat()}",
        now,
        trial=trial,
        before=_digest(previous),
        after=_digest(entry, doubtful=written is not None and written.doubtful),
        why=correction,
    )
    screening.watch_entry(session, author, trial, row, entry, now)
    return _receipt(session, row, entry, repeated=False)


def new_salt() -> str:
    """Return the random part of an entry's digest."""
    return secrets.token_hex(SALT_BYTES)


def check_not_closed_for_good(session: Session, trial: TrialRow) -> None:
    """Refuse a diary that was worked out or removed.

    Raises:
        DiaryClosedError: with which of the two.
    """
    if trial.current_state in ANALYSED:
        raise DiaryClosedError(
            _("The diary is closed: your answers have been worked out. Thank you for all of them.")
        )
    if erasure_of(session, trial.id) is not None:
        raise DiaryClosedError(_("The diary is closed: its answers were removed, as agreed."))


def _answered_at(
    row: DiaryDayRow, now: datetime, written: Writing | None, paper: Paper | None
) -> datetime:
    """Return the instant that decides whether the day was open."""
    if paper is not None:
        return time_on_paper(
            row.day,
            paper.written_on,
            opens_at=row.opens_at,
            closes_at=row.closes_at,
            late_until=row.late_until,
            now=now,
        )
    at = now if written is None else written.at
    if now - at > LONGEST_WAIT:
        raise DiaryClosedError(
            _("This report waited too long on the phone. Please tell your clinic what it says.")
        )
    return at


def _columns(answers: Answers) -> dict[str, Any]:
    """Return the answers as the row keeps them."""
    return {
        "pain": answers.pain,
        "bother": answers.bother,
        "side_effects": dict(answers.side_effects),
        "sleep": answers.sleep,
        "interference": answers.interference,
        "rescue_doses": answers.rescue_doses,
        "intake": answers.intake.value if answers.intake else None,
        "note": answers.note,
        "other_effects": [plain(effect) for effect in answers.other_effects],
        "rescue": [plain(use) for use in answers.rescue],
        "intake_reason": answers.intake_reason.value if answers.intake_reason else "",
        "intake_words": answers.intake_words,
        "by_proxy": answers.by_proxy,
    }


def _receipt(
    session: Session, row: DiaryDayRow, entry: DiaryEntryRow, *, repeated: bool
) -> Receipt:
    counting = latest_entry(session, row.id)
    counts = counting is not None and counting.id == entry.id
    key = entry.idempotency_key
    return Receipt(row.day, entry.revision, entry.minutes_late, repeated, counts, key)


def own_entries(session: Session, trial: TrialRow) -> dict[date, DiaryEntryRow]:
    """Return the newest entry of every answered day, oldest first."""
    return latest_entries(session, trial.id)


def check_open(row: DiaryDayRow, previous: DiaryEntryRow | None, now: datetime) -> None:
    """Refuse a day that cannot be answered, or corrected if there is a report, at this instant.

    Raises:
        DiaryClosedError: with the reason.
    """
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
        "answers": _proof(entry),
    }


def _proof(entry: DiaryEntryRow) -> str:
    """Return the digest of an entry's answers; of an older one as it was written then."""
    if entry.salt:
        return canonical_hash({"salt": entry.salt, "answers": entry.answers})
    content = plain(entry.answers)
    assert isinstance(content, dict)  # noqa: S101  # a dataclass becomes an object
    return canonical_hash({k: v for k, v in content.items() if k not in _ASKED_LATER})
