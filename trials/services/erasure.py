"""Remove what a patient reported, as was agreed at the start.

All answers go: entries with their notes, corrections, photos, guesses, impressions, problems, and
what was computed from them. That the days were answered stays, and so does the audit trail: it
holds salted digests only, whose salt goes with the answers.
"""

from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.consent import OnWithdrawal
from trials.domain.errors import StateError
from trials.domain.life_cycle import State
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.services.draws import DRAWS_FOLDER
from trials.services.steps import subject_of
from trials.store.erasure import ErasureRow, count_answers, erasure_of, remove_answers
from trials.store.fit import FitRow
from trials.store.trial import TrialRow, consent_to, frozen_protocol, lock_trial

REMOVABLE = frozenset({State.STOPPED})
"""A trial that was worked out is what a decision rests on: it stays."""


def wish_on_withdrawal(session: Session, trial: TrialRow) -> OnWithdrawal:
    """Return what the patient agreed should become of the answers; kept if nothing was said."""
    frozen = frozen_protocol(session, trial.id)
    consent = consent_to(session, frozen.id) if frozen is not None else None
    return OnWithdrawal(consent.on_withdrawal) if consent is not None else OnWithdrawal.KEEP


def is_erased(session: Session, trial: TrialRow) -> bool:
    """Return whether the answers of this trial were removed."""
    return erasure_of(session, trial.id) is not None


def may_erase(session: Session, trial: TrialRow) -> bool:
    """Return whether the answers can be removed: agreed to, ended, and not done yet."""
    return (
        trial.current_state in REMOVABLE
        and wish_on_withdrawal(session, trial) is OnWithdrawal.REMOVE
        and not is_erased(session, trial)
    )


def erase_answers(
    session: Session, actor: Actor, trial: TrialRow, *, reason: str, now: datetime
) -> tuple[str, ...]:
    """Remove the answers of a trial that its patient has left.

    Returns:
        Names of the files with draws that are to be removed after the commit
        (``remove_draws``).

    Raises:
        StateError: it was not agreed, the trial goes on, or its result is worked out.
    """
    require_role(actor, Role.PATIENT, Role.CLINICIAN)
    trial = lock_trial(session, trial.id)
    if is_erased(session, trial):
        return ()
    if not may_erase(session, trial):
        raise StateError(
            _("The answers can be removed once the trial is stopped, and if that was agreed.")
        )
    files = session.scalars(
        select(FitRow.draws_file).where(FitRow.trial_id == trial.id, FitRow.draws_file != "")
    ).all()
    removed = count_answers(session, trial.id)
    session.add(
        ErasureRow(trial_id=trial.id, at=now, author=actor.public_id, removed=dict(removed))
    )
    session.flush()  # from here on the database lets them go
    remove_answers(session, trial.id)
    session.expire_all()
    trial.fits_at = None
    session.flush()
    record(
        session,
        actor,
        "erase_answers",
        subject_of(trial),
        now,
        trial=trial,
        after=dict(removed),
        why=reason,
    )
    return tuple(files)


def remove_draws(data_dir: Path, files: tuple[str, ...]) -> None:
    """Remove files with draws; one that is gone already is all right."""
    for name in files:
        (data_dir / DRAWS_FOLDER / name).unlink(missing_ok=True)
