from __future__ import annotations

import pytest

from models import words
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


@pytest.mark.parametrize(
    ("phrase", "sentence"),
    [
        (
            words.order_by_pain(0.23),
            (
                "The chance that pain alone would put the treatments in another order is "
                "about 23 in 100."
            ),
        ),
        (words.ahead_by("A", "A"), "A is ahead by pain alone and by net burden."),
        (words.ahead_by("A", "B"), "By pain alone A is ahead, by net burden B."),
        (
            words.leader_at_weights(2.0, 0.4),
            (
                "The chance that another one is ahead if side effects weigh twice as much is "
                "about 40 in 100."
            ),
        ),
        (words.lowest_on("C", 0.95), "Lowest on C: the chance is about 95 in 100."),
        (
            words.lowest_on("C", 0.6),
            (
                "These days cannot tell where it is lowest; the chance that it is on C is "
                "about 60 in 100."
            ),
        ),
        (
            words.tipping_point("A", 0.1, 3.0),
            (
                "10 % of the days on A are missing; the verdict changes if they were worse than "
                "foretold by 3 points or more."
            ),
        ),
        (
            words.tipping_point("A", 0.001, -2.0),
            (
                "1 % of the days on A are missing; the verdict changes if they were better than "
                "foretold by 2 points or more."
            ),
        ),
        (
            words.tipping_point("A", 0.1, None),
            "10 % of the days on A are missing; nothing they could have been changes the verdict.",
        ),
        (
            words.foreseen_block(21, 0.857, -0.4),
            (
                "Of the 21 rated days of the last block 86 % lie where the blocks before foretold "
                "nine of ten; on average they were 0.4 points lower."
            ),
        ),
        (
            words.not_told_by_others(2, (8, 13)),
            "For 2 day(s) this figure cannot be trusted without fitting again: day 8, 13.",
        ),
        (words.not_told_by_others(0, ()), "This figure can be trusted for every day."),
    ],
)
def test_what_stands_beside_the_verdict_is_said_in_sentences(phrase, sentence):
    assert render(phrase) == sentence
