"""Passkeys, with a real browser and the authenticator that Chromium simulates."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, Page, expect
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import make_account, make_site
from tests.plugins.web import close_app, make_app
from tests.serving import serving
from trials.domain.blinding import Role
from trials.services.accounts import hash_password
from trials.store.database import open_engine, session_maker

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EMAIL, PASSWORD = "ana@clinic.example", "correct horse battery"


@pytest.fixture
def sessions(sqlite_template: Path, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    path = tmp_path / "lenitive.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    yield session_maker(engine)
    engine.dispose()


@pytest.fixture
def address(sessions: sessionmaker[Session], tmp_path: Path) -> Iterator[str]:
    """A running server with one account; passkeys need the name localhost."""
    with sessions.begin() as session:
        account = make_account(session, make_site(session), Role.ADMINISTRATOR, name="Ana")
        account.email = EMAIL
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        account.password = hash_password(PASSWORD, cheap)
    app = make_app(f"sqlite:///{tmp_path / 'lenitive.sqlite'}", tmp_path)
    with serving(app) as port:
        yield f"http://localhost:{port}"
    close_app(app)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page whose machine has a passkey store of its own, like a phone."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield page
    context.close()
    assert problems == []


def sign_in_by_password(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="People")).to_be_visible()


def add_passkey(page: Page, usage: str) -> None:
    page.goto("/wan-register")
    page.get_by_label("Name of the passkey").fill("my phone")
    page.get_by_label(usage).check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("my phone")).to_be_visible()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_passkey_of_the_phone_itself_signs_in_without_a_password(page: Page):
    sign_in_by_password(page)
    add_passkey(page, "instead of a password")
    sign_out(page)

    page.goto("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_a_passkey_is_a_second_step_after_the_password(page: Page):
    sign_in_by_password(page)
    add_passkey(page, "second step")
    sign_out(page)

    page.goto("/login")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in with a passkey")).to_be_visible()
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_a_removed_passkey_opens_nothing_and_the_page_says_what_to_do(page: Page):
    sign_in_by_password(page)
    add_passkey(page, "instead of a password")
    page.goto("/wan-register")
    page.get_by_role("button", name="Remove").click()
    sign_out(page)

    page.goto("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_text("Unregistered passkey")).to_be_visible()
