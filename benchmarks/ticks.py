"""What a tick of the clock costs, by how many trials run and by how many are due.

For each due trial one diary day opens with a reminder, an earlier one is missed, and a period
begins. Nothing is due for the others, which must cost nothing. Mail is not sent here.

    make bench ARGS="ticks"                  (100,000 trials, both databases)
    .venv/bin/python -m benchmarks.ticks --most 10000 --database sqlite
"""

import argparse
import logging
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog
from sqlalchemy import Engine, Select, delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from benchmarks._large import databases, multiply_trial
from models.evidence.table import Table, markdown
from scheduler.jobs import Desk, keep_time
from tests.builders import VAULT, make_actor, make_running, make_site
from trials.domain.blinding import Role
from trials.domain.life_cycle import State
from trials.settings import Settings, read_settings
from trials.store.database import open_engine, session_maker
from trials.store.diary import DiaryDayRow
from trials.store.outbox import MessageRow
from trials.store.trial import PeriodRow, TrialRow

MORNING = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
EVENING = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
FAR = datetime(2036, 1, 1, tzinfo=UTC)
DUE = (0, 100, 1_000, 10_000, 100_000)
SIZES = (1_000, 10_000, 100_000)


class Seconds(NamedTuple):
    """What a tick took: by the clock, and of the scheduler's processor (with SQLite, all of it)."""

    wall: float
    processor: float


def main() -> None:
    """Print a table for each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="most trials")
    parser.add_argument("--most-due", type=int, default=DUE[-1], help="most of them due at once")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sizes = [size for size in SIZES if size <= options.most]
    wanted = options.database or ["sqlite", "postgresql"]
    with (
        tempfile.TemporaryDirectory() as folder,
        databases(Path(folder), wanted, "ticks") as found,
    ):
        settings = read_settings(data_dir=Path(folder))
        for name, (url,) in found.items():
            engine = open_engine(url)
            print(markdown(_table(name, engine, settings, sizes, options.most_due)), flush=True)
            engine.dispose()


def _table(name: str, engine: Engine, settings: Settings, sizes: list[int], most_due: int) -> Table:
    sessions = session_maker(engine)
    with sessions.begin() as session:
        model = make_running(
            session, make_actor(session, make_site(session), Role.CLINICIAN), MORNING
        ).id
        session.execute(update(PeriodRow).values(state="over"))
        session.execute(update(DiaryDayRow).values(state="answered"))
        session.execute(
            update(DiaryDayRow)
            .where(DiaryDayRow.number % 2 == 0)
            .values(
                state="planned",
                opens_at=FAR,
                closes_at=FAR + timedelta(hours=10),
                late_until=FAR + timedelta(hours=31),
            )
        )
        session.get_one(TrialRow, model).state = State.STOPPED.value
    rows, there, turn = [], 0, 0
    for size in sizes:
        with sessions.begin() as session:
            multiply_trial(
                session,
                session.get_one(TrialRow, model),
                size - there,
                state=State.RUNNING.value,
                moves_at=FAR,
                completes_at=FAR,
                fits_at=FAR,
            )
        there = size
        for due in (n for n in DUE if n <= min(size, most_due)):
            turn += 1
            seconds = _tick(sessions, settings, turn, due)
            each = f"{seconds.processor / due * 1000:.2f} ms" if due else ""
            taken = (f"{seconds.wall:.3f} s", f"{seconds.processor:.3f} s", each)
            rows.append((f"{size:,}", f"{size * 28:,}", f"{due:,}", *taken))
    return Table(
        title=f"One tick of the clock, {name}",
        headings=("running trials", "diary days", "due trials", "one tick", "processor", "each"),
        rows=tuple(rows),
        notes=(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.",),
    )


def _tick(sessions: sessionmaker[Session], settings: Settings, turn: int, due: int) -> Seconds:
    """Make so many trials due, tick, check what was done; return the seconds of the tick."""
    now = EVENING + timedelta(days=2 * turn)
    with sessions.begin() as session:
        trials = select(TrialRow.id).order_by(TrialRow.id).offset(1).limit(due).subquery()
        _make_due(session, select(trials.c.id), turn, now)
        session.execute(delete(MessageRow))
    desk = Desk("bench", sessions, settings, VAULT, clock=lambda: now)
    began, working = time.perf_counter(), time.process_time()
    keep_time(desk)
    seconds = Seconds(time.perf_counter() - began, time.process_time() - working)
    with sessions.begin() as session:
        opened = select(func.count()).where(DiaryDayRow.state == "open")
        missed = select(func.count()).where(DiaryDayRow.state == "missed")
        begun = select(func.count()).where(PeriodRow.state == "current")
        told = select(func.count()).select_from(MessageRow)
        done = [session.scalar(query) for query in (opened, missed, begun, told)]
        if done != [due] * 4:
            raise SystemExit(f"A tick with {due} due trials did {done}.")
        session.execute(
            update(DiaryDayRow)
            .where(DiaryDayRow.state.in_(["open", "missed"]))
            .values(state="answered", remind_at=None)
        )
        session.execute(update(PeriodRow).where(PeriodRow.state == "current").values(state="over"))
    return seconds


def _make_due(session: Session, trials: Select[tuple[int]], turn: int, now: datetime) -> None:
    """Let one day of each trial open now, another be missed, and a period begin."""
    for number, state, opened in ((2 * turn, "planned", 0), (2 * turn - 1, "open", 31)):
        opens = now - timedelta(hours=opened)
        session.execute(
            update(DiaryDayRow)
            .where(DiaryDayRow.trial_id.in_(trials), DiaryDayRow.number == number)
            .values(
                state=state,
                opens_at=opens,
                closes_at=opens + timedelta(hours=10),
                late_until=opens + timedelta(hours=31),
            )
        )
    session.execute(
        update(PeriodRow)
        .where(PeriodRow.trial_id.in_(trials), PeriodRow.number == 1 + turn % 4)
        .values(state="planned", first_day=now.date(), last_day=now.date() + timedelta(days=6))
    )
    session.execute(update(TrialRow).where(TrialRow.id.in_(trials)).values(moves_at=now))


if __name__ == "__main__":
    main()
