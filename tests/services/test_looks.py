"""Planned looks: written down at the start, taken once, and only a clear answer is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.decision import refuse
from models.words import engines_disagree
from tests.builders import (
    PROTOCOL,
    VAULT,
    evening,
    fill_diary,
    make_actor,
    make_running,
    make_site,
    run_exactly,
)
from trials.domain.blinding import Role
from trials.domain.design import LookSchedule
from trials.services import looks
from trials.services.actor import Actor
from trials.services.allocation import sealed_arm_key
from trials.services.running import pause_trial, stop_trial
from trials.store.audit import AuditRow
from trials.store.diary import days_of_trial
from trials.store.lease import claim_next
from trials.store.look import LookRow, looks_of_trial
from trials.store.outbox import MessageRow
from trials.store.trial import TrialRow

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
LOOKED_AT = replace(
    PROTOCOL, design=replace(PROTOCOL.design, blocks=4), looks=LookSchedule.EACH_BLOCK
)
ADDRESS = "https://lenitive.example"
CLEARLY = {"ibuprofen": 0.0, "amitriptyline": -4.0}
ALIKE = {"ibuprofen": 0.0, "amitriptyline": 0.0}


@pytest.fixture
def clinician(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician: Actor) -> TrialRow:
    return make_running(session, clinician, NOW, LOOKED_AT)


def end_of_block(session: Session, trial: TrialRow, block: int) -> datetime:
    """Return the instant at which the last day of a block can no longer be answered."""
    last = block * len(LOOKED_AT.design.arms)
    return max(d.late_until for d in days_of_trial(session, trial.id) if d.period == last)


def settle(session: Session, trial: TrialRow, at: datetime) -> None:
    """Mark what is over as the clock does."""
    for day in days_of_trial(session, trial.id):
        if day.state in {"planned", "open"} and day.late_until <= at:
            day.state = "missed"
    session.flush()


def take(session: Session, at: datetime) -> LookRow | None:
    """Take the look that is due, as a scheduler does."""
    return claim_next(session, LookRow, "test", at, timedelta(minutes=2))


def look_now(session: Session, trial: TrialRow, *, agree: bool = True) -> LookRow:
    """Take the first look after its block and finish it."""
    at = end_of_block(session, trial, 2)
    settle(session, trial, at)
    row = take(session, at)
    assert row is not None
    task = looks.prepare_look(session, VAULT, row, at)
    assert task is not None
    analysis = run_exactly(task)
    if not agree:
        analysis = replace(analysis, verdict=refuse((engines_disagree(),)))
    looks.finish_look(session, VAULT, row, task, analysis, at, address=ADDRESS)
    return row


def letters(session: Session, kind: str) -> list[MessageRow]:
    query = select(MessageRow).where(MessageRow.occasion.startswith(kind))
    return list(session.scalars(query))


def test_the_looks_are_written_down_when_the_trial_starts(session: Session, trial: TrialRow):
    assert [look.block for look in looks_of_trial(session, trial.id)] == [2, 3]


def test_a_trial_without_looks_has_none(session: Session, clinician: Actor):
    trial = make_running(session, clinician, NOW)

    assert looks_of_trial(session, trial.id) == []


def test_a_look_waits_for_its_block(session: Session, trial: TrialRow):
    early = end_of_block(session, trial, 2) - timedelta(days=3)

    assert take(session, early) is None


def test_a_look_waits_for_late_answers(session: Session, trial: TrialRow):
    """The last evening may still be answered for a day: looking now would look at less."""
    row = looks_of_trial(session, trial.id)[0]
    claimed = take(session, row.due_at)
    assert claimed is not None

    assert looks.prepare_look(session, VAULT, claimed, row.due_at) is None
    assert claimed.due_at > row.due_at - timedelta(seconds=1)
    assert claimed.attempts == 0
    assert claimed.claimed_by is None


def test_a_pause_puts_the_look_off(session: Session, clinician: Actor, trial: TrialRow):
    due = end_of_block(session, trial, 2)
    pause_trial(
        session, clinician, trial, revision=trial.revision, reason="Away", now=due - timedelta(10)
    )
    row = take(session, due)
    assert row is not None

    assert looks.prepare_look(session, VAULT, row, due) is None
    assert row.outcome == ""
    assert row.due_at > due


def test_a_look_takes_only_the_days_of_its_blocks(session: Session, trial: TrialRow):
    fill_diary(session, trial, CLEARLY)
    at = end_of_block(session, trial, 4)
    row = take(session, at)
    assert row is not None

    task = looks.prepare_look(session, VAULT, row, at)

    assert task is not None
    design = LOOKED_AT.design
    expected = design.run_in_days + 2 * len(design.arms) * design.period_days
    assert task.data.days == expected


def test_a_clear_answer_is_told_once_and_names_no_arm(session: Session, trial: TrialRow):
    fill_diary(session, trial, CLEARLY)

    row = look_now(session, trial)

    assert row.outcome == looks.CLEAR
    (letter,) = letters(session, "answer_clear")
    assert letter.recipient == trial.clinician.email
    for name in (*sealed_arm_key(session, VAULT, trial).values(), "amitriptyline", "ibuprofen"):
        assert name not in (letter.subject + letter.body).lower()
    assert looks.clear_look(session, trial) == 2


def test_the_masked_summary_of_a_look_tells_no_treatment(session: Session, trial: TrialRow):
    fill_diary(session, trial, CLEARLY)

    row = look_now(session, trial)

    assert row.sealed_summary is not None
    for name in ("amitriptyline", "ibuprofen", "half_life", "comparator"):
        assert name not in str(row.summary)


def test_what_is_not_clear_is_not_told(session: Session, trial: TrialRow):
    fill_diary(session, trial, ALIKE)

    row = look_now(session, trial)

    assert row.outcome == looks.NOT_CLEAR
    assert letters(session, "answer_clear") == []
    assert looks.clear_look(session, trial) == 0


def test_engines_that_disagree_stop_nothing(session: Session, trial: TrialRow):
    fill_diary(session, trial, CLEARLY)

    row = look_now(session, trial, agree=False)

    assert row.outcome == looks.NOT_CLEAR
    assert letters(session, "answer_clear") == []


def test_a_trial_that_ended_needs_no_look(session: Session, clinician: Actor, trial: TrialRow):
    due = end_of_block(session, trial, 2)
    stop_trial(
        session, clinician, trial, revision=trial.revision, reason="Enough", now=evening(NOW.date())
    )
    row = take(session, due)
    assert row is not None

    assert looks.prepare_look(session, VAULT, row, due) is None
    assert row.outcome == looks.NOT_NEEDED
    assert row.done_at == due


def test_a_look_is_in_the_trail(session: Session, trial: TrialRow):
    fill_diary(session, trial, CLEARLY)
    row = look_now(session, trial)

    found = session.scalars(select(AuditRow).where(AuditRow.action == "take_look")).one()

    assert found.subject == f"look:{row.public_id}"
    assert found.after is not None
    assert found.after["block"] == 2


def test_harm_is_told_even_where_the_rest_cannot_be_judged(
    session: Session, clinician: Actor, monkeypatch: pytest.MonkeyPatch
):
    """The engines disagree on pain: no answer, but the severe side effects were counted."""
    limited = replace(LOOKED_AT, severe_limit=0.1)
    trial = make_running(session, clinician, NOW, limited)
    fill_diary(session, trial, CLEARLY, severe_on="amitriptyline")
    row = looks_of_trial(session, trial.id)[0]
    at = end_of_block(session, trial, row.block)
    settle(session, trial, at)
    task = looks.prepare_look(session, VAULT, row, at)
    assert task is not None
    analysis = replace(run_exactly(task), verdict=refuse((engines_disagree(),)))

    looks.finish_look(session, VAULT, row, task, analysis, at, address=ADDRESS)

    assert row.harm
    told = session.scalars(select(MessageRow)).all()
    assert any(message.occasion.startswith("harm_found:") for message in told)
    assert "nausea" not in "".join(message.subject + message.body for message in told)
