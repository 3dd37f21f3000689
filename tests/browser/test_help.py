"""Red flags in a real Chromium: help stands on the screen at once, with a network and without."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from sqlalchemy import Engine, select

from tests.builders import (
    PROTOCOL,
    VAULT,
    evening,
    make_account,
    make_alert,
    make_event,
    make_running,
    make_site,
)
from tests.builders import actor_for as acting
from tests.domain.test_red_flags import DESPAIR, FOUND
from tests.plugins.web import Visitor, close_app, make_app
from tests.serving import serving
from trials.domain.blinding import Role
from trials.domain.diary import Answers, Questionnaire, SideEffect
from trials.domain.protocol import Protocol
from trials.domain.red_flags import plain_words
from trials.services.invitations import open_device
from trials.services.red_flag_rules import rules
from trials.services.screening import advice_for
from trials.store.account import AccountRow
from trials.store.alert import AlertRow
from trials.store.database import open_engine, session_maker
from trials.store.mood import MoodScreenRow
from trials.store.safety_contact import SafetyContactRow
from trials.store.trial import TrialRow
from trials.web.reader import device_cookie

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

NARROWEST, PHONE, DESK = 320, 390, 1280
NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
DAY = date(2026, 3, 1)
PATIENCE = 20_000
STORE = "/static/offline/store.js"
NO_SPACE = (
    "IDBObjectStore.prototype.put = function () {"
    "  throw new DOMException('no space', 'QuotaExceededError'); }; true"
)
LISTED = ("chest_pain", "rash", "tremor", "sweating", "shortness_of_breath", "oedema", "low_mood")
WATCHED: Protocol = replace(
    PROTOCOL,
    questionnaire=Questionnaire(
        tuple(SideEffect(key, key.replace("_", " ").capitalize()) for key in LISTED),
        rescue="paracetamol 500 mg",
    ),
)


@dataclass
class Clinic:
    """A running clinic with one patient, and what lets its people in."""

    address: str
    engine: Engine
    trial_id: int
    device: tuple[str, str]
    session_cookie: dict[Role, tuple[str, str]]
    alert: str
    event: str
    trial: str

    def raised(self) -> list[tuple[str, str]]:
        """Return rule and source of the alerts that the patient raised in the test."""
        with session_maker(self.engine)() as session:
            rows = session.scalars(select(AlertRow).order_by(AlertRow.id)).all()
            return [(r.rule, r.source) for r in rows if r.public_id != self.alert]


@pytest.fixture
def clinic(sqlite_template: Path, tmp_path: Path) -> Iterator[Clinic]:
    """A clinic on the evening of a trial's first day, served from a thread of its own."""
    path = tmp_path / "lenitive.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{path}"
    engine = open_engine(url)
    with ThreadPoolExecutor(1) as apart, time_machine.travel(evening(DAY), tick=True):
        app, make = apart.submit(_move_in, engine, url, tmp_path).result()
        with serving(app) as port:
            yield Clinic(f"http://127.0.0.1:{port}", engine, **make)
        apart.submit(close_app, app).result()
    engine.dispose()


def _move_in(engine: Engine, url: str, folder: Path):
    app = make_app(url, folder)
    with session_maker(engine).begin() as session:
        site = make_site(session, "Riverside Pain Clinic")
        site.phone = "+49 30 1234567"
        session.add(SafetyContactRow(site_id=site.id, country="DE"))
        people = {
            role: make_account(session, site, role) for role in (Role.CLINICIAN, Role.ADMINISTRATOR)
        }
        clinician = acting(people[Role.CLINICIAN], Role.CLINICIAN)
        trial = make_running(session, clinician, NOON, WATCHED)
        entry = open_device(session, VAULT, trial.patient, secret=uuid4().hex, now=NOON)
        made = {
            "trial_id": trial.id,
            "trial": trial.public_id,
            "alert": make_alert(session, trial, NOON, "RF-PREG").public_id,
            "event": make_event(session, clinician, trial, NOON).public_id,
        }
    with app.app_context():
        made["device"] = device_cookie(VAULT, entry)
    made["session_cookie"] = {}
    for role, account in people.items():
        client: Visitor = app.test_client()
        client.sign_in(account)
        made["session_cookie"][role] = ("lenitive", client.get_cookie("lenitive").value)
    return app, made


