"""What stands beside a verdict on the analyst's and the clinician's pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    last_evening,
    make_account,
    make_completed,
    make_running,
    make_site,
    run_exactly,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.diary import Questionnaire
from trials.services.actor import Actor
from trials.services.analysis import finish_fit, prepare_fit, release_result, request_fit
from trials.services.guesses import record_guess
from trials.services.scrutiny import scrutinize
from trials.store.database import open_engine, session_maker
from trials.store.fit import FitRow
from trials.store.trial import TrialRow

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)
ASKING = replace(
    PROTOCOL,
    questionnaire=Questionnaire(PROTOCOL.questionnaire.side_effects, rescue="Paracetamol"),
)


@dataclass(frozen=True, slots=True)
class Clinic:
    """Both readers at their browsers, and one trial whose diary is complete."""

    analyst: Actor
    clinician: Actor
    at_analysis: Visitor
    at_clinic: Visitor
    session: Session
    trial: TrialRow

    def analyse(self) -> FitRow:
        fit = request_fit(self.session, VAULT, self.analyst, self.trial, purpose="final", now=NOW)
        task = prepare_fit(self.session, VAULT, fit)
        analysis = run_exactly(task)
        found = scrutinize(analysis, task.beside, seed=task.seed)
        finish_fit(self.session, VAULT, fit, task, analysis, NOW, scrutiny=found)
        self.session.commit()
        return fit

    def release(self, fit: FitRow) -> None:
        release_result(
            self.session,
            VAULT,
            self.analyst,
            self.trial,
            revision=self.trial.revision,
            fit=fit.public_id,
            comment="",
            now=NOW,
        )
        self.session.commit()

    def page(self, role: str, rest: str = "") -> str:
        return f"/{role}/trials/{self.trial.public_id}{rest}"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def clinic(app: Flask, database_url: str) -> Iterator[Clinic]:
    engine = open_engine(database_url)
    with session_maker(engine)() as session:
        site = make_site(session)
        accounts = [make_account(session, site, r) for r in (Role.ANALYST, Role.CLINICIAN)]
        analyst = actor_for(accounts[0], Role.ANALYST)
        clinician = actor_for(accounts[1], Role.CLINICIAN)
        trial = make_completed(session, clinician, START, ASKING)
        session.commit()
        visitors = []
        for account in accounts:
            visitor: Visitor = app.test_client()  # type: ignore[assignment]
            visitor.sign_in(account)
            visitors.append(visitor)
        yield Clinic(analyst, clinician, visitors[0], visitors[1], session, trial)
        session.rollback()
    engine.dispose()


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


LIMITED = replace(ASKING, severe_limit=0.1)


@pytest.fixture
def harmed(clinic: Clinic) -> Clinic:
    """The same clinic; the treatment with the least pain makes the patient feel sick."""
    trial = make_completed(
        clinic.session, clinic.clinician, START, LIMITED, severe_on="amitriptyline"
    )
    clinic.session.commit()
    return replace(clinic, trial=trial)


def test_a_veto_is_told_in_blind_by_its_arm_and_opens_with_what_it_was(harmed: Clinic):
    fit = harmed.analyse()
    blinded = text_of(harmed.at_analysis.get(harmed.page("analyst")).text)
    harmed.release(fit)
    opened = text_of(harmed.at_analysis.get(harmed.page("analyst")).text)
    result = text_of(harmed.at_clinic.get(harmed.page("clinician", "/result")).text)

    assert re.search(r"Arm [AB] is left out: the chance that a side effect is severe", blinded)
    assert "Feeling sick" not in blinded
    assert re.search(r"Arm [AB] is what remains", blinded)
    assert "Side effects by arm open with the release" in blinded
    for text in (opened, result):
        assert re.search(
            r"Amitriptyline( \([AB]\))? is left out: the chance that .Feeling sick", text
        )
        assert "Side effects by treatment" in text
        assert "Too often severe?" in text
    assert "a side effect severe on more than 10% of the days" in result
    assert "rounded and cut off when more than 15 % of the rated days" in result
    assert "Ibuprofen is what remains for this patient." in result
    assert "is best for this patient" not in result
    assert "is the chance that it is the best" not in result


def test_without_a_severe_day_the_table_stands_and_nothing_is_left_out(clinic: Clinic):
    clinic.release(clinic.analyse())
    result = text_of(clinic.at_clinic.get(clinic.page("clinician", "/result")).text)

    assert "Side effects, one by one" in result
    assert "Feeling sick" in result
    assert "is left out: the chance" not in result


def test_a_blinded_analyst_reads_what_tells_no_arm(clinic: Clinic):
    clinic.analyse()
    text = text_of(clinic.at_analysis.get(clinic.page("analyst")).text)

    assert "What the verdict depends on" in text
    assert "The verdict holds in" in text
    assert "If periods differ twice as much by themselves" in text
    assert "open with the release" in text
    assert "is left out" not in text
    assert "fade" not in text
    assert "would put the treatments in another order" in text
    assert "Can the model foresee?" in text
    assert "log predictive density" in text
    assert "Did the blinding hold?" not in text


def test_after_the_release_every_row_is_there_for_both(clinic: Clinic):
    at = last_evening(clinic.session, clinic.trial, 1)
    record_guess(
        clinic.session, clinic.trial, period=1, treatment="ibuprofen", certainty=2, why="", now=at
    )
    clinic.release(clinic.analyse())
    pages = (
        clinic.at_analysis.get(clinic.page("analyst")),
        clinic.at_clinic.get(clinic.page("clinician", "/result")),
    )
    for page in pages:
        text = text_of(page.text)

        assert "If effects fade twice as fast as assumed" in text
        assert "If period 4 is left out" in text
        assert "Did the blinding hold?" in text
        assert "fairly sure" in text
        assert "too few guesses" in text
        assert "What if side effects counted otherwise?" in text
    assert "Ibuprofen" in text_of(pages[1].text)


def test_secondary_outcomes_without_answers_say_so(clinic: Clinic):
    """The diary of the builders leaves sleep and rescue doses unanswered."""
    clinic.release(clinic.analyse())
    text = text_of(clinic.at_clinic.get(clinic.page("clinician", "/result")).text)

    assert "Pain disturbing sleep, 0 to 10: no figures, from 0 answered days." in text
    assert "Rescue doses a day: no figures" in text


def test_another_weight_is_answered_and_decides_nothing(clinic: Clinic):
    clinic.analyse()
    response = clinic.at_analysis.get(clinic.page("analyst", "/what-if?weight=1,5"))
    text = text_of(response.text)

    assert response.status_code == 200
    assert "What if one point of bother stood for 1.5 points of pain?" in text
    assert "the weight frozen with the protocol, 0.5, decides the verdict" in text
    assert "Arm A" in text
    assert "Ibuprofen" not in text
    frozen = text_of(clinic.at_analysis.get(clinic.page("analyst", "/what-if?weight=0.5")).text)
    assert "This is the weight that was frozen with the protocol." in frozen


def test_without_a_weight_the_field_holds_the_frozen_one(clinic: Clinic):
    clinic.release(clinic.analyse())
    response = clinic.at_clinic.get(clinic.page("clinician", "/what-if"))

    assert response.status_code == 200
    assert 'value="0.5"' in response.text
    assert "decides the verdict" not in response.text


@pytest.mark.parametrize("typed", ["", "abc", "7", "-1", "nan"])
def test_what_is_no_weight_comes_back_with_a_sentence(clinic: Clinic, typed: str):
    response = clinic.at_analysis.get(clinic.page("analyst", f"/what-if?weight={typed}"))

    assert response.status_code == 422
    assert "from 0 to 5" in response.text
    assert f'value="{typed}"' in response.text


def test_the_clinician_tries_no_weight_before_the_release(clinic: Clinic):
    fit = clinic.analyse()
    assert clinic.at_clinic.get(clinic.page("clinician", "/what-if?weight=1")).status_code == 403
    clinic.release(fit)
    text = text_of(clinic.at_clinic.get(clinic.page("clinician", "/what-if?weight=1")).text)

    assert "Amitriptyline is best for this patient" in text


def test_a_look_says_what_comes_with_an_analysis(clinic: Clinic):
    text = text_of(clinic.at_analysis.get(clinic.page("analyst")).text)

    assert "are computed with an analysis" in text
    assert "The verdict holds in" not in text
    running = make_running(clinic.session, clinic.clinician, NOW)
    clinic.session.commit()
    assert clinic.at_analysis.get(f"/analyst/trials/{running.public_id}").status_code == 200
