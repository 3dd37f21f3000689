# ruff: noqa: E501, Q000 - tables of files and what is said about them
from __future__ import annotations

import pytest

from models.files.problems import FileProblems
from models.files.protocol import parse_protocol
from models.specification import (
    Arm,
    Better,
    BoundedNormal,
    HalfLifePerArm,
    HalfLifeShared,
    HalfNormal,
    LogNormal,
    Normal,
    Scale,
    Specification,
    default_decision,
    default_priors,
)

ARMS = '[[arms]]\nlabel = "A"\n[[arms]]\nlabel = "B"\n'

WHOLE = """\
[outcome]
column = "pain"
scale = [0, 10]
better = "lower"
[[arms]]
label = "A"
half_life_days = 1.5            # effect half-life; needed where carryover is on
[[arms]]
label = "B"
half_life_days = 0.5
[model]
trend = true
period_effect = true
carryover = true
[priors]
level = { normal = [5.0, 2.5] }
arm = { normal = [0.0, 1.5] }
trend_per_week = { normal = [-0.05, 0.2] }
sd = { lognormal = [0.0953, 0.45] }
autocorrelation = { normal = [0.3, 0.25], bounds = [-0.3, 0.98] }
period_sd = { halfnormal = 0.35 }
half_life = { lognormal_sd = 0.35 }
[weights]
bother = 0.5
[decision]
best = 0.96
equal_margin = 0.5
comparator = "A"
"""


def read(text):
    return parse_protocol(text.encode() if isinstance(text, str) else text)


def problems(text):
    with pytest.raises(FileProblems) as caught:
        read(text)
    return caught.value.lines()


def test_the_documented_file_is_read_whole():
    protocol = read(WHOLE)
    specification = protocol.specification

    assert protocol.column == "pain"
    assert specification.arms == (
        Arm(label="A", half_life_days=1.5),
        Arm(label="B", half_life_days=0.5),
    )
    assert specification.carryover
    assert specification.priors.sd == LogNormal(0.0953, 0.45)
    assert specification.priors.half_life == HalfLifePerArm(0.35)
    assert specification.weights == {"bother": 0.5}
    assert specification.decision.comparator == "A"


def test_what_is_not_said_has_the_default():
    specification = read(ARMS).specification

    assert specification == Specification(
        arms=(Arm(label="A"), Arm(label="B")),
        carryover=False,
        priors=default_priors(Scale()),
        decision=default_decision(Scale()),
    )


def test_carryover_is_on_by_itself_where_every_half_life_is_known():
    assert read(
        ARMS.replace('"A"', '"A"\nhalf_life_days = 1').replace('"B"', '"B"\nhalf_life_days = 1')
    ).specification.carryover


def test_on_another_scale_only_what_is_not_said_is_stretched():
    text = '[outcome]\ncolumn = "mood"\nscale = [0, 100]\nbetter = "higher"\n' + ARMS
    specification = read(text + "[priors]\narm = { normal = [0, 3] }\n").specification

    assert specification.scale == Scale(0, 100, Better.HIGHER)
    assert specification.priors.arm == Normal(0, 3)
    assert specification.priors.level == Normal(50, 25)
    assert specification.decision.equal_margin == 5.0


def test_other_families_of_priors_are_read():
    text = ARMS + (
        "[priors]\nsd = { halfnormal = 2.0 }\nhalf_life = { shared_lognormal = [0.0, 0.7] }\n"
        "autocorrelation = { normal = [0.3, 0.3], bounds = [-0.99, 0.99] }\n"
    )
    priors = read(text).specification.priors

    assert priors.sd == HalfNormal(2.0)
    assert priors.half_life == HalfLifeShared(0.0, 0.7)
    assert priors.autocorrelation == BoundedNormal(0.3, 0.3, -0.99, 0.99)


def test_a_shared_half_life_needs_none_of_the_arms():
    text = (
        ARMS + "[model]\ncarryover = true\n[priors]\nhalf_life = { shared_lognormal = [0, 0.7] }\n"
    )

    assert read(text).specification.carryover


