"""Sentences and figures of an analysis: labels become names only where they were handed over."""

from collections.abc import Iterator

import pytest
from flask import Flask, request
from flask_babel import Babel

from models import words
from models.words import Phrase
from tests.builders import PROTOCOL
from trials.domain.protocol import Protocol
from trials.services.analysis import Result
from trials.web.phrases import chance_text, listed, number_text, percent_text, say
from trials.web.verdict import read_result, verdict_text

NAMES = {"A": "Ibuprofen", "B": "Amitriptyline", "C": "Placebo"}


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application that can translate, and nothing else."""
    app = Flask(__name__)
    Babel(app, locale_selector=lambda: request.args.get("lang", "en"))
    with app.test_request_context():
        yield app


def kept(phrase: Phrase) -> dict[str, object]:
    """Return a phrase as a summary keeps it."""
    return {
        "message": phrase.message,
        "values": {
            gap: kept(value) if isinstance(value, Phrase) else value
            for gap, value in phrase.values.items()
        },
    }


def test_labels_become_names_for_a_reader_who_may_know(app):
    phrase = kept(words.best("B", 0.97))

    assert say(phrase, NAMES) == (
        "Amitriptyline is best for this patient: the chance is about 97 in 100."
    )
    assert say(phrase) == "B is best for this patient: the chance is about 97 in 100."


def test_several_labels_become_a_list_of_names(app):
    phrase = kept(words.equal(("A", "C"), 0.5, 0.9))

    assert say(phrase, NAMES).startswith("Ibuprofen and Placebo are practically equal")


def test_only_gaps_for_arms_are_filled_with_names(app):
    """A file may call an arm "1"; the number of a period is still a number."""
    phrase = kept(words.too_few_ratings(1, 0.4, 0.6))

    assert say(phrase, {"1": "Ibuprofen"}).startswith("In period 1 only 40 %")


def test_numbers_follow_the_readers_language(app):
    with app.test_request_context("/?lang=de"):
        text = say(kept(words.too_much_to_lose("A", 0.31, 0.25)), NAMES)
        assert "0,31" in text
        assert number_text(-1.25, 1).startswith("\N{MINUS SIGN}1,")
        assert listed(["A", "B"]) == "A und B"


def test_a_probability_never_reads_as_certain(app):
    assert percent_text(0.9999) == "> 99%"
    assert percent_text(0.0001) == "< 1%"
    assert chance_text(0.9999) == "more than 99 in 100"


# ---- the figures of a result ---------------------------------------------------------------------


def figures(mean: float, p_best: float | None = None) -> dict[str, object]:
    found: dict[str, object] = {"mean": mean, "q05": mean - 0.5, "q95": mean + 0.5}
    return found if p_best is None else {**found, "p_best": p_best, "expected_loss": 1 - p_best}


def summary(kind: str = "best", **changed: object) -> dict[str, object]:
    verdict: dict[str, object] = {
        "kind": kind,
        "arm": "B" if kind == "best" else None,
        "equal_arms": [],
        "reasons": [],
    }
    return {
        "arms": {"A": figures(5.0, 0.03), "B": figures(3.0, 0.97)},
        "outcome": {"A": figures(4.0), "B": figures(2.5)},
        "contrasts": [
            {
                "a": "A",
                "b": "B",
                **figures(2.0),
                "p_below": {"-0": 0.01, "-0.5": 0.005, "-1": 0.002, "-2": 0.001},
                "p_above": {"0": 0.99, "0.5": 0.97, "1": 0.9, "2": 0.5},
                "p_equal": 0.02,
            }
        ],
        "verdict": {**verdict, **changed},
    }


def result(values: dict[str, object]) -> Result:
    return Result(None, values, {"A": "Ibuprofen", "B": "Amitriptyline"}, provisional=False)


def test_the_best_treatment_stands_first_and_contrasts_are_turned_its_way(app):
    found = read_result(result(summary()), PROTOCOL, to_patient=False)

    assert [arm.name for arm in found.burden] == ["Amitriptyline", "Ibuprofen"]
    assert [arm.name for arm in found.pain] == ["Amitriptyline", "Ibuprofen"]
    (comparison,) = found.comparisons
    assert (comparison.first, comparison.second) == ("Amitriptyline", "Ibuprofen")
    assert (comparison.mean, comparison.low, comparison.high) == (-2.0, -2.5, -1.5)
    assert (comparison.better, comparison.by) == ("99%", ("97%", "90%", "50%"))


@pytest.mark.parametrize(
    ("kind", "changed", "sentence"),
    [
        ("best", {}, "Amitriptyline is best for you."),
        (
            "equal",
            {"equal_arms": ["A", "B"]},
            "Ibuprofen and Amitriptyline are practically equal for you.",
        ),
        ("none", {"arm": "A"}, "Nothing was better for you than Ibuprofen."),
        ("undetermined", {}, "Your days do not tell which one is best for you."),
        ("refused", {}, "Your days do not allow an answer."),
    ],
)
def test_every_verdict_has_a_sentence_for_the_patient(app, kind, changed, sentence):
    found = read_result(result(summary(kind, **changed)), PROTOCOL, to_patient=True)

    assert found.verdict.sentence == sentence


def test_a_refused_analysis_shows_reasons_and_no_number(app):
    values = summary("refused", reasons=[kept(words.constant_ratings())])
    values |= {"arms": {}, "outcome": {}, "contrasts": []}

    found = read_result(result(values), PROTOCOL, to_patient=False)

    assert found.verdict.reasons == ("All ratings are the same, so they cannot show a difference.",)
    assert found.verdict.chance == ""
    assert found.burden == found.pain == found.comparisons == found.best == ()


def test_a_chance_is_given_only_with_a_clear_answer(app):
    assert verdict_text(summary(), NAMES).chance == "about 97 in 100"
    assert verdict_text(summary("undetermined"), NAMES).chance == ""


def test_without_a_weight_pain_is_shown_once(app):
    from dataclasses import replace

    from trials.domain.design import Outcome

    alone: Protocol = replace(PROTOCOL, outcome=Outcome.PAIN)

    assert read_result(result(summary()), PROTOCOL, to_patient=False).weighted
    assert not read_result(result(summary()), alone, to_patient=False).weighted
