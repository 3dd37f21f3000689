"""How staff sign in, and how guessing is slowed down."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask
from passlib.totp import TOTP
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from tests.builders import make_account, make_site
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.services.accounts import hash_password
from trials.store.account import AccountRow, LoginAttemptRow
from trials.store.audit import AuditRow
from trials.store.outbox import MessageRow

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def account(session: Session) -> AccountRow:
    account = make_account(session, make_site(session), Role.ANALYST, name="Ana")
    account.email = "ana@clinic.example"
    account.password = hash_password(PASSWORD, CHEAP)
    session.commit()
    return account


def sign_in(visitor: Visitor, email: str = "ana@clinic.example", password: str = PASSWORD, **more):
    return visitor.submit("/login", email=email, password=password, **more)


def went_through(response: TestResponse) -> bool:
    return response.status_code in {302, 303}


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/account").status_code == 200


def deeds(session: Session) -> list[str]:
    actions = list(session.scalars(select(AuditRow.action).order_by(AuditRow.number)))
    session.commit()
    return actions


def last_message(session: Session) -> MessageRow:
    message = session.scalars(select(MessageRow).order_by(MessageRow.id.desc()).limit(1)).one()
    session.commit()  # on SQLite, whoever reads holds the lock
    return message


def link_in(message: MessageRow) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/reset/\S+)", message.body)
    assert found, message.body
    return found[1]


def test_the_right_password_lets_in_and_is_written_down(
    visitor: Visitor, session: Session, account
):
    response = sign_in(visitor, " Ana@Clinic.example ")

    assert response.headers["Location"] == "/start"
    assert is_in(visitor)
    assert deeds(session) == ["sign_in"]


def test_one_goes_on_where_one_was_stopped_but_never_to_another_site(
    app: Flask, visitor: Visitor, account
):
    stopped = visitor.get("/account?x=1").headers["Location"]
    went_on = visitor.submit(stopped, email=account.email, password=PASSWORD)
    assert went_on.headers["Location"] == "/account?x=1"

    lured = app.test_client().submit(
        "/login?next=https://evil.example/", email=account.email, password=PASSWORD
    )
    assert "evil.example" not in lured.headers.get("Location", "")


def test_nobody_learns_which_accounts_exist(app: Flask, visitor: Visitor, account):
    wrong = sign_in(visitor, password="wrong horse battery")
    unknown = sign_in(app.test_client(), email="nobody@clinic.example")

    def shown(response) -> str:
        text = re.sub(r'(name="csrf_token" value|value)="[^"]*"', "", response.text)
        return re.sub(r"nonce-\S+", "", text)

    assert wrong.status_code == unknown.status_code
    assert shown(wrong) == shown(unknown)
    assert "invalid" in shown(wrong)


def test_after_five_wrong_passwords_one_waits_even_with_the_right_one(
    app: Flask, visitor: Visitor, account, clock
):
    for _try in range(5):
        assert sign_in(visitor, password="wrong horse battery").status_code == 200
    refused = sign_in(visitor)

    assert refused.status_code == 429
    assert "Wait a quarter of an hour" in refused.text
    assert not is_in(visitor)
    clock.shift(timedelta(minutes=16))
    assert went_through(sign_in(visitor))


def test_an_unknown_account_is_slowed_down_just_the_same(visitor: Visitor, account):
    answers = [sign_in(visitor, email="nobody@clinic.example").status_code for _ in range(6)]

    assert answers == [200] * 5 + [429]


def test_a_restart_forgets_no_attempt(visitor: Visitor, account, new_app):
    for _try in range(5):
        sign_in(visitor, password="wrong horse battery")

    assert sign_in(new_app().test_client()).status_code == 429


def test_the_owner_gets_in_from_elsewhere_meanwhile(app: Flask, visitor: Visitor, account):
    for _try in range(6):
        sign_in(visitor, password="wrong horse battery")
    owner = app.test_client()
    token = owner.token("/login")
    fields = {"csrf_token": token, "email": account.email, "password": PASSWORD}

    response = owner.post("/login", data=fields, environ_base={"REMOTE_ADDR": "192.0.2.9"})

    assert went_through(response)


def test_one_address_cannot_try_many_accounts(visitor: Visitor, account):
    token = visitor.token("/login")
    answers = [
        visitor.post(
            "/login",
            data={"csrf_token": token, "email": f"p{n}@clinic.example", "password": PASSWORD},
        ).status_code
        for n in range(51)
    ]

    assert answers == [200] * 50 + [429]


def test_a_success_strikes_out_the_tries_it_took(
    app: Flask, visitor: Visitor, session: Session, account
):
    for _try in range(4):
        sign_in(visitor, password="wrong horse battery")
    sign_in(visitor)

    session.commit()
    assert session.scalars(select(LoginAttemptRow)).all() == []


def test_only_digests_of_addresses_are_kept(visitor: Visitor, session: Session, account):
    sign_in(visitor, password="wrong horse battery")

    session.commit()
    for attempt in session.scalars(select(LoginAttemptRow)):
        assert re.fullmatch(r"[0-9a-f]{64}", attempt.key_hash)


def test_a_deactivated_account_is_out_at_once(visitor: Visitor, session: Session, account):
    sign_in(visitor)
    account.active = False
    session.commit()

    assert not is_in(visitor)
    assert sign_in(visitor).status_code == 200
    assert not is_in(visitor)


def test_after_half_a_day_one_signs_in_again(visitor: Visitor, account, clock):
    sign_in(visitor)
    clock.shift(timedelta(hours=11))
    assert is_in(visitor)
    clock.shift(timedelta(hours=2))
    assert not is_in(visitor)


def test_signing_out_needs_the_token_of_our_page(visitor: Visitor, account):
    sign_in(visitor)

    assert visitor.post("/logout").status_code == 400
    assert is_in(visitor)
    visitor.submit("/logout", "/account")
    assert not is_in(visitor)


def test_nobody_registers_alone(visitor: Visitor):
    assert visitor.get("/register").status_code == 404


def test_a_forgotten_password_is_set_anew_by_a_link_that_works_once(
    app: Flask, visitor: Visitor, session: Session, account
):
    visitor.submit("/reset", email=account.email)
    message = last_message(session)
    assert message.recipient == account.email
    assert message.void_after is not None
    link = link_in(message)

    done = visitor.submit(
        link, password="another good phrase", password_confirm="another good phrase"
    )

    assert done.status_code == 302
    assert sign_in(visitor).status_code == 200
    assert went_through(sign_in(visitor, password="another good phrase"))
    again = app.test_client().get(link)
    assert again.headers["Location"].endswith("/reset")
    assert deeds(session) == ["reset_password", "sign_in"]


def test_the_link_expires_after_a_day(visitor: Visitor, session: Session, account, clock):
    visitor.submit("/reset", email=account.email)
    link = link_in(last_message(session))
    clock.shift(timedelta(hours=25))

    assert visitor.get(link).headers["Location"].endswith("/reset")


def test_asking_for_a_link_tells_nothing_and_writes_to_nobody_unknown(
    app: Flask, visitor: Visitor, session: Session, account
):
    known = visitor.submit("/reset", email=account.email)
    unknown = app.test_client().submit("/reset", email="nobody@clinic.example")

    assert known.status_code == unknown.status_code == 200
    recipients = session.scalars(select(MessageRow.recipient)).all()
    assert list(recipients) == [account.email]


def test_a_forged_host_does_not_lead_the_link_elsewhere(
    visitor: Visitor, session: Session, account
):
    fields = {"csrf_token": visitor.token("/reset"), "email": account.email}

    visitor.post("/reset", data=fields, headers={"X-Forwarded-Host": "evil.example"})

    assert "evil" not in last_message(session).body


def test_a_changed_password_ends_the_other_sessions(
    app: Flask, visitor: Visitor, session: Session, account
):
    other = app.test_client()
    for browser in (visitor, other):
        sign_in(browser)

    changed = visitor.submit(
        "/change",
        password=PASSWORD,
        new_password="another good phrase",
        new_password_confirm="another good phrase",
    )

    assert changed.headers["Location"] == "/account"
    assert is_in(visitor)
    assert not is_in(other)
    assert "was changed" in last_message(session).body
    assert deeds(session)[-1] == "change_password"


def test_a_short_password_is_not_taken(visitor: Visitor, account):
    sign_in(visitor)

    refused = visitor.submit(
        "/change", password=PASSWORD, new_password="short", new_password_confirm="short"
    )

    assert refused.status_code == 200
    assert "12" in refused.text
    assert not is_in(Visitor(visitor.application, response_wrapper=visitor.response_wrapper))


def turn_on_second_step(visitor: Visitor) -> TOTP:
    """Set an authenticator up through the pages; return it."""
    page = visitor.submit("/tf-setup", setup="authenticator").text
    key = re.search(r"data-copy-text>([^<]+)<", page)
    action = re.search(r'action="(/tf-setup/[^"]+)"', page)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert key
    assert action
    assert token
    app = TOTP(key=key[1].replace(" ", "").replace("-", ""), format="base32")
    code = app.generate(time=NOW.timestamp()).token
    visitor.post(action[1], data={"csrf_token": token[1], "code": code})
    return app


def test_with_a_second_step_the_password_alone_opens_nothing(
    app: Flask, visitor: Visitor, session: Session, account, clock
):
    sign_in(visitor)
    authenticator = turn_on_second_step(visitor)
    assert "authenticator app" in visitor.get("/account").text
    session.refresh(account)
    assert authenticator.base32_key not in str(account.tf_totp_secret)
    session.commit()

    clock.shift(timedelta(minutes=5))
    other = app.test_client()
    halfway = sign_in(other)
    assert "/tf-validate" in halfway.headers["Location"]
    assert not is_in(other)

    now = (NOW + timedelta(minutes=5)).timestamp()
    other.submit("/tf-validate", code=authenticator.generate(time=now).token)
    assert is_in(other)
    assert deeds(session) == ["sign_in", "set_up_second_step", "sign_in"]


def test_codes_of_the_second_step_cannot_be_guessed(app: Flask, visitor: Visitor, account, clock):
    sign_in(visitor)
    turn_on_second_step(visitor)
    thief = app.test_client()
    sign_in(thief)
    token = thief.token("/tf-validate")

    answers = [
        thief.post("/tf-validate", data={"csrf_token": token, "code": f"{n:06}"}).status_code
        for n in range(11)
    ]

    assert answers == [200] * 10 + [429]


def test_a_recovery_code_lets_in_once(app: Flask, visitor: Visitor, session: Session, account):
    sign_in(visitor)
    turn_on_second_step(visitor)
    page = visitor.submit("/mf-recovery-codes").text
    codes = re.findall(r"<code>([^<]+)</code>", page)
    assert len(codes) == 5
    session.refresh(account)
    assert codes[0] not in str(account.mf_recovery_codes)
    session.commit()

    for expected in (True, False):
        other = app.test_client()
        sign_in(other)
        other.submit("/mf-recovery", code=codes[0])
        assert is_in(other) is expected


def test_a_dangerous_page_asks_for_the_password_again(
    visitor: Visitor, session: Session, account, clock
):
    from tests.builders import role_named

    account.roles = [role_named(session, "administrator")]
    session.commit()
    sign_in(visitor)
    path = f"/admin/people/{account.public_id}"
    assert visitor.get(path).status_code == 200
    clock.shift(timedelta(minutes=40))

    ask = visitor.get(path).headers["Location"]
    assert visitor.submit(ask, password=PASSWORD).headers["Location"] == path
    assert visitor.get(path).status_code == 200
