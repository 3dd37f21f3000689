"""Planned looks: after a block the frozen rule is applied, and only a clear "best" is told.

A look is a row from the start of the trial, so nobody can add one. It is taken once, when its
block is over, on the days up to the end of that block, by both engines. Whether the trial ends
early is the clinician's and the patient's decision; a blinded reader learns that the answer is
clear, never which arm it is. Nothing else that is computed while a trial runs decides anything.
"""

import json
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from models.analysis import Analysis
from models.decision import Kind
from trials.domain.calendar import DiaryDay
from trials.domain.canonical import canonical_hash
from trials.domain.design import planned_looks
from trials.domain.errors import AnalysisError
from trials.domain.life_cycle import UNDER_WAY
from trials.domain.protocol import Protocol
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services import allocation
from trials.services.actor import SYSTEM, record
from trials.services.analysis import (
    FitTask,
    assemble_data,
    fingerprint,
    is_ahead,
    secret_seed,
    specify,
)
from trials.services.language import language_for_staff, write_letter
from trials.services.messages import queue_message
from trials.services.summary import summary_of
from trials.store.account import AccountRow
from trials.store.diary import days_of_trial
from trials.store.look import LookRow, looks_of_trial, plan_looks
from trials.store.trial import TrialRow, frozen_protocol, lock_trial

SEALED_LOOK = "look summary"
NOT_YET = timedelta(minutes=10)
CLEAR, NOT_CLEAR, NOT_NEEDED = "clear", "not_clear", "not_needed"


def plan(session: Session, trial: TrialRow, protocol: Protocol, days: tuple[DiaryDay, ...]) -> None:
    """Write the looks of the protocol down; called once, by the start of the trial."""
    arms = len(protocol.design.arms)
    plan_looks(
        session,
        trial.id,
        [
            (block, max(day.closes_at for day in days if day.period <= block * arms))
            for block in planned_looks(protocol.design, protocol.looks)
        ],
    )


def prepare_look(session: Session, vault: Vault, row: LookRow, now: datetime) -> FitTask | None:
    """Return the plain values a worker needs; None if the look is not due after all.

    A pause moves the end of a block, so the row is put off until its last day is settled; a
    trial that ended before needs no look any more.
    """
    trial = session.get_one(TrialRow, row.trial_id)
    frozen = frozen_protocol(session, trial.id)
    if frozen is None:
        raise AnalysisError(_("This trial never started, so there is nothing to analyse."))
    if trial.current_state not in UNDER_WAY:
        row.outcome = NOT_NEEDED
        row.done_at = now
        return None
    protocol = frozen.value
    last_period = row.block * len(protocol.design.arms)
    own = [day for day in days_of_trial(session, trial.id) if day.period <= last_period]
    unsettled = [day for day in own if day.state == "open" or is_ahead(day)]
    if unsettled:
        row.due_at = max(now + NOT_YET, unsettled[-1].closes_at)
        row.claimed_by = row.leased_until = None
        row.attempts -= 1  # it was not tried
        return None
    data = assemble_data(session, vault, trial, blocks=row.block)
    return FitTask(
        fit=row.public_id,
        data=data,
        specification=specify(protocol, allocation.sealed_arm_key(session, vault, trial)),
        seed=secret_seed(vault, data.data_hash, frozen.hash or "", "look"),
        draws_file="",
    )


def hold_trial_of(session: Session, look_id: int) -> None:
    """Hold the trial of a look until the transaction ends, before the look itself."""
    look = session.get(LookRow, look_id)
    if look is not None:
        lock_trial(session, look.trial_id)


def finish_look(
    session: Session,
    vault: Vault,
    row: LookRow,
    task: FitTask,
    analysis: Analysis,
    now: datetime,
    *,
    address: str,
) -> None:
    """Keep what the frozen rule said; tell the clinician if an arm is best, or does harm.

    Only what both engines agree on counts: a provisional verdict stops nothing.
    """
    trial = session.get_one(TrialRow, row.trial_id)
    verdict = analysis.verdict
    clear = verdict.kind is Kind.BEST and not verdict.is_left_over and not verdict.provisional
    summary = summary_of(analysis)
    row.outcome = CLEAR if clear else NOT_CLEAR
    row.harm = bool(analysis.harmful)
    row.data_hash = fingerprint(vault, task.data)
    row.summary = summary.masked
    row.sealed_summary = vault.seal(
        SEALED_LOOK, json.dumps(summary.sealed).encode(), context=row.public_id
    )
    row.done_at = now
    session.flush()
    record(
        session,
        SYSTEM,
        "take_look",
        f"look:{row.public_id}",
        now,
        trial=trial,
        after={
            "block": row.block,
            "data": row.data_hash,
            "summary": canonical_hash(row.summary),
        },
    )
    if trial.current_state not in UNDER_WAY:
        return
    if clear:
        _tell(session, trial, row, "answer_clear", address, now)
    if row.harm:
        _tell(session, trial, row, "harm_found", address, now)


def clear_look(session: Session, trial: TrialRow) -> int:
    """Return the block after which the rule first found an arm best; 0 if none."""
    looks = looks_of_trial(session, trial.id)
    return next((look.block for look in looks if look.outcome == CLEAR), 0)


def harmful_look(session: Session, trial: TrialRow) -> int:
    """Return the newest block after which an arm was vetoed for harm; 0 if none."""
    return max((look.block for look in looks_of_trial(session, trial.id) if look.harm), default=0)


def _tell(
    session: Session, trial: TrialRow, look: LookRow, template: str, address: str, now: datetime
) -> None:
    clinician = session.get_one(AccountRow, trial.clinician_id)
    letter = write_letter(
        template,
        language_for_staff(clinician.locale, trial.site.locale),
        code=trial.patient.code,
        block=look.block,
        address=address,
    )
    queue_message(
        session,
        occasion=f"{template}:{trial.public_id}:{look.block}",
        trial=trial,
        recipient=clinician.email,
        subject=letter.subject,
        body=letter.body,
        due_at=now,
    )
