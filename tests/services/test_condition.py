"""An administrator sees what waits, what was given up and which process did what, and no more."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from tests.builders import make_actor, make_running, make_site
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError, NotFoundError
from trials.services import clockwork
from trials.services.actor import Actor
from trials.services.condition import QUEUES, Queue, condition_of_machine, do_again, queue_of
from trials.store.audit import AuditRow
from trials.store.fit import FitRow
from trials.store.look import LookRow
from trials.store.process import Tick, forget_process, last_ticks, see_process
from trials.store.trial import TrialRow

NOW = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)


@pytest.fixture
def admin(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.ADMINISTRATOR)


@pytest.fixture
def trial(session: Session) -> TrialRow:
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    return make_running(session, clinician, NOW - timedelta(hours=10))


def failed_fit(session: Session, trial: TrialRow) -> FitRow:
    fit = FitRow(
        trial_id=trial.id,
        purpose="final",
        requested_at=NOW,
        requested_by="system",
        protocol_hash="p",
        data_hash="d",
        seed=1,
        due_at=NOW,
        failed_at=NOW,
        attempts=3,
        last_error="ValueError('pain of P-07 was 9')",
    )
    session.add(fit)
    session.flush()
    return fit


def test_what_the_clock_has_to_do_is_counted_until_it_is_done(session: Session, admin, trial):
    before = condition_of_machine(session, admin, now=NOW).clock
    clockwork.open_due_days(session, NOW, address="")
    clockwork.move_periods(session, NOW)
    after = condition_of_machine(session, admin, now=NOW).clock
    late = condition_of_machine(session, admin, now=NOW + timedelta(days=2)).clock

    assert before["open"] == Queue(1, 0, 0, NOW)
    assert {name: queue.waiting for name, queue in after.items()} == dict.fromkeys(before, 0)
    assert (late["open"].waiting, late["open"].overdue) == (2, 1)
    assert late["miss"].waiting == 1


def test_an_analysis_given_up_is_told_without_what_it_was_about_and_tried_again(
    session: Session, admin, trial
):
    fit = failed_fit(session, trial)

    (given_up,) = condition_of_machine(session, admin, now=NOW).given_up
    for _click in range(2):
        do_again(session, admin, "analyses", fit.id, NOW)

    assert (given_up.queue, given_up.error, given_up.attempts) == ("analyses", "ValueError", 3)
    assert (fit.failed_at, fit.attempts, fit.due_at) == (None, 0, NOW)
    assert queue_of(session, FitRow, NOW) == Queue(1, 0, 0, NOW)
    assert session.query(AuditRow).filter_by(action="do_again").count() == 1


def test_every_kind_of_work_is_counted(session: Session, admin, trial):
    session.add(LookRow(trial_id=trial.id, block=9, due_at=NOW, failed_at=NOW, last_error="E"))
    session.flush()

    found = condition_of_machine(session, admin, now=NOW)

    assert set(found.queues) == set(QUEUES)
    assert found.queues["looks"].failed == 1
    assert found.given_up[0].queue == "looks"


@pytest.mark.parametrize(("queue", "row"), [("analyses", 999), ("treatments", 1)])
def test_what_does_not_exist_is_not_tried_again(session: Session, admin, queue: str, row: int):
    with pytest.raises(NotFoundError):
        do_again(session, admin, queue, row, NOW)


def test_nobody_else_looks_or_tries(session: Session, trial):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)

    with pytest.raises(NotAllowedError):
        condition_of_machine(session, clinician, now=NOW)
    with pytest.raises(NotAllowedError):
        do_again(session, clinician, "analyses", failed_fit(session, trial).id, NOW)


def test_the_last_tick_of_each_process_is_kept_until_it_ends(session: Session, admin):
    see_process(session, "host-1", "scheduler", NOW, {"time": Tick(NOW, 0.2)})
    later = NOW + timedelta(seconds=10)
    see_process(session, "host-1", "scheduler", later, {"time": Tick(later, 0.1, "OSError")})

    (process,) = condition_of_machine(session, admin, now=later).processes
    assert process.ticks == {"time": Tick(later, 0.1, "OSError")}
    assert condition_of_machine(session, admin, now=later).is_served
    assert not condition_of_machine(session, admin, now=later + timedelta(minutes=3)).is_served

    forget_process(session, "host-1")
    session.expire_all()
    assert last_ticks(session) == {}
