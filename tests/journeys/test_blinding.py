"""No byte that a blinded person can get tells which treatment an arm is.

Two worlds are built that differ in nothing but the secret seed: the same people, the same
ids, the same diaries, another allocation. Every blinded role then walks through every page,
and reads every mail, log line and file name. If anything at all differs between the worlds
(beyond the commitment and the kit numbers, which follow from the seed and tell nothing), it
depends on the allocation, and is a leak. It is also searched for the secrets themselves.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from models.analysis import analyze
from scheduler.jobs import run_due
from tests.builders import (
    PROTOCOL,
    actor_for,
    evening,
    fill_day,
    make_account,
    make_alert,
    make_event,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.commitment import draw_allocation
from trials.domain.protocol import Protocol
from trials.keys import Vault, open_vault
from trials.logs import configure_logging
from trials.services import allocation, diary
from trials.services.allocation import UnblindingReason, dispensing_list, unblind_period
from trials.services.analysis import finish_fit, prepare_fit, request_fit
from trials.services.guesses import record_guess, record_impression
from trials.services.mood import answer_mood_questions
from trials.services.scrutiny import scrutinize
from trials.settings import Settings
from trials.store import base
from trials.store.account import AccountRow, PatientRow
from trials.store.allocation import find_allocation
from trials.store.database import open_engine, session_maker
from trials.store.trial import TrialRow, frozen_protocol, periods_of_trial
from trials.web.app import create_app
from trials.web.extensions import db

pytestmark = pytest.mark.slow

BLINDED = (Role.CLINICIAN, Role.ANALYST, Role.ADMINISTRATOR, Role.PATIENT)
STAFF = (Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR)
LINK = re.compile(rb'(?:href|action|src)="(/[^"#]*)')
MOST_PAGES = 400
EQUAL_HALF_LIVES: Protocol = replace(
    PROTOCOL,
    candidates=tuple(replace(c, effect_half_life_days=0.5) for c in PROTOCOL.candidates),
    comparator="ibuprofen",
)
"""With different half-lives the fit itself, rightly, depends on the treatment of an arm."""


@dataclass(frozen=True)
class World:
    """One of the two worlds, and everything that can be read in it."""

    app: Flask
    secrets: tuple[bytes, ...]
    harmless: tuple[bytes, ...]
    texts: dict[str, bytes]
    marks: dict[Role, bytes]


def _twin_seeds() -> tuple[bytes, bytes]:
    """Two seeds with the same masked sequence but the treatments the other way round."""
    first = bytes(range(32))
    wanted = draw_allocation(PROTOCOL.design, PROTOCOL.treatments, first)
    for number in range(10_000):
        seed = number.to_bytes(32, "big")
        drawn = draw_allocation(PROTOCOL.design, PROTOCOL.treatments, seed)
        if drawn.sequence == wanted.sequence and drawn.arm_key != wanted.arm_key:
            return first, seed
    raise AssertionError("no twin found")


def _other_sequence() -> bytes:
    """A seed with another masked sequence than the first."""
    wanted = draw_allocation(PROTOCOL.design, PROTOCOL.treatments, bytes(range(32))).sequence
    return next(
        seed
        for seed in (number.to_bytes(32, "big") for number in range(100))
        if draw_allocation(PROTOCOL.design, PROTOCOL.treatments, seed).sequence != wanted
    )


def _build(
    folder: Path,
    seed: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    *,
    ended: bool,
    now: datetime,
) -> World:
    """Live through most of a trial in a world with this seed, and read all there is."""
    monkeypatch.setattr(allocation, "new_seed", lambda: seed)
    monkeypatch.setattr(base, "secrets", SimpleNamespace(choice=Random(7).choice))
    monkeypatch.setattr(diary, "new_salt", lambda: "00" * 16)
    Uuid.reset()
    configure_logging("info")  # the first world would else log in another form than the second
    settings = Settings(
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'lenitive.sqlite'}",
        master_key="00" * 32,
        mail_transport="file",
    )
    vault = open_vault(settings)
    engine = open_engine(settings.database)
    sessions = session_maker(engine)
    at = _live(sessions, settings, vault, ended=ended, now=now)
    app = create_app(
        settings, {"TESTING": True, "WTF_CSRF_ENABLED": False, "RATELIMIT_ENABLED": False}
    )
    with sessions.begin() as session:
        trial = session.scalars(select(TrialRow)).one()
        world = World(
            app, _secrets(session, vault, trial), _harmless(session, trial), {}, _marks(trial)
        )
        entrances = {role: _entrance(session, role) for role in BLINDED}
    engine.dispose()
    world.texts["log of the life"] = _said(capfd)
    with time_machine.travel(at, tick=False):
        for role in BLINDED:
            client = app.test_client()
            entered = client.post(entrances[role])
            assert entered.status_code == 303, entered.text
            for address, content in _walk(app, client, role):
                world.texts[f"{role.value} {address}"] = content
            visit = _said(capfd)
            assert b"request" in visit, "the log was read"
            world.texts[f"{role.value}'s visit in the log"] = visit
    with app.app_context():
        db.engine.dispose()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        inside = path.relative_to(folder)
        world.texts[f"file name {inside}"] = b""
        if inside.parts[0] == "mail":
            world.texts[f"mail {inside}"] = path.read_bytes()
    return world


TIMES = frozenset({"timestamp", "milliseconds"})
CHANGING = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?|0x[0-9a-f]+")
"""What differs from one second to the next in a log: two fields of its JSON, and such values."""


def _said(capfd: pytest.CaptureFixture[str]) -> bytes:
    """Return what was written to the log since the last time.

    Visits are kept apart by role: the analyst works with the masked sequence, so which links
    there are to follow may depend on it.
    """
    said = capfd.readouterr()
    return "\n".join(_without_times(said.out + said.err)).encode()


def _without_times(log: str) -> Iterator[str]:
    """Yield the lines of a log without what tells when they were written, and how fast."""
    for line in log.splitlines():
        kept = line
        if line.startswith("{"):
            entry = json.loads(line)
            kept = json.dumps({key: entry[key] for key in sorted(entry.keys() - TIMES)})
        yield CHANGING.sub("", kept)


def _live(
    sessions: sessionmaker[Session], settings: Settings, vault: Vault, *, ended: bool, now: datetime
) -> datetime:
    """Set up, answer, dispense, open a code, analyse; return the instant of the last deed."""
    with sessions.begin() as session:
        site = make_site(session, is_demo=True)
        people = {role: actor_for(make_account(session, site, role), role) for role in STAFF}
        trial_id = make_running(session, people[Role.CLINICIAN], now, EQUAL_HALF_LIVES).id
        days = trial_days(session.get_one(TrialRow, trial_id))
    last = days[-1] if ended else days[19]
    for number, day in enumerate(d for d in days if d <= last):
        run_due(sessions, settings, vault, evening(day, 18), fits=False)
        with sessions.begin() as session:
            trial = session.get_one(TrialRow, trial_id)
            if number % 9 != 8:
                fill_day(session, trial, day, 3 + number % 5, bother=number % 3, key=f"k{number}")
            if number == 6:  # the last day of the first period
                say_what_it_was(session, trial, evening(day, 21))
    at = evening(last + timedelta(days=2), 9)
    with sessions.begin() as session:
        trial = session.get_one(TrialRow, trial_id)
        dispensing_list(session, vault, people[Role.PHARMACIST], trial, at)
        unblind_period(
            session,
            vault,
            people[Role.PHARMACIST],
            trial,
            period=2,
            reason=UnblindingReason.OTHER,
            explanation="A test of the alarm.",
            now=at,
        )
        make_alert(session, trial, at)
        make_event(session, people[Role.CLINICIAN], trial, at)
        answer_mood_questions(
            session,
            patient_actor(trial.patient),
            trial,
            low=2,
            thoughts="often",
            key="mood-of-this-world",
            now=at,
        )
    run_due(sessions, settings, vault, at, fits=False)
    with sessions.begin() as session:
        trial = session.get_one(TrialRow, trial_id)
        purpose = "final" if ended else "interim"
        fit = request_fit(session, vault, people[Role.ANALYST], trial, purpose=purpose, now=at)
        task = prepare_fit(session, vault, fit)
        found = replace(analyze(task.data, task.specification, seed=task.seed), seconds=0.0)
        beside = scrutinize(found, task.beside, seed=task.seed)
        finish_fit(session, vault, fit, task, found, at, scrutiny=beside)
    return at


def say_what_it_was(session: Session, trial: TrialRow, at: datetime) -> None:
    record_guess(session, trial, period=1, treatment="ibuprofen", certainty=2, why="", now=at)
    record_impression(
        session, trial, period=1, change=2, words="Slept better.", preference=1, now=at
    )


class Uuid:
    """Patients' codes in the builders are random; here they are the same in both worlds."""

    count = 0

    @classmethod
    def reset(cls) -> None:
        cls.count = 0

    @classmethod
    def next(cls) -> SimpleNamespace:
        cls.count += 1
        return SimpleNamespace(hex=f"{cls.count:032x}")


