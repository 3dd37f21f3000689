"""The analyst's pages: nothing that tells an arm or a patient, and a release that is meant."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from models.decision import refuse
from models.words import not_converged
from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    fill_day,
    fill_diary,
    make_account,
    make_completed,
    make_draft,
    make_fit,
    make_running,
    make_site,
    open_protocol,
    run_exactly,
    trial_days,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.life_cycle import State
from trials.services.actor import SYSTEM, Actor
from trials.services.allocation import masked_sequence, open_allocation, sealed_arm_key
from trials.services.analysis import assemble_data, finish_fit, prepare_fit, request_fit
from trials.store.account import AccountRow
from trials.store.database import open_engine, session_maker
from trials.store.fit import FitRow, fits_of_trial, release_of
from trials.store.trial import TrialRow

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)

TELLING = replace(
    PROTOCOL,
    question="Is amitriptyline better for Pat?",
    comparator="ibuprofen",
    candidates=(
        PROTOCOL.candidates[0],
        replace(PROTOCOL.candidates[1], burden=0.3),
    ),
    design=replace(PROTOCOL.design, run_in_days=3),
)
"""A protocol in which everything that could be told is set."""


@dataclass(frozen=True, slots=True)
class Desk:
    """An analyst at work: the browser, the account, and a clinician to make trials."""

    visitor: Visitor
    account: AccountRow
    analyst: Actor
    clinician: Actor
    session: Session

    def get(self, path: str) -> TestResponse:
        self.session.commit()
        return self.visitor.get(path)

    def send(self, path: str, page: str, **fields: object) -> TestResponse:
        self.session.commit()
        response = self.visitor.submit(path, page, **fields)
        self.session.expire_all()
        return response


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def database(database_url: str) -> Iterator[sessionmaker[Session]]:
    engine = open_engine(database_url)
    yield session_maker(engine)
    engine.dispose()


@pytest.fixture
def desk(app: Flask, database: sessionmaker[Session]) -> Iterator[Desk]:
    with database() as session:
        site = make_site(session)
        account = make_account(session, site, Role.ANALYST, name="Ana Lyst")
        clinician = actor_for(make_account(session, site, Role.CLINICIAN), Role.CLINICIAN)
        session.commit()
        visitor: Visitor = app.test_client()  # type: ignore[assignment]
        visitor.sign_in(account)
        yield Desk(visitor, account, actor_for(account, Role.ANALYST), clinician, session)
        session.rollback()


def page_of(trial: TrialRow) -> str:
    return f"/analyst/trials/{trial.public_id}"


def release_page(trial: TrialRow, fit: FitRow) -> str:
    return f"{page_of(trial)}/analyses/{fit.public_id}/release"


def words_of(response: TestResponse) -> str:
    """Return the page without what is random: tokens and nonces."""
    return re.sub(r'(nonce|value)="[^"]{20,}"', "", response.text)


# ---- the list


def test_what_waits_comes_first_and_says_what_to_do(desk: Desk):
    trials = {
        "running": make_running(desk.session, desk.clinician, START),
        "completed": make_completed(desk.session, desk.clinician, START),
        "analysed": make_completed(desk.session, desk.clinician, START),
    }
    make_fit(desk.session, desk.analyst, trials["analysed"], NOW)
    draft = make_draft(desk.session, desk.clinician, START)
    text = desk.get("/analyst/trials").text
    places = [text.index(trials[name].public_id) for name in ("analysed", "completed", "running")]

    assert places == sorted(places)
    assert draft.public_id not in text
    assert "Read it and release it" in text
    assert "Ask for the final analysis" in text


def test_the_list_tells_where_an_analysis_stands_in_the_queue(desk: Desk):
    for state in ("waiting", "running", "failed"):
        trial = make_completed(desk.session, desk.clinician, START)
        fit = request_fit(desk.session, VAULT, desk.analyst, trial, purpose="final", now=NOW)
        if state == "running":
            fit.claimed_by, fit.leased_until = "worker", NOW + timedelta(minutes=2)
        if state == "failed":
            fit.failed_at = NOW
    text = desk.get("/analyst/trials").text

    for state in ("waiting", "running", "failed"):
        assert f">{state}<" in text


def test_no_page_says_who_the_patient_is(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, TELLING)
    trial.title = "Mrs Miller's knee"
    fit = make_fit(desk.session, desk.analyst, trial, NOW)
    patient = trial.patient
    for path in ("/analyst/trials", page_of(trial), release_page(trial, fit)):
        text = desk.get(path).text
        for who in (patient.name, patient.code, patient.email, patient.public_id, "Miller"):
            assert who not in text


# ---- blinding


def secrets_of(desk: Desk, trial: TrialRow, fit: FitRow) -> set[str]:
    """Return every text that would tell an arm's treatment, the sequence or the seed."""
    protocol = TELLING
    in_clear = open_allocation(desk.session, VAULT, SYSTEM, trial, NOW)
    desk.session.rollback()
    sequence = masked_sequence(desk.session, VAULT, trial)
    names = {c.name for c in protocol.candidates} | {c.treatment for c in protocol.candidates}
    doses = {c.dose for c in protocol.candidates}
    data = assemble_data(desk.session, VAULT, trial)
    return (
        names
        | doses
        | {"".join(sequence), ",".join(sequence), ", ".join(sequence), " ".join(sequence)}
        | {str(in_clear["seed"]), str(fit.seed), data.data_hash}
        | {"nausea", "Feeling sick", "half_life", "Half-life", "comparator", protocol.question}
    )


