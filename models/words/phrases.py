"""A message with gaps and what fills them; how numbers and chances are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Phrase:
    """A message to translate and what to fill in.

    Attributes:
        message: the English message id with ``%(name)s`` gaps.
        values: a value for each gap: text as it is (a label, a rounded number), or another
            phrase, which is translated by itself.
    """

    message: str
    values: Mapping[str, str | Phrase] = field(default_factory=dict)


def render(phrase: Phrase, translate: Callable[[str], str] = str) -> str:
    """Return the phrase as text, each message translated by ``translate`` (English: as it is)."""
    values = {
        name: render(value, translate) if isinstance(value, Phrase) else value
        for name, value in phrase.values.items()
    }
    return translate(phrase.message) % values


def labels(names: Sequence[str]) -> str:
    """Return masked labels as a list: ``A, B, C``."""
    return ", ".join(names)


def number(value: float) -> str:
    """Return a number for reading: at most two decimals, no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def chance(probability: float) -> Phrase:
    """Return how likely something is, as a count of 100 that never claims certainty."""
    if probability > 0.99:
        return Phrase("more than 99 in 100")
    if probability < 0.01:
        return Phrase("less than 1 in 100")
    return Phrase("about %(count)s in 100", {"count": str(round(100 * probability))})
