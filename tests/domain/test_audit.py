"""Whoever tampers with the trail breaks the chain at that place."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from trials.domain.audit import FIRST_LINK, AuditRecord, first_broken, link_hash


def _chain(length: int) -> list[tuple[AuditRecord, str]]:
    found, previous = [], FIRST_LINK
    for number in range(1, length + 1):
        record = AuditRecord(
            number,
            datetime(2026, 3, number % 28 + 1, tzinfo=UTC),
            "",
            "a",
            "clinician",
            "edit",
            f"trial:{number}",
            {"title": "x"},
            {"title": "y"},
            "",
        )
        previous = link_hash(previous, record)
        found.append((record, previous))
    return found


def test_an_untouched_chain_holds():
    assert first_broken(_chain(20)) is None
    assert first_broken([]) is None


@given(st.integers(1, 20), st.sampled_from(["actor", "why", "subject", "local_at", "action"]))
def test_a_changed_record_is_found(number: int, field: str):
    chain = _chain(20)
    record, stored = chain[number - 1]
    chain[number - 1] = (replace(record, **{field: "forged"}), stored)

    assert first_broken(chain) == number


@given(st.integers(1, 19))
def test_a_removed_record_is_found(number: int):
    chain = _chain(20)
    del chain[number - 1]

    assert first_broken(chain) == number


@given(st.integers(1, 19))
def test_swapped_records_are_found(number: int):
    chain = _chain(20)
    chain[number - 1], chain[number] = chain[number], chain[number - 1]

    assert first_broken(chain) == number


def test_a_forger_must_rewrite_everything_behind():
    chain = _chain(20)
    record = replace(chain[4][0], why="forged")
    chain[4] = (record, link_hash(chain[3][1], record))

    assert first_broken(chain) == 6
