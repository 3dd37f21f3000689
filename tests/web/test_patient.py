"""The patient's pages: what is said in every situation, what is kept, and what is refused."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from tests.builders import (
    PROTOCOL,
    VAULT,
    evening,
    fill_day,
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
from tests.plugins.web import Visitor, close_app, make_app
from trials.domain.blinding import Role
from trials.domain.calendar import zone_of
from trials.domain.diary import Questionnaire, SideEffect
from trials.domain.protocol import Protocol
from trials.services.actor import Actor
from trials.services.analysis import release_result
from trials.services.running import (
    pause_trial,
    resume_trial,
)
from trials.services.trials import decide
from trials.store.account import PatientRow
from trials.store.audit import AuditRow
from trials.store.diary import DiaryDayRow, DiaryEntryRow, latest_entries
from trials.store.impression import impressions_of_trial
from trials.store.outbox import MessageRow
from trials.store.trial import TrialRow, guesses_of_trial, periods_of_trial

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
"""Noon of Sunday, March 1 in Berlin, the first day of the trials below."""

RESCUED = replace(
    PROTOCOL,
    questionnaire=Questionnaire(
        (SideEffect("nausea", "Feeling sick"), SideEffect("dry_mouth", "Dry mouth")),
        rescue="Paracetamol 500 mg",
    ),
)
USUAL = {"pain": "4", "any_side_effects": "no", "intake": "all"}


@dataclass
class Clinic:
    """A clinic with its web site, and doors for its patients."""

    app: Flask
    sessions: sessionmaker[Session]
    clinician: Actor
    analyst: Actor

    def client_of(self, patient: PatientRow) -> FlaskClient:
        """Return a phone of this patient."""
        return phone_of(self.app, self.sessions, patient)

    def trial(
        self, make: Callable[..., TrialRow] = make_running, protocol: Protocol = RESCUED
    ) -> tuple[TrialRow, FlaskClient]:
        """Return a trial of a new patient, and the patient's phone."""
        with self.sessions.begin() as session:
            trial = make(session, self.clinician, NOON, protocol)
            patient = trial.patient
        return trial, self.client_of(patient)

    def entries(self, trial: TrialRow) -> list[DiaryEntryRow]:
        """Return every revision that was kept."""
        with self.sessions() as session:
            query = (
                select(DiaryEntryRow)
                .join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
                .where(DiaryDayRow.trial_id == trial.id)
                .order_by(DiaryEntryRow.id)
            )
            return list(session.scalars(query))


def phone_of(app: Flask, sessions: sessionmaker[Session], patient: PatientRow) -> FlaskClient:
    phone = app.test_client()
    assert isinstance(phone, Visitor)
    with sessions() as session, at(NOON):
        phone.hold_device(session, patient)
    return phone


@pytest.fixture
def clinic(database_url: str, sessions: sessionmaker[Session], tmp_path: Path) -> Iterator[Clinic]:
    with sessions.begin() as session:
        site = make_site(session, "Riverside Pain Clinic")
        clinician = make_actor(session, site, Role.CLINICIAN)
        analyst = make_actor(session, site, Role.ANALYST)
    app = make_app(database_url, tmp_path, WTF_CSRF_ENABLED=False)
    yield Clinic(app, sessions, clinician, analyst)
    close_app(app)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    with time_machine.travel(moment, tick=False):
        yield


def local(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone_of("Europe/Berlin"))


