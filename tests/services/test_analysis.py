"""From diary to released result, and what a blinded reader cannot find out on the way."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import permutations

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from models.analysis import analyze
from models.data import NO_ARM
from models.decision import refuse
from models.specification import Ends, HalfLifePerArm
from models.words import engines_disagree
from tests.builders import (
    PROTOCOL,
    VAULT,
    answer,
    evening,
    fill_day,
    fill_diary,
    make_actor,
    make_completed,
    make_fit,
    make_running,
    make_site,
    open_protocol,
    patient_actor,
    run_exactly,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.design import AnalysisSet, EndsOfScale, Outcome
from trials.domain.diary import Intake, Source
from trials.domain.errors import (
    AllocationError,
    AnalysisError,
    EditConflictError,
    NotAllowedError,
    NotFoundError,
    StateError,
)
from trials.domain.life_cycle import State
from trials.services import allocation
from trials.services.actor import SYSTEM, Actor
from trials.services.allocation import masked_sequence, sealed_arm_key
from trials.services.analysis import (
    assemble_data,
    fingerprint,
    finish_fit,
    fit_result,
    live_result,
    prepare_fit,
    release_result,
    released_result,
    request_fit,
    retry_fit,
    secret_seed,
    specify,
)
from trials.services.diary import record_entry
from trials.services.running import (
    pause_trial,
    resume_trial,
    stop_trial,
)
from trials.store.allocation import AllocationRow
from trials.store.audit import AuditRow
from trials.store.fit import FitRow
from trials.store.trial import TrialRow

RUN_IN = replace(PROTOCOL, design=replace(PROTOCOL.design, run_in_days=3))
KEY = {"A": "amitriptyline", "B": "ibuprofen"}


@pytest.fixture
def clinician(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def analyst(session: Session, clinician: Actor) -> Actor:
    return replace(clinician, role=Role.ANALYST)


@pytest.fixture
def trial(session: Session, clinician: Actor, now: datetime) -> TrialRow:
    """A completed trial with a clear winner."""
    return make_completed(session, clinician, now)


# ---- what the models get


def test_the_run_in_is_a_period_of_no_arm_and_is_analysed(
    session: Session, clinician: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, RUN_IN)
    data = assemble_data(session, VAULT, trial)

    assert data.days == 3 + 28
    assert list(data.day_arm[:3]) == [NO_ARM] * 3
    assert list(data.day_period[:4]) == [0, 0, 0, 1]
    assert data.in_analysis[:3].all()


def test_every_side_effect_of_the_list_reaches_the_models_in_its_grades(
    session: Session, clinician: Actor, now: datetime
):
    trial = make_running(session, clinician, now)
    fill_day(session, trial, trial_days(trial)[0], nausea=2)
    data = assemble_data(session, VAULT, trial)

    assert set(data.severities) == {"nausea", "dry_mouth"}
    assert data.severities["nausea"][0] == 2
    assert np.isnan(data.severities["dry_mouth"]).all()  # asked and not answered: never a zero


def test_the_limit_of_severe_days_and_the_labels_frequencies_are_those_of_the_protocol():
    protocol = replace(PROTOCOL, severe_limit=0.05, frequencies={"nausea": 0.2})
    specification = specify(protocol, KEY)

    assert [arm.severe_limit for arm in specification.arms] == [0.05, 0.05]
    assert [(i.name, i.severest, i.severe, i.frequency) for i in specification.side_effects] == [
        ("nausea", 3, 3, 0.2),
        ("dry_mouth", 3, 3, None),
    ]
    assert specification.ends is Ends.BY_RULE
    never = replace(PROTOCOL, ends_of_scale=EndsOfScale.NEVER)
    assert specify(never, KEY).ends is Ends.NEVER


def test_an_older_protocol_vetoes_nothing():
    assert {arm.severe_limit for arm in specify(PROTOCOL, KEY).arms} == {None}


def test_the_arms_are_in_the_order_of_the_sequence(session: Session, trial: TrialRow):
    data = assemble_data(session, VAULT, trial)

    assert tuple(data.arms[arm] for arm in data.period_arm) == masked_sequence(
        session, VAULT, trial
    )


def test_washout_days_are_kept_for_exposure_and_left_out_of_the_fit(
    session: Session, trial: TrialRow
):
    data = assemble_data(session, VAULT, trial)

    assert not data.in_analysis[[0, 1, 7, 8]].any()
    assert data.in_analysis[[2, 6, 9, 13]].all()
    assert np.isfinite(data.outcome[[0, 1]]).all()


def test_a_missed_day_is_missing_and_never_zero(session: Session, clinician: Actor, now: datetime):
    trial = make_completed(session, clinician, now, missed={4, 20})
    data = assemble_data(session, VAULT, trial)

    assert np.flatnonzero(np.isnan(data.outcome)).tolist() == [3, 19]
    assert np.flatnonzero(np.isnan(data.bothers["bother"])).tolist() == [3, 19]
    assert data.day_arm.size == 28


def test_the_newest_revision_of_a_day_counts(session: Session, clinician: Actor, now: datetime):
    trial = make_running(session, clinician, now)
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 4)
    fill_day(session, trial, day, 9)

    assert assemble_data(session, VAULT, trial).outcome[0] == 9.0


def test_days_that_have_not_begun_are_no_data(session: Session, clinician: Actor, now: datetime):
    trial = make_running(session, clinician, now)
    for day in trial_days(trial)[:3]:
        fill_day(session, trial, day)

    assert assemble_data(session, VAULT, trial).days == 3


def test_a_trial_without_a_day_has_nothing_to_analyse(
    session: Session, clinician: Actor, now: datetime
):
    trial = make_running(session, clinician, now)

    with pytest.raises(AnalysisError, match="no diary day"):
        assemble_data(session, VAULT, trial)


def test_days_cancelled_by_a_stop_are_no_data(session: Session, clinician: Actor, now: datetime):
    trial = make_running(session, clinician, now)
    for day in trial_days(trial)[:10]:
        fill_day(session, trial, day)
    stop_trial(session, clinician, trial, revision=trial.revision, reason="moves away", now=now)

    assert assemble_data(session, VAULT, trial).days == 10


def test_a_pause_takes_no_dose_and_washes_out_again(
    session: Session, clinician: Actor, now: datetime
):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    for day in days[:10]:
        fill_day(session, trial, day)
    pause = evening(days[10], 9)
    pause_trial(session, clinician, trial, revision=trial.revision, reason="flu", now=pause)
    resume_trial(session, clinician, trial, revision=trial.revision, now=pause + timedelta(days=4))
    fill_day(session, trial, days[14])
    data = assemble_data(session, VAULT, trial)

    assert data.days == 15
    assert list(data.taken[9:15]) == [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert not data.in_analysis[10:15].any()
    assert list(data.day_period[9:15]) == [1] * 6


def test_days_held_back_by_a_pause_are_no_data(session: Session, clinician: Actor, now: datetime):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    for day in days[:5]:
        fill_day(session, trial, day)
    pause = evening(days[5], 9)
    pause_trial(session, clinician, trial, revision=trial.revision, reason="flu", now=pause)

    assert trial.current_state is State.PAUSED
    assert assemble_data(session, VAULT, trial).days == 5


def test_the_intake_counts_only_where_the_protocol_says_as_taken(
    session: Session, clinician: Actor, now: datetime
):
    taken = {}
    for analysis_set in AnalysisSet:
        trial = make_running(session, clinician, now, replace(PROTOCOL, analysis_set=analysis_set))
        for day, intake in zip(trial_days(trial), Intake, strict=False):
            record_entry(
                session,
                trial,
                day,
                replace(answer(), intake=intake),
                source=Source.PATIENT,
                author=patient_actor(trial.patient),
                key=f"{trial.public_id}-{day}",
                now=evening(day),
            )
        taken[analysis_set] = list(assemble_data(session, VAULT, trial).taken)

    assert taken[AnalysisSet.AS_ASSIGNED] == [1.0, 1.0, 1.0]
    assert taken[AnalysisSet.AS_TAKEN] == [1.0, 0.5, 0.0]


def test_the_specification_follows_the_protocol_by_masked_arm():
    protocol = replace(PROTOCOL, comparator="ibuprofen", bother_weight=0.7)
    found = specify(protocol, KEY)

    assert found.labels == ("A", "B")
    assert [arm.half_life_days for arm in found.arms] == [1.25, 0.25]
    assert found.decision.comparator == "B"
    assert found.decision.best == protocol.decision.best
    assert found.weights == {"bother": 0.7}
    assert isinstance(found.priors.half_life, HalfLifePerArm)
    text = found.canonical_json()
    assert not any(name in text for name in ("ibuprofen", "amitriptyline", "Amitriptyline"))


@pytest.mark.parametrize(
    "change", [{"outcome": Outcome.PAIN}, {"bother_weight": 0.0}], ids=["pain", "no weight"]
)
def test_without_a_weight_the_verdict_is_about_pain(change: dict[str, object]):
    assert specify(replace(PROTOCOL, **change), KEY).weights == {}


# ---- asking for a fit


def test_the_same_data_are_analysed_once(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    first = request_fit(session, VAULT, analyst, trial, purpose="final", now=now)
    second = request_fit(session, VAULT, SYSTEM, trial, purpose="final", now=now)
    task = prepare_fit(session, VAULT, first)
    finish_fit(session, VAULT, first, task, run_exactly(task), now)
    third = request_fit(session, VAULT, analyst, trial, purpose="final", now=now)

    assert first.id == second.id == third.id
    assert len(session.scalars(select(FitRow)).all()) == 1


def test_a_double_click_makes_one_fit(sessions: sessionmaker[Session], now: datetime):
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        trial_id = make_completed(session, clinician, now).id
    analyst = replace(clinician, role=Role.ANALYST)
    ids = set()
    for _click in range(2):
        with sessions.begin() as session:
            trial = session.get_one(TrialRow, trial_id)
            ids.add(request_fit(session, VAULT, analyst, trial, purpose="final", now=now).id)

    assert len(ids) == 1


def test_a_fit_that_has_not_begun_takes_the_newest_data(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    fill_day(session, trial, days[0])
    waiting = request_fit(session, VAULT, SYSTEM, trial, purpose="interim", now=now)
    fill_day(session, trial, days[1])
    again = request_fit(session, VAULT, analyst, trial, purpose="interim", now=now)
    task = prepare_fit(session, VAULT, waiting)
    finish_fit(session, VAULT, waiting, task, run_exactly(task), now)

    assert again.id == waiting.id
    assert task.data.days == 2
    assert waiting.data_hash == fingerprint(VAULT, assemble_data(session, VAULT, trial))


def test_two_fits_that_took_the_same_data_end_as_one(
    session: Session, clinician: Actor, now: datetime
):
    """The first began before the last entry, lost its worker, and began again after it."""
    trial = make_running(session, clinician, now)
    days = trial_days(trial)
    fill_day(session, trial, days[0])
    first = request_fit(session, VAULT, SYSTEM, trial, purpose="interim", now=now)
    first.attempts = 1
    fill_day(session, trial, days[1])
    second = request_fit(session, VAULT, SYSTEM, trial, purpose="interim", now=now)
    assert second.id != first.id
    for fit in (first, second):
        if fit in session:
            task = prepare_fit(session, VAULT, fit)
            finish_fit(session, VAULT, fit, task, run_exactly(task), now)
    session.flush()
    kept = session.scalars(select(FitRow)).all()

    assert [fit.done_at for fit in kept] == [now]


@pytest.mark.parametrize("purpose", ["interim", "final"])
def test_a_purpose_has_its_time(
    session: Session, clinician: Actor, analyst: Actor, now: datetime, purpose: str
):
    running, completed = (
        make_running(session, clinician, now),
        make_completed(session, clinician, now),
    )
    wrong = completed if purpose == "interim" else running

    with pytest.raises(StateError):
        request_fit(session, VAULT, analyst, wrong, purpose=purpose, now=now)


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PHARMACIST, Role.PATIENT])
def test_only_the_analyst_asks_for_a_fit(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime, role: Role
):
    with pytest.raises(NotAllowedError):
        request_fit(session, VAULT, replace(analyst, role=role), trial, purpose="final", now=now)


def test_a_person_who_asks_gets_both_engines_where_the_clock_had_one(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    trial = make_running(session, clinician, now)
    fill_diary(session, trial)
    fit = request_fit(session, VAULT, SYSTEM, trial, purpose="interim", now=now)
    task = prepare_fit(session, VAULT, fit)
    finish_fit(
        session, VAULT, fit, task, analyze(task.data, task.specification, seed=1, draws=500), now
    )
    again = request_fit(session, VAULT, analyst, trial, purpose="interim", now=now)

    assert again.id == fit.id
    assert fit.requested_by == analyst.public_id
    assert fit.done_at is None


def test_a_failed_fit_is_tried_again_once(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = request_fit(session, VAULT, analyst, trial, purpose="final", now=now)
    fit.failed_at, fit.attempts = now, 3
    retry_fit(session, analyst, trial, fit=fit.public_id, now=now)
    retry_fit(session, analyst, trial, fit=fit.public_id, now=now)

    assert fit.failed_at is None
    assert fit.attempts == 0
    retried = session.scalars(select(AuditRow).where(AuditRow.action == "retry_fit")).all()
    assert len(retried) == 1


def test_what_is_done_is_not_tried_again(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, trial, now)

    with pytest.raises(StateError):
        retry_fit(session, analyst, trial, fit=fit.public_id, now=now)


def test_another_trials_fit_is_not_found(
    session: Session, clinician: Actor, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, trial, now)
    other = make_completed(session, clinician, now)

    with pytest.raises(NotFoundError):
        retry_fit(session, analyst, other, fit=fit.public_id, now=now)
    with pytest.raises(NotFoundError):
        fit_result(session, VAULT, analyst, other, fit)


def test_the_final_fit_takes_the_trial_to_analysed(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    make_fit(session, analyst, trial, now)

    assert trial.current_state is State.ANALYSED


def test_an_interim_fit_moves_nothing(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    trial = make_running(session, clinician, now)
    fill_diary(session, trial)
    make_fit(session, analyst, trial, now, purpose="interim")

    assert trial.current_state is State.RUNNING


# ---- what a blinded reader sees


def test_a_blinded_analyst_sees_masked_arms_and_no_name(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, trial, now)
    result = fit_result(session, VAULT, analyst, trial, fit)
    text = json.dumps(result.summary)

    assert result.treatments is None
    assert list(result.summary["arms"]) == ["A", "B"]
    for secret in ("buprofen", "mitriptyline", "half_life", "1.25", str(fit.seed)):
        assert secret not in text


def test_the_row_itself_tells_no_more_than_the_page(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    """Whoever reads the database alone finds the masked part, and the rest encrypted."""
    fit = make_fit(session, analyst, trial, now)
    plain_hash = assemble_data(session, VAULT, trial).data_hash
    audit = "".join(str(row.after) for row in session.scalars(select(AuditRow)))

    assert "half_life" not in json.dumps(fit.summary)
    assert b"half_life" not in (fit.sealed_summary or b"")
    assert plain_hash not in json.dumps(fit.summary) + audit + fit.data_hash


def test_the_fingerprint_cannot_be_tried_out_over_all_sequences(session: Session, trial: TrialRow):
    """Who knows every rating can compute the plain hash of each sequence, but not the keyed one."""
    data = assemble_data(session, VAULT, trial)
    shown = fingerprint(VAULT, data)
    for order in set(permutations((0, 0, 1, 1))):
        guess = replace(data, day_arm=np.repeat(order, 7))
        assert guess.data_hash != shown
    assert shown != fingerprint(type(VAULT)(b"1" * 32), data)


def test_the_seed_does_not_follow_from_what_is_shown(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    """With the seed one could repeat the fit under every sequence until the numbers match."""
    fit = make_fit(session, analyst, trial, now)
    known = (fit.data_hash, fit.protocol_hash)

    assert fit.seed == secret_seed(VAULT, *known)
    assert fit.seed != secret_seed(type(VAULT)(b"1" * 32), *known)
    assert 0 <= fit.seed < 2**31


def test_the_reference_stays_hidden_in_words_and_numbers(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    """The whole rule says that none beats the reference; the blinded reader hears who leads."""
    protocol = replace(PROTOCOL, comparator="amitriptyline")
    trial = make_completed(session, clinician, now, protocol)
    fit = make_fit(session, analyst, trial, now)
    masked = fit_result(session, VAULT, analyst, trial, fit).summary
    whole = fit_result(session, VAULT, SYSTEM, trial, fit).summary

    assert whole["verdict"]["kind"] == "none"
    assert masked["verdict"]["kind"] == "best"
    assert "reference" not in json.dumps(masked)


def test_in_an_open_trial_the_analyst_sees_treatments(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, open_protocol())
    fit = make_fit(session, analyst, trial, now)
    result = fit_result(session, VAULT, analyst, trial, fit)

    assert sorted((result.treatments or {}).values()) == ["Amitriptyline", "Ibuprofen"]
    assert "half_lives" in result.summary


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PATIENT, Role.PHARMACIST])
def test_nobody_but_the_analyst_looks_before_the_release(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime, role: Role
):
    fit = make_fit(session, analyst, trial, now)
    reader = replace(analyst, role=role)

    for look in (
        lambda: live_result(session, VAULT, reader, trial),
        lambda: fit_result(session, VAULT, reader, trial, fit),
        lambda: released_result(session, VAULT, reader, trial),
    ):
        with pytest.raises(NotAllowedError):
            look()


def test_the_live_look_is_provisional_and_masked(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    trial = make_running(session, clinician, now)
    fill_diary(session, trial)
    result = live_result(session, VAULT, analyst, trial)

    assert result.provisional
    assert result.fit is None
    assert "half_lives" not in result.summary
    assert "seed" not in result.summary["provenance"]
    assert result.summary["arms"]


FOUR_BLOCKS = replace(PROTOCOL, design=replace(PROTOCOL.design, blocks=4, run_in_days=2))


def test_looking_every_day_does_not_tell_which_arm_is_in_force(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    """Within a block nothing moves; with it, the arm that moves would be today's."""
    trial = make_running(session, clinician, now, FOUR_BLOCKS)
    looks = []
    noise = np.random.default_rng(3)
    end_of_second, end_of_third = 2 + 28, 2 + 42
    for number, day in enumerate(trial_days(trial, FOUR_BLOCKS)[:end_of_third], start=1):
        fill_day(session, trial, day, round(5 + noise.normal()), bother=day.day % 2)
        if number in {end_of_second, 31, 38, end_of_third - 1, end_of_third}:
            summary = live_result(session, VAULT, analyst, trial).summary
            looks.append(json.dumps({**summary, "seconds": 0}, sort_keys=True))

    assert '"arms": {"A"' in looks[0]
    assert looks[0] == looks[1] == looks[2] == looks[3]
    assert looks[4] != looks[3]


