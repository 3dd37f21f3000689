from __future__ import annotations

import pytest

from models.words import Phrase, chance, number, render, undetermined


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (1.0, "more than 99 in 100"),
        (0.9901, "more than 99 in 100"),
        (0.99, "about 99 in 100"),
        (0.874, "about 87 in 100"),
        (0.01, "about 1 in 100"),
        (0.0099, "less than 1 in 100"),
        (0.0, "less than 1 in 100"),
    ],
)
def test_a_chance_is_a_count_of_a_hundred_and_never_certain(probability, words):
    assert render(chance(probability)) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (1.0, "1"),
        (2.345, "2.35"),
        (-0.001, "0"),
        (0.0, "0"),
        (10.0, "10"),
        (100.0, "100"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_sentence_is_translated_with_its_parts():
    german = {
        "about %(count)s in 100": "etwa %(count)s von 100",
        undetermined("B", 0.8).message: "%(arm)s liegt vorn: %(chance)s.",
    }

    assert render(undetermined("B", 0.8), german.__getitem__) == "B liegt vorn: etwa 80 von 100."


def test_a_percent_sign_is_written_once():
    assert render(Phrase("%(share)s %%", {"share": "30"})) == "30 %"
