"""Both engines against posteriors from independent programs: quadrature, Stan and JAGS.

A folder holds ``case_NAME.json`` (days, arms, ratings) and ``CASE__MODEL__ENGINE.json``
(priors and posterior summary). Models: m1 AR(1) and trend; m2 with carryover of one shared
half-life; a ``p`` at the end adds period effects. What a folder holds of other models is named
as not covered, with the reason, so that nobody takes silence for agreement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data import TrialData, trial_data
from models.evidence.table import Table
from models.posterior import Posterior
from models.specification import (
    Arm,
    BoundedNormal,
    HalfLifeShared,
    HalfNormal,
    Normal,
    Priors,
    Specification,
)

type Floats = NDArray[np.float64]
type Fit = Callable[[TrialData, Specification], Posterior]

MODELS = ("m1", "m1p", "m2", "m2p")
NOT_COVERED = {
    "m3": "cumulative logit of many patients with ordered answers; we fit one patient's ratings, "
    "those near an end of the scale by another model (rounded and cut off)",
    "m4a": "hierarchy of many patients; no model of ours joins patients",
    "m4b": "hierarchy of many patients; no model of ours joins patients",
}
"""Reference models that no engine of ours fits, and why."""
MEAN_LIMIT = 0.05
QUANTILE_LIMIT = 0.1
P_BEST_LIMIT = 0.015
P_BELOW_LIMIT = 0.015
_LIMITS = (
    f"Worst over all quantities; limits {MEAN_LIMIT} and {QUANTILE_LIMIT} posterior SD, "
    f"{P_BEST_LIMIT} of probability."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One independent posterior and the trial it is of.

    Attributes:
        case: name of the trial; model, engine: how it was fitted, and by what.
        data: the trial.
        specification: the model with the priors of the file.
        summary: mean, sd, 5 and 95 % quantile by quantity.
        p_best: probability of the lowest outcome by arm.
        p_below: by contrast ("d[2]-[1]"), probability of lying below a size.
    """

    case: str
    model: str
    engine: str
    data: TrialData
    specification: Specification
    summary: Mapping[str, tuple[float, float, float, float]]
    p_best: Mapping[str, float]
    p_below: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a posterior is from a reference, each the worst over all quantities.

    Attributes:
        mean: in reference standard deviations; quantile: of the 5 and 95 % quantiles, too.
        p_best: of a probability of being lowest; p_below: of a contrast's probability.
    """

    mean: float
    quantile: float
    p_best: float
    p_below: float

    @property
    def within(self) -> bool:
        """True when all limits are kept."""
        return (
            self.mean <= MEAN_LIMIT
            and self.quantile <= QUANTILE_LIMIT
            and self.p_best <= P_BEST_LIMIT
            and self.p_below <= P_BELOW_LIMIT
        )


def references(folder: Path) -> list[Reference]:
    """Return all references of a folder that the crossover model covers, sorted by name."""
    found = []
    for path in sorted(folder.glob("*__*__*.json")):
        case, model, engine = path.stem.split("__")
        base = folder / f"case_{case.removesuffix('_m1p').removesuffix('_m2p')}.json"
        if model in MODELS and base.exists():
            found.append(_reference(json.loads(base.read_text()), path, case, model, engine))
    return found


def not_covered(folder: Path) -> list[str]:
    """Return a sentence for each case of a folder whose model is not one of ours."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(folder.glob("*__*__*.json")):
        case, model, engine = path.stem.split("__")
        if model not in MODELS:
            found.setdefault((case, model), []).append(engine)
    return [
        f"Not covered: {case} ({model} by {' and '.join(engines)}): "
        f"{NOT_COVERED.get(model, 'this program does not know the model')}."
        for (case, model), engines in found.items()
    ]


def distance(posterior: Posterior, reference: Reference) -> Distance:
    """Compare a posterior with a reference."""
    quantities = _quantities(posterior)
    means, quantiles = [], []
    for name, (mean, sd, low, high) in reference.summary.items():
        draws = quantities[name]
        q05, q95 = np.quantile(draws, (0.05, 0.95))
        means.append(abs(float(draws.mean()) - mean) / sd)
        quantiles.append(max(abs(q05 - low), abs(q95 - high)) / sd)
    lowest = np.bincount(posterior.arm_mean.argmin(axis=1), minlength=len(posterior.arms))
    best = {a: n / posterior.size for a, n in zip(posterior.arms, lowest, strict=True)}
    below = [
        abs(float((quantities[contrast] < float(size)).mean()) - expected)
        for contrast, sizes in reference.p_below.items()
        for size, expected in sizes.items()
    ]
    return Distance(
        mean=max(means),
        quantile=float(max(quantiles)),
        p_best=max(abs(best[a] - p) for a, p in reference.p_best.items()),
        p_below=max(below, default=0.0),
    )