def opened(browser: "Browser", clinic: Clinic, cookie: tuple[str, str], width: int = PHONE, **more):
    """Return a browser window that is let in."""
    context = browser.new_context(viewport={"width": width, "height": 844}, **more)
    context.set_default_timeout(PATIENCE)
    name, value = cookie
    context.add_cookies([{"name": name, "value": value, "url": clinic.address}])
    return context


@pytest.fixture
def phone(browser: "Browser", clinic: Clinic) -> Iterator["BrowserContext"]:
    """The patient's phone."""
    context = opened(browser, clinic, clinic.device)
    yield context
    context.close()


def wait_until(page: "Page", condition: str) -> None:
    """Wait until a script's condition holds; the page's own policy forbids the usual way."""
    over = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < over, condition
        page.wait_for_timeout(100)


def at_home(phone: "BrowserContext", clinic: Clinic) -> "Page":
    """Open the first page and wait until the phone can do without a network."""
    page = phone.new_page()
    page.goto(f"{clinic.address}/today")
    wait_until(page, "async () => navigator.serviceWorker.controller !== null")
    wait_until(page, f"async () => Boolean(await (await import('{STORE}')).readFact('edition'))")
    return page


def fill_in(page: "Page", clinic: Clinic, note: str = "", chest: str = "") -> None:
    """Open the day's diary and answer it."""
    page.goto(f"{clinic.address}/diary/{DAY}")
    page.locator("#pain-4").check(force=True)
    page.locator(f"input[name=any_side_effects][value={'yes' if chest else 'no'}]").check(
        force=True
    )
    if chest:
        page.locator(f"input[name=side_effect-chest_pain][value='{chest}']").check(force=True)
        page.locator("#bother-2").check(force=True)
    page.locator("input[name=intake][value=all]").check(force=True)
    if note:
        page.get_by_text("Add a note").click()
        page.locator("#note").fill(note)
    page.get_by_role("button", name="Send my report").click()


