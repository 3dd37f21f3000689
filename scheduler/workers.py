"""What runs in processes beside the scheduler: analyses, planned looks, studies of designs.

Each is a row with a lease. A scheduler takes it, reads what the models need, closes the
transaction, hands plain values to a process of its pool and keeps the lease alive until the
result is in. If the scheduler is killed, the lease runs out and another takes the row.
Analyses and looks share one pool; a study, which takes a minute or more, runs in a process of
its own, so that no analysis waits for it.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.orm import Session

from models.analysis import Analysis, analyze
from models.operating import Characteristics, Study, calibrate
from scheduler.compiled import keep_compiled_in
from scheduler.pool import MOST_ATTEMPTS, Clock, Pool, Sessions, Taken, Work, process_pool
from trials.keys import Vault
from trials.services import calibration
from trials.services.analysis import FitTask, finish_fit, prepare_fit
from trials.services.draws import DRAWS_FOLDER, seal_draws
from trials.services.looks import finish_look, hold_trial_of, prepare_look
from trials.services.scrutiny import scrutinize
from trials.services.summary import Summary
from trials.settings import Settings
from trials.store.calibration import CalibrationRow
from trials.store.fit import FitRow
from trials.store.look import LookRow

__all__ = ["LEASE", "MOST_ATTEMPTS", "FitWorkers", "process_pool", "run_fit", "run_waiting_fits"]

LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a worker process gives back of an analysis.

    Attributes:
        analysis: the answer, or a refusal with its reasons.
        draws_file: name of the file in the draws folder, "" if none was written.
        scrutiny: what stands beside the verdict.
    """

    analysis: Analysis
    draws_file: str
    scrutiny: Summary


@dataclass(frozen=True, slots=True)
class Studied:
    """What a worker process gives back of a study.

    Attributes:
        told: what the design can tell.
        seconds: of computing.
    """

    told: Characteristics
    seconds: float


# ---- what runs in the processes ------------------------------------------------------------------


def run_fit(task: FitTask, folder: Path, vault: Vault, *, confirm: bool) -> Finished:
    """Run one analysis from plain values; this is all that happens in a worker process."""
    if not confirm:
        return _finished(task, analyze(task.data, task.specification, seed=task.seed), "")
    from models.confirm import confirm as confirm_with_both  # noqa: PLC0415  # PyMC only where it is used
    from models.draws import save_draws  # noqa: PLC0415

    analysis = confirm_with_both(task.data, task.specification, seed=task.seed)
    if analysis.burden is None:
        return _finished(task, analysis, "")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(prefix="lenitive-") as private:
        save_draws(Path(private) / "draws.nc", analysis.burden)
        sealed = seal_draws(vault, task.fit, (Path(private) / "draws.nc").read_bytes())
    draft = folder / f".{os.getpid()}.{task.draws_file}"
    draft.write_bytes(sealed)
    draft.replace(folder / task.draws_file)
    return _finished(task, analysis, task.draws_file)


def _finished(task: FitTask, analysis: Analysis, draws_file: str) -> Finished:
    return Finished(analysis, draws_file, scrutinize(analysis, task.beside, seed=task.seed))


def run_look(task: FitTask) -> Analysis:
    """Run one planned look with both engines; its draws are not kept."""
    from models.confirm import confirm  # noqa: PLC0415  # PyMC is loaded only where it is used

    return confirm(task.data, task.specification, seed=task.seed)


def run_study(study: Study, trials: int, scenario_trials: int) -> Studied:
    """Study one design by simulation."""
    began = time.perf_counter()
    told = calibrate(study, trials=trials, scenario_trials=scenario_trials)
    return Studied(told, time.perf_counter() - began)


# ---- the kinds of work ---------------------------------------------------------------------------


class FitWork(Work[FitRow, FitTask, Finished]):
    """Analyses that were asked for."""

    row = FitRow
    word = "fit"

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._folder = settings.data_dir.resolve() / DRAWS_FOLDER
        self._vault = vault

    def prepare(self, session: Session, row: FitRow, now: datetime) -> Taken[FitTask]:
        """Read the diary as it is now."""
        task = prepare_fit(session, self._vault, row)
        confirm = row.purpose == "final" or row.requested_by != "system"
        return Taken(row.id, row.public_id, task, confirm=confirm)

    def job(self, taken: Taken[FitTask]) -> Callable[[], Finished]:
        """Run one engine or both."""
        return partial(run_fit, taken.task, self._folder, self._vault, confirm=taken.confirm)

    def keep(
        self, session: Session, row: FitRow, taken: Taken[FitTask], result: Finished, now: datetime
    ) -> None:
        """Keep the answer, masked and sealed."""
        task = replace(taken.task, draws_file=result.draws_file)
        finish_fit(session, self._vault, row, task, result.analysis, now, scrutiny=result.scrutiny)


