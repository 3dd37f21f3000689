"""The shape of a trial, and the orders it lets an arm have."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from itertools import permutations

import numpy as np

from models.specification import Specification


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignShape:
    """The shape of a trial.

    Attributes:
        blocks: times each arm is given.
        period_days: days of each period.
        washout_days: first days of each later period left out of the fit.
        run_in_days: days on no arm before the first period.
        scheme: ``blocks``, ``latin``, ``abba`` or ``fixed``; see :func:`draw_order`.
        looks: evenly spaced looks, the last included.
        washout_first: leave the washout days of the first period out too, as the product's
            calendar does.
        order: with ``fixed``, the arm of each period given by hand; which arm each number
            stands for is drawn. () is the order of the arms, repeated.
    """

    blocks: int = 3
    period_days: int = 14
    washout_days: int = 0
    run_in_days: int = 0
    scheme: str = "blocks"
    looks: int = 1
    washout_first: bool = False
    order: tuple[int, ...] = ()

    def days_of_look(self, look: int, arms: int) -> int:
        """Return the days lived when look ``look`` (from 1) is taken."""
        blocks = int(np.ceil(self.blocks * look / self.looks))
        return self.run_in_days + blocks * arms * self.period_days


OPERATING_VERSION = 2
"""Of the simulation: raised when the same study would give other numbers, so that thresholds of
an earlier form are found by no hash. 2: orders dealt like the trial's own; own burdens evened."""


def design_hash(specification: Specification, design: DesignShape) -> str:
    """Return what a calibrated threshold is cached by: all that decides it, c1 left out."""
    neutral = replace(specification, decision=replace(specification.decision, best=1.0))
    content = json.dumps(
        {
            "specification": neutral.canonical_json(),
            "design": asdict(design),
            "version": OPERATING_VERSION,
        },
        sort_keys=True,
    )
    return hashlib.sha256(content.encode()).hexdigest()


def draw_order(arms: int, design: DesignShape, generator: np.random.Generator) -> list[int]:
    """Return the arm of each period.

    ``blocks``: each block holds every arm once in random order. ``latin``: block orders are
    dealt without replacement from a set in which each arm follows each other equally often
    (Williams), the arms named anew whenever all are dealt.
    ``abba``: every second block is the mirror of the one before. ``fixed``: always the order
    of the arms, or the order given by hand with the arms dealt to its numbers.
    """
    order: list[int] = []
    rows: list[tuple[int, ...]] = []
    names = generator.permutation(arms)
    if design.scheme == "fixed" and design.order:
        return [int(names[k]) for k in design.order]
    for block in range(design.blocks):
        if design.scheme == "fixed":
            one = list(range(arms))
        elif design.scheme == "latin":
            if not rows:
                names, square = generator.permutation(arms), _williams(arms)
                rows = [square[k] for k in generator.permutation(len(square))]
            one = [int(names[k]) for k in rows.pop()]
        elif design.scheme == "abba" and block % 2:
            one = order[-arms:][::-1]
        else:
            one = [int(k) for k in generator.permutation(arms)]
        order += one
    return order


def _williams(arms: int) -> list[tuple[int, ...]]:
    """Return orders in which each arm follows each other arm equally often."""
    if arms == 2:
        return list(permutations(range(2)))
    zigzag = [0] + [(step + 1) // 2 if step % 2 else arms - step // 2 for step in range(1, arms)]
    rows = [tuple((k + shift) % arms for k in zigzag) for shift in range(arms)]
    return rows + [row[::-1] for row in rows] if arms % 2 else rows
