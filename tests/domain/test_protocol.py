"""A protocol's hash stands for exactly this agreement."""

from dataclasses import replace

import pytest

from trials.domain.blinding import Blinding
from trials.domain.canonical import plain
from trials.domain.design import DecisionRule, Design, EndsOfScale, Scheme
from trials.domain.errors import ProtocolError
from trials.domain.protocol import Candidate, Protocol, amended, protocol_hash
from trials.store.trial import read_protocol

PROTOCOL = Protocol(
    "Which helps more?",
    (Candidate("ibuprofen", "Ibuprofen", "400 mg"), Candidate("placebo", "Placebo")),
    Design(("A", "B"), 3, 7),
    comparator="placebo",
)


def test_a_protocol_survives_being_written_down():
    again = read_protocol(plain(PROTOCOL))

    assert again == PROTOCOL
    assert protocol_hash(again) == protocol_hash(PROTOCOL)


def test_the_hash_of_a_protocol_never_changes():
    """Frozen trials are checked against it years later."""
    assert protocol_hash(PROTOCOL) == GOLDEN_HASH


@pytest.mark.parametrize(
    "change",
    [
        {"question": "Which helps more"},
        {"bother_weight": 0.4},
        {"comparator": ""},
        {"decision": DecisionRule(best=0.95)},
        {"design": Design(("A", "B"), 3, 8)},
        {"model_version": "crossover-2"},
    ],
)
def test_any_change_changes_the_hash(change: dict[str, object]):
    assert protocol_hash(replace(PROTOCOL, **change)) != protocol_hash(PROTOCOL)


def test_an_amendment_is_a_new_version():
    assert amended(PROTOCOL).version == 2
    assert protocol_hash(amended(PROTOCOL)) != protocol_hash(PROTOCOL)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"candidates": PROTOCOL.candidates[:1]}, "as many candidate treatments as arms"),
        ({"candidates": PROTOCOL.candidates[:1] * 2}, "among the candidates twice"),
        ({"comparator": "aspirin"}, "must be one of the candidates"),
        ({"bother_weight": 9.0}, "between 0 and 5"),
        (
            {
                "design": Design(
                    ("A", "B"), 2, 7, scheme=Scheme.FIXED, fixed_sequence=("A", "B", "A", "B")
                )
            },
            "must be open",
        ),
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(change: dict[str, object], sentence: str):
    with pytest.raises(ProtocolError, match=sentence):
        replace(PROTOCOL, **change)


def test_what_came_later_and_is_not_used_leaves_the_hash_as_it_was():
    limited = replace(PROTOCOL, severe_limit=0.1, frequencies={"nausea": 0.2})
    never = replace(PROTOCOL, ends_of_scale=EndsOfScale.NEVER)

    assert protocol_hash(replace(PROTOCOL, ends_of_scale=EndsOfScale.BY_RULE)) == GOLDEN_HASH
    assert len({protocol_hash(p) for p in (PROTOCOL, limited, never)}) == 3


@pytest.mark.parametrize(
    "change", [{"severe_limit": 0.0}, {"severe_limit": 1.0}, {"frequencies": {"nausea": 1.0}}]
)
def test_how_often_something_comes_is_a_share(change: dict[str, object]):
    with pytest.raises(ProtocolError, match="between 0 and 100"):
        replace(PROTOCOL, **change)


def test_a_known_order_can_be_open():
    fixed = Design(("A", "B"), 2, 7, scheme=Scheme.FIXED, fixed_sequence=("A", "B", "B", "A"))

    assert replace(PROTOCOL, design=fixed, blinding=Blinding.OPEN).design is fixed


def test_a_candidate_needs_a_name_and_a_half_life():
    with pytest.raises(ProtocolError, match="needs a name"):
        Candidate("x", " ")
    with pytest.raises(ProtocolError, match="between 0 and 60 days"):
        Candidate("x", "X", effect_half_life_days=0.0)


GOLDEN_HASH = "aae59cefcee0c1938d358f2afc4b922168b7b1bf689bb2b6c3553a5e38a90f36"
