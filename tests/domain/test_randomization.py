"""The draw is balanced, repeatable and fair."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.domain.design import Design, Scheme, arm_labels
from trials.domain.errors import AllocationError
from trials.domain.randomization import (
    check_digit,
    count_sequences,
    draw_arm_key,
    draw_kit_numbers,
    draw_sequence,
    williams_rows,
)

SEED = bytes(range(32))

designs = st.builds(
    Design,
    arms=st.integers(2, 6).map(arm_labels),
    blocks=st.integers(2, 6),
    period_days=st.just(7),
    scheme=st.sampled_from([Scheme.BALANCED, Scheme.RANDOM_BLOCKS, Scheme.PAIRED]),
)
seeds = st.binary(min_size=32, max_size=32)


def test_a_seed_gives_the_same_sequence_for_ever():
    """An auditor redraws old trials: these values may never change."""
    three = Design(("A", "B", "C"), 4, 14)

    assert "".join(draw_sequence(three, SEED)) == GOLDEN_SEQUENCE
    assert draw_arm_key(three.arms, ("x", "y", "z"), SEED) == GOLDEN_KEY
    assert draw_kit_numbers(3, SEED) == GOLDEN_KITS


@given(designs, seeds)
def test_each_block_holds_every_arm_once(design: Design, seed: bytes):
    sequence = draw_sequence(design, seed)

    size = len(design.arms)
    blocks = [sequence[i : i + size] for i in range(0, len(sequence), size)]
    assert len(blocks) == design.blocks
    assert all(sorted(block) == sorted(design.arms) for block in blocks)


@given(designs, seeds)
def test_the_same_seed_draws_the_same(design: Design, seed: bytes):
    assert draw_sequence(design, seed) == draw_sequence(design, seed)


@given(st.integers(2, 5), st.integers(2, 6), seeds)
def test_a_paired_block_reverses_the_one_before(size: int, blocks: int, seed: bytes):
    sequence = draw_sequence(Design(arm_labels(size), blocks, 7, scheme=Scheme.PAIRED), seed)

    for pair in range(0, blocks - 1, 2):
        first = sequence[pair * size : (pair + 1) * size]
        second = sequence[(pair + 1) * size : (pair + 2) * size]
        assert second == first[::-1]


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_williams_rows_balance_places_and_neighbours(size: int):
    rows = williams_rows(size)

    places = Counter((place, arm) for row in rows for place, arm in enumerate(row))
    neighbours = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(places) == size * size
    assert len(set(places.values())) == 1
    assert len(neighbours) == size * (size - 1)
    assert len(set(neighbours.values())) == 1


@given(seeds)
def test_a_whole_square_is_balanced_for_carryover(seed: bytes):
    """With four arms and four blocks every arm follows every other equally often in blocks."""
    sequence = draw_sequence(Design(arm_labels(4), 4, 7), seed)

    pairs = Counter(
        (sequence[i], sequence[i + 1]) for i in range(len(sequence) - 1) if (i + 1) % 4 != 0
    )
    assert set(pairs.values()) == {1}
    assert len(pairs) == 12


@pytest.mark.parametrize("scheme", [Scheme.BALANCED, Scheme.RANDOM_BLOCKS, Scheme.PAIRED])
@pytest.mark.parametrize(("size", "blocks"), [(2, 2), (2, 3), (3, 2)])
def test_every_sequence_is_drawn_and_equally_often(scheme: Scheme, size: int, blocks: int):
    """Chi-squared over 200 draws per sequence stays under its 99.99 % point, roughly."""
    design = Design(arm_labels(size), blocks, 7, scheme=scheme)
    possible = count_sequences(design)
    draws = 200 * possible

    seen = Counter(draw_sequence(design, n.to_bytes(32, "big")) for n in range(draws))

    assert len(seen) == possible
    chi_squared = sum((count - 200) ** 2 / 200 for count in seen.values())
    assert chi_squared < possible + 6 * (2 * possible) ** 0.5 + 8


@given(seeds)
def test_labels_are_dealt_to_treatments_at_random_but_completely(seed: bytes):
    key = draw_arm_key(("A", "B", "C"), ("x", "y", "z"), seed)

    assert sorted(key) == ["A", "B", "C"]
    assert sorted(key.values()) == ["x", "y", "z"]


def test_labels_do_not_follow_the_order_of_entry():
    firsts = Counter(
        draw_arm_key(("A", "B"), ("x", "y"), n.to_bytes(32, "big"))["A"] for n in range(400)
    )

    assert 150 < firsts["x"] < 250


@given(st.integers(2, 40), seeds)
def test_kit_numbers_differ_and_catch_a_mistyped_digit(periods: int, seed: bytes):
    kits = draw_kit_numbers(periods, seed)

    assert len(set(kits)) == periods
    for kit in kits:
        assert check_digit(kit[:-1]) == kit[-1]
        for place in range(6):
            wrong = str((int(kit[place]) + 1) % 10)
            mistyped = kit[:place] + wrong + kit[place + 1 :]
            assert check_digit(mistyped[:-1]) != mistyped[-1]


def test_a_fixed_order_is_taken_as_it_is():
    order = ("A", "B", "B", "A")

    assert (
        draw_sequence(Design(("A", "B"), 2, 7, scheme=Scheme.FIXED, fixed_sequence=order), SEED)
        == order
    )


def test_a_short_seed_is_no_secret():
    with pytest.raises(AllocationError, match="at least 16 bytes"):
        draw_sequence(Design(("A", "B"), 2, 7), b"2026-0001")


def test_each_arm_needs_one_treatment():
    with pytest.raises(AllocationError, match="one treatment for each arm"):
        draw_arm_key(("A", "B"), ("x",), SEED)


GOLDEN_SEQUENCE = "CBAACBCABABC"
GOLDEN_KEY = {"A": "y", "B": "z", "C": "x"}
GOLDEN_KITS = ("315036", "382564", "141812")
