"""The patient chooses when and how to be reminded; programs fetch calendar and metrics."""

import re
from datetime import UTC, datetime, time, timedelta
from html import unescape

import icalendar
import pytest
import time_machine
from sqlalchemy.orm import Session

from tests.builders import fill_day, make_account, make_actor, make_running, make_site, trial_days
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.services.running import pause_trial
from trials.store.audit import AuditRow
from trials.store.outbox import MessageRow
from trials.store.process import Tick, see_process
from trials.store.reach import PushRow, ReachRow, reach_of
from trials.store.trial import TrialRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
FIELDS = {"remind_at": "20:00", "quiet_from": "22:00", "quiet_to": "08:00", "by_email": "yes"}
ENDPOINT = "https://fcm.googleapis.com/fcm/send/abc"


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician) -> TrialRow:
    return make_running(session, clinician, NOON - timedelta(hours=4))


@pytest.fixture
def phone(visitor: Visitor, session: Session, trial: TrialRow) -> Visitor:
    visitor.hold_device(session, trial.patient)
    return visitor


def test_the_hour_is_kept_and_shown(phone: Visitor, session: Session, trial):
    assert phone.submit("/reminders", **FIELDS).status_code == 303

    row = reach_of(session, trial.patient_id)
    assert (row.remind_at, row.by_email) == (time(20), True)
    assert re.search(r'value="20:00" selected', phone.get("/reminders").text)


def test_no_e_mail_is_a_wish_too(phone: Visitor, session: Session, trial):
    fields = {name: value for name, value in FIELDS.items() if name != "by_email"}

    phone.submit("/reminders", **fields)

    assert not reach_of(session, trial.patient_id).by_email


@pytest.mark.parametrize(
    "wrong",
    [
        {"remind_at": "23:00"},  # in the quiet hours
        {"remind_at": "25:00"},
        {"quiet_from": ""},
        {"quiet_to": "noon"},
    ],
)
def test_hours_that_make_no_sense_are_asked_for_again(phone, session: Session, trial, wrong):
    response = phone.submit("/reminders", **{**FIELDS, **wrong})

    assert response.status_code == 422
    assert "nhsuk-error-summary" in response.text
    assert session.get(ReachRow, trial.patient_id) is None


def test_without_a_gateway_no_number_is_asked_for_or_kept(phone: Visitor, session, trial):
    assert "text messages" not in phone.get("/reminders").text

    phone.submit("/reminders", **FIELDS, phone="+49301234567")

    assert reach_of(session, trial.patient_id).phone == ""


def test_mail_that_comes_back_is_told(phone: Visitor, session: Session, trial):
    session.add(ReachRow(patient_id=trial.patient_id, email_failed_at=NOON))
    session.commit()

    assert "E-mail to you comes back" in phone.get("/reminders").text


def test_a_browser_turns_push_messages_on_and_off(phone: Visitor, session: Session, trial):
    keys = {"endpoint": ENDPOINT, "p256dh": "key", "auth": "secret"}
    token = {"csrf_token": phone.token("/reminders")}

    assert phone.post("/reminders/push", data={**token, **keys, "wanted": "yes"}).status_code == 204
    push = session.query(PushRow).one()
    assert (push.patient_id, push.endpoint) == (trial.patient_id, ENDPOINT)
    session.commit()
    assert phone.post("/reminders/push", data={**token, **keys, "wanted": "no"}).status_code == 204
    session.refresh(push)
    assert push.gone_at is not None


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5432/", "https://10.1.2.3/x", ""])
def test_no_browser_names_an_address_of_the_clinic(phone: Visitor, session, endpoint):
    token = {"csrf_token": phone.token("/reminders")}

    response = phone.post(
        "/reminders/push", data={**token, "endpoint": endpoint, "p256dh": "k", "auth": "s"}
    )

    assert response.status_code >= 400
    assert session.query(PushRow).count() == 0


# -- the calendar ------------------------------------------------------------------------------


def address_of(phone: Visitor) -> str:
    """Where the page says the calendar is, without host."""
    found = re.search(r'href="http://[^/"]+(/calendar/[^"]+\.ics)"', phone.get("/reminders").text)
    assert found
    return unescape(found[1])


def events(content: bytes) -> list[icalendar.Event]:
    return list(icalendar.Calendar.from_ical(content).walk("VEVENT"))


