"""The arrays every model takes: one trial, one row a day, arms known by masked labels only.

A trial is a run of consecutive days. On each day at most one arm is in force, the day belongs
to one period, and the patient rated the day or did not. A day that was not rated is ``NaN``:
it still carries exposure, and is never a zero.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import ModelInputError

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]
type Booleans = NDArray[np.bool_]

NO_ARM = -1
"""The arm index of a day on which no compared arm is in force (a run-in)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrialData:
    """One patient's trial as the models see it. Use :func:`trial_data` to make one.

    All arrays are read-only, of length T = number of consecutive days; day 0 is the first.

    Attributes:
        arms: the K masked labels, such as ("A", "B", "C").
        day_arm: (T,) index into ``arms`` of the arm in force, ``NO_ARM`` on run-in days.
        day_period: (T,) index of the period, counted from 0, never decreasing; a run-in is a
            period of its own.
        outcome: (T,) the rating on the outcome's own scale, ``NaN`` where missing.
        in_analysis: (T,) False on days left out of the fit (washout, titration); such a day
            still counts for exposure.
        taken: (T,) fraction of the planned dose that was taken, 0 to 1 (1 where unknown).
        bothers: bother series by name, each (T,), ``NaN`` where missing.
        severities: grades of side effects by item, each (T,) whole numbers from 0 for none,
            ``NaN`` where not answered.
        first_day: the number the patient's file or calendar gives to the first day.
    """

    arms: tuple[str, ...]
    day_arm: Integers
    day_period: Integers
    outcome: Floats
    in_analysis: Booleans
    taken: Floats
    bothers: Mapping[str, Floats] = field(default_factory=dict)
    severities: Mapping[str, Floats] = field(default_factory=dict)
    first_day: int = 1

    def __post_init__(self) -> None:
        _check(self)
        for array in (
            self.day_arm,
            self.day_period,
            self.outcome,
            self.in_analysis,
            self.taken,
            *self.bothers.values(),
            *self.severities.values(),
        ):
            array.setflags(write=False)

    @property
    def days(self) -> int:
        """T, the number of consecutive days from the first to the last."""
        return int(self.day_arm.size)

    @property
    def periods(self) -> int:
        """The number of periods, a run-in included."""
        return int(self.day_period[-1]) + 1

    @property
    def observed(self) -> Booleans:
        """(T,) True on the days the fit uses: rated, and inside the analysis window."""
        return np.asarray(self.in_analysis & np.isfinite(self.outcome))

    @property
    def period_arm(self) -> Integers:
        """(P,) the arm of each period."""
        first = np.searchsorted(self.day_period, np.arange(self.periods))
        return np.asarray(self.day_arm[first])

    @property
    def week(self) -> Floats:
        """(T,) weeks from the middle of the trial: (t - (T + 1) / 2) / 7 for t = 1..T."""
        return np.asarray((np.arange(1, self.days + 1) - (self.days + 1) / 2) / 7.0)

    def with_outcome(self, outcome: ArrayLike) -> TrialData:
        """Return the same trial with another daily series, such as the net burden."""
        return replace(self, outcome=np.array(outcome, dtype=np.float64))

    @property
    def data_hash(self) -> str:
        """The sha256 of the trial's canonical bytes; the same on every machine.

        The header is canonical JSON, numbers are little-endian float64 or int64, and every
        missing value is the same ``NaN``.
        """
        digest = hashlib.sha256()
        header = {
            "arms": list(self.arms),
            "bothers": sorted(self.bothers),
            "days": self.days,
            "first_day": self.first_day,
            "format": 1,
            **({"severities": sorted(self.severities)} if self.severities else {}),
        }
        digest.update(json.dumps(header, sort_keys=True, ensure_ascii=True).encode())
        for whole in (self.day_arm, self.day_period, self.in_analysis):
            digest.update(np.ascontiguousarray(whole, dtype="<i8").tobytes())
        further = [m[name] for m in (self.bothers, self.severities) for name in sorted(m)]
        series = [self.outcome, self.taken, *further]
        for values in series:
            canonical = np.where(np.isnan(values), np.nan, values + 0.0)
            digest.update(np.ascontiguousarray(canonical, dtype="<f8").tobytes())
        return digest.hexdigest()


