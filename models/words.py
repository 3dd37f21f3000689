"""Probabilities and verdicts in plain words, in one tested place.

Nothing here is a finished sentence: a :class:`Phrase` is an English message with named gaps
and the values for them. The web passes ``phrase.message`` through gettext and formats it with
``phrase.values``; :func:`render` is the English of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Phrase:
    """A message to translate and what to fill in.

    Attributes:
        message: the English message id with ``%(name)s`` gaps.
        values: a value for each gap: a number is already rounded text, or another Phrase
            which is translated by itself.
    """

    message: str
    values: Mapping[str, str | Phrase] = field(default_factory=dict)


def render(phrase: Phrase) -> str:
    """Return the phrase in English."""
    values = {
        name: render(value) if isinstance(value, Phrase) else value
        for name, value in phrase.values.items()
    }
    return phrase.message % values if values else phrase.message