def words(response: TestResponse) -> str:
    """Return what a person reads in the main part of the page."""
    main = response.text.partition("<main")[2].partition("</main>")[0]
    main = re.sub(r"<(svg|table|details)\b.*?</\1>", " ", main, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def key_of(page: TestResponse) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


FIRST = date(2026, 3, 1)


# ---- today ---------------------------------------------------------------------------------


def test_the_first_page_says_which_box_and_that_the_diary_is_open(clinic: Clinic):
    trial, client = clinic.trial()
    with clinic.sessions() as session:
        kit = periods_of_trial(session, trial.id)[0].kit

    with at(evening(FIRST)):
        text = words(client.get("/today"))

    assert f"Box {kit[:2]} {kit[2:5]} {kit[5:]}" in text
    assert "Fill in today's diary" in text
    assert "until 3:00 AM tonight" in text.replace("\u202f", " ")
    assert "Day 1 of 28" in text


def test_before_the_hour_the_page_says_when_the_diary_opens(clinic: Clinic):
    _trial, client = clinic.trial()

    with at(NOON):
        text = words(client.get("/today"))

    assert "Fill in" not in text
    assert "The next diary opens today at 5:00 PM." in text.replace("\u202f", " ")


def test_yesterday_is_offered_after_midnight_and_late_next_day(clinic: Clinic):
    _trial, client = clinic.trial()

    with at(local(FIRST + timedelta(days=1), 1)):
        in_the_night = words(client.get("/today")).replace("\u202f", " ")
    with at(local(FIRST + timedelta(days=1), 12)):
        at_noon = words(client.get("/today"))

    assert "Yesterday's is still open until 3:00 AM." in in_the_night
    assert "a little late" not in in_the_night
    assert "Yesterday's is still open until midnight tonight. It is a little late" in at_noon


def test_on_the_last_day_of_a_box_the_next_one_is_announced(clinic: Clinic):
    trial, client = clinic.trial()
    with clinic.sessions() as session:
        second = periods_of_trial(session, trial.id)[1].kit

    with at(evening(FIRST + timedelta(days=6))):
        text = words(client.get("/today"))

    assert f"From tomorrow: box {second[:2]} {second[2:5]} {second[5:]}" in text


def test_an_open_trial_names_treatment_and_dose(clinic: Clinic):
    _trial, client = clinic.trial(protocol=open_protocol(RESCUED))

    with at(evening(FIRST)):
        text = words(client.get("/today"))

    named = ["Ibuprofen 400 mg three times a day", "Amitriptyline 25 mg at night"]
    assert sum(f"Take today {name}" in text for name in named) == 1
    assert "Box" not in text


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (make_draft, "Your trial is being planned"),
        (make_ready, "Your trial is ready"),
        (make_completed, "Your trial is complete"),
    ],
)
def test_every_state_has_its_page(clinic: Clinic, make: Callable[..., TrialRow], sentence: str):
    _trial, client = clinic.trial(make)

    with at(evening(FIRST + timedelta(days=40))):
        assert sentence in words(client.get("/today"))
        for path in ("/entries", "/result", "/clinic"):
            assert client.get(path).status_code == 200


def test_a_patient_without_a_trial_gets_friendly_pages(clinic: Clinic):
    with clinic.sessions.begin() as session:
        patient = make_patient(session, clinic.clinician, NOON)
    client = clinic.client_of(patient)

    with at(NOON):
        pages = [client.get(path) for path in ("/today", "/entries", "/result", "/clinic")]

    assert {page.status_code for page in pages} == {200}
    assert "No trial yet" in words(pages[0])


def test_a_paused_trial_asks_nothing_and_says_so(clinic: Clinic):
    trial, client = clinic.trial()
    with clinic.sessions.begin() as session:
        row = session.get_one(TrialRow, trial.id)
        pause_trial(
            session, clinic.clinician, row, revision=row.revision, reason="Flu", now=evening(FIRST)
        )

    with at(evening(FIRST + timedelta(days=2))):
        text = words(client.get("/today"))
        refused = client.get("/diary/2026-03-03")

    assert "Your trial is paused" in text
    assert "Fill in" not in text
    assert refused.status_code == 409
    assert "the trial is paused or over" in words(refused)


def test_the_present_trial_comes_before_older_ones(clinic: Clinic):
    old, client = clinic.trial(make_completed)
    with clinic.sessions.begin() as session:
        from trials.services.trials import create_trial

        patient = session.get_one(TrialRow, old.id).patient
        create_trial(
            session, clinic.clinician, patient, title="Next plan", protocol=PROTOCOL, now=NOON
        )

    with at(evening(FIRST + timedelta(days=40))):
        text = words(client.get("/today"))
        other = client.get("/today")
        href = re.search(r'href="(/today\?trial=[^"]+)"', other.text)
        assert href is not None
        planned = words(client.get(href[1]))

    assert "Your trial is complete" in text
    assert "Next plan" in text
    assert "Your trial is being planned" in planned


# ---- the diary -----------------------------------------------------------------------------


def test_a_report_is_kept_and_confirmed(clinic: Clinic):
    trial, client = clinic.trial()
    form = USUAL | {"sleep": "3", "interference": "5", "rescue_doses": "1", "note": "Cold day"}

    with at(evening(FIRST)):
        page = client.get("/diary/2026-03-01")
        sent = client.post("/diary/2026-03-01", data=form | {"key": key_of(page)})
        thanks = words(client.get(sent.location))

    assert sent.status_code == 303
    (entry,) = clinic.entries(trial)
    assert (entry.pain, entry.sleep, entry.interference, entry.rescue_doses) == (4, 3, 5, 1)
    assert (entry.source, entry.note, entry.minutes_late) == ("patient", "Cold day", 0)
    assert "Your report of Sunday, March 1 is kept." in thanks
    assert "Pain 4 of 10" in thanks
    assert "The next diary opens tomorrow" in thanks


