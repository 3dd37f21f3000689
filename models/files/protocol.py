"""PROTOCOL.toml: what is fitted, how it is judged, and the shape of the trial.

The format is documented in docs/analysis-files.md. Every key that is not known is a problem:
a mistyped key would otherwise be a silent change of the analysis.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.errors import ModelInputError
from models.files.problems import FileProblems, Problem, decoded, did_you_mean
from models.specification import (
    Arm,
    Better,
    BoundedNormal,
    DecisionRule,
    Ends,
    HalfLifePerArm,
    HalfLifeShared,
    HalfNormal,
    LogNormal,
    Normal,
    Priors,
    Scale,
    Specification,
    default_decision,
    default_priors,
)

type Path_ = tuple[str | int, ...]
"""Where a value sits: ("arms", 0, "label")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignFile:
    """The ``[design]`` table: the shape of the trial to simulate.

    Attributes:
        blocks: times each arm is given.
        period_days: days of each period.
        washout_days: first days of each period that are left out of the fit.
        run_in_days: days before the first period on no arm.
        scheme: ``blocks`` (each block holds every arm once, in random order), ``latin``
            (orders balanced for what follows what), ``abba`` (each block mirrors the one
            before) or ``fixed`` (the order of the file, repeated).
        looks: number of evenly spaced looks, the last one included; 1 is no interim look.
    """

    blocks: int = 3
    period_days: int = 14
    washout_days: int = 0
    run_in_days: int = 0
    scheme: str = "blocks"
    looks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFile:
    """A ``[[scenario]]`` table: a truth to simulate patients from.

    Attributes:
        name: shown in the table.
        effects: points by arm label; arms not named have none.
        bother: mean bother by arm label, weighed by the protocol.
        sd, autocorrelation, trend_per_week, period_sd: of the patient; None draws each
            patient's own from the priors.
        missing: share of days not rated.
        variant: ``model``, ``wandering``, ``heavy_tails``, ``rounded``, ``missing_when_bad``
            or ``waning``.
    """

    name: str
    effects: Mapping[str, float] = field(default_factory=dict)
    bother: Mapping[str, float] = field(default_factory=dict)
    sd: float | None = None
    autocorrelation: float | None = None
    trend_per_week: float | None = None
    period_sd: float | None = None
    missing: float = 0.1
    variant: str = "model"


