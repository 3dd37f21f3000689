"""One evening's reminders by every way at once: real mail server, push service and gateway."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread

import pytest
from aiosmtpd.controller import Controller
from http_ece import ECEException
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scheduler.jobs import Desk, keep_time, send_messages
from tests.builders import VAULT, evening, fill_day, make_actor, make_running, make_site
from tests.services.test_messages import FreePort, Recorder
from tests.services.test_telephone import Browser, Receiver
from trials.domain.blinding import Role
from trials.services.telephone import transport_of
from trials.settings import Settings, read_settings
from trials.store.reach import PushRow, ReachRow
from trials.store.trial import TrialRow

MORNING = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
SCHEDULERS = ("a", "b", "c")


def serving(receiver: Receiver) -> Iterator[Receiver]:
    """Let a receiver answer until the test is over."""
    thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield receiver
    receiver.shutdown()
    thread.join()
    receiver.server_close()


@pytest.fixture
def gateway() -> Iterator[Receiver]:
    yield from serving(Receiver())


@pytest.fixture
def push_service() -> Iterator[Receiver]:
    yield from serving(Receiver())


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def mail_server(recorder: Recorder) -> Iterator[Controller]:
    controller = FreePort(recorder, hostname="127.0.0.1", port=0, server_hostname="test")
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def settings(tmp_path: Path, mail_server: Controller, gateway: Receiver) -> Settings:
    return read_settings(
        data_dir=tmp_path,
        mail_from="Clinic <clinic@example.org>",
        mail_transport="smtp",
        smtp_host="127.0.0.1",
        smtp_port=mail_server.port,
        sms_url=f"{gateway.address}/sms",
        sms_token="t0k3n",
        push_hosts="127.0.0.1",
    )


def make_trial(session: Session, push_service: Receiver, browsers: list[Browser]) -> int:
    """Start the trial of a patient who takes reminders by mail, text and on two browsers."""
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_running(session, clinician, MORNING)
    session.add(ReachRow(patient_id=trial.patient_id, phone="+49301234567"))
    for number, browser in enumerate(browsers):
        target = browser.target(f"{push_service.address}/{number}")
        session.add(
            PushRow(
                patient_id=trial.patient_id,
                endpoint=target.endpoint,
                p256dh=target.p256dh,
                auth=target.auth,
                created_at=MORNING,
            )
        )
    return trial.id


def test_each_way_gets_each_reminder_once_until_the_diary_is_answered(
    sessions: sessionmaker[Session],
    settings: Settings,
    recorder: Recorder,
    gateway: Receiver,
    push_service: Receiver,
):
    browsers = [Browser(), Browser()]
    with sessions.begin() as session:
        trial_id = make_trial(session, push_service, browsers)

    def got() -> tuple[int, int, int]:
        return len(recorder.received), len(gateway.got), len(push_service.got)

    def all_at_once(now: datetime) -> None:
        def work(name: str) -> None:
            desk = Desk(name, sessions, settings, VAULT, clock=lambda: now)
            keep_time(desk)
            send_messages(desk, transport_of(settings, VAULT))

        with ThreadPoolExecutor(len(SCHEDULERS)) as pool:
            for done in [pool.submit(work, name) for name in SCHEDULERS]:
                done.result()

    counts = []
    for day, hour, answers in ((FIRST, 17, False), (FIRST, 21, True), (SECOND, 17, True)):
        all_at_once(evening(day, hour))
        counts.append(got())
        if answers:
            with sessions.begin() as session:
                fill_day(session, session.get_one(TrialRow, trial_id), day)
    all_at_once(evening(SECOND, 21))

    assert counts == [(1, 1, 2), (2, 2, 4), (3, 3, 6)]
    assert got() == counts[-1], "nobody who has answered is reminded again"
    assert set(recorder.ids.values()) == {1}
    check_words(recorder, gateway, push_service, browsers)
    with sessions() as session:
        assert session.scalars(select(PushRow.gone_at)).all() == [None, None]


def check_words(
    recorder: Recorder, gateway: Receiver, push_service: Receiver, browsers: list[Browser]
) -> None:
    """Texts and pushes say that there is a diary, and no word of what is taken."""
    texts = [json.loads(body)["text"] for _head, body in gateway.got]
    read: list[Callable[[bytes], dict[str, str]]] = [browser.read for browser in browsers]
    pushed = []
    for _head, body in push_service.got:
        for open_it in read:
            try:
                pushed.append(open_it(body)["body"])
            except ECEException:  # meant for the other browser
                continue
    assert len(pushed) == len(push_service.got)
    for text in (*texts, *pushed, *(raw.decode() for raw in recorder.received)):
        assert "diary" in text.lower()
        assert not any(word in text.lower() for word in ("ibuprofen", "amitriptyline", "box"))
