"""Open the code of one period in an emergency, and tell the clinician that it was done."""

from datetime import datetime

from sqlalchemy.orm import Session

from trials.keys import Vault
from trials.services.actor import Actor
from trials.services.allocation import UnblindingReason, unblind_period
from trials.services.language import language_for_staff, write_letter
from trials.services.messages import queue_message
from trials.store.account import AccountRow
from trials.store.trial import TrialRow

REASONS = tuple(reason for reason in UnblindingReason if reason is not UnblindingReason.RELEASE)
"""What a person can give as the reason; the release is a step of its own."""


def open_code(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    period: int,
    reason: UnblindingReason,
    explanation: str,
    address: str,
    now: datetime,
) -> str:
    """Return the treatment of one period; the trial's clinician is told that it was opened.

    The message says which period and why in a code, never what was found: its reader stays
    blinded and goes on with the trial.

    Args:
        session: the transaction.
        vault: keys of the installation.
        actor: the pharmacist.
        trial: whose code is opened.
        period: number, from 1.
        reason: code of the reason.
        explanation: in the pharmacist's words; kept, not sent.
        address: where the clinician finds the trial.
        now: UTC instant.
    """
    found = unblind_period(
        session,
        vault,
        actor,
        trial,
        period=period,
        reason=reason,
        explanation=explanation,
        now=now,
    )
    clinician = session.get_one(AccountRow, trial.clinician_id)
    letter = write_letter(
        "code_opened",
        language_for_staff(clinician.locale, trial.site.locale),
        code=trial.patient.code,
        period=period,
        reason=reason.value,
        address=address,
    )
    queue_message(
        session,
        occasion=f"code-opened:{trial.public_id}:{period}:{now.isoformat()}",
        trial=trial,
        recipient=clinician.email,
        subject=letter.subject,
        body=letter.body,
        due_at=now,
    )
    return found
