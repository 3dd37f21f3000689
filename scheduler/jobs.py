"""What is due now, and the one service call that each due thing gets.

Every step is its own short transaction; none is open while mail is sent or a model sampled.
A step that fails in a way nobody foresaw puts its row off first and then raises: the tick
ends with the whole story in the log, and the next one goes on with the other rows. The other
steps of the same tick are taken all the same.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType

import structlog
from sqlalchemy.orm import Session, sessionmaker

from scheduler.workers import run_waiting_fits
from trials.domain.errors import TrialError
from trials.keys import Vault
from trials.services import adverse_events, alerts, clockwork, messages, problems
from trials.services.telephone import transport_of
from trials.services.transports import DeliveryError, Transport
from trials.settings import Settings
from trials.store.clockwork import LookColumn, look_again
from trials.store.lease import give_back
from trials.store.outbox import MessageRow
from trials.store.process import Tick, forget_processes, see_process
from trials.store.trial import TrialRow

MOST_ROUNDS = 400
"""Batches of one kind in one tick; what is left then waits for the next."""
PUT_OFF = timedelta(hours=1)
FORGET_AFTER = timedelta(days=7)

log = structlog.get_logger("scheduler")

type Clock = Callable[[], datetime]
type Sessions = sessionmaker[Session]


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the jobs of one scheduler share.

    Attributes:
        name: of this scheduler, different from every other.
        sessions: maker of transactions.
        settings: of this installation.
        vault: opens the masked sequence for the fits.
        clock: tells the UTC instant.
        ticks: how each kind of work went last; the heartbeat writes it down.
    """

    name: str
    sessions: Sessions
    settings: Settings
    vault: Vault
    clock: Clock
    ticks: dict[str, Tick] = field(default_factory=dict)


def run_due(
    sessions: Sessions, settings: Settings, vault: Vault, now: datetime, *, fits: bool = True
) -> None:
    """Do everything that is due at this instant, here and now.

    Args:
        sessions: maker of transactions.
        settings: of this installation.
        vault: opens the masked sequence for the fits.
        now: UTC instant.
        fits: whether to run the waiting analyses too, in this process.
    """
    desk = Desk("foreground", sessions, settings, vault, clock=lambda: now)
    analyze = partial(run_waiting_fits, sessions, settings, vault, desk.name, desk.clock)
    _take_all(
        partial(keep_time, desk),
        partial(watch, desk),
        *([analyze] if fits else []),
        partial(send_messages, desk, transport_of(settings, vault)),
    )


def keep_time(desk: Desk) -> None:
    """Move everything on that moves with time."""
    steps = (miss_days, open_days, remind_again, move_periods, complete_trials, request_fits)
    _take_all(*(partial(step, desk) for step in steps))


def watch(desk: Desk) -> None:
    """Tell of alerts, unsigned reports and patients who wait; the rest may take long."""
    steps = (tell_of_alerts, remind_of_reports, remind_of_problems)
    _take_all(*(partial(step, desk) for step in steps))


def miss_days(desk: Desk) -> None:
    """Count the days as missing that are over."""
    _in_batches(desk, "missed", partial(clockwork.miss_due_days, address=desk.settings.address))


def open_days(desk: Desk) -> None:
    """Open the days whose hour has come."""
    _in_batches(desk, "opened", partial(clockwork.open_due_days, address=desk.settings.address))


def remind_again(desk: Desk) -> None:
    """Remind once more of what is about to close."""
    _in_batches(desk, "reminded", partial(clockwork.remind_again, address=desk.settings.address))


def move_periods(desk: Desk) -> None:
    """Begin and end periods."""
    _in_batches(desk, "looked_at", clockwork.move_periods)


def tell_of_alerts(desk: Desk) -> None:
    """Tell the next person of every alert that nobody acknowledged, each by itself."""
    told = 0
    for _round in range(MOST_ROUNDS):
        with desk.sessions.begin() as session:
            due = alerts.due_alerts(session, desk.clock())
        if not due:
            break
        _take_all(*(partial(_tell_of_one, desk, alert_id) for alert_id in due))
        told += len(due)
    if told:
        log.info("alerted", rows=told)


def remind_of_reports(desk: Desk) -> None:
    """Remind of reports of serious events that nobody signed."""
    _in_batches(
        desk,
        "reports_asked_for",
        partial(adverse_events.remind_of_reports, address=desk.settings.address),
    )


def remind_of_problems(desk: Desk) -> None:
    """Remind of problems, and of calls asked for, that nobody dealt with in time."""
    remind = partial(problems.remind_of_problems, address=desk.settings.address)
    _in_batches(desk, "problems_reminded_of", remind)


def complete_trials(desk: Desk) -> None:
    """Complete the trials whose diary is complete."""
    _in_batches(desk, "new_trials", clockwork.look_at_new_trials)
    now = desk.clock()
    with desk.sessions.begin() as session:
        due = clockwork.trials_to_complete(session, now)
    complete = partial(clockwork.complete_due_trial, address=desk.settings.address)
    for trial_id in due:
        _look_at_one(desk, TrialRow.completes_at, trial_id, complete, now)


