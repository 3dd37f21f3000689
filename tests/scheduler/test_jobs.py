"""A scheduler does what is due, survives what fails, and shares the work with others."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from scheduler import jobs
from scheduler.jobs import Desk, run_due, send_messages
from tests.builders import (
    VAULT,
    evening,
    fill_day,
    make_actor,
    make_alert,
    make_running,
    make_site,
    trial_days,
)
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.life_cycle import State
from trials.keys import Vault
from trials.services import alerts, clockwork
from trials.services.messages import queue_message
from trials.services.transports import Mail
from trials.settings import Settings, read_settings
from trials.store.alert import AlertRow
from trials.store.audit import chain
from trials.store.diary import days_of_trial
from trials.store.outbox import MessageRow
from trials.store.process import ProcessRow, forget_process
from trials.store.trial import TrialRow

MORNING = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
FIRST = date(2026, 3, 1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that drop mail into a folder."""
    return read_settings(data_dir=tmp_path)


@pytest.fixture
def run(sessions: sessionmaker[Session], settings: Settings) -> Callable[[datetime], None]:
    """Do what is due at an instant, analyses left out."""
    return lambda now: run_due(sessions, settings, VAULT, now, fits=False)


def start_trials(sessions: sessionmaker[Session], count: int) -> list[int]:
    """Start trials today and return their ids."""
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        return [make_running(session, clinician, MORNING).id for _number in range(count)]


def mails(settings: Settings) -> list[str]:
    """Return the subjects of the mail that was dropped."""
    found = [path.read_text() for path in (settings.data_dir / "mail").glob("*.eml")]
    return sorted(line[9:] for text in found for line in text.splitlines() if "Subject:" in line)


def test_one_run_opens_the_diary_and_sends_the_reminder(
    sessions: sessionmaker[Session], settings: Settings, run: Callable[[datetime], None]
):
    (trial_id,) = start_trials(sessions, 1)

    for _again in range(3):
        run(evening(FIRST, 17))

    with sessions() as session:
        assert days_of_trial(session, trial_id)[0].state == "open"
    assert mails(settings) == ["Your diary is open"]


def test_a_whole_trial_lived_by_the_clock_ends_with_its_final_analysis_asked_for(
    sessions: sessionmaker[Session], settings: Settings, run: Callable[[datetime], None]
):
    (trial_id,) = start_trials(sessions, 1)
    with sessions() as session:
        days = trial_days(session.get_one(TrialRow, trial_id))
    for day in days:
        run(evening(day, 17))
        with sessions.begin() as session:
            fill_day(session, session.get_one(TrialRow, trial_id), day)
        run(evening(day + timedelta(days=1), 4))

    with sessions() as session:
        assert session.get_one(TrialRow, trial_id).current_state is State.COMPLETED
        assert first_broken(chain(session)) is None
    assert len(mails(settings)) == len(days) + 1
    assert set(mails(settings)[:-1]) >= {"Your diary is open"}


def test_two_schedulers_at_once_send_each_message_once(
    sessions: sessionmaker[Session], settings: Settings
):
    start_trials(sessions, 15)
    sent: list[str] = []

    class Counting:
        def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
            if not before_handover():
                return False
            sent.append(mail.public_id)
            return True

    def work(name: str) -> None:
        desk = Desk(name, sessions, settings, VAULT, clock=lambda: evening(FIRST, 17))
        jobs.keep_time(desk)
        send_messages(desk, Counting())

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work, name) for name in ("a", "b", "c")]:
            done.result()

    assert len(sent) == len(set(sent)) == 15


