"""The patient's evening in a real Chromium: by thumb, by keyboard, without script, by axe."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

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
from tests.plugins.web import close_app, make_app
from tests.serving import serving
from trials.domain.blinding import Role
from trials.domain.diary import Questionnaire, SideEffect
from trials.services.analysis import release_result
from trials.services.invitations import open_device
from trials.store.database import open_engine, session_maker
from trials.store.diary import latest_entries
from trials.store.trial import TrialRow
from trials.web.reader import device_cookie

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

NARROWEST, PHONE, DESK = 320, 390, 1280
NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
LAST_OF_BOX = date(2026, 3, 7)
SECONDS_A_TAP, SECONDS_A_THOUGHT = 0.31, 1.2
"""Of the keystroke-level model for touch screens (El Batran and Dunlop 2014)."""
MOST_SECONDS = 20
MOST_TAPS = 12

SIDE_EFFECTS = (
    SideEffect("nausea", "Feeling sick"),
    SideEffect("dry_mouth", "Dry mouth"),
    SideEffect("dizziness", "Dizziness"),
)
FULL = replace(PROTOCOL, questionnaire=Questionnaire(SIDE_EFFECTS, rescue="Paracetamol 500 mg"))


@dataclass
class Site:
    """A running clinic, and the cookie of each of its patients."""

    address: str
    engine: Engine
    cookies: dict[str, tuple[str, str]]
    trials: dict[str, int]

    def pain_of(self, who: str, day: date) -> int | None:
        """Return what was kept, or None."""
        with session_maker(self.engine)() as session:
            entry = latest_entries(session, self.trials[who]).get(day)
            return entry.pain if entry is not None else None


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path) -> Iterator[Site]:
    """A clinic on the evening of a box's last day.

    All of it lives in a thread of its own: Playwright keeps an event loop in this one, and
    Flask's database extension refuses to run beside a loop.
    """
    path = tmp_path / "lenitive.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{path}"
    engine = open_engine(url)
    with ThreadPoolExecutor(1) as apart:
        app, cookies, trials = apart.submit(make_clinic, engine, url, tmp_path).result()
        with time_machine.travel(evening(LAST_OF_BOX), tick=True), serving(app) as port:
            yield Site(f"http://127.0.0.1:{port}", engine, cookies, trials)
        apart.submit(close_app, app).result()
    engine.dispose()


def make_clinic(
    engine: Engine, url: str, folder: Path
) -> tuple[Flask, dict[str, tuple[str, str]], dict[str, int]]:
    """Return the application, the cookie of each patient, and the row id of each trial."""
    app = make_app(url, folder)
    with session_maker(engine).begin() as session:
        trials = make_trials(session)
        entries = {
            who: open_device(session, VAULT, trial.patient, secret=uuid4().hex, now=NOON)
            for who, trial in trials.items()
        }
        ids = {who: trial.id for who, trial in trials.items()}
    with app.app_context():
        cookies = {who: device_cookie(VAULT, entry) for who, entry in entries.items()}
    return app, cookies, ids


def make_trials(session: Session) -> dict[str, TrialRow]:
    """Return a blinded trial, an open one, and one with its result."""
    house = make_site(session, "Riverside Pain Clinic")
    clinician = make_actor(session, house, Role.CLINICIAN)
    analyst = make_actor(session, house, Role.ANALYST)
    blinded = make_running(session, clinician, NOON, FULL)
    opened = make_running(session, clinician, NOON, open_protocol(FULL))
    for trial in (blinded, opened):
        for number, day in enumerate(trial_days(trial)[:6]):
            if number != 3:
                fill_day(session, trial, day, pain=3 + number % 3)
    ended = make_completed(session, clinician, NOON - timedelta(days=60), FULL)
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


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said in this test."""
    return []


