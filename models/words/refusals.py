"""Why no answer is given."""

from __future__ import annotations

from models.words.phrases import Phrase, number


def no_data_on_arm(arm: str) -> Phrase:
    """An arm was never rated."""
    return Phrase("There is no rating on %(arm)s.", {"arm": arm})


def too_few_periods(arm: str, periods: int, needed: int) -> Phrase:
    """An arm cannot be told from its weeks."""
    return Phrase(
        "%(arm)s has %(periods)s period(s) with enough ratings; at least %(needed)s are needed "
        "to tell it from the weeks it was given in.",
        {"arm": arm, "periods": str(periods), "needed": str(needed)},
    )


def too_few_ratings(period: int, share: float, needed: float) -> Phrase:
    """A period has too many missing days."""
    return Phrase(
        "In period %(period)s only %(share)s %% of the days were rated; at least %(needed)s %% "
        "are needed.",
        {
            "period": str(period),
            "share": str(round(100 * share)),
            "needed": str(round(100 * needed)),
        },
    )


def too_few_ratings_overall(share: float, needed: float) -> Phrase:
    """The whole diary has too many missing days."""
    return Phrase(
        "Only %(share)s %% of all days were rated; at least %(needed)s %% are needed.",
        {"share": str(round(100 * share)), "needed": str(round(100 * needed))},
    )


def constant_ratings() -> Phrase:
    """Every rating is the same."""
    return Phrase("All ratings are the same, so they cannot show a difference.")


def period_too_short(arm: str, days: int, half_life: float) -> Phrase:
    """Carryover cannot be told from effect."""
    return Phrase(
        "A period of %(days)s day(s) on %(arm)s is shorter than three of its effect half-lives "
        "(%(half_life)s days each), so its effect cannot be told from what lasts over from "
        "before.",
        {"arm": arm, "days": str(days), "half_life": number(half_life)},
    )


def too_few_for_trend(periods: int) -> Phrase:
    """A drift cannot be told from the arms."""
    return Phrase(
        "With %(periods)s period(s) a drift over time cannot be told from the arms; at least 4 "
        "are needed.",
        {"periods": str(periods)},
    )


def weighed_series_missing(name: str) -> Phrase:
    """The protocol weighs something that was not recorded."""
    return Phrase(
        "The protocol weighs '%(name)s', which was not recorded.",
        {"name": name},
    )


def not_converged(r_hat: float, ess: float, divergences: int) -> Phrase:
    """The sampler's draws cannot be trusted."""
    return Phrase(
        "The sampler did not converge (R-hat %(r_hat)s, effective draws %(ess)s, divergences "
        "%(divergences)s), so its numbers are not shown.",
        {
            "r_hat": f"{r_hat:.3f}",
            "ess": str(round(ess)),
            "divergences": str(divergences),
        },
    )


def weights_unusable(pareto_k: float) -> Phrase:
    """The exact engine's integration cannot be trusted."""
    return Phrase(
        "The integration over the half-lives is not reliable (Pareto k %(k)s), so its numbers "
        "are not shown.",
        {"k": number(pareto_k)},
    )


def engines_disagree() -> Phrase:
    """The two computations of the same posterior differ."""
    return Phrase("Two independent computations of the same answer disagree, so neither is shown.")


def check_failed(what: Phrase) -> Phrase:
    """The fitted model does not look like the data."""
    return Phrase("The model does not describe these data: %(what)s.", {"what": what})


def harm_in_every_arm() -> Phrase:
    """No arm is left to choose."""
    return Phrase("Every arm has too high a chance of severe side effects.")


def harm_unusable(item: str, pareto_k: float) -> Phrase:
    """How often an item is severe cannot be computed reliably."""
    return Phrase(
        "How often %(item)s is severe cannot be computed reliably (Pareto k %(k)s), so no arm can "
        "be judged.",
        {"item": item, "k": number(pareto_k)},
    )
