"""The two questions about mood: when they are asked, and what an answer sets off.

Thoughts of self-harm are never an item in a list. They have a page of their own that begins with
help. If any arm of a trial calls for the questions, they are asked in every period alike.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import local_day, readable_zone
from trials.domain.errors import ProtocolError
from trials.domain.life_cycle import State
from trials.domain.red_flags import Urgency
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.services.alerts import raise_alert
from trials.services.red_flag_rules import MOOD_ITEM, SUICIDE, asks_about_mood
from trials.store.diary import first_day_with
from trials.store.mood import MoodScreenRow, last_screen, screen_with_key
from trials.store.trial import TrialRow, frozen_protocol, lock_trial

ASKED_EVERY = timedelta(days=7)
NO_THOUGHTS = "no"
THOUGHTS = (NO_THOUGHTS, "sometimes", "often", "not_said")
LOWEST = 3


class Occasion(StrEnum):
    """Why the questions are asked."""

    BASELINE = "baseline"
    WEEKLY = "weekly"
    LOW_MOOD = "low_mood"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Due:
    """The questions wait for an answer.

    Attributes:
        occasion: why they are asked.
        since: the day from which they were due; None before the first report.
    """

    occasion: Occasion
    since: date | None


def occasion_due(session: Session, trial: TrialRow, now: datetime) -> Occasion | None:
    """Return why the questions are due now, or None."""
    due = questions_due(session, trial, now)
    return None if due is None else due.occasion


def questions_due(session: Session, trial: TrialRow, now: datetime) -> Due | None:
    """Return why the questions are due now and since when, or None.

    Low mood calls for them until they are answered, whatever later reports say.
    """
    if trial.current_state not in {State.READY, State.RUNNING, State.PAUSED}:
        return None
    last = last_screen(session, trial.id)
    answered_at = None if last is None else last.answered_at
    low = first_day_with(session, trial.id, MOOD_ITEM, answered_at)
    if low is not None:
        return Due(Occasion.LOW_MOOD, low)
    frozen = frozen_protocol(session, trial.id)
    if frozen is None or not asks_about_mood(frozen.value):
        return None
    if last is None:
        return Due(Occasion.BASELINE, trial.start_day)
    due = last.day + ASKED_EVERY
    today = local_day(now, readable_zone(trial.timezone))
    is_weekly = trial.current_state is State.RUNNING and today >= due
    return Due(Occasion.WEEKLY, due) if is_weekly else None


def answer_mood_questions(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    *,
    low: int,
    thoughts: str,
    key: str,
    now: datetime,
    answered: datetime | None = None,
) -> MoodScreenRow:
    """Keep the answers, once for each form; anything but "no" to the second raises an alert.

    Args:
        session: the transaction.
        actor: the patient.
        trial: whose.
        low: how low the mood was in the last week, 0 (never) to 3 (nearly every day).
        thoughts: of self-harm, one of ``THOUGHTS``.
        key: of the form; sending the same answers again changes nothing.
        now: UTC instant.
        answered: when it was answered, if it waited on a phone.

    Raises:
        ProtocolError: a question is not answered.
    """
    require_role(actor, Role.PATIENT)
    trial = lock_trial(session, trial.id)
    if not 0 <= low <= LOWEST or thoughts not in THOUGHTS:
        raise ProtocolError(_("Please answer both questions."))
    kept = screen_with_key(session, key)
    if kept is not None and (kept.low, kept.thoughts) != (low, thoughts):
        key = f"{key}:{low}:{thoughts}"  # the form was gone back to, and answered otherwise
        kept = screen_with_key(session, key)
    if kept is not None and kept.trial_id == trial.id:
        return kept
    row = MoodScreenRow(
        trial_id=trial.id,
        idempotency_key=key,
        occasion=(occasion_due(session, trial, now) or Occasion.OWN).value,
        day=local_day(answered or now, readable_zone(trial.timezone)),
        low=low,
        thoughts=thoughts,
        answered_at=now,
    )
    session.add(row)
    session.flush()
    record(session, actor, "answer_mood_questions", f"trial:{trial.public_id}", now, trial=trial)
    if thoughts != NO_THOUGHTS:
        raise_alert(
            session,
            actor,
            trial,
            rule=SUICIDE,
            urgency=Urgency.IMMEDIATE,
            source="screen",
            day=row.day,
            now=now,
            signs=(thoughts,),
            submission=key,
        )
    return row
