"""Put the web application together."""

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Request, Response, g, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFError
from jinja2 import StrictUndefined
from sqlalchemy.engine import make_url
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from trials.domain.blinding import Role
from trials.domain.errors import TrialError
from trials.keys import Vault, open_vault
from trials.logs import configure_logging
from trials.services.language import (
    SOURCE_LANGUAGE,
    language_for_patient,
    language_for_staff,
    template_folder,
)
from trials.settings import Settings, read_settings
from trials.store.database import prepare_sqlite
from trials.web import (
    access,
    account,
    administrator,
    adverse_events,
    alerts,
    analyst,
    calibration,
    clinician,
    deeds,
    entrance,
    feed,
    help_numbers,
    language,
    patient,
    patients,
    pharmacist,
    reports,
    result,
    setup,
)
from trials.web.edge import absolute_url, answer_trial_error, current_reader, error_page
from trials.web.extensions import babel, csrf, db
from trials.web.headers import init_headers
from trials.web.language import back_here, chosen_language, language_choices, language_of_browser
from trials.web.menu import menu_of
from trials.web.security import init_security, security_config

PAGES: tuple[ModuleType, ...] = (
    entrance,
    account,
    administrator,
    help_numbers,
    patient,
    clinician,
    patients,
    setup,
    calibration,
    deeds,
    result,
    alerts,
    adverse_events,
    pharmacist,
    analyst,
    reports,
    feed,
    language,
)
"""The modules with pages: each has a blueprint ``bp`` and may have a ``MENU``."""

LARGEST_UPLOAD_BYTES = 12_500_000
REQUESTS_PER_MINUTE = 600  # of one address, in one process: coarse; log-ins are counted apart

_NO_CONTROLS = dict.fromkeys(code for code in range(32) if chr(code) not in "\t\n\r")

log = structlog.get_logger("trials.web")


class CleanRequest(Request):
    """A request whose form holds no control characters but line ends and tabs.

    Nobody types them, PostgreSQL refuses some of them, and what a person did type is kept.
    """

    @cached_property
    def form(self) -> ImmutableMultiDict[str, str]:
        """The fields that were sent."""
        fields = super().form.items(multi=True)
        return ImmutableMultiDict((name, text.translate(_NO_CONTROLS)) for name, text in fields)


class Lenitive(Flask):
    """Flask, with an error log that names routes and never addresses (they hold tokens)."""

    request_class = CleanRequest

    def log_exception(self, exc_info: Any) -> None:
        """Write down where an unexpected error happened, and how."""
        log.error("unexpected_error", route=_route(), method=request.method, exc_info=exc_info)


def create_app(
    settings: Settings | None = None, config: Mapping[str, object] | None = None
) -> Flask:
    """Return the web application.

    Args:
        settings: of the environment by default.
        config: what a test sets differently in Flask and its extensions.
    """
    settings = settings or read_settings()
    configure_logging(settings.log_level)
    keys = open_vault(settings)
    app = Lenitive(
        "trials.web",
        template_folder=str(template_folder()),
        static_folder="static",
    )
    app.jinja_options = {**app.jinja_options, "undefined": StrictUndefined}
    app.config.update(_flask_config(settings, keys), **security_config(keys))
    app.config.update(config or {})
    app.extensions["lenitive.settings"] = settings
    app.extensions["lenitive.vault"] = keys
    app.before_request(_start_watch)
    app.before_request(access.check)
    _init_extensions(app)
    init_security(app)
    init_headers(app)
    app.context_processor(_frame)
    app.jinja_env.globals["absolute_url"] = absolute_url
    app.after_request(_log_request)
    _register_errors(app)
    _register_pages(app)
    if settings.proxies:
        n = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    return app


def _flask_config(settings: Settings, keys: Vault) -> dict[str, object]:
    secure = settings.cookies_secure
    return {
        "SECRET_KEY": keys.derive("session cookie").hex(),
        "SESSION_COOKIE_NAME": "__Host-lenitive" if secure else "lenitive",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": secure,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        # The form of a page left open over the weekend is still accepted; how long staff stay
        # signed in is decided in trials.web.reader.
        "PERMANENT_SESSION_LIFETIME": timedelta(days=7),
        "WTF_CSRF_TIME_LIMIT": None,
        "TRUSTED_HOSTS": _trusted_hosts(settings),
        "MAX_CONTENT_LENGTH": LARGEST_UPLOAD_BYTES,
        "SEND_FILE_MAX_AGE_DEFAULT": timedelta(hours=1),
        "SQLALCHEMY_ENGINES": {"default": _engine(settings)},
        "RATELIMIT_STORAGE_URI": "memory://",
        "RATELIMIT_DEFAULT": f"{REQUESTS_PER_MINUTE} per minute",
    }


