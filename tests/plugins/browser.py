"""A real Chromium for the tests marked ``browser``."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.browser import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Where Chromium is. Without one the test is skipped, but not in CI."""
    path = find_chromium()
    if path is None:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("There is no Chromium on this machine: `make test` installs one.")
    return path


@pytest.fixture(scope="module")
def browser(chromium: Path) -> "Iterator[Browser]":
    """A Chromium that runs; open a page with ``browser.new_context().new_page()``.

    One per module, not per session: Playwright keeps an event loop running while it is
    open, and other tests of the same worker need one of their own.
    """
    from playwright.sync_api import sync_playwright  # slow to import

    sandbox = os.geteuid() != 0  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            chromium_sandbox=sandbox,
            args=[
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()
