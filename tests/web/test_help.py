"""What a patient reads after a red flag: at once, whoever is told and whatever fails."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import (
    PROTOCOL,
    actor_for,
    evening,
    make_actor,
    make_draft,
    make_patient,
    make_ready,
    make_running,
    make_site,
)
from tests.plugins.web import Visitor
from tests.web.test_patient import at
from trials.domain.blinding import Role
from trials.domain.diary import Questionnaire, SideEffect
from trials.services.alerts import acknowledge
from trials.services.red_flag_rules import rules
from trials.store.account import PatientRow, SiteRow
from trials.store.alert import AlertRow, alerts_of_trial
from trials.store.mood import MoodScreenRow
from trials.store.outbox import MessageRow
from trials.store.safety_contact import SafetyContactRow
from trials.store.trial import TrialRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
DAY = date(2026, 3, 1)
EVENING = evening(DAY)
ASKED = Questionnaire(
    (
        SideEffect("chest_pain", "Chest pain"),
        SideEffect("fall", "Did you fall?"),
        SideEffect("low_mood", "Low or changed mood"),
    ),
    rescue="paracetamol 500 mg",
)
WATCHED = replace(PROTOCOL, questionnaire=ASKED)
USUAL = {"pain": "4", "any_side_effects": "no", "intake": "all"}
CHEST = {
    **USUAL,
    "any_side_effects": "yes",
    "side_effect-chest_pain": "1",
    "bother": "3",
}
JSON = {"Accept": "application/json"}


@dataclass
class Phone:
    """A patient's phone and the trial behind it."""

    client: Visitor
    trial: TrialRow
    sessions: sessionmaker[Session]

    def alerts(self) -> list[tuple[str, str]]:
        with self.sessions() as session:
            return [(a.rule, a.source) for a in alerts_of_trial(session, self.trial.id)]

    def acknowledge_all(self) -> None:
        with self.sessions.begin() as session:
            trial = session.get_one(TrialRow, self.trial.id)
            clinician = actor_for(trial.clinician, Role.CLINICIAN)
            for alert in alerts_of_trial(session, trial.id):
                if alert.acknowledged_at is None:
                    acknowledge(session, clinician, alert.public_id, deed="Called.", now=EVENING)


@pytest.fixture
def new_phone(app: Flask, sessions: sessionmaker[Session]) -> Callable[..., Phone]:
    """Make the phone of a new patient of a clinic in Germany."""
    app.config["WTF_CSRF_ENABLED"] = False
    with sessions.begin() as session:
        site = make_site(session, "Riverside Pain Clinic")
        site.phone = "+49 30 1234567"
        session.add(SafetyContactRow(site_id=site.id, country="DE"))
        clinician = make_actor(session, site, Role.CLINICIAN)

    def make(state=make_running, protocol=WATCHED) -> Phone:
        with sessions.begin() as session:
            trial = state(session, clinician, NOON, protocol)
            patient = trial.patient
        client: Visitor = app.test_client()  # type: ignore[assignment]
        with sessions() as session, at(NOON):
            client.hold_device(session, session.get_one(PatientRow, patient.id))
        return Phone(client, trial, sessions)

    return make


@pytest.fixture
def phone(new_phone) -> Phone:
    return new_phone()


def test_the_page_after_a_red_flag_says_what_to_do_and_whom_to_call(phone: Phone):
    with at(EVENING):
        response = phone.client.post("/diary/2026-03-01", data=CHEST, follow_redirects=True)

    page = response.text
    assert rules()["RF-CARDIAC"].text in page
    assert page.index("Please read this now") < page.index("Thank you</h1>")
    assert page.index('href="tel:112"') < page.index('href="tel:+49301234567"')
    assert phone.alerts() == [("RF-CARDIAC", "diary")]


def test_an_ordinary_evening_has_no_such_words(phone: Phone):
    with at(EVENING):
        response = phone.client.post("/diary/2026-03-01", data=USUAL, follow_redirects=True)

    assert "Please read this now" not in response.text
    assert phone.alerts() == []


