"""The web application on a database of the test, and browsers that are signed in to it."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from tests.builders import VAULT
from trials.services.invitations import open_device
from trials.settings import Settings
from trials.store.account import AccountRow, PatientRow
from trials.web.app import create_app
from trials.web.edge import now
from trials.web.extensions import db
from trials.web.reader import SIGNED_IN_AT, device_cookie

MASTER_KEY = "00" * 32  # that of tests.builders.VAULT

CHEAP_HASHES = {"argon2__rounds": 1, "argon2__memory_cost": 8, "argon2__parallelism": 1}

FOR_TESTS = {
    "TESTING": True,
    "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": CHEAP_HASHES,
    "RATELIMIT_ENABLED": False,
}

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor(FlaskClient):
    """A browser: it keeps cookies, and sends forms with the token of the page they stand on."""

    def sign_in(self, account: AccountRow, *, minutes_ago: float = 0, demo: bool = False) -> None:
        """Be signed in as a member of staff, without the form."""
        at = time.time() - 60 * minutes_ago
        with self.session_transaction() as session:
            session["_user_id"] = account.fs_uniquifier
            session["_fresh"] = True
            session["fs_paa"] = session[SIGNED_IN_AT] = at
            if demo:
                session["demo"] = True

    def hold_device(self, session: Session, patient: PatientRow) -> str:
        """Be a device of this patient; return its public id. Commits."""
        secret = secrets.token_hex(8)
        entry = open_device(session, VAULT, patient, secret=secret, now=now())
        session.commit()
        with self.application.app_context():
            name, value = device_cookie(VAULT, entry)
        self.set_cookie(name, value)
        return entry.device_id

    def submit(self, path: str, page: str | None = None, /, **fields: Any) -> TestResponse:
        """Open the page and send its form to ``path``."""
        return self.post(path, data={"csrf_token": self.token(page or path), **fields})

    def token(self, page: str) -> str:
        """Return the token that guards the forms of a page."""
        response = self.get(page)
        found = _TOKEN.search(response.text)
        assert found, f"{page} ({response.status_code}) has no form"
        return found[1]


def make_app(database_url: str, data_dir: Path, **config: Any) -> Flask:
    """Return the application on this database."""
    settings = Settings(data_dir=data_dir, database_url=database_url, master_key=MASTER_KEY)
    app = create_app(settings, {**FOR_TESTS, **config})
    app.test_client_class = Visitor
    return app


def close_app(app: Flask) -> None:
    """Let go of the database."""
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def new_app(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Make one more application on the database of this test; it is closed at the end."""
    apps = []

    def make(**config: Any) -> Flask:
        apps.append(make_app(database_url, tmp_path, **config))
        return apps[-1]

    yield make
    for app in apps:
        close_app(app)


@pytest.fixture
def app(new_app: Callable[..., Flask]) -> Flask:
    """The application on the fresh database of this test, SQLite and PostgreSQL."""
    return new_app()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """A browser that nobody used before."""
    return app.test_client()  # type: ignore[return-value]
