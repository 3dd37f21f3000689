"""The four answers, and why an answer is not the one hoped for."""

from __future__ import annotations

from collections.abc import Sequence

from models.words.phrases import Phrase, chance, labels, number


def best(arm: str, probability: float) -> Phrase:
    """The arm that is named best."""
    return Phrase(
        "%(arm)s is best for this patient: the chance is %(chance)s.",
        {"arm": arm, "chance": chance(probability)},
    )


def best_of_rest(arm: str, probability: float) -> Phrase:
    """The arm that is named best among those not left out for harm."""
    return Phrase(
        "Of those not left out, %(arm)s is best for this patient: the chance is %(chance)s.",
        {"arm": arm, "chance": chance(probability)},
    )


def only_left(arm: str) -> Phrase:
    """The arm that remains when all others are left out for harm."""
    return Phrase(
        "%(arm)s is what remains: everything else is left out for severe side effects.",
        {"arm": arm},
    )


def equal(arms: Sequence[str], margin: float, probability: float) -> Phrase:
    """Arms whose difference does not matter."""
    return Phrase(
        "%(arms)s are practically equal: the chance that they differ by less than %(margin)s "
        "points is %(chance)s. Choose by preference, cost or safety.",
        {"arms": labels(arms), "margin": number(margin), "chance": chance(probability)},
    )


def none_better(comparator: str, margin: float, probability: float) -> Phrase:
    """No arm beats the reference."""
    return Phrase(
        "None is better than the reference %(arm)s: the chance that no other is better by "
        "%(margin)s points or more is %(chance)s.",
        {"arm": comparator, "margin": number(margin), "chance": chance(probability)},
    )


def undetermined(arm: str, probability: float) -> Phrase:
    """The data do not decide."""
    return Phrase(
        "These data cannot tell which is best. %(arm)s is ahead: the chance that it is best is "
        "%(chance)s. Another block may settle it.",
        {"arm": arm, "chance": chance(probability)},
    )


def refused() -> Phrase:
    """No answer is given; the reasons follow."""
    return Phrase("No answer can be given from these data.")


def not_likely_enough(arm: str, probability: float, needed: float) -> Phrase:
    """The leader's probability is below the threshold."""
    return Phrase(
        "The chance that %(arm)s is best is %(chance)s; the protocol asks for %(needed)s %%.",
        {"arm": arm, "chance": chance(probability), "needed": number(100 * needed)},
    )


def too_much_to_lose(arm: str, loss: float, allowed: float) -> Phrase:
    """Choosing the leader could cost too much on average."""
    return Phrase(
        "Choosing %(arm)s could lose %(loss)s points on average; the protocol allows %(allowed)s.",
        {"arm": arm, "loss": number(loss), "allowed": number(allowed)},
    )


def not_enough_over_comparator(
    arm: str, comparator: str, margin: float, probability: float
) -> Phrase:
    """The leader may beat the reference by too little."""
    return Phrase(
        "The chance that %(arm)s is better than the reference %(comparator)s by %(margin)s "
        "points or more is only %(chance)s.",
        {
            "arm": arm,
            "comparator": comparator,
            "margin": number(margin),
            "chance": chance(probability),
        },
    )


def vetoed(arm: str, item: str, limit: float, probability: float) -> Phrase:
    """An arm is left out for harm; an item of no name is not told to a blinded reader."""
    if not item:
        return Phrase(
            "%(arm)s is left out: the chance that a side effect is severe on more than %(limit)s "
            "%% of the days, which the protocol does not accept, is %(chance)s.",
            {"arm": arm, "limit": number(100 * limit), "chance": chance(probability)},
        )
    return Phrase(
        "%(arm)s is left out: the chance that %(item)s is severe on more than %(limit)s %% of the "
        "days, which the protocol does not accept, is %(chance)s.",
        {"arm": arm, "item": item, "limit": number(100 * limit), "chance": chance(probability)},
    )


def difference(a: str, b: str, size: float, probability: float) -> Phrase:
    """How likely a difference of some size is, less being better."""
    if size == 0:
        return Phrase(
            "The chance that %(a)s is better than %(b)s is %(chance)s.",
            {"a": a, "b": b, "chance": chance(probability)},
        )
    return Phrase(
        "The chance that %(a)s is better than %(b)s by %(size)s points or more is %(chance)s.",
        {"a": a, "b": b, "size": number(size), "chance": chance(probability)},
    )


def relative_difference(a: str, b: str, percent: int, probability: float) -> Phrase:
    """How likely a relative reduction is (30 % is moderate, 50 % substantial; IMMPACT 2008)."""
    return Phrase(
        "The chance that the burden on %(a)s is lower than on %(b)s by %(percent)s %% or more "
        "is %(chance)s.",
        {"a": a, "b": b, "percent": str(percent), "chance": chance(probability)},
    )
