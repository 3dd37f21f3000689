"""What stands beside a verdict, as a page shows it: tables of text and plain sentences.

The same value serves the analyst, by masked arms while the trial is blinded, and after the
release the clinician. Nothing of it decides anything, and the pages say so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_babel.speaklater import LazyString

from models.decision import Kind
from models.guess import BangIndex
from trials.services.analysis import Result
from trials.services.blinding_held import BlindingHeld
from trials.services.scrutiny import INTERFERENCE, RESCUE, SLEEP
from trials.web.phrases import (
    Names,
    item_name,
    listed,
    name_of,
    number_text,
    percent_text,
    say,
)

OUTCOMES: dict[str, LazyString] = {
    SLEEP: lazy_gettext("Pain disturbing sleep, 0 to 10"),
    INTERFERENCE: lazy_gettext("Pain getting in the way, 0 to 10"),
    RESCUE: lazy_gettext("Rescue doses a day"),
}

LEARNED: dict[str, LazyString] = {
    "effect": lazy_gettext("Effect"),
    "level": lazy_gettext("Level without any arm"),
    "sd": lazy_gettext("Standard deviation of a day"),
    "trend_per_week": lazy_gettext("Trend"),
    "period_sd": lazy_gettext("Standard deviation of periods"),
    "half_life": lazy_gettext("Half-life of the effect"),
}


@dataclass(frozen=True, slots=True)
class Otherwise:
    """One way to see it otherwise, and the verdict then.

    Attributes:
        what: what is taken otherwise.
        verdict: in a few words.
        holds: whether it is the same verdict; None where the days then left allow none.
    """

    what: str
    verdict: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class ItemOnArm:
    """One side effect on one arm, as text.

    Attributes:
        any: share of days with it, with its middle 90 %.
        severe: share of days on which it is severe, likewise.
        grade: mean grade of a day, likewise.
        counted: severe days of answered days, as they stand in the diary.
        above: chance of more severe days than the protocol accepts; "" without a limit.
    """

    any: str
    severe: str
    grade: str
    counted: str
    above: str


@dataclass(frozen=True, slots=True)
class ItemText:
    """One side effect.

    Attributes:
        name: in words.
        arms: for each arm in the order of the heads: days with it, days severe, mean grade, and
            the chance of too many severe days; empty when it cannot be computed.
        reasons: why it cannot.
    """

    name: str
    arms: tuple[ItemOnArm, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecondaryText:
    """One secondary outcome.

    Attributes:
        name: of the outcome.
        days: answered.
        arms: mean with its middle 90 % of each arm, in the order of the heads; empty when it
            cannot be told.
        told: the sentence about it.
        reasons: why it cannot be told.
    """

    name: str
    days: int
    arms: tuple[str, ...]
    told: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scrutiny:
    """All that stands beside one verdict.

    Attributes:
        masked: whether a part waits for the release.
        otherwise: the verdict when something is taken otherwise.
        holds: in how many rows it does, and what would change it.
        tipping: missing days of each arm.
        reversal: pain alone against the net burden, and other weights.
        heads: names of the arms.
        side_effects: every side effect of the diary; () while it would tell the arms.
        secondary: sleep, interference, rescue doses.
        foresight: can the model foresee a block, and a day?
        learned: what is left of each prior's spread, name and percent.
    """

    masked: bool
    otherwise: tuple[Otherwise, ...]
    holds: str
    tipping: tuple[str, ...]
    reversal: tuple[str, ...]
    heads: tuple[str, ...]
    side_effects: tuple[ItemText, ...]
    secondary: tuple[SecondaryText, ...]
    foresight: tuple[str, ...]
    learned: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GuessText:
    """Whether the blinding held, after the release.

    Attributes:
        periods: number, treatment, what was guessed, how sure, and whether it was right.
        indices: arm, number of guesses, and Bang's index with its middle 90 %.
        told: what the guesses say, and whether the verdict survives.
    """

    periods: tuple[tuple[int, str, str, str, str], ...]
    indices: tuple[tuple[str, int, str], ...]
    told: tuple[str, ...]


CERTAINTY: tuple[LazyString, ...] = (
    lazy_gettext("a mere guess"),
    lazy_gettext("a little sure"),
    lazy_gettext("fairly sure"),
    lazy_gettext("very sure"),
    lazy_gettext("completely sure"),
)


def read_guesses(held: BlindingHeld | None, names: Names) -> GuessText | None:
    """Return the guesses as text; None where there are none to show."""
    if held is None:
        return None
    report = held.report
    answers = {True: _("yes"), False: _("no"), None: "\N{EN DASH}"}
    return GuessText(
        periods=tuple(
            (
                one.period,
                one.given,
                one.guessed or _("did not know"),
                str(CERTAINTY[one.certainty]) if one.guessed else "\N{EN DASH}",
                answers[one.right],
            )
            for one in held.periods
        ),
        indices=tuple(_index(index, names) for index in (*report.indices, report.overall)),
        told=(say(report.sentence, names), say(report.survival, names)),
    )


def _index(index: BangIndex, names: Names) -> tuple[str, int, str]:
    name = _("all together") if index.arm is None else name_of(index.arm, names)
    if index.index is None or index.low is None or index.high is None:
        return name, index.guesses, _("too few guesses")
    figures = (number_text(value, 2) for value in (index.index, index.low, index.high))
    mean, low, high = figures
    return name, index.guesses, _("%(mean)s (%(low)s to %(high)s)", mean=mean, low=low, high=high)


def read_scrutiny(result: Result, names: Names) -> Scrutiny | None:
    """Return what stands beside a verdict; None where nothing was computed.

    Args:
        result: as its reader may see it.
        names: what this reader calls each arm.
    """
    found = _mapping(result.summary.get("scrutiny"))
    if not found:
        return None
    table = _mapping(found["sensitivity"])
    labels = tuple(_mapping(result.summary["arms"]))
    return Scrutiny(
        masked=result.treatments is None,
        otherwise=tuple(_otherwise(_items(table.get("rows")), names)),
        holds=say(table["sentence"], names) if table.get("sentence") else "",
        tipping=_sentences(_items(table.get("tipping")), names),
        reversal=tuple(say(p, names) for p in _items(_mapping(found["reversal"]).get("sentences"))),
        heads=tuple(name_of(label, names) for label in labels),
        side_effects=tuple(
            _item(_mapping(one), labels) for one in _items(found.get("side_effects"))
        ),
        secondary=tuple(
            _secondary(_mapping(one), labels, names) for one in _items(found["secondary"])
        ),
        foresight=tuple(_foresight(found, names)),
        learned=tuple(_learned(_mapping(found["learned"]), names)),
    )


def verdict_in_short(kind: str, arm: object, equal_arms: Sequence[object], names: Names) -> str:
    """Return a verdict in a few words: "best: Arm A"."""
    arm_name = name_of(str(arm), names)
    short: dict[Kind, str] = {
        Kind.BEST: _("best: %(name)s", name=arm_name),
        Kind.EQUAL: _(
            "practically equal: %(names)s",
            names=listed([name_of(str(label), names) for label in equal_arms]),
        ),
        Kind.NONE: _("none better than %(name)s", name=arm_name),
        Kind.UNDETERMINED: _("cannot tell"),
        Kind.REFUSED: _("no answer"),
    }
    return short[Kind(kind)]


def _otherwise(rows: Sequence[object], names: Names) -> Iterator[Otherwise]:
    for row in rows:
        values = _mapping(row)
        yield Otherwise(
            what=say(values["what"], names),
            verdict=verdict_in_short(
                str(values["kind"]), values["arm"], _items(values["equal_arms"]), names
            ),
            holds=None if values["kind"] == Kind.REFUSED.value else bool(values["holds"]),
        )


def _sentences(items: Sequence[object], names: Names) -> tuple[str, ...]:
    return tuple(say(_mapping(item)["sentence"], names) for item in items)


def _item(found: Mapping[str, object], labels: Sequence[str]) -> ItemText:
    arms = _mapping(found["arms"])
    return ItemText(
        name=item_name(str(found["item"])),
        arms=tuple(_item_on_arm(_mapping(arms[label])) for label in labels) if arms else (),
        reasons=tuple(str(reason) for reason in _items(found["reasons"])),
    )


def _item_on_arm(found: Mapping[str, object]) -> ItemOnArm:
    above = found["p_above"]
    return ItemOnArm(
        any=_shares(_mapping(found["any"])),
        severe=_shares(_mapping(found["severe"])),
        grade=_figure(_mapping(found["grade"])),
        counted=_(
            "%(severe)s of %(days)s",
            severe=number_text(_number(found["severe_days"]), 0),
            days=number_text(_number(found["days"]), 0),
        ),
        above="" if above is None else percent_text(_number(above)),
    )


def _shares(summary: Mapping[str, object]) -> str:
    mean, low, high = (percent_text(_number(summary[key])) for key in ("mean", "q05", "q95"))
    return str(_("%(mean)s (%(low)s to %(high)s)", mean=mean, low=low, high=high))


def _secondary(found: Mapping[str, object], labels: Sequence[str], names: Names) -> SecondaryText:
    arms = _mapping(found["arms"])
    return SecondaryText(
        name=str(OUTCOMES.get(str(found["name"]), str(found["name"]))),
        days=int(_number(found["days"])),
        arms=tuple(_figure(_mapping(arms[label])) for label in labels) if arms else (),
        told=say(found["sentence"], names) if found["sentence"] else "",
        reasons=tuple(say(reason, names) for reason in _items(found["reasons"])),
    )


def _figure(summary: Mapping[str, object]) -> str:
    mean, low, high = (number_text(_number(summary[key]), 1) for key in ("mean", "q05", "q95"))
    return str(_("%(mean)s (%(low)s to %(high)s)", mean=mean, low=low, high=high))


def _foresight(found: Mapping[str, object], names: Names) -> Iterator[str]:
    block, days = _mapping(found["foresight"]), _mapping(found["days"])
    if block:
        yield say(block["sentence"], names)
    yield from (say(phrase, names) for phrase in _items(days.get("sentences")))
    surprising = [number_text(_number(n), 0) for n in _items(days.get("surprising"))]
    if surprising:
        yield _(
            "Outside 99 of 100 of what the other days foretell: day %(list)s.",
            list=", ".join(surprising),
        )


def _learned(found: Mapping[str, object], names: Names) -> Iterator[tuple[str, str]]:
    for key, left in found.items():
        base, _bracket, arm = key.rstrip("]").partition("[")
        name = str(LEARNED.get(base, key))
        if arm:
            name = _("%(parameter)s: %(arm)s", parameter=name, arm=name_of(arm, names))
        yield name, percent_text(min(1.0, _number(left)))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"{value!r} is no number")
