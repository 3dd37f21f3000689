"""A patient asks to be called: one message to the clinician, at most one a day."""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.services.actor import Actor, record, require_role
from trials.services.language import write_letter
from trials.services.messages import queue_message
from trials.store.account import AccountRow
from trials.store.outbox import MessageRow
from trials.store.trial import TrialRow


def ask_for_call(
    session: Session, actor: Actor, trial: TrialRow, *, address: str, now: datetime
) -> bool:
    """Ask the trial's clinician to call the patient; return whether this is a new request.

    The message names the patient by code only. Nobody is asked what it is about: that is what
    the call is for, and mail is no safe place for it.

    Args:
        session: the transaction.
        actor: the patient.
        trial: which.
        address: where the clinician finds the trial.
        now: UTC instant.
    """
    require_role(actor, Role.PATIENT)
    day = local_day(now, zone_of(trial.timezone))
    clinician = session.get_one(AccountRow, trial.clinician_id)
    letter = write_letter(
        "call_asked",
        clinician.locale or trial.site.locale,
        code=trial.patient.code,
        site=trial.site.name,
        address=address,
    )
    is_new = queue_message(
        session,
        occasion=_occasion(trial, day),
        trial=trial,
        recipient=clinician.email,
        subject=letter.subject,
        body=letter.body,
        due_at=now,
    )
    if is_new:
        record(session, actor, "ask_for_call", f"trial:{trial.public_id}", now, trial=trial)
    return is_new


def asked_for_call(session: Session, trial: TrialRow, now: datetime) -> bool:
    """Return whether the patient asked for a call today."""
    day = local_day(now, zone_of(trial.timezone))
    query = select(MessageRow.id).where(MessageRow.occasion == _occasion(trial, day))
    return session.scalar(query) is not None


def _occasion(trial: TrialRow, day: date) -> str:
    return f"call-asked:{trial.public_id}:{day.isoformat()}"