def test_help_is_shown_though_no_mail_ever_leaves(phone: Phone):
    """Rule D-14: the page needs neither the scheduler nor a mail server, and none runs here."""
    with at(EVENING):
        data = {**USUAL, "note": "I want to die"}
        response = phone.client.post("/diary/2026-03-01", data=data, follow_redirects=True)

    assert 'href="tel:08001110111"' in response.text
    assert "TelefonSeelsorge" in response.text
    with phone.sessions() as session:
        assert session.scalars(select(MessageRow)).all() == []


def test_a_report_that_is_too_late_to_be_kept_is_still_answered_with_help(phone: Phone):
    with at(EVENING + timedelta(days=3)):
        response = phone.client.post("/diary/2026-03-01", data=CHEST)

    assert response.status_code == 422
    assert rules()["RF-CARDIAC"].text in response.text
    assert phone.alerts() == [("RF-CARDIAC", "refused")]


SEVERE_CHEST = {"any_side_effects": "yes", "side_effect-chest_pain": "3"}
INCOMPLETE = [
    (SEVERE_CHEST, "RF-CARDIAC"),
    ({"side_effect-chest_pain": "2"}, "RF-CARDIAC"),
    ({"pain": "4", "note": "I want to die"}, "RF-SUICIDE"),
    ({"note": "x" * 600 + " I want to die"}, "RF-SUICIDE"),
    ({**USUAL, "any_side_effects": "yes", "other_effect-1": "chest pain"}, "RF-CARDIAC"),
    ({"intake_words": "I took too many"}, "RF-OVERDOSE"),
    ({**USUAL, "rescue_doses": "more", "more_doses": "60"}, "RF-OVERDOSE"),
]
"""Reports that cannot be kept as they are, and the danger they tell of."""


@pytest.mark.parametrize(("fields", "rule"), INCOMPLETE)
def test_a_report_with_something_missing_is_answered_with_help_at_once(
    phone: Phone, fields: dict[str, str], rule: str
):
    form = {**fields, "key": str(uuid4())}
    with at(EVENING):
        page = phone.client.post(f"/diary/{DAY}", data=form)
        phone.acknowledge_all()
        phone.client.post(f"/diary/{DAY}", data=form)

    assert page.status_code == 422
    assert page.text.index(f'data-advice="{rule}"') < page.text.index('<h1 class="nhsuk')
    assert rules()[rule].text in page.text
    assert phone.alerts() == [(rule, "refused")]


def test_the_same_form_completed_is_no_second_alert(phone: Phone):
    key = str(uuid4())
    with at(EVENING):
        phone.client.post(f"/diary/{DAY}", data={**SEVERE_CHEST, "key": key})
        phone.acknowledge_all()
        phone.client.post(f"/diary/{DAY}", data={**CHEST, "key": key})

    assert phone.alerts() == [("RF-CARDIAC", "refused")]


def test_a_report_with_something_missing_and_no_danger_raises_nothing(phone: Phone):
    with at(EVENING):
        page = phone.client.post(f"/diary/{DAY}", data={"pain": "4", "any_side_effects": "no"})

    assert page.status_code == 422
    assert 'data-advice="RF-' not in page.text
    assert phone.alerts() == []


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=3)])
@pytest.mark.parametrize(("fields", "rule"), INCOMPLETE)
def test_a_report_from_a_phone_with_something_missing_raises_its_flags(
    phone: Phone, fields: dict[str, str], rule: str, late: timedelta
):
    with at(EVENING + late):
        sent = report_from_phone(phone, fields, EVENING + late)
        answers = [phone.client.post("/offline/entry", json=sent, headers=JSON) for _ in range(2)]

    assert {answer.get_json()["reason"] for answer in answers} == {"incomplete"}
    assert phone.alerts() == [(rule, "refused")]


def test_a_correction_that_is_not_kept_is_answered_with_help(phone: Phone):
    with at(EVENING + timedelta(days=3)):
        closed = phone.client.post(f"/diary/{DAY}/correct", data={**CHEST, "reason": "A slip"})
        missing = phone.client.post(f"/diary/{DAY}/correct", data=SEVERE_CHEST)

    assert (closed.status_code, missing.status_code) == (409, 422)
    for page in (closed, missing):
        assert rules()["RF-CARDIAC"].text in page.text
    assert phone.alerts() == [("RF-CARDIAC", "refused")]


