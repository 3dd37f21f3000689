"""Messages go out once, or it is written down that nobody knows."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scheduler.jobs import Desk, send_messages
from tests.builders import VAULT, make_actor, make_running, make_site, trial_days
from trials.domain.blinding import Role
from trials.services import clockwork, messages
from trials.services.language import write_letter
from trials.services.messages import claim_messages, mark_sent, may_hand_over, queue_message
from trials.services.telephone import transport_of
from trials.services.transports import (
    DeliveryError,
    FileDrop,
    Mail,
    Smtp,
    compose,
    mail_transport_of,
)
from trials.settings import Settings, read_settings
from trials.store.database import only_reading
from trials.store.diary import days_of_trial
from trials.store.outbox import URGENT, MessageRow

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "email"
NOW = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)


@dataclass
class Recorder:
    """Takes mail, counting what it accepted by Message-ID; refuses or stalls if told to."""

    received: list[bytes] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: SmtpSession, envelope: Envelope, address: str, _o: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: SmtpSession, envelope: Envelope
    ) -> str:
        self.received.append(bytes(envelope.original_content or b""))
        return "250 OK"

    @property
    def ids(self) -> Counter[str]:
        """How often each Message-ID was accepted."""
        heads = (message_from_bytes(raw, policy=default) for raw in self.received)
        return Counter(str(head["Message-ID"]) for head in heads)


class FreePort(Controller):
    """A mail server on a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def recorder() -> Recorder:
    """What the mail server took."""
    return Recorder()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[Controller]:
    """A real mail server on a free port."""
    controller = FreePort(recorder, hostname="127.0.0.1", port=0, server_hostname="test")
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that drop mail into a folder."""
    return read_settings(data_dir=tmp_path, mail_from="Clinic <clinic@example.org>")


def smtp_settings(tmp_path: Path, server: Controller) -> Settings:
    """Settings that send mail to the test's server."""
    return read_settings(
        data_dir=tmp_path,
        mail_from="Clinic <clinic@example.org>",
        mail_transport="smtp",
        smtp_host="127.0.0.1",
        smtp_port=server.port,
    )


def queue(sessions: sessionmaker[Session], occasion: str, **given: object) -> None:
    """Put a plain message into the outbox."""
    values: dict[str, object] = {
        "trial": None,
        "recipient": "pat@example.org",
        "subject": "Hello",
        "body": "Text\n.with a dot\n",
        "due_at": NOW,
        **given,
    }
    with sessions.begin() as session:
        queue_message(session, occasion=occasion, **values)


def desk(sessions: sessionmaker[Session], settings: Settings, now: datetime = NOW) -> Desk:
    """Return a scheduler that stands at one instant."""
    return Desk("test", sessions, settings, VAULT, clock=lambda: now)


def send(sessions: sessionmaker[Session], settings: Settings, now: datetime = NOW) -> int:
    """Send what is due."""
    return send_messages(desk(sessions, settings, now), transport_of(settings, VAULT))


def only_message(sessions: sessionmaker[Session]) -> MessageRow:
    """Return the one row of the outbox."""
    with sessions() as session:
        return session.scalars(select(MessageRow)).one()


def test_an_occasion_gives_one_message(sessions: sessionmaker[Session], settings: Settings):
    for _again in range(3):
        queue(sessions, "diary-open:1")

    assert [send(sessions, settings), send(sessions, settings)] == [1, 0]


def test_a_dropped_message_is_a_whole_mail_named_after_itself(
    sessions: sessionmaker[Session], settings: Settings, tmp_path: Path
):
    queue(sessions, "hello", subject="Grüße", body="Straße = ok\n")

    send(sessions, settings)

    row = only_message(sessions)
    (file,) = (tmp_path / "mail").iterdir()
    mail = message_from_bytes(file.read_bytes(), policy=default)
    assert file.name == f"{row.public_id}.eml"
    assert mail["Message-ID"] == f"<{row.public_id}@example.org>"
    assert (mail["Subject"], mail["To"]) == ("Grüße", "pat@example.org")
    assert mail.get_content().splitlines() == ["Straße = ok"]
    assert row.done_at == NOW
    assert row.dropped == ""


