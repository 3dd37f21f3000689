"""Which guesses are still to be asked."""

import pytest
from sqlalchemy.orm import Session

from tests.builders import (
    evening,
    make_actor,
    make_running,
    make_site,
    open_protocol,
    patient_actor,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.errors import ProtocolError
from trials.services.guesses import may_guess, periods_to_ask, record_guess, record_impression
from trials.services.running import stop_trial
from trials.store.impression import impressions_of_trial


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


def asked(session: Session, trial, at) -> list[int]:
    return [period.number for period in periods_to_ask(session, trial, at)]


def test_a_period_is_asked_about_from_its_last_evening_until_it_is_answered(
    session: Session, clinician, now
):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    at = evening(days[6])

    assert asked(session, trial, evening(days[6], 16)) == []
    assert asked(session, trial, at) == [1]
    record_guess(session, trial, period=1, treatment="", certainty=0, why="", now=at)
    assert asked(session, trial, at) == [1], "how it was is still to be said"
    record_impression(session, trial, period=1, change=3, words=" Slept. ", preference=1, now=at)
    record_impression(session, trial, period=1, change=7, words="", preference=0, now=at)
    assert asked(session, trial, at) == []
    (kept,) = impressions_of_trial(session, trial.id)
    assert (kept.change, kept.words, kept.preference) == (3, "Slept.", 1)
    assert asked(session, trial, evening(days[13])) == [2]


def test_an_open_trial_asks_how_it_was_and_for_no_guess(session: Session, clinician, now):
    trial = make_running(session, clinician, now, open_protocol())

    assert asked(session, trial, evening(trial_days(trial)[-1])) == [4]
    assert not may_guess(session, trial, 4)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"change": 8}, "answers shown"),
        ({"preference": 2}, "answers shown"),
        ({"preference": -2}, "answers shown"),
    ],
)
def test_an_impression_is_one_of_the_answers(session: Session, clinician, now, given, sentence):
    trial = make_running(session, clinician, now)
    answers = {"change": None, "words": "", "preference": None} | given

    with pytest.raises(ProtocolError, match=sentence):
        record_impression(session, trial, period=1, **answers, now=evening(trial_days(trial)[6]))


def test_a_period_that_a_stop_cut_short_is_not_asked_about(session: Session, clinician, now):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    stop_trial(
        session,
        patient_actor(trial.patient),
        trial,
        revision=trial.revision,
        reason="Enough",
        now=evening(days[8]),
    )

    assert asked(session, trial, evening(days[8], 16)) == [1]
    assert asked(session, trial, evening(days[13])) == []
