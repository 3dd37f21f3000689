"""Files of compiled code that are read only if they are whole and of this version.

numba believes what it finds in its cache: half a file, left by a machine that lost its power,
or one from elsewhere ends the process that reads it, and the next one. Here each file ends with
a digest of itself and of all versions (numba itself reads past it); what does not carry the
right one counts as absent, is compiled again, and is written over.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any, override

from numba.core import caching

from models.versions import fingerprint

DIGEST = hashlib.sha256().digest_size


class CheckedFile(caching.IndexDataCacheFile):  # type: ignore[misc]  # numba has no types
    """The compiled code of one function, and its index, each with a digest at its end."""

    @override
    def save(self, key: Any, data: Any) -> None:
        """Keep an entry. A full disk costs the next process a minute, not this one its answer."""
        with suppress(OSError):
            Path(self._cache_path).mkdir(parents=True, exist_ok=True)
            super().save(key, data)

    @override
    def _load_index(self) -> dict[Any, str]:
        try:
            text = io.BytesIO(_read(self._index_path))
        except OSError:
            return {}
        version = pickle.load(text)  # noqa: S301 - ours, by its digest
        stamp, index = pickle.load(text)  # noqa: S301
        return index if (version, stamp) == (self._version, self._source_stamp) else {}

    @override
    def _save_index(self, overloads: dict[Any, str]) -> None:
        version = pickle.dumps(self._version)
        self._write(self._index_path, version + self._dump((self._source_stamp, overloads)))

    @override
    def _load_data(self, name: str) -> Any:
        return pickle.loads(_read(self._data_path(name)))  # noqa: S301 - ours, by its digest

    @override
    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), self._dump(data))

    def _write(self, path: str, text: bytes) -> None:
        with self._open_for_write(path) as file:
            file.write(text + _digest(text))


def check_files() -> None:
    """Have numba keep its files like this in this process, from now on."""
    caching.IndexDataCacheFile = CheckedFile


def _read(path: str) -> bytes:
    """Return what was written; numba takes an ``OSError`` for "not there"."""
    whole = Path(path).read_bytes()
    text, digest = whole[:-DIGEST], whole[-DIGEST:]
    if digest != _digest(text):
        raise OSError(f"{path} is damaged, or of another version.")
    return text


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(fingerprint().encode() + text).digest()
