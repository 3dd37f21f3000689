"""A small table of results: what every piece of evidence ends in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings, and whether what they show is as it must be.

    Attributes:
        title: what is shown.
        headings: one for each column.
        rows: cells as text.
        passed: False when a limit is missed; None when there is none.
        notes: sentences below the table.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    passed: bool | None = None
    notes: tuple[str, ...] = ()


def markdown(table: Table) -> str:
    """Return the table as Markdown with aligned columns."""
    lines = [_line(table.headings, table), _rule(table)]
    lines += [_line(row, table) for row in table.rows]
    notes = [f"\n{note}" for note in table.notes]
    return "\n".join([f"**{table.title}**", "", *lines, *notes])


def _widths(table: Table) -> list[int]:
    return [
        max(len(row[i]) for row in (table.headings, *table.rows))
        for i in range(len(table.headings))
    ]


def _line(row: Sequence[str], table: Table) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, _widths(table), strict=True))
    return f"| {' | '.join(cells)} |"


def _rule(table: Table) -> str:
    return f"|{'|'.join('-' * (width + 2) for width in _widths(table))}|"
