"""Whoever wants to write to SQLite waits for a turn, and gets it."""

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from trials.store import database
from trials.store.database import only_reading, open_engine

WRITERS = 8
TURNS = 40


@pytest.fixture
def sqlite(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path / 'queue.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE written (by INTEGER)"))
    yield engine
    engine.dispose()


def test_nobody_who_waits_to_write_is_overtaken_for_long(sqlite: Engine):
    """All write again and again without a pause. By SQLite's own waiting, one of them writes
    dozens of times while another waits."""
    written: list[int] = []
    overtaken: list[int] = []
    start = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        start.wait()
        for _turn in range(TURNS):
            before = len(written)
            with sqlite.begin() as connection:
                overtaken.append(len(written) - before)
                connection.execute(text("INSERT INTO written VALUES (:by)"), {"by": number})
                time.sleep(0.002)
                written.append(number)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert len(written) == WRITERS * TURNS
    assert max(overtaken) < 8 * WRITERS


def test_a_writer_that_never_ends_is_told_and_not_waited_for_without_end(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)

    with sqlite.begin() as endless:
        endless.execute(text("INSERT INTO written VALUES (1)"))
        with pytest.raises(OperationalError, match="locked"), sqlite.begin():
            pass
        with only_reading(), sqlite.connect() as reader:
            assert reader.scalar(text("SELECT count(*) FROM written")) == 0

    with sqlite.begin() as next_writer:
        assert next_writer.scalar(text("SELECT count(*) FROM written")) == 1
