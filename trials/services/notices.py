"""What a patient does that the clinic must hear of: one message to the trial's clinician.

A message names the patient by code only and never says why: mail is no safe place for it.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.domain.alerts import after_working_days
from trials.domain.blinding import Role
from trials.domain.calendar import local_day, readable_zone
from trials.services.actor import Actor, record, require_role
from trials.services.language import language_for_staff, write_letter
from trials.services.messages import queue_message
from trials.store.account import AccountRow
from trials.store.outbox import MessageRow
from trials.store.problem import CALL, ProblemRow, waiting_call
from trials.store.trial import TrialRow, lock_trial

PROMISED_DAYS = 2


def ask_for_call(
    session: Session, actor: Actor, trial: TrialRow, *, address: str, now: datetime
) -> bool:
    """Ask the clinician to call the patient; return whether this is the day's first request.

    It stays on the clinician's page until somebody has noted that the call was made.

    Args:
        session: the transaction.
        actor: the patient.
        trial: which.
        address: where the clinician signs in.
        now: UTC instant.
    """
    require_role(actor, Role.PATIENT)
    trial = lock_trial(session, trial.id)
    call = waiting_call(session, trial.id)
    if call is None:
        call = ProblemRow(
            trial_id=trial.id, kind=CALL, words="", at=now, reminds_at=promised_by(trial, now)
        )
        session.add(call)
        session.flush()
    is_new = _tell(session, trial, "call_asked", _call_occasion(trial, call, now), address, now)
    if is_new:
        record(session, actor, "ask_for_call", f"trial:{trial.public_id}", now, trial=trial)
    return is_new


def asked_for_call(session: Session, trial: TrialRow, now: datetime) -> bool:
    """Return whether the patient asked today for a call that was not made yet."""
    call = waiting_call(session, trial.id)
    if call is None:
        return False
    query = select(MessageRow.id).where(MessageRow.occasion == _call_occasion(trial, call, now))
    return session.scalar(query) is not None


def promised_by(trial: TrialRow, now: datetime) -> datetime:
    """Return until when the patient was promised an answer: two working days of the site."""
    return after_working_days(PROMISED_DAYS, now, readable_zone(trial.site.timezone))


def tell_of_pause(session: Session, trial: TrialRow, *, address: str, now: datetime) -> None:
    """Tell the clinician that the patient paused the trial."""
    occasion = f"patient-paused:{trial.public_id}:{trial.revision}"
    _tell(session, trial, "patient_paused", occasion, address, now)


def tell_of_stop(session: Session, trial: TrialRow, *, address: str, now: datetime) -> None:
    """Tell the clinician that the patient ended the trial."""
    _tell(session, trial, "patient_stopped", f"patient-stopped:{trial.public_id}", address, now)


def tell_of_problem(
    session: Session, trial: TrialRow, problem: str, *, address: str, now: datetime
) -> None:
    """Tell the clinician that the patient reports a problem; which, the page of the trial says."""
    _tell(session, trial, "problem_reported", f"problem:{problem}", address, now)


def tell_of_removal(session: Session, trial: TrialRow, *, address: str, now: datetime) -> None:
    """Tell the clinician that the patient ended the trial and that the answers were removed."""
    _tell(session, trial, "answers_removed", f"answers-removed:{trial.public_id}", address, now)


def _tell(
    session: Session, trial: TrialRow, template: str, occasion: str, address: str, now: datetime
) -> bool:
    clinician = session.get_one(AccountRow, trial.clinician_id)
    letter = write_letter(
        template,
        language_for_staff(clinician.locale, trial.site.locale),
        code=trial.patient.code,
        address=address,
    )
    return queue_message(
        session,
        occasion=occasion,
        trial=trial,
        recipient=clinician.email,
        subject=letter.subject,
        body=letter.body,
        due_at=now,
    )


def _call_occasion(trial: TrialRow, call: ProblemRow, now: datetime) -> str:
    day = local_day(now, readable_zone(trial.timezone))
    return f"call-asked:{call.public_id}:{day.isoformat()}"