def test_what_is_missing_is_said_and_what_was_typed_stays(clinic: Clinic):
    trial, client = clinic.trial()
    typed = {
        "any_side_effects": "yes",
        "side_effect-nausea": "2",
        "note": "Stairs",
        "key": "k" * 32,
    }

    with at(evening(FIRST)):
        page = client.post("/diary/2026-03-01", data=typed)

    assert page.status_code == 422
    for field in ("pain", "bother", "intake"):
        assert f'href="#{field}"' in page.text
        assert f'id="{field}"' in page.text
    assert "Please choose a number from 0 to 10." in page.text
    assert re.search(r'name="side_effect-nausea" value="2" checked', page.text)
    assert re.search(r'name="any_side_effects" value="yes" checked', page.text)
    assert "Stairs</textarea>" in page.text
    assert key_of(page) == "k" * 32
    assert clinic.entries(trial) == []


@pytest.mark.parametrize("pain", ["10.5", "-1", "", "11", "a", "٣", "1e1"])
def test_only_whole_numbers_from_0_to_10_are_pain(clinic: Clinic, pain: str):
    trial, client = clinic.trial()

    with at(evening(FIRST)):
        page = client.post("/diary/2026-03-01", data=USUAL | {"pain": pain})

    assert page.status_code == 422
    assert clinic.entries(trial) == []


def test_the_order_is_pain_side_effects_then_the_rest_and_nothing_is_chosen(clinic: Clinic):
    _trial, client = clinic.trial()

    with at(evening(FIRST)):
        page = client.get("/diary/2026-03-01").text

    names = ["pain", "any_side_effects", "bother", "sleep", "intake", "rescue_doses", "note"]
    places = [page.index(f'name="{name}"') for name in names]
    assert places == sorted(places)
    assert "checked" not in page
    assert 'type="range"' not in page


def test_the_form_never_shows_an_earlier_answer(clinic: Clinic):
    _trial, client = clinic.trial()
    note = "Only seen by those who should"

    with at(evening(FIRST)):
        client.post("/diary/2026-03-01", data=USUAL | {"pain": "9", "note": note})
        again = client.get("/diary/2026-03-01")

    assert "checked" not in again.text
    assert note not in again.text
    assert "You reported this day already" in words(again)


@pytest.mark.parametrize(
    ("moment", "status", "said"),
    [
        (local(FIRST, 16, 59), 422, "is not open yet"),
        (local(FIRST, 17, 0), 303, ""),
        (local(FIRST + timedelta(days=1), 2, 59), 303, ""),
        (local(FIRST + timedelta(days=1), 3, 0), 303, "marked as late"),
        (local(FIRST + timedelta(days=1), 23, 59), 303, "marked as late"),
        (local(FIRST + timedelta(days=2), 0, 0), 422, "counts as missing"),
    ],
)
def test_a_day_can_be_sent_in_its_window_only(
    clinic: Clinic, moment: datetime, status: int, said: str
):
    trial, client = clinic.trial()

    with at(moment):
        sent = client.post("/diary/2026-03-01", data=USUAL)
        page = client.get(sent.location) if status == 303 else sent

    assert sent.status_code == status
    assert said in words(page)
    assert len(clinic.entries(trial)) == (status == 303)


@pytest.mark.parametrize("day", ["2026-03-02", "2026-05-01", "2020-01-01"])
def test_a_day_to_come_or_of_no_trial_is_refused(clinic: Clinic, day: str):
    trial, client = clinic.trial()

    with at(evening(FIRST)):
        sent = client.post(f"/diary/{day}", data=USUAL)

    assert sent.status_code == 422
    assert "What you just filled in was not kept" in words(sent)
    assert clinic.entries(trial) == []


@pytest.mark.parametrize("day", ["2026-3-1", "yesterday", "2026-02-30", "20260301", "2026-W09-7"])
def test_an_address_that_is_no_date_is_no_page(clinic: Clinic, day: str):
    _trial, client = clinic.trial()

    with at(evening(FIRST)):
        assert client.get(f"/diary/{day}").status_code == 404
        assert client.post(f"/diary/{day}", data=USUAL).status_code == 404


