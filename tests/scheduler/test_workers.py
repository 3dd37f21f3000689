"""Analyses run in processes beside the scheduler, and each is done once."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scheduler import workers
from scheduler.workers import FitWork, FitWorkers, process_pool, run_fit, run_waiting_fits
from tests.builders import VAULT, evening, fill_day, make_actor, make_running, make_site, trial_days
from trials.domain.blinding import Role
from trials.services.actor import SYSTEM
from trials.services.analysis import request_fit
from trials.settings import Settings, read_settings
from trials.store.fit import FitRow
from trials.store.lease import claim_next

MORNING = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
AFTER = evening(date(2026, 3, 29), 4).astimezone(UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a folder of their own."""
    return read_settings(data_dir=tmp_path)


@pytest.fixture
def fit_id(sessions: sessionmaker[Session]) -> int:
    """An interim analysis the clock asked for."""
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        trial = make_running(session, clinician, MORNING)
        for number, day in enumerate(trial_days(trial)[:27]):
            fill_day(session, trial, day, pain=3 + number % 4)
        return request_fit(session, VAULT, SYSTEM, trial, purpose="interim", now=AFTER).id


def make_workers(
    sessions: sessionmaker[Session],
    settings: Settings,
    executor: Callable[[], Executor] | None = None,
    *,
    name: str = "test",
    now: datetime = AFTER,
) -> FitWorkers:
    """Return workers that stand at one instant."""
    return FitWorkers(sessions, settings, VAULT, name, lambda: now, executor=executor)


def tick_until_done(pool: FitWorkers, seconds: float = 60.0) -> None:
    """Tick as the clock does, until nothing runs."""
    end = time.monotonic() + seconds
    pool.tick()
    while pool.running and time.monotonic() < end:
        time.sleep(0.05)
        pool.tick()


def row_of(sessions: sessionmaker[Session], fit_id: int) -> FitRow:
    """Return the row as it is now."""
    with sessions() as session:
        return session.get_one(FitRow, fit_id)


class Stuck(Executor):
    """Takes work and never finishes it."""

    def __init__(self) -> None:
        self.futures: list[Future[object]] = []

    def submit(self, *_work: object, **_values: object) -> Future[object]:
        self.futures.append(Future())
        return self.futures[-1]


class Failing(Executor):
    """Fails at everything."""

    def submit(self, *_work: object, **_values: object) -> Future[object]:
        future: Future[object] = Future()
        future.set_exception(ValueError("the matrix is singular"))
        return future


@pytest.mark.slow
def test_an_analysis_is_run_by_a_process_of_its_own(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    pool = make_workers(sessions, settings)
    tick_until_done(pool)
    pool.close()

    row = row_of(sessions, fit_id)
    assert row.done_at == AFTER
    assert row.summary is not None
    assert row.attempts == 1


def test_what_waits_can_be_run_in_the_foreground(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    counts = [
        run_waiting_fits(sessions, settings, VAULT, "test", lambda: AFTER) for _again in range(2)
    ]

    assert counts == [1, 0]
    assert row_of(sessions, fit_id).summary is not None


def test_a_killed_schedulers_analysis_is_taken_again(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    with sessions.begin() as session:
        claim_next(session, FitRow, "killed", AFTER, workers.LEASE)
    early = make_workers(sessions, settings, lambda: ThreadPoolExecutor(1))
    early.tick()
    assert early.running == 0

    tick_until_done(
        make_workers(sessions, settings, lambda: ThreadPoolExecutor(1), now=AFTER + workers.LEASE)
    )

    assert row_of(sessions, fit_id).summary is not None


def test_a_long_analysis_is_held_by_its_heartbeat(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    now = [AFTER]
    slow = FitWorkers(sessions, settings, VAULT, "slow", lambda: now[0], executor=Stuck)
    for _beat in range(5):
        slow.tick()
        now[0] += workers.LEASE / 2

    with sessions.begin() as session:
        other = claim_next(session, FitRow, "other", now[0], workers.LEASE)

    assert other is None
    assert row_of(sessions, fit_id).attempts == 1


def test_a_result_that_comes_after_the_claim_was_lost_is_not_kept(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    stuck = Stuck()
    sleepy = make_workers(sessions, settings, lambda: stuck, name="sleepy")
    sleepy.tick()
    (taken,) = sleepy.taken
    with sessions.begin() as session:
        claim_next(session, FitRow, "other", AFTER + workers.LEASE, workers.LEASE)
    stuck.futures[0].set_result(run_fit(taken.task, settings.data_dir, VAULT, confirm=False))

    sleepy.tick()

    row = row_of(sessions, fit_id)
    assert (row.claimed_by, row.done_at, row.summary) == ("other", None, None)


def test_an_analysis_that_fails_is_tried_three_times_and_then_shown(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    at = AFTER
    for _hour in range(workers.MOST_ATTEMPTS + 2):
        tick_until_done(make_workers(sessions, settings, Failing, now=at))
        at += timedelta(hours=1)

    row = row_of(sessions, fit_id)
    assert row.failed_at is not None
    assert row.attempts == workers.MOST_ATTEMPTS
    assert "the matrix is singular" in row.last_error


def test_an_analysis_that_kills_every_worker_is_given_up(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    at = AFTER
    for _death in range(workers.MOST_ATTEMPTS):
        with sessions.begin() as session:
            claim_next(session, FitRow, "killed", at, workers.LEASE)
        at += workers.LEASE

    work = FitWork(settings, VAULT)
    assert work.take(sessions, "test", at, workers.LEASE) is None
    assert row_of(sessions, fit_id).failed_at == at


def test_a_stopped_scheduler_gives_its_analyses_back_at_once(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    first = make_workers(sessions, settings, Stuck, name="first")
    first.tick()

    first.close()

    row = row_of(sessions, fit_id)
    assert (row.claimed_by, row.leased_until, row.attempts) == (None, None, 0)


@pytest.mark.slow
def test_a_killed_worker_process_costs_an_attempt_and_no_more(
    sessions: sessionmaker[Session], settings: Settings, fit_id: int
):
    made = []

    def pool_once() -> Executor:
        made.append(process_pool(1))
        if len(made) == 1:
            doomed = made[0].submit(os.getpid).result()
            os.kill(doomed, signal.SIGSTOP)  # it takes the work and never answers
        return made[-1]

    pool = make_workers(sessions, settings, pool_once)
    pool.tick()
    for process in made[0]._processes.values():
        os.kill(process.pid, signal.SIGKILL)
    tick_until_done(pool)

    row = row_of(sessions, fit_id)
    assert "BrokenProcessPool" in row.last_error
    assert row.failed_at is None

    tick_until_done(make_workers(sessions, settings, pool_once, now=row.due_at))
    assert row_of(sessions, fit_id).summary is not None
    with sessions() as session:
        assert len(session.scalars(select(FitRow)).all()) == 1
    for pool_made in made:
        pool_made.shutdown(wait=False)
