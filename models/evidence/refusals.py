"""What must be refused is refused, with its reason and without a number.

Each case takes an ordinary simulated trial and spoils one thing. The sampler that is forced to
fail is that of the end-of-scale model, stopped long before its chains agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models import ends
from models.analysis import analyze, judge
from models.data import TrialData, trial_data
from models.decision import Kind, Verdict
from models.ends import Effort
from models.evidence.table import Table
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, Ends, Specification
from models.words import render

type Integers = NDArray[np.int64]

ARMS = tuple(Arm(label=label, half_life_days=1.0) for label in "ABC")
SPECIFICATION = Specification(arms=ARMS)
BLOCKS = np.array([0, 1, 2, 2, 0, 1, 1, 2, 0])
FAR_TOO_SHORT = Effort(chains=4, warm_up=0, kept=40, rounds=1)
SEED = 7


def refusals_table() -> Table:
    """Return every case with the reasons given; passed when all are refusals without a number."""
    rows, passed = [], True
    for case, force in CASES.items():
        verdict = force()
        silent = not verdict.p_best and not verdict.expected_loss and verdict.arm is None
        good = verdict.kind is Kind.REFUSED and bool(verdict.reasons) and silent
        passed &= good
        first, *others = [render(reason) for reason in verdict.reasons] or [""]
        rows.append((case, first, str(len(others)), "yes" if good else "NO"))
    return Table(
        title="What must be refused",
        headings=("case", "first reason given", "further reasons", "refused, without a number"),
        rows=tuple(rows),
        passed=passed,
    )


def _judged(data: TrialData, specification: Specification = SPECIFICATION) -> Verdict:
    return analyze(data, specification, seed=SEED, draws=1000).verdict


def _trial(order: Integers = BLOCKS, days: int = 7) -> TrialData:
    """Return an ordinary diary: B is two points better than A and C, 10 % of days missing."""
    return simulate_trial(
        SimulatedPatient(level=5.0, effects=(0.0, -2.0, 0.0)),
        SPECIFICATION,
        np.repeat(order, days),
        day_period=np.repeat(np.arange(order.size), days),
        generator=np.random.default_rng(SEED),
    )


def _one_block() -> Verdict:
    return _judged(_trial(BLOCKS[:3], 14))


def _silent_arm() -> Verdict:
    data = _trial()
    return _judged(data.with_outcome(np.where(data.day_arm == 1, np.nan, data.outcome)))


def _constant() -> Verdict:
    data = _trial()
    return _judged(data.with_outcome(np.where(data.observed, 5.0, np.nan)))


def _mostly_missing() -> Verdict:
    data = _trial()
    missing = np.random.default_rng(SEED).permutation(data.days) < round(0.6 * data.days)
    return _judged(data.with_outcome(np.where(missing, np.nan, data.outcome)))


def _short_periods() -> Verdict:
    slow = replace(SPECIFICATION, arms=(replace(ARMS[0], half_life_days=3.0), *ARMS[1:]))
    return _judged(_trial(), slow)


def _stuck_at_an_end() -> Verdict:
    """Nearly all ratings 0: the continuous model cannot look like that."""
    generator = np.random.default_rng(SEED)
    ratings = np.where(generator.random(63) < 0.85, 0.0, generator.integers(1, 9, 63))
    return _judged(
        trial_data(
            SPECIFICATION.labels,
            np.repeat(BLOCKS, 7),
            ratings,
            day_period=np.repeat(np.arange(9), 7),
        )
    )


def _sampler_stopped() -> Verdict:
    data = _trial()
    whole = data.with_outcome(np.clip(np.round(data.outcome), 0.0, 10.0))
    specification = replace(SPECIFICATION, ends=Ends.ALWAYS)
    posterior = ends.fit(whole, specification, seed=SEED, draws=160, effort=FAR_TOO_SHORT)
    return judge(posterior, specification, (), provisional=True)


CASES: Mapping[str, Callable[[], Verdict]] = {
    "one block": _one_block,
    "an arm without data": _silent_arm,
    "constant ratings": _constant,
    "60 % of the days missing": _mostly_missing,
    "a period shorter than three half-lives": _short_periods,
    "a diary stuck at an end of the scale": _stuck_at_an_end,
    "a sampler that did not converge": _sampler_stopped,
}
