"""200 phones send their diaries at once, with few and with a million stored entries.

The product's own web server with its own settings (as `lenitive web` starts it) stands on each
of two databases, one nearly empty and one with a million entries and their audit trail. In
turns, all phones open the diary at once over connections that stay open, then all send it at
once. Everything stays on this machine; the phones share its processors with the servers.

    make bench ARGS="load"
    .venv/bin/python -m benchmarks.load --entries 100000 --rounds 3 --database sqlite
"""

import argparse
import asyncio
import math
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks._large import databases, fill_diaries, multiply_trial, tidy
from benchmarks._web import running_web
from models.evidence.table import Table, markdown
from tests.builders import (
    PROTOCOL,
    VAULT,
    evening_zone,
    make_actor,
    make_running,
    make_site,
    signed_device,
)
from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.design import Design
from trials.domain.life_cycle import State
from trials.services.invitations import open_device
from trials.store.account import PatientRow
from trials.store.database import open_engine, session_maker
from trials.store.trial import TrialRow

PHONES = 200
PATIENCE = aiohttp.ClientTimeout(total=120)
CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
ANSWERS = {
    "pain": "4",
    "any_side_effects": "no",
    "sleep": "3",
    "interference": "3",
    "intake": "all",
}
LONG = replace(PROTOCOL, design=Design(("A", "B"), blocks=6, period_days=7, washout_days=2))


@dataclass
class Times:
    """How long the requests of one kind took, in seconds, and how many went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class House:
    """One running server and its phones.

    Attributes:
        address: of the server.
        day: ISO date of the diary that is open now.
        phones: one session of each phone, whose connection stays open.
        opened: times of opening the diary.
        sent: times of sending it.
    """

    address: str
    day: str
    phones: list[aiohttp.ClientSession] = field(default_factory=list)
    opened: Times = field(default_factory=Times)
    sent: Times = field(default_factory=Times)

    async def evening(self) -> None:
        """All open the diary at once; once all have it, all send it at once."""
        forms = await asyncio.gather(*(self._open(phone) for phone in self.phones))
        await asyncio.gather(
            *(self._send(p, f) for p, f in zip(self.phones, forms, strict=True) if f)
        )

    async def _open(self, phone: aiohttp.ClientSession) -> dict[str, str]:
        page = await self._ask(phone, self.opened, 200)
        token = CSRF.search(page)
        return {} if token is None else {"csrf_token": token[1], "key": str(uuid4()), **ANSWERS}

    async def _send(self, phone: aiohttp.ClientSession, form: dict[str, str]) -> None:
        await self._ask(phone, self.sent, 303, form)

    async def _ask(
        self,
        phone: aiohttp.ClientSession,
        times: Times,
        expected: int,
        form: dict[str, str] | None = None,
    ) -> str:
        """Ask for the diary, or send it; write down how long it took, and whether it failed."""
        method = "GET" if form is None else "POST"
        address = f"{self.address}/diary/{self.day}"
        began = time.perf_counter()
        for may_ask_again in (True, False):
            try:
                async with phone.request(
                    method, address, data=form, allow_redirects=False
                ) as answer:
                    page = await answer.text()
                    break
            except aiohttp.ClientConnectionError:
                # A server closes connections that idle for seconds; a browser then sends again
                # on a new one. The key of the form makes that safe.
                if not may_ask_again:
                    times.errors["cut off"] += 1
                    return ""
        times.seconds.append(time.perf_counter() - began)
        if answer.status != expected:
            times.errors[str(answer.status)] += 1
        return page


def main() -> None:
    """Print a table for each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    options = parser.parse_args()
    wanted = options.database or ["sqlite", "postgresql"]
    with (
        tempfile.TemporaryDirectory() as folder,
        databases(Path(folder), wanted, "few", "many") as found,
    ):
        for name, urls in found.items():
            print(markdown(_table(name, urls, Path(folder), options)), flush=True)