def parity(
    chosen: Iterable[Reference], engines: Mapping[str, Fit], others: Iterable[str] = ()
) -> Table:
    """Fit every reference's trial with every engine and compare.

    A trial fitted by several reference programs with the same priors is fitted once by each
    engine.

    Args:
        chosen: the references.
        engines: how to fit, by name.
        others: what is said below the table of references that are not covered.
    """
    rows, passed = [], True
    fitted: dict[tuple[str, str, str], Posterior] = {}
    for reference in chosen:
        for name, fit in engines.items():
            key = (reference.data.data_hash, reference.specification.specification_hash, name)
            if key not in fitted:
                fitted[key] = fit(reference.data, reference.specification)
            far = distance(fitted[key], reference)
            passed &= far.within
            rows.append(
                (
                    reference.case,
                    reference.model,
                    reference.engine,
                    name,
                    f"{far.mean:.4f}",
                    f"{far.quantile:.4f}",
                    f"{far.p_best:.4f}",
                    f"{far.p_below:.4f}",
                    f"{fitted[key].seconds:.3f}",
                    "yes" if far.within else "NO",
                )
            )
    return Table(
        title="Parity with independent posteriors",
        headings=(
            "case", "model", "reference", "engine", "mean (SD)", "quantiles (SD)", "P(best)",
            "P(difference)", "seconds", "within limits",
        ),
        rows=tuple(rows),
        passed=passed and bool(rows),
        notes=(_LIMITS, *dict.fromkeys(others)),
    )  # fmt: skip


def _reference(
    case: Mapping[str, Any], path: Path, name: str, model: str, engine: str
) -> Reference:
    content = json.loads(path.read_text())
    outcome = np.full(case["T"], np.nan)
    outcome[np.array(case["d"]) - 1] = case["y"]
    labels = tuple(case["levels"])
    return Reference(
        case=name,
        model=model,
        engine=engine,
        data=trial_data(labels, np.array(case["ktr"]) - 1, outcome),
        specification=_specification(labels, model, content["prior"]),
        summary=_summary(content["summary"]),
        p_best=content["p_lowest_is_best"],
        p_below=content.get("p_contrast_below", {}),
    )


def _specification(
    labels: tuple[str, ...], model: str, prior: Mapping[str, float]
) -> Specification:
    """The model with exactly the priors of the reference, which are not our defaults."""
    return Specification(
        arms=tuple(Arm(label=label) for label in labels),
        trend=True,
        period_effect=model.endswith("p"),
        carryover=model.startswith("m2"),
        priors=Priors(
            level=Normal(prior["m0"], prior["s0"]),
            arm=Normal(0.0, prior["st"]),
            trend_per_week=Normal(0.0, prior["sb"]),
            sd=HalfNormal(prior["ss"]),
            autocorrelation=BoundedNormal(prior["pm"], prior["ps"], -0.99, 0.99),
            period_sd=HalfNormal(prior.get("sps", 0.35)),
            half_life=HalfLifeShared(prior["hm"], prior["hs"]),
        ),
    )


def _summary(content: Any) -> dict[str, tuple[float, float, float, float]]:
    """Return the summaries of either layout: a table by name, or rows of variables."""
    if isinstance(content, dict):
        return {n: (s["mean"], s["sd"], s["q0.05"], s["q0.95"]) for n, s in content.items()}
    return {s["variable"]: (s["mean"], s["sd"], s["q5"], s["q95"]) for s in content}


def _quantities(posterior: Posterior) -> dict[str, Floats]:
    """Return draws by the names of the reference files."""
    parameters = posterior.parameters
    names = {"beta": "trend_per_week", "sigma": "sd", "phi": "autocorrelation"}
    names |= {"s_p": "period_sd", "h": "half_life", "alpha": "level"}
    found = {ours: parameters[theirs] for ours, theirs in names.items() if theirs in parameters}
    for k in range(len(posterior.arms)):
        found[f"mu[{k + 1}]"] = posterior.arm_mean[:, k]
        found[f"tau[{k + 1}]"] = posterior.arm_mean[:, k] - parameters["level"]
        for j in range(k):
            found[f"d[{k + 1}]-[{j + 1}]"] = posterior.arm_mean[:, k] - posterior.arm_mean[:, j]
    return found
