"""Real diaries as files for ``lenitive analyze``. The data stay where they are: not ours.

``cbp_diary_placeboI.csv`` are diaries of people with back pain on placebo, several ratings a
day; ``melatonin_nof1kit.csv`` is one person's trial on a mood scale of 0 to 100.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLACEBO = "cbp_diary_placeboI.csv"
MELATONIN = "melatonin_nof1kit.csv"
PLACEBO_ORDER = "ABBAABBA"
PLACEBO_PERIOD = 7

_PLACEBO_PROTOCOL = """\
# A real diary of a patient on placebo throughout, with two arms that do not exist laid over
# it in the order ABBAABBA, seven days each: there is nothing to find.
[outcome]
column = "pain"
scale = [0, 10]
better = "lower"

[[arms]]
label = "A"
half_life_days = 0.5

[[arms]]
label = "B"
half_life_days = 0.5

[model]
trend = true
period_effect = true
carryover = true

[decision]
best = 0.96
"""

_MELATONIN_PROTOCOL = """\
# One person's trial of melatonin, changed from day to day; mood from 0 to 100, higher is
# better. A night's dose fades within hours: a quarter of a day is the shortest half-life.
[outcome]
column = "mood"
scale = [0, 100]
better = "higher"

[[arms]]
label = "control"
half_life_days = 0.25

[[arms]]
label = "melatonin"
half_life_days = 0.25

[model]
trend = true
period_effect = true
carryover = true

[decision]
best = 0.96
comparator = "control"
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Files written for ``lenitive analyze``: a diary and its protocol."""

    diary: Path
    protocol: Path


def daily_means(path: Path) -> dict[str, dict[int, tuple[float, str]]]:
    """Return the mean of each patient's ratings by whole day, with that day's treatment."""
    ratings: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    treatment: dict[tuple[str, int], str] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day = math.floor(float(row["day"]))
            treatment[row["patient"], day] = row["treatment"]
            if row["value"] not in ("", "NA"):
                ratings[row["patient"]][day].append(float(row["value"]))
    return {
        patient: {
            day: (sum(values) / len(values), treatment[patient, day])
            for day, values in sorted(days.items())
        }
        for patient, days in ratings.items()
    }


def prepare(data: Path, out: Path) -> list[Prepared]:
    """Write the real files as diaries and protocols into a folder.

    Args:
        data: the folder that holds the real files.
        out: the folder to write to; made if it is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    protocol = out / "placebo.toml"
    protocol.write_text(_PLACEBO_PROTOCOL, encoding="utf-8")
    everyone = daily_means(data / PLACEBO)
    laid = {patient: _laid_over(days) for patient, days in everyone.items()}
    longest = max(laid, key=lambda patient: len(laid[patient]))
    one = out / f"placebo-{longest}.csv"
    _write(one, ("day", "arm", "pain"), laid[longest])
    many = out / "placebo-everyone.csv"
    rows = [(patient, *row) for patient, own in laid.items() for row in own]
    _write(many, ("patient", "day", "arm", "pain"), rows)
    mood = next(iter(daily_means(data / MELATONIN).values()))
    melatonin = out / "melatonin.csv"
    _write(
        melatonin, ("day", "arm", "mood"), [(d, arm, f"{v:.6g}") for d, (v, arm) in mood.items()]
    )
    second = out / "melatonin.toml"
    second.write_text(_MELATONIN_PROTOCOL, encoding="utf-8")
    return [Prepared(one, protocol), Prepared(many, protocol), Prepared(melatonin, second)]


def _laid_over(days: Mapping[int, tuple[float, str]]) -> list[tuple[object, ...]]:
    """Return a diary with the arms of the placebo order, as far as the order goes."""
    first = min(days)
    rows: list[tuple[object, ...]] = []
    for day, (value, _) in days.items():
        place = (day - first) // PLACEBO_PERIOD
        if place < len(PLACEBO_ORDER):
            rows.append((day - first + 1, PLACEBO_ORDER[place], f"{value:.6g}"))
    return rows


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