def test_what_is_not_due_yet_waits(sessions: sessionmaker[Session], settings: Settings):
    queue(sessions, "later", due_at=NOW + timedelta(hours=1))

    assert send(sessions, settings) == 0
    assert send(sessions, settings, NOW + timedelta(hours=1)) == 1


def test_an_alert_overtakes_reminders_that_have_waited_for_days(
    sessions: sessionmaker[Session],
):
    """Mail stood still for two days; sixty reminders are due."""
    for number in range(60):
        long_ago = NOW - timedelta(days=2) + timedelta(minutes=number)
        queue(sessions, f"reminder-{number}", subject=f"reminder-{number}", due_at=long_ago)
    for number in range(3):
        queue(sessions, f"alert-{number}", subject=f"alert-{number}", priority=URGENT)
    queue(sessions, "later", due_at=NOW + timedelta(hours=1), priority=URGENT)

    def subjects() -> set[str]:
        with sessions.begin() as session:
            return {m.mail.subject for m in claim_messages(session, "sender", NOW).messages}

    assert subjects() == {"alert-0", "alert-1", "alert-2"}
    assert subjects() == {f"reminder-{number}" for number in range(messages.MOST_AT_ONCE)}


def test_a_message_that_would_come_too_late_is_dropped_and_says_so(
    sessions: sessionmaker[Session], settings: Settings
):
    queue(sessions, "stale", void_after=NOW)

    assert send(sessions, settings) == 0
    assert only_message(sessions).dropped == "too late"


def test_a_reminder_of_an_answered_diary_is_not_sent(
    sessions: sessionmaker[Session], settings: Settings
):
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        trial = make_running(session, clinician, NOW - timedelta(hours=9))
        clockwork.open_due_days(session, NOW, address="")
        days_of_trial(session, trial.id)[0].state = "answered"

    assert send(sessions, settings) == 0
    assert only_message(sessions).dropped == "not needed"


def test_a_reminder_is_not_sent_if_the_diary_is_answered_while_it_waits_its_turn(
    sessions: sessionmaker[Session],
):
    """It was claimed with others before it, and a mail server may take its time for those."""
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        trial = make_running(session, clinician, NOW - timedelta(hours=9))
        clockwork.open_due_days(session, NOW, address="")
    with sessions.begin() as session:
        (claimed,) = claim_messages(session, "slow", NOW).messages
    with sessions.begin() as session:
        days_of_trial(session, trial.id)[0].state = "answered"

    with sessions.begin() as session:
        assert not may_hand_over(session, claimed, "slow", NOW)


def test_a_mail_server_gets_the_text_unchanged(
    sessions: sessionmaker[Session], server: Controller, recorder: Recorder, tmp_path: Path
):
    queue(sessions, "hello")

    assert send(sessions, smtp_settings(tmp_path, server)) == 1

    mail = message_from_bytes(recorder.received[0], policy=default)
    assert mail.get_content().splitlines() == ["Text", ".with a dot"]
    assert only_message(sessions).done_at == NOW


def test_an_address_refused_for_good_is_not_tried_again(
    sessions: sessionmaker[Session], server: Controller, recorder: Recorder, tmp_path: Path
):
    recorder.refuse["pat@example.org"] = "550 no such mailbox"
    queue(sessions, "hello")

    send(sessions, smtp_settings(tmp_path, server))

    row = only_message(sessions)
    assert row.failed_at == NOW
    assert "550 no such mailbox" in row.last_error


def test_a_refusal_for_now_is_tried_again_later_and_later(
    sessions: sessionmaker[Session], server: Controller, recorder: Recorder, tmp_path: Path
):
    settings = smtp_settings(tmp_path, server)
    recorder.refuse["pat@example.org"] = "451 busy"
    queue(sessions, "hello", repeatable=False)
    at, waits = NOW, []
    for _attempt in range(4):
        assert send(sessions, settings, at) == 0
        waits.append((only_message(sessions).due_at - at) / timedelta(minutes=1))
        at = only_message(sessions).due_at
    recorder.refuse.clear()

    assert waits == [1, 2, 4, 8]
    assert send(sessions, settings, at - timedelta(seconds=1)) == 0
    assert send(sessions, settings, at) == 1


