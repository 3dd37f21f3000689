"""Whatever is killed when: an acknowledged entry is there once, a reminder went out once.

Patients answer over real HTTP and send again, under the same key, until they see the page of
thanks. Meanwhile the web server, its workers and two schedulers are killed with SIGKILL and
started again, over and over.
"""

import http.client
import http.cookiejar
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from scheduler.jobs import run_due
from tests.builders import (
    PROTOCOL,
    VAULT,
    evening_zone,
    make_actor,
    make_patient,
    make_site,
    signed_device,
    study_at_once,
)
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.services.actor import SYSTEM
from trials.services.invitations import enter_by_link, invite
from trials.services.messages import LEASE
from trials.services.running import start_trial
from trials.services.trials import (
    create_trial,
    freeze_protocol,
    record_consent,
)
from trials.settings import Settings, read_settings
from trials.store.audit import AuditRow, chain
from trials.store.database import only_reading
from trials.store.diary import DiaryDayRow, DiaryEntryRow
from trials.store.outbox import MessageRow
from trials.store.process import ProcessRow

ROOT = Path(__file__).parents[2]
KILLS = 3  # of each process
PATIENTS = 12
SILENT = 6
PATIENCE_SECONDS = 150.0
"""Without one report more being accepted: however slow a machine is, it is not that slow."""
ANSWER_SECONDS = 60.0
"""A killed server is noticed at once; only one that is alive and busy lets a phone wait."""
CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass(frozen=True)
class Phone:
    """A patient's phone, let in before.

    Attributes:
        email: of the patient.
        trial_id: row id.
        cookie: by which the server knows it.
    """

    email: str
    trial_id: int
    cookie: str


@dataclass(frozen=True)
class Report:
    """One submission of a diary, with the key it keeps at every attempt."""

    phone: Phone
    day: date
    pain: int
    key: str


def move_in(session: Session, count: int, now: datetime) -> tuple[list[Phone], date]:
    """Start trials, two days ago, of patients with a phone each; return today's date."""
    zone = evening_zone(now)
    begun = now - timedelta(days=2)
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    phones = []
    for _number in range(count):
        patient = make_patient(session, clinician, begun, timezone=zone)
        trial = create_trial(
            session, clinician, patient, title="Pain", protocol=PROTOCOL, now=begun
        )
        study_at_once(session, PROTOCOL, begun)
        freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=begun)
        day = local_day(begun, zone_of(zone))
        record_consent(session, clinician, trial, given_on=day, now=begun)
        start_trial(
            session, VAULT, clinician, trial, revision=trial.revision, start_day=day, now=begun
        )
        link = invite(session, VAULT, SYSTEM, patient, now=now)
        entry = enter_by_link(session, VAULT, link.token, browser=uuid4().hex, now=now)
        phones.append(Phone(patient.email, trial.id, signed_device(entry)))
    return phones, local_day(now, zone_of(zone))


