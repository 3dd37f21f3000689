"""The patient's pages in every language, and from the right, in a real Chromium.

German compounds, French spaces and right-to-left text must not break the layout: nothing scrolls
sideways, nothing is cut off, at any width from 320 pixels on.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
from sqlalchemy import update

from tests.browser.test_diary import (
    DESK,
    LAST_OF_BOX,
    NARROWEST,
    PAGES,
    PHONE,
    Site,
    complaints,
    site,
    visit,
)
from tests.plugins.pseudo import PSEUDO, with_pseudo_language
from trials.services import language
from trials.store.account import PatientRow
from trials.store.database import session_maker

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["complaints", "site", "visit"]

pytestmark = pytest.mark.browser

MORE_PAGES = (
    *PAGES,
    ("blinded", "/reminders"),
    ("blinded", "/device"),
    ("blinded", "/how-it-works"),
    ("blinded", "/offline/today"),
    ("blinded", "/offline/away"),
    ("blinded", "/no-such-page"),
    ("blinded", "/code"),
    ("blinded", "/help"),
)
CUT_OFF = """() => [...document.querySelectorAll("main *, header *, footer *")].filter((part) => {
  const box = part.getBoundingClientRect();
  const style = getComputedStyle(part);
  if (box.width < 2 || box.height < 2 || style.display === "inline") return false;
  const folded = "details:not([open]) > :not(summary)";
  if (part.closest(`.nhsuk-u-visually-hidden, svg, ${folded}`)) return false;
  for (let around = part; around; around = around.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(around).overflowX)) return false;
  }
  return box.left < -1 || box.right > innerWidth + 1
    || part.scrollWidth > part.clientWidth + 2 && style.overflowX === "hidden";
}).map((part) => `${part.tagName} ${part.className}: ${part.textContent.trim().slice(0, 40)}`)"""
"""What leaves the window, or is cut off; what can be scrolled or is folded up does not count."""


@pytest.fixture(autouse=True)
def with_pseudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pseudo language be one of ours."""
    monkeypatch.setattr(language, "CATALOGUES", with_pseudo_language(tmp_path))


def speak(site: Site, code: str) -> None:
    """Let every patient read this language."""
    with session_maker(site.engine).begin() as session:
        session.execute(update(PatientRow).values(locale=code))


def too_wide(page: "Page", width: int) -> list[str]:
    """Return what leaves the window or is cut off."""
    found: list[str] = page.evaluate(CUT_OFF)
    across = page.evaluate("document.documentElement.scrollWidth")
    return [*([f"the page is {across} px wide"] if across > width else []), *found]


def wide_pages(visit, width: int) -> dict[tuple[str, str], list[str]]:
    """Return what is wrong on each page, opened one after the other by each patient."""
    browsers: dict[str, Page] = {}
    wide = {}
    for who, path in MORE_PAGES:
        if who not in browsers:
            browsers[who] = visit("/today", who=who, width=width, service_workers="block")
        page = browsers[who]
        page.goto(urljoin(page.url, path), wait_until="load")
        if found := too_wide(page, width):
            wide[who, path] = found
    return wide


@pytest.mark.parametrize(
    ("code", "width"),
    [
        ("de", NARROWEST),
        ("es", NARROWEST),
        ("fr", NARROWEST),
        (PSEUDO, NARROWEST),
        ("de", PHONE),
        (PSEUDO, PHONE),
    ],
)
def test_nothing_scrolls_sideways_or_is_cut_off_in_any_language(
    visit, site: Site, code: str, width: int
):
    speak(site, code)

    assert wide_pages(visit, width) == {}


@pytest.mark.parametrize("code", ["de", "fr", "es"])
def test_side_effects_with_long_names_keep_their_answers_on_the_page(visit, site: Site, code: str):
    speak(site, code)
    page = visit(f"/diary/{LAST_OF_BOX}", width=NARROWEST)
    page.locator("#any_side_effects-2").tap()
    page.locator("#rescue_doses-6").tap()

    assert too_wide(page, NARROWEST) == []
    for target in page.locator(".lt-scale__label:visible").all():
        size = target.evaluate("(one) => [one.scrollWidth - one.clientWidth, one.offsetHeight]")
        assert size[0] <= 0, target.inner_text()
        assert size[1] >= 44


def test_from_the_right_the_page_is_mirrored_and_still_fits_a_desk(visit, site: Site):
    speak(site, PSEUDO)
    assert wide_pages(visit, DESK) == {}

    page = visit("/today", width=DESK)
    mark = page.locator(".lt-header__home").bounding_box()
    assert mark is not None
    assert mark["x"] > DESK / 2, "the mark stands where reading begins"


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_scale_begins_where_reading_begins_and_its_digits_stay_digits(
    visit, site: Site, width: int
):
    """0 is on the right: people who read from the right expect a scale to grow to the left.

    Validated Arabic versions of the 0-10 scale are printed either way; what matters is that "no
    pain" stands beside 0 and that arrow keys follow the eye, which radio buttons do by themselves.
    """
    speak(site, PSEUDO)
    page = visit(f"/diary/{LAST_OF_BOX}", width=width)
    boxes = [page.locator(f"label[for=pain{n}]").bounding_box() for n in ("", "-1", "-5")]
    assert all(boxes)
    zero, one, five = (box["x"] for box in boxes if box)

    assert zero > one > five
    assert page.locator("label[for=pain-10]").inner_text().strip().startswith("10")
    low = page.locator(".lt-scale__anchor--low").first.bounding_box()
    high = page.locator(".lt-scale__anchor--high").first.bounding_box()
    assert low is not None
    assert high is not None
    assert low["x"] + low["width"] > high["x"] + high["width"] or width == PHONE


def test_a_patient_changes_the_language_by_one_tap_and_answers_in_it(visit, site: Site):
    page = visit("/today")
    page.get_by_role("button", name="Deutsch").tap()
    page.get_by_role("link", name="Heutiges Tagebuch ausfüllen").tap()
    for answer in ("#pain-6", "#any_side_effects", "#intake"):
        page.locator(answer).tap()
    page.get_by_role("button", name="Eintrag senden").tap()

    page.get_by_text("Ihr Eintrag vom Samstag, 7. März ist gespeichert.").wait_for()
    assert site.pain_of("blinded", LAST_OF_BOX) == 6


def test_what_the_scripts_say_is_in_the_patients_language(visit, site: Site):
    speak(site, "fr")
    page = visit(f"/diary/{LAST_OF_BOX}")
    page.get_by_role("button", name="Envoyer mes réponses").tap()

    page.get_by_text("Presque fini").wait_for()
    assert page.title().startswith("Erreur")
    assert "Choisissez un nombre de 0 à 10." in page.inner_text("main")