def test_no_byte_of_a_blinded_trial_tells_its_arms(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, TELLING)
    fit = make_fit(desk.session, desk.analyst, trial, NOW)
    desk.session.commit()
    hidden = secrets_of(desk, trial, fit)
    told = [
        desk.get(path)
        for path in (
            "/analyst/trials",
            page_of(trial),
            f"{page_of(trial)}/analyses/{fit.public_id}",
            release_page(trial, fit),
        )
    ]
    told += [
        desk.send(f"{page_of(trial)}/analyses/{fit.public_id}/export/{kind}", page_of(trial))
        for kind in ("result", "diary", "protocol")
    ]
    assert [response.status_code for response in told] == [200] * 6 + [403]
    for response in told:
        everything = response.text + str(response.headers)
        for secret in hidden:
            assert secret.lower() not in everything.lower(), secret


def test_a_look_at_a_running_trial_is_masked_and_says_that_it_is_provisional(desk: Desk):
    trial = make_running(desk.session, desk.clinician, START, TELLING)
    fill_diary(desk.session, trial)
    text = desk.get(page_of(trial)).text

    assert "Provisional" in text
    assert "Arm A" in text
    assert "mitriptyline" not in text
    assert "Release this result" not in text


def test_the_page_of_a_blinded_trial_is_the_same_whichever_arm_is_the_reference(desk: Desk):
    """Only the reference differs in the frozen protocol; the fit and its seed are the same."""
    pages = []
    trial = make_completed(desk.session, desk.clinician, START)
    task = prepare_fit(
        desk.session,
        VAULT,
        fit := request_fit(desk.session, VAULT, desk.analyst, trial, purpose="final", now=NOW),
    )
    for comparator in (None, "A", "B"):
        rule = replace(task.specification.decision, comparator=comparator)
        changed = replace(task, specification=replace(task.specification, decision=rule))
        with desk.session.begin_nested():
            analysis = replace(run_exactly(changed), seconds=0.5)
            finish_fit(desk.session, VAULT, fit, changed, analysis, NOW)
            trial.state = State.COMPLETED.value
        pages.append(words_of(desk.get(page_of(trial))))

    assert pages[0] == pages[1] == pages[2]


