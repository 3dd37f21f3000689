"""A patient tells the clinic of a problem or asks for a call; somebody there deals with it.

It stands on the page of the trial until then, and the clinic is reminded of it once.

The clinician gets a message that something was told, never what: mail is no safe place.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import NotFoundError, ProtocolError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_account, require_role
from trials.services.alerts import recipients_at
from trials.services.language import write_letter
from trials.services.messages import queue_message
from trials.services.notices import promised_by, tell_of_problem
from trials.store.problem import (
    ProblemRow,
    find_problem,
    problems_of_trial,
    take_due_problems,
    trials_with_problems,
)
from trials.store.trial import TrialRow, lock_trial

LONGEST_WORDS = 500
BATCH = 50


class ProblemKind(StrEnum):
    """What it is about."""

    MEDICINE = "medicine"
    BOX = "box"
    DIARY = "diary"
    OTHER = "other"


PROBLEM_KINDS: dict[ProblemKind, str] = {
    ProblemKind.MEDICINE: _("The medicine does not agree with me"),
    ProblemKind.BOX: _("A box is lost, empty or damaged"),
    ProblemKind.DIARY: _("The diary does not work"),
    ProblemKind.OTHER: _("Something else"),
}


def report_problem(
    session: Session,
    patient: Actor,
    trial: TrialRow,
    *,
    kind: ProblemKind,
    words: str,
    address: str,
    now: datetime,
) -> ProblemRow:
    """Keep a problem and tell the clinician; the same one again, unsettled, is the same one.

    Raises:
        ProtocolError: too long, or nothing said about "something else".
    """
    require_role(patient, Role.PATIENT)
    trial = lock_trial(session, trial.id)
    words = words.strip()
    if len(words) > LONGEST_WORDS:
        raise ProtocolError(_("Please keep it under 500 characters."))
    if kind is ProblemKind.OTHER and not words:
        raise ProtocolError(_("Please say in a few words what it is."))
    for known in problems_of_trial(session, trial.id):
        if known.settled_at is None and (known.kind, known.words) == (kind.value, words):
            return known
    promised = promised_by(trial, now)
    problem = ProblemRow(
        trial_id=trial.id, kind=kind.value, words=words, at=now, reminds_at=promised
    )
    session.add(problem)
    session.flush()
    subject = f"problem:{problem.public_id}"
    record(
        session, patient, "report_problem", subject, now, trial=trial, after={"kind": kind.value}
    )
    tell_of_problem(session, trial, problem.public_id, address=address, now=now)
    return problem


def settle_problem(
    session: Session, clinician: Actor, trial: TrialRow, public_id: str, now: datetime
) -> None:
    """Note that somebody has dealt with a problem; once is enough.

    Raises:
        NotFoundError: there is no such problem.
    """
    require_role(clinician, Role.CLINICIAN)
    problem = find_problem(session, trial.id, public_id)
    if problem is None:
        raise NotFoundError(_("There is no such problem."))
    if problem.settled_at is not None:
        return
    problem.settled_at = now
    problem.settled_by = require_account(clinician)
    problem.reminds_at = None
    session.flush()
    record(session, clinician, "settle_problem", f"problem:{public_id}", now, trial=trial)


def open_problems(session: Session, trial: TrialRow) -> list[ProblemRow]:
    """Return the problems that nobody has dealt with, the newest first."""
    return [row for row in problems_of_trial(session, trial.id) if row.settled_at is None]


def trials_that_wait(session: Session, clinician: Actor) -> set[str]:
    """Return the public ids of the site's trials whose patients wait for an answer."""
    require_role(clinician, Role.CLINICIAN)
    return trials_with_problems(session, clinician.site_id or 0)


def remind_of_problems(session: Session, now: datetime, *, address: str, most: int = BATCH) -> int:
    """Remind once of what nobody dealt with in the time promised; return how much it was."""
    due = take_due_problems(session, now, most)
    for problem in due:
        for recipient in recipients_at(session, problem.trial, 0):
            letter = write_letter(
                "still_waits",
                recipient.locale,
                code=problem.trial.patient.code,
                address=address,
            )
            queue_message(
                session,
                occasion=f"still-waits:{problem.public_id}:{recipient.email}",
                trial=problem.trial,
                recipient=recipient.email,
                subject=letter.subject,
                body=letter.body,
                due_at=now,
            )
        problem.reminds_at = None
    session.flush()
    return len(due)