def _secrets(session: Session, vault: Vault, trial: TrialRow) -> tuple[bytes, ...]:
    key = allocation.sealed_arm_key(session, vault, trial)
    sequence = allocation.masked_sequence(session, vault, trial)
    names = [key[arm] for arm in sequence]
    frozen = frozen_protocol(session, trial.id)
    row = find_allocation(session, frozen.id)
    seed = vault.open("allocation code", row.sealed_code, context=frozen.hash)
    written = [
        re.search(rb'"seed": "([0-9a-f]{64})"', seed).group(1),
        *(
            joint.join(sequence).encode()
            for joint in ("", ",", ", ", " ", "-", "|", "&#34;, &#34;")
        ),
        *(joint.join(names).encode() for joint in (",", ", ", " ", "-", "|")),
    ]
    return tuple(written)


def _harmless(session: Session, trial: TrialRow) -> tuple[bytes, ...]:
    """What follows from the seed and tells nothing: commitment and kit numbers, as shown."""
    found = [allocation.commitment_of(session, trial)]
    for period in periods_of_trial(session, trial.id):
        kit = period.kit
        found += [kit, *(space.join((kit[:2], kit[2:5], kit[5:])) for space in (" ", "\xa0"))]
    return tuple(text.encode() for text in found if text)


def _marks(trial: TrialRow) -> dict[Role, bytes]:
    """Return what shows that a page is about this trial, by role."""
    return {
        Role.CLINICIAN: trial.patient.code.encode(),
        Role.ANALYST: trial.public_id.encode(),
        Role.ADMINISTRATOR: b"audit",
        Role.PATIENT: b"Today",
    }


