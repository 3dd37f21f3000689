"""Correct a reported day after its window: with a reason, and never without the patient.

The patient's own correction counts at once. One that a member of staff heard by telephone waits
until the patient has confirmed it on the phone. Either way reason, author, old and new answers
are kept, and the entry that it becomes is marked as a correction (rules D-05, D-06).
"""

from dataclasses import dataclass
from datetime import date, datetime

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.canonical import canonical_hash, plain
from trials.domain.diary import LONGEST_NOTE, Answers, Source
from trials.domain.errors import DiaryClosedError, NotFoundError, ProtocolError, StateError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.services.diary import Receipt, check_not_closed_for_good, record_entry
from trials.store.base import Json
from trials.store.correction import (
    ConfirmationRow,
    CorrectionRow,
    confirmations_of_trial,
    correction_with_key,
    corrections_of_trial,
    find_correction,
    waiting_correction,
)
from trials.store.diary import (
    DiaryDayRow,
    DiaryEntryRow,
    find_day,
    latest_entries,
    latest_entry,
    lock_day,
)
from trials.store.trial import TrialRow, lock_trial

_ANSWERS = TypeAdapter(Answers)


@dataclass(frozen=True, slots=True)
class ToConfirm:
    """Something the clinic wrote down that the patient is asked about.

    Attributes:
        public_id: of the correction, "" for a report.
        entry_id: of the report, 0 for a correction.
        day: the day it is about.
        before: the answers that count now; None for a report of a day that had none.
        after: what the clinic wrote down.
        reason: that was given, "" for a report.
    """

    public_id: str
    entry_id: int
    day: date
    before: Answers | None
    after: Answers
    reason: str


def correct_day(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    day: date,
    answers: Answers,
    *,
    reason: str,
    key: str,
    now: datetime,
) -> Receipt:
    """Keep the patient's own correction of a day whose window is over; it counts at once.

    Raises:
        DiaryClosedError: there is no report to correct, or the diary was worked out.
        ProtocolError: no reason is given.
    """
    require_role(patient, Role.PATIENT)
    asked = _ask(session, patient, trial, day, answers, Source.PATIENT, reason, key, now)
    if asked.state == "waiting":
        return _confirm(session, patient, trial, day, asked, now)
    return _repeat(session, patient, trial, day, asked, now)


def propose_correction(
    session: Session,
    staff: Actor,
    trial: TrialRow,
    day: date,
    answers: Answers,
    *,
    reason: str,
    key: str,
    now: datetime,
) -> CorrectionRow:
    """Keep what the patient said by telephone; it waits for the patient's yes.

    Raises:
        DiaryClosedError: there is no report to correct, or the diary was worked out.
        ProtocolError: no reason is given.
        StateError: another correction of the day waits already.
    """
    require_role(staff, Role.CLINICIAN)
    return _ask(session, staff, trial, day, answers, Source.PHONE, reason, key, now)


def _ask(
    session: Session,
    author: Actor,
    trial: TrialRow,
    day: date,
    answers: Answers,
    source: Source,
    reason: str,
    key: str,
    now: datetime,
) -> CorrectionRow:
    trial = lock_trial(session, trial.id)
    row = find_day(session, trial.id, day)
    if row is None:
        raise DiaryClosedError(_("This day does not belong to the trial."))
    row = lock_day(session, row.id)
    sent_before = correction_with_key(session, key)
    if sent_before is not None and sent_before.diary_day_id == row.id:
        return sent_before
    check_not_closed_for_good(session, trial)
    counting = latest_entry(session, row.id)
    if counting is None or sent_before is not None:
        raise DiaryClosedError(_("This day was not reported, so there is nothing to correct."))
    if now < row.closes_at and source is Source.PATIENT:
        raise DiaryClosedError(_("This diary is still open: simply fill it in again."))
    if not reason.strip() or len(reason) > LONGEST_NOTE:
        raise ProtocolError(_("Please say in a few words why it is changed."))
    if waiting_correction(session, row.id) is not None:
        raise StateError(
            _("A correction of this day waits for the patient already. That one comes first.")
        )
    asked = CorrectionRow(
        diary_day_id=row.id,
        idempotency_key=key,
        author=author.public_id,
        source=source.value,
        reason=reason.strip(),
        before=_kept(counting.answers),
        after=_kept(answers),
        asked_at=now,
    )
    session.add(asked)
    session.flush()
    record(
        session,
        author,
        "ask_for_correction",
        f"correction:{asked.public_id}",
        now,
        trial=trial,
        after={"day": day.isoformat(), "revision": counting.revision},
        why=asked.reason,
    )
    return asked


