"""What the clock does: one function for each thing that comes due.

All of them may be called at any time, by any number of schedulers, after any downtime: they
look for rows in a state that is over, and change each once. None reads the clock and none
commits; those that take ``most`` do a bounded amount of work and say how much it was.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from trials.domain.calendar import instant, local_day, zone_of
from trials.domain.errors import TrialError
from trials.domain.life_cycle import State, Step
from trials.domain.reminders import (
    LOOK_BACK_DAYS,
    MISSED_BEFORE_REST,
    reminders_rest,
)
from trials.keys import Vault
from trials.services import analysis
from trials.services.actor import SYSTEM, Deed, record_all
from trials.services.alerts import raise_silences
from trials.services.language import language_for_staff, long_day, write_letter
from trials.services.messages import queue_message, queue_messages
from trials.services.reminding import remind, say_that_reminders_rest, with_ways
from trials.services.steps import take_step
from trials.store.clockwork import (
    answered_since_fit,
    any_undecided,
    days_to_ask,
    ended_trials_to_fit,
    hold_trial,
    last_expected_day,
    look_again,
    miss_days,
    next_closing,
    open_days,
    periods_of_trials,
    plan_second_reminders,
    silences,
    states_before,
    take_second_reminders,
    trials_by_id,
    trials_never_looked_at,
    trials_to_look_at,
    waiting_fits,
)
from trials.store.outbox import NewMessage
from trials.store.trial import PeriodRow, TrialRow

BATCH = 500
FEW = 50
"""For trials, which are looked at one by one."""
MOST_WAITING_INTERIM_FITS = 20
LOOK_SOON = timedelta(minutes=10)
LOOK_LATER = timedelta(days=1)


def open_due_days(session: Session, now: datetime, *, address: str, most: int = BATCH) -> int:
    """Open diary days and put their reminders into the outbox; return how many days opened.

    A day whose opening was slept through is opened too, but its reminder is sent only while
    it is not late yet, and once instead of twice if the second one would follow at once.
    """
    opened = open_days(session, now, most)
    days = [d for d in days_to_ask(session, opened) if now < d.closes_at]
    before = states_before(session, days, LOOK_BACK_DAYS)
    awake = with_ways(session, (d for d in days if not reminders_rest(before[d.id])))
    planned = {asked: first for asked in awake if (first := asked.first(now)) is not None}
    remind(session, "diary_open", planned, address=address)
    second = {asked.day.id: asked.second(first.due_at) for asked, first in planned.items()}
    plan_second_reminders(
        session, {key: at for key, at in second.items() if at is not None and now < at}
    )
    return len(opened)


def remind_again(session: Session, now: datetime, *, address: str, most: int = BATCH) -> int:
    """Remind once more of the days that are about to close unanswered; return how many were due."""
    due = take_second_reminders(session, now, most)
    days = [d for d in days_to_ask(session, due) if d.state == "open" and now < d.closes_at]
    planned = {
        asked: again
        for asked in with_ways(session, days)
        if (again := asked.second_now(now)) is not None
    }
    remind(session, "diary_again", planned, address=address)
    return len(due)


def miss_due_days(session: Session, now: datetime, *, address: str, most: int = BATCH) -> int:
    """Count days as missing that nobody can answer any more; return how many.

    When three in a row are missing, the clinician is told, once for each such silence, and the
    patient that no more reminders come.
    """
    missed = miss_days(session, now, most)
    silent = silences(session, missed, now, MISSED_BEFORE_REST) if missed else []
    say_that_reminders_rest(session, silent, now, address=address)
    for silence in silent:
        locale = language_for_staff(silence.locale)
        letter = write_letter(
            "silence",
            locale,
            code=silence.code,
            days=silence.days,
            since=long_day(silence.since, locale),
            address=address,
        )
        new = NewMessage(
            occasion=f"silence:{silence.trial}:{silence.after}",
            trial_id=silence.trial_id,
            diary_day_id=None,
            recipient=silence.recipient,
            subject=letter.subject,
            body=letter.body,
            due_at=now,
            void_after=None,
            repeatable=True,
        )
        queue_messages(session, [new])
    raise_silences(session, silent, now)
    return len(missed)


def move_periods(session: Session, now: datetime, *, most: int = BATCH) -> int:
    """Begin and end periods by the patient's own calendar; return how many trials were due."""
    due = trials_to_look_at(session, TrialRow.moves_at, now, most, hold=True)
    periods = periods_of_trials(session, due)
    next_look: dict[int, datetime | None] = {}
    deeds: list[Deed] = []
    for trial in trials_by_id(session, due):
        try:
            zone = zone_of(trial.timezone)
        except TrialError:  # one trial with an unknown zone holds up no other
            next_look[trial.id] = now + LOOK_LATER
            continue
        today = local_day(now, zone)
        for period in periods[trial.id]:
            deeds += _move_period(trial, period, today)
        turn = _next_turn(periods[trial.id], today)
        next_look[trial.id] = now + LOOK_LATER if turn is None else instant(turn, time(0), zone)
    look_again(session, TrialRow.moves_at, next_look)
    record_all(session, SYSTEM, deeds, now)
    return len(due)


