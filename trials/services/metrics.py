"""The state of the installation in the words of Prometheus.

Everything is read from the database when asked, so any number of web processes tell the same,
and nothing is counted twice. No figure is about a person or a site.
"""

from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from trials.services.oversight import QUEUES, queue_of
from trials.store.diary import DiaryDayRow, DiaryEntryRow
from trials.store.process import ProcessRow
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
    for name, kind in QUEUES.items():
        queue = queue_of(session, kind, now)
        waiting.labels(name).set(queue.waiting)
        overdue.labels(name).set(queue.overdue)
        failed.labels(name).set(queue.failed)
        late = 0.0 if queue.oldest_due is None else (now - queue.oldest_due).total_seconds()
        age.labels(name).set(max(0.0, late))


def _processes(session: Session, registry: CollectorRegistry, now: datetime) -> None:
    seen = Gauge(
        "lenitive_process_last_seen_seconds",
        "Seconds since the last tick of a scheduler or worker.",
        ["kind", "name"],
        registry=registry,
    )
    for row in session.scalars(select(ProcessRow)):
        seen.labels(row.kind, row.name).set((now - row.last_seen_at).total_seconds())


def _diary(session: Session, registry: CollectorRegistry, now: datetime) -> None:
    trials = Gauge("lenitive_trials", "Trials by state.", ["state"], registry=registry)
    by_state = select(TrialRow.state, func.count()).group_by(TrialRow.state)
    for state, count in session.execute(by_state):
        trials.labels(state).set(count)
    entries = Gauge("lenitive_diary_entries", "Diary reports kept.", registry=registry)
    entries.set(session.scalar(select(func.count()).select_from(DiaryEntryRow)) or 0)
    late = Gauge(
        "lenitive_diary_days_overdue", "Days that should be open or missed.", registry=registry
    )
    overdue = select(func.count()).where(
        DiaryDayRow.state == "planned", DiaryDayRow.opens_at <= now
    )
    late.set(session.scalar(overdue) or 0)
