"""Who can be reached how, and what happens to ways that fail."""

import os
import subprocess
import sys
from datetime import time, timedelta

import pytest
from sqlalchemy.orm import Session

from tests.builders import VAULT, make_actor, make_running, make_site, patient_actor
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError, NotFoundError, ProtocolError
from trials.domain.reminders import Wish
from trials.keys import Vault
from trials.services.messages import claim_messages, mark_failed, queue_message
from trials.services.patients import change_contact
from trials.services.reach import (
    calendar_secret,
    listen,
    new_calendar_address,
    patient_of_calendar,
    save_wishes,
    stop_listening,
    take_returned,
    ways_to,
)
from trials.services.transports import DeliveryError
from trials.store.outbox import MessageRow
from trials.store.reach import PushRow, ReachRow, reach_of

GONE = DeliveryError("410 Gone", for_good=True)


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician, now):
    return make_running(session, clinician, now)


def subscribe(session: Session, patient, now, endpoint: str = "https://push.example.org/a"):
    return listen(
        session, patient_actor(patient), patient,
        endpoint=endpoint, p256dh="key", auth="secret", now=now,
    )  # fmt: skip


def send(session: Session, trial, recipient: str, now, channel: str = "email") -> MessageRow:
    """Put a message into the outbox and return its row."""
    queue_message(
        session,
        occasion=f"test:{recipient}",
        trial=trial,
        recipient=recipient,
        subject="Hello",
        body="Text",
        due_at=now,
        channel=channel,
    )
    return session.query(MessageRow).filter_by(recipient=recipient).one()


def refuse(session: Session, error: DeliveryError, now) -> None:
    """Let the way out refuse whatever is due."""
    for message in claim_messages(session, "sender", now).messages:
        mark_failed(session, message, "sender", error, now)


def wishes(session: Session, patient, now, **given):
    values = {"wish": Wish(), "by_email": True, "phone": "", **given}
    return save_wishes(session, patient_actor(patient), patient, now=now, **values)


def ways(session: Session, patient):
    return ways_to(session, [patient])[patient.id]


def test_wishes_are_kept(session: Session, trial, now):
    row = wishes(
        session, trial.patient, now,
        wish=Wish(time(20), time(23), time(7)), by_email=False, phone="+49 (30) 123-45.67",
    )  # fmt: skip

    assert (row.remind_at, row.quiet_from, row.quiet_to) == (time(20), time(23), time(7))
    assert row.phone == "+49301234567"
    found = ways(session, trial.patient)
    assert (found.email, found.sms, found.browsers) == (False, True, 0)


@pytest.mark.parametrize(
    "phone", ["030 1234567", "+49 abc", "+0301234567", "+49", "+4930123456789012"]
)
def test_a_number_without_a_country_is_asked_for_again(session: Session, trial, now, phone):
    with pytest.raises(ProtocolError, match="country code"):
        wishes(session, trial.patient, now, phone=phone)

    assert reach_of(session, trial.patient_id).phone == ""


def test_only_patient_and_clinician_say_how_a_patient_is_reached(session: Session, trial, now):
    analyst = make_actor(session, trial.site, Role.ANALYST)
    with pytest.raises(NotAllowedError):
        save_wishes(session, analyst, trial.patient, wish=Wish(), by_email=True, phone="", now=now)


def test_an_address_that_does_not_exist_is_not_tried_again_until_it_changes(
    session: Session, clinician, trial, now
):
    send(session, trial, trial.patient.email, now)

    refuse(session, DeliveryError("550 no such user", for_good=True), now)

    assert ways(session, trial.patient).email_failed_at == now
    assert not ways(session, trial.patient).is_reachable
    change_contact(
        session, clinician, trial.patient, name="Pat", email="new@example.org", locale="en", now=now
    )
    assert ways(session, trial.patient).email


def test_a_server_that_is_down_for_now_makes_nobody_unreachable(session: Session, trial, now):
    send(session, trial, trial.patient.email, now)

    refuse(session, DeliveryError("421 busy"), now)

    assert ways(session, trial.patient).email


def test_a_refused_message_to_staff_does_not_touch_the_patient(session: Session, trial, now):
    send(session, trial, "clinician@example.org", now)

    refuse(session, DeliveryError("550 no such user", for_good=True), now)

    assert ways(session, trial.patient).email


def test_a_browser_that_is_gone_is_forgotten_without_a_failure(session: Session, trial, now):
    push = subscribe(session, trial.patient, now)
    message = send(session, trial, push.public_id, now, channel="push")

    refuse(session, GONE, now)

    assert ways(session, trial.patient).browsers == 0
    assert (message.failed_at, message.dropped) == (None, "nobody listens")
    assert message.done_at == now


def test_what_was_meant_for_a_browser_that_left_is_not_sent(session: Session, trial, now):
    push = subscribe(session, trial.patient, now)
    message = send(session, trial, push.public_id, now, channel="push")
    stop_listening(session, trial.patient, push.endpoint, now)

    claim = claim_messages(session, "sender", now)

    assert (claim.messages, claim.taken) == ((), 1)
    session.refresh(message)
    assert message.dropped == "not needed"


