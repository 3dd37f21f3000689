"""``[[side_effects]]`` of PROTOCOL.toml: items whose severe days can leave an arm out."""

from __future__ import annotations

from functools import partial

from models.files.reader import Path_, Reader
from models.items import SEVEREST, SideEffectItem


def read_items(reader: Reader, value: object) -> dict[SideEffectItem, str]:
    """Return the side effects with their diary columns, in lower case."""
    if not isinstance(value, list):
        reader.problem(("side_effects",), "Write side effects as [[side_effects]] tables.")
        return {}
    items: dict[SideEffectItem, str] = {}
    for place, entry in enumerate(value):
        path: Path_ = ("side_effects", place)
        known = ("name", "column", "severest", "severe", "graded", "frequency")
        table = reader.table(entry, path, known)
        name = reader.text(table.get("name"), (*path, "name"))
        if name is None:
            continue
        if name in [item.name for item in items]:
            reader.problem((*path, "name"), f"The side effect '{name}' is given twice.")
            continue
        column = reader.text(table.get("column", name), (*path, "column")) or name
        item = _item(reader, name, table, path)
        if item is not None:
            items[item] = column.lower()
    return items


def _item(
    reader: Reader, name: str, table: dict[str, object], path: Path_
) -> SideEffectItem | None:
    severest = reader.whole(table.get("severest", SEVEREST), (*path, "severest"), 1)
    severe = reader.whole(table.get("severe", severest or SEVEREST), (*path, "severe"), 1)
    graded = reader.flag(table.get("graded", True), (*path, "graded"))
    frequency = None
    if "frequency" in table:
        frequency = reader.number(table["frequency"], (*path, "frequency"))
    if severest is None or severe is None or graded is None:
        return None
    return reader.made(
        path,
        partial(
            SideEffectItem,
            name=name,
            severest=severest,
            severe=severe,
            graded=graded,
            frequency=frequency,
        ),
    )
