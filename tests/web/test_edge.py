"""What a view is given: one transaction, the time, who is asking, and errors as sentences."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.builders import VAULT, make_actor, make_draft, make_site
from tests.plugins.web import Visitor, close_app, make_app
from trials.domain.blinding import Role
from trials.domain.errors import (
    AccountError,
    DesignError,
    EditConflictError,
    NotAllowedError,
    NotFoundError,
    StateError,
    TrialError,
)
from trials.services.invitations import open_device
from trials.store.account import SiteRow
from trials.store.trial import TrialRow
from trials.web import edge
from trials.web.access import open_to, open_to_patient, public


def site_names(session: Session) -> list[str]:
    return list(session.scalars(select(SiteRow.name)))


def test_what_a_view_did_is_kept_when_its_transaction_ends(app: Flask, session: Session):
    with app.test_request_context(method="POST"), edge.transaction() as own:
        make_site(own, "Kept")

    assert site_names(session) == ["Kept"]


def test_an_error_undoes_all_of_it(app: Flask, session: Session):
    def change_half_way() -> None:
        with edge.transaction() as own:
            make_site(own, "Undone")
            raise StateError("No.")

    with app.test_request_context(method="POST"), pytest.raises(StateError):
        change_half_way()

    assert site_names(session) == []


def test_a_view_has_one_transaction(app: Flask):
    with (
        app.test_request_context(method="POST"),
        edge.transaction(),
        pytest.raises(RuntimeError, match="one transaction"),
        edge.transaction(),
    ):
        pass


def test_a_second_transaction_may_follow_the_first(app: Flask, session: Session):
    with app.test_request_context(method="POST"):
        for name in ("First", "Second"):
            with edge.transaction() as own:
                make_site(own, name)

    assert site_names(session) == ["First", "Second"]


def test_reading_takes_no_lock_from_a_writer(app: Flask, session: Session):
    make_site(session)
    session.flush()  # holds the write lock of SQLite

    with app.test_request_context(), edge.transaction() as own:
        assert site_names(own) == []


def test_who_overwrites_somebody_elses_change_is_told(app: Flask, session: Session, now):
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    trial_id = make_draft(session, clinician, now).id
    session.commit()

    def change_behind_ones_back() -> None:
        with edge.transaction() as own:
            trial = own.get_one(TrialRow, trial_id)
            own.execute(
                update(TrialRow)
                .where(TrialRow.id == trial_id)
                .values(revision=trial.revision + 1)
                .execution_options(synchronize_session=False)
            )
            trial.title = "Mine"

    with app.test_request_context(method="POST"), pytest.raises(EditConflictError):
        change_behind_ones_back()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotAllowedError, 403),
        (NotFoundError, 404),
        (StateError, 409),
        (EditConflictError, 409),
        (AccountError, 422),
        (DesignError, 422),
    ],
)
def test_an_error_of_a_person_becomes_a_page_with_its_sentence(
    app: Flask, visitor: Visitor, error: type[TrialError], status: int
):
    @app.get("/deed")
    @public
    def deed() -> str:
        raise error("The kit %(kit)s is <gone>.", kit="K-7")

    response = visitor.get("/deed")

    assert response.status_code == status
    assert "The kit K-7 is &lt;gone&gt;." in response.text
    assert 'href="/"' in response.text


def test_a_script_gets_the_sentence_alone(app: Flask, visitor: Visitor):
    @app.get("/deed")
    @public
    def deed() -> str:
        raise StateError("Not now.")

    response = visitor.get("/deed", headers={"Accept": "application/json"})

    assert (response.status_code, response.json) == (409, {"error": "Not now."})


def test_an_unexpected_error_tells_nothing(app: Flask, visitor: Visitor, capsys):
    @app.get("/deed/<secret>")
    @public
    def deed(secret: str) -> str:
        raise ValueError(f"naproxen {secret}")

    app.testing = False
    response = visitor.get("/deed/t0k3n")

    written = capsys.readouterr()
    assert response.status_code == 500
    assert "ValueError" in written.err
    for text in (response.text, written.out, written.err):
        assert "naproxen" not in text
        assert "t0k3n" not in text


def test_the_log_names_routes_and_nobody(visitor: Visitor, capsys):
    visitor.get("/i/a-very-secret-token?name=Anna")

    written = capsys.readouterr().err
    assert '"route": "/i/<token>"' in written
    assert "secret" not in written
    assert "Anna" not in written
    assert "127.0.0.1" not in written


def test_the_actor_is_who_opened_the_page(app: Flask, session: Session, visitor: Visitor):
    seen = []

    @app.get("/staff-page")
    @open_to(Role.ANALYST, Role.PHARMACIST)
    def staff_page() -> str:
        seen.append(edge.current_actor())
        return ""

    @app.get("/patient-page")
    @open_to_patient
    def patient_page() -> str:
        seen.append(edge.current_actor())
        seen.append(edge.current_patient().code)
        return ""

    from tests.builders import make_account, make_patient

    site = make_site(session)
    account = make_account(session, site, Role.PHARMACIST)
    clinician = make_actor(session, site, Role.CLINICIAN)
    patient = make_patient(session, clinician, datetime.now(UTC), timezone="Asia/Tokyo")
    visitor.hold_device(session, patient)
    visitor.sign_in(account)

    visitor.get("/staff-page")
    visitor.get("/patient-page")

    staff, own, code = seen
    assert (staff.id, staff.role, staff.timezone) == (
        account.id,
        Role.PHARMACIST,
        "Europe/Berlin",
    )
    assert (own.id, own.public_id, own.role) == (None, patient.public_id, Role.PATIENT)
    assert (own.timezone, code) == ("Asia/Tokyo", patient.code)


def test_links_of_messages_ignore_the_host_a_request_names(app: Flask):
    with app.test_request_context(headers={"Host": "evil.example"}):
        assert edge.absolute_url("entrance.link", token="t") == "http://127.0.0.1:8000/i/t"


def test_only_the_public_host_is_answered(new_app, monkeypatch):
    monkeypatch.setenv("LENITIVE_PUBLIC_URL", "https://trials.clinic.example")
    ask = new_app().test_client().get

    assert ask("/healthz", base_url="https://trials.clinic.example").status_code == 200
    assert ask("/healthz", base_url="https://evil.example").status_code == 400


def test_a_monitor_learns_whether_people_can_be_served(app: Flask, session: Session):
    ask = app.test_client().get
    well = [ask(page).status_code for page in ("/livez", "/readyz", "/healthz")]
    session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    session.commit()
    older = ask("/readyz")

    assert well == [200, 200, 200]
    assert older.status_code == 503
    assert "another schema" in older.get_json()["error"]
    assert ask("/livez").status_code == 200


def test_a_monitor_learns_that_the_database_is_gone(tmp_path):
    """The process is alive all the same: to start it again would not help."""
    app = make_app("postgresql+psycopg://nobody@127.0.0.1:1/none", tmp_path)
    ask = app.test_client().get

    gone = ask("/readyz")

    assert gone.status_code == 503
    assert "does not answer" in gone.get_json()["error"]
    assert ask("/livez").status_code == 200
    close_app(app)


def test_a_form_without_its_token_is_refused_with_a_way_back(visitor: Visitor):
    response = visitor.post("/code", data={"code": "abcd efgh"})

    assert response.status_code == 400
    assert "load the page again" in response.text


def test_a_patients_page_speaks_the_patients_language_and_zone(
    app: Flask, session: Session, visitor: Visitor, now
):
    from tests.builders import make_patient

    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    patient = make_patient(session, clinician, now, timezone="Asia/Tokyo")
    patient.locale = "de"
    visitor.hold_device(session, patient)

    @app.get("/clock")
    @open_to_patient
    def clock() -> str:
        from flask_babel import format_datetime

        return str(format_datetime(now, "short"))

    assert visitor.get("/clock").text == "01.03.26, 21:00"
    assert 'lang="de"' in visitor.get("/device").text


def test_the_visit_of_a_device_is_noted_once_an_hour(
    app: Flask, session: Session, visitor: Visitor, now
):
    from datetime import timedelta

    from tests.builders import make_patient
    from trials.store.account import DeviceRow
    from trials.web.reader import device_cookie

    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    patient = make_patient(session, clinician, now)
    entry = open_device(session, VAULT, patient, secret="s", now=now)
    session.commit()
    with app.app_context():
        visitor.set_cookie(*device_cookie(VAULT, entry))

    visitor.get("/device")

    session.expire_all()
    device = session.scalars(select(DeviceRow)).one()
    assert device.last_seen_at - now > timedelta(hours=1)


def test_control_characters_of_a_form_are_dropped_and_the_rest_is_kept(app: Flask):
    """PostgreSQL refuses a NUL in a text; nobody typed it."""
    with app.test_request_context(
        "/", method="POST", data={"note": "two\nlines\x00 and \x1b[31mred", "pain": ["4", "\x005"]}
    ):
        from flask import request

        assert request.form["note"] == "two\nlines and [31mred"
        assert request.form.getlist("pain") == ["4", "5"]
