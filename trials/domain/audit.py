"""The audit trail: every record carries the hash of the one before.

Whoever changes, removes or reorders a record breaks the chain from there on, and the
check says at which record.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trials.domain.canonical import canonical_hash

FIRST_LINK = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what, when, what was, what is, and why.

    Attributes:
        number: 1, 2, 3, ... without a gap.
        at: UTC instant.
        local_at: the same instant as the actor's clock showed it, with its offset.
        actor: public id of the person, or "system".
        role: in what capacity.
        action: verb, such as "freeze_protocol".
        subject: kind and public id of the thing, such as "trial:k3v9...".
        before: what was, or None for a new thing.
        after: what is, or None for a removed or merely read thing.
        why: the reason given, or "".
    """

    number: int
    at: datetime
    local_at: str
    actor: str
    role: str
    action: str
    subject: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    why: str


def link_hash(previous: str, record: AuditRecord) -> str:
    """Return the hash that ties ``record`` to the record with the hash ``previous``."""
    return canonical_hash({"previous": previous, "record": record})


def first_broken(chain: Iterable[tuple[AuditRecord, str]]) -> int | None:
    """Return the number of the first record that does not fit, or None if all do.

    Args:
        chain: records with their stored hashes, in the order of their numbers.
    """
    previous = FIRST_LINK
    for expected, (record, stored) in enumerate(chain, start=1):
        if record.number != expected or link_hash(previous, record) != stored:
            return expected
        previous = stored
    return None
