"""What real people send: every accident of spreadsheets, each with its line and column."""

# ruff: noqa: E501 - tables of files and what is said about them
from __future__ import annotations

import numpy as np
import pytest

from models.data import NO_ARM
from models.files.diary import parse_diary
from models.files.problems import FileProblems
from models.files.protocol import parse_protocol

PROTOCOL = parse_protocol(
    b'[[arms]]\nlabel = "A"\n[[arms]]\nlabel = "B"\n[weights]\nbother = 0.5\n[run_in]\nlabel = "none"\n'
)


def read(text, protocol=PROTOCOL):
    return parse_diary(text.encode() if isinstance(text, str) else text, protocol)


def one(text, protocol=PROTOCOL):
    return read(text, protocol).trials[None]


def problems(text):
    with pytest.raises(FileProblems) as caught:
        read(text)
    return [line.removeprefix("DIARY.csv:") for line in caught.value.lines()]


def test_a_plain_diary():
    trial = one("day,arm,pain\n1,A,5\n2,A,\n3,B,4.5\n")

    assert trial.day_arm.tolist() == [0, 0, 1]
    assert trial.outcome == pytest.approx([5, np.nan, 4.5], nan_ok=True)
    assert trial.day_period.tolist() == [0, 0, 1]


def test_a_day_without_a_row_is_missing_under_the_arm_before_it():
    trial = one("day,arm,pain\n3,A,5\n6,B,4\n")

    assert trial.first_day == 3
    assert trial.day_arm.tolist() == [0, 0, 0, 1]
    assert np.isnan(trial.outcome).tolist() == [False, True, True, False]


def test_rows_may_stand_in_any_order():
    assert one("day,arm,pain\n2,B,4\n1,A,5\n").outcome.tolist() == [5, 4]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffday,arm,pain\r\n1,A,5\r\n2,B,4.5\r\n",
        "day;arm;pain\n1;A;5,0\n2;B;4,5\n",
        "day\tarm\tpain\n1\tA\t5\n2\tB\t4.5",
        'day,arm,pain\n"1","A","5"\n"2","B","4.5"\n',
        " Day , ARM , Pain \n 1 , A , 5 \n 2 , B , 4.5 \n",
        "day,arm,pain\n\n1,A,5\n,,\n2,B,4.5\n\n",
        "day,arm,pain\r1,A,5\r2,B,4.5\r",
        "day,arm,pain\n1.0,A,5\n2.0,B,4.5\n",
        'note,day,arm,pain\n"a, b\nand ""c""",1,A,5\n,2,B,4.5\n',
    ],
    ids=[
        "BOM CRLF",
        "semicolons",
        "tabs",
        "quotes",
        "spaces",
        "blank lines",
        "old Mac",
        "1.0",
        "notes",
    ],
)
def test_what_spreadsheets_write_is_read(text):
    trial = one(text)

    assert trial.outcome.tolist() == [5.0, 4.5]
    assert trial.day_arm.tolist() == [0, 1]


@pytest.mark.parametrize("empty", ["", "NA", "NaN", "n/a", "."])
def test_ways_to_write_missing(empty):
    assert np.isnan(one(f"day,arm,pain\n1,A,{empty}\n2,B,4\n").outcome[0])


def test_bother_intake_and_rescue_are_series_of_the_trial():
    trial = one("day,arm,pain,bother,taken,rescue\n1,A,5,2,yes,0\n2,A,5,,0.5,1\n3,B,4,1,,0\n")

    assert trial.taken.tolist() == [1.0, 0.5, 1.0]
    assert trial.bothers["bother"] == pytest.approx([2, np.nan, 1], nan_ok=True)
    assert trial.bothers["rescue"].tolist() == [0, 1, 0]


def test_periods_are_as_told_even_on_the_same_arm():
    assert one("day,arm,pain,period\n1,A,5,1\n2,A,5,2\n3,B,4,3\n").day_period.tolist() == [0, 1, 2]


def test_run_in_days_are_under_no_arm():
    assert one("day,arm,pain\n1,none,7\n2,A,5\n").day_arm.tolist() == [NO_ARM, 0]


