"""``lenitive simulate``: what a design can tell, before a patient gives weeks to it."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from models.evidence.table import Table, markdown
from models.files.problems import FileProblems
from models.files.protocol import Protocol, read_protocol
from models.operating import (
    CHECKED,
    Characteristics,
    DesignShape,
    Scenario,
    ScenarioResult,
    Share,
    default_scenarios,
    operating_characteristics,
    with_noise,
)
from models.specification import Ends
from trials.cli.pieces import pieces

SCHEMA_VERSION = "1"


@click.command("simulate")
@click.argument("protocol_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--trials", type=click.IntRange(min=20), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Where the operating characteristics go, as JSON.",
)
def simulate(protocol_file: Path, trials: int, seed: int, jobs: int, out: Path) -> None:
    """Simulate the design of a protocol file and tell its chances.

    The protocol's [design] table gives the shape; [[scenario]] tables give truths, and
    sensible ones are used when there is none. A [patient] table gives the noise that this
    patient's run-in or earlier diary showed.
    """
    try:
        protocol = read_protocol(protocol_file)
    except FileProblems as error:
        for line in error.lines():
            click.echo(line, err=True)
        raise SystemExit(2) from error
    began = time.perf_counter()
    with pieces(jobs, "Simulating") as run:
        characteristics = operating_characteristics(
            protocol.specification,
            _design(protocol),
            _scenarios(protocol),
            trials=trials,
            seed=seed,
            run=run,
        )
    content = _content(characteristics, protocol, trials, seed, time.perf_counter() - began)
    out.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    click.echo(markdown(_table(characteristics, protocol)))


def _design(protocol: Protocol) -> DesignShape:
    if protocol.design is None:
        return DesignShape(washout_days=protocol.washout_days)
    return DesignShape(**asdict(protocol.design))


def _scenarios(protocol: Protocol) -> list[Scenario]:
    """Return the truths to simulate, with the patient's own noise where that is known.

    The first, which calibrates the threshold, draws every patient from the priors: a threshold
    must not rest on what is believed of one.
    """
    given = [Scenario(**asdict(scenario)) for scenario in protocol.scenarios]
    chosen = given or list(default_scenarios(protocol.specification))
    if protocol.patient is None:
        return chosen
    own = with_noise(chosen, protocol.patient.sd, protocol.patient.autocorrelation)
    return [
        Scenario(name="no difference"),
        *(replace(scenario, name=f"{scenario.name}, this patient's noise") for scenario in own),
    ]


def _content(
    characteristics: Characteristics, protocol: Protocol, trials: int, seed: int, seconds: float
) -> dict[str, Any]:
    """Return the operating characteristics as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trials": trials,
        "seed": seed,
        "design": asdict(_design(protocol)),
        "design_hash": characteristics.design_hash,
        "specification_hash": protocol.specification.specification_hash,
        "calibrated_best": {
            "value": characteristics.threshold,
            "low": characteristics.threshold_low,
            "high": characteristics.threshold_high,
        },
        "best_used": characteristics.best_used,
        "scenarios": [_scenario_content(result) for result in characteristics.results],
        "seconds": round(seconds, 3),
    }


def _scenario_content(result: ScenarioResult) -> dict[str, Any]:
    content = asdict(result)
    scenario = content.pop("scenario")
    for name in ("interval_width", "interval_width_error"):
        content[name] = content[name] if math.isfinite(content[name]) else None
    return {"name": scenario.pop("name"), "truth": scenario, **content}


UNLIKE = (
    f"Unlike: share of the first {CHECKED} trials that the predictive checks would refuse; the "
    "other columns leave these checks out."
)


CONTINUOUS = (
    "Simulated trials are fitted by the continuous model, also where the protocol may choose that "
    "for the ends of the scale, whose chains would take hours."
)


def _table(characteristics: Characteristics, protocol: Protocol) -> Table:
    """Return the chances as a table, each with its Monte Carlo error."""
    notes = [_calibration(characteristics), UNLIKE]
    if protocol.specification.ends is not Ends.NEVER:
        notes.append(CONTINUOUS)
    rows = tuple(
        (
            result.scenario.name,
            *(
                _percent(share)
                for share in (
                    result.right,
                    result.wrong,
                    result.equal,
                    result.none,
                    result.undetermined,
                    result.refused,
                    result.covered,
                )
            ),
            "" if result.unlike is None else _percent(result.unlike),
            f"{result.interval_width:.2f} ({result.interval_width_error:.2f})",
            f"{result.days:.0f} ({result.days_error:.1f})",
        )
        for result in characteristics.results
    )
    return Table(
        title=f"Chances in % (Monte Carlo error), judged with best = {characteristics.best_used}",
        headings=(
            "scenario", "right", "wrong", "equal", "none better", "cannot tell", "refused",
            "90 % covers", "unlike", "width", "days",
        ),
        rows=rows,
        notes=tuple(notes),
    )  # fmt: skip


def _calibration(characteristics: Characteristics) -> str:
    low, high = characteristics.threshold_low, characteristics.threshold_high
    return f"Calibrated best: {characteristics.threshold:.4f} ({low:.4f} to {high:.4f})."


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} ({100 * share.error:.1f})"
