"""``lenitive analyze``: a diary file and a protocol in, a verdict out, without any server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import click

from models.analysis import Analysis
from models.analysis import analyze as analyze_exactly
from models.data import TrialData
from models.decision import Kind
from models.files.diary import Diary, read_diary
from models.files.problems import FileProblems
from models.files.protocol import Protocol, read_protocol
from models.files.result import result_of
from models.reversal import rank_reversal
from models.sensitivity import sensitivity
from models.specification import Specification
from models.tolerability import tolerability
from trials.cli.pieces import pieces

REFUSED = 3
MALFORMED = 2


@dataclass(frozen=True, slots=True)
class _Task:
    """One patient to analyze; plain enough to be sent to another process."""

    patient: str | None
    data: TrialData
    specification: Specification
    warnings: tuple[str, ...]


@click.command("analyze")
@click.argument("diary", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--protocol",
    "protocol_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PROTOCOL.toml: arms, model, priors, weights, decision rule.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the result goes; JSON lines when the diary has a 'patient' column.",
)
@click.option(
    "--engine",
    type=click.Choice(["exact", "pymc", "both"]),
    default="exact",
    show_default=True,
    help="Exact integration, PyMC sampling, or both with a cross-check.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes to use."
)
def analyze(diary: Path, protocol_file: Path, out: Path, engine: str, seed: int, jobs: int) -> None:
    """Analyze the diary file DIARY by the rules of a protocol file.

    Exits 0 with an answer, 2 when a file is malformed (every problem is listed with line and
    column), 3 when an analysis is refused (the reasons are in the result).
    """
    tasks = _tasks(diary, protocol_file)
    refused = 0
    with _written_whole(out) as target:
        for result in _results(tasks, engine, seed, jobs):
            many = tasks[0].patient is not None
            json.dump(result, target, indent=None if many else 2, allow_nan=False)
            target.write("\n")
            refused += result["verdict"]["kind"] == "refused"
            _tell(result)
    if refused:
        if len(tasks) > 1:
            click.echo(f"{refused} of {len(tasks)} analyses were refused.", err=True)
        raise SystemExit(REFUSED)


def _tasks(diary_file: Path, protocol_file: Path) -> list[_Task]:
    """Read both files; every problem of either ends the command."""
    try:
        protocol = read_protocol(protocol_file)
        diary = read_diary(diary_file, protocol)
    except FileProblems as error:
        for line in error.lines():
            click.echo(line, err=True)
        raise SystemExit(MALFORMED) from error
    for warning in diary.warnings:
        click.echo(f"Note: {warning}", err=True)
    specification = _what_is_recorded(protocol, diary)
    return [
        _Task(patient, data, specification, diary.warnings)
        for patient, data in diary.trials.items()
    ]


def _what_is_recorded(protocol: Protocol, diary: Diary) -> Specification:
    """Return the specification without weights of series that the diary does not have.

    The reader has said so in a warning, which goes into the result.
    """
    recorded = next(iter(diary.trials.values())).bothers
    weights = {n: w for n, w in protocol.specification.weights.items() if n in recorded}
    return replace(protocol.specification, weights=weights)


def _results(tasks: list[_Task], engine: str, seed: int, jobs: int) -> Iterator[Mapping[str, Any]]:
    """Yield the results in order, from this process or from several."""
    work = partial(_one, engine=engine, seed=seed)
    with pieces(min(jobs, len(tasks)), "Analyzing", shown=len(tasks) > 1) as run:
        yield from run(work, tasks)


def _one(task: _Task, *, engine: str, seed: int) -> Mapping[str, Any]:
    """Analyze one patient."""
    analysis = _analysis(task.data, task.specification, engine, seed)
    shown = analysis.verdict.kind is not Kind.REFUSED
    items = tolerability(task.data, task.specification, seed=seed) if shown else ()
    return result_of(
        analysis,
        patient=task.patient,
        warnings=task.warnings,
        side_effects=items,
        otherwise=sensitivity(analysis, seed=seed),
        reversal=rank_reversal(analysis, seed=seed),
    )


def _analysis(data: TrialData, specification: Specification, engine: str, seed: int) -> Analysis:
    if engine == "exact":
        return analyze_exactly(data, specification, seed=seed)
    # Loading PyMC takes seconds that the exact engine has no use for.
    from models import confirm  # noqa: PLC0415

    if engine == "pymc":
        return confirm.analyze_by_sampling(data, specification, seed=seed)
    return confirm.confirm(data, specification, seed=seed)


def _tell(result: Mapping[str, Any]) -> None:
    """Say the verdict in words; the numbers are in the file."""
    verdict = result["verdict"]
    who = f"{result['patient']}: " if "patient" in result else ""
    click.echo(f"{who}{verdict['sentence']}")
    if "patient" not in result or verdict["kind"] == "refused":
        for reason in verdict["reasons"]:
            click.echo(f"  {reason}", err=verdict["kind"] == "refused")
        if "sensitivity" in result:
            click.echo(f"  {result['sensitivity']['sentence']}")
    sys.stdout.flush()


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[str]]:
    """Write a file that appears under its name only when complete."""
    try:
        target = NamedTemporaryFile(  # noqa: SIM115 - closed below, renamed only when complete
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        )
    except OSError as error:
        raise click.FileError(str(path), str(error.strerror)) from error
    try:
        with target:
            yield target
        Path(target.name).chmod(0o644)
        Path(target.name).replace(path)
    finally:
        Path(target.name).unlink(missing_ok=True)
