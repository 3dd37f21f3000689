"""Two people, or a person and the clock, at the same instant: both are served in turn."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from tests.builders import (
    VAULT,
    evening,
    fill_day,
    make_actor,
    make_draft,
    make_running,
    make_site,
    trial_days,
)
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.errors import ProtocolError, TrialError
from trials.services.actor import Actor
from trials.services.clockwork import miss_due_days, move_periods, open_due_days
from trials.services.guesses import record_guess
from trials.services.patients import add_patient
from trials.services.running import (
    pause_trial,
    resume_trial,
)
from trials.services.trials import (
    freeze_protocol,
    record_consent,
)
from trials.store.account import PatientRow
from trials.store.audit import chain
from trials.store.diary import DiaryEntryRow, days_of_trial
from trials.store.trial import ConsentRow, GuessRow, TrialRow

type Sessions = sessionmaker[Session]
type Deed = Callable[[], object]


@pytest.fixture
def clinician(sessions: Sessions) -> Actor:
    with sessions.begin() as session:
        return make_actor(session, make_site(session), Role.CLINICIAN)


def at_once(*deeds: Deed) -> list[BaseException | None]:
    """Do all at the same time; return what each raised."""
    with ThreadPoolExecutor(len(deeds)) as pool:
        return [future.exception() for future in [pool.submit(deed) for deed in deeds]]


def running(sessions: Sessions, clinician: Actor, now) -> int:
    with sessions.begin() as session:
        return make_running(session, clinician, now).id


def test_entries_pauses_and_the_clock_never_stop_each_other(sessions: Sessions, clinician, now):
    """Each takes trial, days and audit chain in this order, so none waits in a circle.

    A patient whose entry lost such a circle would have read an error instead of "kept".
    """
    ids = [running(sessions, clinician, now) for _trial in range(4)]
    with sessions() as session:
        day = trial_days(session.get_one(TrialRow, ids[0]))[0]

    def report(trial_id: int, at) -> None:
        with sessions.begin() as session:
            fill_day(session, session.get_one(TrialRow, trial_id), day, at=at)

    def pause_and_resume(trial_id: int, at) -> None:
        for verb, more in ((pause_trial, {"reason": "Flu"}), (resume_trial, {})):
            with sessions.begin() as session:
                trial = session.get_one(TrialRow, trial_id)
                verb(session, clinician, trial, revision=trial.revision, now=at, **more)

    def tick(at) -> None:
        for job in (
            partial(open_due_days, address="x"),
            partial(miss_due_days, address="x"),
            move_periods,
        ):
            with sessions.begin() as session:
                job(session, at)

    deeds: list[Deed] = []
    for minute in range(3):
        at = evening(day, 18) + timedelta(minutes=minute)
        deeds += [partial(report, trial, at) for trial in ids]
        deeds += [partial(pause_and_resume, trial, at) for trial in ids[:2]]
        deeds.append(partial(tick, at))

    raised = [error for error in at_once(*deeds) if error is not None]

    sentences = (TrialError, StaleDataError)  # the edge turns the second into a sentence, too
    assert all(isinstance(error, sentences) for error in raised), raised
    with sessions() as session:
        assert first_broken(chain(session)) is None
        for trial_id in ids[2:]:
            assert days_of_trial(session, trial_id)[0].state == "answered"
        entries = session.scalar(select(func.count()).select_from(DiaryEntryRow))
        assert entries >= 6, "each of the three reports of the undisturbed trials is there"


def test_a_guess_and_a_consent_clicked_twice_are_kept_once(sessions: Sessions, clinician, now):
    trial_id = running(sessions, clinician, now)
    with sessions.begin() as session:
        last = trial_days(session.get_one(TrialRow, trial_id))[6]
        draft = make_draft(session, clinician, now)
        freeze_protocol(session, VAULT, clinician, draft, revision=draft.revision, now=now)
        ready_id = draft.id

    def guess() -> None:
        with sessions.begin() as session:
            record_guess(
                session,
                session.get_one(TrialRow, trial_id),
                period=1,
                treatment="ibuprofen",
                certainty=2,
                why="",
                now=evening(last),
            )

    def consent() -> None:
        with sessions.begin() as session:
            record_consent(
                session,
                clinician,
                session.get_one(TrialRow, ready_id),
                given_on=now.date(),
                now=now,
            )

    assert at_once(guess, guess, guess, consent, consent, consent) == [None] * 6
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(GuessRow)) == 1
        kept = select(func.count()).select_from(ConsentRow)
        assert session.scalar(kept) == 2, "one of each trial"


def test_a_patient_entered_twice_at_once_is_one_patient(sessions: Sessions, clinician, now):
    def enter() -> None:
        with sessions.begin() as session:
            add_patient(
                session,
                clinician,
                code="P-1",
                name="Pat",
                email="",
                timezone="Europe/Berlin",
                locale="en",
                now=now,
            )

    raised = [error for error in at_once(enter, enter, enter) if error is not None]

    assert [type(error) for error in raised] == [ProtocolError] * 2
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(PatientRow)) == 1