SCHEMES = ("blocks", "latin", "abba", "fixed")
VARIANTS = ("model", "wandering", "heavy_tails", "rounded", "missing_when_bad", "waning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A protocol file.

    Attributes:
        column: the diary column of the outcome.
        specification: what is fitted and the rule.
        run_in: the label of run-in days in the diary, on which no arm is in force.
        washout_days: days left out after each switch.
        design: the shape to simulate; None without a ``[design]`` table.
        scenarios: truths to simulate.
    """

    column: str
    specification: Specification
    run_in: str | None = None
    washout_days: int = 0
    design: DesignFile | None = None
    scenarios: tuple[ScenarioFile, ...] = ()


def read_protocol(path: Path) -> Protocol:
    """Read a protocol file.

    Raises:
        FileProblems: with line and column of every problem.
        OSError: when the file cannot be opened.
    """
    return parse_protocol(path.read_bytes(), path.name)


def parse_protocol(content: bytes, name: str = "PROTOCOL.toml") -> Protocol:
    """Read a protocol from the bytes of its file; see :func:`read_protocol`."""
    text = decoded(content, name)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileProblems(name, [_syntax_problem(error, text)]) from error
    reader = _Reader(text)
    protocol = _protocol(reader, document)
    if protocol is None or reader.problems:
        raise FileProblems(name, reader.problems)
    return protocol


# -- reading values with their places ---------------------------------------------------------


def _syntax_problem(error: tomllib.TOMLDecodeError, text: str) -> Problem:
    """Return where the text stops being TOML."""
    found = re.search(r"line (\d+), column (\d+)", str(error))
    sentence = re.sub(r"\s*\(at .*\)$", "", str(error)) + "."
    if found:
        return Problem(int(found[1]), int(found[2]), sentence)
    return Problem(text.count("\n") + 1, 1, sentence)


def _places(text: str) -> dict[Path_, tuple[int, int]]:
    """Return line and column of every table and key that stands on a line of its own."""
    places: dict[Path_, tuple[int, int]] = {(): (1, 1)}
    counts: dict[str, int] = {}
    table: Path_ = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if head := re.match(r"\s*\[\[\s*([\w.\-\"']+)\s*\]\]", line):
            label = head[1].strip("\"'")
            table = (label, counts.get(label, 0))
            counts[label] = table[1] + 1 if isinstance(table[1], int) else 1
            places[table] = (number, line.index("[") + 1)
            places.setdefault((label,), places[table])
        elif head := re.match(r"\s*\[\s*([\w.\-\"']+)\s*\]", line):
            table = tuple(part.strip("\"'") for part in head[1].split("."))
            places[table] = (number, line.index("[") + 1)
        elif key := re.match(r"\s*([\w.\-\"']+)\s*=", line):
            path = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            places.setdefault(path, (number, key.start(1) + 1))
    return places


class _Reader:
    """Collects problems while values are taken out of the document."""

    def __init__(self, text: str) -> None:
        self.places = _places(text)
        self.problems: list[Problem] = []

    def problem(self, path: Path_, sentence: str) -> None:
        """Note a problem at a value, or at the table around it."""
        place = path
        while place not in self.places:
            place = place[:-1]
        self.problems.append(Problem(*self.places[place], sentence))

    def table(self, value: object, path: Path_, known: tuple[str, ...]) -> dict[str, Any]:
        """Return a table whose keys are all known."""
        if not isinstance(value, dict):
            self.problem(path, f"'{path[-1]}' must be a table.")
            return {}
        for key in value:
            if key not in known:
                hint = did_you_mean(key, known)
                self.problem((*path, key), f"The key '{key}' is not known here{hint}.")
        return {key: item for key, item in value.items() if key in known}

    def number(self, value: object, path: Path_) -> float | None:
        """Return a finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(path, f"'{path[-1]}' must be a number.")
            return None
        if not math.isfinite(value):
            self.problem(path, f"'{path[-1]}' must be a finite number.")
            return None
        return float(value)

    def whole(self, value: object, path: Path_, least: int) -> int | None:
        """Return a whole number not below ``least``."""
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.problem(path, f"'{path[-1]}' must be a whole number, {least} or more.")
            return None
        return value

    def numbers(self, value: object, path: Path_, count: int) -> tuple[float, ...] | None:
        """Return a list of so many numbers."""
        if not isinstance(value, list) or len(value) != count:
            self.problem(path, f"'{path[-1]}' must be a list of {count} numbers.")
            return None
        read = [self.number(item, path) for item in value]
        return None if None in read else tuple(item for item in read if item is not None)

    def flag(self, value: object, path: Path_) -> bool | None:
        """Return true or false."""
        if not isinstance(value, bool):
            self.problem(path, f"'{path[-1]}' must be true or false.")
            return None
        return value

    def text(self, value: object, path: Path_) -> str | None:
        """Return a text that is not empty."""
        if not isinstance(value, str) or not value.strip():
            self.problem(path, f"'{path[-1]}' must be a text in quotes.")
            return None
        return value.strip()

    def choice(self, value: object, path: Path_, known: tuple[str, ...]) -> str | None:
        """Return one of the known words."""
        if value not in known:
            listed = ", ".join(f'"{word}"' for word in known)
            self.problem(path, f"'{path[-1]}' must be one of {listed}.")
            return None
        return str(value)

    def made[T](self, path: Path_, make: Callable[[], T]) -> T | None:
        """Return what ``make`` makes; its complaint becomes a problem."""
        try:
            return make()
        except ModelInputError as error:
            self.problem(path, str(error))
            return None


# -- the tables ---------------------------------------------------------------------------------

_TOP = (
    "outcome", "arms", "model", "priors", "weights", "decision", "run_in", "design", "scenario",
)  # fmt: skip


def _protocol(reader: _Reader, document: dict[str, Any]) -> Protocol | None:
    top = reader.table(document, (), _TOP)
    column, scale = _outcome(reader, top.get("outcome", {}))
    arms = _arms(reader, top.get("arms"))
    model = reader.table(
        top.get("model", {}),
        ("model",),
        ("trend", "period_effect", "carryover", "washout_days", "ends_of_scale"),
    )
    ends = reader.choice(
        model.get("ends_of_scale", Ends.NEVER.value),
        ("model", "ends_of_scale"),
        tuple(choice.value for choice in Ends),
    )
    flags = {
        name: reader.flag(model[name], ("model", name))
        for name in ("trend", "period_effect", "carryover")
        if name in model
    }
    washout = reader.whole(model.get("washout_days", 0), ("model", "washout_days"), 0)
    priors = _priors(reader, top.get("priors", {}), scale)
    shared = isinstance(priors.half_life, HalfLifeShared)
    known = shared or all(arm.half_life_days is not None for arm in arms)
    carryover = flags.get("carryover", known and bool(arms))
    if carryover and not shared:
        for i, arm in enumerate(arms):
            if arm.half_life_days is None:
                reader.problem(
                    ("arms", i), f"Carryover is on: arm '{arm.label}' needs half_life_days."
                )
    weights = _weights(reader, top.get("weights", {}))
    decision = _decision(reader, top.get("decision", {}), scale, [arm.label for arm in arms])
    run_in = None
    if "run_in" in top:
        table = reader.table(top["run_in"], ("run_in",), ("label",))
        run_in = reader.text(table.get("label"), ("run_in", "label"))
        if run_in in [arm.label for arm in arms]:
            reader.problem(("run_in", "label"), f"'{run_in}' is also an arm.")
    design = _design(reader, top["design"]) if "design" in top else None
    scenarios = _scenarios(reader, top.get("scenario", []), [arm.label for arm in arms])
    if reader.problems:
        return None
    specification = reader.made(
        (),
        lambda: Specification(
            arms=arms,
            scale=scale,
            trend=bool(flags.get("trend", True)),
            period_effect=bool(flags.get("period_effect", True)),
            carryover=bool(carryover),
            priors=priors,
            weights=weights,
            decision=decision,
            ends=Ends(ends or Ends.NEVER),
        ),
    )
    if specification is None:
        return None
    return Protocol(
        column=column,
        specification=specification,
        run_in=run_in,
        washout_days=washout or 0,
        design=design,
        scenarios=scenarios,
    )


def _outcome(reader: _Reader, value: object) -> tuple[str, Scale]:
    table = reader.table(value, ("outcome",), ("column", "scale", "step", "better"))
    column = reader.text(table.get("column", "pain"), ("outcome", "column")) or "pain"
    ends = reader.numbers(table.get("scale", [0, 10]), ("outcome", "scale"), 2) or (0.0, 10.0)
    better = reader.choice(table.get("better", "lower"), ("outcome", "better"), ("lower", "higher"))
    step = reader.number(table.get("step", 1.0), ("outcome", "step"))
    scale = reader.made(
        ("outcome", "scale"),
        lambda: Scale(
            ends[0], ends[1], Better(better or "lower"), step=1.0 if step is None else step
        ),
    )
    return column, scale or Scale()


def _arms(reader: _Reader, value: object) -> tuple[Arm, ...]:
    if not isinstance(value, list) or len(value) < 2:
        reader.problem(("arms",), "The protocol needs at least two [[arms]] tables.")
        return ()
    known = ("label", "half_life_days", "onset_half_life_days", "burden", "severe_limit")
    arms: list[Arm] = []
    for i, item in enumerate(value):
        path: Path_ = ("arms", i)
        table = reader.table(item, path, known)
        label = reader.text(table.get("label"), (*path, "label"))
        numbers: dict[str, Any] = {
            name: reader.number(table[name], (*path, name)) for name in known[1:] if name in table
        }
        if label is None:
            continue
        if label in [arm.label for arm in arms]:
            reader.problem((*path, "label"), f"The label '{label}' is given twice.")
            continue
        numbers.setdefault("burden", 0.0)
        arm = reader.made((*path, "half_life_days"), partial(Arm, label=label, **numbers))
        if arm is not None:
            arms.append(arm)
    return tuple(arms)


_FAMILIES: dict[str, tuple[str, ...]] = {
    "level": ("normal",),
    "arm": ("normal",),
    "trend_per_week": ("normal",),
    "sd": ("lognormal", "halfnormal"),
    "autocorrelation": ("normal", "bounds"),
    "period_sd": ("halfnormal",),
    "half_life": ("lognormal_sd", "shared_lognormal"),
}


_KINDS: dict[str, tuple[Callable[..., object], int]] = {
    "normal": (Normal, 2),
    "lognormal": (LogNormal, 2),
    "halfnormal": (HalfNormal, 1),
    "lognormal_sd": (HalfLifePerArm, 1),
    "shared_lognormal": (HalfLifeShared, 2),
}
"""What each way of writing a prior makes, and of how many numbers."""


def _priors(reader: _Reader, value: object, scale: Scale) -> Priors:
    given = reader.table(value, ("priors",), tuple(_FAMILIES))
    changes: dict[str, Any] = {}
    base = default_priors(scale)
    for name, item in given.items():
        path: Path_ = ("priors", name)
        before = len(reader.problems)
        table = reader.table(item, path, _FAMILIES[name])
        prior = _prior(reader, name, table, path, base)
        if prior is not None:
            changes[name] = prior
        elif len(reader.problems) == before:
            listed = " or ".join(_FAMILIES[name])
            reader.problem(path, f"The prior of '{name}' must be given as {listed}.")
    made = reader.made(
        ("priors",),
        lambda: Priors(**{name: changes.get(name, getattr(base, name)) for name in (*_FAMILIES,)}),
    )
    return made or base


def _prior(reader: _Reader, name: str, table: dict[str, Any], path: Path_, base: Priors) -> object:
    """Return the prior a table describes, or None."""
    if name == "autocorrelation":
        pair = reader.numbers(table.get("normal", [0.3, 0.25]), (*path, "normal"), 2)
        default = [base.autocorrelation.low, base.autocorrelation.high]
        ends = reader.numbers(table.get("bounds", default), (*path, "bounds"), 2)
        if pair is None or ends is None:
            return None
        return reader.made(path, partial(BoundedNormal, *pair, *ends))
    if len(table) != 1:
        if table:
            reader.problem(path, f"Give the prior of '{name}' in one way only.")
        return None
    family, item = next(iter(table.items()))
    kind, count = _KINDS[family]
    place = (*path, family)
    single = reader.number(item, place) if count == 1 else None
    values = (single,) if count == 1 else reader.numbers(item, place, count)
    if values is None or None in values:
        return None
    return reader.made(path, partial(kind, *values))


def _weights(reader: _Reader, value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        reader.problem(("weights",), "'weights' must be a table.")
        return {}
    weights = {}
    for name, item in value.items():
        weight = reader.number(item, ("weights", name))
        if weight is not None and weight < 0:
            reader.problem(("weights", name), "A weight is a number of points, 0 or more.")
        elif weight is not None:
            weights[name.strip().lower()] = weight
    return weights


def _decision(reader: _Reader, value: object, scale: Scale, labels: list[str]) -> DecisionRule:
    base = default_decision(scale)
    numbers = (
        "best", "expected_loss", "equal_margin", "equal_probability",
        "comparator_probability", "veto_probability", "minimum_coverage",
    )  # fmt: skip
    known = (*numbers, "comparator", "minimum_periods")
    table = reader.table(value, ("decision",), known)
    changes: dict[str, Any] = {}
    for name in numbers:
        if name in table:
            number = reader.number(table[name], ("decision", name))
            if number is not None:
                changes[name] = number
    if "minimum_periods" in table:
        changes["minimum_periods"] = reader.whole(
            table["minimum_periods"], ("decision", "minimum_periods"), 1
        )
    if "comparator" in table:
        comparator = reader.text(table["comparator"], ("decision", "comparator"))
        if comparator is not None and comparator not in labels:
            hint = did_you_mean(comparator, labels)
            reader.problem(
                ("decision", "comparator"), f"The comparator '{comparator}' is not an arm{hint}."
            )
        changes["comparator"] = comparator
    if any(value is None for value in changes.values()):
        return base
    fields = {name: getattr(base, name) for name in known}
    made = reader.made(("decision",), lambda: DecisionRule(**{**fields, **changes}))
    return made or base


def _design(reader: _Reader, value: object) -> DesignFile | None:
    least = {"blocks": 1, "period_days": 1, "washout_days": 0, "run_in_days": 0, "looks": 1}
    table = reader.table(value, ("design",), (*least, "scheme"))
    changes: dict[str, Any] = {
        name: reader.whole(table[name], ("design", name), lowest)
        for name, lowest in least.items()
        if name in table
    }
    if "scheme" in table:
        changes["scheme"] = reader.choice(table["scheme"], ("design", "scheme"), SCHEMES)
    if None in changes.values():
        return None
    design = DesignFile(**changes)
    if design.washout_days >= design.period_days:
        reader.problem(("design", "washout_days"), "The washout leaves no day of the period.")
    if design.looks > design.blocks:
        reader.problem(("design", "looks"), "There can be one look after each block at most.")
    return design


def _scenarios(reader: _Reader, value: object, labels: list[str]) -> tuple[ScenarioFile, ...]:
    if not isinstance(value, list):
        reader.problem(("scenario",), "Write scenarios as [[scenario]] tables.")
        return ()
    numbers = ("sd", "autocorrelation", "trend_per_week", "period_sd", "missing")
    scenarios = []
    for i, item in enumerate(value):
        path: Path_ = ("scenario", i)
        table = reader.table(item, path, ("name", "effects", "bother", "variant", *numbers))
        changes: dict[str, Any] = {
            "name": reader.text(table.get("name", f"scenario {i + 1}"), (*path, "name"))
        }
        for name in numbers:
            if name in table:
                changes[name] = reader.number(table[name], (*path, name))
        for name in ("effects", "bother"):
            if name in table:
                changes[name] = {
                    arm: reader.number(points, (*path, name))
                    for arm, points in reader.table(
                        table[name], (*path, name), tuple(labels)
                    ).items()
                }
        if "variant" in table:
            changes["variant"] = reader.choice(table["variant"], (*path, "variant"), VARIANTS)
        if None not in changes.values():
            _check_scenario(reader, path, changes)
            scenarios.append(ScenarioFile(**changes))
    return tuple(scenarios)


def _check_scenario(reader: _Reader, path: Path_, changes: Mapping[str, Any]) -> None:
    """Note numbers that no patient can have."""
    if not 0 <= changes.get("missing", 0.0) < 1:
        reader.problem((*path, "missing"), "'missing' is a share: from 0 to below 1.")
    if not -1 < changes.get("autocorrelation", 0.0) < 1:
        reader.problem((*path, "autocorrelation"), "'autocorrelation' lies between -1 and 1.")
    for name in ("sd", "period_sd"):
        if changes.get(name, 1.0) < 0:
            reader.problem((*path, name), f"'{name}' cannot be negative.")