def report_from_phone(phone: Phone, fields, sent: datetime) -> dict:
    return {
        "key": str(uuid4()),
        "trial": phone.trial.public_id,
        "day": DAY.isoformat(),
        "fields": fields,
        "written_at": round(sent.timestamp() * 1000),
        "sent_at": round(sent.timestamp() * 1000),
        "ahead": 0,
        "known": 0,
    }


def test_a_report_that_waited_too_long_on_a_phone_still_raises_its_flags(phone: Phone):
    late = EVENING + timedelta(days=5)
    with at(late):
        entry = report_from_phone(phone, CHEST, late)
        response = phone.client.post("/offline/entry", json=entry, headers=JSON)

    assert response.status_code == 409
    assert phone.alerts() == [("RF-CARDIAC", "refused")]


def test_a_report_from_a_phone_raises_its_flags(phone: Phone):
    with at(EVENING):
        entry = report_from_phone(phone, CHEST, EVENING)
        for _again in range(2):
            phone.client.post("/offline/entry", json=entry, headers=JSON)

    assert phone.alerts() == [("RF-CARDIAC", "diary")]


# ---- the list of serious things --------------------------------------------------------------


def test_the_list_holds_every_rule_with_a_button_and_never_suicide(phone: Phone):
    page = phone.client.get("/help-now").text

    for rule in rules().values():
        assert (f'value="{rule.id}"' in page) == bool(rule.button), rule.id
        assert (rule.text in page) == bool(rule.button), rule.id
    assert "RF-SUICIDE" not in page


def test_pressing_shows_what_to_do_and_raises_an_alert_once_a_day(phone: Phone):
    with at(EVENING):
        for _tap in range(2):
            response = phone.client.post(
                "/help-now", data={"rule": "RF-GIBLEED"}, follow_redirects=True
            )

    page = response.text
    assert page.index(rules()["RF-GIBLEED"].text) < page.index("Something serious happened</h2>")
    assert "Your clinic gets an alert." in page
    assert phone.alerts() == [("RF-GIBLEED", "button")]


@pytest.mark.parametrize("rule", ["RF-SUICIDE", "RF-NODIARY", "RF-NOTHING", ""])
def test_what_is_not_on_the_list_cannot_be_pressed(phone: Phone, rule: str):
    assert phone.client.post("/help-now", data={"rule": rule}).status_code == 422
    assert phone.alerts() == []


def test_a_phone_brings_what_was_pressed_days_ago(phone: Phone):
    pressed = evening(DAY)
    sent = {
        "rule": "RF-SEIZURE",
        "trial": phone.trial.public_id,
        "at": round(pressed.timestamp() * 1000),
    }
    with at(pressed + timedelta(days=3)):
        for _again in range(2):
            response = phone.client.post("/offline/serious", json=sent, headers=JSON)
            assert response.get_json() == {"told": "RF-SEIZURE"}

    with phone.sessions() as session:
        (alert,) = session.scalars(select(AlertRow)).all()
        assert (alert.rule, alert.day) == ("RF-SEIZURE", DAY)


def test_a_press_that_is_sent_again_after_somebody_looked_raises_nothing_new(phone: Phone):
    sent = {"key": str(uuid4()), "rule": "RF-FALL", "trial": phone.trial.public_id}
    with at(EVENING):
        assert phone.client.post("/offline/serious", json=sent, headers=JSON).status_code == 200
        with phone.sessions.begin() as session:
            (alert,) = session.scalars(select(AlertRow)).all()
            alert.acknowledged_at, alert.acknowledged_by = EVENING, phone.trial.clinician_id
            alert.escalates_at = None
        again = phone.client.post("/offline/serious", json=sent, headers=JSON)
        another = {**sent, "key": str(uuid4())}
        alerts_after_again = phone.alerts()
        phone.client.post("/offline/serious", json=another, headers=JSON)

    assert again.get_json() == {"told": "RF-FALL"}
    assert alerts_after_again == [("RF-FALL", "button")]
    assert phone.alerts() == [("RF-FALL", "button")] * 2