def test_the_same_browser_twice_is_one_and_a_shared_one_changes_hands(
    session: Session, clinician, trial, now
):
    other = make_running(session, clinician, now).patient

    first = subscribe(session, trial.patient, now)
    again = subscribe(session, trial.patient, now)
    subscribe(session, other, now)

    assert first.id == again.id
    assert ways(session, trial.patient).browsers == 0
    assert ways(session, other).browsers == 1


def test_nobody_turns_off_the_browser_of_somebody_else(session: Session, clinician, trial, now):
    push = subscribe(session, trial.patient, now)
    other = make_running(session, clinician, now).patient

    stop_listening(session, other, push.endpoint, now)

    assert session.get_one(PushRow, push.id).gone_at is None


def test_a_patient_has_a_bounded_number_of_browsers(session: Session, trial, now):
    for number in range(10):
        subscribe(session, trial.patient, now, f"https://push.example.org/{number}")

    with pytest.raises(ProtocolError, match="Too many"):
        subscribe(session, trial.patient, now, "https://push.example.org/more")


def test_a_calendars_address_cannot_be_guessed_and_can_be_changed(session: Session, trial, now):
    patient = trial.patient
    old = calendar_secret(VAULT, patient, reach_of(session, patient.id))
    assert patient_of_calendar(session, VAULT, old) is patient

    new_calendar_address(session, patient_actor(patient), patient)

    wrong = [old, f"{patient.public_id}-{'0' * 32}", patient.public_id, "", "x-y"]
    for secret in wrong:
        with pytest.raises(NotFoundError):
            patient_of_calendar(session, VAULT, secret)
    fresh = calendar_secret(VAULT, patient, reach_of(session, patient.id))
    assert patient_of_calendar(session, VAULT, fresh) is patient
    with pytest.raises(NotFoundError):
        patient_of_calendar(session, Vault(b"1" * 32), fresh)


# -- what comes back ---------------------------------------------------------------------------


def returned(public_id: str, action: str = "failed", diagnosis: str = "smtp; 550 5.1.1") -> bytes:
    """A report as mail servers write it (RFC 3464)."""
    status = f"""Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; pat@example.org
Action: {action}
Status: 5.1.1
Diagnostic-Code: {diagnosis}
"""
    return report("delivery-status", status, public_id)


def complaint(public_id: str) -> bytes:
    """A complaint as mail providers write it (RFC 5965)."""
    feedback = """Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Some/1.0
Version: 1
"""
    return report("feedback-report", feedback, public_id)


def report(kind: str, part: str, public_id: str) -> bytes:
    """A report about one of our messages."""
    return f"""From: MAILER-DAEMON@mx.example.org
To: clinic@example.org
Subject: About your message
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="part"

--part
Content-Type: text/plain

This is about your message.

--part
{part}
--part
Content-Type: message/rfc822

From: Clinic <clinic@example.org>
To: pat@example.org
Subject: Your diary is open
Message-ID: <{public_id}@clinic.example.org>

Text

--part--
""".encode()


def test_a_message_that_came_back_ends_mail_to_that_address(session: Session, trial, now):
    message = send(session, trial, trial.patient.email, now)
    later = now + timedelta(hours=1)

    assert take_returned(session, returned(message.public_id), later) == "failed"

    row = session.get_one(ReachRow, trial.patient_id)
    assert (row.email_failed_at, row.email_failure) == (later, "smtp; 550 5.1.1")


def test_a_complaint_ends_mail_too(session: Session, trial, now):
    message = send(session, trial, trial.patient.email, now)

    assert take_returned(session, complaint(message.public_id), now) == "complaint"

    assert not ways(session, trial.patient).email


def test_a_delay_changes_nothing(session: Session, trial, now):
    message = send(session, trial, trial.patient.email, now)

    assert take_returned(session, returned(message.public_id, "delayed"), now) == "delayed"

    assert ways(session, trial.patient).email


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe not a mail", b"Subject: hello\n\nSpam", returned("222222222222")]
)
def test_anything_else_changes_nothing(session: Session, trial, now, raw: bytes):
    send(session, trial, trial.patient.email, now)

    assert take_returned(session, raw, now) == "unknown"

    assert ways(session, trial.patient).email


def test_an_address_that_changed_meanwhile_keeps_its_chance(
    session: Session, clinician, trial, now
):
    message = send(session, trial, trial.patient.email, now)
    change_contact(
        session, clinician, trial.patient, name="Pat", email="new@example.org", locale="en", now=now
    )

    take_returned(session, returned(message.public_id), now)

    assert ways(session, trial.patient).email


def test_the_mail_server_hands_reports_to_the_command(
    session: Session, trial, now, database_url, tmp_path
):
    message = send(session, trial, trial.patient.email, now)
    session.commit()
    environment = {
        **os.environ,
        "LENITIVE_DATABASE_URL": database_url,
        "LENITIVE_DATA_DIR": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "-m", "trials.cli.main", "returned"],
        input=returned(message.public_id),
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert b"no more reminders" in done.stdout
    session.expire_all()
    assert not ways(session, trial.patient).email
