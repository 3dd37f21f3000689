"""How fast one patient is answered and many are simulated, by the exact engine.

One trial is 84 days, 3 arms, 4 blocks, 10 % missing, 4,000 draws. Compared ways alternate,
and the ratio is the median of the ratios of neighbouring runs.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from models import exact
from models.analysis import analyze
from models.burden import burden_draws
from models.data import TrialData
from models.decision import decide
from models.evidence.table import Table, markdown
from models.operating import DesignShape, Scenario, draw_order, operating_characteristics
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, Specification

type Row = tuple[str, ...]

ARMS = tuple(Arm(label=a, half_life_days=h) for a, h in (("A", 0.5), ("B", 1.5), ("C", 1.0)))
PLAIN = Specification(arms=ARMS)
FADING = replace(PLAIN, carryover=True)
DESIGN = DesignShape(blocks=4, period_days=7)
FRESH_EXACT = (
    "from benchmarks.engine import PLAIN, trial; from models.analysis import analyze;"
    "analyze(trial(0, PLAIN), PLAIN, seed=1)"
)


def trial(seed: int, specification: Specification, design: DesignShape = DESIGN) -> TrialData:
    """Return the diary of a simulated patient."""
    generator = np.random.default_rng(seed)
    order = draw_order(len(ARMS), design, generator)
    patient = SimulatedPatient(level=6.0, effects=(0.0, -1.5, -0.5), missing=0.1)
    return simulate_trial(
        patient,
        specification,
        np.repeat(order, design.period_days),
        day_period=np.repeat(np.arange(len(order)), design.period_days),
        generator=generator,
    )


def answer(data: TrialData, specification: Specification) -> None:
    """Fit exactly and judge."""
    posterior = exact.fit(data, specification, seed=1)
    decide(burden_draws(posterior.arm_mean, specification), specification)


def _answer_of(trials: Sequence[TrialData], specification: Specification, n: int) -> None:
    answer(trials[n], specification)


def _analysis_of(trials: Sequence[TrialData], specification: Specification, n: int) -> None:
    analyze(trials[n], specification, seed=1)


def alternating(ways: Sequence[Callable[[int], object]], repeats: int) -> list[list[float]]:
    """Return the seconds of each way's runs, one of each after the other."""
    seconds: list[list[float]] = [[] for _ in ways]
    for n in range(repeats):
        for way, times in zip(ways, seconds, strict=True):
            began = time.perf_counter()
            way(n)
            times.append(time.perf_counter() - began)
    return seconds


def ratio(one: Sequence[float], other: Sequence[float]) -> str:
    """Return how many times longer the other takes, as the median over pairs."""
    return f"{statistics.median(b / a for a, b in zip(one, other, strict=True)):.1f}"


def middle(seconds: Sequence[float]) -> str:
    """Return the median in a readable unit."""
    value = statistics.median(seconds)
    return f"{1000 * value:.1f} ms" if value < 1 else f"{value:.2f} s"


def fresh(code: str) -> float:
    """Return the seconds a new process takes to run some code."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - began


def one_patient(repeats: int) -> list[Row]:
    """Exact answers, the whole analysis beside the fit and verdict alone."""
    rows: list[Row] = []
    goals = {"AR(1), trend, period": "15 ms", "the same, three half-lives": "60 ms"}
    for (name, goal), specification in zip(goals.items(), (PLAIN, FADING), strict=True):
        trials = [trial(n, specification) for n in range(repeats + 1)]
        answer(trials[-1], specification)
        fit, whole = alternating(
            [
                partial(_answer_of, trials, specification),
                partial(_analysis_of, trials, specification),
            ],
            repeats,
        )
        rows.append((f"exact posterior and verdict: {name}", goal, middle(fit), "", ""))
        beside = f"with predictive checks: {middle(whole)}"
        rows.append((f"whole analysis: {name}", "", middle(whole), beside, ratio(fit, whole)))
    times = [fresh(FRESH_EXACT) for _ in range(3)]
    rows.append(("first exact answer of a fresh process", "1 s", middle(times), "", ""))
    return rows


def many_trials(trials: int, jobs: int) -> list[Row]:
    """Simulated trials with verdicts, on all cores and with several looks."""
    rows: list[Row] = []
    scenario = (Scenario(name="no difference"),)
    context = multiprocessing.get_context("spawn")
    cases = (
        ("AR(1), trend, period", "3 s", PLAIN, DESIGN),
        ("the same, three half-lives", "30 s", FADING, DESIGN),
        ("AR(1), trend, period, 8 looks", "30 s", PLAIN, replace(DESIGN, blocks=8, looks=8)),
    )
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        list(pool.map(partial(answer, specification=PLAIN), [trial(0, PLAIN)] * 2 * jobs))
        for name, goal, specification, design in cases:
            before = _one_by_one(specification, design, 20)
            began = time.perf_counter()
            operating_characteristics(
                specification, design, scenario, trials=trials, draws=4000, run=pool.map
            )
            seconds = time.perf_counter() - began
            one_by_one = trials * (before + _one_by_one(specification, design, 20)) / 2
            rows.append(
                (
                    f"{trials} simulated trials with verdicts: {name}",
                    goal if trials == 1000 else "",
                    middle([seconds]),
                    f"one by one, one core: {middle([one_by_one])}",
                    f"{one_by_one / seconds:.1f}",
                )
            )
    return rows


def _one_by_one(specification: Specification, design: DesignShape, trials: int) -> float:
    """Return the seconds that one trial takes by itself, with a fit at each of its looks."""
    began = time.perf_counter()
    for n in range(trials):
        for look in range(1, design.looks + 1):
            blocks = design.blocks * look // design.looks
            answer(trial(n, specification, replace(design, blocks=blocks)), specification)
    return (time.perf_counter() - began) / trials


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    rows: list[Row] = one_patient(options.repeats) + many_trials(
        options.trials, os.cpu_count() or 1
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(
        ("peak memory of the process with the exact engine", "", f"{memory:.0f} MB", "", "")
    )
    table = Table(
        title="Engine: 84 days, 3 arms, 4 blocks, 10 % missing, 4,000 draws",
        headings=("work", "goal", "median", "beside it", "ratio"),
        rows=tuple(rows),
        notes=(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.",),
    )
    print(markdown(table))


if __name__ == "__main__":
    main()
