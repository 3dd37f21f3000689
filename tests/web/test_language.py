"""The language of the pages: whose it is, how it is chosen, and what follows the choice."""

from datetime import UTC, datetime
from html import unescape
from uuid import uuid4

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import (
    evening,
    make_account,
    make_actor,
    make_patient,
    make_running,
    make_site,
    trial_days,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError
from trials.services.feed import write_calendar
from trials.services.patients import choose_language
from trials.store.account import PatientRow
from trials.store.audit import AuditRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)


@pytest.fixture
def patient(session: Session, visitor: Visitor, now) -> PatientRow:
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    row = make_patient(session, clinician, now)
    visitor.hold_device(session, row)
    return row


def choose(visitor: Visitor, code: str, back: str = "/today"):
    return visitor.submit("/language", "/today", language=code, back=back)


def test_a_patient_chooses_the_language_in_the_footer_and_comes_back_to_the_page(
    visitor: Visitor, session: Session, patient: PatientRow
):
    offered = visitor.get("/clinic").text
    answer = choose(visitor, "de", "/clinic?trial=x")

    assert '<b lang="en" aria-current="true">English</b>' in offered
    assert answer.location == "/clinic?trial=x"
    page = visitor.get("/clinic").text
    assert '<html lang="de"' in page
    assert "Brauchen Sie jetzt Hilfe?" in page
    session.expire_all()
    assert patient.locale == "de"
    record = session.scalars(select(AuditRow).where(AuditRow.action == "choose_language")).one()
    assert (record.actor, record.subject) == (patient.public_id, f"patient:{patient.public_id}")


def test_the_calendar_follows_the_choice(visitor: Visitor, session: Session, now):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_running(session, clinician, NOON)
    visitor.hold_device(session, trial.patient)
    choose(visitor, "es")
    session.expire_all()

    told = write_calendar(session, trial.patient, address="https://a.example", now=NOON).decode()

    assert "SUMMARY:Diario" in told
    assert "desde hoy" in told


def test_the_phone_takes_its_pages_along_anew_when_the_language_changes(
    visitor: Visitor, session: Session, patient: PatientRow
):
    before = visitor.get("/offline/pack").json
    choose(visitor, "fr")
    after = visitor.get("/offline/pack").json

    assert (before["lang"], after["lang"]) == ("en", "fr")
    assert before["edition"] != after["edition"]
    shell = visitor.get("/offline/today").text
    assert "Pas de réseau" in shell
    assert "lt-languages" not in shell, "nothing can be sent from there"


def test_a_visitors_choice_is_kept_in_the_browser(visitor: Visitor):
    choose_as_visitor = visitor.submit("/language", "/code", language="de", back="/code")

    assert choose_as_visitor.location == "/code"
    assert "Geben Sie Ihren Code ein" in visitor.get("/code").text


def test_pages_that_know_nobody_follow_the_patients_choice(visitor: Visitor, patient: PatientRow):
    choose(visitor, "de")

    assert "Diese Seite gibt es nicht" in visitor.get("/no-such-page").text


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("fr-CH,fr;q=0.9,en;q=0.8", "Entrez votre code"),
        ("es", "Escriba su código"),
        ("it,pt;q=0.5", "Enter your code"),
        ("", "Enter your code"),
    ],
)
def test_a_visitor_reads_what_the_browser_asks_for(visitor: Visitor, asked: str, title: str):
    assert title in visitor.get("/code", headers={"Accept-Language": asked}).text


@pytest.mark.parametrize("code", ["tlh", "", "../de", "ar"])
def test_a_language_that_is_not_here_is_refused(
    visitor: Visitor, session: Session, patient: PatientRow, code: str
):
    assert choose(visitor, code).status_code == 404
    session.expire_all()
    assert patient.locale == "en"


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "evil",
        "",
        "javascript:alert(1)",
    ],
)
def test_the_way_back_never_leads_elsewhere(visitor: Visitor, patient: PatientRow, back: str):
    assert choose(visitor, "de", back).location == "/start"


def test_the_choice_needs_the_token_of_a_page(visitor: Visitor, patient: PatientRow):
    assert visitor.post("/language", data={"language": "de"}).status_code == 400


def test_nobody_chooses_for_somebody_else(session: Session, now):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    patient = make_patient(session, clinician, now)

    with pytest.raises(NotAllowedError):
        choose_language(session, clinician, patient, "de", now=now)


def test_staff_read_english_where_no_catalogue_is_complete(visitor: Visitor, session: Session):
    """Whatever their browser asks for: half a page in German would be worse."""
    site = make_site(session)
    site.locale = "de"
    account = make_account(session, site, Role.CLINICIAN)
    session.commit()
    visitor.sign_in(account)

    page = visitor.get("/clinician/trials", headers={"Accept-Language": "de"}).text

    assert '<html lang="en"' in page
    assert "lt-languages" not in page


def test_a_patients_page_is_in_the_patients_language_beside_a_signed_in_clinician(
    visitor: Visitor, session: Session, patient: PatientRow
):
    account = make_account(session, make_site(session), Role.CLINICIAN)
    patient.locale = "fr"
    session.commit()
    visitor.sign_in(account)

    assert '<html lang="fr"' in visitor.get("/today").text


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("de", "Bitte wählen Sie eine Zahl von 0 bis 10."),
        ("fr", "Choisissez un nombre de 0 à 10."),
        ("es", "Elija un número de 0 a 10."),
    ],
)
def test_what_the_core_and_the_catalogue_say_is_translated_too(
    visitor: Visitor, session: Session, code: str, sentence: str
):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial = make_running(session, clinician, NOON)
    trial.patient.locale = code
    visitor.hold_device(session, trial.patient)
    day = trial_days(trial)[2]

    with time_machine.travel(evening(day), tick=False):
        page = visitor.submit(f"/diary/{day}", key=str(uuid4()))

    assert page.status_code == 422
    assert sentence in unescape(page.text)
    assert "Feeling sick" not in page.text
