"""Read the red flags that come with Lenitive: rules, groups of treatments, words, maxima."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from trials.domain.protocol import Protocol
from trials.domain.red_flags import (
    Call,
    Rule,
    Urgency,
    pattern_of,
    plain_words,
    read_trigger,
)
from trials.domain.rescue import DailyMaximum, Pharmacy, Product
from trials.services.catalogue import catalogue, read_rows


@dataclass(frozen=True, slots=True)
class Group:
    """Treatments that a red flag names together, and how a rescue medicine of it is written."""

    name: str
    treatments: frozenset[str]
    names: tuple[str, ...]


SUICIDE = "RF-SUICIDE"
NO_DIARY = "RF-NODIARY"
MOOD_ITEM = "low_mood"
SCREENED_ITEM = "suicidal_thoughts"


@cache
def rules() -> Mapping[str, Rule]:
    """Return every red flag by id, in the order of the file."""
    return MappingProxyType(
        {
            row["id"]: Rule(
                id=row["id"],
                title=row["title"],
                urgency=Urgency(row["urgency"]),
                trigger=read_trigger(row["trigger"]),
                immediate_if=read_trigger(row["immediate_if"]),
                call=Call(row["call"]),
                text=row["text"],
                button=row["button"],
                source=row["source"],
                confidence=row["confidence"],
            )
            for row in read_rows("red_flags.csv")
        }
    )


@cache
def patterns() -> Mapping[str, str]:
    """Return sign -> regular expression for notes, with the words of every language.

    In distress people write in the language they grew up with, whatever the app speaks.
    """
    phrases: dict[str, list[str]] = {}
    for row in read_rows("red_flag_words.csv"):
        phrases.setdefault(row["sign"], []).extend(row["phrases"].split(";"))
    return MappingProxyType({sign: pattern_of(found) for sign, found in phrases.items()})


@cache
def pharmacy() -> Pharmacy:
    """Return what is known of rescue medicines: daily maxima, brands, combinations."""
    rows = {row["substance"]: row for row in read_rows("daily_maximum.csv")}
    other, cap = rows.pop("other"), rows.pop("morphine equivalents")
    return Pharmacy(
        maxima=tuple(
            DailyMaximum(
                names=tuple(row["names"].split(";")),
                treatment=row["treatment"],
                milligrams=float(row["milligrams"]) if row["milligrams"] else None,
                substance=substance,
                is_nsaid=row["nsaid"] == "yes",
                morphine=float(row["mme"] or 0),
            )
            for substance, row in rows.items()
        ),
        products=tuple(
            Product(tuple(row["names"].split(";")), MappingProxyType(_contents(row["contains"])))
            for row in read_rows("medicines.csv")
        ),
        doses=int(other["doses"]),
        morphine=float(cap["milligrams"]),
    )


def _contents(text: str) -> dict[str, float | None]:
    """Return what "paracetamol:500;codeine" stands for."""
    parts = (part.partition(":") for part in text.split(";") if part)
    return {name: float(strength) if strength else None for name, _colon, strength in parts}


def groups_of(protocol: Protocol) -> frozenset[str]:
    """Return the groups that any arm of the trial, or its rescue medicine, belongs to."""
    rescue = plain_words(" ".join(protocol.questionnaire.rescue_medicines))
    return frozenset(
        group.name
        for group in _groups()
        if group.treatments & set(protocol.treatments)
        or any(name in rescue for name in group.names)
    )


@cache
def _groups() -> tuple[Group, ...]:
    return tuple(
        Group(row["group"], frozenset(row["treatments"].split(";")), tuple(row["names"].split(";")))
        for row in read_rows("red_flag_groups.csv")
    )


def asks_about_mood(protocol: Protocol) -> bool:
    """Return whether any arm calls for the questions about mood; then every period has them."""
    known = catalogue()
    return any(
        SCREENED_ITEM in known[treatment].side_effects
        for treatment in protocol.treatments
        if treatment in known
    )
