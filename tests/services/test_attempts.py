"""Attempts are counted before they are made, and struck out when they succeed."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.builders import VAULT
from trials.services.attempts import Gate, strike_out, take
from trials.store.account import LoginAttemptRow

DOOR = Gate("account a", 2)
STREET = Gate("address b", 3)


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(LoginAttemptRow)) or 0


def test_one_too_many_is_refused_and_not_counted(session: Session, now):
    answers = [take(session, VAULT, [DOOR, STREET], now=now) for _n in range(4)]

    assert answers == [True, True, False, False]
    assert count(session) == 4


def test_the_narrowest_gate_decides(session: Session, now):
    for name in "xyz":
        assert take(session, VAULT, [Gate(name, 2), STREET], now=now)

    assert not take(session, VAULT, [Gate("w", 2), STREET], now=now)


def test_who_waits_may_try_again(session: Session, now):
    for _n in range(2):
        take(session, VAULT, [DOOR], now=now)

    assert not take(session, VAULT, [DOOR], now=now + timedelta(minutes=14))
    assert take(session, VAULT, [DOOR], now=now + timedelta(minutes=15))


def test_a_success_frees_its_own_tries_at_the_shared_gate_only(session: Session, now):
    take(session, VAULT, [Gate("account other", 9), STREET], now=now)
    for _n in range(2):
        take(session, VAULT, [DOOR, STREET], now=now)

    strike_out(session, VAULT, DOOR.key, STREET.key)
    session.flush()

    assert count(session) == 2
    assert take(session, VAULT, [DOOR, STREET], now=now)


def test_attempts_are_forgotten_after_a_day(session: Session, now):
    take(session, VAULT, [DOOR], now=now)

    take(session, VAULT, [STREET], now=now + timedelta(days=2))

    assert count(session) == 1