def test_washout_days_are_left_out_of_the_window():
    protocol = parse_protocol(
        b'[[arms]]\nlabel = "A"\n[[arms]]\nlabel = "B"\n[model]\nwashout_days = 1\n'
    )

    assert one("day,arm,pain\n1,A,5\n2,B,5\n3,B,5\n", protocol).in_analysis.tolist() == [
        True,
        False,
        True,
    ]


def test_patients_are_kept_apart_and_in_the_order_of_the_file():
    diary = read("patient,day,arm,pain\nZ,1,A,5\nK,1,B,4\nZ,2,B,3\n")

    assert diary.many
    assert list(diary.trials) == ["Z", "K"]
    assert diary.trials["Z"].outcome.tolist() == [5, 3]


def test_columns_not_used_and_weights_in_vain_are_told():
    warnings = " ".join(read("day,arm,pain,mood\n1,A,5,1\n2,B,4,1\n").warnings)

    assert "mood" in warnings
    assert "weighs 'bother'" in warnings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: The file is empty."]),
        ("\n\n", ["1:1: The file is empty."]),
        ("day,arm,pain\n", ["1:1: There is no day below the header."]),
        ("day,arm\n1,A\n", ["1:1: The column 'pain' is missing."]),
        ("day,arm,pian\n1,A,1\n", ["1:1: The column 'pain' is missing (did you mean 'pian'?)."]),
        ("day,arm,pain,pain\n1,A,5,5\n", ["1:14: The column 'pain' is there twice."]),
        ("day,arm,pain\n1,A,11\n", ["2:5: 11 in column 'pain' is outside its scale (0 to 10)."]),
        ("day,arm,pain\n1,A,-1\n", ["2:5: -1 in column 'pain' is outside"]),
        ("day,arm,pain\n1,A,bad\n", ["2:5: 'bad' in column 'pain' is not a number."]),
        ("day,arm,pain\n1,A,1e999\n", ["2:5: 1e999 in column 'pain' is outside"]),
        ("day,arm,pain\n1.5,A,5\n", ["2:1: The day '1.5' is not a whole number."]),
        ("day,arm,pain\n,A,5\n", ["2:1: The day '' is not a whole number."]),
        ("day,arm,pain\n1,a,5\n", ["2:3: The arm 'a' is not in the protocol"]),
        ("day,arm,pain\n1,,5\n", ["2:3: The arm is missing"]),
        ("day,arm,pain\n1,A,5\n1,A,5\n", ["3:1: Day 1 is already on line 2."]),
        ("day,arm,pain\n1,A,4,5\n", ["2:7: This row has 4 values, the header has 3. A decimal"]),
        ("day,arm,pain\n1,A\n", ["2:3: This row has 2 values, the header has 3."]),
        ("day,arm,pain,bother\n1,A,5,-2\n", ["2:7: -2 in column 'bother' is outside its scale (0 or more)."]),
        ("day,arm,pain,taken\n1,A,5,2\n", ["2:7: 2 in column 'taken' is outside its scale (0 to 1)."]),
        ("day,arm,pain\n1,A,5\n4000,A,5\n", ["3:1: Day 4000 is more than 3660 days after"]),
        ("day,arm,pain,period\n1,A,5,1\n2,B,5,1\n", ["3:3: The arm changes inside period 1."]),
        ("day,arm,pain,period\n1,A,5,1\n2,B,5,2\n3,A,5,1\n", ["4:1: Period 1 comes back"]),
        ("patient,day,arm,pain\n,1,A,5\n", ["2:1: The patient is missing."]),
        ('day,arm,pain\n1,A,"5\n', ["2:5: A quotation mark is opened here and never closed."]),
        (b"day,arm,pain\n1,A,5\n2,A,\xff\n", ["3:5: The text is not UTF-8 from here on"]),
        (b"day,arm,pain\n1,A,\x00\n", ["2:5: There is a zero byte here."]),
        ("day,arm,pain\n1,A,5\n".encode("utf-16"), ["1:1: The file is UTF-16"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text, expected):
    found = problems(text)

    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


def test_every_problem_is_reported_not_only_the_first():
    assert len(problems("day,arm,pain\nx,C,11\n2,A,5\n2,A,y\n3,B\n")) == 5


def test_a_large_file_is_read_in_reasonable_time():
    rows = "".join(f"P{n},{day},{'AB'[day // 7 % 2]},5\n" for n in range(400) for day in range(100))

    assert len(read("patient,day,arm,pain\n" + rows).trials) == 400
