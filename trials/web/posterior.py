"""A summary of a fit as the analyst reads it: the verdict, estimates, and how far to trust them.

Masked arms have only their labels; where the treatments may be known their names stand beside.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from flask_babel import format_decimal, lazy_gettext
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from models.decision import LARGEST_R_HAT, SMALLEST_ESS, Kind
from models.importance import LARGEST_PARETO_K
from trials.services.analysis import Result
from trials.web import charts
from trials.web.phrases import Names, number_text, percent_text
from trials.web.verdict import VerdictText, verdict_text

NOTHING = "\N{EN DASH}"

SIZES = ("0", "0.5", "1", "2")
"""Differences, in points of the 0-10 scale, whose probability is always said."""

PARAMETERS: dict[str, LazyString] = {
    "level": lazy_gettext("Level without any arm, points"),
    "sd": lazy_gettext("Standard deviation of a day, points"),
    "autocorrelation": lazy_gettext("Autocorrelation of neighbouring days"),
    "trend_per_week": lazy_gettext("Trend, points a week"),
    "period_sd": lazy_gettext("Standard deviation of periods, points"),
    "latent_mean": lazy_gettext("Mean on the arm if the scale had no ends, points"),
    "half_life": lazy_gettext("Half-life of the effect, days"),
}

CHECKS: dict[str, LazyString] = {
    "lag_1": lazy_gettext("Correlation of neighbouring days"),
    "period_spread": lazy_gettext("Spread of period means on the same arm"),
    "low_end": lazy_gettext("Share of days at the low end of the scale"),
    "high_end": lazy_gettext("Share of days at the high end of the scale"),
    "curvature": lazy_gettext("Bend of the drift over time"),
}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """How one figure of an engine is shown and judged; no limit, no judgement."""

    name: LazyString
    digits: int = 0
    limit: float | None = None
    at_most: bool = True


DIAGNOSTICS: dict[str, Diagnostic] = {
    "draws": Diagnostic(lazy_gettext("Draws")),
    "chains": Diagnostic(lazy_gettext("Chains")),
    "r_hat": Diagnostic(lazy_gettext("Worst R-hat"), 3, LARGEST_R_HAT),
    "ess_bulk": Diagnostic(lazy_gettext("Smallest bulk ESS"), 0, SMALLEST_ESS, at_most=False),
    "ess_tail": Diagnostic(lazy_gettext("Smallest tail ESS"), 0, SMALLEST_ESS, at_most=False),
    "divergences": Diagnostic(lazy_gettext("Divergent transitions"), 0, 0.0),
    "nodes": Diagnostic(lazy_gettext("Points of the integration")),
    "effective_points": Diagnostic(lazy_gettext("Effective points of the integration")),
    "pareto_k": Diagnostic(lazy_gettext("Pareto k of the weights"), 2, LARGEST_PARETO_K),
}

ENGINES: dict[str, LazyString] = {
    "exact": lazy_gettext("Exact integration"),
    "gibbs": lazy_gettext("Gibbs sampler for the ends of the scale"),
    "pymc": lazy_gettext("PyMC"),
    "outcome": lazy_gettext("Pain alone, same engine"),
}

SOURCES: dict[str, LazyString] = {
    "model_version": lazy_gettext("Model"),
    "code_version": lazy_gettext("Code"),
    "data_hash": lazy_gettext("Hash of the data"),
    "specification_hash": lazy_gettext("Hash of the specification"),
    "seed": lazy_gettext("Seed"),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """One quantity in numbers, already written for the reader.

    Attributes:
        name: what it is.
        mean: posterior mean.
        sd: posterior standard deviation.
        low: 5 % quantile.
        middle: median.
        high: 95 % quantile.
    """

    name: str
    mean: str
    sd: str
    low: str
    middle: str
    high: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """How likely the arm ahead is better than the other one of a pair.

    Attributes:
        name: such as "Arm A better than Arm B".
        by: chance of a difference of ``SIZES`` points or more.
        worse: chance that it is worse by half a point or more.
        equal: chance that they differ by less than matters.
    """

    name: str
    by: tuple[str, ...]
    worse: str
    equal: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """One arm under the frozen rule.

    Attributes:
        name: of the arm.
        mean: posterior mean with its middle 90 %.
        chance: of being the best.
        loss: points lost on average by choosing it.
        best: whether chance and loss are within what the rule asks of the best.
    """

    name: str
    mean: str
    chance: str
    loss: str
    best: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure against its limit.

    Attributes:
        name: what is looked at.
        value: what was found.
        limit: what is asked, "" where nothing is.
        passed: whether it holds; None where nothing is asked.
    """

    name: str
    value: str
    limit: str = ""
    passed: bool | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine with what it says of its own draws."""

    name: str
    tests: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Chains:
    """The chains of one arm's mean; ``trace`` is None for a fit that is not believed.

    Attributes:
        name: of the arm.
        key: the arm's label, for ids.
        trace: thinned draws in their order.
        ranks: histograms of ranks.
        step: every so many draws are drawn.
    """

    name: str
    key: str
    trace: charts.TraceChart | None
    ranks: charts.RankChart
    step: int


@dataclass(frozen=True, slots=True)
class Series:
    """Net burden, or pain alone, by arm.

    Attributes:
        arms: the figures.
        densities: posterior of each arm.
        contrasts: differences with the band too small to matter.
        ordered: how likely the arm ahead is better, for each pair.
    """

    arms: tuple[Figures, ...]
    densities: charts.DensityChart
    contrasts: charts.ForestChart
    ordered: tuple[Ordered, ...]


@dataclass(frozen=True, slots=True)
class Posterior:
    """All that the posterior page shows of one analysis.

    Attributes:
        verdict: the answer in words.
        refused: whether there is no answer; then there is no estimate either.
        masked: whether the arms are only labels, and the rule is applied without what tells
            them apart.
        provisional: whether only one engine has answered.
        weighted: whether side effects are weighed in.
        margin: differences smaller than this do not matter, as text.
        burden: what the verdict is about; None when refused.
        pain: pain alone; None when refused or when it is the same.
        best: chance of being the best, as bars.
        rule: the frozen rule applied to each arm.
        limits: what the rule asks, in a sentence.
        parameters: everything else that was estimated.
        engines: diagnostics.
        agreement: of the two engines; empty until both have answered.
        checks: does the model look like the data?
        chains: of the sampler; empty for the exact engine.
        provenance: where it came from, name and value.
        seconds: how long it took, as text.
    """

    verdict: VerdictText
    refused: bool
    masked: bool
    provisional: bool
    weighted: bool
    margin: str
    burden: Series | None
    pain: Series | None
    best: tuple[charts.ProbabilityBar, ...]
    rule: tuple[Ruled, ...]
    limits: str
    parameters: tuple[Figures, ...]
    engines: tuple[Engine, ...]
    agreement: tuple[Finding, ...]
    checks: tuple[Finding, ...]
    chains: tuple[Chains, ...]
    provenance: tuple[tuple[str, str], ...]
    seconds: str


def read_posterior(result: Result) -> Posterior:
    """Return the values of the posterior page."""
    summary, names = result.summary, arm_names(result)
    refused = _mapping(summary["verdict"])["kind"] == Kind.REFUSED.value
    weighted = any(_number(weight) > 0 for weight in _mapping(summary["weights"]).values())
    rule = _mapping(summary["rule"])
    margin = _number(rule["equal_margin"])
    burden = None if refused else _series(summary["arms"], summary["contrasts"], margin, names)
    pain = None
    if not refused and weighted:
        pain = _series(summary["outcome"], summary["outcome_contrasts"], margin, names)
    arms = _mapping(summary["arms"])
    return Posterior(
        verdict=verdict_text(summary, names),
        refused=refused,
        masked=result.treatments is None,
        provisional=result.provisional,
        weighted=weighted,
        margin=number_text(margin),
        burden=burden,
        pain=pain,
        best=charts.probability_bars(
            [
                (names[label], _number(chance))
                for label in arms
                if (chance := _mapping(arms[label])["p_best"]) is not None
            ]
        ),
        rule=() if refused else tuple(_rule(summary, rule, names)),
        limits=_limits(rule),
        parameters=tuple(_parameters(summary, names)),
        engines=tuple(_engines(_mapping(summary["diagnostics"]))),
        agreement=tuple(_agreement(summary["agreement"])),
        checks=tuple(_check(_mapping(check)) for check in _items(summary["checks"])),
        chains=tuple(_chains(_mapping(summary["chains"]), names)),
        provenance=tuple(_provenance(_mapping(summary["provenance"]))),
        seconds=number_text(_number(summary["seconds"]), 2),
    )


def arm_names(result: Result) -> Names:
    """Return what this reader calls each arm: "Arm A", or the treatment with its label."""
    return names_of(result.treatments, _mapping(result.summary["arms"]))


def names_of(treatments: Names | None, labels: Iterable[str]) -> Names:
    """Return the same from the treatments a reader may know, None for none."""
    return {
        label: _("%(treatment)s (%(label)s)", treatment=treatments[label], label=label)
        if treatments and label in treatments
        else _("Arm %(label)s", label=label)
        for label in sorted({*labels, *"ABCDEF"})
    }


def _series(arms: object, contrasts: object, margin: float, names: Names) -> Series:
    figures = {label: _mapping(values) for label, values in _mapping(arms).items()}
    pairs = [_mapping(item) for item in _items(contrasts)]
    return Series(
        arms=tuple(_figures(names[label], values) for label, values in figures.items()),
        densities=charts.density_chart(
            [_curve(names[label], values) for label, values in figures.items()]
        ),
        contrasts=charts.forest_chart(
            [
                charts.Interval(
                    _(
                        "%(first)s minus %(second)s",
                        first=names[str(pair["a"])],
                        second=names[str(pair["b"])],
                    ),
                    *(_number(pair[key]) for key in ("mean", "q05", "q95")),
                )
                for pair in pairs
            ],
            rope=(-margin, margin),
        ),
        ordered=tuple(_ordered(pairs, names)),
    )


def _curve(name: str, values: Mapping[str, object]) -> charts.Curve:
    density = _mapping(values["density"])
    return charts.Curve(
        name,
        tuple(_number(x) for x in _items(density["x"])),
        tuple(_number(y) for y in _items(density["y"])),
        *(_number(values[key]) for key in ("mean", "q05", "q50", "q95")),
    )


def _ordered(pairs: Sequence[Mapping[str, object]], names: Names) -> Iterator[Ordered]:
    """Yield every pair with the arm of the lower mean first: less burden, or pain, is better."""
    for pair in pairs:
        ahead = _number(pair["mean"]) <= 0
        first, second = (pair["a"], pair["b"]) if ahead else (pair["b"], pair["a"])
        better, worse = (
            {abs(float(size)): _number(chance) for size, chance in _mapping(pair[side]).items()}
            for side in (("p_below", "p_above") if ahead else ("p_above", "p_below"))
        )
        yield Ordered(
            name=_(
                "%(first)s better than %(second)s",
                first=names[str(first)],
                second=names[str(second)],
            ),
            by=tuple(percent_text(better[float(size)]) for size in SIZES),
            worse=percent_text(worse[0.5]),
            equal=percent_text(_number(pair["p_equal"])),
        )


def _rule(
    summary: Mapping[str, object], rule: Mapping[str, object], names: Names
) -> Iterator[Ruled]:
    for label, values in _mapping(summary["arms"]).items():
        figures = _mapping(values)
        left_out = bool(figures.get("vetoed"))
        chance, lost = (
            (0.0, inf)
            if left_out
            else (_number(figures["p_best"]), _number(figures["expected_loss"]))
        )
        low, high = (number_text(_number(figures[key]), 1) for key in ("q05", "q95"))
        yield Ruled(
            name=names[label],
            mean=_(
                "%(mean)s (%(low)s to %(high)s)",
                mean=number_text(_number(figures["mean"]), 1),
                low=low,
                high=high,
            ),
            chance=_("left out") if left_out else percent_text(chance),
            loss=NOTHING if left_out else number_text(lost, 2),
            best=chance >= _number(rule["best"]) and lost <= _number(rule["expected_loss"]),
        )


def _limits(rule: Mapping[str, object]) -> str:
    """Return the thresholds of the frozen rule in a sentence."""
    sentence: str = _(
        "Best: a chance of at least %(best)s and at most %(loss)s points lost on average. "
        "Practically equal: a chance of at least %(equal)s to differ by less than %(margin)s.",
        best=_percent(_number(rule["best"])),
        loss=number_text(_number(rule["expected_loss"]), 2),
        equal=_percent(_number(rule["equal_probability"])),
        margin=number_text(_number(rule["equal_margin"])),
    )
    return sentence


def _parameters(summary: Mapping[str, object], names: Names) -> Iterator[Figures]:
    half_lives = _mapping(summary.get("half_lives", {}))
    for key, values in [*_mapping(summary["parameters"]).items(), *half_lives.items()]:
        base, _bracket, arm = key.rstrip("]").partition("[")
        name = str(PARAMETERS.get(base, key))
        if arm:
            name = _("%(parameter)s: %(arm)s", parameter=name, arm=names.get(arm, arm))
        yield _figures(name, _mapping(values))


def _figures(name: str, values: Mapping[str, object]) -> Figures:
    mean, sd, low, middle, high = (
        number_text(_number(values[key]), 2) for key in ("mean", "sd", "q05", "q50", "q95")
    )
    return Figures(name, mean, sd, low, middle, high)


def _engines(diagnostics: Mapping[str, object]) -> Iterator[Engine]:
    for key, values in diagnostics.items():
        found = _mapping(values)
        yield Engine(
            str(ENGINES.get(key, key)),
            tuple(_diagnostic(name, value) for name, value in found.items()),
        )


def _diagnostic(name: str, value: object) -> Finding:
    known = DIAGNOSTICS.get(name)
    if known is None:
        return Finding(name, str(value))
    figure = inf if value == "inf" else _number(value)
    shown = "\N{INFINITY}" if figure == inf else number_text(figure, known.digits)
    if known.limit is None:
        return Finding(str(known.name), shown)
    limit = number_text(known.limit, known.digits if known.limit < 10 else 0)
    if known.at_most:
        text, passed = _("at most %(limit)s", limit=limit), figure <= known.limit
    else:
        text, passed = _("at least %(limit)s", limit=limit), figure >= known.limit
    return Finding(str(known.name), shown, text, passed)


def _agreement(value: object) -> Iterator[Finding]:
    found = _mapping(value)
    if not found:
        return
    for key, name in (
        ("mean", _("Largest difference of a mean, in posterior SD")),
        ("p_best", _("Largest difference of a chance of being best")),
    ):
        allowed = found.get(f"{key}_allowed")
        figure = _number(found[key])
        yield Finding(
            name,
            number_text(figure, 3),
            _("at most %(limit)s", limit=number_text(_number(allowed), 3)) if allowed else "",
            figure <= _number(allowed) if allowed else None,
        )
    yield Finding(
        _("Both engines together"),
        _("agree") if found["agrees"] else _("disagree"),
        _("agree"),
        bool(found["agrees"]),
    )


def _check(check: Mapping[str, object]) -> Finding:
    name = str(CHECKS.get(str(check["name"]), str(check["name"])))
    if "observed" not in check:
        return Finding(name, "", passed=bool(check["passed"]))
    limit = _(
        "%(low)s to %(high)s in nine of ten diaries of such a patient",
        low=number_text(_number(check["low"]), 2),
        high=number_text(_number(check["high"]), 2),
    )
    if not check["gate"]:
        limit = _("%(limit)s; for information", limit=limit)
    return Finding(name, number_text(_number(check["observed"]), 2), limit, bool(check["passed"]))


def _chains(chains: Mapping[str, object], names: Names) -> Iterator[Chains]:
    for label, value in chains.items():
        found = _mapping(value)
        traces = [[_number(v) for v in _items(chain)] for chain in _items(found["trace"])]
        ranks = [[int(_number(n)) for n in _items(chain)] for chain in _items(found["ranks"])]
        yield Chains(
            name=names[label],
            key=label.lower(),
            trace=charts.trace_chart(traces) if traces else None,
            ranks=charts.rank_histograms(ranks),
            step=int(_number(found["step"])),
        )


def _provenance(provenance: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, name in SOURCES.items():
        if key in provenance:
            yield str(name), str(provenance[key])
    packages = [f"{name} {version}" for name, version in provenance.items() if name not in SOURCES]
    if packages:
        yield _("Packages"), ", ".join(packages)


def _percent(share: float) -> str:
    """Return a threshold with the decimals it was set with: "95.5 %"."""
    return str(_("%(number)s %%", number=format_decimal(round(share * 100, 2))))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"{value!r} is no number")
