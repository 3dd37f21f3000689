"""The ways in, and what does not get in."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.builders import VAULT, actor_for, make_account, make_patient, make_running, make_site
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.services.invitations import Invitation, invite, revoke_all, revoke_device
from trials.store.account import DeviceRow, PatientRow

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START = "/start"


@pytest.fixture(autouse=True)
def _at_noon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def clinician(session: Session):
    site = make_site(session)
    return actor_for(make_account(session, site, Role.CLINICIAN), Role.CLINICIAN)


@pytest.fixture
def patient(session: Session, clinician) -> PatientRow:
    return make_patient(session, clinician, NOW)


@pytest.fixture
def invitation(session: Session, clinician, patient) -> Invitation:
    made = invite(session, VAULT, clinician, patient, now=NOW)
    session.commit()
    return made


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/device").status_code == 200


def enter(visitor: Visitor, token: str):
    return visitor.submit(f"/i/{token}")


def test_opening_the_link_shows_a_button_and_uses_nothing_up(
    app: Flask, visitor: Visitor, invitation: Invitation
):
    scanner = app.test_client()
    for _visit in range(3):
        assert "Continue" in scanner.get(f"/i/{invitation.token}").text

    assert not is_in(scanner)
    assert enter(visitor, invitation.token).status_code == 303
    assert is_in(visitor)


def test_the_page_of_the_link_names_nobody(visitor: Visitor, invitation, patient: PatientRow):
    page = visitor.get(f"/i/{invitation.token}").text

    assert patient.name not in page
    assert patient.code not in page


def test_a_second_device_gets_nothing(app: Flask, visitor: Visitor, invitation: Invitation):
    thief = app.test_client()
    thief.get(f"/i/{invitation.token}")
    token = thief.token(f"/i/{invitation.token}")
    enter(visitor, invitation.token)

    response = thief.post(f"/i/{invitation.token}", data={"csrf_token": token})

    assert response.status_code == 410
    assert "used already" in response.text
    assert not is_in(thief)
    assert is_in(visitor)


def test_a_double_tap_lets_the_same_browser_in_once_more(
    visitor: Visitor, session: Session, invitation: Invitation
):
    token = visitor.token(f"/i/{invitation.token}")
    for _tap in range(2):
        tapped = visitor.post(f"/i/{invitation.token}", data={"csrf_token": token})
        assert tapped.status_code == 303

    assert is_in(visitor)
    assert session.scalar(select(func.count()).select_from(DeviceRow)) == 1


def test_long_after_even_the_same_browser_needs_no_used_link(
    visitor: Visitor, invitation: Invitation
):
    token = visitor.token(f"/i/{invitation.token}")
    visitor.post(f"/i/{invitation.token}", data={"csrf_token": token})
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        again = visitor.post(f"/i/{invitation.token}", data={"csrf_token": token})

        assert again.status_code == 410
        assert "let in already" in again.text


def test_an_expired_link_says_so(visitor: Visitor, invitation: Invitation):
    with time_machine.travel(invitation.expires_at, tick=False):
        response = visitor.get(f"/i/{invitation.token}")

    assert response.status_code == 410
    assert "has expired. Ask your clinic" in response.text


def test_a_newer_link_replaces_the_older(
    visitor: Visitor, session: Session, clinician, patient, invitation: Invitation
):
    newer = invite(session, VAULT, clinician, patient, now=NOW)
    session.commit()

    assert "was replaced" in visitor.get(f"/i/{invitation.token}").text
    assert enter(visitor, newer.token).status_code == 303


def test_a_code_lets_in_however_it_is_typed(visitor: Visitor, invitation: Invitation):
    typed = f" {invitation.code.upper().replace(' ', '-')} "

    assert visitor.submit("/code", code=typed).status_code == 303
    assert is_in(visitor)


def test_code_and_link_are_one_invitation(app: Flask, visitor: Visitor, invitation: Invitation):
    visitor.submit("/code", code=invitation.code)

    assert "used already" in app.test_client().get(f"/i/{invitation.token}").text


def test_a_code_expires_long_before_its_link(visitor: Visitor, invitation: Invitation):
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        refused = visitor.submit("/code", code=invitation.code)

        assert refused.status_code == 422
        assert "has expired" in refused.text
        assert f'value="{invitation.code}"' in refused.text  # what was typed is still there
        assert enter(visitor, invitation.token).status_code == 303


def test_codes_cannot_be_guessed(app: Flask, visitor: Visitor, invitation: Invitation):
    token = visitor.token("/code")
    answers = [
        visitor.post("/code", data={"csrf_token": token, "code": f"aaaa {n:04}"}).status_code
        for n in range(21)
    ]

    assert answers == [422] * 20 + [429]
    right = visitor.post("/code", data={"csrf_token": token, "code": invitation.code})
    assert right.status_code == 429
    elsewhere = app.test_client()
    found = elsewhere.post(
        "/code",
        data={"csrf_token": elsewhere.token("/code"), "code": invitation.code},
        environ_base={"REMOTE_ADDR": "192.0.2.9"},
    )
    assert found.status_code == 303
    with time_machine.travel(NOW + timedelta(minutes=16), tick=False):
        assert visitor.submit("/code", code="aaaa aaaa").status_code == 422


def test_a_revoked_device_is_shut_out_at_once(
    visitor: Visitor, session: Session, clinician, patient: PatientRow
):
    device = visitor.hold_device(session, patient)
    assert is_in(visitor)

    revoke_device(session, clinician, patient, device, now=NOW)
    session.commit()

    assert not is_in(visitor)


def test_revoking_all_shuts_out_devices_and_links(
    visitor: Visitor, session: Session, clinician, patient: PatientRow, invitation: Invitation
):
    visitor.hold_device(session, patient)

    revoke_all(session, clinician, patient, now=NOW)
    session.commit()

    assert not is_in(visitor)
    assert visitor.get(f"/i/{invitation.token}").status_code == 410


def test_a_cookie_that_was_tampered_with_opens_nothing(
    visitor: Visitor, session: Session, clinician, patient: PatientRow
):
    other = make_patient(session, clinician, NOW)
    other_device = visitor.hold_device(session, other)
    own_device = visitor.hold_device(session, patient)
    cookie = visitor.get_cookie("lenitive-device")
    assert cookie is not None
    forged = (
        cookie.value.replace(own_device, other_device),
        # Not the last letter: two of its bits say nothing.
        cookie.value[:-2] + ("A" if cookie.value[-2] != "A" else "B") + cookie.value[-1],
        cookie.value.rpartition(".")[0],
        "",
        "ü.x.y",
    )
    for value in forged:
        visitor.set_cookie("lenitive-device", value)
        assert not is_in(visitor)
    visitor.set_cookie("lenitive-device", cookie.value)
    assert is_in(visitor)


def test_a_right_signature_with_a_wrong_secret_opens_nothing(
    app: Flask, visitor: Visitor, session: Session, patient: PatientRow
):
    from trials.services.invitations import Entry
    from trials.web.reader import device_cookie

    device = visitor.hold_device(session, patient)
    with app.app_context():
        visitor.set_cookie(*device_cookie(VAULT, Entry(device, "guess", patient.public_id)))

    assert not is_in(visitor)


def test_another_patients_trial_does_not_exist(visitor: Visitor, session: Session, clinician):
    own, foreign = make_running(session, clinician, NOW), make_running(session, clinician, NOW)
    visitor.hold_device(session, own.patient)

    assert visitor.get(f"/today?trial={own.public_id}").status_code == 200
    for path in ("/today", "/entries", "/result", "/clinic"):
        assert visitor.get(f"{path}?trial={foreign.public_id}").status_code == 404


def test_leaving_forgets_the_device(visitor: Visitor, session: Session, patient: PatientRow):
    visitor.hold_device(session, patient)

    left = visitor.submit("/device/leave", "/device")

    assert left.headers["Location"] == "/"
    assert visitor.get_cookie("lenitive-device") is None
    session.expire_all()
    assert session.scalars(select(DeviceRow)).one().revoked_at == NOW


def test_the_device_cookie_stays_for_long_and_out_of_scripts(
    visitor: Visitor, invitation: Invitation
):
    response = enter(visitor, invitation.token)

    cookie = next(c for c in response.headers.getlist("Set-Cookie") if "device" in c)
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=34560000" in cookie


# ---- the demonstration -----------------------------------------------------------------------


@pytest.fixture
def demo(session: Session):
    """A demonstration clinic with one account and one patient."""
    site = make_site(session, "Demonstration", is_demo=True)
    account = make_account(session, site, Role.CLINICIAN, name="Clara")
    patient = make_patient(session, actor_for(account, Role.CLINICIAN), NOW)
    session.commit()
    return account, patient


def test_a_demonstration_lets_in_by_one_click(visitor: Visitor, demo):
    account, patient = demo
    assert "Clara" in visitor.get("/").text

    entered = visitor.submit(f"/demo/staff/{account.public_id}", "/")

    assert entered.status_code == 303
    assert "Clara" in visitor.get("/account").text
    visitor.submit(f"/demo/patient/{patient.public_id}", "/")
    assert is_in(visitor)
    assert visitor.get("/account").status_code == 403


def test_a_dangerous_page_of_the_demonstration_needs_no_password(visitor: Visitor, session, demo):
    administrator = make_account(session, demo[0].site, Role.ADMINISTRATOR)
    session.commit()
    visitor.submit(f"/demo/staff/{administrator.public_id}", "/")

    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        assert visitor.get(f"/admin/people/{demo[0].public_id}").status_code == 200


def test_with_one_real_clinic_nobody_enters_by_a_click(visitor: Visitor, session: Session, demo):
    token = visitor.token("/")
    make_site(session, "Real")
    session.commit()

    account, patient = demo
    for path in (f"/demo/staff/{account.public_id}", f"/demo/patient/{patient.public_id}"):
        assert visitor.post(path, data={"csrf_token": token}).status_code == 404
    page = visitor.get("/").text
    assert "Clara" not in page
    assert patient.name not in page
    assert visitor.get("/account").status_code == 303
    assert not is_in(visitor)


def test_in_a_real_clinic_there_is_no_such_door(visitor: Visitor, session: Session, patient):
    account = make_account(session, patient.site, Role.PHARMACIST)
    session.commit()
    token = visitor.token("/code")

    for path in (f"/demo/staff/{account.public_id}", f"/demo/patient/{patient.public_id}"):
        assert visitor.post(path, data={"csrf_token": token}).status_code == 404
    assert "demo" not in visitor.get("/").text.lower()


def test_an_empty_database_is_no_demonstration(visitor: Visitor):
    assert "Look around" not in visitor.get("/").text


def test_a_demonstrations_session_ends_when_it_becomes_real(
    visitor: Visitor, session: Session, demo
):
    visitor.submit(f"/demo/staff/{demo[0].public_id}", "/")
    make_site(session, "Real")
    session.commit()

    assert visitor.get("/account").headers["Location"].startswith("/login")
