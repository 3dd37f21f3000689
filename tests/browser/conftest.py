"""The Chromium of the tests in this folder."""

from tests.plugins.browser import browser, chromium

__all__ = ["browser", "chromium"]
