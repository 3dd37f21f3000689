"""Does the sampler do its work on patients and models of every kind, at its first attempt?

Simulated patients with two to four arms: as usual, with hardly any noise, with a lot of
autocorrelation, and with 60 % of their days missing; then usual patients under every form of the
model. Prints the share of first attempts whose diagnostics would be believed, and in how many
both engines agree.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.engine import DESIGN
from models import exact
from models.agreement import compare_engines
from models.evidence.table import Table, markdown
from models.operating import draw_order
from models.sampling import sample
from models.simulate import SimulatedPatient, simulate_trial
from models.specification import Arm, HalfLifeShared, HalfNormal, Priors, Specification

KINDS: dict[str, dict[str, Any]] = {
    "as usual": {"missing": 0.1},
    "hardly any noise": {"missing": 0.1, "sd": 0.05},
    "noise that lasts": {"missing": 0.1, "sd": 2.0, "autocorrelation": 0.9},
    "60 % missing": {"missing": 0.6},
}
FORMS: dict[str, dict[str, Any]] = {
    "no carryover": {"carryover": False},
    "no carryover, no period effect": {"carryover": False, "period_effect": False},
    "no carryover, no trend": {"carryover": False, "trend": False},
    "one half-life for all": {"priors": Priors(half_life=HalfLifeShared())},
    "half-normal daily SD": {"priors": Priors(sd=HalfNormal(2.0))},
    "half-normal, no carryover": {"carryover": False, "priors": Priors(sd=HalfNormal(2.0))},
    "effect builds up on day 1": {"in_force_before": False},
}
HALF_LIVES = (0.5, 1.5, 1.0, 2.0)


@dataclass(frozen=True)
class Attempt:
    """The first attempt at one patient."""

    divergences: int
    r_hat: float
    effective: float
    agrees: bool
    seconds: float


def attempt(arms: int, kind: str, seed: int) -> Attempt:
    """Sample one patient once, and fit exactly."""
    labels = "ABCD"[:arms]
    fading = Specification(
        arms=tuple(
            Arm(label=label, half_life_days=h)
            for label, h in zip(labels, HALF_LIVES[:arms], strict=True)
        ),
        carryover=True,
    )
    specification = replace(fading, **FORMS.get(kind, {}))
    generator = np.random.default_rng(seed)
    order = draw_order(arms, DESIGN, generator)
    effects = (0.0, -1.5, -0.5, -1.0)[:arms]
    data = simulate_trial(
        SimulatedPatient(level=6.0, effects=effects, **KINDS.get(kind, KINDS["as usual"])),
        specification,
        np.repeat(order, DESIGN.period_days),
        day_period=np.repeat(np.arange(len(order)), DESIGN.period_days),
        generator=generator,
    )
    sampled = sample(data, specification, seed=seed)
    figures = sampled.diagnostics
    agreement = compare_engines(exact.fit(data, specification, seed=seed), sampled, specification)
    return Attempt(
        divergences=figures.divergences or 0,
        r_hat=figures.r_hat or np.inf,
        effective=min(figures.ess_bulk or 0.0, figures.ess_tail or 0.0),
        agrees=agreement.agrees,
        seconds=sampled.seconds,
    )


def row(arms: int, kind: str, attempts: list[Attempt]) -> tuple[str, ...]:
    """Return the line of one kind of patient."""
    many = len(attempts)
    believed = sum(a.effective >= 400 and a.r_hat <= 1.01 for a in attempts)
    plenty = sum(a.effective >= 1000 for a in attempts)
    return (
        f"{arms} arms, {kind}",
        str(many),
        str(sum(a.divergences for a in attempts)),
        f"{100 * believed / many:.0f} %",
        f"{100 * plenty / many:.0f} %",
        f"{min(a.effective for a in attempts):.0f}",
        f"{max(a.r_hat for a in attempts):.4f}",
        f"{100 * sum(a.agrees for a in attempts) / many:.0f} %",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10, help="of each kind")
    parser.add_argument("--arms", type=int, nargs="+", default=[2, 3, 4])
    options = parser.parse_args()
    rows, seconds = [], []
    for arms in options.arms:
        for kind in (*KINDS, *FORMS):
            attempts = [attempt(arms, kind, seed) for seed in range(options.patients)]
            seconds += [a.seconds for a in attempts]
            rows.append(row(arms, kind, attempts))
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    table = Table(
        title="First attempts: 4 chains of 1,000 draws, an uncertain half-life per arm unless said",
        headings=(
            "patients",
            "n",
            "divergences",
            "ESS ≥ 400, R-hat ≤ 1.01",
            "ESS ≥ 1,000",
            "smallest ESS",
            "largest R-hat",
            "engines agree",
        ),
        rows=tuple(rows),
        notes=(f"Median {statistics.median(seconds):.2f} s a patient.",),
    )
    print(markdown(table))


if __name__ == "__main__":
    main()