class House:
    """The web server and two schedulers, as processes that can be killed."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self.kills: Counter[str] = Counter()
        self._listener = listener
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "LENITIVE_DATABASE_URL": settings.database_url,
            "LENITIVE_DATA_DIR": str(settings.data_dir),
            "LENITIVE_MASTER_KEY": settings.master_key,
            "LENITIVE_PORT": str(settings.port),
            "LENITIVE_WEB_WORKERS": "1",
            "LENITIVE_TICK_SECONDS": "0.2",
            "LENITIVE_LOG_LEVEL": "error",
        }

    def start(self, name: str) -> None:
        """Start one of "web", "scheduler-a", "scheduler-b"."""
        kind = name.partition("-")[0]
        more = [f"--socket={self._listener.fileno()}"] if kind == "web" else []
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", "trials.cli.main", kind, *more],
            cwd=ROOT,
            env=self._environment,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,
        )

    def kill(self, name: str) -> None:
        """Kill one with everything it started, and wait for its end."""
        process = self._processes[name]
        assert process.poll() is None, f"{name} ended by itself with {process.returncode}"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills[name.partition("-")[0]] += 1

    def close(self) -> None:
        """Kill what is left."""
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Form:
    """One open form in the browser of a phone; it is sent again and again as it is."""

    def __init__(self, address: str, report: Report) -> None:
        self._report = report
        self._url = f"{address}/diary/{report.day.isoformat()}"
        self._jar = http.cookiejar.CookieJar()
        self._token = ""

    def send(self) -> bool:
        """Open the form if need be and send it; return whether the page of thanks was seen."""
        try:
            if not self._token:
                self._token = CSRF.findall(self._ask(None)[1])[0]
            return urllib.parse.urlsplit(self._ask(self._filled_in())[0]).path.endswith("/thanks")
        except urllib.error.HTTPError as problem:
            if problem.code < 500:  # the server says that we are wrong
                raise
            return False
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, form: dict[str, str] | None) -> tuple[str, str]:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))
        kept = [f"{c.name}={c.value}" for c in self._jar if c.name != "lenitive-device"]
        opener.addheaders = [
            ("Cookie", "; ".join([f"lenitive-device={self._report.phone.cookie}", *kept]))
        ]
        body = urllib.parse.urlencode(form).encode() if form else None
        with opener.open(self._url, data=body, timeout=ANSWER_SECONDS) as answer:
            return answer.url, answer.read().decode()

    def _filled_in(self) -> dict[str, str]:
        return {
            "csrf_token": self._token,
            "key": self._report.key,
            "pain": str(self._report.pain),
            "any_side_effects": "no",
            "sleep": "3",
            "interference": "3",
            "intake": "all",
        }


class Crash:
    """Patients who answer while everything is killed and started again.

    Attributes:
        accepted: the reports whose page of thanks was seen.
    """

    def __init__(self, house: House, address: str, sessions: sessionmaker[Session]) -> None:
        self.accepted: list[Report] = []
        self._house = house
        self._sessions = sessions
        self._address = address
        self._over = threading.Event()
        self._progress = time.monotonic()

    def run(self, phones: list[Phone], today: date) -> None:
        """Go on until everything was killed often enough."""
        try:
            for name in ("web", "scheduler-a", "scheduler-b"):
                self._house.start(name)
            with ThreadPoolExecutor(len(phones) + 1) as pool:
                doings = [pool.submit(self._live, phone, today) for phone in phones]
                doings.append(pool.submit(self._kill_on_and_on))
                for doing in doings:
                    doing.result()
        finally:
            self._over.set()
            self._house.close()

    def _live(self, phone: Phone, today: date) -> None:
        """Answer yesterday late and today, then correct today until nothing is killed any more."""
        days = itertools.chain([today - timedelta(days=1)], itertools.repeat(today))
        for number, day in enumerate(days):
            report = Report(phone, day, number % 11, str(uuid4()))
            self._send_until_thanked(report)
            self.accepted.append(report)
            self._progress = time.monotonic()
            if self._over.is_set() and number > 0:
                return

    def _send_until_thanked(self, report: Report) -> None:
        """Send again and again, as the phone does, until it is acknowledged."""
        form = Form(self._address, report)
        while not form.send():
            self._wait(0.05)

    def _wait(self, seconds: float) -> None:
        waited = time.monotonic() - self._progress
        assert waited < PATIENCE_SECONDS, f"nothing was accepted for {waited:.0f} seconds"
        time.sleep(seconds)

    def _kill_on_and_on(self) -> None:
        """Kill each in turn, once all have been at work since the last time."""
        for number in range(1, KILLS + 1):
            seen = len(self.accepted)
            while len(self.accepted) < seen + 6 or self._schedulers_so_far() < 2 * number:
                self._wait(0.05)
            for name in ("web", "scheduler-a", "scheduler-b"):
                self._house.kill(name)
                self._house.start(name)
        self._over.set()

    def _schedulers_so_far(self) -> int:
        """Return how many schedulers came to their first tick; a killed one leaves its row."""
        kind = ProcessRow.kind == "scheduler"
        with only_reading(), self._sessions() as session:
            return session.scalar(select(func.count()).select_from(ProcessRow).where(kind)) or 0


def check_entries(session: Session, accepted: list[Report]) -> None:
    """Every accepted report is there once, as it was sent, and nothing else is."""
    kept = session.execute(
        select(
            DiaryEntryRow.idempotency_key,
            DiaryEntryRow.pain,
            DiaryEntryRow.revision,
            DiaryDayRow.day,
            DiaryDayRow.trial_id,
        ).join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
    ).all()
    recorded = session.scalar(
        select(func.count(AuditRow.number)).where(AuditRow.action == "record_entry")
    )
    sent = {r.key: (r.pain, r.day, r.phone.trial_id) for r in accepted}
    assert {row.idempotency_key: (row.pain, row.day, row.trial_id) for row in kept} == sent
    assert len(kept) == len(accepted) == recorded
    revisions: dict[tuple[int, date], list[int]] = {}
    for row in kept:
        revisions.setdefault((row.trial_id, row.day), []).append(row.revision)
    for numbers in revisions.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert first_broken(chain(session)) is None


def check_reminders(session: Session, folder: Path, silent: list[Phone]) -> None:
    """Nobody was reminded twice of one day, and nobody who was silent was forgotten."""
    messages = session.scalars(select(MessageRow)).all()
    mails = [message_from_bytes(p.read_bytes(), policy=default) for p in folder.glob("*.eml")]
    reminded = Counter(str(mail["To"]) for mail in mails)
    assert all(message.done_at is not None for message in messages)
    assert len(messages) == len({message.recipient for message in messages})
    assert set(reminded.values()) == {1}
    assert {phone.email for phone in silent} <= set(reminded)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_or_doubled_and_reminders_go_out_once(
    sessions: sessionmaker[Session], database_url: str, tmp_path: Path
):
    with sessions.begin() as session:
        phones, today = move_in(session, PATIENTS + SILENT, datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        settings = read_settings(
            data_dir=tmp_path / "var",
            database_url=database_url,
            port=port,
            master_key=bytes(32).hex(),
        )
        house = House(settings, listener)
        crash = Crash(house, f"http://127.0.0.1:{port}", sessions)
        crash.run(phones[:PATIENTS], today)

    run_due(sessions, settings, VAULT, datetime.now(UTC) + LEASE, fits=False)

    assert house.kills == {"web": KILLS, "scheduler": 2 * KILLS}
    assert len(crash.accepted) >= 2 * PATIENTS
    with sessions() as session:
        check_entries(session, crash.accepted)
        check_reminders(session, settings.data_dir / "mail", phones[PATIENTS:])