def trial_data(
    arms: Sequence[str],
    day_arm: ArrayLike,
    outcome: ArrayLike,
    *,
    day_period: ArrayLike | None = None,
    in_analysis: ArrayLike | None = None,
    taken: ArrayLike | None = None,
    bothers: Mapping[str, ArrayLike] | None = None,
    severities: Mapping[str, ArrayLike] | None = None,
    first_day: int = 1,
) -> TrialData:
    """Make a :class:`TrialData` from anything array-like, filling in what is not said.

    Args:
        arms: the masked labels.
        day_arm: (T,) index of the arm in force on each day, ``NO_ARM`` for none.
        outcome: (T,) ratings, ``NaN`` where missing.
        day_period: (T,) period of each day; a new one at each change of arm if not given.
        in_analysis: (T,) days that the fit may use; all if not given.
        taken: (T,) fraction of the dose taken; ``NaN`` (unknown) counts as 1.
        bothers: further daily series by name.
        severities: grades of side effects by item.
        first_day: the number of the first day.

    Raises:
        ModelInputError: with the sentence that says what does not fit.
    """
    arm = np.array(day_arm, dtype=np.int64)
    days = arm.size
    period = periods_of(arm) if day_period is None else np.array(day_period, dtype=np.int64)
    inside = np.ones(days, np.bool_) if in_analysis is None else np.array(in_analysis, np.bool_)
    dose = np.ones(days) if taken is None else np.array(taken, dtype=np.float64)
    return TrialData(
        arms=tuple(arms),
        day_arm=arm,
        day_period=period,
        outcome=np.array(outcome, dtype=np.float64),
        in_analysis=inside,
        taken=np.where(np.isnan(dose), 1.0, dose),
        bothers={name: np.array(values, np.float64) for name, values in (bothers or {}).items()},
        severities={n: np.array(values, np.float64) for n, values in (severities or {}).items()},
        first_day=first_day,
    )


def periods_of(day_arm: Integers) -> Integers:
    """(T,) the period of each day when a period ends where the arm changes."""
    changes = np.diff(day_arm, prepend=day_arm[:1]) != 0
    return np.asarray(np.cumsum(changes), dtype=np.int64)


def analysis_window(day_period: Integers, washout_days: int) -> Booleans:
    """(T,) False on the first ``washout_days`` days after each switch of period but the first."""
    starts = np.searchsorted(day_period, day_period)
    day_in_period = np.arange(day_period.size) - starts
    return np.asarray((day_period == day_period[0]) | (day_in_period >= washout_days))


def _check(data: TrialData) -> None:
    """Raise with one sentence when the arrays contradict each other."""
    days = data.day_arm.size
    series = {
        "day_period": data.day_period,
        "outcome": data.outcome,
        "in_analysis": data.in_analysis,
        "taken": data.taken,
        **data.bothers,
        **data.severities,
    }
    if days == 0:
        raise ModelInputError("A trial needs at least one day.")
    for name, values in series.items():
        if values.shape != (days,):
            raise ModelInputError(f"'{name}' must have one value for each of the {days} days.")
    if len(set(data.arms)) != len(data.arms) or not data.arms:
        raise ModelInputError("Every arm needs a label of its own.")
    if data.day_arm.min() < NO_ARM or data.day_arm.max() >= len(data.arms):
        raise ModelInputError("A day names an arm that the trial does not have.")
    _check_periods(data)
    if np.isinf(data.outcome).any() or any(np.isinf(v).any() for v in data.bothers.values()):
        raise ModelInputError("A rating must be a finite number, or missing.")
    for name, grades in data.severities.items():
        told = grades[~np.isnan(grades)]
        if (told < 0).any() or (told % 1 != 0).any():
            raise ModelInputError(f"The grades of '{name}' are whole numbers, 0 for none.")
    if not ((data.taken >= 0) & (data.taken <= 1)).all():
        raise ModelInputError("The fraction of the dose taken lies between 0 and 1.")


def _check_periods(data: TrialData) -> None:
    """A period is one unbroken run of days on one arm."""
    steps = np.diff(data.day_period)
    if data.day_period[0] != 0 or not np.isin(steps, (0, 1)).all():
        raise ModelInputError("Periods are counted from 0 and follow each other.")
    if (np.diff(data.day_arm)[steps == 0] != 0).any():
        raise ModelInputError("The arm changes inside a period.")