def _entrance(session: Session, role: Role) -> str:
    """Return the address at which the demonstration lets one in as this role."""
    if role is Role.PATIENT:
        return f"/demo/patient/{session.scalars(select(PatientRow)).one().public_id}"
    accounts = session.scalars(select(AccountRow)).unique()
    account = next(a for a in accounts if a.roles[0].name == role.value)
    return f"/demo/staff/{account.public_id}"


def _walk(app: Flask, client: FlaskClient, role: Role) -> Iterator[tuple[str, bytes]]:
    """Follow every link, and try every address of the application with this trial's values."""
    waiting, seen = ["/start", "/", *_plain_addresses(app)], set()
    while waiting and len(seen) < MOST_PAGES:
        address = waiting.pop(0)
        if address in seen or address.startswith(WAYS_OUT):
            continue
        seen.add(address)
        taking = "/export/" in address  # files are taken by a button, since it is recorded
        answer = client.post(address) if taking else client.get(address)
        head = "\n".join(f"{k}: {v}" for k, v in sorted(answer.headers) if k in SHOWN_HEADERS)
        yield address, f"{answer.status_code}\n{head}\n".encode() + answer.data
        waiting += [link.decode().replace("&amp;", "&") for link in LINK.findall(answer.data)]
        if address.endswith("/what-if"):
            waiting.append(f"{address}?weight=1.5")
    assert len(seen) < MOST_PAGES, f"the walk of the {role.value} does not end"


PAGES_AT_LEAST = {Role.CLINICIAN: 3, Role.ANALYST: 2, Role.ADMINISTRATOR: 1, Role.PATIENT: 4}
WAYS_OUT = ("/static", "/logout", "/demo", "/device/leave", "/login", "/tf-", "/wan-", "/mf-")
"""Static files, and what ends the session that walks (the second step of an unfinished log-in)."""
SHOWN_HEADERS = ("Location", "Content-Disposition", "Content-Type", "ETag")


