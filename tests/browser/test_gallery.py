"""The look in a real Chromium: reachable, legible and large enough, at every width."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.serving import serving
from tests.web.gallery.app import PAGES, create_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
PHONE, DESK, NARROWEST = 390, 1280, 320


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a running gallery."""
    with serving(create_gallery()) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said on the pages of this test."""
    return []


@pytest.fixture
def visit(browser: "Browser", address: str, complaints: list[str]) -> Iterator:
    """Open a page of the gallery at a width; its console messages land in ``complaints``."""
    contexts = []

    def opened(path: str, width: int, **options: object) -> "Page":
        context = browser.new_context(viewport={"width": width, "height": 844}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address + path, wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (DESK, "light"), (DESK, "dark")])
def test_axe_finds_nothing_and_the_policy_is_kept(
    visit, complaints: list[str], name: str, width: int, scheme: str
):
    page = visit(f"/{name}", width, color_scheme=scheme, bypass_csp=False)
    violations = Axe().run(page).response["violations"]

    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in violations] == []
    assert complaints == []


@pytest.mark.parametrize(
    "path", [*(f"/{name}" for name in PAGES), "/diary?errors=1", "/diary?lang=ar"]
)
@pytest.mark.parametrize("width", [NARROWEST, PHONE])
def test_nothing_scrolls_sideways(visit, path: str, width: int):
    page = visit(path, width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", ["/diary", "/diary?errors=1", "/diary?lang=ar"])
def test_every_answer_of_the_diary_is_a_large_target_on_the_narrowest_phone(visit, path: str):
    page = visit(path, NARROWEST)
    boxes = [item.bounding_box() for item in page.locator(".lt-scale__input").all()]

    assert len(boxes) == 2 * 11 + 4 * 4
    assert min(box["width"] for box in boxes) >= 44
    assert min(box["height"] for box in boxes) >= 44


def test_large_text_makes_the_diary_longer_not_wider(visit):
    """Text at 200 %, as a browser's own setting does it: everything still fits."""
    page = visit("/diary", PHONE)
    page.evaluate("document.documentElement.style.fontSize = '200%'")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_the_scale_is_answered_by_keyboard_and_choosing_does_not_send(visit):
    page = visit("/diary", PHONE)
    page.locator("#pain").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")

    assert page.locator("input[name=pain]:checked").input_value() == "4"
    assert page.url.endswith("/diary")


def test_the_scale_is_answered_by_touch_without_script(visit):
    page = visit("/diary", PHONE, java_script_enabled=False, has_touch=True)
    page.locator("#pain-7").tap()

    assert page.locator("#pain-7").is_checked()


def test_the_focus_on_the_scale_can_be_seen(visit):
    page = visit("/diary", PHONE)
    page.locator("#pain").focus()
    page.keyboard.press("ArrowRight")
    outline = page.locator("#pain-1 + label").evaluate("e => getComputedStyle(e).outlineWidth")

    assert outline == "4px"


def test_an_error_link_leads_to_its_field(visit):
    page = visit("/diary?errors=1", PHONE)
    page.get_by_role("link", name="Please choose a number from 0 to 10.").click()

    assert page.evaluate("document.activeElement.id") == "pain"


def test_a_form_is_sent_once_however_often_it_is_tapped(visit):
    page = visit("/diary", PHONE)
    page.evaluate(
        """() => {
            const form = document.querySelector("main form");
            form.addEventListener("submit", (event) => {
                if (!event.defaultPrevented) { document.body.dataset.sent =
                    Number(document.body.dataset.sent || 0) + 1; }
                event.preventDefault();
            });
            for (let i = 0; i < 3; i += 1) form.requestSubmit();
        }"""
    )

    assert page.evaluate("document.body.dataset.sent") == "1"


def test_a_choice_reveals_its_question(visit):
    page = visit("/setup", PHONE)
    question = page.get_by_label("Why unrestricted?")
    assert not question.is_visible()

    page.get_by_label("Unrestricted", exact=True).check()
    assert question.is_visible()


def test_without_script_every_question_is_there(visit):
    page = visit("/setup", PHONE, java_script_enabled=False)

    assert page.get_by_label("Why unrestricted?").is_visible()


def test_charts_are_drawn_for_the_room_they_have(visit):
    phone, desk = visit("/trial", PHONE), visit("/trial", DESK)

    assert phone.locator(".lt-chart--narrow").first.is_visible()
    assert not phone.locator(".lt-chart--wide").first.is_visible()
    assert desk.locator(".lt-chart--wide").first.is_visible()
    assert not desk.locator(".lt-chart--narrow").first.is_visible()


def test_the_table_twin_opens_without_script(visit):
    page = visit("/trial", PHONE, java_script_enabled=False)
    page.get_by_text("Show as a table").first.click()

    assert page.get_by_role("row", name="Period 1").first.is_visible()


def test_forced_colors_keep_the_chosen_answer_visible(visit):
    page = visit("/diary", PHONE, forced_colors="active")
    style = "e => getComputedStyle(e).backgroundColor"
    chosen = page.locator("#sleep-3 + label").evaluate(style)
    other = page.locator("#sleep-4 + label").evaluate(style)

    assert chosen != other