def settle_correction(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    public_id: str,
    *,
    agrees: bool,
    now: datetime,
) -> None:
    """Keep the patient's yes or no to a correction that the clinic wrote down; the first stands.

    Raises:
        NotFoundError: there is no such correction.
    """
    require_role(patient, Role.PATIENT)
    trial = lock_trial(session, trial.id)
    asked = find_correction(session, trial.id, public_id)
    if asked is None:
        raise NotFoundError(_("There is no such correction."))
    if asked.state != "waiting":
        return
    if agrees:
        day = session.get_one(DiaryDayRow, asked.diary_day_id).day
        _confirm(session, patient, trial, day, asked, now)
        return
    asked.state = "declined"
    asked.settled_at = now
    session.flush()
    subject = f"correction:{asked.public_id}"
    record(session, patient, "decline_correction", subject, now, trial=trial)


def _confirm(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    day: date,
    asked: CorrectionRow,
    now: datetime,
) -> Receipt:
    receipt = _record(session, patient, trial, day, asked, now)
    row = session.get_one(DiaryDayRow, asked.diary_day_id)
    entry = latest_entry(session, row.id)
    assert entry is not None  # noqa: S101  # it was written just now
    asked.state = "confirmed"
    asked.settled_at = now
    asked.entry_id = entry.id
    session.flush()
    return receipt


def _repeat(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    day: date,
    asked: CorrectionRow,
    now: datetime,
) -> Receipt:
    """Return the receipt of a correction that was sent before."""
    return _record(session, patient, trial, day, asked, now)


def _record(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    day: date,
    asked: CorrectionRow,
    now: datetime,
) -> Receipt:
    return record_entry(
        session,
        trial,
        day,
        _ANSWERS.validate_python(asked.after),
        source=Source(asked.source),
        author=patient,
        key=f"correction:{asked.public_id}",
        now=now,
        correction=asked.reason,
    )


def confirm_entry(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    entry_id: int,
    *,
    is_right: bool,
    now: datetime,
) -> None:
    """Keep the patient's word on a report that the clinic wrote down; the first stands.

    A no changes nothing by itself: the patient corrects the day, or calls.

    Raises:
        NotFoundError: there is no such report, or the patient wrote it.
    """
    require_role(patient, Role.PATIENT)
    trial = lock_trial(session, trial.id)
    found = {entry.id: day for day, entry in latest_entries(session, trial.id).items()}
    if entry_id not in found:
        raise NotFoundError(_("There is no such report."))
    entry = session.get_one(DiaryEntryRow, entry_id)
    if entry.source == Source.PATIENT:
        raise NotFoundError(_("There is no such report."))
    if entry_id in confirmations_of_trial(session, trial.id):
        return
    session.add(ConfirmationRow(entry_id=entry_id, is_right=is_right, at=now))
    session.flush()
    record(
        session,
        patient,
        "confirm_entry" if is_right else "doubt_entry",
        f"diary:{trial.public_id}/{found[entry_id].isoformat()}",
        now,
        trial=trial,
        after={"answers": canonical_hash([entry.salt, entry.answers])},
    )


def to_confirm(session: Session, trial: TrialRow) -> tuple[ToConfirm, ...]:
    """Return what the clinic wrote down and the patient has not said anything about yet."""
    waiting = [
        ToConfirm(
            public_id=row.public_id,
            entry_id=0,
            day=day,
            before=_ANSWERS.validate_python(row.before) if row.before is not None else None,
            after=_ANSWERS.validate_python(row.after),
            reason=row.reason,
        )
        for day, row in corrections_of_trial(session, trial.id)
        if row.state == "waiting"
    ]
    told = confirmations_of_trial(session, trial.id)
    written = [
        ToConfirm("", entry.id, day, None, entry.answers, "")
        for day, entry in latest_entries(session, trial.id).items()
        if entry.source != Source.PATIENT and not entry.corrects and entry.id not in told
    ]
    return tuple(sorted([*waiting, *written], key=lambda item: item.day))


def _kept(answers: Answers) -> Json:
    content = plain(answers)
    assert isinstance(content, dict)  # noqa: S101  # a dataclass becomes an object
    return content