@pytest.fixture
def visit(browser: "Browser", site: Site, complaints: list[str]) -> Iterator:
    """Open a page as a patient at a width."""
    contexts: list[BrowserContext] = []

    def opened(path: str, *, who: str = "blinded", width: int = PHONE, **options: object) -> "Page":
        context = browser.new_context(
            viewport={"width": width, "height": 844}, has_touch=width <= PHONE, **options
        )
        contexts.append(context)
        name, value = site.cookies[who]
        context.add_cookies([{"name": name, "value": value, "url": site.address}])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(site.address + path, wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()


def test_a_usual_evening_takes_few_taps(visit, site: Site, complaints: list[str]):
    """From the first page to the receipt, every question answered: goal at most twelve."""
    page = visit("/today")
    taps, began = 0, time.monotonic()
    for target in (
        page.get_by_role("link", name="Fill in today's diary"),
        page.locator("#pain-4"),
        page.locator("#any_side_effects"),
        page.locator("#sleep-2"),
        page.locator("#interference-3"),
        page.locator("#intake"),
        page.locator("#rescue_doses"),
        page.get_by_role("button", name="Send my report"),
    ):
        target.tap()
        taps += 1

    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    machine = time.monotonic() - began
    person = taps * (SECONDS_A_TAP + SECONDS_A_THOUGHT)
    print(  # noqa: T201  # the measure is the point
        f"a usual evening: {taps} taps, {person:.0f} s of a person, {machine:.1f} s of waiting"
    )
    assert taps <= MOST_TAPS
    assert person <= MOST_SECONDS
    assert site.pain_of("blinded", LAST_OF_BOX) == 4
    assert complaints == []


def test_side_effects_and_more_doses_appear_when_they_are_needed(visit):
    page = visit(f"/diary/{LAST_OF_BOX}")
    nausea, bother, more = (
        page.locator(f"#{i}") for i in ("side_effect-nausea", "bother", "more_doses")
    )

    assert not nausea.is_visible()
    assert not more.is_visible()
    page.locator("#any_side_effects-2").tap()
    assert nausea.is_visible()
    assert bother.is_visible()
    page.locator("#rescue_doses-6").tap()
    assert more.is_visible()
    page.locator("#any_side_effects").tap()
    assert not bother.is_visible()


def test_the_diary_works_without_script(visit, site: Site):
    page = visit(f"/diary/{LAST_OF_BOX}", java_script_enabled=False)
    page.get_by_role("button", name="Send my report").tap()
    page.get_by_role("link", name="Please choose a number from 0 to 10.").tap()
    for answer in (
        "#pain-8",
        "#any_side_effects-2",
        "#side_effect-nausea-3",
        "#bother-5",
        "#intake-2",
    ):
        page.locator(answer).tap()
    page.get_by_role("button", name="Send my report").tap()

    page.get_by_text("is kept.").wait_for()
    assert "Feeling sick (moderate), bother 5 of 10" in page.inner_text("main")
    assert site.pain_of("blinded", LAST_OF_BOX) == 8


def test_the_diary_is_filled_in_by_keyboard_alone(visit, site: Site):
    page = visit("/today", width=DESK)
    focus_by_tab(page, "Fill in today's diary")
    page.keyboard.press("Enter")
    page.wait_for_url("**/diary/*")
    for name, presses in (("pain", 6), ("any_side_effects", 1), ("intake", 1)):
        tab_to(page, name)
        page.keyboard.press("Space")  # takes the first answer; the arrows go on from there
        for _press in range(presses - 1):
            page.keyboard.press("ArrowRight")
    focus_by_tab(page, "Send my report")
    page.keyboard.press("Enter")

    page.get_by_text("is kept.").wait_for()
    assert site.pain_of("blinded", LAST_OF_BOX) == 5


def tab_to(page: "Page", name: str) -> None:
    """Press Tab until a field of this name has the focus."""
    for _press in range(60):
        if page.evaluate("document.activeElement.name") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached by Tab")


def focus_by_tab(page: "Page", text: str) -> None:
    """Press Tab until what has the focus says this."""
    for _press in range(60):
        if page.evaluate("document.activeElement.textContent").strip() == text:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{text} cannot be reached by Tab")


def test_two_hasty_taps_on_send_are_one_report(visit, site: Site):
    page = visit(f"/diary/{LAST_OF_BOX}")
    for answer in ("#pain-2", "#any_side_effects", "#intake"):
        page.locator(answer).tap()
    page.get_by_role("button", name="Send my report").dblclick()

    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    assert "It replaces" not in page.inner_text("main")
    assert site.pain_of("blinded", LAST_OF_BOX) == 2


PAGES = (
    ("blinded", "/today"),
    ("blinded", f"/diary/{LAST_OF_BOX}"),
    ("blinded", f"/diary/{LAST_OF_BOX - timedelta(days=1)}/thanks"),
    ("blinded", f"/diary/{LAST_OF_BOX + timedelta(days=1)}"),
    ("blinded", "/entries"),
    ("blinded", "/period/1/guess"),
    ("blinded", "/result"),
    ("blinded", "/clinic"),
    ("blinded", "/clinic/pause"),
    ("blinded", "/clinic/stop"),
    ("open", "/today"),
    ("open", "/entries"),
    ("ended", "/today"),
    ("ended", "/entries"),
    ("ended", "/result"),
)


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (PHONE, "dark"), (DESK, "light")])
def test_axe_finds_nothing_and_the_policy_is_kept(
    visit, complaints: list[str], width: int, scheme: str
):
    found = {}
    for who, path in PAGES:
        page = visit(path, who=who, width=width, color_scheme=scheme)
        for violation in Axe().run(page).response["violations"]:
            found[who, path, violation["id"]] = [n["target"] for n in violation["nodes"]]

    assert found == {}
    assert [c for c in complaints if "409" not in c] == []


def test_an_error_page_of_the_diary_is_as_accessible(visit):
    page = visit(f"/diary/{LAST_OF_BOX}")
    page.locator("#any_side_effects-2").tap()
    page.get_by_role("button", name="Send my report").tap()
    page.get_by_text("Nearly done").wait_for()

    assert Axe().run(page).response["violations"] == []
    assert page.title().startswith("Error:")
    page.get_by_role("link", name="Please choose how much the side effects").tap()
    assert page.evaluate("document.activeElement.id") == "bother"


def test_nothing_scrolls_sideways_and_every_answer_is_a_large_target(visit):
    wide = {}
    for who, path in PAGES:
        page = visit(path, who=who, width=NARROWEST)
        if page.evaluate("document.documentElement.scrollWidth") > NARROWEST:
            wide[who, path] = page.evaluate("document.documentElement.scrollWidth")
    assert wide == {}

    page = visit(f"/diary/{LAST_OF_BOX}", width=NARROWEST)
    page.locator("#any_side_effects-2").tap()
    page.locator("#intake-2").tap()
    page.locator(".lt-more-effects summary").tap()
    boxes = [item.bounding_box() for item in page.locator(".lt-scale__input").all()]
    assert len(boxes) == 4 * 11 + 2 + 3 * 4 + 3 * 3 + 3 + 8 + 6
    assert min(box["width"] for box in boxes) >= 44
    assert min(box["height"] for box in boxes) >= 44


def test_text_twice_as_large_still_fits(visit):
    page = visit(f"/diary/{LAST_OF_BOX}")
    page.evaluate("document.documentElement.style.fontSize = '200%'")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
