"""What a patient does reaches the clinician once, by code only."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import make_actor, make_running, make_site, patient_actor
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError
from trials.services.notices import ask_for_call, asked_for_call, tell_of_pause, tell_of_stop
from trials.services.problems import (
    ProblemKind,
    open_problems,
    remind_of_problems,
    report_problem,
    settle_problem,
    trials_that_wait,
)
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


def test_a_call_is_listed_until_it_was_made_and_can_then_be_asked_for_again(
    session: Session, trial, clinician, now
):
    patient = patient_actor(trial.patient)
    ask_for_call(session, patient, trial, address=ADDRESS, now=now)
    later = now + timedelta(days=5)
    ask_for_call(session, patient, trial, address=ADDRESS, now=later)

    (call,) = open_problems(session, trial)
    assert trials_that_wait(session, clinician) == {trial.public_id}
    settle_problem(session, clinician, trial, call.public_id, later)

    assert open_problems(session, trial) == []
    assert trials_that_wait(session, clinician) == set()
    assert not asked_for_call(session, trial, later)
    assert ask_for_call(session, patient, trial, address=ADDRESS, now=later)


def reminders(session: Session) -> list[str]:
    query = select(MessageRow.recipient).where(MessageRow.occasion.startswith("still-waits:"))
    return list(session.scalars(query))


def test_what_nobody_dealt_with_in_two_working_days_is_reminded_of_once(
    session: Session, trial, clinician
):
    friday = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)
    tuesday_evening = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)  # 16:00 in Berlin
    patient = patient_actor(trial.patient)
    ask_for_call(session, patient, trial, address=ADDRESS, now=friday)
    told = {"kind": ProblemKind.BOX, "words": "Torn", "address": ADDRESS, "now": friday}
    report_problem(session, patient, trial, **told)
    other = report_problem(session, patient, trial, **told | {"words": "Wet"})
    settle_problem(session, clinician, trial, other.public_id, friday)

    early = tuesday_evening - timedelta(seconds=1)
    assert remind_of_problems(session, early, address=ADDRESS) == 0
    assert remind_of_problems(session, tuesday_evening, address=ADDRESS) == 2
    assert remind_of_problems(session, tuesday_evening, address=ADDRESS) == 0

    assert reminders(session) == [session.get_one(AccountRow, trial.clinician_id).email] * 2
    assert len(open_problems(session, trial)) == 2


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
