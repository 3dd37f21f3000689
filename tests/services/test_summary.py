"""What a blinded reader may see of an analysis follows from masked days and ratings alone."""

import json
from dataclasses import asdict, replace
from math import inf

import numpy as np
import pytest

from models import words
from models.analysis import Agreement, Analysis, analyze
from models.data import TrialData, trial_data
from models.decision import Kind, Verdict, refuse
from models.items import SideEffectItem
from models.posterior import Diagnostics, Engine, Posterior
from models.specification import Arm, DecisionRule, Specification
from trials.services.summary import (
    SEALED_KEYS,
    SEALED_REASON,
    Summary,
    masked_reasons,
    masked_verdict,
    opened,
    summary_of,
    with_scrutiny,
)

LABELS = ("A", "B", "C")
SEED = 20261122


def simulated(effects: tuple[float, ...] = (0.0, -2.0, -0.3), days: int = 10) -> TrialData:
    """Return four blocks of every arm, ratings of whole numbers."""
    random = np.random.default_rng(7)
    arms = len(effects)
    day_arm = np.repeat(np.tile(np.arange(arms), 4), days)
    mean = 6.0 + np.array(effects)[day_arm]
    pain = np.clip(np.round(mean + random.normal(0.0, 1.0, day_arm.size)), 0, 10)
    bother = np.clip(np.round(1.0 + random.normal(0.0, 0.8, day_arm.size)), 0, 10)
    return trial_data(LABELS[:arms], day_arm, pain, bothers={"bother": bother})


def specification(
    half_lives: tuple[float, ...] = (0.3, 0.3, 0.3),
    burdens: tuple[float, ...] = (0.0, 0.0, 0.0),
    comparator: str | None = None,
) -> Specification:
    return Specification(
        arms=tuple(
            Arm(label=label, half_life_days=h, burden=b)
            for label, h, b in zip(LABELS, half_lives, burdens, strict=False)
        ),
        carryover=True,
        weights={"bother": 0.5},
        decision=DecisionRule(comparator=comparator),
    )


def analysis_of(
    spec: Specification | None = None, effects: tuple[float, ...] = (0.0, -2.0, -0.3)
) -> Analysis:
    return analyze(simulated(effects), spec or specification(), seed=SEED, draws=2000)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analysis_of()