def test_a_trial_that_cannot_be_completed_holds_up_no_other(
    sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    broken, sound = start_trials(sessions, 2)
    over = evening(FIRST + timedelta(days=60), 12)
    right = clockwork.complete_due_trial

    def fail(session: Session, vault: Vault, trial_id: int, now: datetime, **rest: str) -> bool:
        if trial_id == broken:
            raise ZeroDivisionError
        return right(session, vault, trial_id, now, **rest)

    monkeypatch.setattr(clockwork, "complete_due_trial", fail)
    desk = Desk("test", sessions, settings, VAULT, clock=lambda: over)
    with pytest.raises(ZeroDivisionError):
        jobs.keep_time(desk)
    jobs.keep_time(desk)

    with sessions() as session:
        assert session.get_one(TrialRow, sound).current_state is State.COMPLETED
        assert session.get_one(TrialRow, broken).completes_at == over + jobs.PUT_OFF


@pytest.mark.parametrize("failing", ["miss_days", "open_days", "move_periods"])
def test_a_step_that_fails_stops_none_of_the_others_and_is_raised(
    sessions: sessionmaker[Session],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
):
    taken = []

    def note(step: str) -> Callable[[Desk], None]:
        def take(_desk: Desk) -> None:
            taken.append(step)
            if step == failing:
                raise ZeroDivisionError

        return take

    steps = ["miss_days", "open_days", "remind_again", "move_periods", "complete_trials"]
    for step in steps:
        monkeypatch.setattr(jobs, step, note(step))
    desk = Desk("test", sessions, settings, VAULT, clock=lambda: MORNING)

    with pytest.raises(ZeroDivisionError):
        jobs.do_timed(desk, "time", lambda: jobs.keep_time(desk))

    assert taken == steps
    assert desk.ticks["time"].error == "ZeroDivisionError"


def test_an_alert_that_cannot_be_told_of_holds_up_no_other(
    sessions: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    broken, sound = start_trials(sessions, 2)
    with sessions.begin() as session:
        for trial_id in (broken, sound):
            trial = session.get_one(TrialRow, trial_id)
            make_alert(session, trial, MORNING)
    right = alerts.recipients_at

    def fail(session: Session, trial: TrialRow, step: int):
        if trial.id == broken:
            raise ZeroDivisionError
        return right(session, trial, step)

    monkeypatch.setattr(alerts, "recipients_at", fail)
    desk = Desk("test", sessions, settings, VAULT, clock=lambda: MORNING)
    with pytest.raises(ZeroDivisionError):
        jobs.watch(desk)
    jobs.watch(desk)

    with sessions() as session:
        steps = {a.trial_id: (a.step, a.escalates_at) for a in session.scalars(select(AlertRow))}
    assert steps[sound][0] == 1
    assert steps[broken] == (0, MORNING + alerts.TRY_AGAIN)


def test_a_wrong_master_key_puts_the_trial_off_and_goes_on(
    sessions: sessionmaker[Session], settings: Settings
):
    (trial_id,) = start_trials(sessions, 1)
    over = evening(FIRST + timedelta(days=60), 12)
    desk = Desk("test", sessions, settings, Vault(bytes(range(32))), clock=lambda: over)

    jobs.keep_time(desk)

    with sessions() as session:
        trial = session.get_one(TrialRow, trial_id)
        assert trial.current_state is State.RUNNING
        assert trial.completes_at == over + jobs.PUT_OFF


def test_a_message_that_breaks_the_sender_is_put_off_and_the_next_ones_go_out(
    sessions: sessionmaker[Session], settings: Settings
):
    with sessions.begin() as session:
        for name in ("poison", "harmless"):
            queue_message(
                session,
                occasion=name,
                trial=None,
                recipient="pat@example.org",
                subject=name,
                body="text",
                due_at=MORNING,
            )
    gone: list[str] = []

    class Fragile:
        def send(self, mail: Mail, _before_handover: Callable[[], bool]) -> bool:
            if mail.subject == "poison":
                raise ZeroDivisionError("nobody foresaw this")
            gone.append(mail.subject)
            return True

    at = MORNING
    for _tick in range(14):
        desk = Desk("test", sessions, settings, VAULT, clock=lambda at=at: at)
        try:
            send_messages(desk, Fragile())
        except ZeroDivisionError:
            logging.getLogger(__name__).debug("as expected")
        at += timedelta(hours=1)

    with sessions() as session:
        poison = session.scalars(select(MessageRow).where(MessageRow.subject == "poison")).one()
    assert gone == ["harmless"]
    assert poison.failed_at is not None
    assert "nobody foresaw this" in poison.last_error


def test_a_scheduler_says_that_it_is_alive_until_it_ends(
    sessions: sessionmaker[Session], settings: Settings
):
    times = [MORNING, MORNING + timedelta(minutes=1)]
    for now in times:
        jobs.heartbeat(Desk("host-1-a", sessions, settings, VAULT, clock=lambda now=now: now))
    with sessions.begin() as session:
        row = session.scalars(select(ProcessRow)).one()
        seen = row.started_at, row.last_seen_at
        forget_process(session, "host-1-a")

    assert list(seen) == times
    with sessions() as session:
        assert session.scalar(select(func.count(ProcessRow.name))) == 0


def test_processes_that_died_long_ago_are_forgotten(
    sessions: sessionmaker[Session], settings: Settings
):
    jobs.heartbeat(Desk("old", sessions, settings, VAULT, clock=lambda: MORNING))
    later = MORNING + jobs.FORGET_AFTER + timedelta(seconds=1)

    jobs.heartbeat(Desk("new", sessions, settings, VAULT, clock=lambda: later))

    with sessions() as session:
        assert session.scalars(select(ProcessRow.name)).all() == ["new"]


def test_a_trial_that_was_put_off_is_taken_up_again(
    sessions: sessionmaker[Session], run: Callable[[datetime], None]
):
    (trial_id,) = start_trials(sessions, 1)
    over = evening(FIRST + timedelta(days=60), 12)
    run(over - timedelta(days=59))
    with sessions.begin() as session:
        session.execute(update(TrialRow).values(completes_at=over + jobs.PUT_OFF))

    run(over)
    with sessions() as session:
        before = session.get_one(TrialRow, trial_id).current_state
    run(over + jobs.PUT_OFF)

    with sessions() as session:
        assert before is State.RUNNING
        assert session.get_one(TrialRow, trial_id).current_state is State.COMPLETED
