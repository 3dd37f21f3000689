"""The pool of processes that run analyses.

An analysis is a row with a lease. A scheduler takes it, reads what the models need, closes
the transaction, hands plain values to a process of its pool and keeps the lease alive until
the result is in. If the scheduler is killed, the lease runs out and another takes the row.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from sqlalchemy.orm import Session, sessionmaker

from models.analysis import Analysis, analyze
from trials.domain.errors import TrialError
from trials.keys import Vault
from trials.services.analysis import FitTask, finish_fit, prepare_fit
from trials.services.draws import DRAWS_FOLDER, seal_draws
from trials.settings import Settings
from trials.store.fit import FitRow
from trials.store.lease import claim_next, extend_lease, give_back, still_held

LEASE = timedelta(minutes=2)
MOST_ATTEMPTS = 3
IDLE_SECONDS = 600.0
"""After so long without work the processes end: a loaded PyMC takes half a gigabyte each."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

log = structlog.get_logger("fits")

type Clock = Callable[[], datetime]
type Sessions = sessionmaker[Session]


@dataclass(frozen=True, slots=True)
class Taken:
    """An analysis this scheduler has taken.

    Attributes:
        row_id: of the fit.
        task: what the models get.
        confirm: whether both engines run; an interim look that only the clock asked for is
            left to the exact one.
    """

    row_id: int
    task: FitTask
    confirm: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """What a worker process gives back.

    Attributes:
        analysis: the answer, or a refusal with its reasons.
        draws_file: name of the file in the draws folder, "" if none was written.
    """

    analysis: Analysis
    draws_file: str


def run_fit(task: FitTask, folder: Path, vault: Vault, *, confirm: bool) -> Finished:
    """Run one analysis from plain values; this is all that happens in a worker process."""
    if not confirm:
        return Finished(analyze(task.data, task.specification, seed=task.seed), "")
    from models import confirm as engines  # noqa: PLC0415  # PyMC is loaded only where it is used

    analysis = engines.confirm(task.data, task.specification, seed=task.seed)
    if analysis.burden is None:
        return Finished(analysis, "")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(prefix="lenitive-") as private:
        engines.save_draws(Path(private) / "draws.nc", analysis.burden)
        sealed = seal_draws(vault, task.fit, (Path(private) / "draws.nc").read_bytes())
    draft = folder / f".{os.getpid()}.{task.draws_file}"
    draft.write_bytes(sealed)
    draft.replace(folder / task.draws_file)
    return Finished(analysis, task.draws_file)


class FitWorkers:
    """Takes analyses that are due and runs them in processes beside this one.

    ``tick`` is called again and again from one thread and never waits for a fit.
    """

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        vault: Vault,
        name: str,
        clock: Clock,
        *,
        lease: timedelta = LEASE,
        executor: Callable[[], Executor] | None = None,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._vault = vault
        self._name = name
        self._clock = clock
        self._lease = lease
        self._make = executor or (lambda: process_pool(settings.fit_workers))
        self._executor: Executor | None = None
        self._running: dict[Future[Finished], Taken] = {}
        self._idle_since = time.monotonic()

    @property
    def running(self) -> int:
        """How many analyses run now."""
        return len(self._running)

    def tick(self) -> None:
        """Keep what is finished, keep hold of what runs, and take what is due."""
        for future in [f for f in self._running if f.done()]:
            self._collect(future, self._running.pop(future))
        for taken in self._running.values():
            self._hold(taken)
        while len(self._running) < self._settings.fit_workers:
            taken_now = take_fit(
                self._sessions, self._vault, self._name, self._clock(), self._lease
            )
            if taken_now is None:
                break
            self._submit(taken_now)
        if self._running:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > IDLE_SECONDS:
            self._drop_executor()

    def close(self) -> None:
        """Stop what runs and give it back at once, so that nobody has to wait for the lease."""
        self._drop_executor()
        for taken in self._running.values():
            with self._sessions.begin() as session:
                row = session.get_one(FitRow, taken.row_id)
                if still_held(session, row, self._name):
                    row.claimed_by = row.leased_until = None
                    row.attempts -= 1  # it did not fail
        self._running.clear()

    def _submit(self, taken: Taken) -> None:
        if self._executor is None:
            self._executor = self._make()
        folder = self._settings.data_dir.resolve() / DRAWS_FOLDER
        try:
            future = self._executor.submit(
                run_fit, taken.task, folder, self._vault, confirm=taken.confirm
            )
        except BrokenProcessPool as error:
            self._drop_executor()
            _give_back(self._sessions, self._name, taken.row_id, self._clock(), repr(error))
            return
        self._running[future] = taken
        log.info("began", fit=taken.task.fit)

    def _collect(self, future: Future[Finished], taken: Taken) -> None:
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self._drop_executor()
        if error is not None:
            log.error("failed", fit=taken.task.fit, exc_info=error)
            _give_back(self._sessions, self._name, taken.row_id, self._clock(), repr(error))
            return
        keep_fit(self._sessions, self._vault, self._name, taken, future.result(), self._clock())

    def _hold(self, taken: Taken) -> None:
        with self._sessions.begin() as session:
            extend_lease(session, FitRow, taken.row_id, self._name, self._clock() + self._lease)

    def _drop_executor(self) -> None:
        if self._executor is None:
            return
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            with suppress(OSError):
                process.kill()
        self._executor = None


def run_waiting_fits(
    sessions: Sessions, settings: Settings, vault: Vault, name: str, clock: Clock
) -> int:
    """Run the analyses that are due in this process, one by one; return how many."""
    count = 0
    while True:
        taken = take_fit(sessions, vault, name, clock(), LEASE)
        if taken is None:
            return count
        finished = run_fit(
            taken.task, settings.data_dir.resolve() / DRAWS_FOLDER, vault, confirm=taken.confirm
        )
        keep_fit(sessions, vault, name, taken, finished, clock())
        count += 1


def take_fit(
    sessions: Sessions, vault: Vault, name: str, now: datetime, lease: timedelta
) -> Taken | None:
    """Take the analysis that has been due longest, or return None if nothing is due.

    One that cannot even be read is given back with the reason, and the next one is taken.
    """
    while True:
        with sessions.begin() as session:
            row = claim_next(session, FitRow, name, now, lease)
            if row is None:
                return None
            if row.attempts > MOST_ATTEMPTS:
                row.failed_at = now
                row.last_error = row.last_error or "Every worker that ran it was killed."
                continue
        try:
            with sessions.begin() as session:
                row = session.get_one(FitRow, row.id)
                task = prepare_fit(session, vault, row)
        except TrialError as error:
            _give_back(sessions, name, row.id, now, str(error))
            continue
        return Taken(row.id, task, confirm=row.purpose == "final" or row.requested_by != "system")


def keep_fit(
    sessions: Sessions, vault: Vault, name: str, taken: Taken, finished: Finished, now: datetime
) -> bool:
    """Keep a result, unless somebody else has taken the analysis over meanwhile."""
    with sessions.begin() as session:
        row = session.get(FitRow, taken.row_id)
        if row is None or not still_held(session, row, name):
            return False
        task = replace(taken.task, draws_file=finished.draws_file)
        finish_fit(session, vault, row, task, finished.analysis, now)
    log.info("finished", fit=taken.task.fit, seconds=round(finished.analysis.seconds, 1))
    return True


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


def _give_back(sessions: Sessions, name: str, row_id: int, now: datetime, error: str) -> None:
    with sessions.begin() as session:
        give_back(session, FitRow, row_id, name, now, error=error, most_attempts=MOST_ATTEMPTS)
