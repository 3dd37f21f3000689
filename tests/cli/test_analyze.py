"""``lenitive analyze`` as a person runs it: two files in, a result and an exit code out."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from trials.cli.analyze import analyze

PROTOCOL = """\
[[arms]]
label = "A"
half_life_days = 0.5
[[arms]]
label = "B"
half_life_days = 0.5
[weights]
bother = 0.5
"""


def rows(better=2, blocks=4, patient=None):
    lines = []
    for day in range(14 * blocks):
        arm = "AB"[day // 7 % 2]
        pain = 6 - better * (arm == "B") + (0, 1, -1, 0, 1, 0, -1, 1, 0, -1, 1)[day % 11]
        start = f"{patient}," if patient else ""
        lines.append(f"{start}{day + 1},{arm},{pain},{1 + day % 2}")
    return lines


@pytest.fixture
def run(tmp_path):
    def run_with(lines, *options, protocol=PROTOCOL):
        (tmp_path / "protocol.toml").write_text(protocol)
        (tmp_path / "diary.csv").write_text("\n".join(lines) + "\n")
        out = tmp_path / "result.json"
        arguments = [str(tmp_path / "diary.csv"), "--protocol", str(tmp_path / "protocol.toml")]
        done = CliRunner().invoke(analyze, [*arguments, "--out", str(out), *options])
        return done, out

    return run_with


HEADER = "day,arm,pain,bother"


def test_a_clear_diary_is_answered_in_words_and_numbers(run):
    done, out = run([HEADER, *rows()])
    result = json.loads(out.read_text())

    assert done.exit_code == 0
    assert "B is best for this patient" in done.output
    assert (result["verdict"]["kind"], result["verdict"]["arm"]) == ("best", "B")
    assert result["schema_version"] == "1"
    assert result["target"] == "net_burden"


def test_the_same_seed_gives_the_same_file(run):
    results = []
    for seed in ("3", "3", "4"):
        _, out = run([HEADER, *rows()], "--seed", seed)
        result = json.loads(out.read_text())
        del result["seconds"]
        results.append(result)

    assert results[0] == results[1]
    assert results[0]["arms"] != results[2]["arms"]


def test_one_block_is_refused_with_its_reason_in_the_file(run):
    done, out = run([HEADER, *rows(blocks=1)])
    result = json.loads(out.read_text())

    assert done.exit_code == 3
    assert result["verdict"]["kind"] == "refused"
    assert any("at least 2 are needed" in reason for reason in result["verdict"]["reasons"])
    assert result["arms"] == {}


def test_a_malformed_file_lists_every_problem_and_writes_nothing(run):
    done, out = run([HEADER, "1,A,5,1", "1,A,11,1", "x,C,5,1"])

    assert done.exit_code == 2
    assert "diary.csv:3:1: Day 1" not in done.stdout
    problems = [line for line in done.stderr.splitlines() if line.startswith("diary.csv:")]
    assert [line.split(":")[1:3] for line in problems] == [["3", "5"], ["4", "1"], ["4", "3"]]
    assert not out.exists()


def test_a_malformed_protocol_is_told_the_same_way(run):
    done, _ = run([HEADER, *rows()], protocol=PROTOCOL.replace("label", "lable", 1))

    assert done.exit_code == 2
    assert (
        "protocol.toml:2:1: The key 'lable' is not known here (did you mean 'label'?)"
        in done.stderr
    )


def test_many_patients_are_a_line_each_in_the_order_of_the_file(run):
    lines = ["patient," + HEADER, *rows(patient="zoe"), *rows(better=0, patient="ann")]
    done, out = run(lines)
    results = [json.loads(line) for line in out.read_text().splitlines()]

    assert done.exit_code == 0
    assert [result["patient"] for result in results] == ["zoe", "ann"]
    assert results[0]["verdict"]["arm"] == "B"


@pytest.mark.slow
def test_two_processes_give_what_one_gives(run):
    lines = ["patient," + HEADER, *rows(patient="a"), *rows(better=1, patient="b")]
    texts = []
    for jobs in ("1", "2"):
        _, out = run(lines, "--jobs", jobs)
        texts.append([json.loads(line)["arms"] for line in out.read_text().splitlines()])

    assert texts[0] == texts[1]


def test_one_refused_patient_among_many_is_counted(run):
    lines = ["patient," + HEADER, *rows(patient="a"), *rows(blocks=1, patient="b")]
    done, out = run(lines)

    assert done.exit_code == 3
    assert "1 of 2 analyses were refused" in done.stderr
    assert len(out.read_text().splitlines()) == 2


def test_a_weight_without_its_column_is_said_aloud_and_in_the_file(run):
    lines = [line.rsplit(",", 1)[0] for line in [HEADER, *rows()]]
    done, out = run(lines)

    assert "weighs 'bother', which the diary does not record" in done.stderr
    result = json.loads(out.read_text())
    assert any("weighs 'bother'" in warning for warning in result["warnings"])
    assert result["target"] == "outcome"


def test_a_folder_that_is_not_there_is_a_sentence(run, tmp_path):
    done, _ = run([HEADER, *rows()], "--out", str(tmp_path / "nowhere" / "result.json"))

    assert done.exit_code == 1
    assert "No such file or directory" in done.stderr


@pytest.mark.sampling
def test_both_engines_confirm_each_other(run):
    done, out = run(
        [HEADER.removesuffix(",bother"), *[r.rsplit(",", 1)[0] for r in rows()]], "--engine", "both"
    )
    result = json.loads(out.read_text())

    assert done.exit_code == 0
    assert result["diagnostics"]["engine"] == "both"
    assert result["diagnostics"]["agreement"]["agrees"]
    assert not result["verdict"]["provisional"]
