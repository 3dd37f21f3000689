"""What the verdict depends on: assumptions, missing days, the weights."""

from __future__ import annotations

from collections.abc import Sequence

from models.words.phrases import Phrase, chance, number


def half_life_times(factor: float) -> Phrase:
    """Effects that fade faster or slower than assumed."""
    if factor < 1:
        return Phrase("effects fade twice as fast as assumed")
    return Phrase("effects fade half as fast as assumed")


def wider_periods() -> Phrase:
    """Periods that may differ more."""
    return Phrase("periods differ twice as much by themselves")


def severe_by_themselves() -> Phrase:
    """Severe days counted without what milder ones tell."""
    return Phrase("severe days are counted without what milder ones tell")


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


def without_late_reports() -> Phrase:
    """Reports of another hour than the evening they tell of, left out."""
    return Phrase(
        "reports that came late, were corrected afterwards or copied from paper are left out"
    )


def without_period(period: int) -> Phrase:
    """One period left out."""
    return Phrase("period %(period)s is left out", {"period": str(period)})


def verdict_holds(held: int, rows: int, changing: Sequence[Phrase]) -> Phrase:
    """In how many ways of seeing it the verdict holds, and what changes it."""
    if not rows:
        return Phrase("No other way of looking at the data leaves enough of them to judge.")
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
