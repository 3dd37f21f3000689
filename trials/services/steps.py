"""Take a step of a trial's life, with its record, on the state that was seen."""

from datetime import datetime

from sqlalchemy.orm import Session

from trials.domain.errors import (
    EditConflictError,
)
from trials.domain.life_cycle import Step, next_state
from trials.domain.words import marked as _
from trials.services.actor import Actor, record
from trials.store.base import Json
from trials.store.trial import (
    TrialRow,
)


def take_step(
    session: Session, actor: Actor, trial: TrialRow, step: Step, now: datetime, why: str = ""
) -> None:
    """Move the trial on and write down who did it and why.

    Raises:
        StateError: the step is not legal from here.
    """
    before = trial.state
    trial.state = next_state(trial.current_state, step).value
    if step is Step.COMPLETE:
        trial.ended_at = now
    session.flush()
    record_step(session, actor, trial, step.value, now, before={"state": before}, why=why)


def record_step(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    action: str,
    now: datetime,
    *,
    before: Json | None,
    why: str = "",
) -> None:
    """Write the state of the trial, before and after, into the audit trail."""
    record(
        session,
        actor,
        action,
        subject_of(trial),
        now,
        trial=trial,
        before=before,
        after={"state": trial.state},
        why=why,
    )


def check_revision(trial: TrialRow, revision: int) -> None:
    """Let only those go on who saw the trial as it is.

    Raises:
        EditConflictError: somebody changed it since.
    """
    if trial.revision != revision:
        raise EditConflictError(
            _(
                "Somebody else changed this trial while you were looking at it. Nothing of yours "
                "is lost: look at the new state and try again."
            )
        )


def subject_of(trial: TrialRow) -> str:
    """Return what the audit trail calls this trial."""
    return f"trial:{trial.public_id}"
