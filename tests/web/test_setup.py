"""The set-up form: what it proposes, what it refuses, and that nothing typed is ever lost."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask_babel import Babel
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    make_account,
    make_draft,
    make_patient,
    make_site,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.protocol import Protocol
from trials.services.trials import (
    edit_draft,
    freeze_protocol,
)
from trials.store.account import AccountRow, PatientRow, SiteRow
from trials.store.trial import TrialRow, latest_protocol
from trials.web.setup_form import read_form
from trials.web.setup_typed import typed_from, typed_of

NOW = datetime.now(UTC)
NEW = "/clinician/trials/new"

FILLED = {
    "title": "Nerve pain",
    "question": "Which of the two helps my feet?",
    "blinding": "blinded",
    "slot-1-treatment": "pregabalin",
    "slot-1-dose": "150 mg twice a day",
    "slot-2-treatment": "duloxetine",
    "slot-2-dose": "60 mg in the morning",
    "reference": "2",
    "blocks": "2",
    "period_days": "",
    "washout_days": "",
    "run_in_days": "0",
    "scheme": "balanced",
    "outcome": "net_burden",
    "weighing": "2",
    "list": "union",
    "asks": "sleep",
    "opens": "18:00",
    "closes": "02:00",
    "best": "0.96",
    "analysis_set": "as_assigned",
}


@pytest.fixture
def site(session: Session) -> SiteRow:
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site: SiteRow) -> AccountRow:
    return make_account(session, site, Role.CLINICIAN)


@pytest.fixture
def patient(session: Session, clinician: AccountRow) -> PatientRow:
    return make_patient(session, actor_for(clinician, Role.CLINICIAN), NOW)


@pytest.fixture
def doctor(
    session: Session, visitor: Visitor, clinician: AccountRow, patient: PatientRow
) -> Visitor:
    """A browser signed in as the clinician."""
    session.commit()
    visitor.sign_in(clinician)
    return visitor


@pytest.fixture
def words() -> Iterator[None]:
    """A page of an application that can translate, and nothing else."""
    app = Flask(__name__)
    Babel(app)
    with app.test_request_context():
        yield


def only_trial(session: Session) -> TrialRow:
    """Return the trial as it is now; the lock of reading it is given back."""
    session.rollback()
    trial = session.scalars(select(TrialRow)).one()
    session.commit()
    return trial


def protocol_of(session: Session, trial: TrialRow) -> Protocol:
    session.rollback()
    protocol = latest_protocol(session, trial.id).value
    session.refresh(trial)
    session.commit()
    return protocol


def test_a_filled_form_becomes_a_draft(doctor, session, patient):
    response = doctor.submit(NEW, patient=patient.public_id, **FILLED)

    assert response.status_code == 303
    trial = only_trial(session)
    protocol = protocol_of(session, trial)
    assert (trial.title, trial.state, trial.patient_id) == ("Nerve pain", "draft", patient.id)
    assert protocol.treatments == ("pregabalin", "duloxetine")
    assert protocol.comparator == "duloxetine"
    assert protocol.bother_weight == 0.5  # two points of pain for a bother of four
    assert protocol.questionnaire.sleep
    assert not protocol.questionnaire.interference
    assert protocol.window.opens.isoformat("minutes") == "18:00"


def test_lengths_and_side_effects_come_from_the_catalogue_when_left_empty(doctor, session, patient):
    doctor.submit(NEW, patient=patient.public_id, **FILLED)

    protocol = protocol_of(session, only_trial(session))
    assert (protocol.design.period_days, protocol.design.washout_days) == (28, 3)
    asked = {item.key for item in protocol.questionnaire.side_effects}
    assert {"dizziness", "nausea"} <= asked  # one of pregabalin's, one of duloxetine's


def test_checking_keeps_nothing_and_shows_length_and_proposal(doctor, session, patient):
    response = doctor.submit(NEW, patient=patient.public_id, check="yes", **FILLED)

    assert response.status_code == 200
    assert "112 days" in response.text  # two blocks of two periods of 28 days
    assert "A period of 28 days, the first 3 left out." in response.text
    assert session.scalars(select(TrialRow)).all() == []


def test_a_mistake_loses_nothing_that_was_typed(doctor, session, patient):
    response = doctor.submit(
        NEW, patient=patient.public_id, **{**FILLED, "blocks": "1", "rescue": "ibuprofen 400"}
    )

    assert response.status_code == 422
    assert 'href="#blocks"' in response.text
    assert "With one block, a drug cannot be told from its week." in response.text
    for typed in ("Nerve pain", "150 mg twice a day", "ibuprofen 400", "Which of the two helps"):
        assert typed in response.text
    assert session.scalars(select(TrialRow)).all() == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"title": ""}, "title"),
        ({"question": " "}, "question"),
        ({"slot-2-treatment": "", "slot-2-dose": "", "reference": ""}, "slot-2-treatment"),
        ({"slot-2-treatment": "pregabalin", "reference": ""}, "slot-2-treatment"),
        ({"slot-1-dose": ""}, "slot-1-dose"),
        ({"slot-1-treatment": "own"}, "slot-1-name"),
        ({"slot-1-half_life": "90"}, "slot-1-half_life"),
        ({"slot-1-burden": "x"}, "slot-1-burden"),
        ({"reference": "5"}, "reference"),
        ({"blocks": "two"}, "blocks"),
        ({"blocks": "99"}, "blocks"),
        ({"period_days": "5", "washout_days": "4"}, "washout_days"),
        ({"period_days": "0"}, "period_days"),
        ({"period_days": "200"}, "period_days"),
        ({"run_in_days": "60"}, "run_in_days"),
        ({"scheme": "fixed", "fixed_sequence": "ABBA"}, "scheme"),
        ({"scheme": "fixed", "fixed_sequence": "AABB", "blinding": "open"}, "fixed_sequence"),
        ({"weighing": ""}, "weighing"),
        ({"weighing": "nan"}, "weighing"),
        ({"best": "0.2"}, "best"),
        ({"equal_margin": "-1"}, "equal_margin"),
        ({"superiority_probability": "1.5"}, "superiority_probability"),
        ({"severe_limit": "100"}, "severe_limit"),
        ({"severe_limit": "often"}, "severe_limit"),
        ({"closes": "20:00"}, "closes"),
        ({"opens": "noon"}, "opens"),
        ({"late_hours": "99"}, "late_hours"),
    ],
)
def test_every_mistake_is_told_at_its_field(words, changed, field):
    reading = read_form(typed_from(MultiDict({**FILLED, **changed})))

    assert list(reading.errors) == [field]
    assert reading.protocol is None


def test_an_unsuitable_and_an_unblindable_treatment_are_explained(doctor, patient):
    response = doctor.submit(
        NEW,
        patient=patient.public_id,
        **{**FILLED, "slot-1-treatment": "capsaicin_8", "slot-2-treatment": "heat"},
    )

    assert response.status_code == 422
    assert "cannot be a repeated arm of a crossover: 3-month carry-over" in response.text
    assert "Local heat cannot be hidden from the patient. Make the trial open." in response.text


def test_a_poor_choice_is_said_but_allowed(doctor, session, patient):
    fields = {**FILLED, "slot-1-treatment": "carbamazepine"}
    checked = doctor.submit(NEW, patient=patient.public_id, check="yes", **fields)
    kept = doctor.submit(NEW, patient=patient.public_id, **fields)

    assert "Think twice: auto-induction" in checked.text
    assert kept.status_code == 303


@pytest.mark.parametrize(("days", "warned"), [("7", True), ("28", False)])
def test_periods_too_short_to_judge_a_slow_effect_are_warned_of(doctor, patient, days, warned):
    fields = {**FILLED, "slot-1-treatment": "gabapentin", "period_days": days}
    checked = doctor.submit(NEW, patient=patient.public_id, check="yes", **fields)

    assert ("can be judged after about 14 days" in checked.text) is warned


def test_an_own_treatment_can_be_typed_in(doctor, session, patient):
    doctor.submit(
        NEW,
        patient=patient.public_id,
        **{
            **FILLED,
            "slot-3-treatment": "own",
            "slot-3-name": "Our hospital's  ointment",
            "slot-3-half_life": "1,5",
            "period_days": "14",
        },
    )

    candidate = protocol_of(session, only_trial(session)).candidates[2]
    assert candidate.name == "Our hospital's ointment"
    assert candidate.treatment == "own:our hospital's ointment"
    assert candidate.effect_half_life_days == 1.5


def test_a_draft_comes_back_as_it_was_kept(doctor, session, patient):
    doctor.submit(NEW, patient=patient.public_id, **FILLED)
    trial = only_trial(session)
    before = protocol_of(session, trial)
    page = f"/clinician/trials/{trial.public_id}/edit"
    text = doctor.get(page).text
    for shown in ("150 mg twice a day", "60 mg in the morning", 'value="18:00"', 'value="28"'):
        assert shown in text

    response = doctor.submit(
        page,
        revision=trial.revision,
        **{**FILLED, "period_days": "28", "washout_days": "3", "best": "0.97"},
    )

    assert response.status_code == 303
    after = protocol_of(session, trial)
    assert after.decision.best == 0.97
    assert after.candidates == before.candidates
    assert after.design == before.design


def test_the_second_of_two_editors_sees_both_forms_and_loses_nothing(
    doctor, session, clinician, patient
):
    trial = make_draft(session, actor_for(clinician, Role.CLINICIAN), NOW)
    session.commit()
    page, seen = f"/clinician/trials/{trial.public_id}/edit", trial.revision
    edit_draft(
        session,
        actor_for(clinician, Role.CLINICIAN),
        trial,
        revision=seen,
        title="Changed by the other",
        protocol=PROTOCOL,
        now=NOW,
    )
    session.commit()

    response = doctor.submit(page, page, revision=seen, **{**FILLED, "title": "Changed by me"})

    assert response.status_code == 409
    assert "Somebody else changed this trial while you were looking at it." in response.text
    assert "Changed by me" in response.text
    assert "Changed by the other" in response.text
    assert f'name="revision" value="{trial.revision}"' in response.text
    assert only_trial(session).title == "Changed by the other"


def test_what_was_typed_is_still_there_when_the_draft_was_frozen_meanwhile(
    doctor, session, clinician, patient
):
    actor = actor_for(clinician, Role.CLINICIAN)
    trial = make_draft(session, actor, NOW)
    session.commit()
    seen = trial.revision
    page = f"/clinician/trials/{trial.public_id}/edit"
    token = doctor.token(page)
    freeze_protocol(session, VAULT, actor, trial, revision=seen, now=NOW)
    session.commit()

    response = doctor.post(page, data={"csrf_token": token, "revision": trial.revision, **FILLED})

    assert response.status_code == 409
    assert "The protocol is frozen. Amend it to make a new version." in response.text
    assert "Which of the two helps my feet?" in response.text


def test_a_patient_of_another_site_cannot_be_chosen(doctor, session):
    other = make_site(session, "Elsewhere")
    stranger = make_patient(
        session, actor_for(make_account(session, other, Role.CLINICIAN), Role.CLINICIAN), NOW
    )
    session.commit()

    response = doctor.submit(NEW, patient=stranger.public_id, **FILLED)

    assert response.status_code == 404
    assert "There is no such patient." in response.text
    assert "Nerve pain" in response.text
    assert session.scalars(select(TrialRow)).all() == []
    assert stranger.code not in doctor.get(NEW).text


@pytest.mark.parametrize(("typed", "limit"), [("10", 0.1), ("2,5", 0.025), ("", None)])
def test_the_days_a_side_effect_may_be_severe_are_agreed(words, typed, limit):
    protocol = read_form(typed_from(MultiDict({**FILLED, "severe_limit": typed}))).protocol

    assert protocol is not None
    assert protocol.severe_limit == limit
    again = read_form(typed_of("Title", protocol))
    assert again.protocol is not None
    assert again.protocol.severe_limit == limit


def test_the_labels_frequencies_of_the_list_are_frozen_with_it(words):
    protocol = read_form(typed_from(MultiDict(FILLED))).protocol

    assert protocol is not None
    asked = {item.key for item in protocol.questionnaire.side_effects}
    assert protocol.frequencies
    assert set(protocol.frequencies) <= asked