def text_of(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def test_a_summary_is_plain_json_and_complete(analysis: Analysis):
    summary = summary_of(analysis)
    whole = opened(summary)

    assert json.loads(text_of(whole)) == whole
    assert list(whole["arms"]) == list(whole["outcome"]) == list(LABELS)
    assert len(whole["contrasts"]) == 3
    assert sum(arm["p_best"] for arm in whole["arms"].values()) == pytest.approx(1.0)
    assert whole["provenance"]["data_hash"] == analysis.data.data_hash
    assert whole["provenance"]["seed"] == str(SEED)


def test_the_numbers_are_those_of_the_draws(analysis: Analysis):
    burden = analysis.burden
    assert burden is not None
    masked = summary_of(analysis).masked
    first = masked["contrasts"][0]
    difference = burden.arm_mean[:, 0] - burden.arm_mean[:, 1]

    assert (first["a"], first["b"]) == ("A", "B")
    assert first["mean"] == pytest.approx(difference.mean())
    assert first["p_above"]["1"] == pytest.approx((difference > 1).mean())
    assert first["p_below"]["0"] == pytest.approx((difference < 0).mean())
    assert masked["arms"]["B"]["q05"] == pytest.approx(np.quantile(burden.arm_mean[:, 1], 0.05))


def test_a_density_has_an_area_of_one(analysis: Analysis):
    density = summary_of(analysis).masked["arms"]["A"]["density"]

    assert np.trapezoid(density["y"], density["x"]) == pytest.approx(1.0, abs=0.02)


def test_what_is_sealed_is_not_masked(analysis: Analysis):
    summary = summary_of(analysis)

    beside = with_scrutiny(summary, Summary({}, {}))
    assert set(beside.sealed) == set(SEALED_KEYS)
    assert not set(beside.masked) & set(SEALED_KEYS)
    assert not set(summary.masked["provenance"]) & set(SEALED_KEYS)
    masked = text_of(summary.masked)
    for hidden in (
        analysis.data.data_hash,
        analysis.specification.specification_hash,
        str(SEED),
        "half_life",
        "comparator",
    ):
        assert hidden not in masked


@pytest.mark.parametrize("comparator", LABELS)
def test_the_masked_part_is_the_same_whichever_arm_is_the_reference(
    analysis: Analysis, comparator: str
):
    """The reference names the treatment; no byte of the masked part may follow it."""
    rule = replace(analysis.specification.decision, comparator=comparator)
    referred = analysis_of(replace(analysis.specification, decision=rule))
    masked = dict(summary_of(referred).masked) | {"seconds": 0}

    assert masked == dict(summary_of(analysis).masked) | {"seconds": 0}


@pytest.mark.parametrize("burdens", [(0.0, 3.0, 0.0), (1.0, 0.0, 0.5)])
def test_the_masked_part_is_the_same_whatever_burden_an_arm_has_of_its_own(
    analysis: Analysis, burdens: tuple[float, ...]
):
    costly = summary_of(analysis_of(specification(burdens=burdens)))

    assert dict(costly.masked) | {"seconds": 0} == dict(summary_of(analysis).masked) | {
        "seconds": 0
    }
    whole = opened(costly)
    assert whole["arms"]["B"]["mean"] == pytest.approx(
        costly.masked["arms"]["B"]["mean"] + burdens[1]
    )
    assert whole["arms"]["B"]["p_best"] <= costly.masked["arms"]["B"]["p_best"]


def test_swapped_half_lives_change_nothing_but_what_the_fit_makes_of_the_data():
    """Half-lives enter the posterior. Everything else - keys, words, order - stays the same."""
    one = summary_of(analysis_of(specification(half_lives=(0.3, 1.0, 2.0)))).masked
    other = summary_of(analysis_of(specification(half_lives=(2.0, 0.3, 1.0)))).masked

    assert shape(one) == shape(other)
    assert one["provenance"] == other["provenance"]
    assert one["rule"] == other["rule"]


def shape(value: object) -> object:
    """Return a value with its numbers, and what fills the gaps of sentences, taken out."""
    if isinstance(value, dict):
        return {
            key: sorted(item) if key == "values" else shape(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_the_blinded_verdict_does_not_know_the_reference():
    """ "None beats the reference" would tell that the likely winner is the reference."""
    referred = analysis_of(specification(comparator="B"))
    masked, whole = masked_verdict(referred), referred.verdict

    assert whole.kind is Kind.NONE
    assert whole.arm == "B"
    assert masked.kind is Kind.BEST
    assert "reference" not in text_of(summary_of(referred).masked["verdict"])
    assert opened(summary_of(referred))["verdict"]["kind"] == "none"


def test_reasons_that_name_the_reference_stay_sealed():
    """The leader is likely best, but not by enough over the reference: the sentence names it."""
    spec = specification(comparator="C")
    rule = replace(spec.decision, comparator_probability=1.0)
    referred = analysis_of(replace(spec, decision=rule), effects=(0.0, -1.6, -1.2))
    whole = text_of(opened(summary_of(referred))["verdict"])
    masked = text_of(summary_of(referred).masked["verdict"])

    assert "reference" in whole
    assert "reference" not in masked


def test_a_refusal_by_a_long_half_life_tells_neither_arm_nor_days():
    long = analysis_of(specification(half_lives=(0.3, 9.0, 0.3)))
    masked = text_of(summary_of(long).masked["verdict"])

    assert long.verdict.kind is Kind.REFUSED
    assert "one of the treatments" in masked
    assert '"B"' not in masked
    assert "9" not in masked
    assert "9" in text_of(opened(summary_of(long))["verdict"]["reasons"])


def test_a_refusal_for_an_arm_without_ratings_does_not_name_it():
    """Who knows which days were missed could read the sequence from it."""
    data = simulated()
    silent = data.with_outcome(np.where(data.day_arm == 2, np.nan, data.outcome))
    refused = analyze(silent, specification(), seed=SEED)
    masked = summary_of(refused).masked

    assert "one of the arms" in text_of(masked["verdict"])
    assert '"C"' not in text_of(masked)


def test_every_refusal_of_the_models_is_masked_or_names_no_arm():
    reasons = (
        words.no_data_on_arm("A"),
        words.too_few_periods("A", 1, 2),
        words.too_few_ratings(3, 0.4, 0.6),
        words.constant_ratings(),
        words.period_too_short("A", 5, 3.0),
        words.too_few_for_trend(3),
        words.weighed_series_missing("bother"),
        words.not_converged(1.2, 40, 3),
        words.weights_unusable(0.9),
        words.engines_disagree(),
        words.check_failed(words.constant_ratings()),
        words.harm_in_every_arm(),
        words.harm_unusable("nausea", 0.9),
    )
    masked = masked_reasons(reasons)

    assert len(masked) == len(reasons)
    assert SEALED_REASON not in masked
    for reason in masked:
        assert not {"arm", "arms", "a", "b", "comparator", "half_life", "days"} & set(reason.values)


def test_the_order_of_reasons_does_not_tell_which_arm_came_first():
    """After the first period one arm was given once and the others never, in either order."""
    orders = (
        (words.too_few_periods("A", 1, 2), words.no_data_on_arm("B")),
        (words.no_data_on_arm("A"), words.too_few_periods("B", 1, 2)),
    )

    assert masked_reasons(orders[0]) == masked_reasons(orders[1])


def with_severe_nausea(limits: tuple[float, ...]) -> Analysis:
    """Return an analysis in which arm B, the best by pain, has nausea too often."""
    data = simulated()
    severe = np.where((data.day_arm == 1) & (np.arange(data.days) % 2 == 0), 3.0, 0.0)
    spec = specification()
    arms = tuple(replace(a, severe_limit=x) for a, x in zip(spec.arms, limits, strict=True))
    items = (SideEffectItem(name="nausea"),)
    return analyze(
        replace(data, severities={"nausea": severe}),
        replace(spec, arms=arms, side_effects=items),
        seed=SEED,
        draws=2000,
    )


def test_a_blinded_reader_learns_which_arm_is_vetoed_and_not_by_what():
    """What it is would often name the treatment: dry mouth is amitriptyline."""
    analysis = with_severe_nausea((0.1, 0.1, 0.1))
    masked, whole = summary_of(analysis).masked["verdict"], opened(summary_of(analysis))["verdict"]

    assert masked["vetoed"] == whole["vetoed"] == ["B"]
    assert masked["arm"] != "B"
    assert "nausea" not in text_of(summary_of(analysis).masked)
    assert "nausea" in text_of(whole["vetoes"])
    assert masked["vetoes"][0]["values"]["arm"] == "B"
    arms = summary_of(analysis).masked["arms"]
    assert arms["B"]["p_best"] is None
    assert sum(arms[label]["p_best"] for label in "AC") == pytest.approx(1.0)


def test_a_limit_of_its_own_would_tell_the_arm_so_its_veto_waits():
    analysis = with_severe_nausea((0.2, 0.1, 0.1))
    masked = summary_of(analysis).masked

    assert analysis.verdict.vetoed == ("B",)
    assert masked["verdict"]["vetoed"] == []
    assert masked["rule"]["severe_limit"] is None


def test_thin_periods_are_named_in_their_order():
    thin = tuple(words.too_few_ratings(period, 0.2, 0.6) for period in (9, 10, 2))

    assert [reason.values["period"] for reason in masked_reasons(thin)] == ["2", "9", "10"]


def test_a_reason_nobody_thought_of_stays_sealed_and_is_said_once():
    unknown = (words.vetoed("A", "nausea", 0.1, 0.5), words.not_likely_enough("B", 0.5, 0.96))

    assert masked_reasons(unknown) == (SEALED_REASON,)


def test_a_refused_analysis_has_reasons_and_no_number():
    data = simulated().with_outcome(np.full(120, 4.0))
    alone = replace(specification(), weights={})
    masked = summary_of(analyze(data, alone, seed=SEED)).masked

    assert masked["verdict"]["kind"] == "refused"
    assert masked["verdict"]["reasons"]
    for key in ("arms", "outcome", "contrasts", "outcome_contrasts", "parameters", "chains"):
        assert not masked[key]


def confirmed(analysis: Analysis, verdict: Verdict | None = None, r_hat: float = 1.0) -> Analysis:
    """Return the analysis as if a sampler of four chains had confirmed it."""
    burden = analysis.burden
    assert burden is not None
    chains = Posterior(
        arms=burden.arms,
        arm_mean=burden.arm_mean,
        parameters=burden.parameters,
        engine=Engine.PYMC,
        seed=SEED,
        diagnostics=Diagnostics(
            draws=burden.size, r_hat=r_hat, ess_bulk=900.0, ess_tail=800.0, divergences=0, chains=4
        ),
    )
    return replace(
        analysis,
        burden=chains,
        exact=burden,
        verdict=verdict or replace(analysis.verdict, provisional=False),
        agreement=Agreement(p_best=0.01, mean=0.02, p_best_allowed=0.03, mean_allowed=0.08),
    )


def test_both_engines_say_how_far_they_can_be_trusted(analysis: Analysis):
    masked = summary_of(confirmed(analysis)).masked

    assert masked["diagnostics"]["pymc"]["r_hat"] == 1.0
    assert masked["diagnostics"]["exact"]["draws"] == 2000
    assert masked["agreement"]["agrees"] is True
    assert masked["verdict"]["provisional"] is False


def test_ranks_count_every_draw_once(analysis: Analysis):
    chains = summary_of(confirmed(analysis)).masked["chains"]

    assert set(chains) == set(LABELS)
    assert np.sum(chains["A"]["ranks"]) == 2000
    assert len(chains["A"]["trace"]) == 4


def test_a_sampler_that_failed_shows_its_ranks_and_no_value(analysis: Analysis):
    reasons = (words.not_converged(1.4, 30.0, 12),)
    failed = confirmed(analysis, refuse(reasons), r_hat=1.4)
    summary = summary_of(failed)

    for part in (summary.masked, opened(summary)):
        assert not part["arms"]
        assert not part["contrasts"]
        assert not part["parameters"]
        assert part["chains"]["A"]["trace"] == []
        assert all("observed" not in check for check in part["checks"])
        assert part["diagnostics"]["pymc"]["r_hat"] == 1.4


def test_an_infinite_diagnostic_is_not_hidden(analysis: Analysis):
    burden = analysis.burden
    assert burden is not None
    bad = replace(burden, diagnostics=Diagnostics(draws=10, pareto_k=inf))
    masked = summary_of(replace(analysis, burden=bad)).masked

    assert masked["diagnostics"]["exact"]["pareto_k"] == "inf"
    assert asdict(bad.diagnostics)["pareto_k"] == inf
