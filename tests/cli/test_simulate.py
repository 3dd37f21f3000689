from __future__ import annotations

import json

from click.testing import CliRunner

from trials.cli.simulate import simulate

PROTOCOL = """\
[[arms]]
label = "A"
[[arms]]
label = "B"
[design]
blocks = 2
period_days = 7
"""


def run(tmp_path, text, *options):
    (tmp_path / "protocol.toml").write_text(text)
    out = tmp_path / "oc.json"
    arguments = [
        str(tmp_path / "protocol.toml"),
        "--trials",
        "20",
        "--jobs",
        "1",
        "--out",
        str(out),
    ]
    return CliRunner().invoke(simulate, [*arguments, *options]), out


def test_the_chances_of_a_design_are_a_table_and_a_file(tmp_path):
    done, out = run(tmp_path, PROTOCOL)
    content = json.loads(out.read_text())

    assert done.exit_code == 0
    assert "no difference" in done.stdout
    assert content["scenarios"][0]["name"] == "no difference"
    assert 0 < content["calibrated_best"]["value"] <= 1
    assert set(content["scenarios"][0]["right"]) == {"value", "error"}


def test_scenarios_of_the_file_are_used(tmp_path):
    _, out = run(tmp_path, PROTOCOL + '[[scenario]]\nname = "mine"\neffects = { B = -2.0 }\n')

    names = [scenario["name"] for scenario in json.loads(out.read_text())["scenarios"]]
    assert names == ["no difference", "mine"]


def test_the_noise_of_the_patient_is_simulated_but_does_not_set_the_threshold(tmp_path):
    _, out = run(tmp_path, PROTOCOL)
    plain = json.loads(out.read_text())
    done, out = run(tmp_path, PROTOCOL + "[patient]\nsd = 0.3\nautocorrelation = 0.1\n")
    known = json.loads(out.read_text())

    assert done.exit_code == 0
    assert known["calibrated_best"] == plain["calibrated_best"]
    first, second = known["scenarios"][:2]
    assert (first["name"], first["truth"]["sd"]) == ("no difference", None)
    assert second["name"] == "no difference, this patient's noise"
    assert second["truth"]["sd"] == 0.3
    assert second["truth"]["autocorrelation"] == 0.1
    assert second["interval_width"] < 0.7 * first["interval_width"]


def test_a_noise_that_no_patient_can_have_is_told_with_its_place(tmp_path):
    done, _ = run(tmp_path, PROTOCOL + "[patient]\nsd = -1\nautocorrelation = 2\n")

    assert done.exit_code == 2
    assert "protocol.toml:9:1: 'sd' cannot be negative." in done.stderr
    assert "protocol.toml:10:1: 'autocorrelation' lies between -1 and 1." in done.stderr


def test_half_lives_longer_than_assumed_are_simulated(tmp_path):
    fading = PROTOCOL.replace('"A"', '"A"\nhalf_life_days = 1.0').replace(
        '"B"', '"B"\nhalf_life_days = 1.0'
    )
    slow = '[[scenario]]\nname = "slow"\nhalf_life_factor = 3.0\n'
    done, out = run(tmp_path, fading + slow)

    assert done.exit_code == 0
    assert json.loads(out.read_text())["scenarios"][1]["truth"]["half_life_factor"] == 3.0


def test_a_protocol_with_a_rule_for_the_ends_says_what_is_simulated(tmp_path):
    rule = PROTOCOL + '[model]\nends_of_scale = "by rule"\n'
    done, _ = run(tmp_path, rule)

    assert done.exit_code == 0, done.stderr
    assert "fitted by the continuous model" in done.stdout


def test_a_malformed_protocol_is_told_with_its_place(tmp_path):
    done, out = run(tmp_path, PROTOCOL.replace("blocks = 2", "blocks = 0"))

    assert done.exit_code == 2
    assert "protocol.toml:6:1: 'blocks' must be a whole number, 1 or more." in done.stderr
    assert not out.exists()
