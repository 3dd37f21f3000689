"""The gallery application for the tests of the look."""

import pytest
from flask import Flask

from tests.web.gallery.app import create_gallery


@pytest.fixture(scope="module")
def gallery() -> Flask:
    """The gallery: every macro with sample values."""
    return create_gallery()
