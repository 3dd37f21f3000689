"""How fast PyMC confirms, how soon, how often, and how much memory all that takes.

One trial is 84 days, 3 arms with a half-life each, 4 blocks, 10 % missing, 4,000 draws. Processor
time stands beside the clock's: on a machine that does something else as well, it is what counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.engine import FADING, PLAIN, alternating, answer, middle, ratio, trial
from models.evidence.table import Table, markdown
from scheduler.compiled import keep_compiled_in
from scheduler.pool import ONE_THREAD

type Row = tuple[str, ...]

FIRST = """
import json, resource, time
from benchmarks.engine import FADING, trial
from models.sampling import sample
sample(trial(0, FADING), FADING, seed=1)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def first(folder: Path) -> tuple[float, float, float]:
    """Return seconds, processor seconds and peak MB of a fresh process's first confirmation."""
    environment = {**os.environ, "PYTENSOR_FLAGS": f"base_compiledir={folder}"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", FIRST], check=True, capture_output=True, env=environment, text=True
    )
    return time.perf_counter() - began, *json.loads(done.stdout.splitlines()[-1])


def confirm_some(patients: Sequence[int]) -> float:
    """Confirm patients one after the other, in one of several processes; return busy seconds."""
    from models.confirm import confirm  # noqa: PLC0415 - in the worker process

    confirm(trial(0, FADING), FADING, seed=0)
    busy = time.process_time()
    for seed in patients:
        confirm(trial(seed, FADING), FADING, seed=seed)
    return time.process_time() - busy


def many(patients: int) -> list[Row]:
    """Return how many patients all cores confirm in an hour, with everything that belongs to it."""
    cores = os.cpu_count() or 1
    seeds = list(range(1, patients + 1))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(confirm_some, [[]] * cores))
        began = time.perf_counter()
        busy = sum(pool.map(confirm_some, [seeds[n::cores] for n in range(cores)]))
        seconds = time.perf_counter() - began
    each = busy / patients
    return [
        (
            "confirmations per hour, all cores",
            "10,000",
            f"{3600 * patients / seconds:,.0f}",
            "",
            "",
        ),
        (
            "the same if nothing else ran",
            "10,000",
            f"{3600 * cores / each:,.0f}",
            f"processor time of one: {middle([each])}",
            "",
        ),
    ]


def one(repeats: int, *, plainly: bool) -> list[Row]:
    """Return the rows of a warm worker."""
    from models.sampling import sample, sample_plainly  # noqa: PLC0415 - after the folder is known

    trials = [trial(n, FADING) for n in range(repeats + 1)]
    sample(trials[-1], FADING, seed=1)
    seconds, busy, exactly, fewest = [], [], [], []
    for n in range(repeats):
        began, working = time.perf_counter(), time.process_time()
        figures = sample(trials[n], FADING, seed=n).diagnostics
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - working)
        fewest.append(min(figures.ess_bulk or 0.0, figures.ess_tail or 0.0))
        began = time.perf_counter()
        answer(trials[n], FADING)
        exactly.append(time.perf_counter() - began)
    rows: list[Row] = [
        ("PyMC confirmation, warm worker", "0.6 s", middle(seconds), _beside(fewest), ""),
        ("the same, processor time", "", middle(busy), "two chains at a time", ""),
        ("exact", "", middle(exactly), f"PyMC: {middle(seconds)}", ratio(exactly, seconds)),
        _without_half_lives(repeats),
    ]
    if plainly:
        began, working = time.perf_counter(), time.process_time()
        sample_plainly(trials[0], FADING, seed=0)
        plain, work = time.perf_counter() - began, time.process_time() - working
        text = f"plain pm.sample: {middle([plain])}, processor {middle([work])}"
        rows.append(("the same", "", middle(seconds), text, ratio(seconds[:1], [plain])))
    return rows


def _without_half_lives(repeats: int) -> Row:
    """Return the row of the exact engine beside the sampler where effects are there at once."""
    from models.sampling import sample  # noqa: PLC0415 - after the folder is known

    trials = [trial(n, PLAIN) for n in range(repeats + 1)]
    sample(trials[-1], PLAIN, seed=1)
    exactly, sampled = alternating(
        [lambda n: answer(trials[n], PLAIN), lambda n: sample(trials[n], PLAIN, seed=n)], repeats
    )
    name = "exact, without half-lives: AR(1), trend, period"
    return (name, "", middle(exactly), f"PyMC: {middle(sampled)}", ratio(exactly, sampled))


def _beside(fewest: Sequence[float]) -> str:
    enough = 100 * statistics.mean(f >= 1000 for f in fewest)
    return f"smallest effective size {min(fewest):.0f}, at least 1,000 in {enough:.0f} %"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--patients", type=int, default=60, help="confirmed by all cores together")
    parser.add_argument("--without-plain", action="store_true")
    parser.add_argument("--without-empty", action="store_true", help="compile nothing from scratch")
    parser.add_argument("--folder", type=Path, help="of compiled models; a temporary one otherwise")
    options = parser.parse_args()
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "compiled"
        rows: list[Row] = []
        if not options.without_empty:
            seconds, work, peak = first(Path(temporary) / "empty")
            text = f"processor {middle([work])}, peak {peak:.0f} MB"
            rows.append(("first of an empty cache", "", middle([seconds]), text, ""))
            folder = options.folder or Path(temporary) / "empty"
        fresh = [first(folder) for _ in range(3)]
        text = f"processor {middle([f[1] for f in fresh])}"
        name = "first in a fresh process, warm cache, imports included"
        rows.append((name, "10 s", middle([f[0] for f in fresh]), text, ""))
        memory = f"{max(f[2] for f in fresh):.0f} MB"
        rows.append(("peak memory of a worker, warm cache", "600 MB", memory, "", ""))
        keep_compiled_in(folder)
        rows += one(options.repeats, plainly=not options.without_plain)
        rows += many(options.patients)
    table = Table(
        title="Confirmation: 84 days, 3 arms, 3 half-lives, 4 blocks, 10 % missing, 4,000 draws",
        headings=("work", "goal", "median", "beside it", "ratio"),
        rows=tuple(rows),
        notes=(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.",),
    )
    print(markdown(table))


if __name__ == "__main__":
    main()