@pytest.mark.parametrize("claimed", [None, "x", 10**30, -(10**30), 0, 4 * 10**12])
def test_a_phone_with_a_mad_clock_is_believed_as_far_as_possible(phone: Phone, claimed):
    sent = {"rule": "RF-FALL", "trial": phone.trial.public_id, "at": claimed}
    with at(EVENING):
        assert phone.client.post("/offline/serious", json=sent, headers=JSON).status_code == 200

    with phone.sessions() as session:
        (alert,) = session.scalars(select(AlertRow)).all()
        assert alert.day <= DAY
        assert DAY - alert.day <= timedelta(days=31)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], 400),
        ("x", 400),
        ({"rule": "RF-SUICIDE"}, 422),
        ({"rule": "RF-FALL", "trial": "somebody-else"}, 404),
        ({"rule": ["RF-FALL"]}, 422),
    ],
)
def test_what_no_phone_of_ours_sends_raises_nothing(phone: Phone, sent, status: int):
    response = phone.client.post("/offline/serious", json=sent, headers=JSON)

    assert response.status_code == status
    assert response.get_json()["reason"]
    assert phone.alerts() == []


def test_a_patient_cannot_raise_an_alert_in_the_trial_of_another(new_phone):
    mine, theirs = new_phone(), new_phone()
    sent = {"rule": "RF-FALL", "trial": theirs.trial.public_id}

    assert mine.client.post("/offline/serious", json=sent, headers=JSON).status_code == 404
    assert theirs.alerts() == []


def test_before_and_without_a_trial_there_are_numbers_at_least(
    new_phone, app: Flask, sessions: sessionmaker[Session]
):
    assert "tel:112" in new_phone(make_draft).client.get("/help-now").text
    with sessions.begin() as session:
        site = session.scalars(select(SiteRow)).first()
        patient = make_patient(session, make_actor(session, site, Role.CLINICIAN), NOON)
    client: Visitor = app.test_client()  # type: ignore[assignment]
    with sessions() as session:
        client.hold_device(session, session.get_one(PatientRow, patient.id))

    page = client.get("/help-now").text
    assert "tel:112" in page
    assert "data-serious" not in page


def test_help_is_one_step_from_every_page_of_the_patient(phone: Phone):
    for path in ("/today", "/entries", "/clinic", "/reminders", "/mood"):
        assert 'href="/help-now"' in phone.client.get(path).text, path


@pytest.mark.parametrize(("deed", "state"), [("pause", "paused"), ("stop", "stopped")])
def test_words_of_despair_in_a_reason_are_answered_with_help(phone: Phone, deed: str, state: str):
    with phone.sessions() as session:
        revision = session.get_one(TrialRow, phone.trial.id).revision
    with at(EVENING):
        data = {"reason": "I do not want to live any more", "revision": revision}
        response = phone.client.post(f"/clinic/{deed}", data=data, follow_redirects=True)

    assert rules()["RF-SUICIDE"].text in response.text
    assert phone.alerts() == [("RF-SUICIDE", "words")]
    with phone.sessions() as session:
        assert session.get_one(TrialRow, phone.trial.id).state == state


DESPAIR = "I keep thinking about killing myself"


@pytest.mark.parametrize("field", ["words", "why"])
def test_words_of_despair_at_the_end_of_a_period_are_answered_with_help(phone: Phone, field: str):
    form = {"treatment": "unknown", field: DESPAIR}
    with at(evening(DAY + timedelta(days=6))):
        missing = phone.client.post("/period/1/guess", data={field: DESPAIR})
        kept = phone.client.post("/period/1/guess", data=form, follow_redirects=True)
        again = phone.client.post("/period/1/guess", data=form, follow_redirects=True)

    assert missing.status_code == 422
    for response in (missing, kept, again):
        assert rules()["RF-SUICIDE"].text in response.text
    assert phone.alerts() == [("RF-SUICIDE", "words")]


def test_words_that_come_too_late_for_the_questions_of_a_period_are_still_heard(phone: Phone):
    with at(evening(DAY + timedelta(days=20))):
        late = phone.client.post("/period/1/guess", data={"words": DESPAIR}, follow_redirects=True)

    assert rules()["RF-SUICIDE"].text in late.text
    assert phone.alerts() == [("RF-SUICIDE", "words")]