def _plain_addresses(app: Flask) -> list[str]:
    return [
        rule.rule
        for rule in app.url_map.iter_rules()
        if not rule.arguments and "GET" in (rule.methods or ()) and "logout" not in rule.rule
    ]


def _comparable(world: World, content: bytes) -> bytes:
    """Take out what differs in every answer, or follows from the seed and tells nothing."""
    for number, text in enumerate(sorted(world.harmless, key=len, reverse=True)):
        del number
        content = content.replace(text, b"(follows from the seed)")
    content = re.sub(rb'nonce="[^"]*"', b"", content)
    content = re.sub(
        rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", b"(uuid)", content
    )
    content = re.sub(rb'name="csrf_token"[^>]*', b"", content)
    content = re.sub(rb"(Seconds</dt>\s*<dd[^>]*>)[\d.]+", rb"\1", content)  # of a live look
    return re.sub(rb'content="[^"]{60,}"', b"", content)


@pytest.fixture
def folders(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    monkeypatch.setattr("tests.builders.uuid4", Uuid.next)
    made = []
    for name in ("world", "twin"):
        # Addresses and file names hold the folder; both worlds live in one of the same length.
        folder = tmp_path / name.ljust(6, "_")
        folder.mkdir()
        (folder / "lenitive.sqlite").write_bytes(sqlite_template.read_bytes())
        made.append(folder)
    return made[0], made[1]


@pytest.mark.parametrize("ended", [False, True], ids=["running", "analysed"])
def test_worlds_with_swapped_treatments_look_the_same_to_everybody_blinded(
    folders, monkeypatch: pytest.MonkeyPatch, capfd, ended: bool, now
):
    seeds = _twin_seeds()
    world, twin = (
        _build(folder, seed, monkeypatch, capfd, ended=ended, now=now)
        for folder, seed in zip(folders, seeds, strict=True)
    )

    _compare(world, twin, BLINDED)


def test_worlds_with_another_sequence_look_the_same_to_clinician_and_patient(
    folders, monkeypatch: pytest.MonkeyPatch, capfd, now
):
    seeds = bytes(range(32)), _other_sequence()
    world, twin = (
        _build(folder, seed, monkeypatch, capfd, ended=True, now=now)
        for folder, seed in zip(folders, seeds, strict=True)
    )

    _compare(world, twin, (Role.CLINICIAN, Role.PATIENT))


def _compare(world: World, twin: World, roles: tuple[Role, ...]) -> None:
    theirs = (*tuple(role.value for role in roles), "file name", "mail", "log")
    of_theirs = [name for name in world.texts if name.startswith(theirs)]
    assert len(of_theirs) > 20, "the walk saw too little to prove anything"
    assert sorted(of_theirs) == sorted(n for n in twin.texts if n.startswith(theirs))
    for role in roles:
        own = [text for name, text in world.texts.items() if name.startswith(role.value)]
        seen = sum(text[:3] == b"200" and world.marks[role] in text for text in own)
        assert seen >= PAGES_AT_LEAST[role], f"the {role.value} saw too little of the trial"
    for name in of_theirs:
        ours, others = _comparable(world, world.texts[name]), _comparable(twin, twin.texts[name])
        assert ours == others, f"{name} depends on the allocation: {_difference(ours, others)}"
        for secret in world.secrets:
            assert secret not in world.texts[name], f"{name} holds {secret!r}"


def _difference(ours: bytes, others: bytes) -> str:
    """Return the first line that differs, in both worlds."""
    pairs = zip_longest(ours.splitlines(), others.splitlines(), fillvalue=b"(no line)")
    return next((f"{a!r} / {b!r}" for a, b in pairs if a != b), "the ends of lines")


def test_the_comparison_would_notice_a_leak(folders, monkeypatch: pytest.MonkeyPatch, capfd, now):
    """A page that tells one treatment by one letter makes the comparison fail."""
    world, twin = (
        _build(folder, seed, monkeypatch, capfd, ended=False, now=now)
        for folder, seed in zip(folders, _twin_seeds(), strict=True)
    )
    name = next(name for name in world.texts if name.startswith("patient /today"))
    world.texts[name] += b" i"
    twin.texts[name] += b" a"

    with pytest.raises(AssertionError, match="depends on the allocation"):
        _compare(world, twin, BLINDED)
