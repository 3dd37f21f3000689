"""The administrator's "State of the system", with everything that can stand on it."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.builders import make_account, make_actor, make_running, make_site
from tests.plugins.web import close_app, make_app
from tests.serving import serving
from trials.domain.blinding import Role
from trials.store.database import open_engine, session_maker
from trials.store.outbox import MessageRow
from trials.store.process import Tick, see_process

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

PHONE, DESK = 390, 1280


def fill(session: Session) -> str:
    """Let much go wrong; return the public id of the administrator."""
    site = make_site(session, is_demo=True)
    now = datetime.now(UTC)
    make_running(session, make_actor(session, site, Role.CLINICIAN), now - timedelta(days=3))
    ticks = {
        "time": Tick(now, 0.213),
        "post": Tick(now - timedelta(seconds=4), 1.7, "OperationalError"),
        "fits": Tick(now, 0.012),
    }
    see_process(session, "clinic1-4711-a3f9", "scheduler", now, ticks)
    see_process(session, "clinic2-9042-77b0", "scheduler", now - timedelta(hours=2), ticks)
    for number, failed in enumerate((None, now - timedelta(hours=1))):
        session.add(
            MessageRow(
                occasion=f"test:{number}",
                trial_id=None,
                recipient="pat@example.org",
                subject="Hello",
                body="Text",
                due_at=now - timedelta(hours=2),
                attempts=10,
                failed_at=failed,
                last_error="the recipient: 550 5.1.1 <pat@example.org> is unknown here",
            )
        )
    return make_account(session, site, Role.ADMINISTRATOR, name="Adam").public_id


@pytest.fixture
def page(browser: "Browser", sqlite_template: Path, tmp_path: Path) -> Iterator["Page"]:
    """The administrator's browser on the page, in a thread apart from Playwright's loop."""
    path = tmp_path / "lenitive.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    with ThreadPoolExecutor(1) as apart:
        app, administrator = apart.submit(move_in, engine, tmp_path).result()
        with (
            serving(app) as port,
            closing(browser.new_context(base_url=f"http://127.0.0.1:{port}")) as context,
        ):
            page = context.new_page()
            page.goto("/")
            page.locator(f"form[action='/demo/staff/{administrator}'] button").click()
            page.goto("/admin/condition")
            yield page
        apart.submit(close_app, app).result()
    engine.dispose()


def move_in(engine: Engine, folder: Path) -> tuple[Flask, str]:
    """Return the application and its administrator."""
    with session_maker(engine).begin() as session:
        administrator = fill(session)
    return make_app(str(engine.url), folder), administrator


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_what_waits_and_what_went_wrong_can_be_read_by_everybody(page: "Page", width: int):
    page.set_viewport_size({"width": width, "height": 900})
    keep = os.environ.get("LENITIVE_SCREENSHOTS")
    if keep:
        page.screenshot(path=Path(keep) / f"condition-{width}.png", full_page=True)

    assert page.get_by_text("not seen").count() == 1
    assert page.get_by_text("OperationalError").count() == 2
    assert page.get_by_text("pat@example.org").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert Axe().run(page).response["violations"] == []


def test_what_was_given_up_is_tried_again_by_one_button(page: "Page"):
    page.get_by_role("button", name="Try again").click()

    page.get_by_text("It is tried again within a minute.").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0
