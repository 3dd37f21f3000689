"""Make the patient's guide in every language: its pictures, and the pages of docs/guide.

Called by `make pictures`. The pictures are taken from the demonstration, in each language, and
kept with the product, which serves the guide; the pages for the documentation are written from
the page that is served, so that the two say the same.
"""

import base64
import re
from html import unescape
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from trials.services.language import languages, own_name
from trials.web.patient.guide import PICTURE_SIZE

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "trials" / "web" / "static" / "guide"
PAGES = ROOT / "docs" / "guide"
QUALITY = 55  # of 100; text stays legible and a picture below 20 kB
PATIENCE = 30_000  # milliseconds

_STEP = re.compile(
    r'<h2 class="nhsuk-heading-s">(?P<title>.*?)</h2>\s*<p>(?P<text>.*?)</p>'
    r'\s*<img src="/static/(?P<picture>[^"?]*)[^>]* alt="(?P<shown>[^"]*)"',
    re.DOTALL,
)


def make_guide(browser: Browser, address: str, link: str) -> None:
    """Take the pictures of every language and write the pages.

    Args:
        browser: a running Chromium.
        address: of a demonstration whose results are released.
        link: the path of a personal link that was not used.
    """
    for language in languages():
        (PICTURES / language).mkdir(parents=True, exist_ok=True)
        take_of_visitor(_context(browser, address, language), link, language)
        take_of_running(_context(browser, address, language), language)
        take_of_result(_context(browser, address, language), language)
    for language in languages():
        context = _context(browser, address, language)
        page = context.new_page()
        answer = page.goto("/how-it-works")
        text = markdown_of(answer.text() if answer else "", language)
        PAGES.mkdir(parents=True, exist_ok=True)
        (PAGES / f"{language}.md").write_text(text, encoding="utf-8")
        context.close()


def take_of_visitor(context: BrowserContext, link: str, language: str) -> None:
    """Photograph what a visitor sees: the personal link."""
    page = context.new_page()
    page.goto(link)
    _take(page, language, "link")
    context.close()


def take_of_running(context: BrowserContext, language: str) -> None:
    """Photograph what a patient sees while the trial runs, with and without a network."""
    page = _enter(context, "Rosa Running", language)
    page.goto("/clinic")
    _take(page, language, "clinic")
    page.goto("/today")
    _take(page, language, "today")
    link = page.locator("a[href^='/diary/']").first.get_attribute("href") or "/today"
    page.goto(link)
    _take(page, language, "diary")
    page.goto("/today")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function(
        "caches.open('lenitive-pages').then((c) => c.keys()).then((kept) => kept.length >= 4)",
        timeout=PATIENCE,
    )
    page.reload()
    context.set_offline(True)
    page.goto("/today")
    page.locator("[data-shell=today][data-filled]").wait_for(timeout=PATIENCE)
    _take(page, language, "offline")
    context.close()


def take_of_result(context: BrowserContext, language: str) -> None:
    """Photograph the released result, from the answer to the dots."""
    page = _enter(context, "Carla Clear", language)
    page.goto("/result")
    _take(page, language, "result", top=".lt-verdict")
    context.close()


def markdown_of(html: str, language: str) -> str:
    """Return the served page as a page of the documentation."""
    title = _words(re.findall(r"<h1[^>]*>(.*?)</h1>", html, re.DOTALL)[0])
    opening = _words(re.findall(r'<p class="nhsuk-body-l">(.*?)</p>', html, re.DOTALL)[0])
    others = (f"[{own_name(code)}]({code}.md)" for code in languages() if code != language)
    parts = [f"# {title}", opening]
    for number, step in enumerate(_STEP.finditer(html), start=1):
        picture = f"../../trials/web/static/{step['picture']}"
        parts += [
            f"## {number}. {_words(step['title'])}",
            _words(step["text"]),
            f"![{_words(step['shown'])}]({picture})",
        ]
    return "\n\n".join([*parts, " · ".join(others)]) + "\n"


def _words(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


def _context(browser: Browser, address: str, language: str) -> BrowserContext:
    width, height = PICTURE_SIZE
    return browser.new_context(
        viewport={"width": width, "height": height}, base_url=address, locale=language
    )


def _enter(context: BrowserContext, name: str, language: str) -> Page:
    """Enter the demonstration as a patient, and choose the language as a patient does."""
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name=re.compile(name)).first.click()
    page.wait_for_url("**/today")
    choice = page.locator(f".lt-languages button[value={language}]")
    if choice.count():
        choice.click()
        page.wait_for_load_state()
    return page


def _take(page: Page, language: str, name: str, *, top: str = "main") -> None:
    """Keep a small picture of the page from some part on (WebP, which Playwright cannot)."""
    page.evaluate("(part) => document.querySelector(part).scrollIntoView()", top)
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (PICTURES / language / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))