def test_in_an_open_trial_treatments_stand_beside_the_arms(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, open_protocol(TELLING))
    make_fit(desk.session, desk.analyst, trial, NOW)
    text = desk.get(page_of(trial)).text
    key = sealed_arm_key(desk.session, VAULT, trial)
    label = next(a for a, treatment in key.items() if treatment == "amitriptyline")

    assert f"Amitriptyline ({label})" in text
    assert "Half-life of the effect" in text


# ---- what a page shows


def test_a_finished_analysis_shows_numbers_diagnostics_and_where_it_came_from(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, missed={5, 20})
    fit = make_fit(desk.session, desk.analyst, trial, NOW)
    text = desk.get(page_of(trial)).text

    for said in (
        "is best for this patient",
        "Pain alone",
        "Autocorrelation",
        "Worst R-hat",
        "Pareto k",
        "Do the engines agree?",
        "Spread of period means",
        "ranks by chain",
        fit.data_hash,
        fit.protocol_hash,
        "crossover-1",
        "numpy",
        "Diary days by phase",
    ):
        assert said in text
    assert fit.draws_file not in text


def test_a_refused_analysis_shows_reasons_and_no_estimate(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, missed=range(8, 15))
    make_fit(desk.session, desk.analyst, trial, NOW)
    text = desk.get(page_of(trial)).text

    assert "No answer can be given from these data." in text
    assert "In period 2 only 0 %" in text
    for absent in ("Chance of being the best", "Autocorrelation", "lt-chart", "by 1 points"):
        assert absent not in text


def test_a_sampler_that_did_not_converge_is_said_plainly(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START)
    fit = request_fit(desk.session, VAULT, desk.analyst, trial, purpose="final", now=NOW)
    task = prepare_fit(desk.session, VAULT, fit)
    failed = replace(run_exactly(task), verdict=refuse((not_converged(1.21, 80, 14),)))
    finish_fit(desk.session, VAULT, fit, task, failed, NOW)
    text = desk.get(page_of(trial)).text

    assert "The sampler did not converge" in text
    assert "Chance of being the best" not in text
    assert "ranks by chain" in text
    assert "draws by chain" not in text


def test_a_trial_that_never_started_has_no_analysis(desk: Desk):
    trial = make_draft(desk.session, desk.clinician, START)
    response = desk.get(page_of(trial))

    assert response.status_code == 200
    assert "No analysis yet" in response.text


def test_missing_days_are_counted_by_phase_and_never_by_arm(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, missed={1, 3, 4})
    text = desk.get(page_of(trial)).text
    table = text[text.index("Diary days by phase") : text.index("Evaluated days by period")]

    assert re.findall(r'data-label="Missing"[^>]*>(\d+)<', table) == ["1", "2"]
    assert "Arm" not in table


# ---- asking and trying again


def test_asking_twice_makes_one_analysis(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START)
    for _click in range(2):
        response = desk.send(f"{page_of(trial)}/analyses", page_of(trial))
        assert response.status_code == 303
    fits = desk.session.scalars(select(FitRow)).all()

    assert len(fits) == 1
    assert "waits for a worker" in desk.get(page_of(trial)).text


def test_asking_for_what_is_known_leads_to_the_answer(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START)
    fit = make_fit(desk.session, desk.analyst, trial, NOW)
    response = desk.send(f"{page_of(trial)}/analyses", page_of(trial))

    assert response.location.endswith(f"/analyses/{fit.public_id}")


def test_a_failed_analysis_says_so_without_the_values_in_its_error(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START)
    fit = request_fit(desk.session, VAULT, desk.analyst, trial, purpose="final", now=NOW)
    fit.failed_at, fit.attempts = NOW, 3
    fit.last_error = "SamplingError('half_life[A]=1.25 half_life[B]=0.25 at initial point')"
    text = desk.get(page_of(trial)).text

    assert "could not be finished after 3 attempts" in text
    assert "SamplingError" in text
    assert "1.25" not in text
    response = desk.send(f"{page_of(trial)}/analyses/{fit.public_id}/retry", page_of(trial))
    assert response.status_code == 303
    assert desk.session.get_one(FitRow, fit.id).failed_at is None


