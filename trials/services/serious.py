"""What a patient presses on the list of serious things: told to the clinic once for each press.

A phone that got no answer sends a press again, perhaps after somebody has acknowledged its alert.
That it came stands in the audit trail under the phone's key, and raises no second alert.
"""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.red_flags import Rule
from trials.services.actor import Actor, record, require_role
from trials.services.alerts import raise_alert
from trials.store.audit import recorded_subjects
from trials.store.trial import TrialRow, lock_trial

TOLD = "tell_serious"


def tell_serious(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    rule: Rule,
    *,
    key: str,
    day: date,
    now: datetime,
) -> None:
    """Raise the alert of a button, once for each press.

    Args:
        session: the transaction.
        actor: the patient.
        trial: whose.
        rule: of the button.
        key: of this press, made on the phone; sending it again changes nothing.
        day: when it was pressed, in the patient's zone.
        now: UTC instant.
    """
    require_role(actor, Role.PATIENT)
    trial = lock_trial(session, trial.id)
    if calls_kept(session, [trial.id], [key]):
        return
    raise_alert(
        session,
        actor,
        trial,
        rule=rule.id,
        urgency=rule.urgency,
        source="button",
        day=day,
        now=now,
        submission=_subject(key),
    )
    # The administrator reads the trail: it does not say what was pressed.
    record(session, actor, TOLD, _subject(key), now, trial=trial)


def calls_kept(session: Session, trial_ids: Collection[int], keys: Collection[str]) -> set[str]:
    """Return which of these presses arrived in these trials."""
    found = recorded_subjects(session, trial_ids, TOLD, [_subject(key) for key in keys])
    return {key for key in keys if _subject(key) in found}


def _subject(key: str) -> str:
    return f"call:{key}"
