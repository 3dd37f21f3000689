"""``lenitive calibrate``: study the designs that come with Lenitive, once, for the package."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click

from models.operating import calibrate as study_design
from trials.cli.pieces import pieces
from trials.services.calibration import SCENARIO_TRIALS, TRIALS, study_of, study_values
from trials.services.demo import STORIES, demo_protocol
from trials.store.base import Json


@click.command("calibrate")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file of the studies; designs that stand in it already are kept as they are.",
)
@click.option("--trials", type=click.IntRange(min=20), default=TRIALS, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
def calibrate(out: Path, trials: int, jobs: int) -> None:
    """Study the designs of the demonstration, so that its trials can be frozen at once.

    Written to trials/data/calibrations.json, the studies are part of the package. A clinic
    needs this command never: its scheduler studies every draft.
    """
    before: dict[str, Json] = json.loads(out.read_text("utf-8")) if out.exists() else {}
    found: dict[str, Json] = {}
    for story in STORIES:
        study = study_of(demo_protocol(story))
        if study.design_hash not in before:
            began = time.perf_counter()
            with pieces(jobs, story.code) as run:
                told = study_design(study, trials=trials, scenario_trials=SCENARIO_TRIALS, run=run)
            before[study.design_hash] = study_values(
                told, trials=trials, seconds=time.perf_counter() - began
            )
        values = found[study.design_hash] = before[study.design_hash]
        click.echo(f"{story.code}: c1 = {values['threshold']:.4f}, {values['seconds']} s")
        out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