def test_a_sentence_of_ours_about_a_failure_is_shown(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START)
    fit = request_fit(desk.session, VAULT, desk.analyst, trial, purpose="final", now=NOW)
    fit.failed_at = NOW
    fit.last_error = "Every worker that ran it was killed."

    assert "Every worker that ran it was killed." in desk.get(page_of(trial)).text


# ---- the release


@dataclass(frozen=True, slots=True)
class Ready:
    """A trial whose analysis can be released."""

    trial: TrialRow
    fit: FitRow

    @property
    def page(self) -> str:
        return release_page(self.trial, self.fit)


@pytest.fixture
def ready(desk: Desk) -> Ready:
    trial = make_completed(desk.session, desk.clinician, START, TELLING)
    fit = make_fit(desk.session, desk.analyst, trial, NOW)
    desk.session.commit()
    return Ready(trial, fit)


def test_the_release_opens_the_treatments(desk: Desk, ready: Ready):
    revision = ready.trial.revision
    response = desk.send(ready.page, ready.page, revision=revision, comment="Chains mix well.")
    text = desk.get(response.location).text
    release = release_of(desk.session, ready.trial.id)

    assert response.status_code == 303
    assert release is not None
    assert release.comment == "Chains mix well."
    assert "Amitriptyline" in text
    assert "Chains mix well." in text
    assert str(release.opened["seed"]) in text
    assert str(ready.fit.seed) in text


def test_the_confirmation_says_what_is_opened_to_whom(desk: Desk, ready: Ready):
    text = desk.get(ready.page).text

    assert "The clinician and the patient read the verdict" in text
    assert "cannot be taken back" in text


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_who_signed_in_long_ago_gives_the_password_again(desk: Desk, ready: Ready, verb: str):
    token = desk.visitor.token(page_of(ready.trial))
    desk.visitor.sign_in(desk.account, minutes_ago=60)
    fields = {"csrf_token": token, "revision": str(ready.trial.revision)}
    response = desk.visitor.open(ready.page, method=verb, data=fields if verb == "POST" else None)

    assert response.status_code == 303
    assert "/verify" in response.location
    assert release_of(desk.session, ready.trial.id) is None


def test_a_second_click_changes_nothing_and_complains_about_nothing(desk: Desk, ready: Ready):
    token = desk.visitor.token(ready.page)
    fields = {"csrf_token": token, "revision": ready.trial.revision, "comment": "once"}
    first = desk.visitor.post(ready.page, data=fields)
    second = desk.visitor.post(ready.page, data={**fields, "comment": "twice"})
    desk.session.expire_all()
    release = release_of(desk.session, ready.trial.id)

    assert first.status_code == second.status_code == 303
    assert release is not None
    assert release.comment == "once"


@pytest.mark.parametrize("revision", ["0", "", "x"])
def test_a_stale_form_releases_nothing_and_keeps_the_comment(
    desk: Desk, ready: Ready, revision: str
):
    response = desk.send(ready.page, ready.page, revision=revision, comment="I had typed this")

    assert response.status_code == 409
    assert "I had typed this" in response.text
    assert f'name="revision" value="{ready.trial.revision}"' in response.text
    assert release_of(desk.session, ready.trial.id) is None


def test_a_diary_that_changed_cannot_be_released(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, missed={28})
    late = partial(fill_day, desk.session, trial, trial_days(trial)[-1])
    fit = make_fit(desk.session, desk.analyst, trial, NOW, meanwhile=late)
    shown, confirm = desk.get(page_of(trial)).text, desk.get(release_page(trial, fit)).text

    assert "The diary has changed since this analysis" in shown
    assert "Release this result" not in shown
    assert "Ask for the final analysis" in shown
    assert "Approve and release" not in confirm


