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
    make_draft,
    make_fit,
    make_running,
    make_site,
    open_protocol,
    patient_actor,
    trial_days,
)
from tests.plugins.pseudo import PSEUDO, with_pseudo_language
from tests.plugins.web import Visitor, close_app, make_app
from trials.domain.blinding import Role
from trials.domain.consent import OnWithdrawal
from trials.domain.diary import Questionnaire, SideEffect
from trials.services import language
from trials.services.actor import Actor
from trials.services.analysis import release_result
from trials.services.erasure import erase_answers
from trials.services.red_flag_rules import rules
from trials.services.running import start_trial, stop_trial
from trials.services.trials import freeze_protocol, record_consent
from trials.store.safety_contact import SafetyContactRow
from trials.store.trial import TrialRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
LAST_OF_BOX = date(2026, 3, 7)
TYPED = re.compile(
    r"https?://\S+|\S+@\S+|Riverside Pain Clinic|Which of the two eases my pain better\?"
    r"|Paracetamol|Ibuprofen|Amitriptyline|Ibu|Ami|clinician|Pat P-[0-9a-f]{6}|P-[0-9a-f]{6}"
    r"|Lenitive|Berlin|English|Deutsch|Español|Français|\d+ mg[\w ]*|mg|SMS|TelefonSeelsorge"
    r"|Hillside Pain Clinic|I typed it wrongly"
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
        "/clinic/problem",
        "/reminders",
        "/device",
        "/how-it-works",
        "/offline/today",
        "/offline/diary",
        "/offline/diary?earlier=1",
        "/offline/away",
        "/offline/help",
        "/offline/mood",
        "/help",
        "/help-now",
        "/mood",
        "/mood/help",
        f"/diary/{LAST_OF_BOX - timedelta(days=3)}/correct",
        f"/diary/{LAST_OF_BOX - timedelta(days=4)}/correct",
        "/written",
        "/code",
        "/i/no-such-link",
    ),
    "open": ("/today", "/entries", "/diary/2026-03-07/thanks"),
    "ended": ("/today", "/entries", "/result"),
    "left_out": ("/today", "/result", "/help-now", "/clinic", "/offline/help"),
    "refused": ("/today", "/result"),
    "removed": ("/today", "/entries", "/result", "/clinic"),
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
    """Return trials under way, blinded and open, and ended ones with every kind of result.

    The clinic is in Germany, so that its numbers are known; that of "left_out" gave no country.
    """
    site, elsewhere = (make_site(session, f"{n} Pain Clinic") for n in ("Riverside", "Hillside"))
    session.add(SafetyContactRow(site_id=site.id, country="DE"))
    clinician = make_actor(session, site, Role.CLINICIAN)
    effects = (
        SideEffect("nausea", "Feeling sick"),
        SideEffect("dry_mouth", "Dry mouth"),
        SideEffect("low_mood", "Low or changed mood"),
    )
    protocol = replace(PROTOCOL, questionnaire=Questionnaire(effects, rescue="Paracetamol 500 mg"))
    blinded = make_running(session, clinician, NOON, protocol)
    opened = make_running(session, clinician, NOON, open_protocol(protocol))
    for trial in (blinded, opened):
        for number, day in enumerate(trial_days(trial)[:6]):
            if number != 3:
                fill_day(session, trial, day, pain=3 + number % 3)
    fill_day(session, opened, LAST_OF_BOX, pain=4)
    began = NOON - timedelta(days=60)
    return {
        "blinded": blinded,
        "open": opened,
        "ended": released(session, make_completed(session, clinician, began, protocol)),
        "left_out": released(
            session,
            make_completed(
                session,
                make_actor(session, elsewhere, Role.CLINICIAN),
                began,
                replace(protocol, severe_limit=0.1),
                severe_on="amitriptyline",
            ),
        ),
        "refused": released(
            session, make_completed(session, clinician, began, protocol, missed=range(8, 28))
        ),
        "removed": removed(session, make_draft(session, clinician, NOON, protocol), clinician),
    }


