"""What is taken of one substance is summed over all rescue medicines, whatever their names."""

import pytest

from trials.domain.red_flags import Fact, plain_words
from trials.domain.rescue import DailyMaximum, Pharmacy, most_doses, substances_in, too_much
from trials.services.catalogue import catalogue, read_rows
from trials.services.red_flag_rules import pharmacy

MANY, NSAIDS, OPIOIDS = Fact.TOO_MANY_DOSES, Fact.TWO_NSAIDS, Fact.OPIOIDS_ABOVE_CAP


@pytest.mark.parametrize(
    ("rescue", "arms", "expected"),
    [
        ("Paracetamol 500 mg", {}, 8),
        ("paracetamol 1 g", {}, 4),
        ("Paracétamol 500 mg", {}, 8),
        ("Acetaminophen 325 mg", {}, 12),
        ("Paracetamol 500 mg", {"paracetamol": "1 g three times a day"}, 2),
        ("Paracetamol 500 mg", {"paracetamol": "1000 mg 4x"}, 0),
        ("Ibuprofen 400 mg", {"ibuprofen": "400 mg three times a day"}, 3),
        ("Ibuprofen 400 mg", {"paracetamol": "1 g four times a day"}, 6),
        ("Tilidin drops", {}, 8),
        ("Paracetamol", {}, 8),
        ("Dafalgan 1 g", {}, 4),
        ("Nurofen 400 mg", {}, 6),
        ("co-codamol 30/500", {}, 8),
        ("Zaldiar", {}, 10),
        ("Dihydrocodeine 30 mg", {}, 8),
        ("Oxycodone 10 mg", {}, 5),
        ("Oxycodone 5 mg", {}, 8),
        ("Naproxen 250 mg", {"ibuprofen": "400 mg three times a day"}, 0),
    ],
)
def test_the_daily_maximum_takes_off_what_an_arm_gives(rescue, arms, expected):
    assert most_doses(rescue, arms, pharmacy()) == expected


def test_a_maximum_is_never_below_none():
    tiny = Pharmacy((DailyMaximum(("x",), "x", 100.0),), (), doses=8, morphine=90.0)

    assert most_doses("x 50 mg", {"x": "300 mg"}, tiny) == 0


@pytest.mark.parametrize(
    ("medicine", "expected"),
    [
        ("Paracetamol 500 mg", {"paracetamol": 500}),
        ("Dafalgan 1 g", {"paracetamol": 1000}),
        ("Dafalgan Cod\u00e9ine", {"paracetamol": 500, "codeine": 30}),
        ("co-codamol 8/500", {"paracetamol": 500, "codeine": 8}),
        ("Co-codamol 500 mg/15 mg", {"paracetamol": 500, "codeine": 15}),
        ("Ixprim 37.5 mg/325 mg", {"paracetamol": 325, "tramadol": 37.5}),
        ("paracetamol 500 mg + codeine 30 mg", {"paracetamol": 500, "codeine": 30}),
        ("Tylenol", {"paracetamol": None}),
        ("Voltaren Emulgel 1 %", {}),
        ("Dihydrocodein 60 mg", {"dihydrocodeine": 60}),
        ("Targin 10/5 mg", {"oxycodone": 10}),
        ("Tilidin drops", {}),
    ],
)
def test_a_medicine_is_known_by_its_brand_and_by_its_parts(medicine: str, expected: dict):
    assert substances_in(medicine, pharmacy()) == expected


@pytest.mark.parametrize(
    ("taken", "arms", "expected"),
    [
        ({"paracetamol 500 mg": 8, "Paracetamol 1 g": 4}, {}, {MANY}),  # 8 g
        ({"paracetamol 500 mg": 4, "Dafalgan 1 g": 2}, {}, set()),
        ({"paracetamol 500 mg": 4, "Dafalgan 1 g": 3}, {}, {MANY}),
        ({"co-codamol 8/500": 5, "Doliprane 1 g": 2}, {}, {MANY}),
        ({"Zaldiar": 4, "tramadol 100 mg": 3}, {}, {MANY, OPIOIDS}),  # 450 mg, 90 of morphine
        ({"paracetamol 1 g": 2}, {"paracetamol": "1 g three times a day"}, {MANY}),
        ({"ibuprofen 400 mg": 1, "Aleve 220 mg": 1}, {}, {NSAIDS}),
        ({"ibuprofen 400 mg": 1, "Nurofen 200 mg": 1}, {}, set()),
        ({"ibuprofen 400 mg": 1, "Voltaren Emulgel": 4}, {}, set()),
        ({"ibuprofen 400 mg": 1}, {"naproxen": "500 mg twice a day"}, {NSAIDS}),
        ({"ibuprofen 400 mg": 0, "paracetamol 500 mg": 2}, {"naproxen": "500 mg"}, set()),
        ({"oxycodone 10 mg": 5}, {}, set()),  # 75 mg of morphine equivalents
        ({"oxycodone 10 mg": 6}, {}, {OPIOIDS}),  # 90 mg
        ({"oxycodone 10 mg": 3, "tramadol 50 mg": 5}, {}, {OPIOIDS}),  # 45 + 50 mg
        ({"oxycodone 5 mg": 2}, {"morphine_sr": "40 mg twice a day"}, {OPIOIDS}),
        ({"Tilidin drops": 9}, {}, {MANY}),
        ({}, {"naproxen": "500 mg", "ibuprofen": "400 mg"}, set()),
    ],
)
def test_a_day_is_judged_by_all_that_was_taken(taken, arms, expected):
    assert too_much(taken, arms, pharmacy()) == expected


def test_brands_and_substances_are_written_as_they_are_read_and_known():
    substances = {known.substance for known in pharmacy().maxima}
    for product in pharmacy().products:
        assert set(product.contains) <= substances, product
        assert all(plain_words(name) == name for name in product.names), product
    for row in (*read_rows("medicines.csv"), *read_rows("daily_maximum.csv")):
        assert row["source"], row
        assert row["confidence"] in {"V", "M", "J"}, row
    treatments = {known.treatment for known in pharmacy().maxima} - {""}
    assert treatments <= set(catalogue())