def test_the_same_form_sent_twice_is_one_report(clinic: Clinic):
    trial, client = clinic.trial()

    with at(evening(FIRST)):
        form = USUAL | {"key": key_of(client.get("/diary/2026-03-01"))}
        first = client.post("/diary/2026-03-01", data=form)
        second = client.post("/diary/2026-03-01", data=form)
    with at(evening(FIRST + timedelta(days=5))):  # a phone that was offline for days
        third = client.post("/diary/2026-03-01", data=form)

    assert {first.location, second.location, third.location} == {"/diary/2026-03-01/thanks"}
    assert len(clinic.entries(trial)) == 1


def test_two_taps_at_the_same_moment_are_one_report(clinic: Clinic):
    trial, client = clinic.trial()
    cookie = client.get_cookie("lenitive-device")
    assert cookie is not None, "the phone is known by its cookie"
    form = USUAL | {"key": str(uuid4())}

    def tap(_number: int) -> int:
        phone = clinic.app.test_client()
        phone.set_cookie(cookie.key, cookie.value)
        return phone.post("/diary/2026-03-01", data=form).status_code

    with at(evening(FIRST)), ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(tap, range(4)))

    assert statuses == [303] * 4
    assert len(clinic.entries(trial)) == 1


def test_a_form_changed_in_the_browsers_history_is_a_correction(clinic: Clinic):
    trial, client = clinic.trial()
    form = USUAL | {"key": str(uuid4())}

    with at(evening(FIRST)):
        client.post("/diary/2026-03-01", data=form)
        for _again in range(2):
            client.post("/diary/2026-03-01", data=form | {"pain": "8"})
        thanks = words(client.get("/diary/2026-03-01/thanks"))

    assert [(e.revision, e.pain) for e in clinic.entries(trial)] == [(1, 4), (2, 8)]
    assert "It replaces your earlier report; the earlier one stays on record." in thanks


def test_a_report_can_be_corrected_until_the_diary_closes(clinic: Clinic):
    trial, client = clinic.trial()

    with at(evening(FIRST)):
        client.post("/diary/2026-03-01", data=USUAL)
    with at(local(FIRST + timedelta(days=1), 2, 59)):
        on_time = client.post("/diary/2026-03-01", data=USUAL | {"pain": "6"})
    with at(local(FIRST + timedelta(days=1), 3, 1)):
        too_late = client.post("/diary/2026-03-01", data=USUAL | {"pain": "1"})

    assert on_time.status_code == 303
    assert too_late.status_code == 422
    assert "please tell your clinic" in words(too_late)
    assert [e.pain for e in clinic.entries(trial)] == [4, 6]


@pytest.mark.parametrize(
    ("form", "doses"),
    [
        ({"rescue_doses": "2"}, 2),
        ({"rescue_doses": "more", "more_doses": "7"}, 7),
        ({"more_doses": "7"}, 7),  # a browser that shows both fields
        ({"rescue_doses": "2", "more_doses": "7"}, 2),  # changed one's mind
        ({}, None),
    ],
)
def test_rescue_doses_are_tapped_or_typed(clinic: Clinic, form: dict[str, str], doses: int | None):
    trial, client = clinic.trial()

    with at(evening(FIRST)):
        client.post("/diary/2026-03-01", data=USUAL | form)

    assert [e.rescue_doses for e in clinic.entries(trial)] == [doses]


@pytest.mark.parametrize("more", ["", "51", "some"])
def test_more_doses_need_a_number(clinic: Clinic, more: str):
    _trial, client = clinic.trial()

    with at(evening(FIRST)):
        page = client.post(
            "/diary/2026-03-01", data=USUAL | {"rescue_doses": "more", "more_doses": more}
        )

    assert page.status_code == 422
    assert "Please give the number of rescue doses" in page.text


def test_a_long_note_is_refused_and_kept_on_the_page(clinic: Clinic):
    trial, client = clinic.trial()
    note = "x" * 501

    with at(evening(FIRST)):
        page = client.post("/diary/2026-03-01", data=USUAL | {"note": note})

    assert page.status_code == 422
    assert note in page.text
    assert clinic.entries(trial) == []


