"""When a patient is reminded of the diary, and when reminding stops.

Once when the day opens, once more two hours before it closes, never after it is answered.
Who has missed three days in a row needs a person, not another e-mail: reminders rest until
the patient answers again, and the clinician is told.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

SECOND_REMINDER_BEFORE = timedelta(hours=2)
MISSED_BEFORE_REST = 3
LOOK_BACK_DAYS = 7
"""Enough to hold three decided days behind those that can still be answered late."""


def second_reminder_at(closes_at: datetime) -> datetime:
    """Return when to remind once more of a day that closes at this UTC instant."""
    return closes_at - SECOND_REMINDER_BEFORE


def missed_in_a_row(states: Sequence[str]) -> int:
    """Return how many days were missed since one was answered or not expected.

    Args:
        states: of the days so far, oldest first; days that can still be answered do not count.
    """
    missed = 0
    for state in reversed(states):
        if state == "missed":
            missed += 1
        elif state not in {"open", "planned"}:
            break
    return missed


def reminders_rest(states: Sequence[str]) -> bool:
    """Return whether reminders rest, given the states of the days before, oldest first."""
    return missed_in_a_row(states) >= MISSED_BEFORE_REST
