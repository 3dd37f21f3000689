"""Every design is studied before its freeze: once, by anybody's draft, and never by guessing."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from models.operating import calibrate
from tests.builders import PROTOCOL, VAULT, make_actor, make_patient, make_site, study_at_once
from trials.domain.blinding import Role
from trials.domain.design import LookSchedule
from trials.domain.errors import CalibrationError, NotAllowedError
from trials.domain.protocol import KnownNoise, Protocol, protocol_hash
from trials.services import calibration
from trials.services.actor import Actor
from trials.services.calibration import StudyState, standing, study_of
from trials.services.demo import STORIES, demo_protocol
from trials.services.trials import amend_protocol, create_trial, edit_draft, freeze_protocol
from trials.store.audit import AuditRow
from trials.store.calibration import CalibrationRow, find_calibration
from trials.store.trial import TrialRow, frozen_protocol

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EACH_BLOCK = replace(
    PROTOCOL, design=replace(PROTOCOL.design, blocks=4), looks=LookSchedule.EACH_BLOCK
)


@pytest.fixture
def clinician(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.CLINICIAN)


def draft(session: Session, clinician: Actor, protocol: Protocol = PROTOCOL) -> TrialRow:
    """Return a draft whose design nobody has studied."""
    patient = make_patient(session, clinician, NOW)
    return create_trial(session, clinician, patient, title="Pain", protocol=protocol, now=NOW)


def freeze(session: Session, clinician: Actor, trial: TrialRow) -> None:
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=NOW)


def only_row(session: Session, protocol: Protocol = PROTOCOL) -> CalibrationRow:
    row = find_calibration(session, study_of(protocol).design_hash)
    assert row is not None
    return row


def test_a_draft_asks_for_its_study_once_whoever_asks(session: Session, clinician: Actor):
    draft(session, clinician)
    draft(session, clinician)

    assert session.scalar(select(func.count(CalibrationRow.id))) == 1
    assert standing(session, PROTOCOL, NOW).state is StudyState.WAITING


def test_a_changed_draft_asks_for_another_study(session: Session, clinician: Actor):
    trial = draft(session, clinician)
    longer = replace(PROTOCOL, design=replace(PROTOCOL.design, blocks=4))

    edit_draft(
        session, clinician, trial, revision=trial.revision, title="Pain", protocol=longer, now=NOW
    )

    assert standing(session, longer, NOW).state is StudyState.WAITING


@pytest.mark.parametrize(
    "change",
    [
        {"looks": LookSchedule.EACH_BLOCK},
        {"known_noise": KnownNoise(1.5, 0.4)},
        {"known_noise": KnownNoise(1.5)},
        {"bother_weight": 1.5},
        {"decision": replace(PROTOCOL.decision, equal_margin=1.0)},
        {"design": replace(PROTOCOL.design, washout_days=PROTOCOL.design.washout_days + 1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_that_decides_the_answer_makes_another_study(change: dict[str, object]):
    assert study_of(replace(PROTOCOL, **change)).design_hash != study_of(PROTOCOL).design_hash


def test_what_decides_nothing_makes_no_other_study():
    other = replace(PROTOCOL, question="Which one?", version=3)

    assert study_of(other).design_hash == study_of(PROTOCOL).design_hash


def test_nothing_is_frozen_before_its_study(session: Session, clinician: Actor):
    trial = draft(session, clinician)

    with pytest.raises(CalibrationError, match=r"about \d+ more seconds"):
        freeze(session, clinician, trial)

    assert frozen_protocol(session, trial.id) is None


def test_the_freeze_keeps_the_threshold_with_the_agreement(session: Session, clinician: Actor):
    trial = draft(session, clinician)
    study_at_once(session, PROTOCOL, NOW, threshold=0.975)

    freeze(session, clinician, trial)

    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None
    known = frozen.value.calibration
    assert known is not None
    assert (known.threshold, known.trials) == (0.975, 1000)
    assert known.low < known.threshold < known.high
    assert frozen.value.needed_to_be_best == 0.975
    assert frozen.hash == protocol_hash(frozen.value)
    assert frozen.hash != protocol_hash(replace(frozen.value, calibration=None))


def test_a_simulation_that_asks_for_less_does_not_lower_what_was_agreed(
    session: Session, clinician: Actor
):
    trial = draft(session, clinician)
    study_at_once(session, PROTOCOL, NOW, threshold=0.91)

    freeze(session, clinician, trial)

    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None
    assert frozen.value.needed_to_be_best == PROTOCOL.decision.best


def test_a_new_version_is_calibrated_anew(session: Session, clinician: Actor):
    trial = draft(session, clinician)
    study_at_once(session, PROTOCOL, NOW)
    freeze(session, clinician, trial)

    amend_protocol(session, clinician, trial, revision=trial.revision, now=NOW)

    assert standing(session, PROTOCOL, NOW).state is StudyState.DONE
    freeze(session, clinician, trial)
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None
    assert frozen.value.version == 2
    assert frozen.value.calibration is not None


def test_a_study_that_failed_can_be_asked_for_again(session: Session, clinician: Actor):
    trial = draft(session, clinician)
    row = only_row(session)
    row.failed_at, row.attempts = NOW, 3
    session.flush()
    assert standing(session, PROTOCOL, NOW).state is StudyState.FAILED
    with pytest.raises(CalibrationError, match="Ask for it again"):
        freeze(session, clinician, trial)

    calibration.ask_again(session, clinician, trial, now=NOW + timedelta(hours=1))
    calibration.ask_again(session, clinician, trial, now=NOW + timedelta(hours=2))

    row = only_row(session)
    assert (row.failed_at, row.attempts, row.due_at) == (None, 0, NOW + timedelta(hours=1))
    deeds = list(session.scalars(select(AuditRow.action)))
    assert deeds.count("ask_calibration") == 1


def test_only_a_clinician_asks_again(session: Session, clinician: Actor):
    trial = draft(session, clinician)
    pharmacist = make_actor(session, trial.site, Role.PHARMACIST)

    with pytest.raises(NotAllowedError):
        calibration.ask_again(session, pharmacist, trial, now=NOW)


def test_who_waits_longer_is_told_a_longer_time(session: Session, clinician: Actor):
    draft(session, clinician)
    draft(session, clinician, EACH_BLOCK)

    first, second = (standing(session, p, NOW).seconds for p in (PROTOCOL, EACH_BLOCK))

    assert 0 < first < second


def test_what_a_worker_gets_is_what_was_asked_for(session: Session, clinician: Actor):
    draft(session, clinician, EACH_BLOCK)

    study = calibration.prepare_study(only_row(session, EACH_BLOCK))

    assert study == study_of(EACH_BLOCK)
    assert asdict(study.design)["looks"] == 4


def test_a_row_that_says_something_else_now_is_refused(session: Session, clinician: Actor):
    draft(session, clinician)
    row = only_row(session)
    row.design = {**row.design, "blocks": 5}

    with pytest.raises(CalibrationError, match="another version"):
        calibration.prepare_study(row)


@pytest.mark.slow
def test_a_real_study_is_kept_as_it_was_computed(session: Session, clinician: Actor):
    trial = draft(session, clinician)
    row = only_row(session)
    told = calibrate(calibration.prepare_study(row), trials=40, scenario_trials=10, draws=500)

    calibration.finish_study(session, row, told, trials=40, seconds=1.25, now=NOW)
    session.expire_all()

    found = standing(session, PROTOCOL, NOW)
    assert found.calibration is not None
    assert found.calibration.threshold == told.threshold
    assert found.characteristics is not None
    assert len(found.characteristics["results"]) == len(told.results)
    freeze(session, clinician, trial)


def test_two_drafts_at_the_same_moment_ask_once(sessions: sessionmaker[Session]):
    with sessions.begin() as session:
        mine = make_actor(session, make_site(session), Role.CLINICIAN)
    with sessions() as one:
        draft(one, mine)
        one.commit()
    with sessions() as two:
        draft(two, mine)
        two.commit()
        assert two.scalar(select(func.count(CalibrationRow.id))) == 1


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.code)
def test_the_designs_of_the_demonstration_come_studied(story):
    """If this fails: lenitive calibrate --out trials/data/calibrations.json, and commit it."""
    shipped = calibration.shipped_studies()

    assert study_of(demo_protocol(story)).design_hash in shipped


def test_nothing_is_shipped_that_no_demonstration_uses():
    used = {study_of(demo_protocol(story)).design_hash for story in STORIES}

    assert set(calibration.shipped_studies()) == used