def test_a_design_and_scenarios_are_read():
    text = ARMS + (
        '[design]\nblocks = 4\nperiod_days = 7\nwashout_days = 2\nrun_in_days = 7\nscheme = "latin"\n'
        '[[scenario]]\nname = "one point"\neffects = { A = -1.0 }\nsd = 1.2\nvariant = "rounded"\n'
    )
    protocol = read(text)

    assert protocol.design.period_days == 7
    assert protocol.scenarios[0].effects == {"A": -1.0}
    assert protocol.scenarios[0].autocorrelation is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["PROTOCOL.toml:1:1: The protocol needs at least two [[arms]] tables."]),
        ('[outcome\n' + ARMS, ["PROTOCOL.toml:1:9: "]),
        (ARMS + "[model]\ntrnd = true\n", ["PROTOCOL.toml:6:1: The key 'trnd' is not known here (did you mean 'trend'?)."]),
        (ARMS + "[priros]\n", ["PROTOCOL.toml:5:1: The key 'priros' is not known here (did you mean 'priors'?)."]),
        (ARMS + '[model]\ntrend = "yes"\n', ["PROTOCOL.toml:6:1: 'trend' must be true or false."]),
        (ARMS + "[model]\ncarryover = true\n", [
            "PROTOCOL.toml:1:1: Carryover is on: arm 'A' needs half_life_days.",
            "PROTOCOL.toml:3:1: Carryover is on: arm 'B' needs half_life_days.",
        ]),
        (ARMS.replace('"B"', '"A"'), ["PROTOCOL.toml:4:1: The label 'A' is given twice."]),
        (ARMS + "[decision]\nbest = 1.5\n", ["PROTOCOL.toml:5:1: 'best' is a probability"]),
        (ARMS + '[decision]\ncomparator = "a"\n', ["PROTOCOL.toml:6:1: The comparator 'a' is not an arm"]),
        (ARMS + "[priors]\nsd = { normal = [1, 2] }\n", [
            "PROTOCOL.toml:6:1: The key 'normal' is not known here",
        ]),
        (ARMS + "[priors]\narm = { normal = [0, -1] }\n", ["PROTOCOL.toml:6:1: The standard deviation"]),
        (ARMS + "[priors]\narm = { normal = [0] }\n", ["PROTOCOL.toml:6:1: 'normal' must be a list of 2 numbers."]),
        (ARMS + "[weights]\nbother = -1\n", ["PROTOCOL.toml:6:1: A weight"]),
        (ARMS + "[weights]\nbother = inf\n", ["PROTOCOL.toml:6:1: 'bother' must be a finite number."]),
        ('[outcome]\nscale = [10, 0]\n' + ARMS, ["PROTOCOL.toml:2:1: The low end"]),
        (ARMS + "[design]\nperiod_days = 7\nwashout_days = 7\n", ["PROTOCOL.toml:7:1: The washout leaves no day"]),
        (ARMS + "[design]\nblocks = 2\nlooks = 3\n", ["PROTOCOL.toml:7:1: There can be one look"]),
        (ARMS + '[[scenario]]\neffects = { D = 1 }\n', ["PROTOCOL.toml:6:1: The key 'D' is not known"]),
        (ARMS + '[[scenario]]\nmissing = 1.0\n', ["PROTOCOL.toml:6:1: 'missing' is a share"]),
        (ARMS + '[run_in]\nlabel = "A"\n', ["PROTOCOL.toml:6:1: 'A' is also an arm."]),
        (ARMS.encode("utf-16"), ["PROTOCOL.toml:1:1: The file is UTF-16"]),
        (b'[outcome]\ncolumn = "d\xe9"\n', ["PROTOCOL.toml:2:12: The text is not UTF-8"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text, expected):
    found = problems(text)

    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


def test_every_problem_is_reported_not_only_the_first():
    text = (
        '[outcome]\nscale = [0]\nbeter = "x"\n'
        + ARMS
        + "[model]\ntrend = 1\n[decision]\nbest = 2\n"
    )

    assert len(problems(text)) == 4
