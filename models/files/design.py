"""The tables that are simulated: ``[design]``, ``[patient]`` and ``[[scenario]]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.files.reader import Path_, Reader


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
class PatientFile:
    """The ``[patient]`` table: what a run-in or an earlier diary showed of this patient.

    Attributes:
        sd: day-to-day standard deviation, points; None draws it from the prior.
        autocorrelation: of one day with the next, likewise.
    """

    sd: float | None = None
    autocorrelation: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFile:
    """A ``[[scenario]]`` table: a truth to simulate patients from.

    Attributes:
        name: shown in the table.
        effects: points by arm label; arms not named have none.
        bother: mean bother by arm label, weighed by the protocol.
        half_life_factor: true half-lives over those the protocol assumes.
        sd, autocorrelation, trend_per_week, period_sd: of the patient; None draws each
            patient's own from the priors.
        missing: share of days not rated.
        variant: ``model``, ``wandering``, ``heavy_tails``, ``rounded``, ``missing_when_bad``
            or ``waning``.
    """

    name: str
    effects: Mapping[str, float] = field(default_factory=dict)
    bother: Mapping[str, float] = field(default_factory=dict)
    half_life_factor: float = 1.0
    sd: float | None = None
    autocorrelation: float | None = None
    trend_per_week: float | None = None
    period_sd: float | None = None
    missing: float = 0.1
    variant: str = "model"


SCHEMES = ("blocks", "latin", "abba", "fixed")
VARIANTS = ("model", "wandering", "heavy_tails", "rounded", "missing_when_bad", "waning")


def read_design(reader: Reader, value: object) -> DesignFile | None:
    """Return the shape to simulate, or None when it has a problem."""
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


def read_patient(reader: Reader, value: object) -> PatientFile | None:
    """Return what is known of the patient, or None when it has a problem."""
    table = reader.table(value, ("patient",), ("sd", "autocorrelation"))
    numbers = {name: reader.number(item, ("patient", name)) for name, item in table.items()}
    if None in numbers.values():
        return None
    _check_noise(reader, ("patient",), numbers)
    return PatientFile(**numbers)


def read_scenarios(reader: Reader, value: object, labels: list[str]) -> tuple[ScenarioFile, ...]:
    """Return the truths to simulate, those with a problem left out."""
    if not isinstance(value, list):
        reader.problem(("scenario",), "Write scenarios as [[scenario]] tables.")
        return ()
    numbers = (
        "half_life_factor", "sd", "autocorrelation", "trend_per_week", "period_sd", "missing",
    )  # fmt: skip
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


def _check_scenario(reader: Reader, path: Path_, changes: Mapping[str, Any]) -> None:
    """Note numbers that no patient can have."""
    if not 0 <= changes.get("missing", 0.0) < 1:
        reader.problem((*path, "missing"), "'missing' is a share: from 0 to below 1.")
    if not changes.get("half_life_factor", 1.0) > 0:
        reader.problem((*path, "half_life_factor"), "'half_life_factor' is a number above 0.")
    _check_noise(reader, path, changes)


def _check_noise(reader: Reader, path: Path_, changes: Mapping[str, Any]) -> None:
    if not -1 < changes.get("autocorrelation", 0.0) < 1:
        reader.problem((*path, "autocorrelation"), "'autocorrelation' lies between -1 and 1.")
    for name in ("sd", "period_sd"):
        if changes.get(name, 1.0) < 0:
            reader.problem((*path, name), f"'{name}' cannot be negative.")
