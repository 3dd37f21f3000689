"""The state of the installation in the words of Prometheus.

Everything is read from the database when asked, so any number of web processes tell the same,
and nothing is counted twice. No figure is about a person or a site.
"""

from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from trials.services.condition import QUEUES, Queue, clock_queues, queue_of
from trials.store.diary import DiaryEntryRow
from trials.store.process import last_ticks, processes
from trials.store.trial import TrialRow


def write_metrics(session: Session, *, now: datetime) -> bytes:
    """Return all metrics as text."""
    registry = CollectorRegistry()
    _queues(session, registry, now)
    _processes(session, registry, now)
    _diary(session, registry, now)
    return generate_latest(registry)


def _queues(session: Session, registry: CollectorRegistry, now: datetime) -> None:
    labels = ["queue"]
    waiting = Gauge("lenitive_queue_waiting", "Work not done yet.", labels, registry=registry)
    overdue = Gauge("lenitive_queue_overdue", "Work due for minutes.", labels, registry=registry)
    failed = Gauge("lenitive_queue_failed", "Work given up.", labels, registry=registry)
    age = Gauge(
        "lenitive_queue_oldest_due_seconds",
        "For how long the oldest work has been due; 0 if none is.",
        labels,
        registry=registry,
    )
    found = {name: queue_of(session, kind, now) for name, kind in QUEUES.items()}
    found |= {f"clock_{name}": queue for name, queue in clock_queues(session, now).items()}
    for name, queue in found.items():
        waiting.labels(name).set(queue.waiting)
        overdue.labels(name).set(queue.overdue)
        failed.labels(name).set(queue.failed)
        age.labels(name).set(_age(queue, now))


def _age(queue: Queue, now: datetime) -> float:
    return 0.0 if queue.oldest_due is None else max(0.0, (now - queue.oldest_due).total_seconds())


def _processes(session: Session, registry: CollectorRegistry, now: datetime) -> None:
    seen = Gauge(
        "lenitive_process_last_seen_seconds",
        "Seconds since the last heartbeat of a scheduler or worker.",
        ["kind", "name"],
        registry=registry,
    )
    for row in processes(session):
        seen.labels(row.kind, row.name).set((now - row.last_seen_at).total_seconds())
    labels = ["process", "work"]
    ended = Gauge(
        "lenitive_tick_last_seconds", "Seconds since the last tick.", labels, registry=registry
    )
    took = Gauge(
        "lenitive_tick_duration_seconds", "What the last tick took.", labels, registry=registry
    )
    broke = Gauge(
        "lenitive_tick_failed", "Whether an error ended the last tick.", labels, registry=registry
    )
    for process, ticks in last_ticks(session).items():
        for work, tick in ticks.items():
            ended.labels(process, work).set((now - tick.at).total_seconds())
            took.labels(process, work).set(tick.seconds)
            broke.labels(process, work).set(bool(tick.error))


def _diary(session: Session, registry: CollectorRegistry, now: datetime) -> None:
    trials = Gauge("lenitive_trials", "Trials by state.", ["state"], registry=registry)
    by_state = select(TrialRow.state, func.count()).group_by(TrialRow.state)
    for state, count in session.execute(by_state):
        trials.labels(state).set(count)
    entries = Gauge("lenitive_diary_entries", "Diary reports kept.", registry=registry)
    entries.set(session.scalar(select(func.count()).select_from(DiaryEntryRow)) or 0)