def test_a_red_flag_in_the_diary_brings_help_and_then_the_thanks(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    fill_in(page, clinic, chest="2")
    page.wait_for_url("**/thanks**")

    advice = page.locator("[data-advice]").first
    assert rules()["RF-CARDIAC"].text in advice.inner_text()
    assert advice.locator("a").first.get_attribute("href") == "tel:112"
    assert clinic.raised() == [("RF-CARDIAC", "diary")]


def test_without_a_network_help_is_shown_at_once_and_the_alert_follows_later(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    phone.set_offline(True)
    fill_in(page, clinic, note="Ich kann nicht mehr. I want to die.")

    page.get_by_text("Please read this now").wait_for(timeout=PATIENCE)
    assert rules()["RF-SUICIDE"].text in page.locator("main").inner_text()
    assert page.locator("[data-advice] a").first.get_attribute("href") == "tel:08001110111"
    page.get_by_role("heading", name="Saved on this phone").wait_for()
    assert page.get_by_text("Please read this now").is_visible()  # it stays
    assert clinic.raised() == []

    phone.set_offline(False)
    page.wait_for_url("**/thanks**", timeout=PATIENCE)
    assert rules()["RF-SUICIDE"].text in page.locator("main").inner_text()
    assert clinic.raised() == [("RF-SUICIDE", "diary")]


def test_help_is_shown_whatever_is_missing_in_the_form(phone: "BrowserContext", clinic: Clinic):
    page = at_home(phone, clinic)
    phone.set_offline(True)
    page.goto(f"{clinic.address}/diary/{DAY}")
    page.get_by_text("Add a note").click()
    page.locator("#note").fill("I want to die.")
    page.get_by_role("button", name="Send my report").click()

    page.get_by_text("Nearly done: something is missing").wait_for()
    assert rules()["RF-SUICIDE"].text in page.locator("[data-advice-box]").inner_text()
    assert page.evaluate("document.activeElement.closest('[data-advice-box]') !== null")
    above, below = (
        page.locator(f"[{box}]").bounding_box() for box in ("data-advice-box", "data-missing")
    )
    assert above["y"] < below["y"]


def test_the_list_answers_at_once_and_tells_the_clinic(phone: "BrowserContext", clinic: Clinic):
    page = at_home(phone, clinic)
    page.goto(f"{clinic.address}/help-now")
    page.get_by_role("button", name="Chest pain, or I fainted").click()

    page.locator("[data-shown]").get_by_text("Your clinic gets an alert.").wait_for()
    assert rules()["RF-CARDIAC"].text in page.locator("[data-shown]").inner_text()
    assert page.evaluate("document.activeElement.dataset.advice") == "RF-CARDIAC"
    assert clinic.raised() == [("RF-CARDIAC", "button")]


def test_the_list_works_without_a_network_and_says_that_the_clinic_does_not_know_yet(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    phone.set_offline(True)
    page.goto(f"{clinic.address}/help-now")
    page.get_by_role("button", name="A fit or a blackout").click()

    page.locator(".lt-told").get_by_text("your clinic does not know yet").wait_for()
    assert rules()["RF-SEIZURE"].text in page.locator("[data-shown]").inner_text()
    assert clinic.raised() == []

    phone.set_offline(False)
    page.locator(".lt-told").get_by_text("Your clinic gets an alert.").wait_for()
    assert clinic.raised() == [("RF-SEIZURE", "button")]
    assert not page.locator("[data-line=calls]").is_visible()


def calls(page: "Page") -> list[str]:
    """Return how the calls on the phone stand."""
    return page.evaluate(
        f"async () => (await (await import('{STORE}')).readCalls()).map((call) => call.state)"
    )


def press(page: "Page", clinic: Clinic, label: str = "A bad fall") -> None:
    page.goto(f"{clinic.address}/help-now")
    page.get_by_role("button", name=label).click()


def test_a_call_that_waits_is_sent_again_by_the_open_page_and_warns_who_leaves(
    phone: "BrowserContext", clinic: Clinic
):
    """As in browsers without Background Sync: nobody but the page tries again."""
    phone.add_init_script(
        "Object.defineProperty(ServiceWorkerRegistration.prototype, 'sync', { value: undefined })"
    )
    page = at_home(phone, clinic)
    down = {"status": 503, "body": ""}
    phone.route("**/offline/serious", lambda route: route.fulfill(**down))
    press(page, clinic)
    page.locator(".lt-told").get_by_text("your clinic does not know yet").wait_for()
    assert page.locator("[data-line=calls]").get_by_text("+49 30 1234567").is_visible()

    other = phone.new_page()
    other.goto(f"{clinic.address}/device")
    other.get_by_role("button", name="Leave on this device").click()
    other.get_by_text("Not everything is sent yet").wait_for()
    other.close()

    phone.unroute("**/offline/serious")
    page.locator(".lt-told").get_by_text("Your clinic gets an alert.").wait_for()
    assert clinic.raised() == [("RF-FALL", "button")]


def test_one_press_is_one_alert_though_its_answer_is_lost_and_somebody_acknowledges(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)

    def lose(route) -> None:
        route.fetch()
        route.abort()

    phone.route("**/offline/serious", lose)
    press(page, clinic)
    page.locator(".lt-told").get_by_text("your clinic does not know yet").wait_for()
    assert clinic.raised() == [("RF-FALL", "button")]
    with session_maker(clinic.engine).begin() as session:
        (row,) = session.scalars(select(AlertRow).where(AlertRow.rule == "RF-FALL"))
        staff = session.scalars(select(AccountRow)).first()
        row.acknowledged_at, row.acknowledged_by = evening(DAY), staff.id
        row.escalates_at, row.deed = None, "Called."

    phone.unroute("**/offline/serious")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.locator(".lt-told").get_by_text("Your clinic gets an alert.").wait_for()
    assert clinic.raised() == [("RF-FALL", "button")]


def test_a_call_that_is_refused_stands_there_as_not_delivered(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    page.goto(f"{clinic.address}/help-now")
    page.locator("[data-help]").evaluate("(place) => { place.dataset.trial = 'of-nobody'; }")
    page.get_by_role("button", name="A bad fall").click()

    page.locator("[data-shown]").get_by_text("Your clinic was not told").wait_for()
    page.goto(f"{clinic.address}/today")
    lost = page.locator("[data-line=lost]")
    lost.get_by_text("Your clinic was not told").wait_for()
    assert "There is no such trial." in lost.inner_text()
    assert lost.get_by_role("link", name="+49 30 1234567").is_visible()
    lost.get_by_role("button", name="Remove it from this phone").click()
    lost.wait_for(state="hidden")
    assert calls(page) == []
    assert clinic.raised() == []


def test_a_phone_that_is_no_longer_known_does_not_promise_to_tell_the_clinic(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    page.goto(f"{clinic.address}/help-now")
    phone.clear_cookies()
    page.get_by_role("button", name="A bad fall").click()

    shown = page.locator("[data-shown]")
    shown.get_by_text("This phone is no longer known there.").wait_for()
    assert "as soon as there is" not in shown.inner_text()
    assert calls(page) == ["waiting"]


def answer_about_mood(page: "Page", low: str, thoughts: str) -> None:
    page.get_by_role("radio", name=low, exact=True).check()
    page.get_by_role("radio", name=thoughts, exact=True).check()
    page.get_by_role("button", name="Send", exact=True).click()


@pytest.mark.parametrize("kept", [False, True], ids=["open page", "kept page"])
def test_dark_thoughts_without_a_network_are_answered_at_once_and_told_later(
    phone: "BrowserContext", clinic: Clinic, kept: bool
):
    page = at_home(phone, clinic)
    if not kept:
        page.goto(f"{clinic.address}/mood")
    phone.set_offline(True)
    if kept:
        page.goto(f"{clinic.address}/help-now")
        page.get_by_role("link", name="Tell my clinic how I feel").click()
    answer_about_mood(page, "Most days", "Often")

    advice = page.locator("[data-advice-box]")
    advice.get_by_text("Please read this now").wait_for()
    assert rules()["RF-SUICIDE"].text in advice.inner_text()
    assert advice.locator("a").first.get_attribute("href") == "tel:08001110111"
    assert page.evaluate("document.activeElement.dataset.advice") == "RF-SUICIDE"
    page.locator(".lt-told").get_by_text("your clinic does not know yet").wait_for()
    assert Axe().run(page).response["violations"] == []
    assert clinic.raised() == []
    assert screens(clinic) == []

    phone.set_offline(False)
    page.get_by_text("Thank you for saying so.").wait_for()
    assert advice.is_visible()
    assert clinic.raised() == [("RF-SUICIDE", "screen")]
    assert screens(clinic) == [(2, "often", DAY)]


def screens(clinic: Clinic) -> list[tuple[int, str, date]]:
    with session_maker(clinic.engine)() as session:
        return [(row.low, row.thoughts, row.day) for row in session.scalars(select(MoodScreenRow))]


def test_a_good_mood_waits_for_a_network_as_well(phone: "BrowserContext", clinic: Clinic):
    page = at_home(phone, clinic)
    page.goto(f"{clinic.address}/mood")
    phone.set_offline(True)
    answer_about_mood(page, "Never", "No")

    page.get_by_role("heading", name="Saved on this phone").wait_for()
    assert page.locator("[data-advice-box]").count() == 0
    assert Axe().run(page).response["violations"] == []
    phone.set_offline(False)
    page.get_by_role("heading", name="Your answers are kept.").wait_for()
    assert screens(clinic) == [(0, "no", DAY)]
    assert clinic.raised() == []


def test_advice_about_mood_does_not_wait_for_the_other_answer(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    page.goto(f"{clinic.address}/mood")
    page.get_by_role("radio", name="At times").check()
    page.get_by_role("button", name="Send", exact=True).click()

    page.get_by_text("Nearly done: something is missing").wait_for()
    assert rules()["RF-SUICIDE"].text in page.locator("[data-advice-box]").inner_text()
    page.get_by_role("radio", name="Never").check()
    page.wait_for_timeout(1_100)  # a second tap within a second is none
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Thank you for saying so.").wait_for()
    assert clinic.raised() == [("RF-SUICIDE", "screen")]


def test_a_phone_without_space_says_that_the_clinic_does_not_know(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    for path, name in (("help-now", "A bad fall"), ("mood", "")):
        page.goto(f"{clinic.address}/{path}")
        page.evaluate(NO_SPACE)
        phone.set_offline(True)
        if name:
            page.get_by_role("button", name=name).click()
        else:
            answer_about_mood(page, "Never", "Often")
        page.locator(".lt-told").get_by_text("Your clinic was not told").wait_for()
        assert page.locator("[data-advice]").first.is_visible()
        phone.set_offline(False)


def test_without_a_network_every_address_of_help_has_the_numbers(
    phone: "BrowserContext", clinic: Clinic
):
    page = at_home(phone, clinic)
    phone.set_offline(True)
    for path in ("/help-now", "/help-now?told=RF-FALL", "/mood", "/today", "/clinic"):
        page.goto(f"{clinic.address}{path}")
        assert page.locator('a[href="tel:112"]').first.is_visible(), path


def test_without_script_the_list_still_works(browser: "Browser", clinic: Clinic):
    phone = opened(browser, clinic, clinic.device, java_script_enabled=False)
    page = phone.new_page()
    page.goto(f"{clinic.address}/help-now")
    page.get_by_role("button", name="A bad fall").click()

    assert rules()["RF-FALL"].text in page.locator("main").inner_text()
    assert clinic.raised() == [("RF-FALL", "button")]
    phone.close()


def test_the_phone_sees_the_same_red_flags_as_the_server(phone: "BrowserContext", clinic: Clinic):
    """One set of rules, two readers: every example gives both the same."""
    page = at_home(phone, clinic)
    page.goto(f"{clinic.address}/diary/{DAY}")
    cases = [
        {"any_side_effects": "no", "note": note} for _language, note, _sign in (*FOUND, *DESPAIR)
    ]
    cases += [
        {"any_side_effects": "yes", f"side_effect-{one}": a, f"side_effect-{two}": b, "note": note}
        for one in LISTED
        for two in LISTED
        if one < two
        for a, b in (("1", "1"), ("3", "0"), ("2", "3"))
        for note in ("", "a high temperature, confused, and sores in my mouth")
    ]
    cases += [{"any_side_effects": "no", "rescue_doses": "more", "more_doses": n} for n in "89"]
    cases += [
        {"any_side_effects": "no", "note": n} for n in ("ß ẞ Œuf ﬁt Å", "İstanbul", "a\u0301")
    ]
    seen = page.evaluate(
        """async (cases) => {
            const { flagsIn, plainWords } = await import("/static/offline/advice.js");
            const { readFact } = await import("/static/offline/store.js");
            const kit = (await readFact("pack")).safety;
            return cases.map((fields) => [
                flagsIn(kit, fields).map((rule) => rule.id).sort(), plainWords(fields.note ?? ""),
            ]);
        }""",
        cases,
    )
    with session_maker(clinic.engine)() as session:
        trial = session.get_one(TrialRow, clinic.trial_id)
        expected = [_by_the_server(session, trial, fields) for fields in cases]
    assert len(cases) > 150
    for fields, told, wanted in zip(cases, seen, expected, strict=True):
        assert told == wanted, json.dumps(fields)


def _by_the_server(session, trial: TrialRow, fields) -> list:
    effects = {k[12:]: int(v) for k, v in fields.items() if k.startswith("side_effect-")}
    doses = int(fields["more_doses"]) if "more_doses" in fields else None
    note = fields.get("note", "")
    answers = Answers(pain=0, bother=0, side_effects=effects, rescue_doses=doses, note=note)
    found = advice_for(session, trial, DAY, answers)
    return [sorted(rule.id for rule in found), plain_words(note)]


PATIENT_PAGES = (
    "/help-now",
    "/help-now?told=RF-CARDIAC",
    "/mood",
    "/mood/help",
    "/today",
    "/clinic",
)


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (PHONE, "dark"), (DESK, "light")])
def test_axe_finds_nothing_on_the_patients_pages_of_help(
    browser: "Browser", clinic: Clinic, width: int, scheme: str
):
    phone = opened(browser, clinic, clinic.device, width, color_scheme=scheme)
    page = phone.new_page()
    for path in PATIENT_PAGES:
        page.goto(f"{clinic.address}{path}")
        _check(page, width, path)
    phone.close()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_on_the_clinics_pages_of_safety(
    browser: "Browser", clinic: Clinic, width: int
):
    pages = {
        Role.CLINICIAN: (
            "/clinician/trials",
            f"/clinician/trials/{clinic.trial}",
            "/clinician/alerts",
            f"/clinician/alerts/{clinic.alert}",
            f"/clinician/trials/{clinic.trial}/events/new",
            f"/clinician/events/{clinic.event}",
        ),
        Role.ADMINISTRATOR: ("/admin/numbers",),
    }
    for role, paths in pages.items():
        desk = opened(browser, clinic, clinic.session_cookie[role], width)
        page = desk.new_page()
        for path in paths:
            response = page.goto(f"{clinic.address}{path}")
            assert response.status == 200, path
            _check(page, width, path)
        desk.close()


def _check(page: "Page", width: int, path: str) -> None:
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in violations] == [], path
    assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_every_button_of_the_list_is_a_large_target_on_the_narrowest_phone(
    browser: "Browser", clinic: Clinic
):
    phone = opened(browser, clinic, clinic.device, NARROWEST)
    page = phone.new_page()
    page.goto(f"{clinic.address}/help-now")
    targets = page.locator(".lt-serious__button, .lt-call").all()

    assert len(targets) > len([rule for rule in rules().values() if rule.button])
    for target in targets:
        box = target.bounding_box()
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= NARROWEST
    phone.close()
