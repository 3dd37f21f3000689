"""A commitment fits exactly one allocation and one protocol."""

from dataclasses import replace

import pytest

from trials.domain.canonical import canonical_hash
from trials.domain.commitment import commit, draw_allocation, verify_commitment, verify_draw
from trials.domain.design import Design

DESIGN = Design(("A", "B"), 3, 14)
TREATMENTS = ("ibuprofen", "placebo")
ALLOCATION = draw_allocation(DESIGN, TREATMENTS, bytes(range(32)))
PROTOCOL = "ab" * 32


def test_the_commitment_can_be_computed_by_hand():
    """As docs/verify-allocation.md tells it, with nothing of Lenitive but the hash function."""
    written = {
        "version": 1,
        "protocol": PROTOCOL,
        "seed": bytes(range(32)).hex(),
        "sequence": list(ALLOCATION.sequence),
        "arm_key": dict(ALLOCATION.arm_key),
    }

    assert commit(PROTOCOL, ALLOCATION) == canonical_hash(written)
    assert verify_commitment(commit(PROTOCOL, ALLOCATION), PROTOCOL, ALLOCATION)


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": bytes(32)},
        {"sequence": tuple(reversed(ALLOCATION.sequence))},
        {"arm_key": {"A": ALLOCATION.arm_key["B"], "B": ALLOCATION.arm_key["A"]}},
    ],
)
def test_nothing_can_be_changed_afterwards(changed: dict[str, object]):
    promise = commit(PROTOCOL, ALLOCATION)
    changed_allocation = replace(ALLOCATION, **changed)

    assert not verify_commitment(promise, PROTOCOL, changed_allocation)
    assert not verify_draw(DESIGN, TREATMENTS, changed_allocation)


def test_a_commitment_is_bound_to_its_protocol():
    assert not verify_commitment(commit(PROTOCOL, ALLOCATION), "cd" * 32, ALLOCATION)


def test_a_hand_picked_sequence_does_not_come_from_the_seed():
    picked = replace(ALLOCATION, sequence=("A", "B") * 3)

    assert not verify_draw(DESIGN, TREATMENTS, picked) or picked == ALLOCATION


def test_the_kits_follow_from_the_seed_too():
    assert verify_draw(DESIGN, TREATMENTS, ALLOCATION)
    assert not verify_draw(DESIGN, TREATMENTS, replace(ALLOCATION, kits=("000000",) * 6))