def test_the_hours_are_those_of_the_trial_wherever_the_patient_is(clinic: Clinic):
    """17:30 in Berlin is half past eight in Los Angeles: the trial's clock decides."""
    trial, client = clinic.trial()
    with clinic.sessions.begin() as session:
        session.get_one(PatientRow, trial.patient_id).timezone = "America/Los_Angeles"

    with at(local(FIRST, 17, 30)):
        assert client.post("/diary/2026-03-01", data=USUAL).status_code == 303
        assert "Hours are those of Berlin" in words(client.get("/today"))


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_a_day_of_23_or_25_hours_is_one_diary_day(clinic: Clinic, day: date):
    start = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
    with clinic.sessions.begin() as session:
        trial = make_running(session, clinic.clinician, start, RESCUED)
        patient = trial.patient
    client = clinic.client_of(patient)

    with at(local(day, 20)):
        sent = client.post(f"/diary/{day.isoformat()}", data=USUAL)

    assert sent.status_code == 303
    assert len(clinic.entries(trial)) == 1


# ---- own reports ---------------------------------------------------------------------------


def test_own_reports_hold_missed_late_and_corrected_days(clinic: Clinic):
    trial, client = clinic.trial()
    with clinic.sessions.begin() as session:
        row = session.get_one(TrialRow, trial.id)
        fill_day(session, row, FIRST, 6)
        fill_day(session, row, FIRST + timedelta(days=2), 3, at=local(FIRST + timedelta(3), 4))
        fill_day(session, row, FIRST + timedelta(days=3), 5)
        fill_day(session, row, FIRST + timedelta(days=3), 7)

    with at(evening(FIRST + timedelta(days=4))):
        page = client.get("/entries")

    text = words(page)
    assert "3 of 4 days reported so far." in text
    assert "Thursday, March 5 Fill in now" in text
    assert re.search(r"Wednesday, March 4 Pain 7 .* corrected", text)
    assert re.search(r"Tuesday, March 3 Pain 3 .* 1 h late", text)
    assert "Monday, March 2 no report" in text
    assert "Sunday, March 1 Pain 6" in text


def test_the_pain_line_waits_until_the_treatments_are_known(clinic: Clinic):
    blinded, blinded_client = clinic.trial()
    opened, open_client = clinic.trial(protocol=open_protocol(RESCUED))
    with clinic.sessions.begin() as session:
        for trial in (blinded, opened):
            fill_day(session, session.get_one(TrialRow, trial.id), FIRST)

    with at(evening(FIRST + timedelta(days=1))):
        hidden, shown = blinded_client.get("/entries"), open_client.get("/entries")

    assert "Your pain, day by day" not in hidden.text
    assert '<svg class="lt-chart' not in hidden.text
    assert "Your pain, day by day" in shown.text


# ---- blinding ------------------------------------------------------------------------------

PATHS = (
    "/today",
    "/diary/2026-03-07",
    "/diary/2026-03-06/thanks",
    "/diary/2026-03-08",
    "/entries",
    "/result",
    "/clinic",
    "/clinic/pause",
    "/clinic/stop",
)


def test_no_page_of_a_blinded_trial_names_a_treatment(clinic: Clinic):
    trial, client = clinic.trial()
    with clinic.sessions.begin() as session:
        row = session.get_one(TrialRow, trial.id)
        for day in trial_days(row)[:6]:
            fill_day(session, row, day)

    with at(evening(FIRST + timedelta(days=6))):
        pages = [client.get(path).text.casefold() for path in PATHS]

    for page in pages:
        for secret in ("ibuprofen", "amitriptyline", "400 mg", "25 mg"):
            assert secret not in page


def test_the_guess_lists_all_treatments_alike_in_every_period(clinic: Clinic):
    _trial, client = clinic.trial()

    pages = []
    for number in (1, 2, 3, 4):
        with at(evening(FIRST + timedelta(days=7 * number - 1))):
            pages.append(client.get(f"/period/{number}/guess").text)

    lists = {tuple(re.findall(r'name="treatment" value="([^"]+)"', page)) for page in pages}
    assert lists == {("amitriptyline", "ibuprofen", "unknown")}


# ---- the guess -----------------------------------------------------------------------------


