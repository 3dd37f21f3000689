"""The released result as a reader meets it: the verdict in words, then numbers, then plots.

One value for the clinician's and the patient's result page; the macros that draw it are in
``templates/report/_verdict.html``. Only released results come here, so treatments have names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import gettext as _

from models.decision import Kind
from trials.domain.design import Outcome
from trials.domain.protocol import Protocol
from trials.services.analysis import Result
from trials.web import charts
from trials.web.phrases import Names, chance_text, listed, name_of, percent_text, say

SIZES = ("0.5", "1", "2")
"""Differences, in points of the 0-10 scale, whose probability is always said."""


@dataclass(frozen=True, slots=True)
class VerdictText:
    """The answer in plain words.

    Attributes:
        kind: best, equal, none, undetermined or refused.
        sentence: the answer.
        chance: how sure it is, such as "about 96 in 100"; "" where there is no such number.
        reasons: why it is not another answer, or why there is none.
        vetoes: what is left out for severe side effects, and why.
    """

    kind: str
    sentence: str
    chance: str
    reasons: tuple[str, ...]
    vetoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One treatment: mean and 90 % interval in points a day, lower being better.

    Attributes:
        name: of the treatment.
        mean: posterior mean.
        low: 5 % quantile.
        high: 95 % quantile.
        best: chance that it is the best, such as "96 %"; "" where it was not computed.
        loss: points lost on average by choosing it; None likewise.
    """

    name: str
    mean: float
    low: float
    high: float
    best: str
    loss: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two treatments, the one with the lower mean first.

    Attributes:
        first: name of the one ahead.
        second: name of the other.
        mean: value of the first minus that of the second, in points; at most zero.
        low: 5 % quantile.
        high: 95 % quantile.
        better: chance that the first is better at all.
        by: chance that it is better by 0.5, 1 and 2 points or more, in the order of ``SIZES``.
        equal: chance that they differ by less than matters.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    better: str
    by: tuple[str, ...]
    equal: str


@dataclass(frozen=True, slots=True)
class ResultFigures:
    """All that a result page shows of a released analysis.

    Attributes:
        verdict: the answer in words.
        weighted: whether side effects are weighed in, so that net burden and pain differ.
        weight: points of pain one point of bother stands for.
        margin: differences smaller than this do not matter, in points.
        burden: treatments by net burden, best first, what is left out last; empty when the
            analysis was refused.
        pain: treatments by pain alone, in the same order.
        burden_plot: intervals of the net burden.
        pain_plot: intervals of pain alone.
        comparisons: every pair.
        comparisons_plot: their differences with the band too small to matter.
        best: chance of being the best by treatment, as bars.
    """

    verdict: VerdictText
    weighted: bool
    weight: float
    margin: float
    burden: tuple[ArmFigures, ...]
    pain: tuple[ArmFigures, ...]
    burden_plot: charts.ForestChart
    pain_plot: charts.ForestChart
    comparisons: tuple[Comparison, ...]
    comparisons_plot: charts.ForestChart
    best: tuple[charts.ProbabilityBar, ...]


def read_result(result: Result, protocol: Protocol, *, to_patient: bool) -> ResultFigures:
    """Return the figures of a released result.

    Args:
        result: from ``services.analysis.released_result``.
        protocol: the frozen agreement.
        to_patient: whether the patient reads it: "best for you", not "for this patient".
    """
    names = result.treatments or {}
    summary = result.summary
    arms = _mapping(summary["arms"])
    order = sorted(arms, key=lambda label: _rank(_mapping(arms[label])))
    burden = tuple(_arm(label, arms, names) for label in order)
    pain_arms = _mapping(summary["outcome"])
    pain = tuple(_arm(label, pain_arms, names) for label in order)
    comparisons = tuple(_comparison(item, names) for item in _items(summary["contrasts"]))
    margin = protocol.decision.equal_margin
    return ResultFigures(
        verdict=verdict_text(summary, names, to_patient=to_patient),
        weighted=protocol.outcome is Outcome.NET_BURDEN and protocol.bother_weight > 0,
        weight=protocol.bother_weight,
        margin=margin,
        burden=burden,
        pain=pain,
        burden_plot=_plot(burden),
        pain_plot=_plot(pain),
        comparisons=comparisons,
        comparisons_plot=charts.forest_chart(
            [
                charts.Interval(
                    _("%(first)s minus %(second)s", first=c.first, second=c.second),
                    c.mean,
                    c.low,
                    c.high,
                )
                for c in comparisons
            ],
            rope=(-margin, margin),
        ),
        best=charts.probability_bars(
            [
                (name_of(label, names), _number(_mapping(arms[label])["p_best"]))
                for label in order
                if _mapping(arms[label]).get("p_best") is not None
            ]
        ),
    )


def _rank(arm: Mapping[str, object]) -> tuple[bool, float]:
    """Return what to sort by: the lowest burden first, and what is left out last."""
    return bool(arm.get("vetoed")), _number(arm["mean"])


