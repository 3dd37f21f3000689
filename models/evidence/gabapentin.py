"""46 real trials of gabapentin in neuropathic pain (Yelland 2009), through our verdict.

The file gives one mean a period: up to three pairs of gabapentin and placebo for each patient.
A period mean is one observation here. The order inside a pair is not in the file, so no
drift is fitted, and the daily noise is the noise of period means.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from models import exact
from models.data import TrialData, trial_data
from models.decision import Kind, decide, insufficiencies, probability_best
from models.evidence.table import Table
from models.specification import Arm, BoundedNormal, DecisionRule, Priors, Specification

FILE = "gabapentin_yelland2009.csv"
OUTCOME = "pain_0_10"
ARMS = ("placebo", "gabapentin")
SPECIFICATION = Specification(
    arms=tuple(Arm(label=arm) for arm in ARMS),
    trend=False,
    period_effect=False,
    # Means of a fortnight hardly depend on each other: none but a little memory.
    priors=Priors(autocorrelation=BoundedNormal(0.0, 0.1, -0.3, 0.3)),
    decision=DecisionRule(comparator="placebo"),
)


def gabapentin_trials(path: Path) -> dict[str, TrialData]:
    """Return each patient's period means as a trial of one observation a period."""
    means: dict[str, list[tuple[int, str, float]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["outcome"] == OUTCOME:
                value = float(row["value"]) if row["value"] not in ("", "NA") else np.nan
                means[row["patient"]].append((int(row["cycle"]), row["treatment"], value))
    return {
        patient: trial_data(
            ARMS, [ARMS.index(arm) for _, arm, _ in rows], [value for _, _, value in rows]
        )
        for patient, rows in means.items()
    }


def gabapentin_table(path: Path) -> Table:
    """Return what share of the trials is best, equal, none, undetermined or refused."""
    counts = dict.fromkeys(Kind, 0)
    clear = judged = 0
    named = dict.fromkeys(ARMS, 0)
    trials = gabapentin_trials(path)
    for data in trials.values():
        if insufficiencies(data, SPECIFICATION):
            counts[Kind.REFUSED] += 1
            continue
        burden = exact.fit(data, SPECIFICATION, seed=1).arm_mean
        verdict = decide(burden, SPECIFICATION)
        counts[verdict.kind] += 1
        judged += 1
        clear += bool(probability_best(burden).max() > 0.95)
        if verdict.kind is Kind.BEST and verdict.arm is not None:
            named[verdict.arm] += 1
    rows = tuple(
        (kind.value, str(count), f"{100 * count / len(trials):.0f} %")
        for kind, count in counts.items()
    )
    note = (
        f"Of {judged} judged, {clear} reach P(best) > 0.95; best named: gabapentin "
        f"{named['gabapentin']} times."
    )
    return Table(
        title=f"{len(trials)} real trials of gabapentin against placebo",
        headings=("verdict", "trials", "share"),
        rows=rows,
        notes=(note,),
    )
