"""One way to write a value as bytes, so that its hash is the same everywhere."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from hashlib import sha256


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and no spaces; dataclasses become objects of their fields.

    Raises:
        TypeError: the value has a part with no agreed form (a set, bytes, an object).
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_hash(value: object) -> str:
    """Return the SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return sha256(canonical_json(value).encode()).hexdigest()


def plain(value: object) -> object:
    """Return ``value`` made of dictionaries, lists, text, numbers, booleans and None only."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")
