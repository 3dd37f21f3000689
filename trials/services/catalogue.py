"""Read the catalogue that comes with Lenitive."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from trials.domain.catalogue import Blindable, Kind, Suitability, Treatment
from trials.domain.diary import SideEffect


@cache
def catalogue() -> Mapping[str, Treatment]:
    """Return every candidate treatment by id, in the order of the file."""
    return MappingProxyType({row["id"]: _treatment(row) for row in read_rows("treatments.csv")})


@cache
def side_effect_terms() -> Mapping[str, SideEffect]:
    """Return every side effect a diary can list, by id, in the order of the file."""
    return MappingProxyType(
        {
            row["id"]: SideEffect(row["id"], row["label"])
            for row in read_rows("side_effects.csv")
            if row["listed"] == "yes"
        }
    )


def frequencies_of(items: Iterable[SideEffect]) -> dict[str, float]:
    """Return how often labels state each side effect, where one is known: a share, by key.

    Of the item, whichever of the candidates it may come from: one for each arm would tell the
    arms apart.
    """
    known = _frequencies()
    return {item.key: known[item.key] for item in items if item.key in known}


@cache
def _frequencies() -> Mapping[str, float]:
    return MappingProxyType(
        {row["id"]: float(row["share"]) for row in read_rows("side_effect_frequencies.csv")}
    )


def read_rows(name: str) -> Iterator[dict[str, str]]:
    """Return the lines of a file of clinical facts, its remarks left out."""
    text = (files("trials.data") / name).read_text(encoding="utf-8")
    return csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def _treatment(row: dict[str, str]) -> Treatment:
    return Treatment(
        id=row["id"],
        name=row["name"],
        kind=Kind(row["kind"]),
        core=row["core"] == "yes",
        usual_dose=row["usual_dose"],
        half_life_hours=float(row["half_life_h"]) if row["half_life_h"] else None,
        onset_days=_whole(row["onset_days"]),
        washout_days=_whole(row["washout_days"]),
        period_days=_whole(row["period_days"]),
        blindable=Blindable(row["blindable"]),
        suitability=Suitability(row["suitability"]),
        suitability_note=row["suitability_note"],
        side_effects=tuple(key for key in row["side_effects"].split(";") if key),
        source=row["source"],
        confidence=row["confidence"],
    )


def _whole(text: str) -> int | None:
    return int(text) if text else None
