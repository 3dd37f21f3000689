"""One whole trial in a real browser: set up, drawn, lived, analysed, released, decided.

Everything is real: Chromium, the web application, the scheduler's jobs, both engines. Only
the clock is moved by the test. Most evenings are filled in through the service, by a patient
whose pain follows the model; the first ones by taps.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scheduler.jobs import run_due
from tests.builders import VAULT, evening, fill_day, make_site, study_at_once
from tests.plugins.web import CHEAP_HASHES, FOR_TESTS, close_app
from tests.serving import serving
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.life_cycle import State
from trials.services import allocation
from trials.services.accounts import add_account, hash_password
from trials.services.actor import SYSTEM
from trials.settings import Settings
from trials.store.account import AccountRow
from trials.store.audit import chain
from trials.store.database import open_engine, session_maker
from trials.store.diary import days_of_trial
from trials.store.trial import TrialRow, decision_on, latest_protocol, periods_of_trial
from trials.web.app import create_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.sampling,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

PASSWORD = "a long walk by the river"
MONDAY = date(2026, 11, 30)
PHONE, DESK = 390, 1280
RELIEF = {"ibuprofen": 3.0, "paracetamol": 0.3}
WAIT = 60_000
PACK = "/offline/pack"


class Clinic:
    """A running clinic and a browser for each of its people."""

    def __init__(self, browser: "Browser", address: str, folder: Path, sessions, settings) -> None:
        self.browser = browser
        self.address = address
        self.folder = folder
        self.sessions: sessionmaker[Session] = sessions
        self.settings: Settings = settings
        self.complaints: list[str] = []
        self.travel = time_machine.travel(datetime.now(UTC), tick=True)
        self.traveller: time_machine.Traveller | None = None

    def at(self, instant: datetime) -> None:
        """Move the clock of everybody; not for a moment does it show the present in between."""
        if self.traveller is None:
            self.traveller = self.travel.start()
        self.traveller.move_to(instant)

    def page(self, width: int) -> "Page":
        """Open a fresh browser window that reports every complaint of the browser."""
        context = self.browser.new_context(viewport={"width": width, "height": 844})
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{message.text} {message.location['url']}")
                if message.type in {"error", "warning"}
                else None
            ),
        )
        return page

    def sign_in(self, role: Role) -> "Page":
        """Sign in with a password, as a member of staff does."""
        page = self.page(DESK)
        page.goto(f"{self.address}/login")
        page.get_by_label("E-mail").fill(f"{role.value}@clinic.example")
        page.locator("input[type=password]").fill(PASSWORD)
        page.get_by_role("button", name=re.compile("^(Sign|Log) in", re.IGNORECASE)).first.click()
        page.wait_for_url(re.compile(f"/{role.value}/"))
        return page

    def looks_right(self, page: "Page", name: str) -> None:
        """Check the page at both widths: no axe violation, nothing to scroll sideways."""
        before = page.viewport_size
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": 844})
            found = Axe().run(page)
            assert found.violations_count == 0, f"{name} at {width}px: {found.generate_report()}"
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} scrolls sideways at {width}px"
        page.set_viewport_size(before)

    def trial(self, session: Session) -> TrialRow:
        """Return the only trial."""
        return session.scalars(select(TrialRow)).one()


@pytest.fixture
def clinic(
    browser: "Browser", sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Clinic]:
    """A clinic with its staff; the server lives in threads of its own."""
    monkeypatch.setattr(allocation, "new_seed", lambda: bytes(range(32)))
    path = tmp_path / "lenitive.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    settings = Settings(data_dir=tmp_path, database_url=f"sqlite:///{path}", master_key="00" * 32)
    engine = open_engine(settings.database)
    sessions = session_maker(engine)
    now = datetime.now(UTC)
    with ThreadPoolExecutor(1) as apart:
        apart.submit(_hire, sessions, now).result()
        app: Flask = apart.submit(create_app, settings, FOR_TESTS).result()
        with serving(app) as port:
            clinic = Clinic(browser, f"http://127.0.0.1:{port}", tmp_path, sessions, settings)
            try:
                yield clinic
            finally:
                if clinic.traveller is not None:
                    clinic.travel.stop()
        apart.submit(close_app, app).result()
    engine.dispose()


def _hire(sessions: sessionmaker[Session], now: datetime) -> None:
    from argon2 import PasswordHasher

    cheap = PasswordHasher(
        **{
            k.removeprefix("argon2__").replace("rounds", "time_cost"): v
            for k, v in CHEAP_HASHES.items()
        }
    )
    with sessions.begin() as session:
        site = make_site(session, "Riverside Pain Clinic")
        for role in (Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST):
            add_account(
                session,
                SYSTEM,
                site,
                name=f"The {role.value}",
                email=f"{role.value}@clinic.example",
                role=role,
                password_hash=hash_password(PASSWORD, cheap),
                now=now,
            )


def test_a_whole_trial(clinic: Clinic):
    clinic.at(evening(MONDAY - timedelta(days=2), 10))
    clinician = clinic.sign_in(Role.CLINICIAN)
    link = _set_up(clinic, clinician)
    commitment = _freeze_consent_and_start(clinic, clinician)
    _pharmacist_reads_the_list(clinic)
    patient = _patient_comes_in(clinic, link)
    _first_evening(clinic, patient)
    _correction_and_double_click(clinic, patient)
    _live_the_rest(clinic)
    _analyst_releases(clinic)
    _clinician_reads_and_signs(clinic, clinician, commitment)
    _patient_reads(clinic, patient)
    _the_record_is_whole(clinic)
    one_block, stranger = clinic.complaints
    assert "422" in one_block, "the set-up with one block was refused"
    assert "401" in stranger, "the phone was not known before its patient came in"
    assert stranger.endswith(PACK)


def _set_up(clinic: Clinic, page: "Page") -> str:
    """Enter the patient and the trial; return the patient's personal link."""
    page.goto(f"{clinic.address}/clinician/patients/new")
    page.locator("[name=code]").fill("P-001")
    page.locator("[name=name]").fill("Pat Example")
    page.locator("[name=email]").fill("pat@example.org")
    page.locator("[name=timezone]").select_option("Europe/Berlin")
    _follow(page, page.locator("main button[type=submit]").first)
    page.goto(f"{clinic.address}/clinician/trials/new")
    clinic.looks_right(page, "set-up")
    page.locator("[name=patient]").select_option(index=1)
    page.locator("[name=title]").fill("Back pain: ibuprofen or paracetamol")
    page.locator("[name=question]").fill("Which one should I keep at home?")
    page.locator("[name=slot-1-treatment]").select_option("ibuprofen")
    page.locator("[name=slot-2-treatment]").select_option("paracetamol")
    page.locator("[name=blocks]").fill("1")
    page.locator("[name=period_days]").fill("7")
    page.locator("[name=washout_days]").fill("1")
    page.locator("[name=slot-1-dose]").fill("400 mg three times a day")
    page.locator("[name=slot-2-dose]").fill("1 g three times a day")
    page.locator("[name=weighing][value='2']").check(force=True)
    _follow(page, page.get_by_role("button", name="Keep as a draft"))
    assert "a drug cannot be told from its week" in page.content(), "one block is refused"
    assert page.locator("[name=title]").input_value() == "Back pain: ibuprofen or paracetamol"
    page.locator("[name=blocks]").fill("3")
    page.get_by_role("button", name="Keep as a draft").click()
    page.wait_for_url(re.compile("/clinician/trials/[a-z0-9]{12}$"))
    clinic.looks_right(page, "draft")
    trial_address = page.url
    page.goto(f"{clinic.address}/clinician/patients")
    page.get_by_role("link", name="P-001").first.click()
    _follow(page, page.get_by_role("button", name=re.compile("link", re.IGNORECASE)).first)
    found = re.search(rf"{re.escape(clinic.address)}/i/[\w-]+|/i/[\w-]+", page.content())
    assert found, "the personal link is shown once"
    page.goto(trial_address)
    return found[0]


