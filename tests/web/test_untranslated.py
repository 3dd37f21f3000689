"""Nothing on a patient's page stays English: a walk in a language of Arabic letters.

What is left in Latin letters must be something that somebody typed (names, the question, the
dose) or a name that is the same everywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import time_machine
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import (
    PROTOCOL,
    VAULT,
    evening,
    fill_day,
    make_actor,
    make_completed,
    make_fit,
    make_running,
    make_site,
    open_protocol,
    trial_days,
)
from tests.plugins.pseudo import PSEUDO, with_pseudo_language
from tests.plugins.web import Visitor, close_app, make_app
from trials.domain.blinding import Role
from trials.domain.diary import Questionnaire, SideEffect
from trials.services import language
from trials.services.analysis import release_result
from trials.store.trial import TrialRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
LAST_OF_BOX = date(2026, 3, 7)
TYPED = re.compile(
    r"https?://\S+|\S+@\S+|Riverside Pain Clinic|Which of the two eases my pain better\?"
    r"|Paracetamol|Ibuprofen|Amitriptyline|Ibu|Ami|clinician|Pat P-[0-9a-f]{6}|P-[0-9a-f]{6}"
    r"|Lenitive|Berlin|English|Deutsch|Español|Français|\d+ mg[\w ]*|mg|SMS"
)
LATIN = re.compile(r"[A-Za-zÀ-ÿ]{2,}")
PAGES = {
    "blinded": (
        "/today",
        f"/diary/{LAST_OF_BOX}",
        f"/diary/{LAST_OF_BOX - timedelta(days=1)}",
        f"/diary/{LAST_OF_BOX - timedelta(days=2)}",
        f"/diary/{LAST_OF_BOX + timedelta(days=1)}",
        "/diary/yesterday",
        "/entries",
        "/period/1/guess",
        "/result",
        "/clinic",
        "/clinic/pause",
        "/clinic/stop",
        "/reminders",
        "/device",
        "/how-it-works",
        "/offline/today",
        "/offline/diary",
        "/offline/diary?earlier=1",
        "/offline/away",
        "/help",
        "/code",
        "/i/no-such-link",
    ),
    "open": ("/today", "/entries", "/diary/2026-03-07/thanks"),
    "ended": ("/today", "/entries", "/result"),
}


@pytest.fixture
def phones(
    database_url: str,
    sessions: sessionmaker[Session],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, Visitor]]:
    """A phone of each patient, all reading the pseudo language."""
    monkeypatch.setattr(language, "CATALOGUES", with_pseudo_language(tmp_path))
    app = make_app(database_url, tmp_path)
    phones = {}
    with sessions() as session, time_machine.travel(NOON, tick=False):
        for who, trial in make_trials(session).items():
            trial.patient.locale = PSEUDO
            phone = app.test_client()
            assert isinstance(phone, Visitor)
            phone.hold_device(session, trial.patient)
            phones[who] = phone
    yield phones
    close_app(app)


def make_trials(session: Session) -> dict[str, TrialRow]:
    """Return a blinded trial, an open one, and one with its result."""
    site = make_site(session, "Riverside Pain Clinic")
    clinician, analyst = (make_actor(session, site, r) for r in (Role.CLINICIAN, Role.ANALYST))
    effects = (SideEffect("nausea", "Feeling sick"), SideEffect("dry_mouth", "Dry mouth"))
    protocol = replace(PROTOCOL, questionnaire=Questionnaire(effects, rescue="Paracetamol 500 mg"))
    blinded = make_running(session, clinician, NOON, protocol)
    opened = make_running(session, clinician, NOON, open_protocol(protocol))
    for trial in (blinded, opened):
        for number, day in enumerate(trial_days(trial)[:6]):
            if number != 3:
                fill_day(session, trial, day, pain=3 + number % 3)
    fill_day(session, opened, LAST_OF_BOX, pain=4)
    ended = make_completed(session, clinician, NOON - timedelta(days=60), protocol)
    end = evening(trial_days(ended)[-1], 23)
    fit = make_fit(session, analyst, ended, end)
    release_result(
        session,
        VAULT,
        analyst,
        ended,
        revision=ended.revision,
        fit=fit.public_id,
        comment="",
        now=end,
    )
    return {"blinded": blinded, "open": opened, "ended": ended}


def left_in_latin(page: str) -> set[str]:
    """Return the words that a person meets on a page and that are not in Arabic letters."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    shown = re.findall(r'\b(?:alt|title|aria-label|placeholder|data-copied)="([^"]*)"', body)
    text = unescape(" ".join([re.sub(r"<[^>]+>", " ", body), *shown]))
    return set(LATIN.findall(TYPED.sub(" ", text)))


def test_no_page_of_a_patient_says_a_word_that_is_not_translated(phones: dict[str, Visitor]):
    left, seen = {}, 0
    with time_machine.travel(evening(LAST_OF_BOX), tick=False):
        for who, paths in PAGES.items():
            for path in paths:
                page = phones[who].get(path).text
                assert 'dir="rtl"' in page, path
                seen += 1
                if words := left_in_latin(page):
                    left[who, path] = sorted(words)

    assert left == {}, left
    assert seen == sum(len(paths) for paths in PAGES.values())


def test_the_errors_of_a_form_are_translated(phones: dict[str, Visitor]):
    phone = phones["blinded"]
    with time_machine.travel(evening(LAST_OF_BOX), tick=False):
        pages = [
            phone.submit(f"/diary/{LAST_OF_BOX}", any_side_effects="yes", note="x" * 501),
            phone.submit("/period/1/guess"),
            phone.submit("/reminders", remind_at="noon"),
            phone.submit("/code", code="no"),
        ]

    assert [page.status_code for page in pages] == [422] * 4
    assert [left_in_latin(page.text) - {"no", "x" * 501} for page in pages] == [set()] * 4


def test_the_walk_would_notice_an_english_word():
    assert left_in_latin('<p>ابت</p><p title="Hello">Good <b>evening</b></p>') == {
        "Hello",
        "Good",
        "evening",
    }
