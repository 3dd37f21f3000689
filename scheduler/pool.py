"""A pool of processes for one or several kinds of due work."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import Any

import structlog
from sqlalchemy.orm import Session, sessionmaker

from trials.domain.errors import TrialError
from trials.store.lease import (
    LeaseMixin,
    claim_next,
    extend_lease,
    give_back,
    still_held,
)

MOST_ATTEMPTS = 3
IDLE_SECONDS = 600.0
"""After so long without work the processes end: a loaded PyMC takes half a gigabyte each."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

log = structlog.get_logger("workers")

type Clock = Callable[[], datetime]
type Sessions = sessionmaker[Session]


@dataclass(frozen=True, slots=True)
class Taken[Task]:
    """A piece of work this scheduler has taken.

    Attributes:
        row_id: of its row.
        label: what the log calls it.
        task: plain values for the process.
        confirm: of an analysis, whether both engines run; an interim one that only the clock
            asked for is left to the exact engine.
    """

    row_id: int
    label: str
    task: Task
    confirm: bool = True


class Work[Row: LeaseMixin, Task, Result](ABC):
    """One kind of due work: how it is read, done in another process, and kept."""

    row: type[Row]
    word: str
    """What the log calls this kind."""

    @abstractmethod
    def prepare(self, session: Session, row: Row, now: datetime) -> Taken[Task] | None:
        """Return what the process needs, or None if there is nothing to do now after all."""

    @abstractmethod
    def job(self, taken: Taken[Task]) -> Callable[[], Result]:
        """Return what the process does; it must travel, so it is a module's function."""

    @abstractmethod
    def keep(
        self, session: Session, row: Row, taken: Taken[Task], result: Result, now: datetime
    ) -> None:
        """Keep the result; the row is held by this scheduler."""

    def hold_first(self, session: Session, row_id: int) -> None:  # noqa: B027  # most hold nothing
        """Hold what must be held before the row is (see ``trials.store.trial.lock_trial``)."""

    def take(
        self, sessions: Sessions, name: str, now: datetime, lease: timedelta
    ) -> Taken[Task] | None:
        """Take the row that has been due longest, or return None if nothing is due.

        One that cannot even be read is given back with the reason, and the next one is taken.
        """
        while True:
            with sessions.begin() as session:
                row = claim_next(session, self.row, name, now, lease)
                if row is None:
                    return None
                if row.attempts > MOST_ATTEMPTS:
                    row.failed_at = now
                    row.last_error = row.last_error or "Every worker that ran it was killed."
                    continue
                row_id = row.id
            try:
                with sessions.begin() as session:
                    taken = self.prepare(session, session.get_one(self.row, row_id), now)
            except TrialError as error:
                self.give_back(sessions, name, row_id, now, str(error))
                continue
            if taken is not None:
                return taken

    def finish(
        self, sessions: Sessions, name: str, taken: Taken[Task], result: Result, now: datetime
    ) -> bool:
        """Keep a result, unless somebody else has taken the row over meanwhile."""
        with sessions.begin() as session:
            self.hold_first(session, taken.row_id)
            row = session.get(self.row, taken.row_id)
            if row is None or not still_held(session, row, name):
                return False
            self.keep(session, row, taken, result, now)
        log.info("finished", kind=self.word, which=taken.label)
        return True

    def give_back(
        self, sessions: Sessions, name: str, row_id: int, now: datetime, error: str
    ) -> None:
        """Return a row whose work failed, to be tried again later."""
        with sessions.begin() as session:
            give_back(
                session, self.row, row_id, name, now, error=error, most_attempts=MOST_ATTEMPTS
            )


class Pool:
    """Takes work that is due and runs it in processes beside this one.

    ``tick`` is called again and again from one thread and never waits for a process.
    """

    def __init__(
        self,
        kinds: Sequence[Work[Any, Any, Any]],
        sessions: Sessions,
        name: str,
        clock: Clock,
        *,
        most: int,
        lease: timedelta,
        executor: Callable[[], Executor] | None = None,
    ) -> None:
        self._kinds = kinds
        self._sessions = sessions
        self._name = name
        self._clock = clock
        self._most = most
        self._lease = lease
        self._make = executor or (lambda: process_pool(most))
        self._executor: Executor | None = None
        self._running: dict[Future[Any], tuple[Work[Any, Any, Any], Taken[Any]]] = {}
        self._idle_since = time.monotonic()

    @property
    def taken(self) -> tuple[Taken[Any], ...]:
        """What runs now."""
        return tuple(taken for _work, taken in self._running.values())

    def tick(self) -> None:
        """Keep what is finished, keep hold of what runs, and take what is due."""
        for future in [f for f in self._running if f.done()]:
            self._collect(future, *self._running.pop(future))
        for work, taken in self._running.values():
            self._hold(work, taken)
        for work in self._kinds:
            while len(self._running) < self._most:
                taken_now = work.take(self._sessions, self._name, self._clock(), self._lease)
                if taken_now is None:
                    break
                self._submit(work, taken_now)
        if self._running:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > IDLE_SECONDS:
            self._drop_executor()

    def close(self) -> None:
        """Stop what runs and give it back at once, so that nobody has to wait for the lease."""
        self._drop_executor()
        for work, taken in self._running.values():
            with self._sessions.begin() as session:
                row = session.get(work.row, taken.row_id)
                if row is not None and still_held(session, row, self._name):
                    row.claimed_by = row.leased_until = None
                    row.attempts -= 1  # it did not fail
        self._running.clear()

    def _submit(self, work: Work[Any, Any, Any], taken: Taken[Any]) -> None:
        if self._executor is None:
            self._executor = self._make()
        try:
            future = self._executor.submit(work.job(taken))
        except BrokenProcessPool as error:
            self._drop_executor()
            self._give_back(work, taken, error)
            return
        self._running[future] = work, taken
        log.info("began", kind=work.word, which=taken.label)

    def _collect(self, future: Future[Any], work: Work[Any, Any, Any], taken: Taken[Any]) -> None:
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self._drop_executor()
        if error is not None:
            log.error("failed", kind=work.word, which=taken.label, exc_info=error)
            self._give_back(work, taken, error)
            return
        work.finish(self._sessions, self._name, taken, future.result(), self._clock())

    def _give_back(
        self, work: Work[Any, Any, Any], taken: Taken[Any], error: BaseException
    ) -> None:
        work.give_back(self._sessions, self._name, taken.row_id, self._clock(), repr(error))

    def _hold(self, work: Work[Any, Any, Any], taken: Taken[Any]) -> None:
        with self._sessions.begin() as session:
            until = self._clock() + self._lease
            extend_lease(session, work.row, taken.row_id, self._name, until)

    def _drop_executor(self) -> None:
        if self._executor is None:
            return
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            with suppress(OSError):
                process.kill()
        self._executor = None


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool whose processes start fresh (no fork of threads) and use one core each."""
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=get_context("spawn"),
        initializer=_end_with_parent,
        initargs=(os.getpid(),),
    )


def _end_with_parent(parent: int) -> None:
    """End this process when the scheduler that started it is gone, even by SIGKILL."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