def _freeze_consent_and_start(clinic: Clinic, page: "Page") -> str:
    trial = page.url
    with clinic.sessions.begin() as session:  # a worker's simulations, of half an hour
        agreed = latest_protocol(session, clinic.trial(session).id).value
        study_at_once(session, agreed, evening(MONDAY - timedelta(days=2), 9))
    for deed, field, value in (
        ("freeze", "", ""),
        ("consent", "given_on", (MONDAY - timedelta(days=2)).isoformat()),
        ("start", "start_day", MONDAY.isoformat()),
    ):
        page.goto(f"{trial}/{deed}")
        clinic.looks_right(page, deed)
        if field:
            page.locator(f"[name={field}]").fill(value)
        if deed == "consent":
            page.get_by_label("Keep what was reported").check()
        page.locator("main form button[type=submit]").first.click()
        page.wait_for_url(trial)
    with clinic.sessions() as session:
        kept = clinic.trial(session)
        assert kept.state == State.RUNNING
        assert len(days_of_trial(session, kept.id)) == 42
        commitment = allocation.commitment_of(session, kept)
    assert commitment in page.content()
    clinic.looks_right(page, "trial")
    return commitment


def _pharmacist_reads_the_list(clinic: Clinic) -> None:
    page = clinic.sign_in(Role.PHARMACIST)
    _follow(page, page.get_by_role("link", name="P-001").first)
    _follow(page, page.locator("form[action$=dispensing] button").first)
    clinic.looks_right(page, "dispensing list")
    with clinic.sessions() as session:
        kept = clinic.trial(session)
        sequence = allocation.masked_sequence(session, VAULT, kept)
        key = allocation.sealed_arm_key(session, VAULT, kept)
        kits = [period.kit for period in periods_of_trial(session, kept.id)]
    shown = page.locator("main").inner_text()
    order = list(re.findall("Ibuprofen|Paracetamol", shown))
    expected = [key[arm].capitalize() for arm in sequence]
    assert any(order[i : i + 6] == expected for i in range(len(order))), "the order as drawn"
    digits = re.sub(r"\D", "", shown)
    assert all(kit in digits for kit in kits)
    page.context.close()


