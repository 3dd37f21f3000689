"""Put an analysis into plain values: what is kept with a fit and shown on pages.

Lists of labels are in the order of the masked arms, which says nothing. Everything that
depends on which treatment an arm is stands under the keys ``SEALED_KEYS`` and only there.
"""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from itertools import combinations

import numpy as np
from models.analysis import Analysis

from models.decision import Kind, Verdict
from models.posterior import DIFFERENCES, Floats, Posterior, summarize
from models.words import Phrase
from trials.store.base import Json

SEALED_KEYS = ("half_lives", "comparator", "specification", "whole_verdict", "data_hash")
"""Half-lives and comparator name the treatment; a hash over them can be guessed back."""

DENSITY_POINTS = 81
TRACE_POINTS = 150
RANK_BINS = 20


def summary_of(analysis: Analysis) -> Json:
    """Return the analysis as plain values.

    Keys: ``arms`` (net burden by arm), ``outcome`` (pain alone by arm), ``contrasts``,
    ``parameters``, ``chains``, ``verdict``, ``diagnostics``, ``checks``, ``agreement``,
    ``provenance``, ``seconds``, and the sealed ones. A refused analysis without posterior has
    no arms.
    """
    decision = analysis.specification.decision
    summary: Json = {
        "arms": _arms(analysis.burden, analysis.verdict),
        "outcome": _arms(analysis.outcome, None),
        "contrasts": _contrasts(analysis.burden, decision.equal_margin),
        "parameters": _parameters(analysis.burden, half_lives=False),
        "chains": _chains(analysis.confirmation),
        "verdict": _masked_verdict(analysis.verdict),
        "rule": {
            "best": decision.best,
            "expected_loss": decision.expected_loss,
            "equal_margin": decision.equal_margin,
            "equal_probability": decision.equal_probability,
        },
        "diagnostics": _diagnostics(analysis),
        "checks": plain_values(analysis.checks),
        "agreement": plain_values(analysis.agreement),
        "provenance": {
            key: value
            for key, value in analysis.provenance.items()
            if key not in {"data_hash", "specification_hash", "priors"}
        },
        "seconds": analysis.seconds,
        "half_lives": _parameters(analysis.burden, half_lives=True),
        "comparator": decision.comparator,
        "specification": analysis.specification.canonical_json(),
        "whole_verdict": _verdict(analysis.verdict),
        "data_hash": analysis.data.data_hash,
    }
    return summary


def plain_values(value: object) -> object:
    """Return dataclasses, enums and numpy numbers as plain JSON values; NaN as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain_values(asdict(value))
    if isinstance(value, Enum):
        return plain_values(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain_values(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _arms(posterior: Posterior | None, verdict: Verdict | None) -> Json:
    if posterior is None:
        return {}
    found: Json = {}
    for place, label in enumerate(posterior.arms):
        draws = posterior.arm_mean[:, place]
        found[label] = {**asdict(summarize(draws)), "density": _density(draws)}
        if verdict is not None:
            found[label] |= {  # type: ignore[operator]  # a dict, made two lines above
                "p_best": verdict.p_best.get(label),
                "expected_loss": verdict.expected_loss.get(label),
            }
    return found


def _contrasts(posterior: Posterior | None, margin: float) -> list[Json]:
    """Return every pair's difference: value of ``a`` minus value of ``b``."""
    if posterior is None:
        return []
    found: list[Json] = []
    for first, second in combinations(range(len(posterior.arms)), 2):
        difference = posterior.arm_mean[:, first] - posterior.arm_mean[:, second]
        found.append(
            {
                "a": posterior.arms[first],
                "b": posterior.arms[second],
                **asdict(summarize(difference)),
                "p_below": {
                    f"{-size:g}": float((difference < -size).mean()) for size in DIFFERENCES
                },
                "p_above": {f"{size:g}": float((difference > size).mean()) for size in DIFFERENCES},
                "p_equal": float((np.abs(difference) < margin).mean()),
            }
        )
    return found


def _parameters(posterior: Posterior | None, *, half_lives: bool) -> Json:
    if posterior is None:
        return {}
    return {
        name: asdict(summarize(draws))
        for name, draws in posterior.parameters.items()
        if name.startswith("half_life") == half_lives
    }


def _diagnostics(analysis: Analysis) -> Json:
    found: Json = {}
    for posterior in (analysis.burden, analysis.confirmation):
        if posterior is not None:
            found[posterior.engine.value] = plain_values(posterior.diagnostics)
    return found


def _chains(posterior: Posterior | None) -> Json:
    """Return thinned traces and rank histograms of the arm means, by arm and chain."""
    if posterior is None or not posterior.diagnostics.chains:
        return {}
    chains = posterior.diagnostics.chains
    found: Json = {}
    for place, label in enumerate(posterior.arms):
        draws = posterior.arm_mean[:, place].reshape(chains, -1)
        step = max(1, draws.shape[1] // TRACE_POINTS)
        ranks = draws.ravel().argsort().argsort().reshape(draws.shape)
        edges = np.linspace(0, draws.size, RANK_BINS + 1)
        found[label] = {
            "trace": draws[:, ::step].round(3).tolist(),
            "ranks": [np.histogram(chain, edges)[0].tolist() for chain in ranks],
        }
    return found


def _masked_verdict(verdict: Verdict) -> Json:
    """Return what a blinded reader may see: nothing that points to the reference."""
    if verdict.kind is Kind.NONE:
        return {
            "kind": verdict.kind.value,
            "arm": None,
            "equal_arms": [],
            "sentence": _phrase(Phrase("No arm is better than the reference.")),
            "reasons": [],
            "provisional": verdict.provisional,
        }
    return _verdict(verdict)


def _verdict(verdict: Verdict) -> Json:
    return {
        "kind": verdict.kind.value,
        "arm": verdict.arm,
        "equal_arms": list(verdict.equal_arms),
        "sentence": _phrase(verdict.sentence),
        "reasons": [_phrase(reason) for reason in verdict.reasons],
        "provisional": verdict.provisional,
    }


def _phrase(phrase: Phrase) -> Json:
    return {
        "message": phrase.message,
        "values": {
            name: _phrase(value) if isinstance(value, Phrase) else value
            for name, value in phrase.values.items()
        },
    }


def _density(draws: Floats) -> Json:
    """Return a smooth density of the draws: a histogram under a Gaussian kernel.

    The bandwidth is Silverman's, 0.9 min(sd, IQR / 1.34) n^(-1/5) (Silverman 1986, eq. 3.31).
    """
    quartiles = np.quantile(draws, (0.25, 0.75))
    spread = min(draws.std(), (quartiles[1] - quartiles[0]) / 1.34) or 1e-6
    bandwidth = 0.9 * spread * draws.size**-0.2
    low, high = np.quantile(draws, (0.001, 0.999))
    grid = np.linspace(low - 2 * bandwidth, high + 2 * bandwidth, DENSITY_POINTS)
    counts, edges = np.histogram(draws, bins=400)
    centres = (edges[:-1] + edges[1:]) / 2
    kernel = np.exp(-0.5 * ((grid[:, None] - centres) / bandwidth) ** 2)
    height = (kernel @ counts) / (draws.size * bandwidth * np.sqrt(2 * np.pi))
    return {"x": grid.round(4).tolist(), "y": height.round(5).tolist()}
