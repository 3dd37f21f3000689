"""Every route says who may enter, and exactly those get in.

A route with a new name in angle brackets needs a line in ``SAMPLES``: without a real value the
test would knock at a door that does not exist.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.builders import (
    VAULT,
    evening,
    make_account,
    make_alert,
    make_completed,
    make_event,
    make_fit,
    make_patient,
    make_site,
    patient_actor,
)
from tests.builders import actor_for as acting
from tests.plugins.web import Visitor, close_app, make_app
from tests.services.test_photos import a_photo
from trials.domain.blinding import Role
from trials.services.analysis import release_result
from trials.services.diary import own_entries
from trials.services.invitations import invite
from trials.services.photos import keep_photo
from trials.services.problems import ProblemKind, report_problem
from trials.store.account import AccountRow, PatientRow
from trials.store.database import open_engine, session_maker
from trials.store.outbox import MessageRow
from trials.store.photo import photos_of_trial
from trials.web.access import STAFF, Access, declared_access, public

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clinic:
    """The people and things of one site, by their public ids."""

    staff: dict[Role, str]
    colleague: str
    patient: str
    device_of: int
    trial: str
    day: str
    fit: str
    token: str
    message: str
    message_row: str
    alert: str
    event: str
    photo: str
    problem: str


@dataclass(frozen=True, slots=True)
class World:
    """Two clinics that know nothing of each other, in a file to copy.

    Each has a trial whose result is released: there, nothing is hidden by the blinding, so who
    is refused is refused by the door.
    """

    path: Path
    home: Clinic
    away: Clinic


SAMPLES: dict[str, Callable[[Clinic], str]] = {
    "account": lambda clinic: clinic.colleague,
    "alert": lambda clinic: clinic.alert,
    "day": lambda clinic: clinic.day,
    "deed": lambda _clinic: "pause",
    "event": lambda clinic: clinic.event,
    "filename": lambda _clinic: "lenitive.css",
    "fit": lambda clinic: clinic.fit,
    "kind": lambda _clinic: "result",
    "message": lambda clinic: clinic.message,
    "patient": lambda clinic: clinic.patient,
    "secret": lambda clinic: f"{clinic.patient}-0",
    "period": lambda _clinic: "1",
    "photo": lambda clinic: clinic.photo,
    "problem": lambda clinic: clinic.problem,
    "queue": lambda _clinic: "messages",
    "row": lambda clinic: clinic.message_row,
    "token": lambda clinic: clinic.token,
    "trial": lambda clinic: clinic.trial,
    "version": lambda _clinic: "1",
}
"""A real value of the home clinic for every name that addresses hold."""

OF_ONE_SITE = {
    "account",
    "alert",
    "device",
    "event",
    "fit",
    "patient",
    "photo",
    "problem",
    "trial",
}
"""Names whose things nobody of another site may learn of."""


def make_message(session: Session, occasion: str) -> MessageRow:
    message = MessageRow(
        occasion=occasion,
        trial_id=None,
        recipient="pat@example.org",
        subject="Hello",
        body="Text",
        due_at=NOW,
    )
    session.add(message)
    session.flush()
    return message


def make_clinic(session: Session, name: str) -> Clinic:
    site = make_site(session, name)
    staff = {role: make_account(session, site, role) for role in STAFF}
    clinician = acting(staff[Role.CLINICIAN], Role.CLINICIAN)
    analyst = acting(staff[Role.ANALYST], Role.ANALYST)
    trial = make_completed(session, clinician, NOW)
    patient, at = patient_actor(trial.patient), evening(NOW.date(), 21)
    key = own_entries(session, trial)[NOW.date()].idempotency_key
    keep_photo(session, VAULT, patient, trial, key=key, content=a_photo(), now=at)
    problem = report_problem(
        session, patient, trial, kind=ProblemKind.BOX, words="Torn", address="https://x", now=at
    )
    later = evening(NOW.date() + timedelta(days=60))
    fit = make_fit(session, analyst, trial, later)
    release_result(
        session,
        VAULT,
        analyst,
        trial,
        revision=trial.revision,
        fit=fit.public_id,
        comment="Both engines agree.",
        now=later,
    )
    alert = make_alert(session, trial, later)
    event = make_event(session, clinician, trial, later)
    message = make_message(session, name)
    return Clinic(
        staff={role: account.public_id for role, account in staff.items()},
        colleague=make_account(session, site, Role.PHARMACIST, name="colleague").public_id,
        patient=trial.patient.public_id,
        device_of=trial.patient_id,
        trial=trial.public_id,
        day=str(trial.start_day),
        fit=fit.public_id,
        token=invite(session, VAULT, clinician, trial.patient, now=NOW).token,
        message=message.public_id,
        message_row=str(message.id),
        alert=alert.public_id,
        event=event.public_id,
        photo=photos_of_trial(session, trial.id)[0][1].public_id,
        problem=problem.public_id,
    )


@pytest.fixture(scope="module")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    path = tmp_path_factory.mktemp("world") / "world.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    with session_maker(engine).begin() as session:
        home, away = make_clinic(session, "Home"), make_clinic(session, "Away")
    engine.dispose()
    return World(path, home, away)


@pytest.fixture
def app(world: World, tmp_path: Path) -> Iterator[Flask]:
    path = tmp_path / "lenitive.sqlite"
    path.write_bytes(world.path.read_bytes())
    app = make_app(f"sqlite:///{path}", tmp_path, WTF_CSRF_ENABLED=False)
    yield app
    close_app(app)


@pytest.fixture
def database(app: Flask) -> Iterator[Session]:
    engine = open_engine(app.extensions["lenitive.settings"].database)
    with session_maker(engine)() as session:
        yield session
    engine.dispose()


ONLY_ROUTES = make_app("sqlite:///:memory:", Path(tempfile.gettempdir()))
ROUTES = [
    (rule, method)
    for rule in sorted(ONLY_ROUTES.url_map.iter_rules(), key=lambda r: (r.rule, r.endpoint))
    for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
]
BY_NAME = [pytest.param(rule, method, id=f"{method} {rule.rule}") for rule, method in ROUTES]


def address(app: Flask, rule: Rule, clinic: Clinic) -> str:
    """Return the address with real values of this clinic."""
    values = {name: SAMPLES[name](clinic) for name in rule.arguments}
    for name in rule.arguments:
        if type(rule._converters[name]).__name__ == "IntegerConverter":
            values[name] = int(values[name])
    return app.url_map.bind("localhost").build(rule.endpoint, values)


def visiting_staff(app: Flask, database: Session, public_id: str) -> Visitor:
    visitor: Visitor = app.test_client()
    query = select(AccountRow).where(AccountRow.public_id == public_id)
    visitor.sign_in(database.scalars(query).one())
    database.commit()  # on SQLite, whoever reads holds the lock
    return visitor


def visiting_patient(app: Flask, database: Session, public_id: str) -> Visitor:
    visitor: Visitor = app.test_client()
    query = select(PatientRow).where(PatientRow.public_id == public_id)
    visitor.hold_device(database, database.scalars(query).one())
    return visitor


def outcome(response: TestResponse) -> str:
    """Return in one word what the door said."""
    target = response.headers.get("Location", "")
    if response.status_code == 403:
        return "refused"
    if response.status_code == 401 or target.startswith(("/login?next=", "/code")):
        return "strangers' door"
    return "unknown" if response.status_code == 404 else "let in"


def expected(access: Access, role: Role | None) -> str:
    """Return what the declaration promises to somebody of this role."""
    if access.is_public or role in access.roles:
        return "let in"
    return "strangers' door" if role is None else "refused"


def is_of_one_site(rule: Rule) -> bool:
    return bool(OF_ONE_SITE & rule.arguments)


@pytest.mark.parametrize(("rule", "method"), BY_NAME)
def test_every_name_in_an_address_has_a_sample(rule: Rule, method: str):
    missing = rule.arguments - SAMPLES.keys()

    assert not missing, (
        f"{method} {rule.rule} holds {', '.join(sorted(missing))}: add a line to SAMPLES in "
        "tests/web/test_access.py that gives a real value, and to OF_ONE_SITE if it names "
        "something of one clinic."
    )


@pytest.mark.parametrize(("rule", "method"), BY_NAME)
def test_every_route_declares_who_may_enter(rule: Rule, method: str):
    assert declared_access(ONLY_ROUTES, rule.endpoint) is not None, (
        f"{method} {rule.rule} does not say who may enter: put @open_to(...), @open_to_patient or "
        f"@public (trials.web.access) on the view {rule.endpoint}."
    )


@pytest.mark.parametrize(("rule", "method"), BY_NAME)
def test_exactly_those_get_in_who_are_declared(
    app: Flask, database: Session, world: World, rule: Rule, method: str
):
    access = declared_access(app, rule.endpoint)
    assert access is not None
    path = address(app, rule, world.home)
    visitors: dict[str, tuple[Visitor, Role | None]] = {
        # The patient first: a clinician behind them may shut the device out.
        "patient": (visiting_patient(app, database, world.home.patient), Role.PATIENT),
        "nobody": (app.test_client(), None),
        **{
            role.value: (visiting_staff(app, database, public_id), role)
            for role, public_id in world.home.staff.items()
        },
    }
    for name, (visitor, role) in visitors.items():
        response = visitor.open(path, method=method)
        response.close()

        found = outcome(response)
        if access.is_public and found == "unknown":
            found = "let in"  # a demonstration's door in a real clinic: tested by its own tests
        assert (name, found) == (name, expected(access, role))
        assert response.status_code < 500


@pytest.mark.parametrize(
    ("rule", "method"),
    [
        pytest.param(rule, method, id=f"{method} {rule.rule}")
        for rule, method in ROUTES
        if is_of_one_site(rule)
    ],
)
def test_things_of_one_site_do_not_exist_for_another(
    app: Flask, database: Session, world: World, rule: Rule, method: str
):
    access = declared_access(app, rule.endpoint)
    assert access is not None
    path = address(app, rule, world.home)
    for role in access.roles:
        stranger = (
            visiting_patient(app, database, world.away.patient)
            if role is Role.PATIENT
            else visiting_staff(app, database, world.away.staff[role])
        )

        assert stranger.open(path, method=method).status_code == 404


def test_another_patient_of_the_same_clinic_sees_nothing(
    app: Flask, database: Session, world: World
):
    query = select(AccountRow).where(AccountRow.public_id == world.home.staff[Role.CLINICIAN])
    clinician = acting(database.scalars(query).one(), Role.CLINICIAN)
    neighbor = make_patient(database, clinician, NOW)
    visitor = visiting_patient(app, database, neighbor.public_id)
    for rule, method in ROUTES:
        access = declared_access(app, rule.endpoint)
        if access is not None and Role.PATIENT in access.roles and is_of_one_site(rule):
            assert visitor.open(address(app, rule, world.home), method=method).status_code == 404


def test_a_route_that_forgot_to_declare_fails_in_tests_and_is_shut_at_work(app: Flask):
    def forgotten() -> ResponseReturnValue:
        return "secret"

    app.add_url_rule("/forgotten", view_func=forgotten)

    with pytest.raises(RuntimeError, match="does not declare"):
        app.test_client().get("/forgotten")
    app.testing = False
    response = app.test_client().get("/forgotten")
    assert response.status_code == 403
    assert "secret" not in response.text


def test_a_declaration_works_on_either_side_of_the_route():
    @public
    def view() -> str:
        return ""

    app = Flask("small")
    app.add_url_rule("/x", view_func=view)

    assert declared_access(app, "view") == Access(())


def test_an_account_without_a_role_gets_in_nowhere(app: Flask, database: Session, world: World):
    query = select(AccountRow).where(AccountRow.public_id == world.home.colleague)
    account = database.scalars(query).one()
    account.roles = []
    database.commit()

    assert visiting_staff(app, database, world.home.colleague).get("/account").status_code == 403


def test_long_after_signing_in_a_dangerous_page_asks_again(
    app: Flask, database: Session, world: World
):
    query = select(AccountRow).where(AccountRow.public_id == world.home.staff[Role.ADMINISTRATOR])
    visitor: Visitor = app.test_client()
    visitor.sign_in(database.scalars(query).one(), minutes_ago=20)

    assert visitor.get("/admin/people").status_code == 200
    response = visitor.get(f"/admin/people/{world.home.colleague}")
    assert response.headers["Location"].startswith("/verify?next=/admin/people/")
