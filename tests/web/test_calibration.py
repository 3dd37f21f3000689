"""What a design can tell, on the page of its trial; looks and known noise in the set-up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask_babel import Babel
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.operating import default_scenarios
from models.specification import Arm, Specification
from tests.builders import (
    PROTOCOL,
    actor_for,
    make_account,
    make_draft,
    make_patient,
    make_ready,
    make_running,
    make_site,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.design import LookSchedule
from trials.domain.protocol import KnownNoise
from trials.services.actor import Actor
from trials.services.looks import CLEAR
from trials.services.trials import create_trial
from trials.store.account import AccountRow
from trials.store.calibration import CalibrationRow
from trials.store.look import looks_of_trial
from trials.store.trial import TrialRow
from trials.web.calibration import SCENARIOS
from trials.web.setup_form import read_form
from trials.web.setup_typed import typed_of

NOW = datetime.now(UTC)


@pytest.fixture
def account(session: Session) -> AccountRow:
    return make_account(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def clinician(account: AccountRow) -> Actor:
    return actor_for(account, Role.CLINICIAN)


@pytest.fixture
def doctor(session: Session, visitor: Visitor, account: AccountRow) -> Visitor:
    session.commit()
    visitor.sign_in(account)
    return visitor


@pytest.fixture
def unstudied(session: Session, clinician: Actor) -> TrialRow:
    patient = make_patient(session, clinician, NOW)
    trial = create_trial(session, clinician, patient, title="Pain", protocol=PROTOCOL, now=NOW)
    session.commit()
    return trial


def page_of(doctor: Visitor, trial: TrialRow) -> str:
    answer = doctor.get(f"/clinician/trials/{trial.public_id}")
    assert answer.status_code == 200
    return answer.text


def test_a_draft_says_what_its_design_can_tell(session: Session, clinician: Actor, doctor: Visitor):
    trial = make_draft(session, clinician, NOW)
    session.commit()

    page = page_of(doctor, trial)

    assert "this design names it in 60 of 100 trials" in page
    assert "names one wrongly in 4 of 100" in page
    assert "there is no difference" in page
    assert "60 ± 5" in page
    assert "data-refresh" not in page


def test_a_design_that_is_being_studied_says_how_long(doctor: Visitor, unstudied: TrialRow):
    page = page_of(doctor, unstudied)

    assert "It takes about 60 seconds." in page
    assert 'data-refresh="60"' in page
    assert "In numbers" not in page


def test_freezing_too_early_is_refused_with_the_time_it_takes(
    session: Session, doctor: Visitor, unstudied: TrialRow
):
    answer = doctor.submit(
        f"/clinician/trials/{unstudied.public_id}/freeze", revision=unstudied.revision
    )

    assert answer.status_code == 409
    assert "about 60 more seconds" in answer.text


def test_who_freezes_or_agrees_reads_what_the_design_can_tell(
    session: Session, clinician: Actor, doctor: Visitor
):
    trial = make_draft(session, clinician, NOW)
    session.commit()

    page = doctor.get(f"/clinician/trials/{trial.public_id}/freeze").text

    assert "this design names it in 60 of 100 trials" in page


def test_a_failed_study_can_be_asked_for_again(
    session: Session, doctor: Visitor, unstudied: TrialRow
):
    row = session.scalars(select(CalibrationRow)).one()
    row.failed_at = NOW
    session.commit()
    assert "failed three times" in page_of(doctor, unstudied)

    page = f"/clinician/trials/{unstudied.public_id}"
    answer = doctor.submit(f"{page}/calibration/again", page)

    assert answer.status_code == 303
    assert "It takes about 60 seconds." in page_of(doctor, unstudied)


def test_after_the_freeze_it_is_folded_below_the_protocol(
    session: Session, clinician: Actor, doctor: Visitor
):
    trial = make_ready(session, clinician, NOW)
    session.commit()

    page = page_of(doctor, trial)

    assert page.index("Protocol, version 1") < page.index("What this design can tell")
    assert "names it in 60 of 100 trials" in page


def test_a_clear_look_is_told_without_the_arm(session: Session, clinician: Actor, doctor: Visitor):
    protocol = replace(
        PROTOCOL, design=replace(PROTOCOL.design, blocks=4), looks=LookSchedule.EACH_BLOCK
    )
    trial = make_running(session, clinician, NOW - timedelta(days=30), protocol)
    look = looks_of_trial(session, trial.id)[0]
    look.outcome, look.harm, look.done_at = CLEAR, True, NOW
    session.commit()

    page = page_of(doctor, trial)

    assert "The answer is clear after block 2" in page
    assert "A treatment does harm, says the look after block 2" in page


def test_every_default_scenario_has_words():
    specification = Specification(
        arms=(Arm(label="A", half_life_days=1.0), Arm(label="B", half_life_days=1.0)),
        carryover=True,
        weights={"bother": 0.5},
    )

    assert {s.name for s in default_scenarios(specification)} == set(SCENARIOS)


@pytest.fixture
def words():
    app = Flask(__name__)
    Babel(app)
    with app.test_request_context():
        yield


def filled(**changes: str):
    typed = typed_of("Pain", PROTOCOL)
    return replace(typed, values={**typed.values, **changes})


@pytest.mark.usefixtures("words")
def test_looks_and_known_noise_go_into_the_protocol_and_back():
    reading = read_form(
        filled(looks="each_block", known_sd="1,4", known_autocorrelation="0.35", blocks="3")
    )

    assert reading.errors == {}
    assert reading.protocol is not None
    assert reading.protocol.looks is LookSchedule.EACH_BLOCK
    assert reading.protocol.known_noise == KnownNoise(1.4, 0.35)
    again = typed_of("Pain", reading.protocol)
    assert (again.get("looks"), again.get("known_sd"), again.get("known_autocorrelation")) == (
        "each_block",
        "1.4",
        "0.35",
    )


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"known_sd": "0"}, "known_sd"),
        ({"known_sd": "much"}, "known_sd"),
        ({"known_sd": "1", "known_autocorrelation": "1"}, "known_autocorrelation"),
        ({"known_autocorrelation": "0.3"}, "known_sd"),
    ],
)
def test_impossible_noise_is_a_sentence_at_its_field(changes: dict[str, str], field: str):
    reading = read_form(filled(**changes))

    assert reading.protocol is None
    assert list(reading.errors) == [field]
