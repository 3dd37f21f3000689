"""Days without a network in a real Chromium: nothing that was called saved is ever lost.

The server is a real one on a port of its own. It is killed, slowed, cut off after it has
committed, restored from a backup and replaced by a new version; phones lose their cookie, their
space and their right to enter. Their clock is not the server's.
"""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    answer,
    evening,
    fill_day,
    make_actor,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from tests.plugins.web import close_app, make_app
from tests.services.test_photos import a_photo
from tests.serving import in_one_piece
from trials.domain.blinding import Role
from trials.domain.diary import Questionnaire
from trials.services.corrections import propose_correction
from trials.services.invitations import invite, open_device, revoke_all
from trials.services.red_flag_rules import rules
from trials.services.running import stop_trial
from trials.store.account import PatientRow, SiteRow
from trials.store.alert import alerts_of_trial
from trials.store.database import open_engine, session_maker
from trials.store.diary import DiaryEntryRow, find_day, latest_entry, revisions_of_day
from trials.store.erasure import ErasureRow, remove_answers
from trials.store.photo import PhotoRow
from trials.store.trial import TrialRow
from trials.web.patient import pack
from trials.web.reader import device_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
DAY = date(2026, 3, 7)
BEFORE = DAY - timedelta(days=1)
PHONE_NUMBER = "+49 30 1234567"
PATIENCE = 60_000  # of a busy machine; what is there sooner is taken sooner
MOST_AT_ONCE = 50
NO_SPACE = (
    "IDBObjectStore.prototype.put = function () {"
    "  throw new DOMException('no space', 'QuotaExceededError'); }; true"
)


class Quiet(WSGIRequestHandler):
    """Says nothing on the console, and waits for no request that does not come."""

    timeout = 5

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class CutOffError(Exception):
    """The connection breaks before the answer is out."""


@dataclass
class Weather:
    """What happens to requests on their way.

    Attributes:
        delay: seconds that every answer takes longer.
        cut: how many answers to reports are lost, after the server has done its work.
        posts: how many reports arrived.
        portal: whether a log-in page of a wifi answers in place of the server.
        stuck: a report with these words in it makes the server fail; "" for none.
        busy: held by every request that is being worked on.
    """

    delay: float = 0.0
    cut: int = 0
    posts: int = 0
    portal: bool = False
    stuck: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    busy: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_AT_ONCE))

    def around(self, app: "WSGIApplication") -> "WSGIApplication":
        """Return the application in this weather."""

        def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
            if self.delay:
                self.over.wait(self.delay)
            is_report = environ["PATH_INFO"] == "/offline/entry"
            self.posts += is_report
            if self.portal and environ["PATH_INFO"].startswith("/offline/"):
                start("403 Forbidden", [("Content-Type", "text/html")])
                return [b"<h1>Welcome to our hotel</h1>"]
            if is_report and self.stuck:
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                environ["wsgi.input"] = BytesIO(body)
                if self.stuck.encode() in body:
                    start("500 Internal Server Error", [("Content-Type", "text/html")])
                    return [b"<h1>Sorry</h1>"]
            with self.busy:
                if is_report and self.cut:
                    self.cut -= 1
                    b"".join(app(environ, lambda *_args: lambda _data: None))
                    raise CutOffError
                return app(environ, start)

        return answer