def request_fits(desk: Desk) -> None:
    """Ask for the analyses that are due."""
    now = desk.clock()
    with desk.sessions.begin() as session:
        due = clockwork.trials_to_fit(session, now)
    for trial_id in due:
        _look_at_one(desk, TrialRow.fits_at, trial_id, clockwork.request_due_fit, now)


def send_messages(desk: Desk, transport: Transport) -> int:
    """Send what is due in the outbox; return how many messages went out."""
    sent = 0
    for _round in range(MOST_ROUNDS):
        with desk.sessions.begin() as session:
            claim = messages.claim_messages(session, desk.name, desk.clock())
        if not claim.taken:
            break
        for message in claim.messages:
            put_off = partial(_put_off_message, desk, message)
            with OnFailure(put_off):
                sent += _send_one(desk, transport, message)
    if sent:
        log.info("sent", messages=sent)
    return sent


def heartbeat(desk: Desk) -> None:
    """Write down that this scheduler is alive."""
    now = desk.clock()
    with desk.sessions.begin() as session:
        see_process(session, desk.name, "scheduler", now, dict(desk.ticks))
        forget_processes(session, now - FORGET_AFTER)


def do_timed(desk: Desk, name: str, work: Callable[[], object]) -> None:
    """Do one kind of work and remember how it went, for the next heartbeat."""
    began = time.perf_counter()

    def remember(error: BaseException | None = None) -> None:
        seconds = time.perf_counter() - began
        kind = "" if error is None else type(error).__qualname__
        desk.ticks[name] = Tick(desk.clock(), seconds, kind)

    with OnFailure(remember):
        work()
    remember()


class OnFailure:
    """Calls back with the error that leaves its block, which goes on its way afterwards."""

    def __init__(self, call: Callable[[BaseException], None]) -> None:
        self._call = call

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the block; an error is told and not swallowed."""
        if error is not None:
            self._call(error)


def _take_all(*steps: Callable[[], object]) -> None:
    """Take one step after the other, whatever becomes of those before.

    What fails is raised in the end, the last failure with those before as its context.
    """
    with ExitStack() as stack:
        for step in reversed(steps):
            stack.callback(step)


def _tell_of_one(desk: Desk, alert_id: int) -> None:
    """Tell the next person of one alert; one that cannot be told of now is tried again soon."""
    now = desk.clock()

    def put_off(_error: BaseException) -> None:
        with desk.sessions.begin() as session:
            alerts.put_off_alert(session, alert_id, now)

    with OnFailure(put_off), desk.sessions.begin() as session:
        alerts.tell_of_alerts(session, now, address=desk.settings.address, only=alert_id)


def _send_one(desk: Desk, transport: Transport, message: messages.ClaimedMessage) -> bool:
    """Send one claimed message; no transaction is open while it is on its way."""

    def before_handover() -> bool:
        with desk.sessions.begin() as session:
            return messages.may_hand_over(session, message, desk.name, desk.clock())

    try:
        sent = transport.send(message.mail, before_handover)
    except DeliveryError as error:
        with desk.sessions.begin() as session:
            messages.mark_failed(session, message, desk.name, error, desk.clock())
        log.warning(
            "not_sent",
            message=message.mail.public_id,
            for_good=error.for_good,
            unknown=error.unknown,
        )
        return False
    if sent:
        with desk.sessions.begin() as session:
            messages.mark_sent(session, message, desk.clock())
    return sent


def _put_off_message(desk: Desk, message: messages.ClaimedMessage, error: BaseException) -> None:
    with desk.sessions.begin() as session:
        give_back(
            session,
            MessageRow,
            message.id,
            desk.name,
            desk.clock(),
            error=repr(error),
            most_attempts=messages.MOST_ATTEMPTS,
        )


def _in_batches(desk: Desk, what: str, step: Callable[[Session, datetime], int]) -> None:
    """Repeat a step, each time in a transaction of its own, until nothing is due any more."""
    done = 0
    for _round in range(MOST_ROUNDS):
        with desk.sessions.begin() as session:
            count = step(session, desk.clock())
        done += count
        if count == 0:
            break
    if done:
        log.info(what, rows=done)


def _look_at_one(
    desk: Desk,
    column: LookColumn,
    trial_id: int,
    step: Callable[[Session, Vault, int, datetime], bool],
    now: datetime,
) -> None:
    """Take a step with one trial; one that cannot be taken is put off and told."""

    def put_off(_error: BaseException) -> None:
        with desk.sessions.begin() as session:
            look_again(session, column, {trial_id: now + PUT_OFF})

    try:
        with OnFailure(put_off), desk.sessions.begin() as session:
            step(session, desk.vault, trial_id, now)
    except TrialError as error:
        log.warning("put_off", step=column.key, trial=trial_id, error=type(error).__qualname__)
