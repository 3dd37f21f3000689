"""The gallery for the tests of the look, and the application for the tests of the pages."""

import pytest
from flask import Flask

from tests.plugins.web import app, new_app, visitor
from tests.web.gallery.app import create_gallery

__all__ = ["app", "gallery", "new_app", "visitor"]


@pytest.fixture(scope="module")
def gallery() -> Flask:
    """The gallery: every macro with sample values."""
    return create_gallery()
