"""Which guesses are still to be asked."""

from datetime import timedelta

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
from trials.services.guesses import (
    guesses_to_ask,
    record_guess,
)
from trials.services.running import stop_trial


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


def asked(session: Session, trial, at) -> list[int]:
    return [period.number for period in guesses_to_ask(session, trial, at)]


def test_a_period_is_asked_about_from_its_last_day_until_it_is_answered(
    session: Session, clinician, now
):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)

    assert asked(session, trial, evening(days[5])) == []
    assert asked(session, trial, evening(days[6])) == [1]
    record_guess(session, trial, period=1, treatment="", certainty=0, why="", now=evening(days[6]))
    assert asked(session, trial, evening(days[13])) == [2]


def test_nothing_is_asked_in_an_open_trial(session: Session, clinician, now):
    trial = make_running(session, clinician, now, open_protocol())

    assert asked(session, trial, evening(trial_days(trial)[-1])) == []


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

    assert asked(session, trial, evening(days[-1]) + timedelta(days=30)) == [1]
