"""Every report is looked at: what is kept, what came too late, and what waited on a phone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    actor_for,
    evening,
    make_actor,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.canonical import canonical_json
from trials.domain.design import Design
from trials.domain.diary import Answers, Intake, Questionnaire, RescueUse, SideEffect, Source
from trials.domain.protocol import Candidate
from trials.services.alerts import acknowledge
from trials.services.diary import record_entry
from trials.services.screening import advice_for, phone_kit, watch_refused, watch_words
from trials.store.alert import AlertRow, alerts_of_trial

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
LISTED = ("nausea", "chest_pain", "rash", "tremor", "sweating", "shortness_of_breath", "fall")
ASKED = Questionnaire(tuple(SideEffect(key, key) for key in LISTED), rescue="paracetamol 500 mg")
DESIGN = Design(("A", "B"), blocks=2, period_days=7, washout_days=2, run_in_days=4)
WATCHED = replace(PROTOCOL, questionnaire=ASKED, design=DESIGN)


@pytest.fixture
def trial(session: Session):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    return make_running(session, clinician, NOON, WATCHED)


def answers(pain: int = 4, **more) -> Answers:
    effects = dict.fromkeys(LISTED, 0) | more.pop("effects", {})
    return Answers(pain=pain, bother=1, side_effects=effects, intake=Intake.ALL, **more)


def report(session: Session, trial, number: int, given: Answers, *, key: str = "", later=0):
    day = trial_days(trial, WATCHED)[number]
    return record_entry(
        session,
        trial,
        day,
        given,
        source=Source.PATIENT,
        author=patient_actor(trial.patient),
        key=key or uuid4().hex,
        now=evening(day) + timedelta(minutes=later),
    )


def raised(session: Session, trial) -> list[tuple[str, str]]:
    """Return rule and source of every alert, oldest first."""
    return [(a.rule, a.source) for a in reversed(alerts_of_trial(session, trial.id))]


def test_an_ordinary_evening_raises_nothing(session: Session, trial):
    report(session, trial, 0, answers(effects={"nausea": 3}, note="A good day.", rescue_doses=8))

    assert raised(session, trial) == []


def test_a_ticked_side_effect_raises_its_rule_with_the_entry_and_its_signs(session: Session, trial):
    report(session, trial, 0, answers(effects={"chest_pain": 1}))

    (alert,) = alerts_of_trial(session, trial.id)
    assert (alert.rule, alert.urgency, alert.signs) == ("RF-CARDIAC", "immediate", "chest_pain")
    assert alert.diary_entry_id is not None
    assert alert.day == trial_days(trial, WATCHED)[0]


def test_a_note_is_screened_in_the_patients_language(session: Session, trial):
    trial.patient.locale = "de"
    report(session, trial, 0, answers(note="Ich möchte nicht mehr leben."))

    assert raised(session, trial) == [("RF-SUICIDE", "diary")]


def test_a_note_is_screened_in_every_language_whatever_the_patients(session: Session, trial):
    trial.patient.locale = "de"
    report(session, trial, 0, answers(note="Je vais me tuer."))

    assert raised(session, trial) == [("RF-SUICIDE", "diary")]
    assert "mourir" in phone_kit(trial, WATCHED).words["suicidal"]


def test_an_entry_sent_again_and_a_correction_raise_no_second_alert(session: Session, trial):
    given = answers(effects={"chest_pain": 2})
    report(session, trial, 0, given, key="k" * 20)
    report(session, trial, 0, given, key="k" * 20)
    report(session, trial, 0, answers(effects={"chest_pain": 3}), later=5)

    assert raised(session, trial) == [("RF-CARDIAC", "diary")]


def test_a_red_flag_added_by_a_correction_is_raised(session: Session, trial):
    report(session, trial, 0, answers())
    report(session, trial, 0, answers(effects={"fall": 1}), later=5)

    assert raised(session, trial) == [("RF-FALL", "diary")]


def test_several_red_flags_of_one_entry_are_several_alerts(session: Session, trial):
    report(session, trial, 0, answers(effects={"chest_pain": 1, "fall": 1}))

    assert set(raised(session, trial)) == {("RF-CARDIAC", "diary"), ("RF-FALL", "diary")}


def test_more_rescue_doses_than_the_daily_maximum_are_told(session: Session, trial):
    report(session, trial, 0, answers(rescue_doses=9))  # of 500 mg: 4.5 g

    assert raised(session, trial) == [("RF-OVERDOSE", "diary")]


def test_one_substance_in_two_rescue_medicines_is_summed(session: Session, trial):
    names = ("paracetamol 500 mg", "Dafalgan 1 g")
    asked = replace(ASKED, rescue=names[0], more_rescue=names[1:])
    clinician = actor_for(trial.clinician, Role.CLINICIAN)
    two = make_running(session, clinician, NOON, replace(WATCHED, questionnaire=asked))
    used = (RescueUse(names[0], 4), RescueUse(names[1], 3))

    report(session, two, 0, answers(rescue_doses=7, rescue=used))

    (alert,) = alerts_of_trial(session, two.id)
    assert (alert.rule, alert.signs) == ("RF-OVERDOSE", "too_many_doses")


def test_pain_of_nine_on_two_days_is_told_once_the_second_is_there(session: Session, trial):
    report(session, trial, 0, answers(9))
    first = raised(session, trial)
    report(session, trial, 1, answers(9))

    assert first == []
    assert raised(session, trial) == [("RF-PAIN9", "diary")]


def test_a_late_report_between_two_others_completes_the_row(session: Session, trial):
    report(session, trial, 0, answers(9))
    report(session, trial, 2, answers(9))
    missing = trial_days(trial, WATCHED)[1]
    record_entry(
        session,
        trial,
        missing,
        answers(9),
        source=Source.PATIENT,
        author=patient_actor(trial.patient),
        key=uuid4().hex,
        now=evening(missing) + timedelta(hours=20),
    )

    assert raised(session, trial) == [("RF-PAIN9", "diary")]


def test_pain_that_rises_above_the_run_in_for_three_days_is_told(session: Session, trial):
    for number in range(4):
        report(session, trial, number, answers(3))
    for number in (4, 5):
        report(session, trial, number, answers(6))
    before = raised(session, trial)
    report(session, trial, 6, answers(6))

    assert before == []
    assert raised(session, trial) == [("RF-PAIN9", "diary")]


def test_a_report_that_comes_too_late_to_be_kept_still_raises_its_flags(session: Session, trial):
    day = trial_days(trial, WATCHED)[0]
    given = answers(effects={"chest_pain": 3})

    watch_refused(session, patient_actor(trial.patient), trial, day, given, NOON)
    watch_refused(session, patient_actor(trial.patient), trial, day, given, NOON)

    assert raised(session, trial) == [("RF-CARDIAC", "refused")]


def test_another_note_after_the_first_was_dealt_with_is_told(session: Session, trial):
    clinician = actor_for(trial.clinician, Role.CLINICIAN)
    report(session, trial, 0, answers(note="I want to die"), key="a" * 20)
    (first,) = alerts_of_trial(session, trial.id)
    acknowledge(session, clinician, first.public_id, deed="Called.", now=NOON)
    report(session, trial, 0, answers(note="I will kill myself"), key="b" * 20, later=5)
    report(session, trial, 0, answers(note="I will kill myself"), key="b" * 20, later=6)

    assert raised(session, trial) == [("RF-SUICIDE", "diary")] * 2


def test_the_same_words_from_another_form_are_news_and_sent_twice_are_not(session: Session, trial):
    actor, told = patient_actor(trial.patient), []
    for key in ("a", "a", "b"):
        watch_words(session, actor, trial, "I want to die", NOON, key=key)
        for alert in alerts_of_trial(session, trial.id):
            if alert.acknowledged_at is None:
                clinician = actor_for(trial.clinician, Role.CLINICIAN)
                acknowledge(session, clinician, alert.public_id, deed="Called.", now=NOON)
        told.append(len(alerts_of_trial(session, trial.id)))

    assert told == [1, 1, 2]


def test_words_that_are_no_diary_entry_are_screened_too(session: Session, trial):
    actor = patient_actor(trial.patient)

    found = watch_words(session, actor, trial, "I want to die", NOON)
    nothing = watch_words(session, actor, trial, "I am on holiday", NOON)

    assert ([rule.id for rule in found], nothing) == (["RF-SUICIDE"], ())
    assert raised(session, trial) == [("RF-SUICIDE", "words")]


def test_advice_needs_no_alert_and_no_message(session: Session, trial):
    day = trial_days(trial, WATCHED)[0]

    found = advice_for(session, trial, day, answers(note="suicide"))

    assert [rule.id for rule in found] == ["RF-SUICIDE"]
    assert session.query(AlertRow).count() == 0


# ---- blinding --------------------------------------------------------------------------------


def test_the_same_report_raises_the_same_in_every_period(session: Session, trial):
    """Groups of treatments are those of the whole trial, not of the box in use."""
    given = answers(effects={"tremor": 1, "sweating": 1})
    for number in range(len(trial_days(trial, WATCHED))):
        report(session, trial, number, given)

    assert raised(session, trial) == [("RF-SEROTONIN", "diary")] * DESIGN.total_days


def test_what_a_phone_takes_along_names_no_treatment_and_no_group(session: Session, trial):
    kit = canonical_json(phone_kit(trial, WATCHED))

    for candidate in WATCHED.candidates:
        assert candidate.treatment not in kit
        assert candidate.name not in kit
    assert '"group":""' in kit
    assert "serotonergic" not in kit


def test_a_phone_knows_every_rule_that_one_report_can_raise(session: Session, trial):
    known = {rule.id for rule in phone_kit(trial, WATCHED).rules}

    assert known >= {"RF-SUICIDE", "RF-CARDIAC", "RF-SEROTONIN", "RF-OVERDOSE"}
    assert known.isdisjoint({"RF-PAIN9", "RF-NODIARY"})  # they need the course of the diary


def test_a_rule_about_a_group_is_not_taken_along_where_no_arm_belongs_to_it(
    session: Session, trial
):
    plain = replace(WATCHED, candidates=(WATCHED.candidates[0], Candidate("placebo", "Placebo")))

    assert "RF-SEROTONIN" not in {rule.id for rule in phone_kit(trial, plain).rules}