class LookWork(Work[LookRow, FitTask, Analysis]):
    """Looks that the protocol planned."""

    row = LookRow
    word = "look"

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._address = settings.address
        self._vault = vault

    def prepare(self, session: Session, row: LookRow, now: datetime) -> Taken[FitTask] | None:
        """Read the diary up to the end of the block, if that is over."""
        task = prepare_look(session, self._vault, row, now)
        return None if task is None else Taken(row.id, row.public_id, task)

    def job(self, taken: Taken[FitTask]) -> Callable[[], Analysis]:
        """Run both engines."""
        return partial(run_look, taken.task)

    def hold_first(self, session: Session, row_id: int) -> None:
        """Hold the trial before its look, as everybody does."""
        hold_trial_of(session, row_id)

    def keep(
        self, session: Session, row: LookRow, taken: Taken[FitTask], result: Analysis, now: datetime
    ) -> None:
        """Keep what the rule said, and tell the clinician if it was clear."""
        finish_look(session, self._vault, row, taken.task, result, now, address=self._address)


class StudyWork(Work[CalibrationRow, Study, Studied]):
    """Designs to be studied before they are frozen."""

    row = CalibrationRow
    word = "study"

    def prepare(self, session: Session, row: CalibrationRow, now: datetime) -> Taken[Study]:
        """Read the design."""
        return Taken(row.id, row.design_hash[:12], calibration.prepare_study(row))

    def job(self, taken: Taken[Study]) -> Callable[[], Studied]:
        """Simulate."""
        return partial(run_study, taken.task, calibration.TRIALS, calibration.SCENARIO_TRIALS)

    def keep(
        self,
        session: Session,
        row: CalibrationRow,
        taken: Taken[Study],
        result: Studied,
        now: datetime,
    ) -> None:
        """Keep the threshold and what the design can tell."""
        calibration.finish_study(
            session, row, result.told, trials=calibration.TRIALS, seconds=result.seconds, now=now
        )


class FitWorkers:
    """The pools of one scheduler.

    ``tick`` is called again and again from one thread and never waits for a process.
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
        keep_compiled_in(settings.compiled)

        def pool(most: int, *kinds: Work[Any, Any, Any]) -> Pool:
            return Pool(kinds, sessions, name, clock, most=most, lease=lease, executor=executor)

        self._pools = (
            pool(settings.fit_workers, FitWork(settings, vault), LookWork(settings, vault)),
            pool(1, StudyWork()),
        )

    @property
    def running(self) -> int:
        """How many pieces of work run now."""
        return len(self.taken)

    @property
    def taken(self) -> tuple[Taken[Any], ...]:
        """What runs now."""
        return tuple(taken for pool in self._pools for taken in pool.taken)

    def tick(self) -> None:
        """Keep what is finished, keep hold of what runs, and take what is due."""
        for pool in self._pools:
            pool.tick()

    def close(self) -> None:
        """Stop what runs and give it back at once, so that nobody has to wait for the lease."""
        for pool in self._pools:
            pool.close()


def run_waiting_fits(
    sessions: Sessions, settings: Settings, vault: Vault, name: str, clock: Clock
) -> int:
    """Run the analyses and looks that are due in this process, one by one; return how many."""
    keep_compiled_in(settings.compiled)
    works: tuple[Work[Any, Any, Any], ...] = (FitWork(settings, vault), LookWork(settings, vault))
    return sum(_run_waiting(work, sessions, name, clock) for work in works)


def run_waiting_studies(sessions: Sessions, name: str, clock: Clock) -> int:
    """Study the designs that wait for it in this process, one by one; return how many."""
    return _run_waiting(StudyWork(), sessions, name, clock)


def _run_waiting(work: Work[Any, Any, Any], sessions: Sessions, name: str, clock: Clock) -> int:
    count = 0
    while True:
        taken = work.take(sessions, name, clock(), LEASE)
        if taken is None:
            return count
        work.finish(sessions, name, taken, work.job(taken)(), clock())
        count += 1
