"""What the audit trail of one trial tells a reader who may be blinded.

The trail itself holds everything; these lines hold only what is safe to show: who, when, which
deed, the state after it and the reason given. The words of the pharmacist who opens a code stay
out until the result is released, because whoever writes them may know the treatment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.domain.blinding import may_see_allocation
from trials.domain.life_cycle import State, Step
from trials.domain.words import marked as _
from trials.services.actor import Actor
from trials.store.account import AccountRow
from trials.store.audit import AuditRow, records_of_trial
from trials.store.trial import TrialRow

DIARY = "record_entry"
"""One line a day would hide the rest; entries are counted instead."""

DEEDS: Mapping[str, str] = {
    "create_trial": _("Draft begun"),
    "edit_draft": _("Draft changed"),
    "ask_calibration": _("Study of the design asked for again"),
    Step.FREEZE: _("Protocol frozen"),
    "draw_allocation": _("Sequence drawn and commitment published"),
    Step.AMEND: _("Protocol opened for a new version"),
    "record_consent": _("Consent recorded"),
    Step.START: _("Trial started"),
    Step.PAUSE: _("Trial paused"),
    Step.RESUME: _("Trial resumed"),
    "begin_period": _("Period begun"),
    "end_period": _("Period over"),
    "take_look": _("Planned look taken"),
    Step.COMPLETE: _("Last diary day over"),
    Step.STOP: _("Trial stopped"),
    "request_fit": _("Analysis asked for"),
    "retry_fit": _("Analysis tried again"),
    "export_analysis": _("Analysis exported"),
    "finish_fit": _("Analysis finished"),
    "fail_fit": _("Analysis failed"),
    Step.ANALYSE: _("Final analysis complete"),
    Step.RELEASE: _("Result released"),
    Step.DECIDE: _("Decision signed"),
    Step.FOLLOW_UP: _("Follow-up begun"),
    "read_dispensing_list": _("Dispensing list read"),
    "unblind_period": _("Code of one period opened"),
    "ask_for_call": _("Call asked for"),
    "report_problem": _("Problem reported"),
    "settle_problem": _("Problem dealt with"),
    "ask_for_correction": _("Correction of a day asked for"),
    "correct_entry": _("Day corrected"),
    "decline_correction": _("Correction declined by the patient"),
    "confirm_entry": _("Report confirmed by the patient"),
    "doubt_entry": _("Report called wrong by the patient"),
    "add_photo": _("Photo added"),
    "record_guess": _("Guess about a period made"),
    "record_impression": _("Questions about a period answered"),
    "erase_answers": _("Answers removed, as agreed"),
    "raise_alert": _("Alert raised"),
    "tell_serious": _("Clinic told on the page of help"),
    "acknowledge_alert": _("Alert acknowledged"),
    "answer_mood_questions": _("Questions about mood answered"),
    "record_adverse_event": _("Serious adverse event recorded"),
    "amend_adverse_event": _("Serious adverse event: more written down"),
    "sign_adverse_event": _("Report of a serious adverse event signed"),
}


@dataclass(frozen=True, slots=True)
class TrailLine:
    """One deed.

    Attributes:
        number: of the record in the whole trail.
        at: UTC instant.
        who: name of the person; "" for the patient and the system.
        role: in what capacity, "system" for the clock.
        deed: what was done, as an English sentence to translate.
        state: of the trial afterwards; None where the deed did not touch it.
        period: whose code was opened; 0 for every other deed.
        why: the reason given, "" if none or not to be shown.
    """

    number: int
    at: datetime
    who: str
    role: str
    deed: str
    state: State | None
    period: int
    why: str


@dataclass(frozen=True, slots=True)
class Trail:
    """The deeds of a trial, newest first, and how many diary entries lie between them."""

    lines: tuple[TrailLine, ...]
    entries: int


def trail_of(session: Session, actor: Actor, trial: TrialRow) -> Trail:
    """Return the safe part of a trial's audit trail.

    Args:
        session: the transaction.
        actor: who reads it; a blinded reader is not shown why a code was opened.
        trial: of the reader's site.
    """
    records = records_of_trial(session, trial.id)
    deeds = [record for record in records if record.action != DIARY]
    names = _names(session, {record.actor for record in deeds})
    unblinded = actor.role is not None and may_see_allocation(
        actor.role, trial.how_blinded, trial.current_state
    )
    return Trail(
        lines=tuple(_line(record, names, unblinded=unblinded) for record in deeds),
        entries=len(records) - len(deeds),
    )


def _line(record: AuditRow, names: Mapping[str, str], *, unblinded: bool) -> TrailLine:
    after = record.after or {}
    opening = record.action == "unblind_period"
    state, period = after.get("state"), after.get("period")
    return TrailLine(
        number=record.number,
        at=record.at,
        who=names.get(record.actor, ""),
        role=record.role,
        deed=DEEDS.get(record.action, record.action),
        state=State(state) if isinstance(state, str) and state in State else None,
        period=period if opening and isinstance(period, int) else 0,
        why=record.why if unblinded or not opening else "",
    )


def _names(session: Session, actors: set[str]) -> dict[str, str]:
    query = select(AccountRow.public_id, AccountRow.name).where(AccountRow.public_id.in_(actors))
    return dict(session.execute(query).all())
