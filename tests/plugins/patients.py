"""Ways for tests to be a patient: the application on a test's database, and a device's cookie."""

from datetime import datetime
from pathlib import Path
from uuid import uuid4

from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import VAULT
from trials.services.invitations import open_device
from trials.settings import Settings
from trials.store.account import PatientRow
from trials.web.app import create_app
from trials.web.reader import device_cookie_name, remember_device

MASTER_KEY = "00" * 32
"""The key of ``tests.builders.VAULT``."""


def make_app(database_url: str, folder: Path, *, csrf: bool = False) -> Flask:
    """Return the web application on this database."""
    settings = Settings(
        data_dir=folder, database_url=database_url, master_key=MASTER_KEY, secure_cookies=False
    )
    return create_app(settings, {"TESTING": True, "WTF_CSRF_ENABLED": csrf})


def device_cookie(
    app: Flask, sessions: sessionmaker[Session], patient: PatientRow, now: datetime
) -> tuple[str, str]:
    """Return name and value of the cookie of a new device of this patient."""
    with sessions.begin() as session:
        entry = open_device(session, VAULT, patient, secret=uuid4().hex, now=now)
    with app.test_request_context():
        response = app.make_response("")
        remember_device(response, VAULT, entry)
        name = device_cookie_name()
    _name, _is, value = response.headers["Set-Cookie"].partition(";")[0].partition("=")
    return name, value