def removed(session: Session, trial: TrialRow, clinician: Actor) -> TrialRow:
    """Let a trial start whose patient then ends it, with the answers removed as agreed."""
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=NOON)
    today, wish = NOON.date(), OnWithdrawal.REMOVE
    record_consent(session, clinician, trial, given_on=today, on_withdrawal=wish, now=NOON)
    start_trial(
        session, VAULT, clinician, trial, revision=trial.revision, start_day=today, now=NOON
    )
    fill_day(session, trial, today, pain=4)
    patient, end = patient_actor(trial.patient), evening(today, 21)
    stop_trial(session, patient, trial, revision=trial.revision, reason="Enough.", now=end)
    erase_answers(session, patient, trial, reason="Enough.", now=end)
    return trial


def released(session: Session, trial: TrialRow) -> TrialRow:
    """Have a completed trial analysed and its result released."""
    analyst = make_actor(session, trial.site, Role.ANALYST)
    end = evening(trial_days(trial)[-1], 23)
    fit = make_fit(session, analyst, trial, end)
    release_result(
        session,
        VAULT,
        analyst,
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="",
        now=end,
    )
    return trial


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
            phone.submit("/mood"),
            phone.submit("/clinic/problem"),
            phone.submit("/help-now", rule="RF-NOTHING"),
            phone.submit(f"/diary/{LAST_OF_BOX - timedelta(days=3)}/correct", reason=""),
        ]

    assert [page.status_code for page in pages] == [422] * 8
    assert [left_in_latin(page.text) - {"no", "x" * 501} for page in pages] == [set()] * 8


@pytest.mark.parametrize("who", ["blinded", "left_out"])
def test_what_to_do_after_a_red_flag_is_translated(phones: dict[str, Visitor], who: str):
    """Whatever the rule, with all numbers known ("blinded") and with none."""
    seen = {}
    for rule in rules().values():
        seen[rule.id] = phones[who].get(f"/help-now?told={rule.id}").text

    assert all(f'data-advice="{rule}"' in page for rule, page in seen.items())
    assert {rule: found for rule, page in seen.items() if (found := left_in_latin(page))} == {}


def test_what_follows_a_report_with_a_red_flag_is_translated(phones: dict[str, Visitor]):
    phone, today = phones["blinded"], f"/diary/{LAST_OF_BOX}"
    report = {
        "pain": "4",
        "any_side_effects": "yes",
        "side_effect-low_mood": "3",
        "bother": "3",
        "intake": "all",
        "note": "نص chest pain",
    }
    with time_machine.travel(evening(LAST_OF_BOX), tick=False):
        phone.submit(today, **report)
        thanks, mood_due = phone.get(f"{today}/thanks"), phone.get("/today")
        phone.submit("/mood", low="3", thoughts="no")
        answered = phone.get("/today")
    with time_machine.travel(evening(LAST_OF_BOX + timedelta(days=2)), tick=False):
        too_late = phone.post(today, data={"csrf_token": phone.token("/today"), **report})

    assert 'data-advice="RF-CARDIAC"' in thanks.text
    assert 'data-advice="RF-CARDIAC"' in too_late.text
    assert "/mood" in mood_due.text
    for page in (thanks, mood_due, answered, too_late):
        assert left_in_latin(page.text) - {"chest", "pain"} == set()


def test_a_phone_keeps_advice_in_the_language_of_its_owner(phones: dict[str, Visitor]):
    with time_machine.travel(evening(LAST_OF_BOX), tick=False):
        pack = phones["blinded"].get("/offline/pack").get_json()

    texts = [rule["text"] for rule in pack["safety"]["rules"]]
    assert len(texts) > 10
    assert [text for text in texts if LATIN.search(text)] == []


def test_the_walk_would_notice_an_english_word():
    assert left_in_latin('<p>ابت</p><p title="Hello">Good <b>evening</b></p>') == {
        "Hello",
        "Good",
        "evening",
    }
