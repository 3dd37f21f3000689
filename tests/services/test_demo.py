"""The demonstration stands at every stage of a trial's life, and its answers are earned."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from models.analysis import analyze
from tests.builders import VAULT
from trials.domain.audit import first_broken
from trials.domain.life_cycle import State
from trials.services import allocation
from trials.services.analysis import assemble_data, specify
from trials.services.demo import STORIES, fill_demo, release_demo
from trials.store.audit import chain
from trials.store.trial import TrialRow, frozen_protocol

EARLY = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
LATE = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)


def _trials(session: Session) -> dict[str, TrialRow]:
    return {trial.patient.code: trial for trial in session.scalars(select(TrialRow))}


@pytest.mark.parametrize("now", [EARLY, LATE], ids=["morning", "night"])
def test_every_story_is_told_up_to_now(sessions: sessionmaker[Session], now: datetime):
    fill_demo(sessions, VAULT, now)

    with sessions() as session:
        trials = _trials(session)
        assert sorted(trials) == sorted(story.code for story in STORIES)
        assert trials["D-01"].state == State.DRAFT
        assert trials["D-02"].state == State.RUNNING
        assert assemble_data(session, VAULT, trials["D-02"]).days in {19, 20}
        assert first_broken(chain(session)) is None


def test_the_answers_are_those_the_stories_promise(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
):
    """The draw is fixed here; the names of the arms are found through it, as anybody would."""
    monkeypatch.setattr(allocation, "new_seed", lambda: bytes(range(32)))
    fill_demo(sessions, VAULT, EARLY)

    with sessions() as session:
        verdicts = {}
        for code, trial in _trials(session).items():
            if code in {"D-04", "D-05", "D-06"}:
                key = allocation.sealed_arm_key(session, VAULT, trial)
                protocol = frozen_protocol(session, trial.id).value
                found = analyze(
                    assemble_data(session, VAULT, trial), specify(protocol, key), seed=1
                ).verdict
                verdicts[code] = (found.kind.value, key.get(found.arm or ""))
    assert verdicts == {
        "D-04": ("best", "ibuprofen"),
        "D-05": ("equal", None),
        "D-06": ("undetermined", None),
    }


def test_nothing_is_released_before_it_is_analysed(sessions: sessionmaker[Session]):
    fill_demo(sessions, VAULT, EARLY)

    assert release_demo(sessions, VAULT, EARLY) is False
    with sessions() as session:
        assert State.RELEASED not in {trial.state for trial in _trials(session).values()}