def test_words_of_despair_in_the_reason_of_a_correction_are_answered_with_help(phone: Phone):
    with at(EVENING):
        phone.client.post(f"/diary/{DAY}", data=USUAL)
    with at(EVENING + timedelta(days=3)):
        page = f"/diary/{DAY}/correct"
        missing = phone.client.post(page, data={"reason": DESPAIR, "key": str(uuid4())})
        kept = phone.client.post(page, data={**USUAL, "reason": DESPAIR}, follow_redirects=True)

    assert missing.status_code == 422
    for response in (missing, kept):
        assert rules()["RF-SUICIDE"].text in response.text
    assert phone.alerts() == [("RF-SUICIDE", "words")]


def test_words_of_despair_are_heard_though_the_form_is_refused(phone: Phone):
    with at(EVENING):
        problem = phone.client.post("/clinic/problem", data={"words": DESPAIR})
        stale = phone.client.post("/clinic/stop", data={"reason": DESPAIR, "revision": "999"})

    assert (problem.status_code, stale.status_code) == (422, 409)
    for response in (problem, stale):
        assert rules()["RF-SUICIDE"].text in response.text
    assert phone.alerts() == [("RF-SUICIDE", "words")]


def test_the_same_words_are_told_again_from_a_new_form_and_not_from_the_old_one(phone: Phone):
    forms = [str(uuid4()), str(uuid4())]
    told = []
    with at(EVENING):
        for key in (forms[0], forms[0], forms[1]):
            data = {"kind": "other", "words": DESPAIR, "key": key}
            phone.client.post("/clinic/problem", data=data)
            told.append(len(phone.alerts()))
            phone.acknowledge_all()

    assert told == [1, 1, 2]


# ---- what a phone takes along ----------------------------------------------------------------


def test_the_pack_holds_rules_words_and_advice_and_names_no_treatment(phone: Phone):
    response = phone.client.get("/offline/pack", headers=JSON)
    safety = response.get_json()["safety"]

    told = {rule["id"]: rule["text"] for rule in safety["rules"]}
    assert told["RF-SUICIDE"] == rules()["RF-SUICIDE"].text
    assert safety["most_doses"] == [8]
    assert safety["words"]["suicidal"]
    for candidate in WATCHED.candidates:
        assert candidate.name not in response.text
        assert candidate.treatment not in response.text


def test_the_pages_for_times_without_a_network_hold_the_numbers(phone: Phone):
    for path in ("/offline/today", "/offline/away", "/offline/help", "/offline/diary"):
        page = phone.client.get(path).text
        assert 'href="tel:112"' in page, path
        assert 'href="tel:+49301234567"' in page, path


def test_a_changed_number_is_a_new_edition_of_what_a_phone_keeps(phone: Phone):
    before = phone.client.get("/offline/pack", headers=JSON).get_json()["edition"]
    with phone.sessions.begin() as session:
        session.scalars(select(SafetyContactRow)).one().crisis = "116 123"

    after = phone.client.get("/offline/pack", headers=JSON).get_json()["edition"]
    assert before != after


# ---- mood ------------------------------------------------------------------------------------


def answer_mood(phone: Phone, **fields):
    data = {"key": uuid4().hex, **fields}
    return phone.client.post("/mood", data=data, follow_redirects=True)


def test_the_page_begins_with_help_and_chooses_nothing(phone: Phone):
    page = phone.client.get("/mood").text

    assert page.index("tel:08001110111") < page.index('name="low"')
    assert " checked" not in page


@pytest.mark.parametrize("thoughts", ["sometimes", "often", "not_said"])
def test_whoever_does_not_say_no_reads_whom_to_call(phone: Phone, thoughts: str):
    page = answer_mood(phone, low="1", thoughts=thoughts).text

    assert rules()["RF-SUICIDE"].text in page
    assert "tel:08001110111" in page
    assert phone.alerts() == [("RF-SUICIDE", "screen")]


