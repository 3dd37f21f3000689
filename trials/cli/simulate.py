"""``lenitive simulate``: what a design can tell, before a patient gives weeks to it."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from models.evidence.table import Table, markdown
from models.files.design import ScenarioFile
from models.files.problems import FileProblems
from models.files.protocol import Protocol, read_protocol
from models.operating import (
    CHECKED,
    Characteristics,
    DesignShape,
    Scenario,
    ScenarioResult,
    Share,
    operating_characteristics,
)
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
    sensible ones are used when there is none.
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
            [_scenario(scenario) for scenario in protocol.scenarios],
            trials=trials,
            seed=seed,
            run=run,
        )
    content = _content(characteristics, protocol, trials, seed, time.perf_counter() - began)
    out.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    click.echo(markdown(_table(characteristics)))


def _design(protocol: Protocol) -> DesignShape:
    if protocol.design is None:
        return DesignShape(washout_days=protocol.washout_days)
    return DesignShape(**asdict(protocol.design))


def _scenario(scenario: ScenarioFile) -> Scenario:
    return Scenario(**asdict(scenario))


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


def _table(characteristics: Characteristics) -> Table:
    """Return the chances as a table, each with its Monte Carlo error."""
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
        notes=(_calibration(characteristics), UNLIKE),
    )  # fmt: skip


def _calibration(characteristics: Characteristics) -> str:
    low, high = characteristics.threshold_low, characteristics.threshold_high
    return f"Calibrated best: {characteristics.threshold:.4f} ({low:.4f} to {high:.4f})."


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} ({100 * share.error:.1f})"
