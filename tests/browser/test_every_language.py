"""Every page of the patient, in every language there is: for screen readers, keyboards and large
text.

The pages are those of the application's own route map and the languages those of its own
catalogues, so that a new page or language is looked at from its first day on.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from sqlalchemy import update

import trials
from tests.browser.test_diary import LAST_OF_BOX, Site, complaints, site, visit
from trials.services.language import CATALOGUES, SOURCE_LANGUAGE
from trials.store.account import PatientRow
from trials.store.database import session_maker
from trials.web.patient import bp

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["complaints", "site", "visit"]  # fixtures

pytestmark = pytest.mark.browser

PHONE, DESK = 390, 1280
VALUES = {"day": [LAST_OF_BOX, LAST_OF_BOX + timedelta(days=1)], "period": [1]}
"""What stands in addresses: a day that is open, one that is not yet; a period to guess."""
ASKING = {"radio", "checkbox", "textbox", "button", "link", "combobox", "spinbutton", "switch"}
"""Roles of what a person acts on: a screen reader must have a name for each."""

type Pages = Callable[..., Iterator[tuple[str, "Page"]]]


def languages() -> list[str]:
    """Return the languages that the application has words for."""
    folders = (Path(trials.__file__).parent / "translations", CATALOGUES)
    return sorted(
        {SOURCE_LANGUAGE}
        | {path.parents[1].name for folder in folders for path in folder.glob("*/LC_MESSAGES/*.po")}
    )


def addresses() -> list[str]:
    """Return the addresses of everything that a patient can open."""
    app = Flask("addresses")
    app.register_blueprint(bp)
    built = app.url_map.bind("test")
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{bp.name}.") and "GET" in (rule.methods or ()):
            values: list[dict[str, object]] = [{}]
            for name in rule.arguments:
                values = [{**known, name: value} for known in values for value in VALUES[name]]
            found += [built.build(rule.endpoint, known) for known in values]
    return sorted(found)


@pytest.fixture(params=languages())
def language(request: pytest.FixtureRequest, site: Site) -> str:
    """The language of all patients of the clinic."""
    with session_maker(site.engine).begin() as session:
        session.execute(update(PatientRow).values(locale=request.param))
    return str(request.param)


@pytest.fixture
def pages(visit, language: str) -> Pages:
    """Open every page at a width, one after the other; what only programs read is left out."""

    def walk(width: int, **options: object) -> "Iterator[tuple[str, Page]]":
        count = 0
        page = visit("/today", width=width, service_workers="block", **options)
        for address in addresses():
            answer = page.request.get(urljoin(page.url, address))
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            by_itself = "/offline/" in answer.url  # goes to the page proper when it can
            page.goto(answer.url, wait_until="networkidle" if by_itself else "load")
            assert page.locator("html").get_attribute("lang") == language, address
            yield address, page
            count += 1
        assert count > 12, "the walk saw too little"

    return walk


def violations(page: "Page") -> list[tuple[str, list[str]]]:
    """Return what axe finds wrong on a page, and where."""
    found = Axe().run(page).response["violations"]
    return [(v["id"], [n["target"] for n in v["nodes"]]) for v in found]


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing(pages: Pages, width: int):
    found = {address: wrong for address, page in pages(width) if (wrong := violations(page))}

    assert found == {}


def test_pages_twice_as_large_stay_whole(pages: Pages):
    """At 200 % a desk of 1280 pixels has room for 640; nothing is cut off or scrolls sideways."""
    wrong = {}
    for address, page in pages(DESK // 2, device_scale_factor=2):
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > DESK // 2 or violations(page):
            wrong[address] = (wide, violations(page))

    assert wrong == {}


def test_text_twice_as_large_on_a_phone_still_fits(pages: Pages):
    wrong = {}
    for address, page in pages(PHONE):
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > PHONE or violations(page):
            wrong[address] = (wide, violations(page))

    assert wrong == {}


STOPS = """() => {
  const seen = [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]')];
  const shown = (e) => e.checkVisibility({visibilityProperty: true}) && !e.disabled
    && e.tabIndex >= 0;
  const groups = new Set();
  window.lenitiveStops = seen.filter(shown).filter((e) => {
    if (e.type !== 'radio') return true;
    const group = [...document.getElementsByName(e.name)];
    const checked = group.find((one) => one.checked);
    if (checked ? checked !== e : groups.has(e.name)) return false;
    groups.add(e.name);
    return true;
  });
  return window.lenitiveStops.length;
}"""
"""The places that the tabulator key must reach; a group of radio buttons is one place."""


def test_every_page_can_be_walked_by_keyboard(pages: Pages):
    """Each place is reached, in the order of the page, seen when it is, and left again."""
    wrong: dict[str, list[Any]] = {}
    for address, page in pages(PHONE):
        count = page.evaluate(STOPS)
        walked, hidden = [], []
        for _stop in range(count):
            page.keyboard.press("Tab")
            number, inside = page.evaluate(
                "[window.lenitiveStops.indexOf(document.activeElement), (() => {"
                "const box = document.activeElement.getBoundingClientRect();"
                "return box.bottom > 0 && box.top < innerHeight })()]"
            )
            walked.append(number)
            if not inside:
                hidden.append(number)
        if walked != list(range(count)) or hidden:
            wrong[address] = [walked, hidden]

    assert wrong == {}


def test_a_screen_reader_has_a_name_for_everything(pages: Pages):
    nameless: dict[str, list[str]] = {}
    for address, page in pages(PHONE):
        for node in spoken(page):
            role, name = node["role"]["value"], node.get("name", {}).get("value", "").strip()
            if role in ASKING and not name:
                nameless.setdefault(address, []).append(role)

    assert nameless == {}


def test_a_screen_reader_tells_the_questions_of_the_diary_apart(visit, language: str):
    """Every question is a named group, and no two answers of one question sound the same."""
    page = visit(f"/diary/{LAST_OF_BOX}")
    nodes = {node["nodeId"]: node for node in spoken(page)}
    questions: dict[str, list[str]] = {}
    for node in nodes.values():
        if node["role"]["value"] != "radio":
            continue
        group = nodes[node["parentId"]]
        while group["role"]["value"] not in {"group", "radiogroup"}:
            group = nodes[group["parentId"]]
        questions.setdefault(group["name"]["value"], []).append(node["name"]["value"])

    assert len(questions) >= 4
    assert "" not in questions
    for question, answers in questions.items():
        assert Counter(answers).most_common(1)[0][1] == 1, question
        assert len(answers) >= 2, question


def spoken(page: "Page") -> list[dict[str, Any]]:
    """Return the nodes of a page that a screen reader meets."""
    devtools = page.context.new_cdp_session(page)
    nodes = devtools.send("Accessibility.getFullAXTree")["nodes"]
    devtools.detach()
    return [node for node in nodes if not node["ignored"] or node.get("childIds")]
