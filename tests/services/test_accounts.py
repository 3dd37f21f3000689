"""Sites and the accounts of their staff."""

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import actor_for, make_account, make_site
from trials.domain.blinding import Role
from trials.domain.errors import AccountError, NotAllowedError, NotFoundError
from trials.services.accounts import (
    accounts_of_site,
    add_account,
    add_site,
    change_role,
    deactivate,
    edit_site,
    get_account,
    get_site,
    hash_password,
    is_demonstration,
    plain_email,
    reactivate,
    reset_second_step,
    role_of,
    set_password,
)
from trials.services.actor import SYSTEM
from trials.store.audit import AuditRow

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def site(session: Session):
    return make_site(session)


@pytest.fixture
def admin(session: Session, site):
    return actor_for(make_account(session, site, Role.ADMINISTRATOR), Role.ADMINISTRATOR)


def add(session: Session, actor, site, now, email: str = "ana@clinic.example", **more):
    return add_account(
        session, actor, site, name="Ana", email=email, role=Role.ANALYST, now=now, **more
    )


def test_an_account_belongs_to_a_site_and_has_one_role(session: Session, admin, site, now):
    account = add(session, admin, site, now, " ANA@clinic.example")

    assert (account.email, account.site_id, role_of(account)) == (
        "ana@clinic.example",
        site.id,
        Role.ANALYST,
    )
    assert account in accounts_of_site(session, site.id)
    record = session.scalars(select(AuditRow)).one()
    assert (record.action, record.subject) == ("add_account", f"account:{account.public_id}")


def test_several_roles_count_as_none(session: Session, site):
    both = make_account(session, site, Role.CLINICIAN, Role.PHARMACIST)

    assert role_of(both) is None


@pytest.mark.parametrize("email", ["", "ana", "ana@", "@clinic.example", "a b@c.example", "a@b@c"])
def test_what_is_no_address_is_refused(email: str):
    with pytest.raises(AccountError):
        plain_email(email)


def test_an_address_of_an_internal_network_is_one_too():
    assert plain_email("Ana@mail.hospital.local") == "ana@mail.hospital.local"


def test_one_address_has_one_account(session: Session, admin, site, now):
    add(session, admin, site, now)

    with pytest.raises(AccountError, match="already"):
        add(session, admin, site, now, "Ana@Clinic.Example")


def test_a_patient_has_no_account(session: Session, admin, site, now):
    with pytest.raises(AccountError, match="personal link"):
        add_account(session, admin, site, name="P", email="p@q.example", role=Role.PATIENT, now=now)


def test_an_administrator_adds_to_the_own_site_only(session: Session, admin, now):
    with pytest.raises(NotFoundError):
        add(session, admin, make_site(session, "Elsewhere"), now)


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST, Role.PATIENT])
def test_others_manage_nobody(session: Session, site, now, role: Role):
    account = make_account(session, site, Role.ANALYST)
    other = actor_for(account, role)

    with pytest.raises(NotAllowedError):
        add(session, other, site, now)
    with pytest.raises(NotAllowedError):
        deactivate(session, other, account, now=now)
    with pytest.raises(NotAllowedError):
        edit_site(session, other, name="x", timezone="UTC", locale="en", now=now)


def test_an_account_of_another_site_does_not_exist(session: Session, admin):
    foreign = make_account(session, make_site(session, "Elsewhere"), Role.ANALYST)

    with pytest.raises(NotFoundError) as elsewhere:
        get_account(session, admin, foreign.public_id)
    with pytest.raises(NotFoundError) as unknown:
        get_account(session, admin, "nosuch")
    assert str(elsewhere.value) == str(unknown.value)


def test_nobody_changes_the_own_account(session: Session, site, now):
    account = make_account(session, site, Role.ADMINISTRATOR)
    oneself = actor_for(account, Role.ADMINISTRATOR)

    for deed in (deactivate, reactivate, reset_second_step):
        with pytest.raises(AccountError, match="another administrator"):
            deed(session, oneself, account, now=now)
    with pytest.raises(AccountError, match="another administrator"):
        change_role(session, oneself, account, Role.CLINICIAN, now=now)


def test_doing_a_thing_twice_is_written_down_once(session: Session, admin, site, now):
    account = make_account(session, site, Role.ANALYST)

    for _time in range(2):
        deactivate(session, admin, account, now=now)
        change_role(session, admin, account, Role.CLINICIAN, now=now)

    actions = session.scalars(select(AuditRow.action)).all()
    assert sorted(actions) == ["change_role", "deactivate_account"]


def test_a_new_password_ends_every_session(session: Session, site, now):
    account = make_account(session, site, Role.ANALYST)
    before = account.fs_uniquifier

    set_password(session, SYSTEM, account, "hash", now=now)

    assert account.fs_uniquifier != before


def test_passwords_are_hashed_with_argon2id():
    hashed = hash_password("long enough phrase", CHEAP)

    assert hashed.startswith("$argon2id$")
    assert CHEAP.verify(hashed, "long enough phrase")


@pytest.mark.parametrize("password", ["elevenchars", "x" * 129])
def test_a_password_is_neither_short_nor_endless(password: str):
    with pytest.raises(AccountError, match="12 to 128"):
        hash_password(password, CHEAP)


def test_a_demonstration_is_a_database_of_demonstration_sites_alone(session: Session):
    assert not is_demonstration(session)
    make_site(session, is_demo=True)
    assert is_demonstration(session)
    make_site(session, "Real")
    assert not is_demonstration(session)


def test_no_real_site_is_added_to_a_demonstration(session: Session, now):
    make_site(session, is_demo=True)

    with pytest.raises(AccountError, match="demonstration database"):
        add_site(session, SYSTEM, name="Real", timezone="UTC", now=now)


def test_a_site_is_added_and_found(session: Session, now):
    site = add_site(session, SYSTEM, name=" Clinic ", timezone="Europe/Berlin", now=now)

    assert get_site(session, site.public_id).name == "Clinic"
    with pytest.raises(NotFoundError):
        get_site(session, "nosuch")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": " ", "timezone": "UTC", "locale": "en"},
        {"name": "x", "timezone": "Berlin", "locale": "en"},
        {"name": "x", "timezone": "UTC", "locale": "English"},
    ],
)
def test_a_site_needs_a_name_a_zone_and_a_language(session: Session, now, fields):
    with pytest.raises(AccountError):
        add_site(session, SYSTEM, **fields, now=now)