def _table(name: str, urls: list[str], folder: Path, options: argparse.Namespace) -> Table:
    with ExitStack() as stack:
        houses, stored = [], []
        for number, url in enumerate(urls):
            cookies, day, entries = _prepare(url, options.entries if number else 0)
            address = stack.enter_context(
                running_web(url, folder / f"{name}-{number}", LENITIVE_PROXIES="1")
            )
            houses.append((House(address, day.isoformat()), cookies))
            stored.append(entries)
        asyncio.run(_live(houses, options.rounds))
    rows = []
    for what in ("opened", "sent"):
        few, many = (getattr(house, what) for house, _cookies in houses)
        rows += [_row(what, entries, t) for entries, t in zip(stored, (few, many), strict=True)]
        pairs = zip(_quantiles(few), _quantiles(many), strict=True)
        rows.append((what, "ratio", *(f"{b / a:.2f}" for a, b in pairs), ""))
    return Table(
        title=f"{PHONES} phones at once, {options.rounds} times, {name}",
        headings=("diary", "entries stored", "p50", "p95", "p99", "errors"),
        rows=tuple(rows),
        notes=(f"{os.cpu_count()} cores for all, load {os.getloadavg()[0]:.1f} at the end.",),
    )


def _row(what: str, entries: int, times: Times) -> tuple[str, ...]:
    shown = (f"{1000 * seconds:.0f} ms" for seconds in _quantiles(times))
    kinds = "".join(f", {count} x {kind}" for kind, count in times.errors.items())
    wrong = f"{times.errors.total()} of {len(times.seconds):,}{kinds}"
    return (what, f"{entries:,}", *shown, wrong)


def _quantiles(times: Times) -> tuple[float, float, float]:
    if len(times.seconds) < 2:
        return math.nan, math.nan, math.nan
    cuts = statistics.quantiles(times.seconds, n=100)
    return cuts[49], cuts[94], cuts[98]


async def _live(houses: list[tuple[House, list[str]]], rounds: int) -> None:
    async with AsyncExitStack() as stack:
        for house, cookies in houses:
            for number, cookie in enumerate(cookies):
                # As a reverse proxy tells where a request comes from: requests are counted by it.
                heads = {"X-Forwarded-For": f"10.1.{number // 250}.{number % 250 + 1}"}
                phone = aiohttp.ClientSession(
                    headers=heads,
                    cookies={"lenitive-device": cookie},
                    cookie_jar=aiohttp.CookieJar(unsafe=True),  # our address is a number
                    timeout=PATIENCE,
                )
                house.phones.append(await stack.enter_async_context(phone))
        for number in range(rounds + 1):
            for house, _cookies in houses if number % 2 else reversed(houses):
                await house.evening()
                if number == 0:  # the first time everything is loaded
                    house.opened, house.sent = Times(), Times()


def _prepare(url: str, entries: int) -> tuple[list[str], date, int]:
    """Fill a database; return the cookies of the phones, the open day, how many entries."""
    engine = open_engine(url)
    now = datetime.now(UTC)
    with session_maker(engine).begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        zone = evening_zone(now)
        model = make_running(session, clinician, now - timedelta(days=2), timezone=zone)
        trials = multiply_trial(session, model, PHONES)
        stored = 0
        if entries:
            ended = make_running(session, clinician, now - timedelta(days=90), LONG)
            copies = -(-entries // LONG.design.total_days)
            filled = multiply_trial(session, ended, copies, state=State.RELEASED.value)
            stored = fill_diaries(session, filled, now)
        cookies = _cookies(session, trials, now)
    tidy(engine)
    engine.dispose()
    return cookies, local_day(now, zone_of(zone)), stored


def _cookies(session: Session, trials: range, now: datetime) -> list[str]:
    patients = session.scalars(
        select(PatientRow)
        .join(TrialRow, TrialRow.patient_id == PatientRow.id)
        .where(TrialRow.id.between(trials.start, trials.stop - 1))
    )
    entries = [open_device(session, VAULT, p, secret=uuid4().hex, now=now) for p in patients]
    return [signed_device(entry) for entry in entries]


if __name__ == "__main__":
    main()
