"""Side effects that the diary asks item by item: what is known of each before the trial."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import ModelInputError

SEVEREST = 3
"""The usual grades: 0 none, 1 mild, 2 moderate, 3 severe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffectItem:
    """One side effect with its grades.

    Attributes:
        name: of its series in ``TrialData.severities``.
        severest: the highest grade, 0 being none; 1 makes it yes or no.
        severe: the grade from which on a day counts as severe.
        graded: whether the grades below severe tell of severe days too; otherwise a day is severe
            or it is not.
        frequency: share that the label states, where a rare item starts; None where it states
            none. It is of the item, never of an arm: else a posterior would tell the arms apart.
    """

    name: str
    severest: int = SEVEREST
    severe: int = SEVEREST
    graded: bool = True
    frequency: float | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ModelInputError("Every side effect needs a name.")
        if not 1 <= self.severe <= self.severest:
            raise ModelInputError(
                f"The grade of '{self.name}' that counts as severe lies between 1 and its highest."
            )
        if self.frequency is not None and not 0 < self.frequency < 1:
            raise ModelInputError(
                f"The frequency of '{self.name}' is a share: above 0 and below 1."
            )
