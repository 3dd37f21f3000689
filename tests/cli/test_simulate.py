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


def test_a_malformed_protocol_is_told_with_its_place(tmp_path):
    done, out = run(tmp_path, PROTOCOL.replace("blocks = 2", "blocks = 0"))

    assert done.exit_code == 2
    assert "protocol.toml:6:1: 'blocks' must be a whole number, 1 or more." in done.stderr
    assert not out.exists()
