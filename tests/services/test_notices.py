"""What a patient does reaches the clinician once, by code only."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import make_actor, make_running, make_site, patient_actor
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError
from trials.services.notices import ask_for_call, asked_for_call, tell_of_pause, tell_of_stop
from trials.store.account import AccountRow
from trials.store.outbox import MessageRow

ADDRESS = "https://trials.example.org/"


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician, now):
    return make_running(session, clinician, now)


def test_a_call_is_asked_for_once_a_day(session: Session, trial, now):
    patient = patient_actor(trial.patient)

    first = ask_for_call(session, patient, trial, address=ADDRESS, now=now)
    second = ask_for_call(session, patient, trial, address=ADDRESS, now=now)

    assert (first, second) == (True, False)
    assert asked_for_call(session, trial, now)
    tomorrow = now + timedelta(days=1)
    assert not asked_for_call(session, trial, tomorrow)
    assert ask_for_call(session, patient, trial, address=ADDRESS, now=tomorrow)


def test_only_a_patient_asks_for_a_call(session: Session, trial, clinician, now):
    with pytest.raises(NotAllowedError):
        ask_for_call(session, clinician, trial, address=ADDRESS, now=now)


def test_messages_go_to_the_clinician_and_name_the_code_only(session: Session, trial, now):
    tell_of_pause(session, trial, address=ADDRESS, now=now)
    tell_of_stop(session, trial, address=ADDRESS, now=now)

    clinician = session.get_one(AccountRow, trial.clinician_id)
    messages = list(session.scalars(select(MessageRow)))
    assert {m.recipient for m in messages} == {clinician.email}
    assert len(messages) == 2
    for message in messages:
        assert trial.patient.code in message.subject
        assert trial.patient.name not in message.subject + message.body
        assert trial.title not in message.subject + message.body