def test_a_guess_is_asked_on_the_last_day_and_the_first_answer_stands(clinic: Clinic):
    trial, client = clinic.trial()
    form = {"treatment": "ibuprofen", "certainty": "2", "why": "Taste"}

    with at(evening(FIRST + timedelta(days=5))):
        early = client.get("/period/1/guess")
    with at(evening(FIRST + timedelta(days=6))):
        asked = words(client.get("/today"))
        kept = client.post("/period/1/guess", data=form)
        again = client.post("/period/1/guess", data=form | {"treatment": "amitriptyline"})
        after = words(client.get("/today"))

    assert early.status_code == 409
    assert "Some questions about box" in asked
    assert kept.status_code == again.status_code == 303
    assert "Some questions about box" not in after
    with clinic.sessions() as session:
        (guess,) = guesses_of_trial(session, trial.id)
    assert (guess.treatment, guess.certainty, guess.why) == ("ibuprofen", 2, "Taste")


def test_not_knowing_is_an_answer(clinic: Clinic):
    trial, client = clinic.trial()

    with at(evening(FIRST + timedelta(days=6))):
        empty = client.post("/period/1/guess", data={"why": "Hm"})
        sent = client.post("/period/1/guess", data={"treatment": "unknown"})

    assert empty.status_code == 422
    assert "Hm</textarea>" in empty.text
    assert sent.status_code == 303
    with clinic.sessions() as session:
        assert [g.treatment for g in guesses_of_trial(session, trial.id)] == [""]


def test_a_treatment_that_is_no_candidate_is_no_guess(clinic: Clinic):
    trial, client = clinic.trial()

    with at(evening(FIRST + timedelta(days=6))):
        sent = client.post("/period/1/guess", data={"treatment": "opium", "certainty": "1"})

    assert sent.status_code == 422
    with clinic.sessions() as session:
        assert guesses_of_trial(session, trial.id) == []


def test_an_open_trial_asks_how_it_was_and_for_no_guess(clinic: Clinic):
    trial, client = clinic.trial(protocol=open_protocol(RESCUED))

    with at(evening(FIRST + timedelta(days=6))):
        asked = client.get("/period/1/guess")
        sent = client.post("/period/1/guess", data={"change": "2", "words": "Slept better"})

    assert 'name="treatment"' not in asked.text
    assert sent.status_code == 303
    with clinic.sessions() as session:
        (kept,) = impressions_of_trial(session, trial.id)
        assert guesses_of_trial(session, trial.id) == []
    assert (kept.change, kept.words, kept.preference) == (2, "Slept better", None)


def test_after_two_days_the_questions_about_a_period_are_closed(clinic: Clinic):
    _trial, client = clinic.trial()
    last = FIRST + timedelta(days=6)

    with at(evening(last + timedelta(days=2), 16)):
        open_still = client.get("/period/1/guess").status_code
    with at(evening(last + timedelta(days=2), 17)):
        closed = client.get("/period/1/guess").status_code

    assert (open_still, closed) == (200, 409)


# ---- the result ----------------------------------------------------------------------------


def released(
    clinic: Clinic,
    *,
    relief: dict[str, float] | None = None,
    missed: tuple[int, ...] = (),
    protocol: Protocol = RESCUED,
) -> tuple[TrialRow, FlaskClient]:
    """Return a trial whose result is out, and the patient's phone."""

    def make(session: Session, clinician: Actor, now: datetime, chosen: Protocol) -> TrialRow:
        effects = relief or {"ibuprofen": 0.0, "amitriptyline": -3.0}
        trial = make_completed(session, clinician, now, chosen, effects, missed=missed)
        end = evening(trial_days(trial, chosen)[-1], 23)
        fit = make_fit(session, clinic.analyst, trial, end)
        release_result(
            session,
            VAULT,
            clinic.analyst,
            trial,
            revision=trial.revision,
            fit=fit.public_id,
            comment="",
            now=end,
        )
        return trial

    return clinic.trial(make, protocol)


def test_before_the_release_the_page_says_when_and_no_number(clinic: Clinic):
    _trial, client = clinic.trial()

    with at(evening(FIRST + timedelta(days=3))):
        text = words(client.get("/result"))

    assert "Your last day is Saturday, March 28." in text
    assert "points" not in text


def test_a_clear_result_is_said_in_plain_words_with_names_and_hundreds(clinic: Clinic):
    trial, client = released(clinic)

    with at(evening(FIRST + timedelta(days=30))):
        page = client.get("/result")
        today = words(client.get("/today"))

    text = words(page)
    assert "Your result is here" in today
    assert "Amitriptyline is best for you." in text
    assert "Of 100 people with a diary just like yours" in text
    assert "would do best with Amitriptyline" in text
    assert "Bother by side effects" in page.text
    assert "decide together" in text
    assert text.index("is best for you") < text.index("Of 100 people") < text.index("points a day")
    with clinic.sessions() as session:
        assert page.text.count("Mar ") >= len(periods_of_trial(session, trial.id))