def test_a_message_that_never_gets_through_fails_in_the_end(
    sessions: sessionmaker[Session], tmp_path: Path
):
    settings = read_settings(data_dir=tmp_path, mail_transport="smtp", smtp_port=1)
    queue(sessions, "hello")
    at = NOW
    for _attempt in range(messages.MOST_ATTEMPTS):
        send(sessions, settings, at)
        at += timedelta(hours=2)

    row = only_message(sessions)
    assert row.failed_at is not None
    assert "refused" in row.last_error
    assert row.attempts == messages.MOST_ATTEMPTS


def test_a_sender_killed_before_the_handover_is_replaced(
    sessions: sessionmaker[Session], settings: Settings
):
    queue(sessions, "hello", repeatable=False)
    with sessions.begin() as session:
        claim_messages(session, "killed", NOW)

    assert send(sessions, settings, NOW + timedelta(seconds=1)) == 0
    assert send(sessions, settings, NOW + messages.LEASE) == 1


@pytest.mark.parametrize(("repeatable", "sent"), [(False, 0), (True, 1)])
def test_a_sender_killed_in_the_handover_leaves_a_doubt(
    sessions: sessionmaker[Session], settings: Settings, *, repeatable: bool, sent: int
):
    """A reminder is not sent again; what must arrive is."""
    queue(sessions, "hello", repeatable=repeatable)
    with sessions.begin() as session:
        (message,) = claim_messages(session, "killed", NOW).messages
    with sessions.begin() as session:
        assert may_hand_over(session, message, "killed", NOW)

    assert send(sessions, settings, NOW + messages.LEASE) == sent
    row = only_message(sessions)
    assert (row.failed_at is not None) is not repeatable
    assert ("Nobody knows" in row.last_error) is not repeatable


def test_a_sender_that_slept_through_its_claim_sends_nothing(
    sessions: sessionmaker[Session], settings: Settings
):
    queue(sessions, "hello", repeatable=False)
    with sessions.begin() as session:
        (message,) = claim_messages(session, "sleepy", NOW).messages
    late = NOW + messages.LEASE
    send(sessions, settings, late)

    with sessions.begin() as session:
        assert not may_hand_over(session, message, "sleepy", late)


def test_a_sender_that_was_given_up_can_still_say_it_went_out(
    sessions: sessionmaker[Session], settings: Settings
):
    queue(sessions, "hello", repeatable=False)
    with sessions.begin() as session:
        (message,) = claim_messages(session, "slow", NOW).messages
        may_hand_over(session, message, "slow", NOW)
    send(sessions, settings, NOW + messages.LEASE)

    with sessions.begin() as session:
        assert mark_sent(session, message, NOW + messages.LEASE)

    row = only_message(sessions)
    assert (row.failed_at, row.last_error) == (None, "")


def test_a_server_that_falls_silent_after_the_text_leaves_a_doubt(
    sessions: sessionmaker[Session], tmp_path: Path
):
    class Silent(Recorder):
        async def handle_DATA(  # noqa: N802
            self, server: SMTP, _session: SmtpSession, _envelope: Envelope
        ) -> str:
            server.transport.abort()
            return "250 never seen"

    controller = FreePort(Silent(), hostname="127.0.0.1", port=0, server_hostname="test")
    controller.start()
    try:
        queue(sessions, "hello", repeatable=False)
        send(sessions, smtp_settings(tmp_path, controller))
    finally:
        controller.stop()

    assert "Nobody knows" in only_message(sessions).last_error


def test_a_subject_cannot_smuggle_a_header_in(tmp_path: Path):
    mail = Mail("x", "pat@example.org", "Hi\r\nBcc: spy@example.org", "text", NOW)

    with pytest.raises(DeliveryError) as error:
        FileDrop(tmp_path, "clinic@example.org").send(mail, lambda: True)

    assert error.value.for_good


def test_a_foreign_domain_in_the_sender_gives_an_ascii_message_id():
    mail = Mail("k3v9", "pat@example.org", "Hi", "text", NOW)

    assert compose(mail, "Klinik <post@schmerz-köln.example>")["Message-ID"].isascii()


