"""The clinician's pages: what waits, every deed on its own page, and nothing that unblinds."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    evening,
    fill_day,
    last_evening,
    make_account,
    make_actor,
    make_completed,
    make_draft,
    make_fit,
    make_patient,
    make_ready,
    make_running,
    make_site,
    open_protocol,
    patient_actor,
    trial_days,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.diary import Answers, Intake, SideEffect, Source
from trials.domain.life_cycle import State
from trials.services.actor import Actor
from trials.services.allocation import UnblindingReason, masked_sequence, unblind_period
from trials.services.analysis import release_result
from trials.services.diary import record_entry
from trials.services.guesses import record_guess
from trials.services.mood import answer_mood_questions
from trials.services.notices import ask_for_call
from trials.services.running import pause_trial
from trials.services.trials import (
    decide,
    freeze_protocol,
)
from trials.store.account import AccountRow, DeviceRow, PatientRow, SiteRow
from trials.store.reach import ReachRow
from trials.store.trial import TrialRow, consent_to, decision_on, frozen_protocol, latest_protocol

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=60)


@pytest.fixture
def site(session: Session) -> SiteRow:
    return make_site(session)


@pytest.fixture
def account(session: Session, site: SiteRow) -> AccountRow:
    return make_account(session, site, Role.CLINICIAN)


@pytest.fixture
def clinician(account: AccountRow) -> Actor:
    return actor_for(account, Role.CLINICIAN)


@pytest.fixture
def doctor(session: Session, visitor: Visitor, account: AccountRow) -> Visitor:
    """A browser signed in as the clinician."""
    session.commit()
    visitor.sign_in(account)
    return visitor


def address(trial: TrialRow, deed: str = "") -> str:
    return f"/clinician/trials/{trial.public_id}{'/' + deed if deed else ''}"


def state_of(session: Session, trial: TrialRow) -> str:
    """Return the state as it is kept now; the lock of reading it is given back."""
    session.rollback()
    session.refresh(trial)
    session.commit()
    return trial.state


def released(session: Session, site: SiteRow, clinician: Actor) -> TrialRow:
    """Return a trial whose result is released."""
    trial = make_completed(session, clinician, LONG_AGO)
    analyst = make_actor(session, site, Role.ANALYST)
    fit = make_fit(session, analyst, trial, NOW)
    release_result(
        session,
        VAULT,
        analyst,
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="Looks sound.",
        now=NOW,
    )
    session.commit()
    return trial


# ---- the list ------------------------------------------------------------------------------------


def test_without_trials_the_list_offers_the_first_one(doctor):
    text = doctor.get("/clinician/trials").text

    assert "No trials yet" in text
    assert "/clinician/trials/new" in text


def test_the_list_says_what_waits_for_the_clinician(doctor, session, clinician):
    make_draft(session, clinician, NOW)
    make_ready(session, clinician, NOW)
    running = make_running(session, clinician, NOW)
    pause_trial(session, clinician, running, revision=running.revision, reason="Holiday", now=NOW)
    session.commit()

    text = doctor.get("/clinician/trials").text

    for waits in ("Check the draft and freeze it", "Start the trial", "Resume or stop"):
        assert waits in text


def test_a_patient_whose_reminders_come_back_is_told_of_until_the_address_changes(
    doctor: Visitor, session: Session, clinician: Actor
):
    trial = make_running(session, clinician, NOW)
    patient = f"/clinician/patients/{trial.patient.public_id}"
    session.commit()
    before = [doctor.get(page).text for page in ("/clinician/trials", address(trial), patient)]
    session.add(ReachRow(patient_id=trial.patient_id, email_failed_at=NOW))
    session.commit()
    listed, own, contact = (
        doctor.get(page).text for page in ("/clinician/trials", address(trial), patient)
    )
    fields = {"name": "Pat", "email": "new@example.org", "locale": "en"}
    assert doctor.submit(f"{patient}/edit", **fields).status_code == 303

    assert "come back" not in "".join(before)
    assert "Reminders come back" in listed
    assert "Ask for another address" in listed
    assert "Reminders do not reach the patient" in own
    assert "e-mail comes back since" in contact
    assert "by e-mail" in doctor.get(patient).text
    assert "do not reach" not in doctor.get(address(trial)).text


def test_a_patient_who_is_silent_for_three_days_is_an_alert(doctor, session, clinician):
    silent = make_running(session, clinician, NOW - timedelta(days=10))
    for day in trial_days(silent)[:5]:
        fill_day(session, silent, day)
    answering = make_running(session, clinician, NOW - timedelta(days=10))
    for day in trial_days(answering)[:10]:
        fill_day(session, answering, day)
    session.commit()

    text = doctor.get("/clinician/trials?state=waiting").text

    assert silent.patient.code in text
    assert "days in a row" in text
    assert "Call the patient" in text
    assert answering.patient.code not in text
    assert "days in a row" in doctor.get(address(silent)).text


def test_the_list_can_be_narrowed_to_a_state_and_to_ones_own(doctor, session, site, clinician):
    draft = make_draft(session, clinician, NOW)
    colleague = make_actor(session, site, Role.CLINICIAN)
    running = make_running(session, colleague, NOW)
    session.commit()

    only_running = doctor.get("/clinician/trials?state=running").text
    only_mine = doctor.get("/clinician/trials?mine=yes").text

    assert running.patient.code in only_running
    assert draft.patient.code not in only_running
    assert draft.patient.code in only_mine
    assert running.patient.code not in only_mine


def test_the_list_asks_no_more_queries_for_more_trials(app, session, site, clinician):
    from sqlalchemy import event

    from trials.services.overview import trials_of

    def queries() -> int:
        seen = []
        bind = session.get_bind()
        event.listen(bind, "before_cursor_execute", lambda *args: seen.append(args[2]))
        trials_of(session, clinician, NOW)
        return len(seen)

    make_running(session, clinician, NOW)
    few = queries()
    for _n in range(4):
        make_running(session, clinician, NOW)
    session.flush()

    assert queries() <= few


# ---- the life of a trial -------------------------------------------------------------------------


def test_a_trial_is_frozen_agreed_to_and_started_page_by_page(doctor, session, clinician):
    trial = make_draft(session, clinician, NOW)
    session.commit()

    def take(deed: str, **fields: object) -> int:
        state_of(session, trial)
        page = address(trial, deed)
        assert doctor.get(page).status_code == 200
        return doctor.submit(page, revision=trial.revision, **fields).status_code

    assert take("freeze") == 303
    text = doctor.get(address(trial)).text
    assert "Record consent" in text
    assert "Start the trial" not in text  # consent comes first

    today = NOW.date().isoformat()
    assert take("consent", given_on=today) == 422, "what was agreed has to be said"
    assert take("consent", given_on=today, on_withdrawal="remove") == 303
    start = (NOW + timedelta(days=1)).date().isoformat()
    assert take("start", start_day=start) == 303
    assert take("pause", reason="A stay in hospital") == 303
    assert take("resume") == 303
    assert take("stop", reason="The patient has had enough") == 303
    assert state_of(session, trial) == State.STOPPED
    text = doctor.get(address(trial)).text
    assert "A stay in hospital" in text  # the audit trail says why
    assert "Pause the trial" not in text  # nothing more can be done


@pytest.mark.parametrize(
    ("make", "offered"),
    [
        (make_draft, {"freeze", "stop"}),
        (make_ready, {"start", "amend", "stop"}),
        (make_running, {"pause", "stop"}),
    ],
)
def test_only_what_is_legal_now_is_offered_and_possible(doctor, session, clinician, make, offered):
    trial = make(session, clinician, NOW)
    session.commit()
    state, revision = trial.state, trial.revision
    text = doctor.get(address(trial)).text
    token = doctor.token(address(trial, "stop"))

    for deed in ("freeze", "consent", "start", "pause", "resume", "amend", "stop"):
        assert (f'href="{address(trial, deed)}"' in text) == (deed in offered), deed
        if deed in offered:
            continue
        fields = {"csrf_token": token, "revision": revision, "reason": "x"}
        fields |= {"start_day": NOW.date().isoformat(), "given_on": NOW.date().isoformat()}
        fields |= {"on_withdrawal": "keep"}
        answer = doctor.post(address(trial, deed), data=fields)
        assert answer.status_code in {303, 409}  # 303: frozen, or agreed to, already
        assert state_of(session, trial) == state


def test_a_second_click_gets_a_sentence_and_keeps_what_was_typed(doctor, session, clinician):
    trial = make_running(session, clinician, NOW)
    session.commit()
    page = address(trial, "pause")
    form = {
        "csrf_token": doctor.token(page),
        "revision": trial.revision,
        "reason": "Influenza since Monday",
    }

    first, second = doctor.post(page, data=form), doctor.post(page, data=form)

    assert (first.status_code, second.status_code) == (303, 409)
    assert "Somebody else changed this trial" in second.text
    assert "Influenza since Monday" in second.text
    assert "Paused" in second.text


def test_a_deed_without_its_reason_or_date_is_not_done(doctor, session, clinician):
    running, ready = make_running(session, clinician, NOW), make_ready(session, clinician, NOW)
    session.commit()

    paused = doctor.submit(address(running, "pause"), revision=running.revision, reason=" ")
    started = doctor.submit(address(ready, "start"), revision=ready.revision, start_day="soon")
    past = doctor.submit(address(ready, "start"), revision=ready.revision, start_day="2020-01-01")

    assert [r.status_code for r in (paused, started, past)] == [422, 422, 422]
    assert "Please say in a few words why the trial is paused." in paused.text
    assert "Please give a date" in started.text
    assert 'value="soon"' in started.text
    assert "The first day must be today" in past.text
    assert state_of(session, running) == State.RUNNING
    assert state_of(session, ready) == State.READY


def test_consent_counts_for_the_version_that_was_read(doctor, session, clinician):
    trial = make_draft(session, clinician, NOW)
    session.commit()
    seen = trial.revision
    freeze_protocol(session, VAULT, clinician, trial, revision=seen, now=NOW)
    session.commit()

    stale = doctor.submit(address(trial, "consent"), revision=seen, given_on=NOW.date().isoformat())

    frozen = frozen_protocol(session, trial.id)
    assert stale.status_code == 409
    assert consent_to(session, frozen.id) is None


def test_an_amended_protocol_is_a_new_version_and_needs_new_consent(doctor, session, clinician):
    trial = make_ready(session, clinician, NOW)
    session.commit()

    doctor.submit(address(trial, "amend"), revision=trial.revision)

    assert state_of(session, trial) == State.DRAFT
    assert latest_protocol(session, trial.id).version == 2
    session.commit()
    text = doctor.get(address(trial)).text
    assert "Edit the draft" in text
    assert "Version 1" in text  # the old one stays on record


# ---- the patient waits ---------------------------------------------------------------------------


def test_a_call_is_listed_until_somebody_notes_that_it_was_made(doctor, session, clinician):
    trial = make_running(session, clinician, NOW - timedelta(days=5))
    asked = NOW - timedelta(days=4)
    ask_for_call(session, patient_actor(trial.patient), trial, address="", now=asked)
    session.commit()

    page = doctor.get(address(trial)).text
    listed = doctor.get("/clinician/trials").text
    settle = re.search(r'action="([^"]+/settle)"', page)
    doctor.submit(settle[1], address(trial))
    after = doctor.get(address(trial)).text
    unlisted = doctor.get("/clinician/trials").text

    assert "The patient asks to be called" in page
    assert "The patient waits for a call or an answer" in listed
    assert "The patient asks to be called" not in after
    assert "The patient waits for a call or an answer" not in unlisted


def test_questions_about_mood_that_were_never_answered_are_listed(doctor, session, clinician):
    trial = make_running(session, clinician, NOW - timedelta(days=2))
    session.commit()

    assert "The questions about mood were never answered" in doctor.get(address(trial)).text


@pytest.mark.parametrize(("days", "overdue"), [(6, False), (9, True)])
def test_weekly_questions_about_mood_are_listed_when_they_are_overdue(
    doctor, session, clinician, days: int, overdue: bool
):
    trial = make_running(session, clinician, NOW - timedelta(days=20))
    answered = NOW - timedelta(days=days)
    values = {"low": 0, "thoughts": "no", "key": "k" * 20, "now": answered}
    answer_mood_questions(session, patient_actor(trial.patient), trial, **values)
    session.commit()

    page = doctor.get(address(trial)).text

    assert ("The weekly questions about mood are overdue" in page) == overdue


def test_low_mood_is_listed_until_the_questions_are_answered(doctor, session, clinician):
    asked = replace(PROTOCOL.questionnaire, side_effects=(SideEffect("low_mood", "Low mood"),))
    protocol = replace(PROTOCOL, questionnaire=asked)
    trial = make_running(session, clinician, NOW - timedelta(days=5), protocol)
    patient = patient_actor(trial.patient)
    for day, severity in zip(trial_days(trial), (2, 0), strict=False):
        record_entry(
            session,
            trial,
            day,
            Answers(pain=4, bother=1, side_effects={"low_mood": severity}, intake=Intake.ALL),
            source=Source.PATIENT,
            author=patient,
            key=uuid4().hex,
            now=evening(day),
        )
    session.commit()
    title = "Low mood was reported, and the questions about it are not answered"
    before = doctor.get(address(trial)).text
    answer_mood_questions(session, patient, trial, low=1, thoughts="no", key="k" * 20, now=NOW)
    session.commit()

    assert title in before
    assert title not in doctor.get(address(trial)).text


# ---- blinding ------------------------------------------------------------------------------------


def test_while_blinded_the_page_shows_presence_and_no_answer(doctor, session, clinician):
    trial = make_running(session, clinician, NOW - timedelta(days=9))
    for day in trial_days(trial)[:8]:
        fill_day(session, trial, day, 9)
    record_guess(
        session,
        trial,
        period=1,
        treatment="ibuprofen",
        certainty=3,
        why="it burned",
        now=last_evening(session, trial, 1),
    )
    session.commit()

    text = doctor.get(address(trial)).text

    assert "Diary days, period by period" in text
    assert "While the trial is blinded you see which days were answered" in text
    assert "Pain, day by day" not in text
    assert "it burned" not in text
    assert "1 of 1 periods" in text


def test_an_open_trial_shows_pain_and_treatments(doctor, session, clinician):
    trial = make_running(session, clinician, NOW - timedelta(days=9), open_protocol())
    for day in trial_days(trial)[:8]:
        fill_day(session, trial, day, 7)
    session.commit()

    text = doctor.get(address(trial)).text

    assert "Pain, day by day" in text
    assert "1: Ibuprofen" in text or "1: Amitriptyline" in text


def test_pages_of_trials_that_differ_in_the_seed_alone_differ_in_nothing_that_tells_it(
    doctor, session, clinician
):
    """Same protocol, same diary, other sequence: the page must be the same but for ids."""
    pages, sequences = [], set()
    for _n in range(8):
        trial = make_running(session, clinician, NOW - timedelta(days=9))
        for day in trial_days(trial)[:8]:
            fill_day(session, trial, day)
        session.commit()
        sequences.add(masked_sequence(session, VAULT, trial))
        session.commit()
        text = doctor.get(address(trial)).text
        frozen = frozen_protocol(session, trial.id)
        for own in (
            trial.public_id,
            trial.patient.public_id,
            trial.patient.code,
            trial.patient.name,
        ):
            text = text.replace(own, "-")
        commitment = text.split("data-copy-text>")[1].split("<")[0]
        pages.append(text.replace(commitment, "-").replace(frozen.hash, "-"))
        session.commit()

    assert len(sequences) > 1
    assert len({_without_tokens(page) for page in pages}) == 1


def _without_tokens(page: str) -> str:
    import re

    return re.sub(r'(name="csrf_token" value=|nonce=)"[^"]+"', "", page)


def test_an_opened_code_is_told_without_the_words_of_who_knows(doctor, session, site, clinician):
    trial = make_running(session, clinician, NOW - timedelta(days=9))
    found = unblind_period(
        session,
        VAULT,
        make_actor(session, site, Role.PHARMACIST),
        trial,
        period=2,
        reason=UnblindingReason.OVERDOSE,
        explanation="ten capsules of the strong one",
        now=NOW,
    )
    session.commit()

    text = doctor.get(address(trial)).text

    assert "The code of period 2 was opened" in text
    assert "the strong one" not in text
    assert f"2: {found}" not in text


@pytest.mark.parametrize("page", ["result", "decision"])
def test_before_the_release_there_is_no_result(doctor, session, clinician, page):
    trial = make_completed(session, clinician, LONG_AGO)
    session.commit()

    response = doctor.get(address(trial, page))

    assert response.status_code == 403
    assert "The result has not been released yet." in response.text


# ---- result and decision -------------------------------------------------------------------------


def test_the_released_result_says_who_won_and_what_was_given(doctor, session, site, clinician):
    trial = released(session, site, clinician)

    text = doctor.get(address(trial, "result")).text

    assert "is best for this patient." in text
    assert "Verified against the commitment" in text
    assert "Looks sound." in text
    assert "Better at all" in text
    assert "Net burden by treatment" in text
    assert "Pain alone by treatment" in text
    for heading in ("Protocol", "Data", "Seed", "Specification"):
        assert f"<dt>{heading}</dt>" in text
    assert text.count("Ibuprofen") >= 4  # figures, and two periods of it
    assert "<td>A</td>" not in text


def test_a_decision_is_signed_once(doctor, session, site, clinician):
    trial = released(session, site, clinician)
    page = address(trial, "decision")
    empty = doctor.submit(page, revision=trial.revision)
    form = {"revision": trial.revision, "treatment": "amitriptyline", "reason": "Sleeps better."}

    first = doctor.submit(page, **form)
    second = doctor.submit(page, address(trial, "result"), **form)

    assert empty.status_code == 422
    assert "Choose what is taken from now on." in empty.text
    assert first.status_code == 303
    assert second.status_code == 409
    assert "Sleeps better." in second.text
    session.rollback()
    decision = decision_on(session, trial.id)
    assert (decision.treatment, decision.reason) == ("amitriptyline", "Sleeps better.")
    session.commit()
    text = doctor.get(address(trial, "result")).text
    assert "Taken from now on" in text
    assert "Decide and sign" not in text


def test_nothing_chosen_is_not_none_of_them(doctor, session, site, clinician):
    trial = released(session, site, clinician)

    doctor.submit(
        address(trial, "decision"), revision=trial.revision, treatment="none", reason="Neither."
    )

    session.rollback()
    assert decision_on(session, trial.id).treatment == ""


# ---- patients ------------------------------------------------------------------------------------


def test_a_patient_is_added_and_can_be_set_up_at_once(doctor, session, account):
    fields = {
        "code": "P-9",
        "name": "Ada Nine",
        "email": "",
        "timezone": "Europe/Lisbon",
        "locale": "en",
    }

    response = doctor.submit("/clinician/patients/new", then="trial", **fields)
    again = doctor.submit("/clinician/patients/new", **fields)

    patient = session.scalars(select(PatientRow)).one()
    assert response.headers["Location"] == f"/clinician/trials/new?patient={patient.public_id}"
    assert patient.timezone == "Europe/Lisbon"
    assert again.status_code == 422
    assert "There is a patient with the code P-9 already." in again.text
    assert "Ada Nine" in again.text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"code": ""}, "code"),
        ({"name": " "}, "name"),
        ({"email": "nobody"}, "email"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"locale": "tlh"}, "locale"),
    ],
)
def test_a_patient_form_tells_what_is_wrong(doctor, session, changed, field):
    fields = {"code": "P-9", "name": "Ada", "email": "", "timezone": "UTC", "locale": "en"}

    response = doctor.submit("/clinician/patients/new", **{**fields, **changed})

    assert response.status_code == 422
    assert f'href="#{field}"' in response.text
    assert session.scalar(select(func.count()).select_from(PatientRow)) == 0


def test_a_personal_link_is_shown_once_and_lets_the_patient_in(app, doctor, session, clinician):
    patient = make_patient(session, clinician, NOW)
    session.commit()
    page = f"/clinician/patients/{patient.public_id}"

    shown = doctor.submit(f"{page}/invitation", page).text
    link = shown.split("/i/")[1].split("<")[0].strip()
    phone = app.test_client()
    phone.submit(f"/i/{link}")

    assert link not in doctor.get(page).text
    session.rollback()
    assert session.scalar(select(func.count()).select_from(DeviceRow)) == 1


def test_a_lost_phone_is_shut_out(app, doctor, session, clinician):
    patient = make_patient(session, clinician, NOW)
    session.commit()
    phone = app.test_client()
    phone.hold_device(session, patient)
    page = f"/clinician/patients/{patient.public_id}"
    assert phone.get("/device").status_code == 200

    asked = doctor.get(f"{page}/revoke")
    done = doctor.submit(f"{page}/revoke")

    assert "Every phone and computer of this patient is shut out" in asked.text
    assert done.status_code == 303
    assert phone.get("/device").status_code != 200
    assert "None yet." in doctor.get(page).text


def test_contact_details_change_but_neither_code_nor_zone(doctor, session, clinician):
    patient = make_patient(session, clinician, NOW)
    session.commit()
    code, zone = patient.code, patient.timezone

    response = doctor.submit(
        f"/clinician/patients/{patient.public_id}/edit",
        name="New Name",
        email="new@example.org",
        locale="en",
        code="HACK",
        timezone="UTC",
    )

    session.rollback()
    session.refresh(patient)
    assert response.status_code == 303
    assert (patient.name, patient.email) == ("New Name", "new@example.org")
    assert (patient.code, patient.timezone) == (code, zone)


# ---- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR])
def test_other_roles_do_not_get_in(visitor, session, site, clinician, role):
    trial = make_running(session, clinician, NOW)
    other = make_account(session, site, role)
    session.commit()
    visitor.sign_in(other)

    for page in (
        "/clinician/trials",
        "/clinician/trials/new",
        "/clinician/patients",
        address(trial),
        address(trial, "stop"),
        address(trial, "result"),
        f"/clinician/patients/{trial.patient.public_id}",
    ):
        assert visitor.get(page).status_code == 403, page


def test_another_site_is_as_if_it_were_not_there(visitor, session, clinician):
    trial = make_running(session, clinician, NOW)
    stranger = make_account(session, make_site(session, "Elsewhere"), Role.CLINICIAN)
    code = trial.patient.code
    patient_page = f"/clinician/patients/{trial.patient.public_id}"
    session.commit()
    visitor.sign_in(stranger)

    assert code not in visitor.get("/clinician/trials").text
    assert code not in visitor.get("/clinician/patients").text
    for page in (
        address(trial),
        address(trial, "stop"),
        address(trial, "edit"),
        address(trial, "result"),
        patient_page,
        f"{patient_page}/revoke",
    ):
        response = visitor.get(page)
        assert response.status_code == 404, page
        assert code not in response.text
    token = visitor.token("/clinician/trials/new")
    stop = visitor.post(
        address(trial, "stop"),
        data={"csrf_token": token, "revision": trial.revision, "reason": "x"},
    )
    assert stop.status_code == 404
    assert state_of(session, trial) == State.RUNNING


def test_the_date_of_a_future_consent_is_refused(doctor, session, clinician):
    trial = make_draft(session, clinician, NOW, replace(PROTOCOL, question="Will it?"))
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=NOW)
    session.commit()
    future = date(NOW.year + 1, 1, 1).isoformat()

    response = doctor.submit(
        address(trial, "consent"),
        revision=trial.revision,
        given_on=future,
        on_withdrawal="keep",
    )

    assert response.status_code == 422
    assert "The day of consent lies in the future." in response.text


def test_a_decision_by_somebody_else_is_not_overwritten(doctor, session, site, clinician):
    trial = released(session, site, clinician)
    page, seen = address(trial, "decision"), trial.revision
    token = doctor.token(page)
    decide(
        session,
        clinician,
        trial,
        revision=seen,
        treatment="ibuprofen",
        reason="It helps.",
        now=NOW,
    )
    session.commit()

    response = doctor.post(
        page,
        data={"csrf_token": token, "revision": seen, "treatment": "none", "reason": "Mine"},
    )

    assert response.status_code == 409
    assert "Mine" in response.text
    session.rollback()
    assert decision_on(session, trial.id).treatment == "ibuprofen"