def test_a_phone_brings_answers_about_mood_days_later_and_once(phone: Phone):
    sent = {
        "key": str(uuid4()),
        "trial": phone.trial.public_id,
        "at": round(EVENING.timestamp() * 1000),
        "low": "2",
        "thoughts": "often",
    }
    with at(EVENING + timedelta(days=3)):
        for _again in range(2):
            response = phone.client.post("/offline/mood", json=sent, headers=JSON)
            assert response.get_json() == {"kept": True}
        asked = {"keys": [], "moods": [sent["key"], str(uuid4())]}
        known = phone.client.post("/offline/check", json=asked, headers=JSON).get_json()

    with phone.sessions() as session:
        (row,) = session.scalars(select(MoodScreenRow)).all()
        assert (row.low, row.thoughts, row.day) == (2, "often", DAY)
    assert phone.alerts() == [("RF-SUICIDE", "screen")]
    assert known["unknown_calls"] == asked["moods"][1:]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], 400),
        ({"low": "1", "thoughts": "no", "trial": "of-nobody"}, 404),
        ({"low": "9", "thoughts": "no"}, 422),
        ({"low": ["1"], "thoughts": "no"}, 422),
    ],
)
def test_answers_about_mood_that_no_phone_of_ours_sends_are_refused(phone: Phone, sent, status):
    if isinstance(sent, dict):
        sent = {"trial": phone.trial.public_id, **sent}
    response = phone.client.post("/offline/mood", json=sent, headers=JSON)

    assert response.status_code == status
    assert response.get_json()["reason"]
    assert phone.alerts() == []


def test_whoever_says_no_goes_back_to_today(phone: Phone):
    page = answer_mood(phone, low="0", thoughts="no").text

    assert "Your answers are kept." in page
    assert phone.alerts() == []


@pytest.mark.parametrize(
    "fields", [{}, {"low": "1"}, {"thoughts": "no"}, {"low": "9", "thoughts": "no"}]
)
def test_what_is_missing_is_asked_for_again(phone: Phone, fields):
    response = phone.client.post("/mood", data=fields)

    assert response.status_code == 422
    assert "Please choose one of the answers." in response.text
    with phone.sessions() as session:
        assert session.scalars(select(MoodScreenRow)).all() == []


def test_the_questions_stand_on_today_before_the_start_and_go_when_answered(new_phone):
    phone = new_phone(make_ready)
    before = phone.client.get("/today").text
    answer_mood(phone, low="0", thoughts="no")

    assert "Two short questions about your mood" in before
    assert "Two short questions about your mood" not in phone.client.get("/today").text


def test_low_mood_in_the_diary_leads_to_the_questions(phone: Phone):
    with at(EVENING):
        answer_mood(phone, low="0", thoughts="no")
    low = {**USUAL, "any_side_effects": "yes", "side_effect-low_mood": "1", "bother": "1"}
    with at(EVENING + timedelta(days=1)):
        page = phone.client.post("/diary/2026-03-02", data=low, follow_redirects=True).text

    assert "Two short questions about your mood" in page
    assert 'href="/mood"' in page


# ---- numbers that nobody gave ------------------------------------------------------------------

NO_SUCH_NUMBER = "We have no such number for your country. Call the emergency number instead."


@pytest.mark.parametrize("path", ["/help-now?told=RF-OVERDOSE", "/mood/help"])
def test_advice_that_names_a_number_nobody_gave_says_what_to_call_instead(phone: Phone, path: str):
    known = phone.client.get(path).text
    with phone.sessions.begin() as session:
        session.execute(delete(SafetyContactRow))
    unknown = phone.client.get(path).text

    assert NO_SUCH_NUMBER not in known.partition('<ul class="lt-serious"')[0]
    advice = unknown.partition("data-advice=")[2].partition("</section>")[0]
    assert advice.index(NO_SUCH_NUMBER) < advice.index('href="tel:112"')


def test_a_problem_is_told_below_the_numbers_the_clinic_set(phone: Phone):
    page = phone.client.get("/clinic/problem").text

    for number in ("112", "08001110111", "+49301234567"):
        assert f'href="tel:{number}"' in page
    assert "911" not in page
