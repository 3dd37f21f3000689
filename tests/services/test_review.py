"""The analyst's work list and how completely a diary was answered."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    VAULT,
    evening,
    fill_day,
    make_actor,
    make_completed,
    make_draft,
    make_fit,
    make_running,
    make_site,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.calendar import Phase
from trials.domain.errors import NotAllowedError
from trials.domain.life_cycle import State
from trials.services.actor import SYSTEM, Actor
from trials.services.analysis import release_result, request_fit
from trials.services.review import (
    FitState,
    Worklist,
    coverage_by_period,
    coverage_by_phase,
    standing_of,
    worklist,
)
from trials.services.running import (
    pause_trial,
    resume_trial,
)


@pytest.fixture
def clinician(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def analyst(clinician: Actor) -> Actor:
    return replace(clinician, role=Role.ANALYST)


def test_trials_are_sorted_by_what_is_to_be_done(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    make_draft(session, clinician, now)
    running = make_running(session, clinician, now)
    ready = make_completed(session, clinician, now)
    make_fit(session, analyst, ready, now)
    open_fit = make_completed(session, clinician, now)
    done = make_completed(session, clinician, now)
    fit = make_fit(session, analyst, done, now)
    release_result(
        session,
        VAULT,
        analyst,
        done,
        revision=done.revision,
        fit=fit.public_id,
        comment="",
        now=now,
    )
    work = worklist(session, analyst, now)

    assert [w.trial for w in work.awaiting] == [ready.public_id, open_fit.public_id]
    assert [w.state for w in work.awaiting] == [State.ANALYSED, State.COMPLETED]
    assert [w.trial for w in work.under_way] == [running.public_id]
    assert [w.trial for w in work.released] == [done.public_id]
    assert work.awaiting[1].fit is None


def test_the_list_is_that_of_the_own_site(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    make_running(session, clinician, now)
    away = make_actor(session, make_site(session, "Away"), Role.ANALYST)

    assert worklist(session, away, now) == Worklist((), (), ())
    assert len(worklist(session, analyst, now).under_way) == 1


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PHARMACIST, Role.ADMINISTRATOR])
def test_the_list_is_for_analysts(session: Session, analyst: Actor, now: datetime, role: Role):
    with pytest.raises(NotAllowedError):
        worklist(session, replace(analyst, role=role), now)


def test_a_lease_that_ran_out_is_waiting_again(session: Session, clinician: Actor, now: datetime):
    trial = make_completed(session, clinician, now)
    fit = request_fit(session, VAULT, SYSTEM, trial, purpose="final", now=now)
    fit.claimed_by, fit.leased_until = "worker", now + timedelta(minutes=2)

    assert standing_of(fit, now).state is FitState.RUNNING
    assert standing_of(fit, now + timedelta(minutes=3)).state is FitState.WAITING
    assert standing_of(fit, now).by_clock


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("SamplingError('half_life[A]=1.25')", "SamplingError"),
        ("BrokenProcessPool('A process was terminated abruptly')", "BrokenProcessPool"),
        ("There is no diary day to analyse yet.", "There is no diary day to analyse yet."),
        ("", ""),
    ],
)
def test_of_an_error_nobody_foresaw_only_its_kind_is_told(
    session: Session, clinician: Actor, now: datetime, kept: str, told: str
):
    trial = make_completed(session, clinician, now)
    fit = request_fit(session, VAULT, SYSTEM, trial, purpose="final", now=now)
    fit.failed_at, fit.last_error = now, kept

    assert standing_of(fit, now).error == told


def test_every_day_is_counted_once(session: Session, clinician: Actor, now: datetime):
    protocol = replace(PROTOCOL, design=replace(PROTOCOL.design, run_in_days=3))
    trial = make_running(session, clinician, now, protocol)
    days = trial_days(trial, protocol)
    for day in days[:8]:
        fill_day(session, trial, day)
    fill_day(session, trial, days[8], at=evening(days[8] + timedelta(days=1), 9))
    pause = evening(days[10], 9)
    pause_trial(session, clinician, trial, revision=trial.revision, reason="flu", now=pause)
    resume_trial(session, clinician, trial, revision=trial.revision, now=pause + timedelta(days=2))
    found = {c.phase: c for c in coverage_by_phase(session, trial, pause + timedelta(days=2))}

    assert sum(c.answered + c.missed + c.to_come + c.paused for c in found.values()) == 31 + 2
    assert found[Phase.RUN_IN].answered == 3
    assert found[Phase.EVALUATION].late == 1
    assert found[Phase.EVALUATION].missed == 1
    assert found[Phase.PAUSED].paused == 2
    assert found[Phase.PAUSED].share is None


def test_periods_count_their_evaluated_days_alone(
    session: Session, clinician: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, missed={1, 3, 10})
    end = now + timedelta(days=60)
    found = coverage_by_period(session, trial, end)

    assert [c.period for c in found] == [1, 2, 3, 4]
    assert [(c.answered, c.missed) for c in found] == [(4, 1), (4, 1), (5, 0), (5, 0)]
    assert found[0].share == pytest.approx(0.8)
