"""The verdict: a frozen rule applied to the posterior of the net burden.

The rule sees draws, never an engine, and says one of four things or refuses. Whatever it
refuses, it says why; a refused verdict carries no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from models.words import Phrase


class Kind(StrEnum):
    """What a verdict can say."""

    BEST = "best"
    EQUAL = "equal"
    NONE = "none"
    UNDETERMINED = "undetermined"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the frozen rule says of the posterior.

    Attributes:
        kind: one of the four answers, or refused.
        arm: the best arm (best), the reference (none), None otherwise.
        equal_arms: the arms that are practically equal (equal), else empty.
        sentence: the answer as a phrase to translate.
        reasons: why, most important first; all reasons of a refusal.
        p_best: probability of the lowest net burden by arm; empty when refused.
        expected_loss: mean points lost by choosing the arm; empty when refused.
        vetoed: arms excluded for harm.
        provisional: True until PyMC has confirmed the exact engine.
    """

    kind: Kind
    arm: str | None = None
    equal_arms: tuple[str, ...] = ()
    sentence: Phrase
    reasons: tuple[Phrase, ...] = ()
    p_best: Mapping[str, float] = field(default_factory=dict)
    expected_loss: Mapping[str, float] = field(default_factory=dict)
    vetoed: tuple[str, ...] = ()
    provisional: bool = True


def refuse(reasons: Sequence[Phrase], *, provisional: bool = False) -> Verdict:
    """Return the honest refusal that names all its reasons."""
    return Verdict(
        kind=Kind.REFUSED,
        sentence=Phrase("These data cannot be judged."),
        reasons=tuple(reasons),
        provisional=provisional,
    )