NURSERY = """
import os, signal, sys, time
told = os.fdopen(os.dup(1), "w")  # for process ids alone: whatever else is printed or logged,
os.dup2(2, 1)  # by this process or a sender, goes to standard error
from datetime import UTC, datetime, timedelta
import trials.services.messages as messages
messages.claim_messages.__kwdefaults__["lease"] = timedelta(seconds=0.6)
messages.may_hand_over.__kwdefaults__["lease"] = timedelta(seconds=0.6)
messages.MOST_AT_ONCE = 3
from scheduler.jobs import Desk, send_messages
from trials.keys import Vault
from trials.services.telephone import transport_of
from trials.settings import read_settings
from trials.store.database import open_engine, session_maker
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for name in sys.stdin:
    sender = os.fork()
    if sender:
        print(sender, file=told, flush=True)
        continue
    settings = read_settings()
    sessions = session_maker(open_engine(settings.database))
    desk = Desk(name, sessions, settings, Vault(bytes(32)), clock=lambda: datetime.now(UTC))
    transport = transport_of(settings, Vault(bytes(32)))
    while True:
        send_messages(desk, transport)
        time.sleep(0.01)
"""


class KilledSenders:
    """Senders that are killed at any moment and replaced, until nothing waits any more.

    They are forked from a process that has loaded everything, so that many can die.
    """

    def __init__(self, database_url: str, settings: Settings) -> None:
        self.kills = 0
        self._environment = {
            **os.environ,
            "LENITIVE_DATABASE_URL": database_url,
            "LENITIVE_DATA_DIR": str(settings.data_dir),
            "LENITIVE_MAIL_TRANSPORT": settings.mail_transport,
            "LENITIVE_SMTP_HOST": settings.smtp_host,
            "LENITIVE_SMTP_PORT": str(settings.smtp_port),
            "LENITIVE_MAIL_FROM": settings.mail_from,
            "LENITIVE_LOG_LEVEL": "error",
        }

    def run(self, sessions: sessionmaker[Session], rounds: int) -> None:
        """Kill pairs of senders at uneven moments, then let the last pair finish."""
        waiting = select(MessageRow.id).where(
            MessageRow.done_at.is_(None), MessageRow.failed_at.is_(None)
        )
        with subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as nursery:
            for number in range(rounds + 1):
                pair = [self._start(nursery, f"{number}{side}") for side in "ab"]
                time.sleep(0.06 + 0.017 * (number % 7))
                deadline = time.monotonic() + 30.0
                while number == rounds and time.monotonic() < deadline:
                    with sessions() as session, only_reading():
                        if session.scalar(waiting.limit(1)) is None:
                            break
                    time.sleep(0.05)
                for sender in pair:
                    os.kill(sender, signal.SIGKILL)
                    self.kills += 1
            assert nursery.stdin is not None
            nursery.stdin.close()

    def _start(self, nursery: subprocess.Popen[str], name: str) -> int:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        nursery.stdin.write(f"{name}\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())


@pytest.mark.slow
def test_reminders_go_out_once_while_senders_are_killed(
    sessions: sessionmaker[Session],
    database_url: str,
    server: Controller,
    recorder: Recorder,
    tmp_path: Path,
):
    """No Message-ID twice; what is missing is exactly what is written down as doubtful."""
    count = 60
    for number in range(count):
        queue(sessions, f"diary-open:{number}", repeatable=False)
    senders = KilledSenders(database_url, smtp_settings(tmp_path, server))

    senders.run(sessions, rounds=12)

    with sessions() as session:
        rows = session.scalars(select(MessageRow)).all()
    by_id = {f"<{row.public_id}@example.org>": row for row in rows}
    doubtful = {i for i, row in by_id.items() if "Nobody knows" in row.last_error}
    assert max(recorder.ids.values()) == 1
    assert set(by_id) - set(recorder.ids) <= doubtful
    assert len(doubtful) <= senders.kills
    assert all(row.done_at is not None or row.failed_at is not None for row in rows)


@pytest.mark.slow
def test_what_must_arrive_arrives_while_senders_are_killed(
    sessions: sessionmaker[Session],
    database_url: str,
    server: Controller,
    recorder: Recorder,
    tmp_path: Path,
):
    """Every Message-ID at least once, and never more often than somebody was killed."""
    count = 30
    for number in range(count):
        queue(sessions, f"alert:{number}", repeatable=True)
    senders = KilledSenders(database_url, smtp_settings(tmp_path, server))

    senders.run(sessions, rounds=8)

    assert len(recorder.ids) == count
    assert recorder.ids.total() - count <= senders.kills


@pytest.mark.slow
def test_dropped_files_are_complete_while_senders_are_killed(
    sessions: sessionmaker[Session], database_url: str, settings: Settings, tmp_path: Path
):
    count = 80
    for number in range(count):
        queue(sessions, f"diary-open:{number}", repeatable=False)
    senders = KilledSenders(database_url, settings)

    senders.run(sessions, rounds=10)

    with sessions() as session:
        rows = session.scalars(select(MessageRow)).all()
    files = {file.name for file in (tmp_path / "mail").glob("*.eml")}
    assert files == {f"{row.public_id}.eml" for row in rows}
    assert all(row.done_at is not None and row.last_error == "" for row in rows)


LETTERS: dict[str, dict[str, object]] = {
    "answers_removed": {"code": "P-07"},
    "adverse_event": {"code": "P-07", "hours": 12, "overdue": False},
    "alert": {"code": "P-07", "urgency": "immediate", "again": False},
    "answer_clear": {"code": "P-07", "block": 2},
    "call_asked": {"code": "P-07"},
    "code_opened": {"code": "P-07", "period": 2, "reason": "overdose"},
    "diary_open": {"day": "Sunday, March 1, 2026", "closes": "3:00 AM", "site": "Pain clinic"},
    "diary_again": {"day": "Sunday, March 1, 2026", "closes": "3:00 AM", "site": "Pain clinic"},
    "diary_rest": {"site": "Pain clinic"},
    "harm_found": {"code": "P-07", "block": 2},
    "patient_paused": {"code": "P-07"},
    "patient_stopped": {"code": "P-07"},
    "problem_reported": {"code": "P-07"},
    "silence": {"code": "P-07", "days": 3, "since": "Sunday, March 1, 2026"},
    "still_waits": {"code": "P-07"},
    "trial_completed": {"code": "P-07"},
}


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in (ROOT / "templates" / "email").glob("*.txt"))
)
def test_every_e_mail_reads_as_agreed(name: str):
    """To agree on changed texts, run this file with LENITIVE_WRITE_GOLDEN=1."""
    letter = write_letter(name, "en", address="https://trials.example.org", **LETTERS[name])
    mail = Mail("k3v9m2p7x4qz", "reader@example.org", letter.subject, letter.body, NOW)
    text = compose(mail, "Pain clinic <clinic@example.org>").as_string()
    golden = GOLDEN / f"{name}.eml"
    if os.environ.get("LENITIVE_WRITE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)

    assert text == golden.read_text()


def test_reminders_of_all_periods_differ_by_nothing_but_the_date(session: Session):
    """Neither arm, kit nor period can be read from what a reminder says or leaves out."""
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_running(session, clinician, NOW - timedelta(hours=9))
    for day in trial_days(trial):
        session.query(MessageRow).delete()
        now = datetime(day.year, day.month, day.day, 18, tzinfo=UTC)
        clockwork.open_due_days(session, now, address="https://trials.example.org")
        (message,) = session.scalars(select(MessageRow))
        expected = write_letter(
            "diary_open",
            "en",
            day=f"{day:%A, %B} {day.day}, {day.year}",
            closes="3:00\u202fAM",
            site="Pain clinic",
            address="https://trials.example.org",
        )
        assert (message.subject, message.body) == (expected.subject, expected.body)


def test_a_transport_is_chosen_by_the_settings(tmp_path: Path):
    by_smtp = read_settings(data_dir=tmp_path, mail_transport="smtp")

    assert isinstance(mail_transport_of(read_settings(data_dir=tmp_path)), FileDrop)
    assert isinstance(mail_transport_of(by_smtp), Smtp)
