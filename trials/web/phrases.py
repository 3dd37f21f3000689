"""The sentences of an analysis in the reader's language, with treatments for masked arms.

A fit's summary keeps its sentences as ``{"message": ..., "values": {...}}`` (see
``models.words.Phrase``): an English message with named gaps, and what goes into them. Here
the message is translated, numbers are written as the reader writes them, and the masked
labels become treatment names - where the caller may know them and hands them over.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from babel.lists import format_list
from flask_babel import format_decimal, format_percent, get_locale, gettext

from models.words import Phrase, chance
from trials.services.catalogue import side_effect_terms
from trials.web.charts import whole_percent

type Names = Mapping[str, str]
"""Treatment name of each masked label; empty while the reader is blinded."""

ARM_GAPS = frozenset({"arm", "arms", "a", "b", "comparator"})
"""Gaps that hold masked labels, several of them separated by a comma."""

ITEM_GAP = "item"
"""The gap that holds the key of a side effect."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def say(phrase: object, names: Names | None = None) -> str:
    """Return a phrase of a summary as a sentence of the reader's language.

    Args:
        phrase: ``{"message": ..., "values": ...}``, or a ``Phrase``.
        names: treatment of each masked label, for a reader who may know it.
    """
    message, values = _parts(phrase)
    filled = {gap: _filled(gap, value, names or {}) for gap, value in values.items()}
    return str(gettext(message)) % filled


def name_of(label: str, names: Names | None = None) -> str:
    """Return the treatment of a masked label where it may be known, else the label."""
    return (names or {}).get(label, label)


def item_name(key: str) -> str:
    """Return a side effect as patients read it; one the catalogue does not know by its key."""
    known = side_effect_terms().get(key)
    return str(gettext(known.label)) if known else key


def listed(items: Sequence[str]) -> str:
    """Return names as a list of the reader's language: "A, B and C"."""
    return format_list(list(items), locale=get_locale())


def chance_text(probability: float) -> str:
    """Return how likely something is, as a count of a hundred: "about 96 in 100"."""
    return say(chance(probability))


def percent_text(probability: float) -> str:
    """Return a probability in whole percents that never reads as certain: "> 99 %"."""
    sign, share = whole_percent(probability)
    return f"{sign} {format_percent(share)}".strip()


def number_text(value: float, digits: int = 1) -> str:
    """Return a number with so many decimals, with a true minus sign."""
    rounded = round(value, digits) + 0.0
    pattern = f"0.{'0' * digits}" if digits else "0"
    return str(format_decimal(rounded, format=pattern)).replace("-", "\N{MINUS SIGN}")


def _parts(phrase: object) -> tuple[str, Mapping[str, object]]:
    if isinstance(phrase, Phrase):
        return phrase.message, phrase.values
    if isinstance(phrase, Mapping):
        values = phrase.get("values", {})
        return str(phrase["message"]), values if isinstance(values, Mapping) else {}
    raise TypeError(f"{type(phrase).__name__} is no phrase")


def _filled(gap: str, value: object, names: Names) -> str:
    if isinstance(value, Phrase | Mapping):
        return say(value, names)
    text = str(value)
    if gap == ITEM_GAP:
        return str(
            gettext(
                "\N{LEFT DOUBLE QUOTATION MARK}%(name)s\N{RIGHT DOUBLE QUOTATION MARK}",
                name=item_name(text),
            )
        )
    if gap in ARM_GAPS:
        return listed([name_of(label, names) for label in text.split(", ")])
    return format_decimal(Decimal(text)) if _NUMBER.fullmatch(text) else text
