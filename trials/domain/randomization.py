"""Draw the order in which one patient receives the arms, and which treatment is which arm.

Everything is read from a keyed digest (HMAC-SHA256) of the trial's secret seed, not from a
random generator: the same seed gives the same order on every machine and with every
library version, so an auditor can redraw it years later. Each draw names its purpose, so
that the arm key and the sequence are independent although they share the seed.
"""

import hmac
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count
from math import factorial

from trials.domain.design import Design, Scheme
from trials.domain.errors import AllocationError
from trials.domain.words import marked as _

SEED_BYTES = 32
KIT_DIGITS = 5


def draw_sequence(design: Design, seed: bytes) -> tuple[str, ...]:
    """Return the arm of each period, in the order the patient lives them.

    Args:
        design: the shape of the trial.
        seed: at least 16 secret bytes; 32 from the operating system in a real trial.

    Raises:
        AllocationError: the seed is too short to be secret.
    """
    _check_seed(seed)
    if design.scheme is Scheme.FIXED:
        return design.fixed_sequence
    if design.scheme is Scheme.PAIRED:
        return _paired_blocks(design, seed)
    if design.scheme is Scheme.RANDOM_BLOCKS:
        blocks = (_shuffled(design.arms, seed, f"block {n}") for n in range(design.blocks))
        return tuple(arm for block in blocks for arm in block)
    return _balanced_blocks(design, seed)


def draw_arm_key(arms: Sequence[str], treatments: Sequence[str], seed: bytes) -> dict[str, str]:
    """Return which treatment each masked label stands for.

    The labels are dealt at random, so that "A" is not simply the first treatment that was
    entered.

    Args:
        arms: masked labels.
        treatments: one catalogue id per arm, in the order of the protocol.
        seed: the trial's secret seed.
    """
    _check_seed(seed)
    if len(arms) != len(treatments):
        raise AllocationError(_("There must be one treatment for each arm."))
    return dict(zip(arms, _shuffled(tuple(treatments), seed, "arm key"), strict=True))


def draw_kit_numbers(periods: int, seed: bytes) -> tuple[str, ...]:
    """Return one kit number per period: five random digits and a check digit, all different.

    The numbers are random, not in the order of the arms, so they tell nothing.
    """
    _check_seed(seed)
    stream = _digest_integers(seed, "kits")
    numbers: list[str] = []
    while len(numbers) < periods:
        digits = str(next(stream) % 10**KIT_DIGITS).zfill(KIT_DIGITS)
        kit = digits + check_digit(digits)
        if kit not in numbers:
            numbers.append(kit)
    return tuple(numbers)


def check_digit(digits: str) -> str:
    """Return the Luhn digit, which catches every single mistyped digit of a kit number."""
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(digits))]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return str(-total % 10)


def count_sequences(design: Design) -> int:
    """Return how many different sequences the scheme can draw, all equally likely.

    One over this number is the chance of guessing the whole sequence.
    """
    size = len(design.arms)
    orders = factorial(size)
    if design.scheme is Scheme.FIXED:
        return 1
    if design.scheme is Scheme.RANDOM_BLOCKS:
        return int(orders**design.blocks)
    if design.scheme is Scheme.PAIRED:
        return int(orders ** ((design.blocks + 1) // 2))
    return _count_balanced(size, design.blocks)


def williams_rows(size: int) -> tuple[tuple[int, ...], ...]:
    """Return the orders of a Williams design for ``size`` arms, as indices of arms.

    Within the rows each arm stands once in each place and follows each other arm equally
    often: ``size`` rows if it is even, twice as many if odd (Williams 1949, Aust J Sci Res
    A2:149).
    """
    first = _zigzag(size)
    rows = [tuple((place + shift) % size for place in first) for shift in range(size)]
    if size % 2 == 1:
        rows += [tuple(reversed(row)) for row in rows]
    return tuple(rows)


def _zigzag(size: int) -> tuple[int, ...]:
    """Return 0, 1, n-1, 2, n-2, ...: neighbours differ by every amount once."""
    low, high, order = 1, size - 1, [0]
    while low <= high:
        order.append(low)
        if low != high:
            order.append(high)
        low, high = low + 1, high - 1
    return tuple(order)


def _balanced_blocks(design: Design, seed: bytes) -> tuple[str, ...]:
    """Deal the rows of a Williams square without replacement, again and again."""
    sequence: list[str] = []
    round_number = 0
    rows: list[tuple[int, ...]] = []
    for _block in range(design.blocks):
        if not rows:
            named = _shuffled(design.arms, seed, f"names {round_number}")
            rows = list(_shuffled(williams_rows(len(design.arms)), seed, f"rows {round_number}"))
            round_number += 1
        sequence += [named[index] for index in rows.pop(0)]
    return tuple(sequence)


def _paired_blocks(design: Design, seed: bytes) -> tuple[str, ...]:
    sequence: list[str] = []
    for number in range(design.blocks):
        if number % 2 == 0:
            block = _shuffled(design.arms, seed, f"block {number}")
        else:
            block = tuple(reversed(block))
        sequence += block
    return tuple(sequence)


def _count_balanced(size: int, blocks: int) -> int:
    """Count the distinct sequences by walking the rounds.

    In a round of ``m`` rows the arms can be named in ``size!`` ways and the rows dealt in
    ``m (m-1) ...`` ways. A renaming that maps the square onto itself gives the same orders
    again, so each sequence arises once for each such renaming.
    """
    rows = williams_rows(size)
    total, left = 1, blocks
    while left > 0:
        dealt = min(left, len(rows))
        ways = factorial(size)
        for taken in range(dealt):
            ways *= len(rows) - taken
        total *= ways // len(_row_symmetries(rows))
        left -= dealt
    return total


def _row_symmetries(rows: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Return the renamings of the arms that map the set of rows onto itself."""
    own = set(rows)
    first = rows[0]
    found = []
    for target in rows:
        renaming = dict(zip(first, target, strict=True))
        if {tuple(renaming[arm] for arm in row) for row in rows} == own:
            found.append(target)
    return found


def _shuffled[Item](items: tuple[Item, ...], seed: bytes, purpose: str) -> tuple[Item, ...]:
    """Return the items in the order of Fisher and Yates, driven by the digest."""
    stream = _digest_integers(seed, purpose)
    order = list(items)
    for place in range(len(order) - 1, 0, -1):
        other = _uniform(stream, place + 1)
        order[place], order[other] = order[other], order[place]
    return tuple(order)


def _uniform(stream: Iterator[int], bound: int) -> int:
    """Return an integer below ``bound``; unfair tails of the 64-bit range are thrown away."""
    fair = 2**64 - 2**64 % bound
    return next(number for number in stream if number < fair) % bound


def _digest_integers(seed: bytes, purpose: str) -> Iterator[int]:
    for number in count():
        message = f"lenitive randomization 1|{purpose}|{number}".encode()
        yield int.from_bytes(hmac.new(seed, message, sha256).digest()[:8], "big")


def _check_seed(seed: bytes) -> None:
    if len(seed) < SEED_BYTES // 2:
        raise AllocationError(_("The secret seed of a trial has at least 16 bytes."))
