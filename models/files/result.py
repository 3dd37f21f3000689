"""RESULT.json: an analysis as plain values, in the documented schema.

The schema is ``result.schema.json`` beside this module; ``schema_version`` changes with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.analysis import Analysis
from models.burden import burden_draws, is_weighed
from models.decision import Kind, expected_loss, probability_best
from models.posterior import Posterior, Summary, summarize
from models.reversal import Reversal
from models.sensitivity import Sensitivity
from models.specification import Specification
from models.tolerability import Tolerability
from models.words import render, tipping_point

type Floats = NDArray[np.float64]
type Json = dict[str, Any]

SCHEMA_VERSION = "1"
DIFFERENCES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
"""Points whose probability each contrast gives."""


def result_of(
    analysis: Analysis,
    *,
    patient: str | None = None,
    warnings: tuple[str, ...] = (),
    side_effects: Sequence[Tolerability] = (),
    otherwise: Sensitivity | None = None,
    reversal: Reversal | None = None,
) -> Json:
    """Return an analysis as the content of RESULT.json.

    A refused analysis holds its reasons and where it came from, and no estimate.

    Args:
        analysis: of one trial.
        patient: what the diary calls the patient, in a file of many.
        warnings: sentences from reading the files.
        side_effects: by arm (``models.tolerability``).
        otherwise: how the verdict depends on what is not known (``models.sensitivity``).
        reversal: how the order of the arms hangs on the weights (``models.reversal``).
    """
    specification, verdict = analysis.specification, analysis.verdict
    shown = verdict.kind is not Kind.REFUSED
    burden = analysis.burden if shown else None
    outcome = analysis.outcome if shown else None
    weighed = burden is not None and burden is not outcome
    content: Json = {"schema_version": SCHEMA_VERSION}
    if patient is not None:
        content["patient"] = patient
    content |= {
        "target": "net_burden" if weighed or is_weighed(specification) else "outcome",
        "verdict": {
            "kind": verdict.kind.value,
            "arm": verdict.arm,
            "equal_arms": list(verdict.equal_arms),
            "sentence": render(verdict.sentence),
            "reasons": [render(reason) for reason in verdict.reasons],
            "vetoed": list(verdict.vetoed),
            "provisional": verdict.provisional,
        },
        "arms": {} if burden is None else arms_of(burden, specification),
        "contrasts": [] if burden is None else contrasts_of(burden, specification),
        "parameters": {} if burden is None else parameters_of(burden),
    }
    if weighed and outcome is not None:
        content["outcome_alone"] = {
            "arms": arms_of(outcome, specification),
            "contrasts": contrasts_of(outcome, specification),
            "parameters": parameters_of(outcome),
        }
    if shown and side_effects:
        content["side_effects"] = [tolerability_values(one) for one in side_effects]
    if shown and otherwise is not None:
        content["sensitivity"] = sensitivity_values(otherwise)
    if shown and reversal is not None:
        content["rank_reversal"] = {
            **asdict(reversal),
            "p_leader_at": {f"{times:g}": p for times, p in reversal.p_leader_at.items()},
        }
    content |= {
        "diagnostics": _diagnostics(analysis),
        "warnings": list(warnings),
        "provenance": _provenance(analysis),
        "seconds": round(analysis.seconds, 4),
    }
    return content


def tolerability_values(found: Tolerability) -> Json:
    """Return one side effect by arm as plain values; ``arms`` is empty with its reasons."""
    return {
        "item": found.item.name,
        "severest": found.item.severest,
        "arms": {label: asdict(own) for label, own in found.arms.items()},
        "reasons": [render(reason) for reason in found.reasons],
    }


def sensitivity_values(found: Sensitivity) -> Json:
    """Return the table as plain values; ``holds`` is None where a row leaves too few days."""
    return {
        "sentence": render(found.sentence),
        "rows": [
            {
                "what": render(row.what),
                "kind": row.kind.value,
                "arm": row.arm,
                "equal_arms": list(row.equal_arms),
                "p_best": dict(row.p_best),
                "holds": None if row.kind is Kind.REFUSED else row.holds,
            }
            for row in found.rows
        ],
        "tipping": [
            {
                **asdict(point),
                "sentence": render(tipping_point(point.arm, point.share, point.points)),
            }
            for point in found.tipping
        ],
    }


def arms_of(posterior: Posterior, specification: Specification) -> Json:
    """Return mean, spread, chance of being best and expected loss of each arm."""
    burden = burden_draws(posterior.arm_mean, specification)
    best, loss = probability_best(burden), expected_loss(burden)
    own = specification.scale.sign * np.array([arm.burden for arm in specification.arms])
    return {
        label: {
            **_summary(summarize(posterior.arm_mean[:, k] + own[k])),
            "p_best": float(best[k]),
            "expected_loss": float(loss[k]),
        }
        for k, label in enumerate(posterior.arms)
    }


def contrasts_of(posterior: Posterior, specification: Specification) -> list[Json]:
    """Return a minus b for every ordered pair of arms, in points of the outcome."""
    unit = specification.scale.unit
    sizes = sorted({*DIFFERENCES, *(round(unit * size, 6) for size in DIFFERENCES)})
    own = specification.scale.sign * np.array([arm.burden for arm in specification.arms])
    draws = posterior.arm_mean + own
    contrasts = []
    for j, a in enumerate(posterior.arms):
        for k, b in enumerate(posterior.arms):
            if j != k:
                difference = draws[:, j] - draws[:, k]
                below = {f"{size:g}": float((difference < size).mean()) for size in sizes}
                contrasts.append(
                    {"a": a, "b": b, **_summary(summarize(difference)), "p_below": below}
                )
    return contrasts


def parameters_of(posterior: Posterior) -> Json:
    """Return the summary of every other parameter."""
    return {name: _summary(summarize(draws)) for name, draws in posterior.parameters.items()}


def _summary(summary: Summary) -> Mapping[str, float]:
    return asdict(summary)


def _diagnostics(analysis: Analysis) -> Json:
    """Return how far to trust the numbers: the engine's figures, agreement, checks."""
    content: Json = {"engine": None}
    if analysis.burden is not None:
        figures = asdict(analysis.burden.diagnostics)
        content = {
            "engine": analysis.burden.engine.value if analysis.agreement is None else "both",
            **{name: _finite(value) for name, value in figures.items() if value is not None},
        }
    if analysis.agreement is not None:
        content["agreement"] = {
            **asdict(analysis.agreement),
            "agrees": analysis.agreement.agrees,
        }
    content["checks"] = [
        {
            "name": check.name,
            "observed": check.observed,
            "expected": check.expected,
            "low": check.low,
            "high": check.high,
            "share_below": check.share_below,
            "passed": check.passed,
            "gate": check.gate,
        }
        for check in analysis.checks
    ]
    return content


def _provenance(analysis: Analysis) -> Json:
    """Return where the answer came from, the whole specification with its priors included."""
    specification = json.loads(analysis.specification.canonical_json())
    return {**analysis.provenance, "specification": specification}


def _finite(value: float) -> float | None:
    """JSON has no infinity: a Pareto k of weights that are all alike is given as null."""
    return value if np.isfinite(value) else None
