"""From the protocol file to the verdict: every switch of the model, the veto, and every refusal."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from models.files import result as result_module
from trials.cli.analyze import analyze

SCHEMA = json.loads((Path(result_module.__file__).parent / "result.schema.json").read_text())

ARMS = """\
[[arms]]
label = "A"
half_life_days = 0.5
severe_limit = 0.1
[[arms]]
label = "B"
half_life_days = 0.5
severe_limit = 0.1
"""
NAUSEA = """\
[[side_effects]]
name = "nausea"
column = "sick"
frequency = 0.05
"""
HEADER = "day,arm,pain,sick,taken"


def diary(*, severe_on_b=0.0, blocks=4, days=7, run_in=0, pain=None, drop=lambda _day, _arm: False):
    """B two points better than A in periods of ``days``; B severe on a share of its days."""
    rng = np.random.default_rng(5)
    lines = [f"{day + 1},before,{8 + rng.integers(0, 2)},0,1" for day in range(run_in)]
    for place in range(2 * blocks * days):
        arm = "AB"[place // days % 2]
        value = 6 - 2 * (arm == "B") + rng.integers(-1, 2) if pain is None else pain
        severe = 3 * (arm == "B" and rng.random() < severe_on_b)
        told = "" if drop(place, arm) else value
        lines.append(f"{run_in + place + 1},{arm},{told},{severe},{0.5 if place % 5 == 0 else 1}")
    return lines


@pytest.fixture
def run(tmp_path):
    def run_with(lines, more="", arms=ARMS):
        (tmp_path / "protocol.toml").write_text(arms + more)
        (tmp_path / "diary.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        out = tmp_path / "result.json"
        given = [str(tmp_path / "diary.csv"), "--protocol", str(tmp_path / "protocol.toml")]
        done = CliRunner().invoke(analyze, [*given, "--out", str(out)])
        return done, json.loads(out.read_text()) if out.exists() else None

    return run_with


def test_a_severe_side_effect_vetoes_the_better_arm_and_says_why(run):
    _done, without = run(diary(severe_on_b=0.5))
    done, result = run(diary(severe_on_b=0.5), NAUSEA)

    jsonschema.validate(result, SCHEMA)
    assert (without["verdict"]["kind"], without["verdict"]["arm"]) == ("best", "B")
    assert result["verdict"]["vetoed"] == ["B"]
    assert result["verdict"]["arm"] != "B"
    assert "B is left out: the chance that nausea is severe on more than 10 % of" in done.output
    nausea = result["side_effects"][0]
    assert nausea["item"] == "nausea"
    assert nausea["arms"]["B"]["severe_days"] > 5
    assert nausea["arms"]["B"]["severe"]["mean"] > 0.2 > nausea["arms"]["A"]["severe"]["mean"]
    assert nausea["arms"]["B"]["p_above"] > 0.9
    assert nausea["arms"]["A"]["p_above"] < 0.1


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ('[[side_effects]]\nname = "nausea"\nseverest = 2\n', "is outside its scale (0 to 2)"),
        ('[[side_effects]]\nname = "nausea"\nsevere = 4\n', "lies between 1 and its highest"),
        ('[[side_effects]]\nname = "nausea"\nfrequency = 1.5\n', "is a share"),
        (NAUSEA + NAUSEA, "is given twice"),
        ('[[side_effects]]\nname = "nausea"\nworst = 3\n', "'worst' is not known here"),
        ('[side_effects]\nname = "nausea"\n', "[[side_effects]]"),
    ],
)
def test_a_side_effect_that_makes_no_sense_is_a_problem_of_the_file(run, item, sentence):
    done, result = run(diary(severe_on_b=0.5), item.replace('"nausea"', '"sick"'))

    assert done.exit_code == 2
    assert sentence in done.stderr
    assert result is None


def test_a_side_effect_the_diary_does_not_have_is_a_warning(run):
    done, result = run(diary(), '[[side_effects]]\nname = "rash"\n')

    assert done.exit_code == 0
    assert "asks for 'rash', which the diary does not record" in done.stderr
    assert "side_effects" not in result


@pytest.mark.parametrize(
    ("switch", "changes"),
    [
        ("[model]\ntrend = false\n", "trend_per_week"),
        ("[model]\nperiod_effect = false\n", "period_sd"),
        ("[model]\ncarryover = false\n", "half_life[A]"),
    ],
)
def test_a_term_that_is_switched_off_is_not_fitted(run, switch, changes):
    _done, full = run(diary())
    done, less = run(diary(), switch)

    assert done.exit_code == 0
    assert changes in full["parameters"]
    assert changes not in less["parameters"]


@pytest.mark.parametrize(
    "switch",
    [
        "[model]\nwashout_days = 3\n",
        '[model]\nintake = "as assigned"\n',
        "[model]\nin_force_before = false\n",
        "[priors]\nhalf_life = { lognormal_sd = 0.7 }\n",
        "[priors]\nhalf_life = { shared_lognormal = [0.0, 0.7] }\n",
        '[model]\nends_of_scale = "always"\n',
    ],
)
def test_a_switch_of_the_file_changes_the_numbers(run, switch):
    _done, before = run(diary())
    done, after = run(diary(), switch)

    assert done.exit_code == 0
    assert before["arms"]["A"]["mean"] != after["arms"]["A"]["mean"]
    assert after["verdict"]["arm"] == "B"


def test_an_onset_of_its_own_changes_the_numbers(run):
    _done, before = run(diary())
    slow = ARMS.replace("severe_limit", "onset_half_life_days = 2.0\nsevere_limit")
    _done, after = run(diary(), arms=slow)

    assert before["arms"]["B"]["mean"] != after["arms"]["B"]["mean"]


def test_the_run_in_stands_at_the_level_or_is_an_arm_of_its_own(run):
    lines = diary(run_in=7)
    level = '[run_in]\nlabel = "before"\n'
    _done, at_level = run(lines, level)
    done, own = run(lines, level + "own_arm = true\nhalf_life_days = 1.0\n")
    unknown, _nothing = run(lines, level + "own_arm = true\n")

    assert done.exit_code == 0
    assert "run_in_mean" not in at_level["parameters"]
    assert own["parameters"]["run_in_mean"]["mean"] == pytest.approx(8.5, abs=0.7)
    assert "half_life[before]" in own["parameters"]
    assert set(own["arms"]) == {"A", "B"}
    assert unknown.exit_code == 2
    assert "the run-in needs half_life_days" in unknown.stderr


REFUSED = {
    "one block": (diary(blocks=1), ""),
    "an arm without data": (diary(drop=lambda _day, arm: arm == "B"), ""),
    "constant ratings": (diary(pain=5), ""),
    "60 % missing": (diary(drop=lambda day, _arm: day % 5 in (0, 1, 2)), ""),
    "a period shorter than three half-lives": (diary(blocks=8, days=3), "long"),
}
WHY = {
    "one block": "has 1 period(s) with enough ratings",
    "an arm without data": "There is no rating on B",
    "constant ratings": "All ratings are the same",
    "60 % missing": "% of all days were rated",
    "a period shorter than three half-lives": "is shorter than three of its effect half-lives",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_answered_is_refused_with_its_reason_and_no_number(tmp_path, case):
    lines, change = REFUSED[case]
    arms = ARMS.replace("half_life_days = 0.5", "half_life_days = 2.0", 1) if change else ARMS
    (tmp_path / "protocol.toml").write_text(arms + NAUSEA)
    (tmp_path / "diary.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    out = tmp_path / "result.json"
    given = [str(tmp_path / "diary.csv"), "--protocol", str(tmp_path / "protocol.toml")]

    done = CliRunner().invoke(analyze, [*given, "--out", str(out)])
    result = json.loads(out.read_text())

    jsonschema.validate(result, SCHEMA)
    assert done.exit_code == 3
    assert WHY[case] in done.stderr
    assert result["verdict"]["kind"] == "refused"
    assert any(WHY[case] in reason for reason in result["verdict"]["reasons"])
    assert result["arms"] == {}
    assert result["contrasts"] == []
    assert result["parameters"] == {}
    assert "side_effects" not in result
    assert "outcome_alone" not in result
