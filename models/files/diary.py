"""DIARY.csv: one row a day, read as the arrays of one trial or of many.

The format is documented in docs/analysis-files.md. Every problem is reported with its line
and column; nothing is guessed that could change an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.data import NO_ARM, TrialData, analysis_window, trial_data
from models.files.problems import FileProblems, Problem, decoded, did_you_mean
from models.files.protocol import Protocol

LONGEST_TRIAL = 3660
"""Days. A longer diary is taken for a mistake in a day number."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
TAKEN_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Diary:
    """What a diary file holds.

    Attributes:
        trials: each patient's trial in the order of the file; the key is None when the file
            has no ``patient`` column.
        warnings: sentences about what was read but not used, or assumed.
    """

    trials: Mapping[str | None, TrialData]
    warnings: tuple[str, ...] = ()

    @property
    def many(self) -> bool:
        """True when the file has a ``patient`` column."""
        return None not in self.trials


@dataclass(frozen=True, slots=True)
class _Field:
    """One value of the file and where it begins."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class _Row:
    """One day as read.

    Attributes:
        day: its number; ``field`` is where it stands.
        arm: index, ``NO_ARM`` on run-in days.
        period: as told, or None.
        values: numbers by column name, ``NaN`` where missing.
    """

    day: int
    place: _Field
    arm: int
    arm_place: _Field
    period: int | None
    values: Mapping[str, float] = field(default_factory=dict)


def read_diary(path: Path, protocol: Protocol) -> Diary:
    """Read a diary file with the arms and the outcome of a protocol.

    Raises:
        FileProblems: with line and column of every problem.
        OSError: when the file cannot be opened.
    """
    return parse_diary(path.read_bytes(), protocol, path.name)


def parse_diary(content: bytes, protocol: Protocol, name: str = "DIARY.csv") -> Diary:
    """Read a diary from the bytes of its file; see :func:`read_diary`."""
    text = decoded(content, name)
    problems: list[Problem] = []
    delimiter = _delimiter(text)
    records = _records(text, delimiter, problems)
    header = next(records, None)
    if header is None:
        raise FileProblems(name, problems or [Problem(1, 1, "The file is empty.")])
    columns = _columns(header, protocol, problems)
    if problems:
        raise FileProblems(name, problems)
    patients: dict[str | None, list[_Row]] = {}
    for record in records:
        if len(record) != len(header):
            _count_problem(record, len(header), problems)
            continue
        patient, row = _row(record, columns, protocol, delimiter, problems)
        rows = patients.setdefault(patient, []) if row is not None else None
        if rows is not None and row is not None:
            rows.append(row)
    for rows in patients.values():
        _check_days(rows, problems)
    if not patients and not problems:
        problems.append(Problem(header[0].line, 1, "There is no day below the header."))
    if problems:
        raise FileProblems(name, problems)
    own = ("patient", "day", "arm", "period", "in_analysis", "taken")
    series = [c for c in columns if c not in own]
    items = set(protocol.item_columns.values())
    weighed = set(protocol.specification.weights)
    bothers = [
        c for c in series if c != protocol.column.lower() and (c not in items or c in weighed)
    ]
    trials = {
        patient: _trial(rows, protocol, bothers, {"in_analysis", "taken"} & set(columns))
        for patient, rows in patients.items()
    }
    return Diary(trials, _warnings(header, columns, protocol))


# -- text to records --------------------------------------------------------------------------


def _delimiter(text: str) -> str:
    """Return the delimiter of the header line: comma, semicolon or tab."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _records(text: str, delimiter: str, problems: list[Problem]) -> Iterator[list[_Field]]:
    """Yield the fields of each record with their places; blank lines are skipped.

    A quoted field may hold delimiters, line ends and doubled quotes.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    number = 0
    while number < len(lines):
        line, start = lines[number], number + 1
        number += 1
        if not line.strip() or not line.replace(delimiter, "").strip():
            continue
        if '"' not in line:
            record, column = [], 1
            for part in line.split(delimiter):
                record.append(_Field(part.strip(), start, column))
                column += len(part) + 1
            yield record
            continue
        while line.count('"') % 2 and number < len(lines):
            line += "\n" + lines[number]
            number += 1
        if line.count('"') % 2:
            sentence = "A quotation mark is opened here and never closed."
            problems.append(Problem(start, line.index('"') + 1, sentence))
            return
        yield _quoted(line, delimiter, start)


def _quoted(line: str, delimiter: str, start: int) -> list[_Field]:
    """Split a record that holds quotation marks."""
    record: list[_Field] = []
    text, begin, inside = "", 0, False
    at = 0
    while at <= len(line):
        mark = line[at : at + 1]
        if at == len(line) or (mark == delimiter and not inside):
            before = line[:begin]
            row = start + before.count("\n")
            record.append(_Field(text.strip(), row, begin - (before.rfind("\n") + 1) + 1))
            text, begin = "", at + 1
        elif mark == '"' and inside and line[at + 1 : at + 2] == '"':
            text += '"'
            at += 1
        elif mark == '"':
            inside = not inside
        else:
            text += mark
        at += 1
    return record


def _count_problem(record: list[_Field], expected: int, problems: list[Problem]) -> None:
    sentence = f"This row has {len(record)} values, the header has {expected}."
    if len(record) > expected:
        sentence += " A decimal comma needs semicolons between the values."
    problems.append(Problem(record[0].line, record[-1].column, sentence))


# -- columns ------------------------------------------------------------------------------------


def _columns(header: list[_Field], protocol: Protocol, problems: list[Problem]) -> dict[str, int]:
    """Return the place of each column that is used."""
    outcome = protocol.column.lower()
    names = [place.text.lower() for place in header]
    known = {"patient", "day", "arm", "period", "in_analysis", "taken", "rescue", outcome}
    known |= {*protocol.specification.weights, *protocol.item_columns.values()}
    columns: dict[str, int] = {}
    for i, (name, place) in enumerate(zip(names, header, strict=True)):
        if name in columns:
            problems.append(
                Problem(place.line, place.column, f"The column '{place.text}' is there twice.")
            )
        if name in known or name.startswith("bother"):
            columns.setdefault(name, i)
    for name in ("day", "arm", outcome):
        if name not in columns:
            hint = did_you_mean(name, [n for n in names if n not in known])
            sentence = f"The column '{name}' is missing{hint}."
            problems.append(Problem(header[0].line, 1, sentence))
    return columns


def _warnings(
    header: list[_Field], columns: Mapping[str, int], protocol: Protocol
) -> tuple[str, ...]:
    """Say what was not used, and what a protocol weighs in vain."""
    used = set(columns.values())
    unused = [place.text for i, place in enumerate(header) if i not in used]
    sentences = []
    if unused:
        sentences.append(f"Not used: the column(s) {', '.join(unused)}.")
    sentences += [
        f"The protocol weighs '{name}', which the diary does not record: the answer is about "
        f"'{protocol.column}' without it."
        for name in protocol.specification.weights
        if name not in columns
    ]
    sentences += [
        f"The protocol asks for '{name}', which the diary does not record: no arm can be left out "
        "for it."
        for name, column in protocol.item_columns.items()
        if column not in columns
    ]
    return tuple(sentences)


# -- rows ---------------------------------------------------------------------------------------


def _row(
    record: list[_Field],
    columns: Mapping[str, int],
    protocol: Protocol,
    delimiter: str,
    problems: list[Problem],
) -> tuple[str | None, _Row | None]:
    """Return the patient and the day of a record, or None when it has a problem."""
    before = len(problems)
    by_name = {name: record[at] for name, at in columns.items()}
    patient = by_name["patient"].text if "patient" in by_name else None
    if patient == "":
        problems.append(_at(by_name["patient"], "The patient is missing."))
    day, period = (_whole_or_problem(by_name.get(c), c, problems) for c in ("day", "period"))
    arm = _arm(by_name["arm"].text, protocol)
    if arm is None:
        problems.append(_unknown_arm(by_name["arm"], protocol))
    values: dict[str, float] = {}
    for name, place in by_name.items():
        if name not in ("patient", "day", "arm", "period"):
            values[name], sentence = _value(name, place.text, protocol, delimiter)
            if sentence:
                problems.append(_at(place, sentence))
    if len(problems) > before or day is None or arm is None:
        return patient, None
    return patient, _Row(day, by_name["day"], arm, by_name["arm"], period, values)


def _at(place: _Field, sentence: str) -> Problem:
    return Problem(place.line, place.column, sentence)


def _whole_or_problem(place: _Field | None, name: str, problems: list[Problem]) -> int | None:
    """Return a whole number; None without such a column, and None with a problem."""
    if place is None:
        return None
    value = _whole(place.text)
    if value is None:
        problems.append(_at(place, f"The {name} '{place.text}' is not a whole number."))
    return value


def _unknown_arm(place: _Field, protocol: Protocol) -> Problem:
    if not place.text:
        return _at(place, "The arm is missing; every row names the arm in force that day.")
    labels = [*protocol.specification.labels, *([protocol.run_in] if protocol.run_in else [])]
    hint = did_you_mean(place.text, labels)
    return _at(place, f"The arm '{place.text}' is not in the protocol{hint}.")


def _whole(text: str) -> int | None:
    """Return a whole number, also when written like 3.0."""
    found = re.fullmatch(r"([+-]?\d{1,9})(?:\.0*)?", text)
    return int(found[1]) if found else None


def _arm(text: str, protocol: Protocol) -> int | None:
    labels = protocol.specification.labels
    if text in labels:
        return labels.index(text)
    return NO_ARM if protocol.run_in is not None and text == protocol.run_in else None


def _value(name: str, text: str, protocol: Protocol, delimiter: str) -> tuple[float, str]:
    """Return a number, ``NaN`` when missing, and a sentence when it cannot be right."""
    if text.lower() in MISSING:
        return math.nan, ""
    if name in ("taken", "in_analysis") and text.lower() in TAKEN_WORDS:
        return TAKEN_WORDS[text.lower()], ""
    plain = text.replace(",", ".") if delimiter != "," and text.count(",") == 1 else text
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", plain):
        return math.nan, f"'{text}' in column '{name}' is not a number."
    value = float(plain)
    low, high = _limits(name, protocol)
    if not low <= value <= high or math.isinf(value):
        span = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
        return math.nan, f"{text} in column '{name}' is outside its scale ({span})."
    if name in protocol.item_columns.values() and not value.is_integer():
        return math.nan, f"{text} in column '{name}' is not a whole grade."
    return value, ""


def _limits(name: str, protocol: Protocol) -> tuple[float, float]:
    """Return the least and the largest value a column may hold."""
    if name == protocol.column.lower():
        return protocol.specification.scale.low, protocol.specification.scale.high
    for item in protocol.specification.side_effects:
        if protocol.item_columns[item.name] == name:
            return 0.0, float(item.severest)
    return 0.0, 1.0 if name in ("taken", "in_analysis") else math.inf


def _check_days(rows: list[_Row], problems: list[Problem]) -> None:
    """Note days given twice, periods that come back or change arm, and endless trials."""
    seen: dict[int, _Row] = {}
    for row in rows:
        if row.day in seen:
            first = seen[row.day].place.line
            sentence = f"Day {row.day} is already on line {first}."
            problems.append(Problem(row.place.line, row.place.column, sentence))
        seen.setdefault(row.day, row)
    ordered = sorted(seen.values(), key=lambda row: row.day)
    if ordered[-1].day - ordered[0].day >= LONGEST_TRIAL:
        last = ordered[-1].place
        sentence = f"Day {last.text} is more than {LONGEST_TRIAL} days after the first."
        problems.append(Problem(last.line, last.column, sentence))
    over: set[int | None] = set()
    for earlier, later in pairwise(ordered):
        if later.period is None:
            continue
        if earlier.period != later.period:
            over.add(earlier.period)
            if later.period in over:
                sentence = f"Period {later.period} comes back after it had ended."
                problems.append(Problem(later.place.line, later.place.column, sentence))
        elif earlier.arm != later.arm:
            sentence = f"The arm changes inside period {later.period}."
            problems.append(Problem(later.arm_place.line, later.arm_place.column, sentence))


def _trial(rows: list[_Row], protocol: Protocol, bothers: list[str], given: set[str]) -> TrialData:
    """Return one patient's rows as consecutive days.

    A day without a row is missing; the arm in force, and the period, are those of the last
    row before it. A day whose ``in_analysis`` is not told is left out in the washout only.
    """
    ordered = sorted(rows, key=lambda row: row.day)
    first = ordered[0].day
    days = ordered[-1].day - first + 1
    latest = np.zeros(days, dtype=np.int64)
    at = np.array([row.day - first for row in ordered])
    latest[at] = np.arange(len(ordered))
    latest = np.maximum.accumulate(latest)
    period = _period_index(ordered)[latest]
    series = {}
    graded = {n: c for n, c in protocol.item_columns.items() if c in ordered[0].values}
    for name in {protocol.column.lower(), *bothers, *given, *graded.values()}:
        values = np.full(days, np.nan)
        values[at] = [row.values[name] for row in ordered]
        series[name] = values
    window = analysis_window(period, protocol.washout_days)
    told = series.get("in_analysis", np.full(days, np.nan))
    return trial_data(
        protocol.specification.labels,
        np.array([row.arm for row in ordered])[latest],
        series[protocol.column.lower()],
        day_period=period,
        in_analysis=np.where(np.isnan(told), window, told > 0),
        taken=series.get("taken") if protocol.as_taken else None,
        bothers={name: series[name] for name in bothers},
        severities={name: series[column] for name, column in graded.items()},
        first_day=first,
    )


def _period_index(ordered: list[_Row]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(rows,) periods counted from 0: as told, or a new one at each change of arm."""
    keys = [row.arm if row.period is None else row.period for row in ordered]
    changes = [False, *(a != b for a, b in pairwise(keys))]
    return np.cumsum(changes).astype(np.int64)