def test_an_interim_fit_of_a_blinded_trial_takes_whole_blocks(
    session: Session, clinician: Actor, analyst: Actor, now: datetime
):
    trial = make_running(session, clinician, now, FOUR_BLOCKS)
    for day in trial_days(trial, FOUR_BLOCKS)[: 2 + 33]:
        fill_day(session, trial, day, day.day % 5 + 3)
    fit = request_fit(session, VAULT, analyst, trial, purpose="interim", now=now)

    assert prepare_fit(session, VAULT, fit).data.days == 2 + 28


def test_an_open_trial_is_looked_at_day_by_day(session: Session, clinician: Actor, now: datetime):
    protocol = open_protocol(FOUR_BLOCKS)
    trial = make_running(session, clinician, now, protocol)
    for day in trial_days(trial, protocol)[: 2 + 33]:
        fill_day(session, trial, day)

    assert assemble_data(session, VAULT, trial).days == 2 + 33


# ---- the release


def released(session: Session, analyst: Actor, trial: TrialRow, now: datetime) -> FitRow:
    fit = make_fit(session, analyst, trial, now)
    release_result(
        session,
        VAULT,
        analyst,
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="Diagnostics are good.",
        now=now,
    )
    return fit


def test_the_release_opens_everything_to_those_concerned(
    session: Session, clinician: Actor, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = released(session, analyst, trial, now)
    key = sealed_arm_key(session, VAULT, trial)
    best = next(label for label, treatment in key.items() if treatment == "amitriptyline")

    assert trial.current_state is State.RELEASED
    for role in (Role.CLINICIAN, Role.PATIENT, Role.ANALYST):
        result = released_result(session, VAULT, replace(clinician, role=role), trial)
        assert result.fit is fit
        assert (result.treatments or {})[best] == "Amitriptyline"
        assert result.summary["verdict"]["arm"] == best
        assert result.summary["provenance"]["seed"] == str(fit.seed)
        plain_hash = assemble_data(session, VAULT, trial).data_hash
        assert result.summary["provenance"]["data_hash"] == plain_hash


def release(session: Session, analyst: Actor, trial: TrialRow, fit: FitRow, now: datetime) -> None:
    release_result(
        session,
        VAULT,
        analyst,
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="",
        now=now,
    )


def test_a_stale_page_releases_nothing(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = make_fit(session, analyst, trial, now)

    with pytest.raises(EditConflictError):
        release_result(
            session,
            VAULT,
            analyst,
            trial,
            revision=trial.revision - 1,
            fit=fit.public_id,
            comment="",
            now=now,
        )


def test_a_fit_of_one_engine_is_not_released(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = request_fit(session, VAULT, analyst, trial, purpose="final", now=now)
    task = prepare_fit(session, VAULT, fit)
    exact_only = analyze(task.data, task.specification, seed=task.seed, draws=500)
    finish_fit(session, VAULT, fit, task, exact_only, now)

    with pytest.raises(AnalysisError, match="engines"):
        release(session, analyst, trial, fit, now)


def test_a_diary_that_changed_asks_for_a_new_fit(
    session: Session, analyst: Actor, clinician: Actor, now: datetime
):
    trial = make_completed(session, clinician, now, missed={28})
    late = partial(fill_day, session, trial, trial_days(trial)[-1])
    fit = make_fit(session, analyst, trial, now, meanwhile=late)

    with pytest.raises(AnalysisError, match="changed"):
        release(session, analyst, trial, fit, now)
    newer = make_fit(session, analyst, trial, now)
    with pytest.raises(AnalysisError, match="newest"):
        release(session, analyst, trial, fit, now)
    release(session, analyst, trial, newer, now)
    assert trial.current_state is State.RELEASED


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PHARMACIST, Role.ADMINISTRATOR])
def test_only_the_analyst_releases(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime, role: Role
):
    fit = make_fit(session, analyst, trial, now)

    with pytest.raises(NotAllowedError):
        release(session, replace(analyst, role=role), trial, fit, now)


def test_nothing_is_released_twice(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = released(session, analyst, trial, now)

    with pytest.raises(StateError):
        release(session, analyst, trial, fit, now)


def test_an_allocation_that_is_not_the_promised_one_stops_the_release(
    session: Session,
    analyst: Actor,
    trial: TrialRow,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
):
    fit = make_fit(session, analyst, trial, now)
    monkeypatch.setattr(allocation, "verify_commitment", lambda *_values: False)

    with pytest.raises(AllocationError, match="promised"):
        release(session, analyst, trial, fit, now)
    assert trial.current_state is State.ANALYSED


def test_a_refused_analysis_can_be_released_as_what_it_is(
    session: Session, analyst: Actor, trial: TrialRow, now: datetime
):
    fit = request_fit(session, VAULT, analyst, trial, purpose="final", now=now)
    task = prepare_fit(session, VAULT, fit)
    refused = replace(run_exactly(task), verdict=refuse((engines_disagree(),)))
    finish_fit(session, VAULT, fit, task, refused, now)
    release(session, analyst, trial, fit, now)
    result = released_result(session, VAULT, analyst, trial)

    assert result.summary["verdict"]["kind"] == "refused"
    assert not result.summary["arms"]


def test_the_sequence_is_sealed_apart_from_the_code(session: Session, trial: TrialRow):
    """The fit reads masked labels; whoever holds these alone cannot name a treatment."""
    row = session.scalars(select(AllocationRow).where(AllocationRow.trial_id == trial.id)).one()

    assert b"amitriptyline" not in row.sealed_sequence + row.sealed_code
    assert set(masked_sequence(session, VAULT, trial)) == {"A", "B"}
