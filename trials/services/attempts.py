"""Slow down guessing: attempts to get in are counted in the database, so a restart forgets none.

An attempt is counted, and that is committed, before it is made: a flood of them finds the door
shut but for the few that arrive in the same instant. A success strikes its attempts out. Only
keyed digests of addresses are kept, for a day.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from trials.keys import Vault
from trials.store.account import LoginAttemptRow

WINDOW = timedelta(minutes=15)
KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that is counted.

    Attributes:
        key: what is tried from where, such as "account a@b.org 192.0.2.7".
        limit: how many attempts in a quarter of an hour.
    """

    key: str
    limit: int


def take(session: Session, vault: Vault, gates: Sequence[Gate], *, now: datetime) -> bool:
    """Count one attempt at every gate; return False if it is one too many at any of them.

    An attempt that is refused is not counted: who waits gets in again.
    """
    keys = {gate: _digest(vault, gate.key) for gate in gates}
    since = now - WINDOW
    for gate, key in keys.items():
        count = session.scalar(
            select(func.count()).where(LoginAttemptRow.key_hash == key, LoginAttemptRow.at > since)
        )
        if (count or 0) >= gate.limit:
            return False
    session.add_all(LoginAttemptRow(key_hash=key, at=now) for key in keys.values())
    session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.at < now - KEPT_FOR))
    return True


def strike_out(session: Session, vault: Vault, key: str, shared: str = "") -> None:
    """Forget the attempts at a gate after a success, and as many at the gate it shares.

    Args:
        session: the transaction.
        vault: keys of the installation.
        key: the gate that was passed.
        shared: the gate of the whole address, where others may be guessing at the same time.
    """
    own = session.scalars(
        select(LoginAttemptRow).where(LoginAttemptRow.key_hash == _digest(vault, key))
    ).all()
    others = session.scalars(
        select(LoginAttemptRow)
        .where(LoginAttemptRow.key_hash == _digest(vault, shared))
        .order_by(LoginAttemptRow.at.desc())
        .limit(len(own))
    ).all()
    for attempt in (*own, *others):
        session.delete(attempt)


def _digest(vault: Vault, key: str) -> str:
    return hmac.new(vault.derive("attempts"), key.encode(), sha256).hexdigest()
