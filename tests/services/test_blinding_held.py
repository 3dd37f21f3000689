"""The guesses against the allocation: never before the release, and modest after it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from models.words import render
from tests.builders import (
    PROTOCOL,
    VAULT,
    last_evening,
    make_actor,
    make_completed,
    make_fit,
    make_site,
    open_protocol,
)
from trials.domain.blinding import Role
from trials.services.actor import Actor
from trials.services.allocation import masked_sequence, sealed_arm_key
from trials.services.analysis import release_result
from trials.services.blinding_held import blinding_held
from trials.services.guesses import record_guess
from trials.store.trial import TrialRow

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def people(session: Session) -> dict[Role, Actor]:
    site = make_site(session)
    return {role: make_actor(session, site, role) for role in (Role.CLINICIAN, Role.ANALYST)}


def given_in(session: Session, trial: TrialRow) -> list[str]:
    key = sealed_arm_key(session, VAULT, trial)
    return [key[label] for label in masked_sequence(session, VAULT, trial)]


def guess(session: Session, trial: TrialRow, period: int, treatment: str) -> None:
    at = last_evening(session, trial, period)
    record_guess(session, trial, period=period, treatment=treatment, certainty=3, why="", now=at)


def release(session: Session, people: dict[Role, Actor], trial: TrialRow) -> None:
    fit = make_fit(session, people[Role.ANALYST], trial, NOW)
    release_result(
        session,
        VAULT,
        people[Role.ANALYST],
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="",
        now=LATER,
    )


def test_nothing_is_said_before_the_release(session, people):
    trial = make_completed(session, people[Role.CLINICIAN], START)
    guess(session, trial, 1, "ibuprofen")

    assert blinding_held(session, VAULT, people[Role.ANALYST], trial) is None


def test_guesses_stand_beside_what_was_given(session, people):
    trial = make_completed(session, people[Role.CLINICIAN], START)
    given = given_in(session, trial)
    other = {"ibuprofen": "amitriptyline", "amitriptyline": "ibuprofen"}
    guess(session, trial, 1, given[0])
    guess(session, trial, 2, other[given[1]])
    guess(session, trial, 3, "")
    release(session, people, trial)
    found = blinding_held(session, VAULT, people[Role.CLINICIAN], trial)

    assert [p.right for p in found.periods] == [True, False, None]
    names = {c.treatment: c.name for c in PROTOCOL.candidates}
    assert [p.given for p in found.periods] == [names[t] for t in given[:3]]
    assert found.periods[2].guessed == ""
    assert found.report.overall.guesses == 3
    assert found.report.survives is None
    assert "too few periods" in render(found.report.survival)


def test_always_wrong_leaves_all_periods_and_the_verdict(session, people):
    trial = make_completed(session, people[Role.CLINICIAN], START)
    other = {"ibuprofen": "amitriptyline", "amitriptyline": "ibuprofen"}
    for number, treatment in enumerate(given_in(session, trial), start=1):
        guess(session, trial, number, other[treatment])
    release(session, people, trial)
    found = blinding_held(session, VAULT, people[Role.ANALYST], trial)

    assert found.report.survives is True
    assert found.report.overall.index == -1.0


def test_who_never_guessed_or_knew_anyway_gets_nothing(session, people):
    silent = make_completed(session, people[Role.CLINICIAN], START)
    known = make_completed(session, people[Role.CLINICIAN], START, open_protocol())
    for trial in (silent, known):
        release(session, people, trial)

        assert blinding_held(session, VAULT, people[Role.CLINICIAN], trial) is None
