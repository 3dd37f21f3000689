"""A link or code opens once, and only digests are kept; the attacks by browser are in tests/web."""

from datetime import timedelta

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import VAULT, make_actor, make_patient, make_site, patient_actor
from trials.domain.blinding import Role
from trials.domain.errors import InvitationError, NotAllowedError, NotFoundError
from trials.keys import Vault
from trials.services.invitations import (
    CODE_LIFE,
    check_link,
    devices_of_patient,
    enter_by_code,
    enter_by_link,
    find_device,
    invite,
    open_invitation_of,
    revoke_all,
    revoke_device,
)
from trials.store.account import DeviceRow, InvitationRow
from trials.store.audit import AuditRow
from trials.store.base import PUBLIC_ID_ALPHABET


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def patient(session: Session, clinician, now):
    return make_patient(session, clinician, now)


def test_a_link_makes_a_device_of_the_patient(session: Session, clinician, patient, now):
    invitation = invite(session, VAULT, clinician, patient, now=now)

    entry = enter_by_link(session, VAULT, invitation.token, browser="b", now=now)

    device = find_device(session, VAULT, entry.device_id, entry.secret)
    assert device is not None
    assert device.patient_id == patient.id
    assert devices_of_patient(session, patient) == [device]
    actions = session.scalars(select(AuditRow.action).order_by(AuditRow.number)).all()
    assert actions[-2:] == ["invite_patient", "enter_by_invitation"]


def test_nothing_in_the_database_opens_a_door(session: Session, clinician, patient, now):
    invitation = invite(session, VAULT, clinician, patient, now=now)
    entry = enter_by_link(session, VAULT, invitation.token, browser="b", now=now)
    secrets = (invitation.token, invitation.code.replace(" ", ""), entry.secret)

    for kind in (InvitationRow, DeviceRow, AuditRow):
        for row in session.scalars(select(kind)):
            kept = [str(getattr(row, column.key)) for column in inspect(kind).columns]
            assert not any(secret in value for secret in secrets for value in kept)


def test_with_another_master_key_no_link_and_no_device_is_known(
    session: Session, clinician, patient, now
):
    other = Vault(bytes([1] * 32))
    invitation = invite(session, VAULT, clinician, patient, now=now)

    with pytest.raises(InvitationError):
        enter_by_link(session, other, invitation.token, browser="b", now=now)
    entry = enter_by_link(session, VAULT, invitation.token, browser="b", now=now)
    assert find_device(session, other, entry.device_id, entry.secret) is None


def test_codes_are_easy_to_read_aloud_and_all_different(session: Session, clinician, patient, now):
    codes = [invite(session, VAULT, clinician, patient, now=now).code for _n in range(50)]

    assert len(set(codes)) == 50
    for code in codes:
        first, second = code.split(" ")
        assert (len(first), len(second)) == (4, 4)
        assert set(first + second) <= set(PUBLIC_ID_ALPHABET)


def test_the_browser_that_taps_twice_gets_the_same_device(
    session: Session, clinician, patient, now
):
    token = invite(session, VAULT, clinician, patient, now=now).token
    first = enter_by_link(session, VAULT, token, browser="b", now=now)

    assert enter_by_link(session, VAULT, token, browser="b", now=now) == first
    with pytest.raises(InvitationError, match="used already"):
        enter_by_link(session, VAULT, token, browser="another", now=now)
    with pytest.raises(InvitationError, match="used already"):
        enter_by_link(session, VAULT, token, browser="b", now=now + timedelta(minutes=11))


def test_a_second_tap_does_not_undo_a_revocation(session: Session, clinician, patient, now):
    token = invite(session, VAULT, clinician, patient, now=now).token
    entry = enter_by_link(session, VAULT, token, browser="b", now=now)
    revoke_device(session, clinician, patient, entry.device_id, now=now)

    with pytest.raises(InvitationError):
        enter_by_link(session, VAULT, token, browser="b", now=now)
    assert find_device(session, VAULT, entry.device_id, entry.secret) is None


def test_a_code_lives_for_an_hour(session: Session, clinician, patient, now):
    invitation = invite(session, VAULT, clinician, patient, now=now)

    with pytest.raises(InvitationError, match="expired"):
        enter_by_code(session, VAULT, invitation.code, browser="b", now=now + CODE_LIFE)
    check_link(session, VAULT, invitation.token, now=now + CODE_LIFE)


@pytest.mark.parametrize("token", ["", "x", "x" * 500, "ü", "' OR 1=1 --"])
def test_nonsense_is_not_known(session: Session, now, token: str):
    for attempt in (
        lambda: check_link(session, VAULT, token, now=now),
        lambda: enter_by_link(session, VAULT, token, browser="b", now=now),
        lambda: enter_by_code(session, VAULT, token, browser="b", now=now),
    ):
        with pytest.raises(InvitationError, match="not known"):
            attempt()


def test_the_newest_invitation_is_the_only_one(session: Session, clinician, patient, now):
    older = invite(session, VAULT, clinician, patient, now=now)
    newer = invite(session, VAULT, clinician, patient, now=now)

    with pytest.raises(InvitationError, match="replaced"):
        check_link(session, VAULT, older.token, now=now)
    check_link(session, VAULT, newer.token, now=now)
    waiting = open_invitation_of(session, patient, now)
    assert waiting is not None
    assert open_invitation_of(session, patient, waiting.expires_at) is None


def test_two_who_use_a_link_at_once_do_not_both_get_in(
    sessions: sessionmaker[Session], session: Session, clinician, patient, now
):
    from concurrent.futures import ThreadPoolExecutor

    token = invite(session, VAULT, clinician, patient, now=now).token
    session.commit()

    def enter(browser: str) -> bool:
        try:
            with sessions.begin() as own:
                enter_by_link(own, VAULT, token, browser=browser, now=now)
        except InvitationError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(enter, "abcd")) == [False, False, False, True]


def test_another_clinic_invites_and_revokes_nobody_here(session: Session, patient, now):
    stranger = make_actor(session, make_site(session, "Elsewhere"), Role.CLINICIAN)

    with pytest.raises(NotFoundError):
        invite(session, VAULT, stranger, patient, now=now)
    with pytest.raises(NotFoundError):
        revoke_all(session, stranger, patient, now=now)


@pytest.mark.parametrize("role", [Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR, Role.PATIENT])
def test_only_clinicians_invite(session: Session, patient, now, role: Role):
    actor = make_actor(session, patient.site, Role.ANALYST)
    from dataclasses import replace

    with pytest.raises(NotAllowedError):
        invite(session, VAULT, replace(actor, role=role), patient, now=now)


def test_a_patient_leaves_with_the_own_devices_only(session: Session, clinician, patient, now):
    other = make_patient(session, clinician, now)
    token = invite(session, VAULT, clinician, other, now=now).token
    entry = enter_by_link(session, VAULT, token, browser="b", now=now)

    with pytest.raises(NotFoundError):
        revoke_device(session, patient_actor(patient), patient, entry.device_id, now=now)
    revoke_device(session, patient_actor(other), other, entry.device_id, now=now)
    assert devices_of_patient(session, other) == []
