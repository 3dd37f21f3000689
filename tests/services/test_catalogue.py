"""The catalogue is whole, and its numbers follow from each other."""

import csv
import re
from importlib.resources import files

import pytest

from trials.domain.catalogue import Kind, propose_days, union_of_side_effects
from trials.domain.design import washout_needed
from trials.domain.diary import SideEffect
from trials.services.catalogue import catalogue, frequencies_of, side_effect_terms

TREATMENTS = list(catalogue().values())


def test_the_core_menu_is_there():
    core = [t for t in TREATMENTS if t.core]

    assert len(core) == 24
    assert {"amitriptyline", "duloxetine", "pregabalin", "placebo", "tens"} <= {t.id for t in core}


@pytest.mark.parametrize("treatment", TREATMENTS, ids=lambda t: t.id)
def test_a_treatment_is_consistent(treatment):
    assert treatment.source
    assert set(treatment.confidence.split("/")) <= {"V", "M", "J"}
    assert treatment.effect_half_life_days >= 0.25
    if treatment.half_life_hours is not None and treatment.washout_days is not None:
        assert treatment.washout_days >= washout_needed(treatment.half_life_hours)
    if treatment.period_days is not None and treatment.kind is Kind.DRUG:
        assert treatment.period_days >= 5


@pytest.mark.parametrize(
    ("treatment", "days"), [("amitriptyline", 1.25), ("duloxetine", 0.5), ("paracetamol", 0.25)]
)
def test_the_effect_half_life_is_the_plasma_half_life_or_a_quarter_of_a_day(treatment, days):
    assert catalogue()[treatment].effect_half_life_days == days


def test_labels_are_words_for_patients():
    """No editor's remark may stand where a patient reads."""
    for term in side_effect_terms().values():
        assert not re.search(r"\b(never|ask|optional|screen|text)\b", term.label), term.label


def test_thoughts_of_self_harm_are_no_item_among_others():
    everything = union_of_side_effects(TREATMENTS, dict(side_effect_terms()))

    assert "suicidal_thoughts" not in side_effect_terms()
    assert "suicidal_thoughts" not in {item.key for item in everything}
    assert len(everything) <= 12


def test_the_longest_washout_and_period_are_proposed():
    days = propose_days([catalogue()["amitriptyline"], catalogue()["paracetamol"]])

    assert (days.period_days, days.washout_days) == (42, 7)


def test_the_list_is_the_same_whichever_arm_is_named_first():
    first, second = catalogue()["naproxen"], catalogue()["gabapentin"]
    terms = dict(side_effect_terms())

    assert union_of_side_effects([first, second], terms) == union_of_side_effects(
        [second, first], terms
    )


def test_every_frequency_is_of_a_side_effect_there_is_and_has_its_source():
    text = (files("trials.data") / "side_effect_frequencies.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    known = set(side_effect_terms())

    for row in csv.DictReader(lines):
        assert row["id"] in known
        assert 0 < float(row["share"]) < 1
        assert row["class"] in {"very common", "common", "uncommon"}
        assert row["source"]
        assert row["confidence"] in {"V", "M", "J"}


def test_frequencies_are_of_the_items_alone():
    items = (SideEffect("nausea", "Feeling sick"), SideEffect("own", "Something else"))

    assert frequencies_of(items) == {"nausea": 0.2}
