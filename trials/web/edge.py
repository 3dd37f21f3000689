"""Where the outside comes in: transactions, the clock, who is asking, and what an error becomes.

A view is written as

    with transaction() as session:
        trial = get_trial(session, current_actor(), public_id)
        pause_trial(session, current_actor(), trial, ..., now=now())

and everything is kept when the block ends, or nothing is. A view has one transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from http import HTTPStatus
from typing import cast

from flask import current_app, g, has_request_context, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from trials.domain.blinding import Role
from trials.domain.errors import (
    AccountError,
    AllocationError,
    AnalysisError,
    AuditError,
    DiaryClosedError,
    EditConflictError,
    InvitationError,
    NotAllowedError,
    NotFoundError,
    StateError,
    TrialError,
)
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services.actor import Actor
from trials.settings import Settings
from trials.store.account import AccountRow, DeviceRow, PatientRow
from trials.store.database import only_reading
from trials.web.extensions import db
from trials.web.reader import NOBODY, Reader

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

STATUSES: dict[type[TrialError], HTTPStatus] = {
    NotAllowedError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    EditConflictError: HTTPStatus.CONFLICT,
    StateError: HTTPStatus.CONFLICT,
    DiaryClosedError: HTTPStatus.CONFLICT,
    AnalysisError: HTTPStatus.CONFLICT,
    InvitationError: HTTPStatus.GONE,
    AccountError: HTTPStatus.UNPROCESSABLE_ENTITY,
    AllocationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    AuditError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What a browser is told; every other error of a person is a 422."""

PAGES_OF_ERRORS = frozenset({400, 401, 403, 404, 409, 410, 422, 429, 500})


def now() -> datetime:
    """Return the present instant in UTC; nothing else of the web reads the clock."""
    return datetime.now(UTC)


@contextmanager
def transaction() -> Iterator[Session]:
    """Give a session whose work is kept at the end of the block, or undone by an error.

    Pages that are only read (GET) take no write lock; all else waits for its turn at once, so
    that a deed cannot fail half-way because somebody else wrote in between.

    Raises:
        EditConflictError: somebody else changed a row in the meantime.
    """
    if g.get("in_transaction"):
        raise RuntimeError("A view has one transaction: another one inside would wait for it.")
    reading = only_reading() if request.method in READING_METHODS else nullcontext()
    g.in_transaction = True
    try:
        with reading, db.sessionmaker() as session:
            yield session
            session.commit()
    except StaleDataError as problem:
        raise EditConflictError(
            _("Somebody else changed this meanwhile. Look at it again, then repeat your step.")
        ) from problem
    finally:
        g.in_transaction = False


def settings() -> Settings:
    """Return the settings of this application."""
    return cast("Settings", current_app.extensions["lenitive.settings"])


def vault() -> Vault:
    """Return the keys of this installation."""
    return cast("Vault", current_app.extensions["lenitive.vault"])


def absolute_url(endpoint: str, **values: object) -> str:
    """Return an address for e-mails and printed links.

    It is made from the settings and never from the request: whoever sends a request chooses
    the host name in it, and would choose where a password link leads.
    """
    path = current_app.url_map.bind("unused").build(endpoint, values)
    return settings().address + path


def current_reader() -> Reader:
    """Return who is asking, as far as the access check found out."""
    return cast("Reader", g.get("reader", NOBODY)) if has_request_context() else NOBODY


def current_account() -> AccountRow:
    """Return the member of staff who is asking. To be read only: it is not of your session."""
    account = current_reader().account
    if account is None:
        raise RuntimeError("This page is not declared as open to staff.")
    return account


def current_patient() -> PatientRow:
    """Return the patient who is asking. To be read only: it is not of your session."""
    patient = current_reader().patient
    if patient is None:
        raise RuntimeError("This page is not declared as open to patients.")
    return patient


def current_device() -> DeviceRow:
    """Return the patient's device. To be read only: it is not of your session."""
    device = current_reader().device
    if device is None:
        raise RuntimeError("This page is not declared as open to patients.")
    return device


def current_actor() -> Actor:
    """Return who is asking, for a service: the role is the one that opened this page."""
    role = g.get("acting_as")
    if role is Role.PATIENT:
        patient = current_patient()
        return Actor(None, patient.public_id, Role.PATIENT, patient.site_id, patient.timezone)
    if role is None:
        raise RuntimeError("A public page has no actor.")
    account = current_account()
    return Actor(account.id, account.public_id, role, account.site_id, account.site.timezone)


def sentence_of(error: TrialError) -> str:
    """Return the error's sentence in the reader's language."""
    values = {name: _translated(value) for name, value in error.values.items()}
    return str(gettext(error.sentence, **values))


def _translated(value: object) -> object:
    """Return a word of the domain (such as a state) translated, anything else as it is."""
    return gettext(value) if isinstance(value, str) and value else value


def status_of(error: TrialError) -> HTTPStatus:
    """Return the HTTP status for an error."""
    for kind, status in STATUSES.items():
        if isinstance(error, kind):
            return status
    return HTTPStatus.UNPROCESSABLE_ENTITY


def error_page(status: int, message: str = "") -> ResponseReturnValue:
    """Return the page for an error, or the sentence alone for a script that asked for JSON."""
    if request.accept_mimetypes.best == "application/json":
        return {"error": message}, status
    g.is_error_page = True
    known = status if status in PAGES_OF_ERRORS else 500 if status >= 500 else 400
    return render_template(f"errors/{known}.html", message=message), status


def answer_trial_error(error: TrialError) -> ResponseReturnValue:
    """Turn an error of a person into a page that says the sentence."""
    return error_page(status_of(error), sentence_of(error))