def test_the_decision_is_shown_once_it_is_signed(clinic: Clinic):
    trial, client = released(clinic)
    with clinic.sessions.begin() as session:
        row = session.get_one(TrialRow, trial.id)
        decide(
            session,
            clinic.clinician,
            row,
            revision=row.revision,
            treatment="amitriptyline",
            reason="It helps, and the dry mouth is bearable.",
            now=evening(FIRST + timedelta(days=31)),
        )

    with at(evening(FIRST + timedelta(days=32))):
        text = words(client.get("/result"))

    assert "Decided: Amitriptyline It helps, and the dry mouth is bearable." in text


def test_too_little_data_is_said_kindly_and_without_a_number(clinic: Clinic):
    _trial, client = released(clinic, missed=tuple(range(1, 20)))

    with at(evening(FIRST + timedelta(days=30))):
        text = words(client.get("/result"))

    assert "Your days do not allow an answer." in text
    assert "you did nothing wrong" in text
    assert "Of 100 people" not in text


def test_cannot_tell_reads_as_an_honest_answer(clinic: Clinic):
    _trial, client = released(clinic, relief={"ibuprofen": 0.0, "amitriptyline": -0.3})

    with at(evening(FIRST + timedelta(days=30))):
        text = words(client.get("/result"))

    assert "Your days do not tell which one is best for you." in text
    assert "It does not mean that nothing helps you." in text


def test_the_result_can_be_read_at_twelve(clinic: Clinic):
    """Flesch-Kincaid grade of the sentences a patient reads: six school years suffice."""
    _trial, client = released(clinic)
    _other, unclear = released(clinic, relief={"ibuprofen": 0.0, "amitriptyline": -0.3})

    with at(evening(FIRST + timedelta(days=30))):
        texts = [c.get("/result").text for c in (client, unclear)]
        texts += [client.get(path).text for path in ("/today", "/clinic", "/clinic/stop")]

    for text in texts:
        assert grade(text) <= 7.0


def grade(page: str) -> float:
    """Return the Flesch-Kincaid grade of the paragraphs of a page; names of medicines are given.

    0.39 words/sentences + 11.8 syllables/words - 15.59 (Kincaid 1975), syllables by vowels.
    """
    main = page.partition("<main")[2].partition("</main>")[0]
    parts = re.findall(r"<(?:p|li|h1|h2|h3)\b[^>]*>(.*?)</(?:p|li|h1|h2|h3)>", main, re.DOTALL)
    prose = [unescape(re.sub(r"<[^>]+>", "", part)).strip() for part in parts]
    text = " ".join(p if p.endswith((".", "?", "!")) else f"{p}." for p in prose if p)
    text = re.sub(r"(\d)\.(\d)", r"\1\2", re.sub("Amitriptyline|Ibuprofen", "it", text))
    sentences = [s for s in re.split(r"[.?!:]+", text) if re.search(r"[a-z]", s)]
    found = re.findall(r"[A-Za-z']+", text)
    return (
        0.39 * len(found) / len(sentences)
        + 11.8 * sum(syllables(w) for w in found) / len(found)
        - 15.59
    )


