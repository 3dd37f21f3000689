"""Put an analysis into plain values: what is kept with a fit and shown on pages.

Lists of labels are in the order of the masked arms, which says nothing. A blinded reader gets
what follows from the masked days and ratings alone. What also depends on which treatment an
arm is stands under the keys ``SEALED_KEYS`` and only there: half-lives, the reference, the
arms' own burdens, and so the verdict of the whole rule. Beside it stands the same rule
without them, the ``verdict`` a blinded reader sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from enum import Enum
from itertools import combinations

import numpy as np

from models import words
from models.analysis import Analysis
from models.burden import burden_draws
from models.decision import (
    Kind,
    Verdict,
    decide,
    expected_loss_of,
    probability_best,
    refuse,
    without_vetoed,
)
from models.files.result import result_of
from models.harm import in_blind as harms_in_blind
from models.posterior import DIFFERENCES, Diagnostics, Floats, Posterior, summarize
from models.specification import Arm, Specification
from models.words import Phrase
from trials.domain.words import marked as _
from trials.store.base import Json

SUMMARY_FORMAT = 1
SEALED_KEYS = (
    "half_lives",
    "comparator",
    "specification",
    "specification_hash",
    "data_hash",
    "seed",
    "whole_verdict",
    "whole_arms",
    "whole_contrasts",
    "whole_agreement",
    "whole_scrutiny",
    "result",
)
"""Half-lives, own burdens and comparator name the treatment. From a hash over them, or over the
sequence, both can be guessed back, and with the seed the whole fit can be tried out."""

DENSITY_POINTS = 81
TRACE_POINTS = 150
RANK_BINS = 20

TOLD_OF_ANY_ARM = frozenset(
    {
        "period",
        "periods",
        "share",
        "needed",
        "name",
        "r_hat",
        "ess",
        "divergences",
        "k",
        "what",
        "item",
    }
)
"""Names of values in reasons that hold for the trial as a whole; a reason with any other value
could point at an arm."""

SEALED_REASON = Phrase(_("One more reason would tell the arms apart; it opens with the release."))
MASKED_REASONS: Mapping[str, Phrase] = {
    words.no_data_on_arm("").message: Phrase(_("There is no rating on one of the arms.")),
    words.too_few_periods("", 0, 0).message: Phrase(
        _("One of the arms was given in too few periods to tell it from the weeks it was given in.")
    ),
    words.period_too_short("", 0, 0).message: Phrase(
        _(
            "A period is shorter than three effect half-lives of one of the treatments, so its "
            "effect cannot be told from what lasts over from before."
        )
    ),
}


@dataclass(frozen=True, slots=True)
class Summary:
    """An analysis in two parts, to be kept apart.

    Attributes:
        masked: for blinded readers.
        sealed: the rest; see :func:`opened` for putting both together.
    """

    masked: Json
    sealed: Json


def summary_of(analysis: Analysis) -> Summary:
    """Return the analysis as plain values.

    Masked keys: ``format``, ``weights``, ``arms`` (net burden by arm), ``outcome`` (the outcome
    alone by arm), ``contrasts``, ``outcome_contrasts``, ``parameters``, ``chains``, ``verdict``,
    ``rule``, ``diagnostics`` (by engine), ``checks``, ``agreement``, ``provenance``,
    ``seconds``; with :func:`with_scrutiny` also ``scrutiny``. A refused analysis has its
    reasons and its diagnostics, and no estimate.
    """
    specification, rule = analysis.specification, analysis.specification.decision
    believed = analysis.verdict.kind is not Kind.REFUSED
    burden, outcome = analysis.burden, analysis.outcome
    bare = without_treatments(specification)
    shown = masked_verdict(analysis)
    masked: Json = {
        "format": SUMMARY_FORMAT,
        "weights": dict(specification.weights),
        "arms": _judged_arms(burden, bare, shown.vetoed) if burden and believed else {},
        "outcome": _arms(_by_arm(outcome)) if outcome and believed else {},
        "contrasts": _contrasts(_by_arm(burden), rule.equal_margin) if burden and believed else [],
        "outcome_contrasts": (
            _contrasts(_by_arm(outcome), rule.equal_margin) if outcome and believed else []
        ),
        "parameters": _parameters(burden, half_lives=False) if burden and believed else {},
        "chains": _chains(burden, traces=believed) if burden else {},
        "verdict": verdict_values(shown),
        "rule": {
            "best": rule.best,
            "expected_loss": rule.expected_loss,
            "equal_margin": rule.equal_margin,
            "equal_probability": rule.equal_probability,
            "severe_limit": bare.arms[0].severe_limit,
            "veto_probability": rule.veto_probability,
        },
        "diagnostics": _diagnostics(analysis),
        "checks": plain_values(analysis.checks) if believed else _bare_checks(analysis),
        "agreement": _masked_agreement(analysis, bare),
        "provenance": {
            key: value
            for key, value in analysis.provenance.items()
            if key not in {*SEALED_KEYS, "priors"}
        },
        "seconds": analysis.seconds,
    }
    sealed: Json = {
        "half_lives": _parameters(burden, half_lives=True) if burden and believed else {},
        "comparator": rule.comparator,
        "specification": specification.canonical_json(),
        "specification_hash": specification.specification_hash,
        "data_hash": analysis.data.data_hash,
        "seed": analysis.provenance.get("seed"),
        "whole_verdict": verdict_values(analysis.verdict),
        "whole_arms": (
            _judged_arms(burden, specification, analysis.verdict.vetoed)
            if burden and believed
            else {}
        ),
        "whole_contrasts": (
            _contrasts(_with_own_burdens(burden, specification), rule.equal_margin)
            if burden and believed
            else []
        ),
        "whole_agreement": _agreement(analysis),
        "result": result_of(analysis),
    }
    return Summary(masked, sealed)


def with_scrutiny(summary: Summary, scrutiny: Summary) -> Summary:
    """Return a summary with what is computed beside the verdict (``services.scrutiny``)."""
    result = summary.sealed["result"]
    assert isinstance(result, dict)  # noqa: S101  # made by summary_of
    items = scrutiny.sealed.get("side_effects")
    told = {**result, "side_effects": items} if items else result
    return Summary(
        {**summary.masked, "scrutiny": scrutiny.masked},
        {**summary.sealed, "whole_scrutiny": scrutiny.sealed, "result": told},
    )


def opened(summary: Summary) -> Json:
    """Return the summary for a reader who may know the treatments: the whole rule applied."""
    masked, sealed = summary.masked, summary.sealed
    provenance = masked["provenance"]
    assert isinstance(provenance, dict)  # noqa: S101  # made by summary_of
    return {
        **masked,
        **{key: sealed[key] for key in ("half_lives", "comparator", "specification", "result")},
        "verdict": sealed["whole_verdict"],
        "arms": sealed["whole_arms"],
        "contrasts": sealed["whole_contrasts"],
        "agreement": sealed["whole_agreement"],
        "scrutiny": sealed.get("whole_scrutiny", {}),
        "provenance": {
            **provenance,
            **{key: sealed[key] for key in ("data_hash", "specification_hash", "seed")},
        },
    }


def without_treatments(specification: Specification) -> Specification:
    """Return the same rule without all that tells one arm from another.

    No reference, no half-lives, no burden of an arm's own, and a limit of severe side effects
    only when it is that of every arm: what is judged by this depends on the draws alone.
    """
    limits = {arm.severe_limit for arm in specification.arms}
    common = limits.pop() if len(limits) == 1 else None
    return replace(
        specification,
        arms=tuple(Arm(label=label, severe_limit=common) for label in specification.labels),
        carryover=False,
        run_in=None,
        decision=replace(specification.decision, comparator=None),
    )


def masked_verdict(analysis: Analysis) -> Verdict:
    """Return the verdict a blinded reader may see.

    The whole rule asks for the reference: "best" would say that the arm is not the reference,
    and two likely arms with "none" would say which one is. So a blinded reader gets the rule
    without it, and of a refusal the reasons without the arms in them.
    """
    verdict = analysis.verdict
    if verdict.kind is Kind.REFUSED or analysis.burden is None:
        return refuse(masked_reasons(verdict.reasons), provisional=verdict.provisional)
    bare = without_treatments(analysis.specification)
    draws = burden_draws(analysis.burden.arm_mean, bare)
    harms = harms_in_blind(analysis.harms, bare)
    return decide(draws, bare, harms=harms, provisional=verdict.provisional)


def masked_reasons(reasons: Sequence[Phrase]) -> tuple[Phrase, ...]:
    """Return the reasons of a refusal with nothing in them that points at one arm.

    Nor does their order: the models give reasons arm by arm.
    """
    told = (
        reason
        if TOLD_OF_ANY_ARM.issuperset(reason.values)
        else MASKED_REASONS.get(reason.message, SEALED_REASON)
        for reason in reasons
    )
    unique: list[Phrase] = []
    for reason in told:
        if reason not in unique:
            unique.append(reason)
    return tuple(sorted(unique, key=_in_order))


def _in_order(reason: Phrase) -> tuple[str, int]:
    """Return what to sort by: the sentence, then the number of the period in it."""
    return reason.message, int(str(reason.values.get("period", 0)))


def verdict_values(verdict: Verdict) -> Json:
    """Return a verdict as plain values; phrases as message and values."""
    return {
        "kind": verdict.kind.value,
        "arm": verdict.arm,
        "equal_arms": list(verdict.equal_arms),
        "sentence": phrase_values(verdict.sentence),
        "reasons": [phrase_values(reason) for reason in verdict.reasons],
        "vetoed": list(verdict.vetoed),
        "vetoes": [phrase_values(veto) for veto in verdict.vetoes],
        "provisional": verdict.provisional,
    }


def plain_values(value: object) -> object:
    """Return dataclasses, enums and numpy numbers as plain JSON values; NaN as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain_values(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Enum | np.ndarray | np.generic):
        return plain_values(value.value if isinstance(value, Enum) else value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _by_arm(posterior: Posterior) -> dict[str, Floats]:
    return {label: posterior.arm_mean[:, k] for k, label in enumerate(posterior.arms)}


def _with_own_burdens(posterior: Posterior, specification: Specification) -> dict[str, Floats]:
    """Return what the whole rule compares, in the direction of the outcome's scale."""
    burden = specification.scale.sign * burden_draws(posterior.arm_mean, specification)
    return {label: burden[:, k] for k, label in enumerate(posterior.arms)}


def _arms(draws: Mapping[str, Floats]) -> Json:
    return {
        label: {**asdict(summarize(own)), "density": _density(own)} for label, own in draws.items()
    }


def _judged_arms(posterior: Posterior, specification: Specification, vetoed: Sequence[str]) -> Json:
    """Return the arms as the rule compares them; one that is left out has no chance to name."""
    burden = burden_draws(posterior.arm_mean, specification)
    eligible = without_vetoed(burden, posterior.arms, vetoed)
    best = probability_best(eligible).tolist()
    loss = expected_loss_of(burden, eligible).tolist()
    found: Json = {}
    arms = _with_own_burdens(posterior, specification)
    for place, (label, draws) in enumerate(arms.items()):
        found[label] = {
            **asdict(summarize(draws)),
            "density": _density(draws),
            "p_best": None if label in vetoed else best[place],
            "expected_loss": None if label in vetoed else loss[place],
            "vetoed": label in vetoed,
        }
    return found


def _contrasts(draws: Mapping[str, Floats], margin: float) -> list[Json]:
    """Return every pair's difference: value of ``a`` minus value of ``b``."""
    found: list[Json] = []
    for first, second in combinations(draws, 2):
        difference = draws[first] - draws[second]
        found.append(
            {
                "a": first,
                "b": second,
                **asdict(summarize(difference)),
                "p_below": {
                    f"{0.0 - size:g}": float((difference < -size).mean()) for size in DIFFERENCES
                },
                "p_above": {f"{size:g}": float((difference > size).mean()) for size in DIFFERENCES},
                "p_equal": float((np.abs(difference) < margin).mean()),
            }
        )
    return found


def _parameters(posterior: Posterior, *, half_lives: bool) -> Json:
    return {
        name: asdict(summarize(draws))
        for name, draws in posterior.parameters.items()
        if name.startswith("half_life") == half_lives
    }


def _diagnostics(analysis: Analysis) -> Json:
    """Return what each engine says of its draws of the net burden, and of the outcome alone."""
    found: Json = {}
    for posterior in (analysis.exact, analysis.burden):
        if posterior is not None:
            found[posterior.engine.value] = _said_by_engine(posterior.diagnostics)
    outcome = analysis.outcome
    if outcome is not None and outcome is not analysis.burden:
        found["outcome"] = _said_by_engine(outcome.diagnostics)
    return found


def _said_by_engine(diagnostics: Diagnostics) -> Json:
    """Return the figures there are; an infinite Pareto k must not pass for "not computed"."""
    return {
        name: value if np.isfinite(value) else "inf"
        for name, value in asdict(diagnostics).items()
        if value is not None
    }


def _agreement(analysis: Analysis) -> Json | None:
    if analysis.agreement is None:
        return None
    values = plain_values(analysis.agreement)
    assert isinstance(values, dict)  # noqa: S101  # a dataclass becomes an object
    return {**values, "agrees": analysis.agreement.agrees}


def _masked_agreement(analysis: Analysis, bare: Specification) -> Json | None:
    """Return the agreement with the chances of being best as a blinded reader sees them."""
    whole = _agreement(analysis)
    if whole is None or analysis.exact is None or analysis.burden is None:
        return None
    best = [
        probability_best(burden_draws(posterior.arm_mean, bare))
        for posterior in (analysis.exact, analysis.burden)
    ]
    gap = float(np.abs(best[0] - best[1]).max())
    return {"p_best": gap, **{key: whole[key] for key in ("mean", "mean_allowed", "agrees")}}


def _bare_checks(analysis: Analysis) -> list[Json]:
    """Return which checks passed, without a figure: the fit is not believed."""
    return [
        {"name": check.name, "passed": check.passed, "gate": check.gate}
        for check in analysis.checks
    ]


def _chains(posterior: Posterior, *, traces: bool) -> Json:
    """Return thinned traces and rank histograms of the arm means, by arm and chain.

    The ranks of a fit that is not believed are still shown: they say how it failed, and no
    value of the outcome.
    """
    chains = posterior.diagnostics.chains
    if not chains:
        return {}
    found: Json = {}
    for label, own in _by_arm(posterior).items():
        draws = own.reshape(chains, -1)
        step = max(1, draws.shape[1] // TRACE_POINTS)
        ranks = own.argsort(kind="stable").argsort(kind="stable").reshape(draws.shape)
        edges = np.linspace(0, draws.size, RANK_BINS + 1)
        found[label] = {
            "trace": draws[:, ::step].round(3).tolist() if traces else [],
            "step": step,
            "ranks": [np.histogram(chain, edges)[0].tolist() for chain in ranks],
        }
    return found


def phrase_values(phrase: Phrase) -> Json:
    """Return a phrase as plain values: its message and what goes into it."""
    return {
        "message": phrase.message,
        "values": {
            name: phrase_values(value) if isinstance(value, Phrase) else value
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
    centers = (edges[:-1] + edges[1:]) / 2
    kernel = np.exp(-0.5 * ((grid[:, None] - centers) / bandwidth) ** 2)
    height = (kernel @ counts) / (draws.size * bandwidth * np.sqrt(2 * np.pi))
    return {"x": grid.round(4).tolist(), "y": height.round(5).tolist()}