def test_an_older_analysis_cannot_be_released(desk: Desk):
    trial = make_completed(desk.session, desk.clinician, START, missed={28})
    late = partial(fill_day, desk.session, trial, trial_days(trial)[-1])
    two_hours_ago = NOW - timedelta(hours=2)
    older = make_fit(desk.session, desk.analyst, trial, two_hours_ago, meanwhile=late)
    make_fit(desk.session, desk.analyst, trial, NOW - timedelta(hours=1))
    newest_page = page_of(trial)
    response = desk.send(
        release_page(trial, older), newest_page, revision=trial.revision, comment="kept"
    )

    assert response.status_code == 409
    assert "newest" in response.text
    assert "kept" in response.text


def test_a_form_from_elsewhere_does_nothing(desk: Desk, ready: Ready):
    for path in (
        ready.page,
        f"{page_of(ready.trial)}/analyses",
        f"{page_of(ready.trial)}/analyses/{ready.fit.public_id}/export/diary",
    ):
        response = desk.visitor.post(path, data={"revision": ready.trial.revision})
        assert response.status_code == 400
    assert release_of(desk.session, ready.trial.id) is None


# ---- exports


def test_a_file_is_handed_over_and_not_kept_on_the_way(desk: Desk, ready: Ready):
    base = f"{page_of(ready.trial)}/analyses/{ready.fit.public_id}/export"
    response = desk.send(f"{base}/result", page_of(ready.trial))

    assert response.headers["Content-Disposition"] == (
        f'attachment; filename="{ready.fit.public_id}-RESULT.json"'
    )
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.text)["provenance"]["analysis"] == ready.fit.public_id
    assert desk.get(f"{base}/result").status_code == 405
    assert desk.send(f"{base}/draws", page_of(ready.trial)).status_code == 404


def test_after_the_release_all_three_files_can_be_had(desk: Desk, ready: Ready):
    desk.send(ready.page, ready.page, revision=ready.trial.revision, comment="")
    base = f"{page_of(ready.trial)}/analyses/{ready.fit.public_id}/export"
    files = [
        desk.send(f"{base}/{kind}", page_of(ready.trial))
        for kind in ("result", "diary", "protocol")
    ]

    assert [file.status_code for file in files] == [200] * 3
    assert "# A: " in files[2].text
    assert ",arm," in files[1].text.splitlines()[0]


# ---- strangers


def test_an_analyst_of_another_site_finds_nothing(desk: Desk, ready: Ready, app: Flask):
    away = make_account(desk.session, make_site(desk.session, "Away"), Role.ANALYST)
    desk.session.commit()
    stranger: Visitor = app.test_client()  # type: ignore[assignment]
    stranger.sign_in(away)
    base = f"{page_of(ready.trial)}/analyses/{ready.fit.public_id}"

    assert ready.trial.public_id not in stranger.get("/analyst/trials").text
    for path in (page_of(ready.trial), base, ready.page):
        assert stranger.get(path).status_code == 404


def test_a_fit_is_found_only_under_its_own_trial(desk: Desk, ready: Ready):
    other = make_completed(desk.session, desk.clinician, START)
    for path in (
        f"{page_of(other)}/analyses/{ready.fit.public_id}",
        release_page(other, ready.fit),
    ):
        assert desk.get(path).status_code == 404


def test_the_draws_are_in_no_folder_the_web_hands_out(ready: Ready, tmp_path: Path):
    """Half-lives by arm are in them."""
    assert ready.fit.draws_file
    assert not list(tmp_path.rglob(f"static/**/{ready.fit.draws_file}"))


def test_every_analysis_of_a_trial_is_listed(desk: Desk):
    trial = make_running(desk.session, desk.clinician, START)
    fill_diary(desk.session, trial, missed=range(20, 29))
    make_fit(desk.session, desk.analyst, trial, NOW, purpose="interim")
    text = desk.get(page_of(trial)).text
    fits = fits_of_trial(desk.session, trial.id)

    assert len(fits) == 1
    assert f"/analyses/{fits[0].public_id}" in text
    assert "Interim" in text
