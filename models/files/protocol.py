"""PROTOCOL.toml: what is fitted, how it is judged, and the shape of the trial.

The format is documented in docs/analysis-files.md. Every key that is not known is a problem:
a mistyped key would otherwise be a silent change of the analysis.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.files.design import (
    DesignFile,
    PatientFile,
    ScenarioFile,
    read_design,
    read_patient,
    read_scenarios,
)
from models.files.problems import FileProblems, decoded, did_you_mean
from models.files.reader import Path_, Reader, syntax_problem
from models.files.side_effects import read_items
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A protocol file.

    Attributes:
        column: the diary column of the outcome.
        specification: what is fitted and the rule.
        run_in: the label of run-in days in the diary, on which no arm is in force.
        washout_days: days left out after each switch.
        as_taken: whether doses count as taken; else as assigned.
        item_columns: diary column of each side effect, by its name.
        design: the shape to simulate; None without a ``[design]`` table.
        patient: what is known of the patient's noise; None without a ``[patient]`` table.
        scenarios: truths to simulate.
    """

    column: str
    specification: Specification
    run_in: str | None = None
    washout_days: int = 0
    as_taken: bool = True
    item_columns: Mapping[str, str] = field(default_factory=dict)
    design: DesignFile | None = None
    patient: PatientFile | None = None
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
        raise FileProblems(name, [syntax_problem(error, text)]) from error
    reader = Reader(text)
    protocol = _protocol(reader, document)
    if protocol is None or reader.problems:
        raise FileProblems(name, reader.problems)
    return protocol


AS_TAKEN, AS_ASSIGNED = INTAKES = ("as taken", "as assigned")


@dataclass(frozen=True, slots=True)
class _Days:
    """Which days count how.

    Attributes:
        washout: days left out after each switch.
        as_taken: whether doses count as taken.
    """

    washout: int
    as_taken: bool


_TOP = (
    "outcome", "arms", "model", "priors", "weights", "side_effects", "decision", "run_in",
    "design", "patient", "scenario",
)  # fmt: skip


def _protocol(reader: Reader, document: dict[str, Any]) -> Protocol | None:
    top = reader.table(document, (), _TOP)
    column, scale = _outcome(reader, top.get("outcome", {}))
    arms = _arms(reader, top.get("arms"))
    labels = [arm.label for arm in arms]
    priors = _priors(reader, top.get("priors", {}), scale)
    terms, days = _model(reader, top.get("model", {}), arms, priors)
    weights = _weights(reader, top.get("weights", {}))
    decision = _decision(reader, top.get("decision", {}), scale, labels)
    items = read_items(reader, top.get("side_effects", []))
    run_in, own = _run_in(reader, top["run_in"], labels) if "run_in" in top else (None, None)
    per_arm = terms["carryover"] and isinstance(priors.half_life, HalfLifePerArm)
    if own is not None and per_arm and own.half_life_days is None:
        reader.problem(("run_in",), "Carryover is on: the run-in needs half_life_days.")
    design = read_design(reader, top["design"]) if "design" in top else None
    patient = read_patient(reader, top["patient"]) if "patient" in top else None
    scenarios = read_scenarios(reader, top.get("scenario", []), labels)
    if reader.problems:
        return None
    specification = reader.made(
        (),
        lambda: Specification(
            arms=arms,
            scale=scale,
            priors=priors,
            weights=weights,
            side_effects=tuple(items),
            decision=decision,
            run_in=own,
            **terms,
        ),
    )
    if specification is None:
        return None
    return Protocol(
        column=column,
        specification=specification,
        run_in=run_in,
        washout_days=days.washout,
        as_taken=days.as_taken,
        item_columns={item.name: column for item, column in items.items()},
        design=design,
        patient=patient,
        scenarios=scenarios,
    )


def _model(
    reader: Reader, value: object, arms: tuple[Arm, ...], priors: Priors
) -> tuple[dict[str, Any], _Days]:
    """Return the terms of the model as fields of the specification, and which days count how."""
    switches = ("trend", "period_effect", "carryover", "in_force_before")
    known = (*switches, "washout_days", "ends_of_scale", "intake")
    table = reader.table(value, ("model",), known)
    ends = reader.choice(
        table.get("ends_of_scale", Ends.NEVER.value),
        ("model", "ends_of_scale"),
        tuple(choice.value for choice in Ends),
    )
    shared = isinstance(priors.half_life, HalfLifeShared)
    all_known = shared or all(arm.half_life_days is not None for arm in arms)
    terms: dict[str, Any] = {
        "trend": True,
        "period_effect": True,
        "carryover": all_known and bool(arms),
        "in_force_before": True,
        "ends": Ends(ends or Ends.NEVER),
    }
    for name in switches:
        if name in table:
            terms[name] = bool(reader.flag(table[name], ("model", name)))
    if terms["carryover"] and not shared:
        for i, arm in enumerate(arms):
            if arm.half_life_days is None:
                reader.problem(
                    ("arms", i), f"Carryover is on: arm '{arm.label}' needs half_life_days."
                )
    washout = reader.whole(table.get("washout_days", 0), ("model", "washout_days"), 0)
    intake = reader.choice(table.get("intake", AS_TAKEN), ("model", "intake"), INTAKES)
    return terms, _Days(washout or 0, intake == AS_TAKEN)


def _run_in(reader: Reader, value: object, labels: list[str]) -> tuple[str | None, Arm | None]:
    """Return what the diary calls days on no arm, and the arm they are if it is their own."""
    table = reader.table(value, ("run_in",), ("label", "own_arm", "half_life_days"))
    label = reader.text(table.get("label"), ("run_in", "label"))
    if label in labels:
        reader.problem(("run_in", "label"), f"'{label}' is also an arm.")
    own = reader.flag(table.get("own_arm", False), ("run_in", "own_arm"))
    days = None
    if "half_life_days" in table:
        days = reader.number(table["half_life_days"], ("run_in", "half_life_days"))
    if not own or label is None:
        return label, None
    return label, reader.made(("run_in",), partial(Arm, label=label, half_life_days=days))


def _outcome(reader: Reader, value: object) -> tuple[str, Scale]:
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


def _arms(reader: Reader, value: object) -> tuple[Arm, ...]:
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


def _priors(reader: Reader, value: object, scale: Scale) -> Priors:
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


def _prior(reader: Reader, name: str, table: dict[str, Any], path: Path_, base: Priors) -> object:
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


def _weights(reader: Reader, value: object) -> dict[str, float]:
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


def _decision(reader: Reader, value: object, scale: Scale, labels: list[str]) -> DecisionRule:
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
