"""What stands beside a verdict: secondary outcomes, guesses, whether the model can foresee."""

from __future__ import annotations

from collections.abc import Sequence

from models.words.phrases import Phrase, chance, number

LIKELY_LOWEST = 0.9
"""From this chance on a secondary outcome is said to be lowest on an arm; no rule hangs on it."""


def lowest_on(arm: str, probability: float) -> Phrase:
    """Which arm has the lowest value of a secondary outcome."""
    if probability >= LIKELY_LOWEST:
        return Phrase(
            "Lowest on %(arm)s: the chance is %(chance)s.",
            {"arm": arm, "chance": chance(probability)},
        )
    return Phrase(
        "These days cannot tell where it is lowest; the chance that it is on %(arm)s is "
        "%(chance)s.",
        {"arm": arm, "chance": chance(probability)},
    )


def too_few_wrong() -> Phrase:
    """Nothing can be repeated among the periods not guessed right."""
    return Phrase(
        "In too few periods the patient was wrong or did not know to repeat the analysis there."
    )


def survives_wrong_guesses(same: bool) -> Phrase:  # noqa: FBT001
    """Whether the verdict is the same among the periods not guessed right."""
    if same:
        return Phrase("Where the patient guessed wrong or did not know, the verdict is the same.")
    return Phrase(
        "Where the patient guessed wrong or did not know, the verdict is another one. With so "
        "few days this may be chance."
    )


def foreseen_block(days: int, inside_90: float, error: float) -> Phrase:
    """How the last block compares with what the blocks before foretold."""
    values = {
        "days": str(days),
        "inside": str(round(100 * inside_90)),
        "error": number(abs(error)),
    }
    if number(error) == "0":
        return Phrase(
            "Of the %(days)s rated days of the last block %(inside)s %% lie where the blocks "
            "before foretold nine of ten; on average they were as foretold.",
            values,
        )
    if error > 0:
        return Phrase(
            "Of the %(days)s rated days of the last block %(inside)s %% lie where the blocks "
            "before foretold nine of ten; on average they were %(error)s points higher.",
            values,
        )
    return Phrase(
        "Of the %(days)s rated days of the last block %(inside)s %% lie where the blocks "
        "before foretold nine of ten; on average they were %(error)s points lower.",
        values,
    )


def foreseen_days(days: int, log_density: float, error: float) -> Phrase:
    """How well each day is told by all the others."""
    return Phrase(
        "Each of the %(days)s days foretold from all the others: log predictive density "
        "%(density)s, standard error %(error)s.",
        {"days": str(days), "density": f"{log_density:.1f}", "error": f"{error:.1f}"},
    )


def not_told_by_others(days: int, numbers: Sequence[int]) -> Phrase:
    """Days whose figure cannot be trusted without fitting again; their numbers when known."""
    if not days:
        return Phrase("This figure can be trusted for every day.")
    if not numbers:
        return Phrase(
            "For %(days)s day(s) this figure cannot be trusted without fitting again; which, "
            "opens with the release.",
            {"days": str(days)},
        )
    return Phrase(
        "For %(days)s day(s) this figure cannot be trusted without fitting again: day %(list)s.",
        {"days": str(days), "list": ", ".join(str(n) for n in numbers)},
    )


def days_not_foretold() -> Phrase:
    """Why single days are not foretold from the others."""
    return Phrase(
        "Single days are not foretold from the others: the model for ratings near an end of the "
        "scale gives no simple figure for that."
    )
