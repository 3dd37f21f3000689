"""Setting up, freezing, running and ending a trial."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from tests.builders import (
    PROTOCOL,
    VAULT,
    evening,
    fill_day,
    make_actor,
    make_draft,
    make_patient,
    make_ready,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.design import Design
from trials.domain.errors import (
    DesignError,
    DiaryClosedError,
    EditConflictError,
    NotAllowedError,
    NotFoundError,
    ProtocolError,
    StateError,
    TrialError,
)
from trials.domain.life_cycle import State
from trials.domain.protocol import Candidate
from trials.services.guesses import record_guess
from trials.services.running import (
    pause_trial,
    resume_trial,
    start_trial,
    stop_trial,
)
from trials.services.trials import (
    amend_protocol,
    create_trial,
    edit_draft,
    freeze_protocol,
    get_trial,
    record_consent,
)
from trials.store.audit import AuditRow
from trials.store.diary import days_of_trial
from trials.store.trial import (
    TrialRow,
    frozen_protocol,
    guesses_of_trial,
    latest_protocol,
    periods_of_trial,
)


@pytest.fixture
def site(session: Session):
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site):
    return make_actor(session, site, Role.CLINICIAN)


def test_another_site_does_not_even_learn_that_a_trial_exists(session: Session, clinician, now):
    trial = make_draft(session, clinician, now)
    stranger = make_actor(session, make_site(session, "Elsewhere"), Role.CLINICIAN)

    assert get_trial(session, clinician, trial.public_id) is trial
    with pytest.raises(NotFoundError) as unknown:
        get_trial(session, stranger, "nosuchtrial2")
    with pytest.raises(NotFoundError) as foreign:
        get_trial(session, stranger, trial.public_id)
    assert str(unknown.value) == str(foreign.value)


@pytest.mark.parametrize("role", [Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR])
def test_only_a_clinician_sets_up(session: Session, site, clinician, now, role):
    patient = make_patient(session, clinician, now)

    with pytest.raises(NotAllowedError):
        create_trial(
            session, make_actor(session, site, role), patient, title="x", protocol=PROTOCOL, now=now
        )


@pytest.mark.parametrize(
    ("treatment", "sentence"),
    [
        ("cbt", "cannot be a repeated arm"),
        ("tens", "partly"),
        ("exercise_aerobic", "cannot be hidden"),
    ],
)
def test_the_catalogue_refuses_what_cannot_be_an_arm(
    session: Session, clinician, now, treatment, sentence
):
    protocol = replace(
        PROTOCOL, candidates=(PROTOCOL.candidates[0], Candidate(treatment, "Another"))
    )
    if sentence == "partly":  # a sham device hides it well enough to try
        assert make_draft(session, clinician, now, protocol).state == State.DRAFT
        return
    with pytest.raises(DesignError, match=sentence):
        make_draft(session, clinician, now, protocol)


def test_a_draft_is_edited_and_the_trail_keeps_both(session: Session, clinician, now):
    trial = make_draft(session, clinician, now)
    changed = replace(PROTOCOL, question="Another question?")

    edit_draft(
        session, clinician, trial, revision=trial.revision, title="New", protocol=changed, now=now
    )

    assert latest_protocol(session, trial.id).value == changed
    told = session.scalars(select(AuditRow).where(AuditRow.action == "edit_draft")).one()
    assert told.before["protocol"]["question"] == PROTOCOL.question
    assert told.after["protocol"]["question"] == "Another question?"


def test_the_second_of_two_editors_is_told(session: Session, clinician, now):
    trial = make_draft(session, clinician, now)
    seen_by_both = trial.revision
    edit_draft(
        session, clinician, trial, revision=seen_by_both, title="First", protocol=PROTOCOL, now=now
    )

    with pytest.raises(EditConflictError, match="Somebody else"):
        edit_draft(
            session,
            clinician,
            trial,
            revision=seen_by_both,
            title="2nd",
            protocol=PROTOCOL,
            now=now,
        )
    assert trial.title == "First"


def test_two_transactions_at_once_cannot_both_win(sessions: sessionmaker[Session], now):
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        trial_id = make_draft(session, clinician, now).id
    if sessions.kw["bind"].dialect.name == "sqlite":
        pytest.skip("SQLite lets one writer in at a time, so the second sees the first's revision")
    with sessions() as first, sessions() as second:
        mine, other = first.get_one(TrialRow, trial_id), second.get_one(TrialRow, trial_id)
        freeze_protocol(first, VAULT, clinician, mine, revision=mine.revision, now=now)
        first.commit()
        with pytest.raises(StaleDataError):
            stop_trial(
                second,
                clinician,
                other,
                revision=other.revision,
                reason="No longer wanted",
                now=now,
            )


def test_a_frozen_protocol_is_hashed_and_closed(session: Session, clinician, now):
    trial = make_ready(session, clinician, now)

    assert frozen_protocol(session, trial.id).hash
    with pytest.raises(StateError, match="Amend it"):
        edit_draft(
            session,
            clinician,
            trial,
            revision=trial.revision,
            title="x",
            protocol=PROTOCOL,
            now=now,
        )


def test_an_amendment_needs_a_new_consent(session: Session, clinician, now):
    trial = make_ready(session, clinician, now)
    amend_protocol(session, clinician, trial, revision=trial.revision, now=now)
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)

    assert frozen_protocol(session, trial.id).version == 2
    with pytest.raises(StateError, match="consent"):
        start_trial(
            session,
            VAULT,
            clinician,
            trial,
            revision=trial.revision,
            start_day=date(2026, 3, 1),
            now=now,
        )


def test_consent_is_given_to_a_frozen_protocol_and_not_in_the_future(
    session: Session, clinician, now
):
    draft = make_draft(session, clinician, now)
    with pytest.raises(StateError, match="frozen protocol"):
        record_consent(session, clinician, draft, given_on=date(2026, 3, 1), now=now)
    freeze_protocol(session, VAULT, clinician, draft, revision=draft.revision, now=now)
    with pytest.raises(ProtocolError, match="future"):
        record_consent(session, clinician, draft, given_on=date(2026, 3, 2), now=now)


def test_starting_writes_every_expected_day(session: Session, clinician, now):
    trial = make_running(session, clinician, now)

    rows = days_of_trial(session, trial.id)
    assert [row.day for row in rows] == trial_days(trial)
    assert {row.state for row in rows} == {"planned"}
    assert [p.number for p in periods_of_trial(session, trial.id)] == [1, 2, 3, 4]
    assert len({p.kit for p in periods_of_trial(session, trial.id)}) == 4


@pytest.mark.parametrize("day", [date(2026, 2, 28), date(2026, 5, 31)])
def test_a_trial_starts_today_or_soon(session: Session, clinician, now, day):
    trial = make_ready(session, clinician, now)

    with pytest.raises(ProtocolError, match="first day"):
        start_trial(
            session, VAULT, clinician, trial, revision=trial.revision, start_day=day, now=now
        )


def test_a_pause_moves_the_rest_and_loses_nothing(session: Session, clinician, now):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    for day in days[:3]:
        fill_day(session, trial, day)

    pause_trial(
        session, clinician, trial, revision=trial.revision, reason="Flu", now=evening(days[3], 9)
    )
    with pytest.raises(DiaryClosedError, match="paused"):
        fill_day(session, trial, days[3])
    resume_trial(session, clinician, trial, revision=trial.revision, now=evening(days[8], 9))

    rows = days_of_trial(session, trial.id)
    assert [r.state for r in rows[:10]] == ["answered"] * 3 + ["paused"] * 5 + ["planned"] * 2
    assert len([r for r in rows if r.state != "paused"]) == PROTOCOL.design.total_days
    assert periods_of_trial(session, trial.id)[-1].last_day == days[-1] + timedelta(days=5)
    assert fill_day(session, trial, days[8]).revision == 1


def test_a_pause_on_an_answered_day_begins_tomorrow(session: Session, clinician, now):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    fill_day(session, trial, days[0])

    pause_trial(
        session,
        patient_actor(trial.patient),
        trial,
        revision=trial.revision,
        reason="Holiday",
        now=evening(days[0], 21),
    )

    assert [row.state for row in days_of_trial(session, trial.id)[:2]] == ["answered", "paused"]


def test_stopping_keeps_what_was_reported_and_cancels_the_rest(session: Session, clinician, now):
    trial = make_running(session, clinician, now)
    fill_day(session, trial, trial_days(trial)[0])

    stop_trial(
        session,
        patient_actor(trial.patient),
        trial,
        revision=trial.revision,
        reason="I do not want to go on.",
        now=evening(date(2026, 3, 2)),
    )

    states = [row.state for row in days_of_trial(session, trial.id)]
    assert states == ["answered"] + ["cancelled"] * 27
    assert trial.end_reason == "I do not want to go on."


@pytest.mark.parametrize("verb", [pause_trial, stop_trial])
def test_a_reason_is_asked_for(session: Session, clinician, now, verb):
    trial = make_running(session, clinician, now)

    with pytest.raises(ProtocolError, match="few words"):
        verb(session, clinician, trial, revision=trial.revision, reason="  ", now=now)
    assert trial.state == State.RUNNING


def test_a_guess_is_kept_once_and_only_at_the_end_of_its_period(session: Session, clinician, now):
    trial = make_running(session, clinician, now)
    last = trial_days(trial)[6]
    guess = {"period": 1, "treatment": "ibuprofen", "certainty": 3, "why": "dry mouth"}

    with pytest.raises(StateError, match="end of the period"):
        record_guess(session, trial, **guess, now=evening(last - timedelta(days=1)))
    record_guess(session, trial, **guess, now=evening(last))
    record_guess(session, trial, **(guess | {"treatment": ""}), now=evening(last))

    assert [g.treatment for g in guesses_of_trial(session, trial.id)] == ["ibuprofen"]


@pytest.mark.parametrize("wrong", [{"treatment": "aspirin"}, {"certainty": 5}, {"period": 9}])
def test_a_guess_makes_sense(session: Session, clinician, now, wrong):
    trial = make_running(session, clinician, now)
    guess = {"period": 1, "treatment": "", "certainty": 0, "why": ""} | wrong

    with pytest.raises(TrialError):
        record_guess(session, trial, **guess, now=evening(trial_days(trial)[-1]))


def test_a_design_decides_how_many_candidates(session: Session, clinician, now):
    with pytest.raises(ProtocolError, match="as many"):
        make_draft(session, clinician, now, replace(PROTOCOL, design=Design(("A", "B", "C"), 2, 7)))


def test_stopping_leaves_no_gap_in_the_days(session: Session, clinician, now):
    """A day that was due and not answered is missing, and a pause stays a pause."""
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    fill_day(session, trial, days[0])
    pause_trial(
        session, clinician, trial, revision=trial.revision, reason="Flu", now=evening(days[1], 9)
    )
    resume_trial(session, clinician, trial, revision=trial.revision, now=evening(days[3], 9))
    fill_day(session, trial, days[4])

    stop_trial(
        session, clinician, trial, revision=trial.revision, reason="Enough", now=evening(days[5], 9)
    )

    states = [row.state for row in days_of_trial(session, trial.id)]
    assert states[:6] == ["answered", "paused", "paused", "missed", "answered", "cancelled"]


def test_a_period_that_a_pause_holds_back_is_not_asked_about(session: Session, clinician, now):
    """While a pause lasts, the dates of what comes behind it are still the old ones."""
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    pause_trial(
        session, clinician, trial, revision=trial.revision, reason="Flu", now=evening(days[2], 9)
    )

    with pytest.raises(StateError, match="end of the period"):
        record_guess(
            session, trial, period=1, treatment="", certainty=0, why="", now=evening(days[20])
        )