class House:
    """One clinic's server, its database, and its patient's trial."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.path = folder / "lenitive.sqlite"
        shutil.copy(template, self.path)
        self.folder = folder
        self.url = f"sqlite:///{self.path}"
        self.weather = Weather()
        self.trial_id = 0
        self.cookies: list[tuple[str, str]] = []
        self._apart = ThreadPoolExecutor(1)  # Playwright's loop is in our own thread
        self._port = 0
        self._server: BaseWSGIServer | None = None
        self._serving: Future[None] | None = None
        self._app = self._apart.submit(self._move_in).result()
        self.start()

    @property
    def address(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self._port}"

    def _move_in(self):
        engine = open_engine(self.url)
        app = make_app(self.url, self.folder)
        with session_maker(engine).begin() as session:
            site = make_site(session, "Riverside Pain Clinic")
            site.phone = PHONE_NUMBER
            clinician = make_actor(session, site, Role.CLINICIAN)
            trial = make_running(session, clinician, NOON, PROTOCOL)
            self.trial_id = trial.id
            for day in trial_days(trial)[:5]:
                fill_day(session, trial, day)
            entries = [
                open_device(session, VAULT, trial.patient, secret=uuid4().hex, now=NOON)
                for _phone in range(2)
            ]
        with app.app_context():
            self.cookies = [device_cookie(VAULT, entry) for entry in entries]
        engine.dispose()
        return app

    def start(self) -> None:
        """Serve, on the same port as before."""
        self._server = make_server(
            "127.0.0.1",
            self._port,
            self.weather.around(in_one_piece(self._app)),
            threaded=True,
            request_handler=Quiet,
        )
        self._server.daemon_threads = False  # closing waits for the answers under way
        self._port = self._server.server_port
        self._serving = self._apart.submit(self._server.serve_forever, 0.02)

    def kill(self) -> None:
        """Be gone: nobody listens at the port."""
        if self._server is not None and self._serving is not None:
            self.weather.over.set()
            self._server.shutdown()
            self._serving.result()
            self._server.server_close()
            for _request in range(MOST_AT_ONCE):  # a thread at work holds the database open
                assert self.weather.busy.acquire(timeout=60)
            self.weather.busy.release(MOST_AT_ONCE)
            self._apart.submit(close_app, self._app).result()
            self._server = None

    def close(self) -> None:
        """Let go of everything."""
        self.kill()
        self._apart.shutdown()

    def work[T](self, do: "Callable[..., T]") -> T:
        """Return what this does to a session of its own, committed."""
        engine = open_engine(self.url)
        try:
            with session_maker(engine).begin() as session:
                return do(session, session.get_one(TrialRow, self.trial_id))
        finally:
            engine.dispose()

    def reports(self, day: date = DAY) -> list[DiaryEntryRow]:
        """Return every report of a day, in the order of arrival."""

        def read(session, trial):
            return revisions_of_day(session, find_day(session, trial.id, day).id)

        return self.work(read)

    def counting_pain(self, day: date = DAY) -> int:
        """Return the pain of the report that counts."""
        return self.work(
            lambda s, t: latest_entry(s, find_day(s, t.id, day).id).pain  # type: ignore[union-attr]
        )


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The server's clock, on the evening of ``DAY``; the phones' own is months ahead."""
    with time_machine.travel(evening(DAY), tick=True) as traveller:
        yield traveller


@pytest.fixture
def house(sqlite_template: Path, tmp_path: Path, clock) -> Iterator[House]:
    house = House(tmp_path, sqlite_template)
    yield house
    house.close()


@pytest.fixture
def phone(browser: "Browser", house: House) -> Iterator["Callable[..., Page]"]:
    """Return a phone of the patient that has been on the first page, with all it keeps."""
    contexts: list[BrowserContext] = []

    def make(number: int = 0, *, clock: datetime | None = None) -> "Page":
        context = browser.new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, base_url=house.address
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        let_in(context, house, number)
        page = context.new_page()
        if clock is not None:
            page.clock.install(time=clock)
        page.goto("/today")
        wait_until_packed(page)
        return page

    yield make
    for context in contexts:
        context.close()


def let_in(context: "BrowserContext", house: House, number: int = 0) -> None:
    name, value = house.cookies[number]
    context.add_cookies([{"name": name, "value": value, "url": house.address}])


