"""The verdict at another weight, for those who may see results, and changing nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from math import nan

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    VAULT,
    make_actor,
    make_completed,
    make_fit,
    make_site,
)
from trials.domain.blinding import Role
from trials.domain.design import Outcome
from trials.domain.errors import NotAllowedError, ProtocolError
from trials.services import allocation
from trials.services.actor import Actor
from trials.services.analysis import live_result, release_result
from trials.services.what_if import what_if
from trials.store.audit import AuditRow
from trials.store.fit import FitRow
from trials.store.trial import TrialRow

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)


@pytest.fixture
def people(session: Session) -> dict[Role, Actor]:
    site = make_site(session)
    return {role: make_actor(session, site, role) for role in (Role.CLINICIAN, Role.ANALYST)}


@pytest.fixture
def completed(session: Session, people: dict[Role, Actor]) -> TrialRow:
    return make_completed(session, people[Role.CLINICIAN], START)


def release(session: Session, people: dict[Role, Actor], trial: TrialRow) -> None:
    fit = make_fit(session, people[Role.ANALYST], trial, NOW)
    release_result(
        session,
        VAULT,
        people[Role.ANALYST],
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="",
        now=NOW,
    )


def test_at_the_frozen_weight_it_says_what_the_verdict_says(session, people, completed):
    analyst = people[Role.ANALYST]
    found = what_if(session, VAULT, analyst, completed, PROTOCOL.bother_weight)
    live = live_result(session, VAULT, analyst, completed).summary

    assert found.frozen == PROTOCOL.bother_weight
    assert found.verdict["kind"] == live["verdict"]["kind"]
    for label, arm in found.arms.items():
        assert arm.mean == pytest.approx(live["arms"][label]["mean"], abs=0.02)
        assert arm.p_best == pytest.approx(live["arms"][label]["p_best"], abs=0.01)


def test_a_heavier_weight_makes_a_heavier_burden_and_keeps_nothing(session, people, completed):
    analyst = people[Role.ANALYST]
    counts = [session.scalar(select(func.count()).select_from(r)) for r in (FitRow, AuditRow)]
    pain, heavy = (what_if(session, VAULT, analyst, completed, w) for w in (0.0, 2.0))

    assert all(heavy.arms[label].mean > pain.arms[label].mean for label in pain.arms)
    assert counts == [
        session.scalar(select(func.count()).select_from(r)) for r in (FitRow, AuditRow)
    ]


def test_a_blinded_reader_gets_labels_and_the_rule_without_treatments(session, people):
    telling = replace(
        PROTOCOL,
        comparator="ibuprofen",
        candidates=(PROTOCOL.candidates[0], replace(PROTOCOL.candidates[1], burden=0.9)),
    )
    trial = make_completed(session, people[Role.CLINICIAN], START, telling)
    found = what_if(session, VAULT, people[Role.ANALYST], trial, 1.0)
    release(session, people, trial)
    opened = what_if(session, VAULT, people[Role.CLINICIAN], trial, 1.0)

    assert found.treatments is None
    assert set(found.arms) == {"A", "B"}
    assert opened.treatments is not None
    assert sorted(opened.treatments.values()) == ["Amitriptyline", "Ibuprofen"]
    shifts = sorted(round(opened.arms[a].mean - found.arms[a].mean, 3) for a in found.arms)
    assert shifts == [0.0, 0.9]


def test_no_digit_depends_on_which_treatment_an_arm_is(session, people, monkeypatch):
    """Not even the last one, in which another seed would show: same diary, other treatments."""
    alike = tuple(replace(c, effect_half_life_days=0.5) for c in PROTOCOL.candidates)
    protocol = replace(PROTOCOL, candidates=alike, comparator="ibuprofen")
    trial = make_completed(session, people[Role.CLINICIAN], START, protocol)
    first = allocation.sealed_arm_key(session, VAULT, trial)
    swapped = dict(zip(first, reversed(first.values()), strict=True))
    seen = []
    for key in (first, swapped):
        monkeypatch.setattr(allocation, "sealed_arm_key", lambda *_, key=key: key)
        live = live_result(session, VAULT, people[Role.ANALYST], trial).summary
        seen.append((what_if(session, VAULT, people[Role.ANALYST], trial, 1.5), live["arms"]))

    assert first != swapped
    assert seen[0] == seen[1]


def test_the_clinician_waits_for_the_release(session, people, completed):
    with pytest.raises(NotAllowedError):
        what_if(session, VAULT, people[Role.CLINICIAN], completed, 1.0)
    release(session, people, completed)

    assert what_if(session, VAULT, people[Role.CLINICIAN], completed, 1.0).arms


@pytest.mark.parametrize("weight", [-0.1, 5.1, nan])
def test_what_is_no_weight_is_refused(session, people, completed, weight):
    with pytest.raises(ProtocolError):
        what_if(session, VAULT, people[Role.ANALYST], completed, weight)


def test_what_the_two_engines_refused_is_shown_at_no_weight(session, people, completed):
    """The exact engine alone would answer; both together did not agree."""
    analyst = people[Role.ANALYST]
    fit = make_fit(session, analyst, completed, NOW)
    before = what_if(session, VAULT, analyst, completed, 1.0)
    reason = {"message": "Both engines do not agree.", "values": {}}
    fit.summary = {
        **fit.summary,
        "verdict": {**fit.summary["verdict"], "kind": "refused", "reasons": [reason]},
    }
    session.flush()
    after = what_if(session, VAULT, analyst, completed, 1.0)

    assert before.arms
    assert after.arms == {}
    assert after.verdict["kind"] == "refused"
    assert after.verdict["reasons"] == [reason]


def test_a_diary_that_cannot_be_judged_gives_its_reasons_and_no_number(session, people):
    missed = range(4, 28)
    trial = make_completed(session, people[Role.CLINICIAN], START, missed=missed)
    found = what_if(session, VAULT, people[Role.ANALYST], trial, 1.0)

    assert found.verdict["kind"] == "refused"
    assert found.verdict["reasons"]
    assert found.arms == {}


def test_pain_alone_was_agreed_and_side_effects_can_still_be_tried(session, people):
    alone = replace(PROTOCOL, outcome=Outcome.PAIN)
    trial = make_completed(session, people[Role.CLINICIAN], START, alone)
    analyst = people[Role.ANALYST]

    assert what_if(session, VAULT, analyst, trial, 0.0).frozen == 0.0
    assert (
        what_if(session, VAULT, analyst, trial, 1.0).arms["A"].mean
        > what_if(session, VAULT, analyst, trial, 0.0).arms["A"].mean
    )