def look_at_new_trials(session: Session, now: datetime, *, most: int = BATCH) -> int:
    """Plan when to look at trials that have begun; return how many are new."""
    new = trials_never_looked_at(session, now, most)
    later = now + LOOK_LATER
    look_again(session, TrialRow.fits_at, {key: first or later for key, (first, _) in new.items()})
    look_again(
        session, TrialRow.completes_at, {key: last or later for key, (_, last) in new.items()}
    )
    return len(new)


def trials_to_complete(session: Session, now: datetime, *, most: int = FEW) -> list[int]:
    """Return the running trials whose last diary day may be over."""
    return trials_to_look_at(session, TrialRow.completes_at, now, most)


def complete_due_trial(
    session: Session, vault: Vault, trial_id: int, now: datetime, *, address: str
) -> bool:
    """Complete a trial whose diary is, and ask for the final analysis; return whether it was.

    It is once every day is answered or missed and none can be corrected any more.
    """
    trial = hold_trial(session, trial_id, State.RUNNING)
    if trial is None:
        return False
    last = last_expected_day(session, trial_id)
    if last is None:
        look_again(session, TrialRow.completes_at, {trial_id: now + LOOK_LATER})
        return False
    if now < last.closes_at:
        look_again(session, TrialRow.completes_at, {trial_id: last.closes_at})
        return False
    if any_undecided(session, trial_id):
        soon = min(now + LOOK_SOON, last.late_until) if now < last.late_until else now + LOOK_SOON
        look_again(session, TrialRow.completes_at, {trial_id: soon})
        return False
    periods = periods_of_trials(session, [trial_id])[trial_id]
    moves = [deed for period in periods for deed in _move_period(trial, period, date.max)]
    record_all(session, SYSTEM, moves, now)
    trial.ended_at = now
    take_step(session, SYSTEM, trial, Step.COMPLETE, now)
    _tell_completed(session, trial, now, address)
    analysis.request_fit(session, vault, SYSTEM, trial, purpose="final", now=now)
    look_again(session, TrialRow.fits_at, {trial_id: None})
    return True


def trials_to_fit(session: Session, now: datetime, *, most: int = FEW) -> list[int]:
    """Return the trials for which an analysis may be due: ended ones first, then changed ones.

    Interim analyses are paced: none is asked for while many wait.
    """
    ended = ended_trials_to_fit(session, now, most)
    room = MOST_WAITING_INTERIM_FITS - waiting_fits(session, "interim")
    if room <= 0:
        return ended
    return ended + trials_to_look_at(session, TrialRow.fits_at, now, min(room, most))


def request_due_fit(session: Session, vault: Vault, trial_id: int, now: datetime) -> bool:
    """Ask for the analysis that a trial is due; return whether there was one.

    A running trial is analysed at most once for each diary day, after it closed, if an entry
    came in since; an ended one once more, finally.
    """
    trial = hold_trial(session, trial_id, State.RUNNING, State.COMPLETED, State.STOPPED)
    if trial is None:
        return False
    if trial.current_state is State.RUNNING:
        due = answered_since_fit(session, trial_id)
        purpose = "interim"
        again = next_closing(session, trial_id, now) or now + LOOK_LATER
    else:
        due, purpose, again = True, "final", None
    look_again(session, TrialRow.fits_at, {trial_id: again})
    if not due:
        return False
    try:
        with session.begin_nested():
            analysis.request_fit(session, vault, SYSTEM, trial, purpose=purpose, now=now)
    except TrialError:
        return False  # there is nothing to analyse; the analyst's page says why
    return True


def _move_period(trial: TrialRow, period: PeriodRow, today: date) -> Iterator[Deed]:
    """Begin or end a period, or both, as far as the date says; yield what was done."""
    if period.state == "planned" and period.first_day <= today:
        yield _set_period(trial, period, "current")
    if period.state == "current" and period.last_day < today:
        yield _set_period(trial, period, "over")


def _set_period(trial: TrialRow, period: PeriodRow, state: str) -> Deed:
    before, period.state = period.state, state
    return Deed(
        "begin_period" if state == "current" else "end_period",
        f"period:{trial.public_id}/{period.number}",
        trial=trial,
        before={"state": before},
        after={"state": state},
    )


def _next_turn(periods: Sequence[PeriodRow], today: date) -> date | None:
    """Return the next date on which a period begins or has ended."""
    turns = [p.first_day for p in periods if p.state == "planned"]
    turns += [p.last_day + timedelta(days=1) for p in periods if p.state == "current"]
    return min((turn for turn in turns if turn > today), default=None)


def _tell_completed(session: Session, trial: TrialRow, now: datetime, address: str) -> None:
    clinician = trial.clinician
    letter = write_letter(
        "trial_completed",
        language_for_staff(clinician.locale, trial.site.locale),
        code=trial.patient.code,
        address=address,
    )
    queue_message(
        session,
        occasion=f"completed:{trial.public_id}",
        trial=trial,
        recipient=clinician.email,
        subject=letter.subject,
        body=letter.body,
        due_at=now,
    )