def wait_for(page: "Page", script: str) -> object:
    """Wait until a script gives something true (``wait_for_function`` is against our policy)."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        if found := page.evaluate(script):
            return found
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {script}")


def wait_until_packed(page: "Page") -> None:
    """Wait until everything that is needed without a network is on the phone."""
    wait_for(page, "navigator.serviceWorker.ready.then(() => !!navigator.serviceWorker.controller)")
    wait_for(page, "caches.open('lenitive-pages').then(c => c.keys()).then(k => k.length === 6)")
    wait_for(page, fact("edition"))


def in_store(store: str, call: str) -> str:
    return (
        "new Promise((done, failed) => { const asked = indexedDB.open('lenitive', 1);"
        f"asked.onsuccess = () => {{ const found = asked.result.transaction('{store}')"
        f".objectStore('{store}').{call}; found.onsuccess = () => {{ asked.result.close();"
        "done(found.result); }; }; asked.onerror = failed; })"
    )


def fact(name: str) -> str:
    return in_store("facts", f"get('{name}')")


def kept(page: "Page") -> list[dict]:
    """Return the reports on the phone."""
    return page.evaluate(in_store("entries", "getAll()"))


def states(page: "Page") -> list[str]:
    return sorted(entry["state"] for entry in kept(page))


def fill(page: "Page", pain: int = 4) -> None:
    target = "#pain" if pain == 0 else f"#pain-{pain}"
    for choice in (target, "#any_side_effects", "#intake"):
        page.locator(choice).tap()


def send(page: "Page") -> None:
    page.get_by_role("button", name="Send my report").tap()


def send_again(page: "Page") -> None:
    """Press the button once more, as people do: not within the second it ignores."""
    page.wait_for_timeout(1_100)
    send(page)


def report(page: "Page", pain: int = 4, day: date = DAY) -> None:
    """Fill in a day and send it."""
    page.goto(f"/diary/{day}")
    fill(page, pain)
    send(page)


def save_without_network(page: "Page", house: House, pain: int = 4, day: date = DAY) -> None:
    """Write a report while the server is gone, and put the phone away."""
    house.kill()
    report(page, pain, day)
    put_away(page)


def put_away(page: "Page") -> None:
    """Close the page once the report is saved: it would go on trying to send."""
    page.get_by_role("heading", name="Saved on this phone").wait_for()
    page.goto("about:blank")


def wait_for_report(house: House, count: int = 1, day: date = DAY) -> list[DiaryEntryRow]:
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        if len(found := house.reports(day)) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(house.reports(day))} reports came instead of {count}")


def test_a_phone_without_network_opens_answers_and_sends_by_itself_later(phone, house: House):
    page = phone()
    house.kill()
    page.goto("/today")
    page.get_by_role("heading", name="No network just now").wait_for()
    page.get_by_role("link", name="Fill in the diary of Friday, March 6").wait_for()
    page.get_by_role("link", name=PHONE_NUMBER).wait_for()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("link", name="Fill in the diary of Saturday, March 7").tap()
    page.get_by_role("heading", name="Saturday, March 7").wait_for()
    assert "in the last 24 hours" in page.inner_text("main")
    assert Axe().run(page).response["violations"] == []

    send(page)
    page.get_by_text("Nearly done: something is missing").wait_for()
    assert page.title().startswith("Error:")
    assert page.locator(".nhsuk-error-summary a").count() == 3
    page.get_by_role("link", name="Please choose a number from 0 to 10.").tap()
    assert page.evaluate("document.activeElement.id") == "pain"
    fill(page, 7)
    send_again(page)
    page.get_by_role("heading", name="Saved on this phone").wait_for()
    page.get_by_text("One report is saved on this phone.").wait_for()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("link", name="Back to today").tap()
    page.get_by_text("Saved on this phone: Saturday, March 7").wait_for()
    page.goto("/entries")
    page.get_by_text("This page needs a network.").wait_for()
    page.get_by_role("link", name=PHONE_NUMBER).wait_for()

    house.start()
    page.goto("/today")
    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    (entry,) = wait_for_report(house)
    assert (entry.pain, entry.minutes_late, entry.source) == (7, 0, "patient")
    assert entry.written_at <= entry.received_at
    assert entry.clock_error_seconds < -86_400  # the phone's clock is months ahead
    assert states(page) == ["sent"]


def test_a_page_that_waits_sends_when_the_network_is_back_and_shows_the_receipt(
    phone, house: House
):
    page = phone()
    page.goto(f"/diary/{DAY}")
    fill(page, 6)
    page.context.set_offline(True)
    send(page)
    page.get_by_role("heading", name="Saved on this phone").wait_for()
    page.context.set_offline(False)

    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    assert [entry.pain for entry in house.reports()] == [6]


def test_what_was_written_in_time_is_on_time_however_late_it_comes(
    phone, house: House, clock: time_machine.Traveller
):
    page = phone(clock=evening(DAY))
    save_without_network(page, house)
    days_later = timedelta(days=3)
    clock.move_to(evening(DAY) + days_later)
    page.clock.set_system_time(evening(DAY) + days_later)
    house.start()
    page.goto(f"/diary/{DAY + days_later}")

    (entry,) = wait_for_report(house)
    assert entry.minutes_late == 0
    assert entry.received_at - entry.written_at > timedelta(days=2, hours=23)
    page.goto(f"/diary/{DAY}/thanks")
    assert "You wrote it on Saturday, March 7" in page.inner_text("main")


def test_an_answer_that_is_lost_after_the_commit_is_one_report(phone, house: House):
    page = phone()
    house.weather.cut = 1
    report(page, 3)

    page.get_by_text(
        "Your report of Saturday, March 7 is kept."
    ).wait_for()  # by the page or the worker
    assert house.weather.posts == 2
    assert [(entry.revision, entry.pain) for entry in house.reports()] == [(1, 3)]
    assert "another one" not in page.inner_text("main")


def test_a_server_too_slow_to_wait_for_does_not_hold_anybody_up(phone, house: House):
    page = phone()
    page.goto(f"/diary/{DAY}")
    fill(page, 5)
    house.weather.delay = 60.0
    send(page)
    page.get_by_role("heading", name="Saved on this phone").wait_for(timeout=45_000)
    house.weather.delay = 0.0
    house.weather.over.set()

    page.get_by_text("is kept.").first.wait_for()
    assert [entry.pain for entry in house.reports()] == [5]


def test_two_taps_two_tabs_and_the_worker_send_each_report_once(phone, house: House):
    page = phone()
    house.kill()
    report(page, 2, BEFORE)
    page.get_by_role("heading", name="Saved on this phone").wait_for()
    page.goto(f"/diary/{DAY}")
    fill(page, 8)
    page.get_by_role("button", name="Send my report").dblclick()
    page.get_by_role("heading", name="Saved on this phone").wait_for()
    other = page.context.new_page()
    other.goto("/today")
    house.start()
    page.evaluate("window.dispatchEvent(new Event('online'))")
    other.evaluate("window.dispatchEvent(new Event('online'))")

    wait_for_report(house)
    wait_for(other, "true")
    assert len(wait_for_report(house, day=BEFORE)) == len(house.reports()) == 1
    assert house.weather.posts == 2


def test_a_full_phone_says_so_and_the_answers_stay(phone, house: House):
    page = phone()
    page.goto(f"/diary/{DAY}")
    fill(page, 9)
    page.locator("summary", has_text="Add a note").tap()
    page.locator("#note").fill("x" * 400)
    house.kill()
    # A real phone reports a full disk as the browser does here: the transaction is aborted.
    page.evaluate(NO_SPACE)
    send(page)

    page.get_by_text("Not saved: this phone has no space left").wait_for()
    assert page.locator("#pain-9").is_checked()
    assert page.locator("#note").input_value() == "x" * 400
    assert states(page) == []
    house.start()
    send_again(page)
    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    assert [entry.pain for entry in house.reports()] == [9]


def test_a_phone_that_filled_up_meanwhile_sends_what_it_has(phone, house: House):
    """Not even the pack, which comes first, can be stored any more."""
    page = phone()
    save_without_network(page, house, 5, BEFORE)
    save_without_network(page, house, 6)
    page.context.add_init_script(NO_SPACE)
    house.start()
    page.goto("/today")

    assert [entry.pain for entry in wait_for_report(house, day=BEFORE)] == [5]
    assert [entry.pain for entry in wait_for_report(house)] == [6]


def test_a_report_that_the_server_cannot_take_holds_up_no_other(phone, house: House):
    page = phone()
    save_without_network(page, house, 5, BEFORE)
    save_without_network(page, house, 6)
    house.weather.stuck = f'"day":"{BEFORE}"'
    house.start()
    page.goto("/today")
    assert [entry.pain for entry in wait_for_report(house)] == [6]
    page.get_by_text("One report is saved on this phone.").wait_for()
    assert house.reports(BEFORE) == []

    house.weather.stuck = ""
    assert [entry.pain for entry in wait_for_report(house, day=BEFORE)] == [5]
    wait_for(page, f"({in_store('entries', 'getAll()')}).then(e => e[0].state === 'sent')")


def test_the_log_in_page_of_a_wifi_does_not_shut_the_phone_out(phone, house: House):
    page = phone()
    save_without_network(page, house, 5)
    house.weather.portal = True
    house.start()
    page.goto("/today")
    page.get_by_text("One report is saved on this phone.").wait_for()
    assert page.evaluate(fact("access")) == "open"
    assert not page.locator("[data-line=unknown]").is_visible()

    house.weather.portal = False
    assert [entry.pain for entry in wait_for_report(house)] == [5]


def test_a_cleared_cookie_keeps_the_reports_until_a_new_link_is_opened(phone, house: House):
    """The old link opened once: the phone must not send anybody back to it."""
    page = phone()
    save_without_network(page, house, 5)
    page.context.clear_cookies()
    house.start()
    page.goto("/today")
    page.wait_for_url("**/code")
    page.get_by_text("Your reports on this phone are safe, but not sent.").wait_for()
    told = page.locator("[data-line=unknown]")
    assert "ask your clinic for a new link or code" in told.inner_text()
    assert told.get_by_role("link", name=PHONE_NUMBER).is_visible()
    assert house.reports() == []

    link = house.work(
        lambda s, t: invite(s, VAULT, clinician_of(s), t.patient, now=datetime.now(UTC)).token
    )
    page.goto(f"/i/{link}")
    page.get_by_role("button", name="Continue").tap()
    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    assert [entry.pain for entry in house.reports()] == [5]


def clinician_of(session):
    return make_actor(session, session.query(SiteRow).one(), Role.CLINICIAN)


def test_a_phone_that_is_shut_out_is_told_keeps_its_reports_and_forgets_the_rest(
    phone, house: House
):
    page = phone()
    report(page, 1, BEFORE)
    page.get_by_text("is kept.").first.wait_for()
    save_without_network(page, house, 5)
    house.work(lambda s, t: revoke_all(s, clinician_of(s), t.patient, now=datetime.now(UTC)))
    house.start()
    page.goto("/today")

    page.get_by_text("Your clinic has shut this phone out").wait_for()
    assert PHONE_NUMBER in page.inner_text("#offline")
    assert states(page) == ["waiting"]
    assert page.evaluate("caches.has('lenitive-pages')") is False
    assert page.evaluate(fact("pack")) is None
    assert house.reports() == []


def test_another_persons_reports_are_kept_and_not_sent_in_the_wrong_name(phone, house: House):
    page = phone()
    save_without_network(page, house, 5)
    house.work(
        lambda s, t: s.execute(
            update(PatientRow).where(PatientRow.id == t.patient_id).values(public_id="another")
        )
    )
    house.start()
    page.goto("/today")

    page.get_by_text("Reports of another person wait on this phone.").wait_for()
    assert states(page) == ["waiting"]
    assert house.reports() == []


def test_a_server_restored_from_a_backup_gets_back_what_it_had_acknowledged(
    phone, house: House, tmp_path: Path
):
    page = phone()
    shutil.copy(house.path, tmp_path / "backup")
    report(page, 6)
    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    house.kill()
    for leftover in tmp_path.glob("lenitive.sqlite*"):
        leftover.unlink()
    shutil.copy(tmp_path / "backup", house.path)
    assert house.reports() == []
    house.start()
    page.goto("/today")

    (entry,) = wait_for_report(house)
    assert (entry.pain, entry.minutes_late) == (6, 0)


def test_after_a_restore_calls_and_answers_about_mood_come_back_too(
    phone, house: House, tmp_path: Path
):
    page = phone()
    shutil.copy(house.path, tmp_path / "backup")
    page.goto("/help-now")
    page.get_by_role("button", name="A bad fall").tap()
    page.locator(".lt-told").get_by_text("Your clinic gets an alert.").wait_for()
    page.goto("/mood")
    page.locator("#low-3").tap()
    page.locator("#thoughts-3").tap()
    page.get_by_role("button", name="Send", exact=True).tap()
    page.get_by_text("Thank you for saying so.").wait_for()
    both = {("RF-FALL", "button"), ("RF-SUICIDE", "screen")}
    assert alerts(house) == both
    house.kill()
    for leftover in tmp_path.glob("lenitive.sqlite*"):
        leftover.unlink()
    shutil.copy(tmp_path / "backup", house.path)
    assert alerts(house) == set()
    house.start()
    page.goto("/today")

    deadline = time.monotonic() + PATIENCE / 1000
    while alerts(house) != both and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert alerts(house) == both


def alerts(house: House) -> set[tuple[str, str]]:
    return house.work(lambda s, t: {(a.rule, a.source) for a in alerts_of_trial(s, t.id)})


def test_what_was_removed_at_the_clinic_is_forgotten_by_the_phone_without_a_word(
    phone, house: House
):
    page = phone()
    report(page, 5, BEFORE)
    page.get_by_text("is kept.").first.wait_for()
    save_without_network(page, house, 6)

    def remove(session: Session, trial: TrialRow) -> None:
        at = datetime.now(UTC)
        patient = patient_actor(trial.patient)
        stop_trial(session, patient, trial, revision=trial.revision, reason="Enough.", now=at)
        session.add(ErasureRow(trial_id=trial.id, at=at, author=patient.public_id, removed={}))
        session.flush()
        remove_answers(session, trial.id)

    house.work(remove)
    house.start()
    page.goto("/today")

    wait_for(page, f"({in_store('entries', 'getAll()')}).then(e => e.length === 0)")
    page.goto("/today")
    page.wait_for_load_state("networkidle")
    assert "could not be taken" not in page.inner_text("main")
    assert house.reports(BEFORE) == house.reports() == []


def test_of_several_trials_the_phone_says_which_diary_works_without_a_network(phone, house: House):
    def add_two(session: Session, trial: TrialRow) -> str:
        asking = replace(PROTOCOL, questionnaire=Questionnaire(rescue="paracetamol 500 mg"))
        clinician, now = clinician_of(session), evening(DAY)
        other, main = (make_running(session, clinician, now, p) for p in (asking, PROTOCOL))
        other.patient_id = main.patient_id = trial.patient_id
        return other.public_id

    other = house.work(add_two)
    page = phone()
    page.goto(f"/diary/{DAY}?trial={other}")
    fill(page, 3)
    page.locator("input[name=rescue_doses][value=more]").check(force=True)
    page.locator("#more_doses").fill("20")  # a medicine that the main trial does not know
    house.kill()
    send(page)
    page.get_by_text(rules()["RF-OVERDOSE"].text).wait_for()
    put_away(page)
    page.goto(f"/diary/{DAY}?trial={other}")
    page.get_by_text("The diary of this trial needs a network").wait_for()
    assert not page.get_by_text("Your diary works without one.").is_visible()
    page.get_by_role("link", name="To my diary").tap()
    page.get_by_role("link", name="Fill in the diary of Saturday, March 7").wait_for()
    page.goto("/entries")
    page.get_by_text("Your diary works without one.").wait_for()

    house.start()
    page.goto("/today")
    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()


def test_a_new_version_takes_over_and_sends_what_the_old_one_kept(
    phone, house: House, monkeypatch: pytest.MonkeyPatch
):
    page = phone()
    save_without_network(page, house, 4)
    monkeypatch.setattr(pack, "version", lambda: "the next one")
    house.start()
    page.goto("/today")

    wait_for(page, "caches.has('lenitive-files-the next one')")
    wait_for(page, "caches.keys().then(k => k.filter(n => n.includes('files')).length === 1)")
    assert [entry.pain for entry in wait_for_report(house)] == [4]
    assert states(page) == ["sent"]


def test_two_phones_on_one_day_keep_both_reports_and_the_later_word_counts(phone, house: House):
    first, second = phone(0), phone(1)
    save_without_network(first, house, 3)
    house.start()
    report(second, 8)
    second.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()
    first.goto("/today")

    first.get_by_text("another one of the same day counts").wait_for()
    assert [entry.pain for entry in house.reports()] == [8, 3]
    assert house.counting_pain() == 8


def test_a_correction_without_network_is_a_second_revision(phone, house: House):
    page = phone()
    save_without_network(page, house, 3)
    report(page, 5)
    page.get_by_text("2 reports are saved on this phone.").wait_for()
    put_away(page)
    house.start()
    page.goto("/today")

    wait_for_report(house, 2)
    assert house.counting_pain() == 5


def test_a_token_that_ran_out_is_renewed(phone, house: House):
    page = phone()
    page.goto(f"/diary/{DAY}")
    fill(page, 4)
    page.context.clear_cookies(name="lenitive")  # the session; the device stays known
    send(page)

    page.get_by_text("Your report of Saturday, March 7 is kept.").wait_for()


def test_a_day_the_trial_no_longer_asks_for_is_refused_and_stays_on_the_phone(phone, house: House):
    page = phone()
    save_without_network(page, house, 4)

    def cancel(session, trial):
        find_day(session, trial.id, DAY).state = "paused"

    house.work(cancel)
    house.start()
    page.goto("/today")

    page.get_by_text("Your report of Saturday, March 7 could not be taken.").wait_for()
    assert "the trial is paused or over" in page.inner_text("#offline")
    assert states(page) == ["refused"]
    page.get_by_role("button", name="Remove it from this phone").tap()
    page.get_by_text("could not be taken").wait_for(state="hidden")
    assert states(page) == []


def test_leaving_sends_what_waits_and_forgets_everything_else(phone, house: House):
    page = phone()
    report(page, 4)
    page.get_by_text("is kept.").first.wait_for()
    page.goto("/device")
    page.get_by_role("button", name="Leave on this device").tap()
    page.wait_for_url(house.address + "/")

    assert kept(page) == []
    assert page.evaluate("caches.has('lenitive-pages')") is False


def test_no_answer_and_no_name_is_kept_in_a_page_on_the_phone(phone, house: House):
    page = phone()
    for path in ("/entries", "/result", "/today"):
        page.goto(path)
    texts = page.evaluate(
        "caches.open('lenitive-pages').then(async (c) => {"
        " const found = {}; for (const r of await c.keys())"
        " found[new URL(r.url).pathname + new URL(r.url).search] = await (await c.match(r)).text();"
        " return found; })"
    )

    assert sorted(texts) == [
        "/offline/away",
        "/offline/diary",
        "/offline/diary?earlier=1",
        "/offline/help",
        "/offline/mood",
        "/offline/today",
    ]
    name = house.work(lambda _s, t: t.patient.name)
    for text in texts.values():
        assert name not in text
        assert not re.search(r"<input[^>]*\schecked", text)


def test_the_app_can_be_installed(phone, house: House):
    page = phone()
    devtools = page.context.new_cdp_session(page)
    told = devtools.send("Page.getAppManifest")
    problems = devtools.send("Page.getInstallabilityErrors")

    assert told["url"].endswith("/app.webmanifest")
    assert told["errors"] == []
    found = [p["errorId"] for p in problems["installabilityErrors"]]
    assert [p for p in found if p != "in-incognito"] == []


def test_a_photo_waits_with_its_report_and_is_sent_behind_it(phone, house: House, tmp_path: Path):
    """The first answer to the photo is lost with the server; it is sent again, once."""
    picture = tmp_path / "rash.jpg"
    picture.write_bytes(a_photo(size=(3000, 2000)))
    page = phone()
    house.kill()
    page.goto(f"/diary/{DAY}")
    fill(page)
    page.get_by_text("Add a note or a photo").tap()
    page.locator("#photo").set_input_files(picture)
    send(page)
    put_away(page)

    house.start()
    page.goto("/today")
    wait_for_report(house)
    wait_for(page, f"({in_store('entries', 'getAll()')}).then(e => e[0].photo_state === 'sent')")

    def stored(session: Session, trial: TrialRow) -> list[bytes]:
        (row,) = session.scalars(select(PhotoRow))
        return [VAULT.open("diary photo", row.sealed, context=row.public_id)]

    (sent,) = house.work(stored)
    with Image.open(BytesIO(sent)) as shown:
        assert max(shown.size) == 1600
        assert not shown.getexif()


def test_everything_a_day_can_hold_is_asked_for_before_it_is_saved(phone, house: House):
    """What the server would refuse in three days is said now."""
    page = phone()
    house.kill()
    page.goto(f"/diary/{DAY}")
    page.locator("#pain-4").tap()
    page.locator("#any_side_effects-2").tap()
    page.locator("#bother-3").tap()
    page.locator("#intake-2").tap()
    page.locator("#other_effect-1").fill("Buzzing ears")
    send(page)
    page.get_by_text("Please say how bad it was.").first.wait_for()
    assert kept(page) == []
    page.locator("#other_severity-1-3").tap()
    page.locator("#intake_reason-4").tap()
    send_again(page)
    put_away(page)

    house.start()
    page.goto("/today")
    (entry,) = wait_for_report(house)
    assert entry.other_effects == [{"text": "Buzzing ears", "severity": 3}]
    assert (entry.intake, entry.intake_reason) == ("part", "no_help")


def test_days_follow_the_clock_of_home_on_a_journey_and_over_a_change_of_the_clocks(
    browser: "Browser", house: House, clock: time_machine.Traveller
):
    """A phone in Auckland, the night in Berlin that has 23 hours."""
    last_night = date(2026, 3, 28)
    clock.move_to(evening(last_night, 23))
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        base_url=house.address,
        timezone_id="Pacific/Auckland",
    )
    let_in(context, house)
    page = context.new_page()
    page.clock.install(time=evening(last_night, 23))
    page.goto("/today")
    wait_until_packed(page)
    house.kill()
    page.clock.set_system_time(evening(last_night, 23) + timedelta(hours=2))
    page.goto("/today")
    page.get_by_role("link", name="Fill in the diary of").first.wait_for()
    assert "3:00" in page.inner_text("main"), "three o'clock at home, not in Auckland"
    report(page, 6, last_night)
    put_away(page)
    clock.move_to(evening(last_night, 23) + timedelta(hours=2, minutes=30))
    house.start()
    page.clock.set_system_time(evening(last_night, 23) + timedelta(hours=2, minutes=30))
    page.goto("/today")

    (entry,) = wait_for_report(house, day=last_night)
    assert (entry.minutes_late, entry.zone) == (0, "Europe/Berlin")
    context.close()


def test_a_correction_by_telephone_is_confirmed_on_the_phone(phone, house: House):
    """The one page on which the patient has the last word on what somebody else wrote."""

    def ask(session: Session, trial: TrialRow) -> None:
        clinician = actor_for(trial.clinician, Role.CLINICIAN)
        propose_correction(
            session,
            clinician,
            trial,
            BEFORE - timedelta(days=1),
            answer(1),
            reason="Said so.",
            key="from-the-clinic-1",
            now=datetime.now(UTC),
        )

    house.work(ask)
    page = phone()
    page.get_by_role("link", name="Look at it").tap()
    page.get_by_role("heading", name="Is this right?").wait_for()
    page.wait_for_load_state()
    assert Axe().run(page).violations_count == 0
    page.get_by_role("button", name="Yes, that is right").tap()
    page.get_by_text("Thank you, that is kept.").wait_for()

    assert house.counting_pain(BEFORE - timedelta(days=1)) == 1