@time_machine.travel(NOON, tick=False)
def test_a_calendar_program_sees_the_days_and_nothing_else(phone: Visitor, app, session, trial):
    address = address_of(phone)

    response = app.test_client().get(address)  # no cookie: a program

    assert response.mimetype == "text/calendar"
    found = events(response.data)
    days = [event for event in found if "BOX" not in str(event["UID"]).upper()]
    assert len(days) == len(trial_days(trial))
    assert days[0].decoded("dtstart") == datetime(2026, 3, 1, 16, tzinfo=UTC)
    assert {str(event["SUMMARY"]) for event in days} == {"Diary"}
    text = response.text.lower()
    for word in ("pain", "ibuprofen", "amitriptyline", trial.patient.name.lower(), "clinic"):
        assert word not in text


@time_machine.travel(NOON, tick=False)
def test_the_calendar_knows_when_clocks_change(phone: Visitor, app, session, trial):
    found = events(app.test_client().get(address_of(phone)).data)
    walls = {e.decoded("dtstart").strftime("%H:%M") for e in found if "box" not in str(e["UID"])}

    assert walls == {"17:00"}  # in Berlin's time, on both sides of March 29


@time_machine.travel(NOON + timedelta(hours=9), tick=False)
def test_a_day_that_is_answered_rings_no_bell(phone: Visitor, app, session, trial):
    fill_day(session, trial, trial_days(trial)[0])
    session.commit()

    first = events(app.test_client().get(address_of(phone)).data)[0]

    assert not first.walk("VALARM")


@time_machine.travel(NOON + timedelta(days=1), tick=False)
def test_a_paused_trial_has_an_empty_calendar(phone: Visitor, app, session, clinician, trial):
    address = address_of(phone)
    assert events(app.test_client().get(address).data)
    pause_trial(
        session, clinician, trial, revision=trial.revision, reason="ill", now=datetime.now(UTC)
    )
    session.commit()

    days = [e for e in events(app.test_client().get(address).data) if "box" not in str(e["UID"])]

    assert days == []


def test_a_new_address_makes_the_old_one_useless(phone: Visitor, app):
    old = address_of(phone)

    phone.submit("/reminders/calendar", "/reminders")

    new = address_of(phone)
    assert new != old
    assert app.test_client().get(old).status_code == 404
    assert app.test_client().get(new).status_code == 200
    assert app.test_client().get("/calendar/nobody-123.ics").status_code == 404


# -- the administrator -------------------------------------------------------------------------


def failed_message(session: Session) -> MessageRow:
    message = MessageRow(
        occasion="test",
        trial_id=None,
        recipient="pat@example.org",
        subject="Hello",
        body="Text",
        due_at=NOON,
        failed_at=NOON,
        attempts=10,
        last_error="the recipient: 550 <pat@example.org> is unknown",
    )
    session.add(message)
    session.commit()
    return message


def test_a_message_given_up_is_shown_without_its_reader_and_sent_again(
    visitor: Visitor, session: Session
):
    administrator = make_account(session, make_site(session), Role.ADMINISTRATOR)
    message = failed_message(session)
    visitor.sign_in(administrator)
    session.commit()

    page = visitor.get("/admin/condition").text
    assert "550 &lt;…&gt; is unknown" in page
    assert "pat@example.org" not in page
    path = f"/admin/condition/messages/{message.id}"
    session.commit()
    for _click in range(2):
        assert visitor.submit(path, "/admin/people/new").status_code == 303

    session.refresh(message)
    assert (message.failed_at, message.attempts) == (None, 0)
    assert session.query(AuditRow).filter_by(action="do_again").count() == 1
    session.commit()
    assert visitor.submit("/admin/condition/messages/999", "/admin/people/new").status_code == 404


def test_metrics_are_for_the_monitor_alone(new_app, session: Session, monkeypatch):
    monkeypatch.setenv("LENITIVE_METRICS_TOKEN", "s3cret")
    client = new_app().test_client()
    failed_message(session)
    ticks = {"post": Tick(NOON, 0.25), "time": Tick(NOON, 1.5, "OperationalError")}
    see_process(session, "scheduler-1", "scheduler", NOON, ticks)
    session.commit()

    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    response = client.get("/metrics", headers={"Authorization": "Bearer s3cret"})

    assert response.status_code == 200
    assert 'lenitive_queue_failed{queue="messages"} 1.0' in response.text
    assert (
        'lenitive_process_last_seen_seconds{kind="scheduler",name="scheduler-1"}' in response.text
    )
    assert 'lenitive_queue_waiting{queue="clock_open"} 0.0' in response.text
    told = 'process="scheduler-1",work='
    assert f'lenitive_tick_duration_seconds{{{told}"post"}} 0.25' in response.text
    assert f'lenitive_tick_failed{{{told}"time"}} 1.0' in response.text
    assert "pat@example.org" not in response.text


def test_without_a_token_there_are_no_metrics(app):
    assert app.test_client().get("/metrics").status_code == 404
