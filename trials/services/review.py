"""What the analyst is to look at: trials and their analyses, without a patient or a treatment."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import Phase
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State
from trials.services.actor import SYSTEM, Actor, require_role
from trials.services.overview import trials_of
from trials.store.diary import DiaryDayRow, days_of_trial, latest_entries
from trials.store.fit import FitRow
from trials.store.trial import TrialRow

NOT_YET = frozenset({"planned", "open"})
_RAISED = re.compile(r"^(\w+)\(")


class FitState(StrEnum):
    """Where an analysis stands in the queue."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FitStanding:
    """One analysis in the queue or out of it.

    Attributes:
        public_id: of the fit.
        purpose: "interim" or "final".
        state: where it stands.
        requested_at: when it was asked for.
        by_clock: whether the clock asked for it.
        attempts: how often a worker began.
        done_at: when it ended, well or not; None before.
        error: why the last attempt failed, "" if none did. Of an error nobody foresaw only its
            kind: its message may hold values that tell the arms apart.
    """

    public_id: str
    purpose: str
    state: FitState
    requested_at: datetime
    by_clock: bool
    attempts: int
    done_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Work:
    """One trial of the analyst's list.

    Attributes:
        trial: public id.
        state: where it stands.
        blinding: whether the treatments are hidden.
        day: which day of the trial today is, 0 before the first.
        days: how many it has.
        answered: answered diary days.
        due: days answered or missed.
        fit: the newest analysis; None before the first.
    """

    trial: str
    state: State
    blinding: Blinding
    day: int
    days: int
    answered: int
    due: int
    fit: FitStanding | None


@dataclass(frozen=True, slots=True)
class Worklist:
    """The trials of a site by what the analyst has to do with them.

    Attributes:
        awaiting: over and not released: to be analysed, looked at, released.
        under_way: for a look.
        released: the result is known.
    """

    awaiting: tuple[Work, ...]
    under_way: tuple[Work, ...]
    released: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How completely one stretch of the diary was answered.

    Attributes:
        phase: of the days; None for a row of a period.
        period: of the days, 0 in the run-in; None for a row of a phase.
        answered: days with an answer.
        late: of these, after the window had closed.
        missed: too late for an answer.
        to_come: not settled yet.
        paused: days of a pause or after a stop: none was expected.
    """

    phase: Phase | None
    period: int | None
    answered: int
    late: int
    missed: int
    to_come: int
    paused: int

    @property
    def share(self) -> float | None:
        """Answered share of the settled days; None before the first."""
        settled = self.answered + self.missed
        return self.answered / settled if settled else None


def worklist(session: Session, actor: Actor, now: datetime) -> Worklist:
    """Return what there is to look at; those ready for the release come first."""
    require_role(actor, Role.ANALYST)
    newest = _newest_fits(session, actor.site_id, now)
    started = (
        Work(
            trial=row.public_id,
            state=row.state,
            blinding=row.blinding,
            day=row.day,
            days=row.days,
            answered=row.answered,
            due=row.due,
            fit=newest.get(row.public_id),
        )
        for row in trials_of(session, actor, now)
        if row.start_day is not None
    )
    groups: dict[str, list[Work]] = {"awaiting": [], "under_way": [], "released": []}
    for work in started:
        groups[_group(work.state)].append(work)
    groups["awaiting"].sort(key=lambda work: work.state is not State.ANALYSED)
    return Worklist(*(tuple(group) for group in groups.values()))


def standing_of(fit: FitRow, now: datetime) -> FitStanding:
    """Return where an analysis stands."""
    if fit.done_at is not None:
        state = FitState.DONE
    elif fit.failed_at is not None:
        state = FitState.FAILED
    elif fit.claimed_by is not None and fit.leased_until is not None and fit.leased_until > now:
        state = FitState.RUNNING
    else:
        state = FitState.WAITING
    return FitStanding(
        public_id=fit.public_id,
        purpose=fit.purpose,
        state=state,
        requested_at=fit.requested_at,
        by_clock=fit.requested_by == SYSTEM.public_id,
        attempts=fit.attempts,
        done_at=fit.done_at or fit.failed_at,
        error=_told(fit.last_error) if state is not FitState.DONE else "",
    )


def coverage_by_phase(session: Session, trial: TrialRow, now: datetime) -> tuple[Coverage, ...]:
    """Return how completely each phase was answered. By arm it would tell the sequence."""
    return _coverages(session, trial, now, lambda day: (Phase(day.phase), None))


def coverage_by_period(session: Session, trial: TrialRow, now: datetime) -> tuple[Coverage, ...]:
    """Return how completely the evaluated days of each period were answered."""
    found = _coverages(session, trial, now, lambda day: (Phase(day.phase), day.period))
    return tuple(c for c in found if c.phase is Phase.EVALUATION)


def _coverages(
    session: Session,
    trial: TrialRow,
    now: datetime,
    group: Callable[[DiaryDayRow], tuple[Phase, int | None]],
) -> tuple[Coverage, ...]:
    late_days = {
        day for day, entry in latest_entries(session, trial.id).items() if entry.minutes_late > 0
    }
    groups: dict[tuple[Phase, int | None], list[DiaryDayRow]] = {}
    for day in days_of_trial(session, trial.id):
        groups.setdefault(group(day), []).append(day)
    order = list(Phase)
    return tuple(
        Coverage(
            phase=phase,
            period=period,
            answered=sum(day.state == "answered" for day in days),
            late=sum(day.day in late_days for day in days),
            missed=sum(_is_missed(day, now) for day in days),
            to_come=sum(day.state in NOT_YET and day.late_until > now for day in days),
            paused=sum(day.state in {"paused", "cancelled"} for day in days),
        )
        for (phase, period), days in sorted(
            groups.items(), key=lambda item: (item[0][1] or 0, order.index(item[0][0]))
        )
    )


def _is_missed(day: DiaryDayRow, now: datetime) -> bool:
    """Return whether it is too late for an answer, whether the clock has marked it or not."""
    return day.state == "missed" or (day.state in NOT_YET and day.late_until <= now)


def _newest_fits(session: Session, site_id: int | None, now: datetime) -> dict[str, FitStanding]:
    """Return the newest analysis of each trial of a site, without its numbers."""
    newest = (
        select(func.max(FitRow.id).label("id"))
        .join(TrialRow, TrialRow.id == FitRow.trial_id)
        .where(TrialRow.site_id == site_id)
        .group_by(FitRow.trial_id)
        .subquery()
    )
    query = (
        select(TrialRow.public_id, FitRow)
        .join(FitRow, FitRow.trial_id == TrialRow.id)
        .join(newest, newest.c.id == FitRow.id)
        .options(defer(FitRow.summary), defer(FitRow.sealed_summary))
    )
    return {trial: standing_of(fit, now) for trial, fit in session.execute(query)}


def _group(state: State) -> str:
    if state in RESULT_KNOWN:
        return "released"
    return "under_way" if state in UNDER_WAY else "awaiting"


def _told(error: str) -> str:
    """Return a sentence of ours as it is; of any other error its kind."""
    raised = _RAISED.match(error)
    return raised[1] if raised else error
