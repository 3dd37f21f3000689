"""How the trials of a site stand, what the trail may tell, and the check of an opened draw."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from tests.builders import (
    VAULT,
    evening,
    fill_day,
    make_actor,
    make_ready,
    make_running,
    make_site,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError
from trials.domain.life_cycle import State
from trials.services.actor import Actor
from trials.services.allocation import (
    UnblindingReason,
    open_allocation,
    opened_as_promised,
    openings,
    unblind_period,
)
from trials.services.overview import overview_of, trials_of
from trials.services.running import pause_trial
from trials.services.trail import trail_of
from trials.store.account import SiteRow
from trials.store.reach import ReachRow
from trials.store.trial import frozen_protocol

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def site(session: Session) -> SiteRow:
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site: SiteRow) -> Actor:
    return make_actor(session, site, Role.CLINICIAN)


@pytest.fixture
def pharmacist(session: Session, site: SiteRow) -> Actor:
    return make_actor(session, site, Role.PHARMACIST)


def test_days_that_were_answered_and_missed_are_counted(session, clinician):
    trial = make_running(session, clinician, START)
    days = trial_days(trial)
    for number in (0, 1, 3):
        fill_day(session, trial, days[number])

    found = overview_of(session, trial, evening(days[5], 12))

    assert (found.day, found.days, found.period, found.periods) == (6, 28, 1, 4)
    assert (found.answered, found.due, found.silent) == (3, 4, 0)  # the fifth may still be late
    assert found.adherence == 0.75


def test_silence_counts_from_the_last_answer_and_not_while_paused(session, clinician):
    trial = make_running(session, clinician, START)
    days = trial_days(trial)
    fill_day(session, trial, days[0])
    now = evening(days[5], 12)

    silent = overview_of(session, trial, now)
    pause_trial(session, clinician, trial, revision=trial.revision, reason="Flu", now=now)
    paused = overview_of(session, trial, now)

    assert (silent.silent, silent.is_silent) == (3, True)
    assert not paused.is_silent


def test_who_no_reminder_gets_through_to_is_out_of_reach_until_a_way_works(session, clinician):
    trial = make_running(session, clinician, START)
    reached = overview_of(session, trial, START)
    kept = ReachRow(patient_id=trial.patient_id, email_failed_at=START)
    session.add(kept)
    session.flush()
    failed = overview_of(session, trial, START)
    kept.phone = "+49301234567"
    session.flush()
    by_phone = overview_of(session, trial, START)

    assert not reached.is_unreachable
    assert (failed.is_unreachable, failed.ways.has_failed) == (True, True)
    assert (by_phone.is_unreachable, by_phone.ways.has_failed) == (False, True)


def test_nobody_is_out_of_reach_while_no_diary_is_asked_for(session, clinician):
    trial = make_ready(session, clinician, START)
    trial.patient.email = ""

    assert not overview_of(session, trial, START).is_unreachable


def test_a_trial_that_never_started_counts_nothing(session, clinician):
    trial = make_ready(session, clinician, START)

    found = overview_of(session, trial, START)

    assert (found.state, found.consented, found.adherence) == (State.READY, True, None)
    assert (found.day, found.days, found.silent) == (0, 0, 0)


def test_only_the_own_site_is_listed_and_never_for_an_administrator(session, site, clinician):
    trial = make_ready(session, clinician, START)
    elsewhere = make_actor(session, make_site(session, "Elsewhere"), Role.CLINICIAN)

    assert [t.public_id for t in trials_of(session, clinician, START)] == [trial.public_id]
    assert trials_of(session, elsewhere, START) == ()
    with pytest.raises(NotAllowedError):
        trials_of(session, make_actor(session, site, Role.ADMINISTRATOR), START)


def test_the_trail_tells_deeds_and_counts_entries(session, clinician):
    trial = make_running(session, clinician, START)
    for day in trial_days(trial)[:3]:
        fill_day(session, trial, day)

    trail = trail_of(session, clinician, trial)

    assert [line.deed for line in trail.lines] == [
        "Trial started",
        "Consent recorded",
        "Sequence drawn and commitment published",
        "Protocol frozen",
        "Draft begun",
    ]
    assert trail.entries == 3
    assert trail.lines[0].state is State.RUNNING


def test_why_a_code_was_opened_is_for_the_pharmacist(session, clinician, pharmacist):
    trial = make_running(session, clinician, START)
    unblind_period(
        session,
        VAULT,
        pharmacist,
        trial,
        period=3,
        reason=UnblindingReason.OTHER,
        explanation="the strong one was lost",
        now=START,
    )

    blinded = trail_of(session, clinician, trial).lines[0]
    unblinded = trail_of(session, pharmacist, trial).lines[0]

    assert (blinded.deed, blinded.period, blinded.why) == ("Code of one period opened", 3, "")
    assert unblinded.why == "the strong one was lost"
    opened = openings(session, trial)
    assert [(o.period, o.reason, o.by) for o in opened] == [
        (3, UnblindingReason.OTHER, "pharmacist")
    ]


@pytest.mark.parametrize("field", ["sequence", "arm_key", "seed", "commitment"])
def test_an_opened_draw_that_was_changed_does_not_fit(session, clinician, pharmacist, field):
    trial = make_running(session, clinician, START)
    now = START + timedelta(days=30)
    opened = open_allocation(session, VAULT, pharmacist, trial, now)
    key = opened["arm_key"]
    changed = {
        "sequence": ["A", "A", "B", "B"],
        "arm_key": {"A": key["B"], "B": key["A"]},
        "seed": "11" * 32,
        "commitment": "0" * 64,
    }

    frozen = frozen_protocol(session, trial.id)

    assert frozen is not None
    assert opened_as_promised(opened, frozen.value)
    assert not opened_as_promised({**opened, field: changed[field]}, frozen.value)