def _engine(settings: Settings) -> dict[str, object]:
    """Return how to open the database, by the rules of ``trials.store.database.open_engine``."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite":
        return {"url": url, "pool_pre_ping": True, "pool_size": 2 * settings.web_threads}
    if url.database and url.database != ":memory:":
        path = Path(url.database).resolve()  # relative to where we are, not to Flask's folder
        path.parent.mkdir(parents=True, exist_ok=True)
        url = url.set(database=str(path))
    return {"url": url}


def _trusted_hosts(settings: Settings) -> list[str] | None:
    """Return the host names that may be asked for: only the public one, where it is known."""
    if settings.public_url is None:
        return None
    host = urlsplit(settings.address).hostname or ""
    return [host, "localhost", "127.0.0.1", "[::1]"]


def _init_extensions(app: Flask) -> None:
    db.init_app(app)
    # There are no asynchronous sessions to close; trying to costs an event loop per request.
    app.teardown_appcontext_funcs = [
        close for close in app.teardown_appcontext_funcs if not iscoroutinefunction(close)
    ]
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            prepare_sqlite(db.engine)
    babel.init_app(app, locale_selector=_locale, timezone_selector=_timezone)
    csrf.init_app(app)
    Limiter(get_remote_address, app=app)


def _register_pages(app: Flask) -> None:
    for page in PAGES:
        app.register_blueprint(page.bp)
    app.extensions["lenitive.menu"] = [item for p in PAGES for item in getattr(p, "MENU", ())]


def _locale() -> str:
    """Return the language of whoever is asking: the patient's, else that of the staff.

    On a page of nobody's yet it is the one that was chosen there, else the browser's.
    """
    reader = current_reader()
    if reader.account is not None and access.acting_role() is not Role.PATIENT:
        account = reader.account
        return language_for_staff(account.locale or account.site.locale)
    if reader.patient is not None:
        patient = reader.patient
        return language_for_patient(patient.locale, patient.site.locale)
    return chosen_language() or language_of_browser()


def _timezone() -> str:
    """Return the zone in which the reader's clock runs."""
    reader = current_reader()
    if reader.account is not None and access.acting_role() is not Role.PATIENT:
        return reader.account.site.timezone
    return reader.patient.timezone if reader.patient is not None else "UTC"


def _frame() -> dict[str, object]:
    """Return what ``base.html`` reads: language, menu, who is signed in, and where to go."""
    reader, locale = current_reader(), get_locale()
    site = (
        reader.account.site if reader.account else reader.patient.site if reader.patient else None
    )
    frame: dict[str, object] = {
        "lang": str(locale or SOURCE_LANGUAGE).replace("_", "-"),
        "languages": language_choices(),
        "language_href": url_for("language.choose"),
        "back_here": back_here(),
        "text_dir": locale.text_direction if locale else "ltr",
        "home_href": url_for("entrance.start") if reader.is_anybody else url_for("entrance.home"),
        "help_href": url_for("entrance.help_page"),
    }
    if site is None:
        return frame
    frame |= {"site_name": site.name, "demo": site.is_demo}
    if access.acting_role() is Role.PATIENT or reader.account is None:
        patient_name = reader.patient.name if reader.patient else ""
        return frame | {
            "nav": menu_of(Role.PATIENT),
            "signed_in_as": patient_name,
            "account_href": url_for("entrance.device"),
        }
    return frame | {
        "nav": menu_of(reader.role),
        "signed_in_as": reader.account.name,
        "account_href": url_for("account.show"),
        "sign_out_href": url_for("security.logout"),
    }


def _register_errors(app: Flask) -> None:
    app.register_error_handler(TrialError, answer_trial_error)
    app.register_error_handler(CSRFError, _answer_csrf)
    app.register_error_handler(HTTPException, _answer_http)


def _answer_csrf(_error: CSRFError) -> ResponseReturnValue:
    return error_page(
        400,
        _(
            "This form was open for too long, or was not opened here. Go back, load the page again"
            " and send it once more."
        ),
    )


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    if isinstance(error, SecurityError):  # a host that is not ours has no pages at all
        return error
    return error_page(error.code)


def _start_watch() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    """Log which route answered how fast; no address, no query, nobody's name."""
    if request.endpoint != "static":
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        log.info(
            "request",
            method=request.method,
            route=_route(),
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
        )
    return response


def _route() -> str:
    return request.url_rule.rule if request.url_rule is not None else "(none)"
