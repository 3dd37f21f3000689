"""Probabilities and verdicts in plain words, in one tested place.

Nothing here is a finished sentence: a :class:`Phrase` is an English message with named gaps
and the values for them. The web passes ``phrase.message`` through gettext and fills in
``phrase.values``; :func:`render` is the English of the command line. Messages are written as
the literal first argument of ``Phrase(...)``, so that ``pybabel extract -k Phrase`` finds them.
"""

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


# -- the four answers ----------------------------------------------------------------------


def best(arm: str, probability: float) -> Phrase:
    """The arm that is named best."""
    return Phrase(
        "%(arm)s is best for this patient: the chance is %(chance)s.",
        {"arm": arm, "chance": chance(probability)},
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


# -- why an answer is not the one hoped for -------------------------------------------------


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


def vetoed(arm: str, probability: float) -> Phrase:
    """An arm is left out for harm."""
    return Phrase(
        "%(arm)s is left out: the chance that severe side effects come more often than the "
        "protocol accepts is %(chance)s.",
        {"arm": arm, "chance": chance(probability)},
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


# -- refusals --------------------------------------------------------------------------------


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


# -- what the verdict depends on ---------------------------------------------------------------


def half_life_times(factor: float) -> Phrase:
    """Effects that fade faster or slower than assumed."""
    if factor < 1:
        return Phrase("effects fade twice as fast as assumed")
    return Phrase("effects fade half as fast as assumed")


def wider_periods() -> Phrase:
    """Periods that may differ more."""
    return Phrase("periods differ twice as much by themselves")


def ends_cut_off() -> Phrase:
    """The model for ratings near an end of the scale, where the continuous one was used."""
    return Phrase("ratings are taken as rounded and cut off at the ends of the scale")


def ends_continuous() -> Phrase:
    """The continuous model, where that for ratings near an end of the scale was used."""
    return Phrase("ratings are taken as if the scale had no ends")


def weights_times(factor: float) -> Phrase:
    """Side effects that weigh less or more."""
    if factor < 1:
        return Phrase("side effects weigh half as much")
    return Phrase("side effects weigh twice as much")


def as_assigned() -> Phrase:
    """Doses counted as assigned instead of as taken."""
    return Phrase("every dose is counted as taken")


def as_taken() -> Phrase:
    """Doses counted as the patient reported them instead of as assigned."""
    return Phrase("doses are counted as the patient reported them")


def without_period(period: int) -> Phrase:
    """One period left out."""
    return Phrase("period %(period)s is left out", {"period": str(period)})


def verdict_holds(held: int, rows: int, changing: Sequence[Phrase]) -> Phrase:
    """In how many ways of seeing it the verdict holds, and what changes it."""
    counts: dict[str, str | Phrase] = {"held": str(held), "rows": str(rows)}
    if not changing:
        return Phrase(
            "The verdict holds in all %(rows)s other ways of looking at the data.", counts
        )
    return Phrase(
        "The verdict holds in %(held)s of %(rows)s other ways of looking at the data; it changes "
        "if %(what)s.",
        {**counts, "what": _listed(changing)},
    )


def _listed(phrases: Sequence[Phrase]) -> Phrase:
    """Return phrases as one, joined by "or if"."""
    first, *rest = phrases
    if not rest:
        return first
    return Phrase("%(first)s, or if %(rest)s", {"first": first, "rest": _listed(rest)})


def tipping_point(arm: str, share: float, points: float | None) -> Phrase:
    """How different the missing days of an arm would have to be."""
    values = {"arm": arm, "share": str(max(1, round(100 * share)))}
    if points is None:
        return Phrase(
            "%(share)s %% of the days on %(arm)s are missing; nothing they could have been "
            "changes the verdict.",
            values,
        )
    values["points"] = number(abs(points))
    if points > 0:
        return Phrase(
            "%(share)s %% of the days on %(arm)s are missing; the verdict changes if they were "
            "worse than foretold by %(points)s points or more.",
            values,
        )
    return Phrase(
        "%(share)s %% of the days on %(arm)s are missing; the verdict changes if they were "
        "better than foretold by %(points)s points or more.",
        values,
    )


# -- pain alone, and other weights -------------------------------------------------------------


def order_by_pain(probability: float) -> Phrase:
    """How likely pain alone orders the arms otherwise than the net burden."""
    return Phrase(
        "The chance that pain alone would put the treatments in another order is %(chance)s.",
        {"chance": chance(probability)},
    )


def ahead_by(pain: str, burden: str) -> Phrase:
    """Which arm is ahead by pain alone and by net burden."""
    if pain == burden:
        return Phrase("%(arm)s is ahead by pain alone and by net burden.", {"arm": pain})
    return Phrase(
        "By pain alone %(a)s is ahead, by net burden %(b)s.",
        {"a": pain, "b": burden},
    )


def leader_at_weights(factor: float, probability: float) -> Phrase:
    """How likely another arm is ahead at other weights."""
    return Phrase(
        "The chance that another one is ahead if %(what)s is %(chance)s.",
        {"what": weights_times(factor), "chance": chance(probability)},
    )


# -- secondary outcomes ------------------------------------------------------------------------

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


# -- what the patient guessed --------------------------------------------------------------------


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


# -- can the model foresee? ------------------------------------------------------------------------


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
