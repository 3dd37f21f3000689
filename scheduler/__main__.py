"""The scheduler process: ask again and again what is due.

APScheduler is a clock here and nothing else: its jobs are a few ticks kept in memory. What is
due stands in the database, so any number of these processes may run, on one host or several.
"""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler import jobs
from scheduler.jobs import Desk
from scheduler.workers import FitWorkers
from trials.keys import open_vault
from trials.logs import configure_logging
from trials.services.accounts import is_demonstration
from trials.services.demo import release_demo
from trials.services.telephone import transport_of
from trials.settings import Settings, read_settings
from trials.store.database import only_reading, open_engine, session_maker
from trials.store.process import forget_process
from trials.store.schema import check_schema

HEARTBEAT_SECONDS = 10.0

log = structlog.get_logger("scheduler")


def now() -> datetime:
    """Return the present; the only place where the scheduler reads the clock."""
    return datetime.now(UTC)


def main(settings: Settings | None = None, *, parent: int | None = None) -> None:
    """Run until told to stop.

    Args:
        settings: of the environment by default.
        parent: process to end with, if any.
    """
    settings = settings or read_settings()
    configure_logging(settings.log_level)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # we tell of failed ticks ourselves
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    engine = open_engine(settings.database)
    check_schema(engine)
    desk = Desk(_new_name(), session_maker(engine), settings, open_vault(settings), now)
    workers = FitWorkers(desk.sessions, settings, desk.vault, desk.name, now)
    clock = _start_clock(desk, workers)
    log.info("started", name=desk.name)
    while not stop.wait(1.0):
        if parent is not None and os.getppid() != parent:
            break
    clock.shutdown(wait=True)
    workers.close()
    with desk.sessions.begin() as session:
        forget_process(session, desk.name)
    engine.dispose()
    log.info("stopped", name=desk.name)


def _start_clock(desk: Desk, workers: FitWorkers) -> BackgroundScheduler:
    """Start one tick for each kind of work; a long one of a kind delays only its own next."""
    seconds = desk.settings.tick_seconds
    clock = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(6)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    clock.add_listener(_on_error, EVENT_JOB_ERROR)

    def every(seconds: float, name: str, work: Callable[[], object]) -> None:
        timed = partial(jobs.do_timed, desk, name, work)
        clock.add_job(
            timed, "interval", id=name, name=name, seconds=seconds, next_run_time=datetime.now(UTC)
        )

    every(HEARTBEAT_SECONDS, "heartbeat", partial(jobs.heartbeat, desk))
    every(seconds, "time", partial(jobs.keep_time, desk))
    every(seconds, "alerts", partial(jobs.watch, desk))
    every(
        seconds, "post", partial(jobs.send_messages, desk, transport_of(desk.settings, desk.vault))
    )
    every(seconds, "fits", workers.tick)
    if _is_demo(desk):

        def release() -> None:
            if release_demo(desk.sessions, desk.vault, desk.clock()):
                clock.remove_job("demo")

        every(seconds, "demo", release)
    clock.start()
    return clock


def _is_demo(desk: Desk) -> bool:
    with only_reading(), desk.sessions() as session:
        return is_demonstration(session)


def _on_error(event: JobExecutionEvent) -> None:
    log.error("tick_failed", tick=event.job_id, exc_info=event.exception)


def _new_name() -> str:
    """Return a name no other scheduler has, such as "clinic1-4711-a3f9"."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


if __name__ == "__main__":
    main()
