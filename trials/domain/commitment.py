"""A promise about the allocation that anybody can check later.

At the draw, the hash of seed, sequence and arm key is published. It tells nothing (the
seed has 256 secret bits), and after unblinding it proves that nothing was changed.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trials.domain.canonical import canonical_hash
from trials.domain.design import Design
from trials.domain.randomization import draw_arm_key, draw_kit_numbers, draw_sequence

COMMITMENT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Allocation:
    """A drawn sequence with all that is needed to draw it again.

    Attributes:
        seed: secret bytes.
        sequence: masked label of each period.
        arm_key: treatment of each masked label.
        kits: kit number of each period.
    """

    seed: bytes
    sequence: tuple[str, ...]
    arm_key: Mapping[str, str]
    kits: tuple[str, ...]

    def treatment_of_period(self, number: int) -> str:
        """Return the treatment of period ``number``, counted from 1."""
        return self.arm_key[self.sequence[number - 1]]


def draw_allocation(design: Design, treatments: Sequence[str], seed: bytes) -> Allocation:
    """Return the whole allocation that ``seed`` stands for."""
    return Allocation(
        seed=seed,
        sequence=draw_sequence(design, seed),
        arm_key=draw_arm_key(design.arms, treatments, seed),
        kits=draw_kit_numbers(design.periods, seed),
    )


def commit(protocol_hash: str, allocation: Allocation) -> str:
    """Return the commitment: 64 hexadecimal digits, safe to publish at once.

    It is the SHA-256 of the canonical JSON of version, protocol hash, seed (hexadecimal),
    sequence and arm key; ``docs/verify-allocation.md`` tells how to compute it without Lenitive.
    """
    return canonical_hash(
        {
            "version": COMMITMENT_VERSION,
            "protocol": protocol_hash,
            "seed": allocation.seed.hex(),
            "sequence": allocation.sequence,
            "arm_key": allocation.arm_key,
        }
    )


def verify_commitment(commitment: str, protocol_hash: str, allocation: Allocation) -> bool:
    """Return whether the opened allocation is the one that was promised."""
    return hmac.compare_digest(commitment, commit(protocol_hash, allocation))


def verify_draw(design: Design, treatments: Sequence[str], allocation: Allocation) -> bool:
    """Return whether the sequence and the key are what the seed gives, nothing hand-picked."""
    return allocation == draw_allocation(design, treatments, allocation.seed)
