"""How much of each substance the rescue medicines of a day hold, and whether that is too much.

A rescue medicine is a text that somebody at the clinic typed, such as "Dafalgan 1 g" or
"co-codamol 30/500". What is taken of one substance is summed over all of them, whatever their
names; what an arm gives of it is taken off on every day, so that no answer tells one period from
another.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trials.domain.red_flags import Fact, plain_words


@dataclass(frozen=True, slots=True)
class DailyMaximum:
    """What is taken of a substance in a day at most.

    Attributes:
        names: how it is written, as ``plain_words`` has it.
        treatment: the same substance as an arm; "" for none.
        milligrams: a day from all sources; None where none is known.
        substance: what ``Product.contains`` calls it.
        is_nsaid: whether it is one of those that are not taken together.
        morphine: milligrams of morphine by mouth that one milligram stands for; 0 for no opioid.
    """

    names: tuple[str, ...]
    treatment: str
    milligrams: float | None
    substance: str = ""
    is_nsaid: bool = False
    morphine: float = 0.0


@dataclass(frozen=True, slots=True)
class Product:
    """A brand or a combination.

    Attributes:
        names: how it is written, as ``plain_words`` has it.
        contains: substance -> milligrams of one unit, None where the text has to say it; empty
            for what is used on the skin.
    """

    names: tuple[str, ...]
    contains: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Pharmacy:
    """All that is known of rescue medicines.

    Attributes:
        maxima: of each substance.
        products: brands and combinations.
        doses: how many doses a day of a medicine with no known maximum.
        morphine: milligrams of morphine by mouth that all opioids of a day stay below together.
    """

    maxima: tuple[DailyMaximum, ...]
    products: tuple[Product, ...]
    doses: int
    morphine: float


MOST_DOSES = 100
_STRENGTH = re.compile(
    r"(?P<first>[0-9]+(?:[.,][0-9]+)?)\s*(?P<unit>mg|g\b)?"
    r"(?:\s*/\s*(?P<second>[0-9]+(?:[.,][0-9]+)?)\s*(?P<other>mg|g\b)?)?",
    re.IGNORECASE,
)
_TIMES = re.compile(
    r"\b(?:(?P<twice>twice|bid|bd)|(?P<thrice>tid|tds)|(?P<four>qid|qds)"
    r"|(?P<word>two|three|four|six)\s+times|(?P<count>[1-8])\s*(?:x|\u00d7|times))",
    re.IGNORECASE,
)
_COUNTS = {"two": 2, "three": 3, "four": 4, "six": 6}


def substances_in(medicine: str, pharmacy: Pharmacy) -> dict[str, float | None]:
    """Return the milligrams of each known substance in one dose; None where nothing says it.

    Args:
        medicine: as the diary names it, such as "paracetamol 500 mg".
        pharmacy: what is known.
    """
    found = _named_in(medicine, pharmacy)
    if not found:
        return {}
    contents: dict[str, float | None] = {}
    for contains in found:
        contents |= contains
    strengths = _strengths(medicine)
    if len(contents) == 1:
        (substance, usual), given = *contents.items(), strengths[:1]
        return {substance: given[0] if given else usual}
    if len(strengths) == len(contents):
        if None in contents.values():  # "paracetamol 500 mg + codeine 30 mg": in the same order
            return dict(zip(contents, strengths, strict=True))
        by_size = sorted(contents, key=lambda name: contents[name] or 0.0)
        return dict(zip(by_size, sorted(strengths), strict=True))  # "30/500", in whatever order
    return contents


def _named_in(medicine: str, pharmacy: Pharmacy) -> list[Mapping[str, float | None]]:
    """Return what each name in a text stands for, in order; a longer name hides one within it."""
    known: list[tuple[str, Mapping[str, float | None]]] = [
        (name, {maximum.substance or maximum.treatment: None})
        for maximum in pharmacy.maxima
        for name in maximum.names
    ]
    known += [(name, p.contains) for p in pharmacy.products for name in p.names]
    text = f" {plain_words(medicine)}"
    spans = sorted(
        (
            (at, at + len(name) + 1, contains)
            for name, contains in known
            if (at := text.find(f" {name}")) >= 0
        ),
        key=lambda span: (span[0], -span[1]),
    )
    found, end = [], 0
    for begin, stop, contains in spans:
        if begin >= end:
            found.append(contains)
            end = stop
    return found


def most_doses(rescue: str, doses_of_arms: Mapping[str, str], pharmacy: Pharmacy) -> int:
    """Return how many doses of a rescue medicine a day are safe if no other is taken.

    Args:
        rescue: as the diary names it, such as "paracetamol 500 mg".
        doses_of_arms: catalogue id of each arm -> dose as text, such as "400 mg three times a day".
        pharmacy: what is known.

    """
    most = 0
    for doses in range(1, MOST_DOSES + 1):
        if too_much({rescue: doses}, doses_of_arms, pharmacy):
            break
        most = doses
    return most


def too_much(
    taken: Mapping[str, int], doses_of_arms: Mapping[str, str], pharmacy: Pharmacy
) -> frozenset[Fact]:
    """Return what is too much in the rescue medicines of one day.

    Args:
        taken: rescue medicine as the diary names it -> doses on this day.
        doses_of_arms: catalogue id of each arm -> dose as text.
        pharmacy: what is known.
    """
    contents = {name: substances_in(name, pharmacy) for name, doses in taken.items() if doses}
    maxima = {known.substance or known.treatment: known for known in pharmacy.maxima}
    facts: set[Fact] = set()
    sums: dict[str, float] = {}
    for name, contains in contents.items():
        for substance, milligrams in contains.items():
            if milligrams is not None and substance in maxima:
                sums[substance] = sums.get(substance, 0.0) + milligrams * taken[name]
        has_maximum = any(
            milligrams is not None and maxima[substance].milligrams is not None
            for substance, milligrams in contains.items()
            if substance in maxima
        )
        if not has_maximum and taken[name] > pharmacy.doses:
            facts.add(Fact.TOO_MANY_DOSES)
    given = {
        name: _milligrams_a_day(doses_of_arms.get(known.treatment, ""))
        for name, known in maxima.items()
    }
    for substance, milligrams in sums.items():
        most = maxima[substance].milligrams
        if most is not None and milligrams + given[substance] > most:
            facts.add(Fact.TOO_MANY_DOSES)
    named = {substance for contains in contents.values() for substance in contains}
    if _are_two_nsaids(named, maxima, doses_of_arms):
        facts.add(Fact.TWO_NSAIDS)
    opioids = sum(sums[name] * maxima[name].morphine for name in sums)
    # No two arms are taken on one day, and every day is judged by the strongest.
    strongest = max((given[name] * known.morphine for name, known in maxima.items()), default=0.0)
    if opioids and opioids + strongest >= pharmacy.morphine:
        facts.add(Fact.OPIOIDS_ABOVE_CAP)
    return frozenset(facts)


def _are_two_nsaids(
    named: Iterable[str], maxima: Mapping[str, DailyMaximum], arms: Iterable[str]
) -> bool:
    taken = {name for name in named if name in maxima and maxima[name].is_nsaid}
    in_arms = {n for n, known in maxima.items() if known.is_nsaid and known.treatment in set(arms)}
    return bool(taken) and len(taken | in_arms) > 1


def _strengths(text: str) -> list[float]:
    """Return every strength of a text in milligrams, in order: "30/500" is two."""
    found = []
    for match in _STRENGTH.finditer(text):
        unit, other = match["unit"], match["other"]
        if match["second"]:
            found += [
                _in_milligrams(match["first"], unit or other),
                _in_milligrams(match["second"], other or unit),
            ]
        elif unit:
            found.append(_in_milligrams(match["first"], unit))
    return found


def _in_milligrams(number: str, unit: str | None) -> float:
    return float(number.replace(",", ".")) * (1000 if unit and unit.lower() == "g" else 1)


def _milligrams_a_day(dose: str) -> float:
    """Return what a dose amounts to in a day; a text without a number of times is one dose."""
    found = _TIMES.search(dose)
    if found is None:
        return _milligrams_once(dose)
    fixed = {"twice": 2, "thrice": 3, "four": 4}
    times = next((n for name, n in fixed.items() if found[name]), 1)
    if found["word"]:
        times = _COUNTS[found["word"].lower()]
    if found["count"]:
        times = int(found["count"])
    return times * _milligrams_once(dose)


def _milligrams_once(dose: str) -> float:
    found = _strengths(dose)
    return found[0] if found else 0.0
