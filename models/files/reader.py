"""Take values out of a TOML document, each with the line and column it stands at."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from typing import Any

from models.errors import ModelInputError
from models.files.problems import Problem, did_you_mean

type Path_ = tuple[str | int, ...]
"""Where a value sits: ("arms", 0, "label")."""


def syntax_problem(error: tomllib.TOMLDecodeError, text: str) -> Problem:
    """Return where the text stops being TOML."""
    found = re.search(r"line (\d+), column (\d+)", str(error))
    sentence = re.sub(r"\s*\(at .*\)$", "", str(error)) + "."
    if found:
        return Problem(int(found[1]), int(found[2]), sentence)
    return Problem(text.count("\n") + 1, 1, sentence)


def _places(text: str) -> dict[Path_, tuple[int, int]]:
    """Return line and column of every table and key that stands on a line of its own."""
    places: dict[Path_, tuple[int, int]] = {(): (1, 1)}
    counts: dict[str, int] = {}
    table: Path_ = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if head := re.match(r"\s*\[\[\s*([\w.\-\"']+)\s*\]\]", line):
            label = head[1].strip("\"'")
            table = (label, counts.get(label, 0))
            counts[label] = table[1] + 1 if isinstance(table[1], int) else 1
            places[table] = (number, line.index("[") + 1)
            places.setdefault((label,), places[table])
        elif head := re.match(r"\s*\[\s*([\w.\-\"']+)\s*\]", line):
            table = tuple(part.strip("\"'") for part in head[1].split("."))
            places[table] = (number, line.index("[") + 1)
        elif key := re.match(r"\s*([\w.\-\"']+)\s*=", line):
            path = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            places.setdefault(path, (number, key.start(1) + 1))
    return places


class Reader:
    """Collects problems while values are taken out of the document."""

    def __init__(self, text: str) -> None:
        self.places = _places(text)
        self.problems: list[Problem] = []

    def problem(self, path: Path_, sentence: str) -> None:
        """Note a problem at a value, or at the table around it."""
        place = path
        while place not in self.places:
            place = place[:-1]
        self.problems.append(Problem(*self.places[place], sentence))

    def table(self, value: object, path: Path_, known: tuple[str, ...]) -> dict[str, Any]:
        """Return a table whose keys are all known."""
        if not isinstance(value, dict):
            self.problem(path, f"'{path[-1]}' must be a table.")
            return {}
        for key in value:
            if key not in known:
                hint = did_you_mean(key, known)
                self.problem((*path, key), f"The key '{key}' is not known here{hint}.")
        return {key: item for key, item in value.items() if key in known}

    def number(self, value: object, path: Path_) -> float | None:
        """Return a finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(path, f"'{path[-1]}' must be a number.")
            return None
        if not math.isfinite(value):
            self.problem(path, f"'{path[-1]}' must be a finite number.")
            return None
        return float(value)

    def whole(self, value: object, path: Path_, least: int) -> int | None:
        """Return a whole number not below ``least``."""
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.problem(path, f"'{path[-1]}' must be a whole number, {least} or more.")
            return None
        return value

    def numbers(self, value: object, path: Path_, count: int) -> tuple[float, ...] | None:
        """Return a list of so many numbers."""
        if not isinstance(value, list) or len(value) != count:
            self.problem(path, f"'{path[-1]}' must be a list of {count} numbers.")
            return None
        read = [self.number(item, path) for item in value]
        return None if None in read else tuple(item for item in read if item is not None)

    def flag(self, value: object, path: Path_) -> bool | None:
        """Return true or false."""
        if not isinstance(value, bool):
            self.problem(path, f"'{path[-1]}' must be true or false.")
            return None
        return value

    def text(self, value: object, path: Path_) -> str | None:
        """Return a text that is not empty."""
        if not isinstance(value, str) or not value.strip():
            self.problem(path, f"'{path[-1]}' must be a text in quotes.")
            return None
        return value.strip()

    def choice(self, value: object, path: Path_, known: tuple[str, ...]) -> str | None:
        """Return one of the known words."""
        if value not in known:
            listed = ", ".join(f'"{word}"' for word in known)
            self.problem(path, f"'{path[-1]}' must be one of {listed}.")
            return None
        return str(value)

    def made[T](self, path: Path_, make: Callable[[], T]) -> T | None:
        """Return what ``make`` makes; its complaint becomes a problem."""
        try:
            return make()
        except ModelInputError as error:
            self.problem(path, str(error))
            return None