def syllables(word: str) -> int:
    count = len(re.findall(r"[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith("le") and count > 1
    return max(1, count - silent)


# ---- the clinic, a pause, the end ----------------------------------------------------------


def test_a_call_is_asked_for_once_a_day_without_saying_why(clinic: Clinic):
    trial, client = clinic.trial()

    with at(NOON):
        for _tap in range(2):
            assert client.post("/clinic/call").status_code == 303
        text = words(client.get("/clinic"))

    assert "You asked for a call today." in text
    with clinic.sessions() as session:
        messages = list(session.scalars(select(MessageRow)))
        code = session.get_one(PatientRow, trial.patient_id).code
        asked = [r for r in session.scalars(select(AuditRow)) if r.action == "ask_for_call"]
    assert len(messages) == len(asked) == 1
    assert code in messages[0].subject


def test_a_pause_is_asked_twice_and_done_once(clinic: Clinic):
    trial, client = clinic.trial()

    with at(NOON):
        asked = client.get("/clinic/pause")
        form = {"revision": revision_of(asked), "reason": ""}
        first = client.post("/clinic/pause", data=form)
        second = client.post("/clinic/pause", data=form)
        text = words(client.get("/today"))

    assert first.status_code == second.status_code == 303
    assert "Your trial is paused" in text
    with clinic.sessions() as session:
        assert session.get_one(TrialRow, trial.id).state == "paused"
        assert len(list(session.scalars(select(MessageRow)))) == 1


def test_a_stop_needs_no_reason_and_keeps_what_was_reported(clinic: Clinic):
    trial, client = clinic.trial()
    with clinic.sessions.begin() as session:
        fill_day(session, session.get_one(TrialRow, trial.id), FIRST)

    with at(evening(FIRST + timedelta(days=1))):
        asked = client.get("/clinic/stop")
        client.post("/clinic/stop", data={"revision": revision_of(asked)})
        text = words(client.get("/today"))
        refused = client.post("/diary/2026-03-02", data=USUAL)

    assert "Your trial has ended early" in text
    assert refused.status_code == 422
    with clinic.sessions() as session:
        assert session.get_one(TrialRow, trial.id).state == "stopped"
        assert len(latest_entries(session, trial.id)) == 1


def test_a_stop_of_a_trial_that_changed_meanwhile_is_asked_again(clinic: Clinic):
    trial, client = clinic.trial()

    with at(NOON):
        stale = revision_of(client.get("/clinic/stop"))
    with clinic.sessions.begin() as session:
        row = session.get_one(TrialRow, trial.id)
        pause_trial(session, clinic.clinician, row, revision=row.revision, reason="x", now=NOON)
        resume_trial(session, clinic.clinician, row, revision=row.revision, now=NOON)
    with at(NOON):
        refused = client.post("/clinic/stop", data={"revision": stale, "reason": "Too much"})
        again = client.post("/clinic/stop", data={"revision": revision_of(refused)})

    assert refused.status_code == 409
    assert "Too much</textarea>" in refused.text
    assert "Somebody else changed this trial" in words(refused)
    assert again.status_code == 303


@pytest.mark.parametrize("revision", ["", "x", "-1", "999"])
def test_a_pause_without_a_sound_revision_is_refused(clinic: Clinic, revision: str):
    trial, client = clinic.trial()

    with at(NOON):
        assert client.post("/clinic/pause", data={"revision": revision}).status_code == 409

    with clinic.sessions() as session:
        assert session.get_one(TrialRow, trial.id).state == "running"


def revision_of(page: TestResponse) -> str:
    found = re.search(r'name="revision" value="(\d+)"', page.text)
    assert found is not None
    return found[1]


# ---- strangers -----------------------------------------------------------------------------


def test_a_stranger_is_sent_to_the_door(clinic: Clinic):
    clinic.trial()
    stranger = clinic.app.test_client()

    for path in PATHS:
        assert stranger.get(path).location == "/code"
    assert stranger.post("/diary/2026-03-01", data=USUAL).status_code == 401


def test_nobody_reaches_the_trial_of_somebody_else(clinic: Clinic):
    mine, _mine_client = clinic.trial()
    _theirs, client = clinic.trial()

    with at(evening(FIRST)):
        for path in PATHS:
            assert client.get(path, query_string={"trial": mine.public_id}).status_code == 404
        sent = client.post(f"/diary/2026-03-01?trial={mine.public_id}", data=USUAL)

    assert sent.status_code == 404
    assert clinic.entries(mine) == []


def test_a_form_from_another_site_is_refused(clinic: Clinic, database_url: str, tmp_path: Path):
    trial, _client = clinic.trial()
    strict = make_app(database_url, tmp_path)
    with clinic.sessions() as session:
        patient = session.get_one(PatientRow, trial.patient_id)
    client = phone_of(strict, clinic.sessions, patient)

    with at(evening(FIRST)):
        assert client.post("/diary/2026-03-01", data=USUAL).status_code == 400

    close_app(strict)
    assert clinic.entries(trial) == []


def test_a_deed_of_the_patient_is_attributed_to_the_patient(clinic: Clinic):
    trial, client = clinic.trial()

    with at(evening(FIRST)):
        client.post("/diary/2026-03-01", data=USUAL)

    (entry,) = clinic.entries(trial)
    with clinic.sessions() as session:
        patient = session.get_one(PatientRow, trial.patient_id)
        assert entry.author == patient_actor(patient).public_id
        (written,) = [r for r in session.scalars(select(AuditRow)) if r.action == "record_entry"]
    assert written.role == "patient"
