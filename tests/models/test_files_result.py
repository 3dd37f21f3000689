"""Results keep to their published schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import models.files
from models.analysis import analyze
from models.data import trial_data
from models.files.result import result_of
from models.reversal import rank_reversal
from models.sensitivity import sensitivity
from models.specification import Arm, Better, Scale, Specification, default_priors

SCHEMA = json.loads((Path(models.files.__file__).parent / "result.schema.json").read_text())


def valid(result):
    Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(result, allow_nan=False)))
    return result


def test_the_schema_itself_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("case", ["specification", "fading"])
def test_an_answer_keeps_to_the_schema(case, trial, request):
    result = valid(result_of(analyze(trial, request.getfixturevalue(case), seed=1)))

    assert result["verdict"]["kind"] == "best"
    assert set(result["arms"]) == {"A", "B", "C"}
    assert sum(arm["p_best"] for arm in result["arms"].values()) == pytest.approx(1.0)
    assert len(result["contrasts"]) == 6
    assert result["target"] == "outcome"


def test_what_the_verdict_depends_on_keeps_to_the_schema(trial, specification):
    weighed = replace(specification, weights={"bother": 0.5})
    data = replace(trial, bothers={"bother": np.where(trial.day_arm == 1, 2.0, 0.0)})
    analysis = analyze(data, weighed, seed=1)
    result = valid(
        result_of(
            analysis,
            otherwise=sensitivity(analysis, seed=1, draws=500),
            reversal=rank_reversal(analysis, seed=1),
        )
    )

    assert len(result["sensitivity"]["rows"]) == 15
    assert "The verdict holds in" in result["sensitivity"]["sentence"]
    assert {t["arm"] for t in result["sensitivity"]["tipping"]} <= {"A", "B", "C"}
    assert set(result["rank_reversal"]["p_leader_at"]) == {"0.5", "2"}


def test_a_contrast_is_a_minus_b(trial, specification):
    result = result_of(analyze(trial, specification, seed=1))
    contrast = next(c for c in result["contrasts"] if (c["a"], c["b"]) == ("B", "A"))
    arms = result["arms"]

    assert contrast["mean"] == pytest.approx(arms["B"]["mean"] - arms["A"]["mean"])
    assert contrast["p_below"]["0"] > contrast["p_below"]["-1"] > contrast["p_below"]["-2"]


def test_a_refusal_keeps_to_the_schema_and_holds_no_estimate(trial, specification):
    silent = trial.with_outcome(np.full(trial.days, np.nan))
    result = valid(result_of(analyze(silent, specification, seed=1), patient="P1"))

    assert result["verdict"]["kind"] == "refused"
    assert (result["arms"], result["contrasts"], result["parameters"]) == ({}, [], {})
    assert result["verdict"]["reasons"]
    assert result["patient"] == "P1"


def test_net_burden_decides_and_the_outcome_stands_beside_it(trial, specification):
    bother = np.where(trial.day_arm == 1, 4.0, 1.0) + np.arange(trial.days) % 2
    data = replace(trial, bothers={"bother": bother})
    result = valid(
        result_of(analyze(data, replace(specification, weights={"bother": 1.0}), seed=1))
    )

    assert result["target"] == "net_burden"
    assert result["arms"]["B"]["mean"] > result["outcome_alone"]["arms"]["B"]["mean"] + 3


def test_on_another_scale_the_same_share_of_it_is_asked_too():
    scale = Scale(0, 100, Better.HIGHER)
    specification = Specification(
        arms=(Arm(label="A"), Arm(label="B")), scale=scale, priors=default_priors(scale)
    )
    rng = np.random.default_rng(3)
    arm = np.repeat([0, 1] * 4, 7)
    data = trial_data(("A", "B"), arm, 50 + 20 * arm + rng.normal(0, 10, 56))
    result = valid(result_of(analyze(data, specification, seed=1)))

    assert result["verdict"]["arm"] == "B"
    assert {"10", "-10", "1", "-1"} <= set(result["contrasts"][0]["p_below"])


def test_where_it_came_from_includes_the_priors(trial, specification):
    provenance = result_of(analyze(trial, specification, seed=4))["provenance"]

    assert provenance["seed"] == "4"
    assert provenance["specification"]["priors"]["period_sd"] == {
        "family": "HalfNormal",
        "scale": 0.35,
    }