def _patient_comes_in(clinic: Clinic, link: str) -> "Page":
    page = clinic.page(PHONE)
    with _phone_asks(page):
        page.goto(link if link.startswith("http") else clinic.address + link)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url(re.compile("/today"))
    clinic.looks_right(page, "today before the start")
    return page


def _first_evening(clinic: Clinic, page: "Page") -> None:
    clinic.at(evening(MONDAY, 20))
    _tick(clinic, evening(MONDAY, 20))
    with _phone_asks(page):  # what time it is: by the phone's own clock it is another day
        page.goto(f"{clinic.address}/today")
    clinic.looks_right(page, "today")
    with _phone_asks(page):
        page.goto(f"{clinic.address}/diary/{MONDAY.isoformat()}")
    clinic.looks_right(page, "diary")
    _tap(page, "pain", "6")
    _tap(page, "any_side_effects", "no")
    _tap(page, "sleep", "5")
    _tap(page, "intake", "all")
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_url(re.compile("/thanks"))
    clinic.looks_right(page, "thanks")
    with clinic.sessions() as session:
        first = days_of_trial(session, clinic.trial(session).id)[0]
        assert (first.day, first.state) == (MONDAY, "answered")


def _correction_and_double_click(clinic: Clinic, page: "Page") -> None:
    """A form sent twice is one entry; a correction is a second revision."""
    page.goto(f"{clinic.address}/diary/{MONDAY.isoformat()}")
    _tap(page, "pain", "7")
    _tap(page, "any_side_effects", "no")
    _tap(page, "intake", "all")
    page.evaluate(
        """async () => {
             const form = document.querySelector('main form');
             const body = new URLSearchParams(new FormData(form));
             await Promise.all([1, 2, 3].map(() => fetch(form.action || location.href,
                 {method: 'POST', body, redirect: 'manual'})));
           }"""
    )
    from trials.store.diary import revisions_of_day

    with clinic.sessions() as session:
        first = days_of_trial(session, clinic.trial(session).id)[0]
        assert [entry.pain for entry in revisions_of_day(session, first.id)] == [6, 7]