def verdict_text(
    summary: Mapping[str, object], names: Names, *, to_patient: bool = False
) -> VerdictText:
    """Return the verdict of a summary in words."""
    verdict = _mapping(summary["verdict"])
    reasons = tuple(say(reason, names) for reason in _items(verdict["reasons"]))
    kind = Kind(str(verdict["kind"]))
    leader = _leader(summary)
    probability = _mapping(_mapping(summary["arms"]).get(leader, {})).get("p_best")
    chance = ""
    if kind is Kind.BEST and isinstance(probability, float):
        chance = chance_text(probability)
    vetoed = _items(verdict.get("vetoed", ()))
    if kind is not Kind.REFUSED and vetoed and len(vetoed) == len(_mapping(summary["arms"])) - 1:
        sentence, chance = _only_left(verdict, names, to_patient=to_patient), ""
    elif to_patient:
        sentence = _to_patient(kind, verdict, leader, names)
    else:
        sentence = _to_clinician(kind, verdict, leader, names)
    vetoes = tuple(say(veto, names) for veto in _items(verdict.get("vetoes", ())))
    return VerdictText(kind.value, sentence, chance, reasons, vetoes)


def _only_left(verdict: Mapping[str, object], names: Names, *, to_patient: bool) -> str:
    """Return what remains when everything else is left out for severe side effects."""
    arm = name_of(str(verdict["arm"]), names)
    sentence: str = (
        _("%(name)s is what remains for you.", name=arm)
        if to_patient
        else _("%(name)s is what remains for this patient.", name=arm)
    )
    return sentence


def _to_patient(kind: Kind, verdict: Mapping[str, object], leader: str, names: Names) -> str:
    arm = name_of(str(verdict["arm"] or leader), names)
    equal = listed([name_of(str(label), names) for label in _items(verdict["equal_arms"])])
    sentences: dict[Kind, str] = {
        Kind.BEST: _("%(name)s is best for you.", name=arm),
        Kind.EQUAL: _("%(names)s are practically equal for you.", names=equal),
        Kind.NONE: _("Nothing was better for you than %(name)s.", name=arm),
        Kind.UNDETERMINED: _("Your days do not tell which one is best for you."),
        Kind.REFUSED: _("Your days do not allow an answer."),
    }
    return sentences[kind]


def _to_clinician(kind: Kind, verdict: Mapping[str, object], leader: str, names: Names) -> str:
    arm = name_of(str(verdict["arm"] or leader), names)
    equal = listed([name_of(str(label), names) for label in _items(verdict["equal_arms"])])
    sentences: dict[Kind, str] = {
        Kind.BEST: _("%(name)s is best for this patient.", name=arm),
        Kind.EQUAL: _("%(names)s are practically equal for this patient.", names=equal),
        Kind.NONE: _("None is better than %(name)s, the reference.", name=arm),
        Kind.UNDETERMINED: _("These data cannot tell which is best."),
        Kind.REFUSED: _("No answer can be given from these data."),
    }
    return sentences[kind]


def _leader(summary: Mapping[str, object]) -> str:
    """Return the arm most likely to be the best, "" when the analysis was refused."""
    arms = _mapping(summary["arms"])
    return max(arms, key=lambda a: _number(_mapping(arms[a]).get("p_best") or 0.0), default="")


def _arm(label: str, arms: Mapping[str, object], names: Names) -> ArmFigures:
    figures = _mapping(arms[label])
    best, loss = figures.get("p_best"), figures.get("expected_loss")
    return ArmFigures(
        name=name_of(label, names),
        mean=_number(figures["mean"]),
        low=_number(figures["q05"]),
        high=_number(figures["q95"]),
        best=percent_text(best) if isinstance(best, float) else "",
        loss=loss if isinstance(loss, float) else None,
    )


def _comparison(item: object, names: Names) -> Comparison:
    """Return a contrast turned so that the arm with the lower mean stands first."""
    figures = _mapping(item)
    ahead = _number(figures["mean"]) <= 0
    chances = _mapping(figures["p_below"] if ahead else figures["p_above"])
    by_size = {abs(float(size)): _number(chance) for size, chance in chances.items()}
    first, second = ("a", "b") if ahead else ("b", "a")
    sign = 1 if ahead else -1
    low, high = sorted((sign * _number(figures["q05"]), sign * _number(figures["q95"])))
    return Comparison(
        first=name_of(str(figures[first]), names),
        second=name_of(str(figures[second]), names),
        mean=sign * _number(figures["mean"]),
        low=low,
        high=high,
        better=percent_text(by_size[0.0]),
        by=tuple(percent_text(by_size[float(size)]) for size in SIZES),
        equal=percent_text(_number(figures["p_equal"])),
    )


def _plot(arms: tuple[ArmFigures, ...]) -> charts.ForestChart:
    return charts.forest_chart([charts.Interval(a.name, a.mean, a.low, a.high) for a in arms])


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"{value!r} is no number")
