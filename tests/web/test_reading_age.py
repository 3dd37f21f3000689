"""What a patient reads can be read at twelve, in every language.

Six or seven years of school: the limit is 7.0 of the measure that is usual in each language
(tests/plugins/reading.py). Names of treatments are given, and counted as a short word.
"""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale, get_translations

from models import words
from models.decision import Kind
from tests.plugins.reading import school_year
from tools.messages import STAFF_ONLY, collect, texts_for_patients
from trials.services.language import languages
from trials.services.red_flag_rules import rules
from trials.web import plain_result, verdict
from trials.web.extensions import Languages

LONGEST_SCHOOL = 7.0
ENOUGH_WORDS = 60
SAFETY = (
    "templates/entrance/help.html",
    "templates/patient/clinic.html",
    "templates/patient/closed.html",
    "templates/patient/help.html",
    "templates/patient/mood.html",
    "templates/patient/mood_help.html",
    "templates/patient/problem.html",
    "templates/patient/thanks.html",
    "trials/data/red_flags.csv",
)
HARD = {
    "en": "Notwithstanding considerable heterogeneity, posterior probabilities demonstrate "
    "statistically negligible superiority of the pharmacological intervention administered.",
    "de": "Ungeachtet beträchtlicher Heterogenität belegen die Wahrscheinlichkeitsverteilungen "
    "eine statistisch vernachlässigbare Überlegenheit der pharmakologischen Intervention.",
    "fr": "Nonobstant une hétérogénéité considérable, les probabilités postérieures démontrent "
    "une supériorité statistiquement négligeable de l'intervention pharmacologique administrée.",
    "es": "No obstante la considerable heterogeneidad, las probabilidades posteriores demuestran "
    "una superioridad estadísticamente insignificante de la intervención farmacológica.",
}


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """An application that can translate, and nothing else."""
    app = Flask(__name__)
    Languages(app)
    with app.test_request_context():
        yield app


def summary(kind: Kind, left_out: tuple[str, ...]) -> dict[str, object]:
    """Return what an analysis keeps of its verdict; ``left_out`` are arms of A, B and C."""
    vetoes = [words.vetoed(arm, "nausea", 0.1, 0.97) for arm in left_out]
    return {
        "arms": {arm: {"p_best": 0.5} for arm in "ABC"},
        "verdict": {
            "kind": kind.value,
            "arm": "A",
            "equal_arms": ["A", "B"],
            "reasons": [],
            "vetoed": list(left_out),
            "vetoes": [{"message": v.message, "values": dict(v.values)} for v in vetoes],
        },
    }


def said(kind: Kind, *, weighted: bool, left_out: tuple[str, ...] = ()) -> str:
    """Return the answer and what it means, as the result page says them."""
    answer = verdict.verdict_text(
        summary(kind, left_out), {"A": "it", "B": "this", "C": "that"}, to_patient=True
    )
    figures: Any = SimpleNamespace(
        burden=[SimpleNamespace(name="it")], weighted=weighted, verdict=answer
    )
    return " ".join([answer.sentence, *plain_result._meaning(figures)])


@pytest.mark.parametrize("left_out", [(), ("C",), ("B", "C")])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("language", languages())
def test_the_four_verdicts_and_the_refusal_can_be_read_at_twelve(
    app: Flask, language: str, kind: Kind, weighted: bool, left_out: tuple[str, ...]
):
    with force_locale(language):
        text = said(kind, weighted=weighted, left_out=left_out)

    assert school_year(text, language) <= LONGEST_SCHOOL, text


def prepared(text: str) -> str:
    """Return a text with its gaps filled, as a sentence."""
    short = re.sub(r"%\((names?|first|second|arm|arms|item|kind)\)s", "it", text.replace("%%", ""))
    filled = re.sub(r"%\(\w+\)s", "3", short).strip()
    return filled if filled.endswith((".", "?", "!", ":")) else f"{filled}."


NOT_PAGES = ("models/", "trials/data/side_effects.csv", "templates/_macros/charts")
"""Phrases, names and descriptions of pictures: parts of sentences rather than a text."""


def pages() -> dict[str, list[str]]:
    """Return the sentences of each page and module that patients read from.

    Short pages about safety stand by themselves, all other short ones are read as one.
    """
    found: dict[str, list[str]] = {}
    for message in texts_for_patients(collect()):
        if isinstance(message.id, str) and len(message.id.split()) > 3:
            for name, _line in message.locations:
                if not name.startswith((*STAFF_ONLY, *NOT_PAGES)):
                    found.setdefault(name, []).append(message.id)
    short = [
        name
        for name, texts in found.items()
        if len(" ".join(texts).split()) <= ENOUGH_WORDS and name not in SAFETY
    ]
    rest = [text for name in sorted(short) for text in found.pop(name)]
    return found | {"short pages": rest}


@pytest.mark.parametrize("language", languages())
def test_every_page_can_be_read_at_twelve(app: Flask, language: str):
    with force_locale(language):
        look_up = get_translations().gettext
        hard = {
            name: round(year, 1)
            for name, texts in pages().items()
            if (year := school_year(" ".join(prepared(look_up(t)) for t in texts), language))
            > LONGEST_SCHOOL
        }

    assert hard == {}


@pytest.mark.parametrize("language", languages())
def test_every_advice_after_a_red_flag_can_be_read_at_twelve(app: Flask, language: str):
    """Each text by itself: it is read alone, in an emergency, and not on average."""
    with force_locale(language):
        look_up = get_translations().gettext
        read = {rule.id: school_year(look_up(rule.text), language) for rule in rules().values()}

    assert {rule: round(year, 1) for rule, year in read.items() if year > LONGEST_SCHOOL} == {}


def test_the_pages_about_safety_are_among_those_that_are_read():
    assert set(SAFETY) <= set(pages())
    assert "models/words/verdicts.py" in {
        name for message in texts_for_patients(collect()) for name, _line in message.locations
    }


@pytest.mark.parametrize("language", languages())
def test_the_measure_knows_a_hard_text(language: str):
    assert school_year(HARD[language], language) > 12
