"""Take the pictures of the README and of the patient's guide from the running product.

Called by `make pictures`; `python -m tools.pictures guide` leaves out those of the README.
Starts a fresh demonstration in a temporary folder, waits until its finished trials are analysed
and released, and photographs the pages in Chromium.
"""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from tools.browser import find_chromium
from tools.guide import make_guide

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
LENITIVE = Path(sys.executable).with_name("lenitive")
PATIENCE_SECONDS = 600
PHONE, DESK = (390, 844), (1280, 800)


def main() -> None:
    """Take every picture anew."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("There is no Chromium on this machine: `make test` installs one.")
    with (
        tempfile.TemporaryDirectory(prefix="lenitive-pictures-") as folder,
        demonstration(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=chromium, chromium_sandbox=os.geteuid() != 0
        )
        open_todays_diary(Path(folder))
        trials = wait_for_results(Path(folder))
        if "guide" not in sys.argv[1:]:
            take_all(browser, address, trials)
        make_guide(browser, address, personal_link(browser, address))
        browser.close()
    for picture in sorted(PICTURES.glob("*.png")):
        say(f"{picture.relative_to(PICTURES.parents[1])}: {picture.stat().st_size // 1000} kB")


@contextmanager
def demonstration(folder: Path) -> Iterator[str]:
    """Run `lenitive serve --demo` on a free port, in a folder of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    surroundings = {**os.environ, "LENITIVE_DATA_DIR": str(folder), "LENITIVE_PORT": str(port)}
    say("Starting a demonstration ...")
    with subprocess.Popen([LENITIVE, "serve", "--demo"], env=surroundings) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/healthz"), "the server")
            yield address
        finally:
            server.terminate()


def open_todays_diary(folder: Path) -> None:
    """Let today's diaries be open already, so that pictures show one at any hour of the day."""
    with closing(sqlite3.connect(folder / "lenitive.sqlite", timeout=30)) as base, base:
        base.execute(
            "UPDATE diary_day SET opens_at = datetime('now', '-1 hour') || '.000000' "
            "WHERE state = 'planned' AND day = date('now') AND opens_at > datetime('now')"
        )
        (asked,) = base.execute(
            "SELECT count(*) FROM diary_day "
            "WHERE day = date('now') AND state IN ('planned', 'open')"
        ).fetchone()
    if not asked:
        raise SystemExit(
            "The demonstration's patients have reported today already, so no picture would show an "
            "open diary. Take the pictures before five in the afternoon, Berlin time."
        )


def wait_for_results(folder: Path) -> dict[str, str]:
    """Return the public id of each patient's trial, once the finished ones are released."""
    say("Waiting until the finished trials are analysed by both engines ...")

    def states() -> dict[str, tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{folder}/lenitive.sqlite?mode=ro", uri=True)) as base:
            rows = base.execute(
                "SELECT p.code, t.public_id, t.state FROM trial t "
                "JOIN patient p ON p.id = t.patient_id"
            )
            return {code: (trial, state) for code, trial, state in rows}

    wait_until(
        lambda: [state for _id, state in states().values()].count("released") >= 3, "the results"
    )
    return {code: trial for code, (trial, _state) in states().items()}


def take_all(browser: Browser, address: str, trials: dict[str, str]) -> None:
    """Photograph the pages that the README shows."""
    running, waiting, clear = trials["D-02"], trials["D-03"], trials["D-04"]
    take(enter(browser, address, "", DESK), "", "first-page")
    rosa = enter(browser, address, "Rosa Running", PHONE)
    take(rosa, "/today", "patient-today", height=844)
    link = rosa.locator("a[href^='/diary/']").first
    take(rosa, link.get_attribute("href") or "/today", "patient-diary", height=844)
    carla = enter(browser, address, "Carla Clear", PHONE)
    take(carla, "/result", "patient-result", height=844)
    clinician = enter(browser, address, "Clinician", DESK)
    take(clinician, "/clinician/trials", "clinician-list", height=620)
    take(clinician, f"/clinician/trials/{running}", "clinician-trial", height=900)
    take(clinician, f"/clinician/trials/{clear}/result", "clinician-result", height=1000)
    take(clinician, "/clinician/trials/new", "clinician-setup", height=1000)
    analyst = enter(browser, address, "Analyst", DESK)
    take(analyst, f"/analyst/trials/{waiting}", "analyst-posterior", height=1150)
    pharmacist = enter(browser, address, "Pharmacist", DESK)
    pharmacist.goto(f"{address}/pharmacist/trials/{running}")
    pharmacist.locator("form[action$=dispensing] button").first.click()
    take(pharmacist, "", "pharmacist-list", height=760)


def enter(browser: Browser, address: str, name: str, size: tuple[int, int]) -> Page:
    """Open a window and enter the demonstration as somebody; as nobody if there is no name."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, base_url=address, locale="en-GB"
    )
    page = context.new_page()
    page.goto("/")
    if name:
        page.get_by_role("button", name=re.compile(name)).first.click()
        page.wait_for_load_state()
    return page


def personal_link(browser: Browser, address: str) -> str:
    """Return the path of a new personal link, made as the clinic makes one."""
    page = enter(browser, address, "Clinician", DESK)
    page.goto("/clinician/patients")
    page.get_by_role("link", name=re.compile("D-03")).first.click()
    page.locator("form[action$=invitation] button").first.click()
    link = page.locator(".lt-once [data-copy-text]").inner_text()
    return urlsplit(link.strip()).path


def take(page: Page, path: str, name: str, *, height: int = 0) -> None:
    """Keep a picture of the top of a page, or of all of it."""
    if path:
        page.goto(path)
    width = (page.viewport_size or {"width": DESK[0]})["width"]
    if height:
        page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=PICTURES / f"{name}.png", full_page=not height, scale="css")


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Ask every second, for minutes."""
    for _second in range(PATIENCE_SECONDS):
        if is_so():
            return
        time.sleep(1)
    raise SystemExit(f"Waited too long for {what}.")


def answers(address: str) -> bool:
    """Return whether somebody answers at an address."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  # our own http
            return bool(answer.status == 200)
    except OSError:
        return False


def say(text: str) -> None:
    """Tell what is going on."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
