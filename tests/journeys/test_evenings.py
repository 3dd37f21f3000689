"""Whatever happens in whatever order: the diary, its days and its reminders stay right.

Hypothesis plays a patient with two phones, two schedulers, processes killed before or after any
commit, and clocks that jump, against a model of the truth that fits on a page: which reports
were acknowledged, and at which instants somebody looked at the clock. It knows nothing of rows,
leases or outboxes. To look further than every run does:

    LENITIVE_EXAMPLES=2000 .venv/bin/python -m pytest tests/journeys/test_evenings.py \
        --hypothesis-profile=default
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, delete, event, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from scheduler.jobs import Desk, keep_time, send_messages
from tests.builders import (
    PROTOCOL,
    VAULT,
    answer,
    make_actor,
    make_patient,
    make_site,
    patient_actor,
    study_at_once,
)
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.clocks import LONGEST_WAIT, Writing
from trials.domain.diary import Source
from trials.domain.errors import DiaryClosedError
from trials.domain.life_cycle import State
from trials.services.diary import record_entry
from trials.services.messages import LEASE
from trials.services.running import start_trial
from trials.services.transports import Mail
from trials.services.trials import create_trial, freeze_protocol, record_consent
from trials.settings import Settings, read_settings
from trials.store.audit import AuditRow, chain
from trials.store.database import only_reading, session_maker
from trials.store.diary import DiaryDayRow, DiaryEntryRow, latest_entries
from trials.store.fit import FitRow
from trials.store.outbox import MessageRow
from trials.store.reach import ReachRow
from trials.store.trial import TrialRow

EXAMPLES = int(os.environ.get("LENITIVE_EXAMPLES", "25"))
STEPS = 40
PHONES = ("kitchen", "pocket")
SCHEDULERS = ("a", "b")
BEFORE, ON_THE_WAY = "before the handover", "on the way"
MEANWHILE = ("answered before", "other before", "other on the way")
BEGINNINGS = {
    "Europe/Berlin": date(2026, 3, 27),  # each with a night that is an hour longer or shorter
    "America/New_York": date(2026, 3, 6),
    "Australia/Lord_Howe": date(2026, 4, 3),
    "Asia/Kolkata": date(2026, 3, 1),
}
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ORDER = ("planned", "open", "missed")


class Killed(BaseException):
    """The process got SIGKILL: nothing it would do afterwards happens."""


class Power:
    """What keeps a process alive: it fails at one commit, and from then on altogether."""

    def __init__(self, engine: Engine) -> None:
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        event.listen(self.sessions, "after_begin", self._on_begin)
        event.listen(self.sessions, "before_commit", self._before_commit)
        event.listen(self.sessions, "after_commit", self._after_commit)
        self.on()

    def on(self, fails_at: int | None = None, *, after: bool = False) -> None:
        """Run until the commit of this number (from 0), or for ever."""
        self.after, self._left, self._dead = after, fails_at, False

    def _on_begin(self, *_arguments: object) -> None:
        if self._dead:
            raise Killed

    def _before_commit(self, _session: Session) -> None:
        if self._left == 0 and not self.after:
            self._dead = True
            raise Killed

    def _after_commit(self, _session: Session) -> None:
        if self._left == 0:
            self._dead = True
            raise Killed
        self._left = None if self._left is None else self._left - 1


@dataclass(frozen=True)
class Report:
    """What a phone has to send, under the key it keeps; ``written_at`` None is "just now"."""

    key: str
    day: date
    pain: int
    written_at: datetime | None


@dataclass(frozen=True)
class Kept:
    """A report that the server took: its revision, and when the patient answered."""

    report: Report
    revision: int
    at: datetime


@dataclass
class Evening:
    """The truth about one day.

    Attributes:
        day: date in the patient's zone.
        opens, quiet, closes, late: UTC instants of 17:00, 22:00, 3:00 and midnight after next.
        kept: reports of it, in order of arrival.
        first_due: when it must be reminded of; None where nobody may expect that.
        looked: the latest instant at which a scheduler looked since then.
        asked: whether a scheduler opened it before it closed; None if none did yet.
    """

    day: date
    opens: datetime
    quiet: datetime
    closes: datetime
    late: datetime
    kept: list[Kept] = field(default_factory=list)
    first_due: datetime | None = None
    looked: datetime = LONG_AGO
    asked: bool | None = None

    def unanswered(self, at: datetime) -> str:
        """Return the state of the day if nobody ever answers, when the clock looked last at."""
        return "missed" if self.late <= at else "open" if self.opens <= at else "planned"

    def takes(self, report: Report, at: datetime, now: datetime) -> bool:
        """Return whether a report answered at an instant is taken when it arrives now."""
        correcting = self.kept and report.written_at is None
        until = self.closes if correcting else self.late
        return self.opens <= at < until and now - at <= LONGEST_WAIT

    @property
    def counting(self) -> Kept | None:
        """The last word that was in time, else the first that was late (rule D-05)."""
        in_time = [k for k in self.kept if k.at < self.closes]
        if in_time:
            return max(in_time, key=lambda k: (k.at, k.revision))
        return self.kept[0] if self.kept else None


class Evenings(RuleBasedStateMachine):
    """One patient's trial in a house where everything goes wrong."""

    engine: Engine
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self.powers = {name: Power(self.engine) for name in SCHEDULERS}
        self.web = Power(self.engine)
        self.reading = session_maker(self.engine)
        self.trial_id = 0
        self.evenings: dict[date, Evening] = {}
        self.queues: dict[str, list[Report]] = {phone: [] for phone in PHONES}
        self.receipts: list[Kept] = []
        self.skews = dict.fromkeys(SCHEDULERS, timedelta(0))
        self.lives = self.keys = 0
        self.sent: Counter[str] = Counter()
        self.doubtful: set[str] = set()
        self.excused: Counter[str] = Counter()
        self.leased = self.surely = self.perhaps = LONG_AGO

    # ---- the patient ---------------------------------------------------------------------

    @initialize(
        zone=st.sampled_from(sorted(BEGINNINGS)),
        hour=st.sampled_from([None, time(19)]),
        texts=st.booleans(),
    )
    def begin(self, zone: str, hour: time | None, texts: bool) -> None:
        """Start a trial this morning, two nights before clocks change."""
        self.zone, self.hour, first = ZoneInfo(zone), hour, BEGINNINGS[zone]
        self.now = self.at(first, 9)
        with self.reading.begin() as session:
            clinician = make_actor(session, make_site(session), Role.CLINICIAN)
            patient = make_patient(session, clinician, self.now, timezone=zone)
            phone = "+491701234567" if texts else ""
            session.add(ReachRow(patient_id=patient.id, remind_at=hour, phone=phone))
            trial = create_trial(
                session, clinician, patient, title="Pain", protocol=PROTOCOL, now=self.now
            )
            study_at_once(session, PROTOCOL, self.now)
            freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=self.now)
            record_consent(session, clinician, trial, given_on=first, now=self.now)
            start_trial(
                session,
                VAULT,
                clinician,
                trial,
                revision=trial.revision,
                start_day=first,
                now=self.now,
            )
            self.trial_id = trial.id
        days = [first + timedelta(days=n) for n in range(PROTOCOL.design.total_days)]
        self.evenings = {
            day: Evening(
                day,
                self.at(day, 17),
                self.at(day, 22),
                self.at(day + timedelta(days=1), 3),
                self.at(day + timedelta(days=2), 0),
            )
            for day in days
        }

    def at(self, day: date, hour: int) -> datetime:
        """Return the UTC instant at which the patient's clock shows this hour."""
        return datetime.combine(day, time(hour), self.zone).astimezone(UTC)

    @rule(
        phone=st.sampled_from(PHONES),
        pain=st.integers(0, 10),
        offline=st.booleans(),
        back=st.integers(0, 1),
    )
    def write(self, phone: str, pain: int, offline: bool, back: int) -> None:
        """Fill in the newest open diary, or the one before; it waits on the phone."""
        started = [e for e in self.evenings.values() if e.opens <= self.now < e.late]
        if started:
            self.keys += 1
            self.queues[phone].append(
                Report(
                    f"{self.trial_id:08d}-{self.keys:08d}",
                    started[-1 - min(back, len(started) - 1)].day,
                    pain,
                    self.now if offline else None,
                )
            )

    @precondition(lambda self: any(self.queues.values()))
    @rule(phone=st.sampled_from(PHONES), fault=st.sampled_from([None, None, "request", "answer"]))
    def send(self, phone: str, fault: str | None) -> None:
        """Send the report that waited longest; the server may die before or after its commit."""
        if not self.queues[phone]:
            return
        report = self.queues[phone][0]
        before = self._kept(report)
        takes = before is not None or self._takes(report)
        if self._submit(report, fault) is None or not takes:
            self.queues[phone].pop(0)  # acknowledged, or refused with a sentence

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """Send a report that was acknowledged once more, as a phone does that missed it."""
        self._submit(data.draw(st.sampled_from(self.receipts)).report, None)

    def _submit(self, report: Report, fault: str | None) -> str | None:
        """Send one report; return what hid the answer, or None if there was one."""
        evening = self.evenings[report.day]
        at = self.now if report.written_at is None else min(report.written_at, self.now)
        before = self._kept(report)
        takes = before is not None or self._takes(report)
        self.web.on(0 if fault else None, after=fault == "answer")
        written = None if report.written_at is None else Writing(at, clock_error_seconds=0)
        try:
            with self.web.sessions.begin() as session:
                trial = session.get_one(TrialRow, self.trial_id)
                receipt = record_entry(
                    session,
                    trial,
                    report.day,
                    answer(report.pain),
                    source=Source.PATIENT,
                    author=patient_actor(trial.patient),
                    key=report.key,
                    now=self.now,
                    written=written,
                )
        except DiaryClosedError:
            assert not takes, f"{report} was refused"
            return None
        except Killed:
            if fault == "answer" and before is None and takes:
                evening.kept.append(Kept(report, len(evening.kept) + 1, at))
            return fault
        assert takes, f"{report} was taken"
        kept = before or Kept(report, len(evening.kept) + 1, at)
        assert (receipt.revision, receipt.repeated) == (kept.revision, before is not None)
        assert (receipt.minutes_late > 0) is (kept.at >= evening.closes)
        if before is None:
            evening.kept.append(kept)
        assert receipt.counts is (evening.counting == kept)
        self.receipts.append(kept)
        return None

    def _kept(self, report: Report) -> Kept | None:
        return next((k for k in self.evenings[report.day].kept if k.report == report), None)

    def _takes(self, report: Report) -> bool:
        at = self.now if report.written_at is None else min(report.written_at, self.now)
        return self.evenings[report.day].takes(report, at, self.now)

    # ---- time ----------------------------------------------------------------------------

    @rule(hour=st.sampled_from([17, 17, 19, 20, 21, 21, 22, 4]), minutes=st.integers(0, 59))
    def live_until(self, hour: int, minutes: int) -> None:
        """Go on to the next time that the patient's clock shows this."""
        day = self.now.astimezone(self.zone).date()
        nexts = (
            self.at(day + timedelta(days=n), hour) + timedelta(minutes=minutes) for n in range(3)
        )
        self.now = next(at for at in nexts if at > self.now)

    @rule(hours=st.sampled_from([-24, -3, -1, 1, 30, 80, 24 * 8, 24 * 20]))
    def jump(self, hours: int) -> None:
        """Everything stood still for so long, or all clocks were set back."""
        first = min(self.evenings)
        self.now = max(self.now + timedelta(hours=hours), self.at(first, 9))

    @rule(name=st.sampled_from(SCHEDULERS), hours=st.sampled_from([-2, 0, 0, 3]))
    def skew(self, name: str, hours: int) -> None:
        """The clock of one scheduler's machine is wrong from now on, or right again."""
        self.skews[name] = timedelta(hours=hours)

    # ---- the schedulers ------------------------------------------------------------------

    @rule(
        name=st.sampled_from(SCHEDULERS),
        killed_at=st.none() | st.integers(0, 12),
        after=st.booleans(),
        meanwhile=st.sampled_from([None, None, *MEANWHILE]),
    )
    def tick(self, name: str, killed_at: int | None, after: bool, meanwhile: str | None) -> None:
        """One scheduler does what is due, and may die at any commit on the way."""
        self._tick(name, killed_at, after=after, meanwhile=meanwhile)

    @rule(
        name=st.sampled_from(SCHEDULERS),
        hour=st.sampled_from([17, 21]),
        meanwhile=st.sampled_from(MEANWHILE),
    )
    def remind(self, name: str, hour: int, meanwhile: str) -> None:
        """It is time for a reminder, and something comes in between while it is sent."""
        self.live_until(hour, 5)
        self._tick(name, meanwhile=meanwhile)

    def _answer_at_once(self) -> None:
        asked = [e for e in self.evenings.values() if e.opens <= self.now < e.closes]
        if asked:
            self.keys += 1
            key = f"{self.trial_id:08d}-{self.keys:08d}"
            self._submit(Report(key, asked[-1].day, 5, None), None)

    def _tick(
        self,
        name: str,
        killed_at: int | None = None,
        *,
        after: bool = False,
        meanwhile: str | None = None,
        alone: bool = True,
    ) -> None:
        at = self.now + self.skews[name]
        self.lives += 1
        power = self.powers[name]
        power.on(killed_at, after=after)
        desk = Desk(f"{name}-{self.lives}", power.sessions, self.settings, VAULT, clock=lambda: at)
        before, sent_before = self._states(), Counter(self.sent)
        self.perhaps = max(self.perhaps, at)
        post = Post(self, power, at, self._happenings(name, meanwhile))
        killed = False
        try:
            keep_time(desk)
            send_messages(desk, post)
        except Killed:
            killed = True
            self.excused[post.taken] += 1  # it may not be on record that this one is done
            self.leased = max(self.leased, at + LEASE)
        else:
            self.surely = max(self.surely, at)
        power.on()
        self._note_openings(before, at)
        self._check_flood(self.sent - sent_before)
        if alone and not killed:  # else the other one may hold what is owed
            self._check_reminded(at)
        for evening in self.evenings.values():
            evening.looked = max(evening.looked, at)

    def _happenings(self, name: str, meanwhile: str | None) -> "dict[str, Callable[[], object]]":
        """Return what happens while a scheduler sends, by when it does."""
        other = {"a": "b", "b": "a"}[name]
        known: dict[str | None, dict[str, Callable[[], object]]] = {
            "answered before": {BEFORE: self._answer_at_once},
            "other before": {BEFORE: lambda: self._tick(other, alone=False)},
            "other on the way": {ON_THE_WAY: lambda: self._tick(other, alone=False)},
        }
        return known.get(meanwhile, {})

    def _note_openings(self, before: dict[date, str], at: datetime) -> None:
        """Find out from which days on a reminder is owed: those that opened in time, in a trial
        that is not silent."""
        states = self._states()
        for day, evening in self.evenings.items():
            if (before[day], states[day]) != ("planned", "open") or evening.asked is not None:
                continue
            evening.asked = at < evening.closes
            if at < evening.quiet:
                earlier = [d for d in sorted(states) if d < day]
                decided = [
                    "unasked" if states[d] == "missed" and not self.evenings[d].asked else states[d]
                    for d in earlier
                    if states[d] not in {"open", "planned"}
                ]
                if decided[-3:] != ["missed"] * 3:
                    wished = evening.opens if self.hour is None else self.at(day, self.hour.hour)
                    evening.first_due = max(at, wished)

    def _check_flood(self, sent: Counter[str]) -> None:
        """After any downtime: of each kind and by each way at most one message."""
        kinds = Counter(
            (o.partition(":")[0], o.count(":sms:")) for o in sent if not o.startswith("diary-again")
        )
        assert all(count == 1 for count in kinds.values()), sent

    def _check_reminded(self, at: datetime) -> None:
        """What is owed was sent by now: once in the evening, once more before the night."""
        for evening in self.evenings.values():
            owed, seen = evening.first_due, max(evening.looked, self.leased)
            if owed is None or evening.kept or seen >= evening.quiet or at < self.leased:
                continue
            if owed <= at < evening.quiet:
                self._check_sent("diary-open", evening)
            again = evening.quiet - timedelta(hours=1)
            if owed + timedelta(hours=1) <= again <= at < evening.quiet:
                self._check_sent("diary-again", evening)

    def _check_sent(self, kind: str, evening: Evening) -> None:
        occasion = f"{kind}:{self.day_ids()[evening.day]}"
        ways = [o for o in self.sent if o == occasion or o.startswith(f"{occasion}:")]
        lost = [o for o in self.doubtful if o == occasion or o.startswith(f"{occasion}:")]
        assert ways or lost, f"{occasion} of {evening.day} was owed"

    # ---- what is true after every step ---------------------------------------------------

    @invariant()
    def everything_acknowledged_is_there_once(self) -> None:
        """Reports, revisions and the one that counts are those of the model."""
        if not self.trial_id:
            return
        with only_reading(), self.reading() as session:
            rows = session.execute(
                select(
                    DiaryEntryRow.idempotency_key,
                    DiaryDayRow.day,
                    DiaryEntryRow.pain,
                    DiaryEntryRow.revision,
                )
                .join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
                .where(DiaryDayRow.trial_id == self.trial_id)
            ).all()
            counting = {d: e.idempotency_key for d, e in self._latest(session).items()}
        kept = [k for e in self.evenings.values() for k in e.kept]
        expected = [(k.report.key, k.report.day, k.report.pain, k.revision) for k in kept]
        assert sorted(tuple(row) for row in rows) == sorted(expected)
        assert counting == {
            e.day: e.counting.report.key for e in self.evenings.values() if e.counting
        }

    @invariant()
    def every_day_is_in_its_state(self) -> None:
        """Answered ones are; the others as far as the clock was surely, or perhaps, looked at."""
        if not self.trial_id:
            return
        for day, state in self._states().items():
            evening = self.evenings[day]
            if evening.kept:
                assert state == "answered", day
                continue
            least, most = evening.unanswered(self.surely), evening.unanswered(self.perhaps)
            assert ORDER.index(least) <= ORDER.index(state) <= ORDER.index(most), day

    def _latest(self, session: Session) -> dict[date, DiaryEntryRow]:
        return latest_entries(session, self.trial_id)

    def _states(self) -> dict[date, str]:
        query = select(DiaryDayRow.day, DiaryDayRow.state)
        with only_reading(), self.reading() as session:
            rows = session.execute(query.where(DiaryDayRow.trial_id == self.trial_id))
            return dict(rows.all())

    def day_ids(self) -> dict[date, int]:
        """Return the row of each day."""
        query = select(DiaryDayRow.day, DiaryDayRow.id)
        with only_reading(), self.reading() as session:
            rows = session.execute(query.where(DiaryDayRow.trial_id == self.trial_id))
            return dict(rows.all())

    # ---- the end -------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let the trial end in peace: then all is decided, told once, and on record."""
        if not self.trial_id:
            return
        try:
            self.skews = dict.fromkeys(SCHEDULERS, timedelta(0))
            self.now = max(self.now, self.perhaps, *(e.late for e in self.evenings.values()))
            for _day in range(3):
                self.now += timedelta(days=1)
                self._tick("a", meanwhile="other on the way")
            self.every_day_is_in_its_state()
            self._check_end()
        finally:
            self._put_away()

    def _check_end(self) -> None:
        kept = sum(len(e.kept) for e in self.evenings.values())
        with only_reading(), self.reading() as session:
            trial = session.get_one(TrialRow, self.trial_id)
            final = session.scalars(
                select(FitRow).where(FitRow.trial_id == self.trial_id, FitRow.purpose == "final")
            ).all()
            recorded = session.scalar(
                select(func.count()).where(
                    AuditRow.trial_id == self.trial_id, AuditRow.action == "record_entry"
                )
            )
            assert trial.current_state is State.COMPLETED
            assert len(final) == 1
            assert recorded == kept
            assert first_broken(chain(session)) is None
        assert sum(o.startswith("completed:") for o in self.sent) == 1

    def _put_away(self) -> None:
        """Leave nothing that is due to the next example; its rows stay."""
        with self.reading.begin() as session:
            session.execute(delete(MessageRow))
            session.execute(delete(FitRow))
            session.execute(
                update(DiaryDayRow)
                .where(DiaryDayRow.trial_id == self.trial_id)
                .values(state="cancelled", remind_at=None)
            )
            session.execute(
                update(TrialRow)
                .where(TrialRow.id == self.trial_id)
                .values(state=State.RELEASED.value)
            )


