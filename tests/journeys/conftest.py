"""The Chromium of the journeys."""

from tests.plugins.browser import browser, chromium

__all__ = ["browser", "chromium"]