def _live_the_rest(clinic: Clinic) -> None:
    """Forty-one more evenings, four of them forgotten, the scheduler ticking along."""
    dice = np.random.default_rng(5)
    with clinic.sessions() as session:
        kept = clinic.trial(session)
        key = allocation.sealed_arm_key(session, VAULT, kept)
        sequence = allocation.masked_sequence(session, VAULT, kept)
        days = [(row.day, row.period) for row in days_of_trial(session, kept.id)]
    for day, period in days[1:]:
        _tick(clinic, evening(day, 18))
        if day.day in {7, 19, 28}:
            continue
        pain = 6.5 - RELIEF[key[sequence[period - 1]]] + dice.normal(0, 0.9)
        with clinic.sessions.begin() as session:
            fill_day(
                session,
                clinic.trial(session),
                day,
                int(np.clip(round(pain), 0, 10)),
                key=str(uuid4()),
            )
    end = evening(days[-1][0] + timedelta(days=2), 9)
    clinic.at(end)
    run_due(clinic.sessions, clinic.settings, VAULT, end, fits=True)
    with clinic.sessions() as session:
        kept = clinic.trial(session)
        assert kept.state == State.ANALYSED
        states = [row.state for row in days_of_trial(session, kept.id)]
        assert (states.count("answered"), states.count("missed")) == (38, 4)
        assert {p.state for p in periods_of_trial(session, kept.id)} == {"over"}
    reminders = list((clinic.folder / "mail").glob("*.eml"))
    assert len(reminders) >= 42, "each evening had its reminder"


def _analyst_releases(clinic: Clinic) -> None:
    page = clinic.sign_in(Role.ANALYST)
    with clinic.sessions() as session:
        trial = clinic.trial(session).public_id
    _follow(page, page.get_by_role("link", name=trial).first)
    clinic.looks_right(page, "posterior")
    shown = page.content()
    assert "buprofen" not in shown, "the analyst sees masked arms only"
    assert "Pat Example" not in shown
    assert "P-001" not in shown
    _follow(page, page.get_by_role("link", name="Release this result"))
    clinic.looks_right(page, "release")
    page.locator("[name=comment]").fill("Both engines agree.")
    _follow(page, page.locator("main form button[type=submit]").last)
    with clinic.sessions() as session:
        assert clinic.trial(session).state == State.RELEASED
    page.context.close()


def _clinician_reads_and_signs(clinic: Clinic, page: "Page", commitment: str) -> None:
    page.goto(f"{clinic.address}/clinician/trials")
    assert "/login" in page.url, "six weeks later the session has ended"
    page = clinic.sign_in(Role.CLINICIAN)
    with clinic.sessions() as session:
        trial = clinic.trial(session).public_id
    page.goto(f"{clinic.address}/clinician/trials/{trial}/result")
    clinic.looks_right(page, "result of the clinician")
    assert "Ibuprofen is best for this patient" in page.content()
    assert "Verified against the commitment" in page.content()
    assert commitment in page.content()
    page.goto(f"{clinic.address}/clinician/trials/{trial}/decision")
    page.locator("[name=treatment][value=ibuprofen], select[name=treatment]").first.evaluate(
        "el => { if (el.tagName === 'SELECT') el.value = 'ibuprofen'; else el.click(); }"
    )
    page.locator("[name=reason]").fill("Clearly better, and no stomach trouble.")
    _follow(page, page.locator("main form button[type=submit]").last)
    with clinic.sessions() as session:
        kept = clinic.trial(session)
        assert kept.state == State.DECIDED
        assert decision_on(session, kept.id).treatment == "ibuprofen"


def _patient_reads(clinic: Clinic, page: "Page") -> None:
    page.goto(f"{clinic.address}/result")
    clinic.looks_right(page, "result of the patient")
    shown = page.locator("main").inner_text()
    assert re.search(r"Ibuprofen\s+is\s+best\s+for\s+you", shown)
    assert "Clearly better, and no stomach trouble." in shown


def _the_record_is_whole(clinic: Clinic) -> None:
    with clinic.sessions() as session:
        assert first_broken(chain(session)) is None
        staff = {a.public_id for a in session.scalars(select(AccountRow)).unique()}
        actors = {record.actor for record, _hash in chain(session)}
    assert actors - staff, "the patient and the system are in the trail too"


def _follow(page: "Page", link: "Locator") -> None:
    """Click, and wait until the page that it leads to is there: not the one it stands on."""
    with page.expect_navigation():
        link.click()


@contextmanager
def _phone_asks(page: "Page") -> Iterator[None]:
    """Wait until the scripts of the page that is opened have heard from the server."""
    with page.expect_response(lambda answer: answer.url.endswith(PACK)) as asked:
        yield
    asked.value.finished()


def _tap(page: "Page", name: str, value: str) -> None:
    page.locator(f"[name={name}][value='{value}']").check(force=True)


def _tick(clinic: Clinic, instant: datetime) -> None:
    run_due(clinic.sessions, clinic.settings, VAULT, instant, fits=False)
