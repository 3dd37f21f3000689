"""Everybody's pages of a demonstration, opened one after the other by the links on them."""

import re
import time
from collections import deque
from urllib.parse import urljoin, urlsplit

import requests

_DOOR = re.compile(
    r'<form[^>]+action="(/demo/[^"]+)".*?name="csrf_token" value="([^"]+)"', re.DOTALL
)
_LINK = re.compile(r'href="([^"#]+)')
_LEFT_OUT = re.compile(r"^/(static|sign-out|language)\b")
_NUMBERS = re.compile(r"/(\d+|\d{4}-\d\d-\d\d|[0-9a-z]{8,})(?=/|\?|$)")


def open_everything(address: str, *, most: int = 60) -> int:
    """Go through every door of the front page and open what is linked behind it.

    Args:
        address: of the running web server.
        most: pages for each person.

    Returns:
        Number of pages opened.

    Raises:
        SystemExit: if a page fails, or nobody could go in.
    """
    front = _front_page(address)
    opened = 0
    for door, _token in _DOOR.findall(front):
        with requests.Session() as browser:
            token = dict(_DOOR.findall(browser.get(address, timeout=60).text))[door]
            first = browser.post(
                urljoin(address, door),
                data={"csrf_token": token},
                timeout=60,
                headers={"Referer": address},
            )
            opened += _walk(browser, first, most)
    if not opened:
        raise SystemExit("The front page of the demonstration has no door.")
    return opened


def _front_page(address: str) -> str:
    for _ in range(600):
        try:
            return requests.get(address, timeout=30).text
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit("The web server does not answer.")


def _walk(browser: requests.Session, first: requests.Response, most: int) -> int:
    """Open pages, new kinds before further ones of a kind that has been seen."""
    todo, later = deque([first.url]), deque[str]()
    seen, kinds, opened = {first.url}, set[str](), 0
    while (todo or later) and opened < most:
        page = browser.get((todo or later).popleft(), timeout=120)
        opened += 1
        if page.status_code >= 500:
            raise SystemExit(f"{page.url} says {page.status_code}.")
        for link in _LINK.findall(page.text):
            target = urljoin(page.url, link.replace("&amp;", "&"))
            parts = urlsplit(target)
            foreign = parts.netloc != urlsplit(first.url).netloc
            if foreign or target in seen or _LEFT_OUT.match(parts.path):
                continue
            seen.add(target)
            kind = _NUMBERS.sub("/*", parts.path)
            (later if kind in kinds else todo).append(target)
            kinds.add(kind)
    return opened
