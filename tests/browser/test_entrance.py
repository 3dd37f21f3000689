"""The ways in, one's own account and the administrator's pages: reachable and legible for all."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext

from tests.builders import VAULT, actor_for, make_account, make_patient, make_site
from tests.plugins.web import close_app, make_app
from tests.serving import serving
from trials.domain.blinding import Role
from trials.services.invitations import invite
from trials.store.database import open_engine, session_maker

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PUBLIC = (
    "/",
    "/login",
    "/reset",
    "/code",
    "/help",
    "/i/unknown",
    "/i/{token}",
    "/wan-signin",
    "/no",
)
OWN = ("/account", "/change", "/tf-setup", "/mf-recovery-codes", "/wan-register", "/verify")
ADMIN = (
    "/admin/people",
    "/admin/people/new",
    "/admin/people/{account}",
    "/admin/site",
    "/admin/audit",
    "/admin/audit/check",
    "/admin/condition",
    "/device",
    "/clinician/trials",
)


@pytest.fixture(scope="module")
def clinic(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """A running demonstration, its address and the ids in its addresses."""
    folder = tmp_path_factory.mktemp("clinic")
    path = folder / "lenitive.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    now = datetime.now(UTC)
    with session_maker(engine).begin() as session:
        site = make_site(session, "Demonstration", is_demo=True)
        make_account(session, site, Role.ADMINISTRATOR, name="Adam")
        clara = make_account(session, site, Role.CLINICIAN, name="Clara")
        clinician = actor_for(clara, Role.CLINICIAN)
        patient = make_patient(session, clinician, now)
        token = invite(session, VAULT, clinician, patient, now=now).token
        ids = {"token": token, "account": clara.public_id}
    engine.dispose()
    app = make_app(f"sqlite:///{path}", folder)
    with serving(app) as port:
        yield {"address": f"http://127.0.0.1:{port}", **ids}
    close_app(app)


def look_at(context: BrowserContext, paths: tuple[str, ...], clinic: dict) -> None:
    """Open every page; axe, the console and the width of the page must have nothing to say."""
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in paths:
        page.goto(path.format(**clinic))
        found = Axe().run(page).response["violations"]
        assert [(path, f["id"], f["nodes"][0]["html"]) for f in found] == []
        sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (path, max(0, sideways)) == (path, 0)
    # The browser itself reports the status of the error pages that are opened on purpose.
    assert [text for text in said if "the server responded with a status" not in text] == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(("paths", "enter_as"), [(PUBLIC, ""), (OWN, "Adam"), (ADMIN, "Adam")])
def test_every_page_is_for_everybody(
    browser: Browser, clinic: dict, width: int, paths: tuple[str, ...], enter_as: str
):
    context = browser.new_context(
        base_url=clinic["address"], viewport={"width": width, "height": 844}
    )
    if enter_as:
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name=enter_as).click()
        page.wait_for_url("**/admin/people")
    look_at(context, paths, clinic)
    context.close()
