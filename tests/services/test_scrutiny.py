"""What stands beside a verdict: what a blinded reader sees of it, and what waits."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy.orm import Session

from models.analysis import analyze
from models.data import TrialData, trial_data
from models.sensitivity import Intake
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, DecisionRule, Specification
from tests.builders import evening, fill_day, make_actor, make_running, make_site, trial_days
from trials.domain.blinding import Role
from trials.services.scrutiny import Beside, assemble_beside, scrutinize
from trials.services.summary import opened, summary_of, with_scrutiny

ARMS = ("A", "B", "C")
SPECIFICATION = Specification(
    arms=tuple(
        Arm(label=label, half_life_days=days, burden=own)
        for label, days, own in zip(ARMS, (1.5, 0.5, 1.0), (0.0, 0.4, 0.0), strict=True)
    ),
    carryover=True,
    weights={"bother": 0.5},
    decision=DecisionRule(comparator="A"),
)


@pytest.fixture(scope="module")
def data() -> TrialData:
    rng = np.random.default_rng(4)
    patient = SimulatedPatient(level=6.0, effects=(0.0, -2.0, -0.2), sd=1.0, missing=0.1)
    made = simulate_trial(
        patient,
        SPECIFICATION,
        np.repeat([0, 1, 2, 2, 0, 1, 1, 2, 0], 7),
        day_period=np.repeat(np.arange(9), 7),
        generator=np.random.default_rng(20),
    )
    bother = np.clip(1.0 + 2.0 * (made.day_arm == 1) + rng.normal(size=made.days), 0, 10)
    return replace(made, bothers={"bother": bother})


@pytest.fixture(scope="module")
def beside(data: TrialData) -> Beside:
    rng = np.random.default_rng(5)
    sleep = np.clip(np.round(4 - 2 * (data.day_arm == 1) + rng.normal(size=data.days)), 0, 10)
    taken = np.where(np.arange(data.days) % 6 == 0, 0.5, 1.0)
    return Beside(
        secondary={
            "sleep": np.where(rng.random(data.days) < 0.2, np.nan, sleep),
            "rescue_doses": rng.poisson(1.0, data.days).astype(np.float64),
            "interference": np.where(np.arange(data.days) < 9, 3.0, np.nan),
        },
        intake=Intake(np.ones(data.days), taken),
    )


@pytest.fixture(scope="module")
def analysis(data: TrialData):
    return analyze(data, SPECIFICATION, seed=3)


@pytest.fixture(scope="module")
def scrutiny(analysis, beside):
    return scrutinize(analysis, beside, seed=3)


def test_everything_is_there_for_a_reader_who_may_know_the_arms(scrutiny):
    whole = scrutiny.sealed
    told = [row["what"]["message"] for row in whole["sensitivity"]["rows"]]

    assert len(told) == 2 + 1 + 2 + 1 + 9
    assert whole["sensitivity"]["sentence"]["message"].startswith("The verdict holds in")
    assert {point["arm"] for point in whole["sensitivity"]["tipping"]} <= set(ARMS)
    assert 0 <= whole["reversal"]["p_order"] <= 1
    assert [one["name"] for one in whole["secondary"]] == ["sleep", "rescue_doses", "interference"]
    assert whole["foresight"]["days"] > 0
    assert whole["days"]["days"] > 40
    assert "half_life[A]" in whole["learned"]


def test_a_blinded_reader_gets_nothing_of_a_period_a_half_life_or_missing_days(scrutiny):
    text = json.dumps(scrutiny.masked)
    rows = [row["what"]["message"] for row in scrutiny.masked["sensitivity"]["rows"]]

    assert len(rows) == 4
    assert "period %(period)s is left out" not in text
    assert "fade" not in text
    assert "half_life" not in text
    assert scrutiny.masked["sensitivity"]["tipping"] == []
    assert "surprising" not in scrutiny.masked["days"]
    assert "day %(list)s" not in text


def test_what_a_blinded_reader_gets_does_not_change_with_reference_and_own_burdens(
    analysis, scrutiny, data, beside
):
    """The two trials differ in what the arms are, and in nothing that was measured."""
    other = replace(
        SPECIFICATION,
        arms=tuple(replace(arm, burden=0.7 - arm.burden) for arm in SPECIFICATION.arms),
        decision=replace(SPECIFICATION.decision, comparator="B"),
    )
    twin = scrutinize(analyze(data, other, seed=3), beside, seed=3)

    assert twin.masked == scrutiny.masked
    assert twin.sealed != scrutiny.sealed


def test_sleep_is_best_where_it_was_and_too_few_answers_are_told(scrutiny):
    sleep, rescue, interference = scrutiny.sealed["secondary"]

    assert sleep["p_best"]["B"] > 0.9
    assert sleep["sentence"]["values"]["arm"] == "B"
    assert rescue["measure"] == "count"
    assert set(rescue["arms"]) == set(ARMS)
    assert interference["arms"] == {}
    assert interference["sentence"] is None
    assert interference["reasons"]


def test_reasons_name_no_arm_to_a_blinded_reader(scrutiny):
    masked, whole = scrutiny.masked["secondary"][2], scrutiny.sealed["secondary"][2]

    assert any("arm" in reason["values"] for reason in whole["reasons"])
    assert not any("arm" in reason["values"] for reason in masked["reasons"])


def test_both_parts_can_be_kept_as_json_and_come_together_again(analysis, scrutiny):
    kept = with_scrutiny(summary_of(analysis), scrutiny)
    json.dumps(kept.masked, allow_nan=False)
    json.dumps(kept.sealed["whole_scrutiny"], allow_nan=False)

    assert kept.masked["scrutiny"] == scrutiny.masked
    assert opened(kept)["scrutiny"] == scrutiny.sealed


def test_a_refused_verdict_has_nothing_beside_it(data, beside):
    silent = data.with_outcome(np.full(data.days, np.nan))
    found = scrutinize(analyze(silent, SPECIFICATION, seed=1), beside, seed=1)

    assert found.masked == found.sealed == {}


def test_late_reports_are_known_by_their_day(session: Session):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_running(session, clinician, datetime(2026, 3, 1, 6, 0, tzinfo=UTC))
    days = trial_days(trial)[:3]
    fill_day(session, trial, days[0], at=evening(days[1], 12))
    fill_day(session, trial, days[1])

    found = assemble_beside(session, trial, trial_data(("A", "B"), [0] * 3, np.zeros(3)))

    assert found.late is not None
    assert found.late.tolist() == [True, False, False]
