"""What a patient reads can be read at twelve, in every language.

Six or seven years of school: the limit is 7.0 of the measure that is usual in each language
(tests/plugins/reading.py). Names of treatments are given, and counted as a short word.
"""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from flask import Flask
from flask_babel import force_locale, get_translations

from models.decision import Kind
from tests.plugins.reading import school_year
from tools.messages import STAFF_ONLY, collect, texts_for_patients
from trials.services.language import languages
from trials.web import plain_result, verdict
from trials.web.extensions import Languages

LONGEST_SCHOOL = 7.0
ENOUGH_WORDS = 60
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


def figures(kind: Kind, *, weighted: bool) -> SimpleNamespace:
    """Return what the sentences about the meaning look at."""
    return SimpleNamespace(
        burden=[SimpleNamespace(name="it")],
        weighted=weighted,
        verdict=SimpleNamespace(kind=kind.value),
    )


def said(kind: Kind, *, weighted: bool) -> str:
    """Return the answer and what it means, as the result page says them."""
    found = {"arm": "A", "equal_arms": ["A", "B"]}
    answer = verdict._to_patient(kind, found, "A", {"A": "it", "B": "this"})
    return " ".join([answer, *plain_result._meaning(figures(kind, weighted=weighted))])


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("language", languages())
def test_the_four_verdicts_and_the_refusal_can_be_read_at_twelve(
    app: Flask, language: str, kind: Kind, weighted: bool
):
    with force_locale(language):
        text = said(kind, weighted=weighted)

    assert school_year(text, language) <= LONGEST_SCHOOL, text


def prepared(text: str) -> str:
    """Return a text with its gaps filled, as a sentence."""
    short = re.sub(r"%\((names?|first|second)\)s", "it", text.replace("%%", ""))
    filled = re.sub(r"%\(\w+\)s", "3", short).strip()
    return filled if filled.endswith((".", "?", "!", ":")) else f"{filled}."


def pages() -> dict[str, list[str]]:
    """Return the sentences of each page and module that patients read from."""
    found: dict[str, list[str]] = {}
    for message in texts_for_patients(collect()):
        if isinstance(message.id, str) and len(message.id.split()) > 3:
            for name, _line in message.locations:
                if not name.startswith(
                    (*STAFF_ONLY, "models/", "trials/data/", "templates/_macros/charts")
                ):
                    found.setdefault(name, []).append(message.id)
    return {
        name: texts for name, texts in found.items() if len(" ".join(texts).split()) > ENOUGH_WORDS
    }


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
def test_the_measure_knows_a_hard_text(language: str):
    assert school_year(HARD[language], language) > 12
