"""``lenitive validate``: the evidence that the models are right, each command one table."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from models import exact
from models.data import TrialData
from models.evidence.calibration import MODELS, calibrate, calibration_table, plot
from models.evidence.designs import carryover_table, peeking_table
from models.evidence.ends import ends_table
from models.evidence.gabapentin import FILE as GABAPENTIN
from models.evidence.gabapentin import gabapentin_table
from models.evidence.parity import Fit, not_covered, parity, references
from models.evidence.placebo import diaries_of, placebo_table, placebo_test
from models.evidence.real_files import PLACEBO, daily_means, prepare
from models.evidence.refusals import refusals_table
from models.evidence.reliability import plot as reliability_plot
from models.evidence.reliability import reliability, reliability_table
from models.evidence.table import Table, markdown
from models.evidence.veto import veto_table
from models.posterior import Posterior
from models.specification import Specification
from trials.cli.pieces import pieces

OWN_REFERENCES = Path(__file__).parents[2] / "tests" / "reference"
VARIABLE = "LENITIVE_REFERENCE_DATA"
PARITY_DRAWS = 40_000
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group("validate")
def validate() -> None:
    """Show the evidence that the models are right."""


@validate.command("parity")
@click.option(
    "--reference",
    type=FOLDER,
    help=f"Folder of further cases and posteriors; else ${VARIABLE}.",
)
@click.option(
    "--engine",
    type=click.Choice(["exact", "pymc", "both"]),
    default="both",
    show_default=True,
)
def parity_command(reference: Path | None, engine: str) -> None:
    """Compare the engines with independent posteriors, at the priors of those.

    The synthetic cases are part of the repository; real ones are read from a folder of yours.
    """
    folders = [OWN_REFERENCES] if OWN_REFERENCES.is_dir() else []
    further = reference or _from_environment("reference")
    if further is None:
        click.echo(f"Real cases are skipped: no --reference and no ${VARIABLE}.", err=True)
    else:
        folders.append(further)
    cases = {(r.case, r.model, r.engine): r for folder in folders for r in references(folder)}
    if not cases:
        raise click.ClickException("There is no reference case; give their folder by --reference.")
    others = [case for folder in folders for case in not_covered(folder)]
    _show(parity(cases.values(), _engines(engine), others))


@validate.command("real-files")
@click.option("--data", type=FOLDER, help=f"Folder of the real files; else ${VARIABLE}.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the diaries and protocols.",
)
def real_files_command(data: Path | None, out: Path) -> None:
    """Lay real diaries out as files for ``lenitive analyze``, and say how to run it."""
    for prepared in prepare(_data_folder(data), out):
        result = prepared.diary.with_suffix(".json")
        click.echo(
            f"lenitive analyze {prepared.diary} --protocol {prepared.protocol} --out {result}"
        )


@validate.command("calibration")
@click.option("--simulations", type=click.IntRange(min=50), default=500, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--plot", "plot_file", type=click.Path(dir_okay=False, path_type=Path), help="SVG to write."
)
@click.option(
    "--model",
    "models",
    type=click.Choice(MODELS),
    multiple=True,
    help="Only this model; may be given more than once.",
)
def calibration_command(
    simulations: int, seed: int, jobs: int, plot_file: Path | None, models: tuple[str, ...]
) -> None:
    """Check that truths drawn from the prior lie anywhere in their posterior."""
    with pieces(jobs) as run:
        ranks = calibrate(models=models or MODELS, simulations=simulations, seed=seed, run=run)
    if plot_file is not None:
        plot_file.write_text(plot(ranks), encoding="utf-8")
    _show(calibration_table(ranks))


@validate.command("placebo")
@click.option("--data", type=FOLDER, help=f"Folder of {PLACEBO}; else ${VARIABLE}.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
def placebo_command(data: Path | None, seed: int, jobs: int) -> None:
    """Lay random schedules over real diaries without any effect, and count winners."""
    diaries = diaries_of(daily_means(_data_folder(data) / PLACEBO))
    with pieces(jobs) as run:
        outcomes = placebo_test(diaries, seed=seed, run=run)
    _show(placebo_table(outcomes))


@validate.command("veto")
@click.option("--trials", type=click.IntRange(min=20), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
def veto_command(trials: int, seed: int, jobs: int) -> None:
    """Show how often severe side effects leave an arm out, by how often they truly come."""
    with pieces(jobs) as run:
        _show(veto_table(trials=trials, seed=seed, run=run))


@validate.command("carryover")
@click.option("--trials", type=click.IntRange(min=20), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
def carryover_command(trials: int, seed: int, jobs: int) -> None:
    """Show bias and coverage with carryover ignored, washed out and modelled."""
    with pieces(jobs) as run:
        _show(carryover_table(trials=trials, seed=seed, run=run))


@validate.command("peeking")
@click.option("--trials", type=click.IntRange(min=50), default=500, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
def peeking_command(trials: int, seed: int, jobs: int) -> None:
    """Show false winners when one looks after each block, and the threshold that repairs it."""
    with pieces(jobs) as run:
        _show(peeking_table(trials=trials, seed=seed, run=run))


@validate.command("reliability")
@click.option("--trials", type=click.IntRange(min=100), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--plot", "plot_file", type=click.Path(dir_okay=False, path_type=Path), help="SVG to write."
)
def reliability_command(trials: int, seed: int, jobs: int, plot_file: Path | None) -> None:
    """Show how often the leader is truly best, by its stated probability."""
    with pieces(jobs) as run:
        bins = reliability(trials=trials, seed=seed, run=run)
    if plot_file is not None:
        plot_file.write_text(reliability_plot(bins), encoding="utf-8")
    _show(reliability_table(bins))


@validate.command("refusals")
def refusals_command() -> None:
    """Force everything that must be refused, and show the reason given."""
    _show(refusals_table())


@validate.command("ends")
@click.option("--trials", type=click.IntRange(min=20), default=40, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
def ends_command(trials: int, seed: int, jobs: int) -> None:
    """Show both models where ratings lie near an end of the scale."""
    with pieces(jobs) as run:
        _show(ends_table(trials=trials, seed=seed, run=run))


@validate.command("gabapentin")
@click.option("--data", type=FOLDER, help=f"Folder of {GABAPENTIN}; else ${VARIABLE}.")
def gabapentin_command(data: Path | None) -> None:
    """Put 46 real trials through the verdict."""
    _show(gabapentin_table(_data_folder(data) / GABAPENTIN))


def _show(table: Table) -> None:
    """Print a table; a missed limit ends the command with 1."""
    click.echo(markdown(table))
    if table.passed is False:
        raise SystemExit(1)


def _engines(engine: str) -> dict[str, Fit]:
    """Return the engines to compare, with enough draws that their own error is small."""
    chosen: dict[str, Fit] = {}
    if engine != "pymc":
        chosen["exact"] = partial(exact.fit, seed=1, draws=PARITY_DRAWS)
    if engine != "exact":
        chosen["pymc"] = _sampled
    return chosen


def _sampled(data: TrialData, specification: Specification) -> Posterior:
    from models.sampling import sample  # noqa: PLC0415 - PyMC takes seconds to load

    return sample(data, specification, seed=1, draws=PARITY_DRAWS // 4, tune=1000)


def _from_environment(part: str) -> Path | None:
    """Return a folder below the one the environment names, or beside it, or itself."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    base = Path(named)
    candidates = (base / part, base if base.name == part else base.parent / part, base)
    return next((folder for folder in candidates if folder.is_dir()), None)


def _data_folder(data: Path | None) -> Path:
    folder = data or _from_environment("data")
    if folder is None:
        raise click.ClickException(f"Skipped: give the folder by --data or ${VARIABLE}.")
    return folder
