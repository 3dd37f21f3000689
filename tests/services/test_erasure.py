"""What was agreed to be removed is gone; what must stay stays, and its chain still holds."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import (
    VAULT,
    answer,
    evening,
    fill_day,
    make_actor,
    make_draft,
    make_fit,
    make_site,
    patient_actor,
    trial_days,
)
from tests.services.test_photos import a_photo
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.consent import OnWithdrawal
from trials.domain.diary import OtherEffect, Source
from trials.domain.errors import AnalysisError, DiaryClosedError, StateError
from trials.services import corrections, photos, problems
from trials.services.analysis import request_fit
from trials.services.diary import own_entries, record_entry
from trials.services.erasure import erase_answers, may_erase
from trials.services.guesses import record_guess, record_impression
from trials.services.running import start_trial, stop_trial
from trials.services.trials import freeze_protocol, record_consent
from trials.store.alert import AlertRow
from trials.store.audit import AuditRow, chain
from trials.store.diary import days_of_trial
from trials.store.erasure import count_answers
from trials.store.trial import TrialRow

SECRET = "the cellar smells of lavender"


def lived(session: Session, now, wish: OnWithdrawal) -> TrialRow:
    """Return a trial of nine days with everything in it that a patient can say."""
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_draft(session, clinician, now)
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)
    today = local_day(now, zone_of(trial.timezone))
    record_consent(session, clinician, trial, given_on=today, on_withdrawal=wish, now=now)
    start_trial(session, VAULT, clinician, trial, revision=trial.revision, start_day=today, now=now)
    patient = patient_actor(trial.patient)
    days = trial_days(trial)
    for day in days[:8]:
        fill_day(session, trial, day, 6)
    told = replace(answer(3), note=SECRET, other_effects=(OtherEffect(SECRET, 2),))
    record_entry(
        session,
        trial,
        days[8],
        told,
        source=Source.PATIENT,
        author=patient,
        key="with-a-photo-0001",
        now=evening(days[8]),
    )
    photos.keep_photo(
        session,
        VAULT,
        patient,
        trial,
        key="with-a-photo-0001",
        content=a_photo(),
        now=evening(days[8]),
    )
    last = evening(days[6])
    record_guess(session, trial, period=1, treatment="", certainty=0, why=SECRET, now=last)
    record_impression(session, trial, period=1, change=2, words=SECRET, preference=1, now=last)
    corrections.correct_day(
        session,
        patient,
        trial,
        days[0],
        told,
        reason="A slip.",
        key="c1",
        now=evening(days[8]),
    )
    problems.report_problem(
        session,
        patient,
        trial,
        kind=problems.ProblemKind.BOX,
        words=SECRET,
        address="https://trials.example.org",
        now=evening(days[8]),
    )
    make_fit(
        session,
        make_actor(session, trial.site, Role.ANALYST),
        trial,
        evening(days[8]),
        "interim",
        draws=200,
    )
    stop_trial(
        session,
        patient,
        trial,
        revision=trial.revision,
        reason="Enough.",
        now=evening(days[9], 9),
    )
    return trial


def test_what_was_agreed_to_be_removed_is_removed_and_the_chain_holds(session: Session, now):
    trial = lived(session, now, OnWithdrawal.REMOVE)
    at = evening(trial_days(trial)[9], 10)
    states = [row.state for row in days_of_trial(session, trial.id)]

    erase_answers(session, patient_actor(trial.patient), trial, reason="Enough.", now=at)
    erase_answers(session, patient_actor(trial.patient), trial, reason="Again.", now=at)

    assert set(count_answers(session, trial.id).values()) == {0}
    assert [row.state for row in days_of_trial(session, trial.id)] == states
    assert states.count("answered") == 9
    told = session.scalars(select(AuditRow).where(AuditRow.action == "erase_answers")).one()
    assert told.after is not None
    assert (told.after["entries"], told.after["photos"], told.after["analyses"]) == (10, 1, 1)
    assert first_broken(chain(session)) is None
    tables = session.connection().dialect.get_table_names(session.connection())
    for table in tables:
        rows = session.execute(text(f'SELECT * FROM "{table}"')).all()
        assert SECRET not in str(rows), table


def test_an_alert_stays_and_forgets_its_entry(session: Session, now):
    """A clinic has to account for what it did about a danger."""
    trial = lived(session, now, OnWithdrawal.REMOVE)
    entry = own_entries(session, trial)[trial_days(trial)[0]]
    alert = AlertRow(
        occasion="a test",
        trial_id=trial.id,
        diary_entry_id=entry.id,
        rule="RF-SUICIDE",
        urgency="immediate",
        source="diary",
        day=trial_days(trial)[0],
        raised_at=now,
        escalates_at=None,
    )
    session.add(alert)
    session.flush()

    at = evening(trial_days(trial)[9], 10)
    erase_answers(session, patient_actor(trial.patient), trial, reason="Enough.", now=at)

    session.refresh(alert)
    assert alert.diary_entry_id is None


def test_after_a_removal_nothing_can_be_reported_or_worked_out(session: Session, now):
    trial = lived(session, now, OnWithdrawal.REMOVE)
    days = trial_days(trial)
    at = evening(days[9], 10)
    patient = patient_actor(trial.patient)
    erase_answers(session, patient, trial, reason="Enough.", now=at)

    with pytest.raises(DiaryClosedError, match="removed, as agreed"):
        fill_day(session, trial, days[8], at=evening(days[8], 23))
    with pytest.raises(DiaryClosedError, match="removed, as agreed"):
        corrections.correct_day(
            session, patient, trial, days[8], answer(1), reason="x", key="c9", now=at
        )
    analyst = make_actor(session, trial.site, Role.ANALYST)
    with pytest.raises(AnalysisError):
        request_fit(session, VAULT, analyst, trial, purpose="final", now=at)
    assert own_entries(session, trial) == {}


@pytest.mark.parametrize("wish", [OnWithdrawal.KEEP, OnWithdrawal.REMOVE])
def test_nothing_is_removed_that_was_not_agreed_or_before_the_end(
    session: Session, now, wish: OnWithdrawal
):
    trial = lived(session, now, wish)
    if wish is OnWithdrawal.REMOVE:
        trial.state = "running"

    assert not may_erase(session, trial)
    with pytest.raises(StateError, match="if that was agreed"):
        erase_answers(
            session,
            patient_actor(trial.patient),
            trial,
            reason="x",
            now=now + timedelta(days=9),
        )
    assert len(own_entries(session, trial)) == 9


def test_the_database_lets_answers_go_for_an_erasure_only(sessions: sessionmaker[Session], now):
    with sessions.begin() as session:
        trial_id = lived(session, now, OnWithdrawal.REMOVE).id
    for table in ("photo", "guess", "impression", "diary_entry"):
        attack = f"DELETE FROM {table}"
        with pytest.raises(Exception, match="only ever added"), sessions.begin() as session:
            session.execute(text(attack))
    with sessions.begin() as session:
        trial = session.get_one(TrialRow, trial_id)
        erase_answers(session, patient_actor(trial.patient), trial, reason="x", now=now)
    for attack in ("DELETE FROM erasure", "UPDATE erasure SET author = 'nobody'"):
        with pytest.raises(Exception, match="only ever added"), sessions.begin() as session:
            session.execute(text(attack))
