"""The questions about mood are asked of everybody alike, and "yes" is never left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    evening,
    make_actor,
    make_ready,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.diary import Answers, Intake, Questionnaire, SideEffect, Source
from trials.domain.errors import NotAllowedError, ProtocolError
from trials.domain.protocol import Candidate
from trials.services.diary import record_entry
from trials.services.mood import Due, Occasion, answer_mood_questions, occasion_due, questions_due
from trials.services.red_flag_rules import asks_about_mood
from trials.store.alert import alerts_of_trial
from trials.store.mood import MoodScreenRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
LOW = replace(PROTOCOL, questionnaire=Questionnaire((SideEffect("low_mood", "Low mood"),)))
"""Amitriptyline calls for the questions; ibuprofen alone would not."""
HARMLESS = replace(
    LOW, candidates=(PROTOCOL.candidates[0], Candidate("naproxen", "Naproxen", "500 mg"))
)


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


def answer(session: Session, trial, now=NOON, *, low=0, thoughts="no", key=""):
    return answer_mood_questions(
        session,
        patient_actor(trial.patient),
        trial,
        low=low,
        thoughts=thoughts,
        key=key or uuid4().hex,
        now=now,
    )


def tell_low_mood(session: Session, trial, number: int, severity: int):
    day = trial_days(trial)[number]
    record_entry(
        session,
        trial,
        day,
        Answers(pain=4, bother=1, side_effects={"low_mood": severity}, intake=Intake.ALL),
        source=Source.PATIENT,
        author=patient_actor(trial.patient),
        key=uuid4().hex,
        now=evening(day),
    )
    return evening(day)


def test_a_trial_asks_when_any_arm_calls_for_it():
    assert asks_about_mood(PROTOCOL)
    assert not asks_about_mood(HARMLESS)


def test_before_the_start_the_questions_are_due_once(session: Session, clinician):
    trial = make_ready(session, clinician, NOON)

    assert occasion_due(session, trial, NOON) is Occasion.BASELINE
    assert answer(session, trial).occasion == "baseline"
    assert occasion_due(session, trial, NOON) is None


def test_afterwards_they_are_due_every_seven_days_in_every_period_alike(
    session: Session, clinician
):
    trial = make_running(session, clinician, NOON)
    answer(session, trial)
    due = []
    for number, day in enumerate(trial_days(trial)):
        if occasion_due(session, trial, evening(day)) is not None:
            due.append(number)
            answer(session, trial, evening(day))

    assert due == [7, 14, 21]


def test_a_trial_whose_arms_do_not_call_for_them_asks_only_after_low_mood(
    session: Session, clinician
):
    trial = make_running(session, clinician, NOON, HARMLESS)

    assert occasion_due(session, trial, NOON) is None
    at = tell_low_mood(session, trial, 0, 0)
    assert occasion_due(session, trial, at) is None
    at = tell_low_mood(session, trial, 1, 1)
    assert occasion_due(session, trial, at) is Occasion.LOW_MOOD
    answer(session, trial, at + timedelta(minutes=1))
    assert occasion_due(session, trial, at + timedelta(minutes=2)) is None


def test_low_mood_calls_for_the_questions_until_they_are_answered(session: Session, clinician):
    trial = make_running(session, clinician, NOON, HARMLESS)
    tell_low_mood(session, trial, 0, 2)
    for number in (1, 2):
        at = tell_low_mood(session, trial, number, 0)

    due = questions_due(session, trial, at)
    assert due == Due(Occasion.LOW_MOOD, trial_days(trial)[0])
    answer(session, trial, at + timedelta(minutes=1))
    assert questions_due(session, trial, at + timedelta(minutes=2)) is None


@pytest.mark.parametrize("thoughts", ["sometimes", "often", "not_said"])
def test_anything_but_no_is_an_alert_at_once(session: Session, clinician, thoughts: str):
    trial = make_running(session, clinician, NOON)

    answer(session, trial, thoughts=thoughts)

    (alert,) = alerts_of_trial(session, trial.id)
    assert (alert.rule, alert.urgency, alert.source) == ("RF-SUICIDE", "immediate", "screen")
    assert alert.signs == thoughts
    assert alert.escalates_at == NOON


def test_low_mood_without_such_thoughts_raises_nothing(session: Session, clinician):
    trial = make_running(session, clinician, NOON)

    answer(session, trial, low=3)

    assert alerts_of_trial(session, trial.id) == []


def test_a_form_sent_twice_is_kept_once(session: Session, clinician):
    trial = make_running(session, clinician, NOON)

    first = answer(session, trial, thoughts="often", key="k" * 20)
    second = answer(session, trial, thoughts="often", key="k" * 20)

    assert first.id == second.id
    assert session.scalar(select(func.count()).select_from(MoodScreenRow)) == 1
    assert len(alerts_of_trial(session, trial.id)) == 1


def test_a_form_gone_back_to_and_answered_otherwise_is_heard(session: Session, clinician):
    """The browser's way back shows the same form; its second answer must not be lost."""
    trial = make_ready(session, clinician, NOON, LOW)
    first = answer(session, trial, thoughts="no", key="form")
    for _again in range(2):
        second = answer(session, trial, thoughts="often", key="form")

    assert (first.thoughts, second.thoughts) == ("no", "often")
    assert session.scalar(select(func.count()).select_from(MoodScreenRow)) == 2
    assert len(alerts_of_trial(session, trial.id)) == 1


@pytest.mark.parametrize(("low", "thoughts"), [(4, "no"), (-1, "no"), (1, ""), (1, "maybe")])
def test_both_questions_need_an_answer(session: Session, clinician, low: int, thoughts: str):
    trial = make_running(session, clinician, NOON)

    with pytest.raises(ProtocolError):
        answer(session, trial, low=low, thoughts=thoughts)


def test_only_the_patient_answers(session: Session, clinician):
    trial = make_running(session, clinician, NOON)

    with pytest.raises(NotAllowedError):
        answer_mood_questions(
            session, clinician, trial, low=0, thoughts="no", key="k" * 20, now=NOON
        )


def test_an_answer_can_be_neither_changed_nor_removed(session: Session, clinician):
    answer(session, make_running(session, clinician, NOON))
    session.commit()

    for attack in ("UPDATE mood_screen SET thoughts = 'no'", "DELETE FROM mood_screen"):
        with pytest.raises(DatabaseError, match="only ever added"):
            session.execute(text(attack))
        session.rollback()