@dataclass
class Post:
    """The mail server of the model: takes everything, and judges what it is given.

    Attributes:
        house: whose model knows the truth.
        power: of the scheduler that sends.
        at: what its clock shows.
        happenings: what happens while the first message is sent, and when.
        taken: the occasion of the message that it took last.
    """

    house: Evenings
    power: Power
    at: datetime
    happenings: dict[str, Callable[[], object]]
    taken: str = ""

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Take one message."""
        occasion, day = self._about(mail)
        repeatable = occasion.startswith(("silence:", "completed:"))
        self._let_happen(BEFORE)
        try:
            if not before_handover():
                return False
        except Killed:
            if self.power.after:  # it is on record that it went out; nobody knows
                self.house.doubtful.add(occasion)
            raise
        self.house.sent[occasion] += 1
        self.taken = occasion
        assert repeatable or occasion not in self.house.doubtful, f"{occasion} went out before"
        most = 1 + (self.house.excused[occasion] if repeatable else 0)
        assert self.house.sent[occasion] <= most, f"{occasion} went out again"
        if day is not None:
            evening = self.house.evenings[day]
            assert not evening.kept, f"{occasion}: {day} was answered"
            assert evening.opens <= self.at < evening.quiet, f"{occasion} at {self.at}"
        if ON_THE_WAY in self.happenings and len(set(self.house.skews.values())) > 1:
            self.house.excused[occasion] += 1  # by the other one's clock the lease may be over
        self._let_happen(ON_THE_WAY)
        return True

    def _let_happen(self, when: str) -> None:
        happening = self.happenings.pop(when, None)
        if happening is not None:
            happening()

    def _about(self, mail: Mail) -> tuple[str, date | None]:
        with only_reading(), self.house.reading() as session:
            occasion, day = session.execute(
                select(MessageRow.occasion, DiaryDayRow.day)
                .outerjoin(DiaryDayRow, DiaryDayRow.id == MessageRow.diary_day_id)
                .where(MessageRow.public_id == mail.public_id)
            ).one()
        return occasion, day


@pytest.mark.timeout(1800)
@pytest.mark.slow
def test_evenings(engine: Engine, tmp_path: Path):
    Evenings.engine, Evenings.settings = engine, read_settings(data_dir=tmp_path)
    run_state_machine_as_test(
        Evenings,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
