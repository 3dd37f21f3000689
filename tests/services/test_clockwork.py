"""What comes due happens once, at the patient's own hour, after any downtime."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import Engine, event, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import (
    PROTOCOL,
    VAULT,
    fill_day,
    make_actor,
    make_patient,
    make_running,
    make_site,
    study_at_once,
    trial_days,
)
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.life_cycle import State
from trials.domain.protocol import Protocol
from trials.services import clockwork
from trials.services.messages import claim_messages
from trials.services.running import (
    pause_trial,
    resume_trial,
    start_trial,
    stop_trial,
)
from trials.services.trials import (
    create_trial,
    freeze_protocol,
    record_consent,
)
from trials.store.alert import AlertRow
from trials.store.audit import AuditRow, chain
from trials.store.diary import DiaryDayRow, days_of_trial
from trials.store.fit import FitRow
from trials.store.outbox import MessageRow
from trials.store.reach import PushRow, ReachRow
from trials.store.trial import TrialRow, periods_of_trial

ADDRESS = "https://trials.example.org"
MORNING = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
FIRST = date(2026, 3, 1)


def evening(day: date, hour: int = 20) -> datetime:
    """Return the UTC instant at which clocks in Berlin show this hour."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone_of("Europe/Berlin")).astimezone(
        UTC
    )


def running(
    session: Session,
    now: datetime = MORNING,
    *,
    timezone: str = "Europe/Berlin",
    email: str | None = None,
    protocol: Protocol = PROTOCOL,
) -> TrialRow:
    """Return a trial of a new site that starts today in the patient's zone."""
    clinician = make_actor(session, make_site(session), Role.CLINICIAN)
    patient = make_patient(session, clinician, now, timezone=timezone)
    if email is not None:
        patient.email = email
    trial = create_trial(session, clinician, patient, title="Pain", protocol=protocol, now=now)
    study_at_once(session, protocol, now)
    today = local_day(now, zone_of(timezone))
    freeze_protocol(session, VAULT, clinician, trial, revision=trial.revision, now=now)
    record_consent(session, clinician, trial, given_on=today, now=now)
    start_trial(session, VAULT, clinician, trial, revision=trial.revision, start_day=today, now=now)
    return trial


def tick(session: Session, now: datetime) -> None:
    """Let the clock do everything once, as the scheduler does."""
    clockwork.miss_due_days(session, now, address=ADDRESS)
    clockwork.open_due_days(session, now, address=ADDRESS)
    clockwork.remind_again(session, now, address=ADDRESS)
    clockwork.move_periods(session, now)
    clockwork.look_at_new_trials(session, now)
    for trial_id in clockwork.trials_to_complete(session, now):
        clockwork.complete_due_trial(session, VAULT, trial_id, now, address=ADDRESS)
    for trial_id in clockwork.trials_to_fit(session, now):
        clockwork.request_due_fit(session, VAULT, trial_id, now)
    session.expire_all()


def occasions(session: Session) -> Counter[str]:
    """Return how many messages of each kind were written."""
    kinds = session.scalars(select(MessageRow.occasion))
    return Counter(occasion.split(":")[0] for occasion in kinds)


def states(session: Session, trial: TrialRow) -> list[str]:
    """Return the state of every diary day."""
    return [day.state for day in days_of_trial(session, trial.id)]


def period_states(session: Session, trial: TrialRow) -> list[str]:
    """Return the state of every period."""
    return [period.state for period in periods_of_trial(session, trial.id)]


def test_a_day_opens_at_five_by_the_patients_clock_with_one_reminder(session: Session):
    trial = running(session)

    tick(session, evening(FIRST, 17) - timedelta(seconds=1))
    before = states(session, trial)[0], occasions(session)
    tick(session, evening(FIRST, 17))
    tick(session, evening(FIRST, 17))

    assert before == ("planned", Counter())
    assert states(session, trial)[:2] == ["open", "planned"]
    assert occasions(session) == {"diary-open": 1}


def test_a_reminder_says_when_it_becomes_pointless(session: Session):
    trial = running(session)

    tick(session, evening(FIRST, 17))

    message = session.scalars(select(MessageRow)).one()
    day = days_of_trial(session, trial.id)[0]
    assert message.void_after == evening(FIRST, 22)  # the quiet hours begin
    assert message.diary_day_id == day.id
    assert not message.repeatable
    assert message.recipient == trial.patient.email


def test_a_patient_without_an_address_gets_no_message_but_a_diary(session: Session):
    trial = running(session, email="")

    tick(session, evening(FIRST, 18))

    assert states(session, trial)[0] == "open"
    assert occasions(session) == {}


def test_the_second_reminder_comes_two_hours_before_the_diary_closes(session: Session):
    trial = running(session)
    session.add(ReachRow(patient_id=trial.patient_id, quiet_from=time(3), quiet_to=time(9)))
    tick(session, evening(FIRST, 17))

    tick(session, evening(date(2026, 3, 2), 1) - timedelta(seconds=1))
    before = occasions(session)
    for _again in range(3):
        tick(session, evening(date(2026, 3, 2), 1))

    assert before == {"diary-open": 1}
    assert occasions(session) == {"diary-open": 1, "diary-again": 1}


def test_by_default_nobody_is_woken_the_second_reminder_comes_before_the_night(session: Session):
    running(session)
    tick(session, evening(FIRST, 17))

    tick(session, evening(FIRST, 21))
    tick(session, evening(date(2026, 3, 2), 1))

    again = session.scalars(select(MessageRow).where(MessageRow.occasion.like("diary-again%")))
    assert [m.due_at for m in again] == [evening(FIRST, 21)]


def test_the_first_reminder_comes_at_the_hour_the_patient_likes(session: Session):
    trial = running(session)
    session.add(ReachRow(patient_id=trial.patient_id, remind_at=time(20, 30)))

    tick(session, evening(FIRST, 17))

    message = session.scalars(select(MessageRow)).one()
    assert message.due_at == evening(FIRST, 20) + timedelta(minutes=30)
    day = days_of_trial(session, trial.id)[0]
    assert day.remind_at is None  # 21:00 would follow within the hour


def test_every_way_to_a_patient_gets_one_reminder(session: Session):
    trial = running(session)
    session.add(ReachRow(patient_id=trial.patient_id, phone="+49301234567"))
    for place in ("a", "b"):
        session.add(
            PushRow(
                patient_id=trial.patient_id,
                endpoint=f"https://push.example.org/{place}",
                p256dh="key",
                auth="secret",
                created_at=MORNING,
            )
        )
    session.flush()

    tick(session, evening(FIRST, 17))

    messages = session.scalars(select(MessageRow)).all()
    assert Counter(m.channel for m in messages) == {"email": 1, "sms": 1, "push": 2}
    texts = {m.body for m in messages if m.channel != "email"}
    assert len(texts) == 1
    assert all("3:00" in text for text in texts)


def test_a_way_that_failed_for_good_is_not_tried_again(session: Session):
    trial = running(session)
    session.add(ReachRow(patient_id=trial.patient_id, email_failed_at=MORNING))

    tick(session, evening(FIRST, 17))

    assert occasions(session) == {}


def test_who_has_answered_is_not_reminded_again(session: Session):
    trial = running(session)
    tick(session, evening(FIRST, 17))
    fill_day(session, trial, FIRST)

    tick(session, evening(date(2026, 3, 2), 1))

    assert occasions(session) == {"diary-open": 1}


def test_who_answered_before_the_clock_looked_is_not_reminded_at_all(session: Session):
    trial = running(session)
    fill_day(session, trial, FIRST, at=evening(FIRST, 17))

    tick(session, evening(FIRST, 18))

    assert states(session, trial)[0] == "answered"
    assert occasions(session) == {}


def test_an_unanswered_day_is_missing_from_the_end_of_the_next_day_on(session: Session):
    trial = running(session)
    tick(session, evening(FIRST, 17))
    midnight = evening(date(2026, 3, 3), 0)

    tick(session, midnight - timedelta(seconds=1))
    before = states(session, trial)[0]
    tick(session, midnight)

    assert before == "open"
    assert states(session, trial)[:3] == ["missed", "open", "planned"]


def test_after_three_missed_days_reminders_rest_and_the_clinician_is_told_once(session: Session):
    trial = running(session)

    for day in trial_days(trial)[:9]:
        tick(session, evening(day, 0))
        tick(session, evening(day, 17))

    told = session.scalars(
        select(MessageRow).where(MessageRow.occasion.startswith("silence:"))
    ).all()
    reminded = [
        m.occasion for m in session.scalars(select(MessageRow)) if m.occasion[:5] == "diary"
    ]
    assert [m.recipient for m in told] == [trial.clinician.email]
    assert len([o for o in reminded if o.startswith("diary-open")]) == 4
    assert states(session, trial)[:9] == ["missed"] * 7 + ["open"] * 2


def test_an_answer_brings_the_reminders_back_and_a_new_silence_is_told_again(session: Session):
    trial = running(session)
    days = trial_days(trial)
    for day in days[:6]:
        tick(session, evening(day, 0))
        tick(session, evening(day, 17))
    fill_day(session, trial, days[5])
    before = occasions(session)

    for day in days[6:12]:
        tick(session, evening(day, 0))
        tick(session, evening(day, 17))

    after = occasions(session) - before
    assert before["silence"] == 1
    assert after["silence"] == 1
    assert after["diary-open"] == 4


def test_months_of_downtime_become_missing_days_without_a_flood(session: Session):
    trial = running(session)
    asleep_until = evening(trial_days(trial)[20], 18)

    tick(session, asleep_until)

    assert states(session, trial)[:22] == ["missed"] * 19 + ["open"] * 2 + ["planned"]
    assert occasions(session) == {"diary-open": 1}
    assert period_states(session, trial) == ["over", "over", "current", "planned"]


def test_after_a_downtime_nobody_is_told_of_a_silence_that_was_the_clocks(session: Session):
    """Two days missed by the patient, a week slept through: reminders begin anew, three of them."""
    trial = running(session)
    days = trial_days(trial)
    told = []
    for day in (*days[:2], *days[9:14]):
        if day != days[9]:
            tick(session, evening(day, 0))
        tick(session, evening(day, 17))
        told.append(occasions(session)["silence"])

    assert told == [0, 0, 0, 0, 0, 0, 1]
    assert occasions(session)["diary-rest"] == 1
    assert occasions(session)["diary-open"] == 2 + 4


def test_a_trial_that_was_slept_through_whole_is_completed_with_one_message(session: Session):
    trial = running(session)

    for _again in range(3):
        tick(session, evening(date(2026, 9, 1), 12))

    assert trial.current_state is State.COMPLETED
    assert set(states(session, trial)) == {"missed"}
    assert occasions(session) == {"completed": 1}


def test_a_day_that_opens_late_is_not_reminded_of_twice_at_once(session: Session):
    running(session)

    tick(session, evening(FIRST, 20) + timedelta(minutes=30))
    tick(session, evening(FIRST, 21))

    assert occasions(session) == {"diary-open": 1}


def test_a_day_that_opens_late_at_night_wakes_nobody(session: Session):
    trial = running(session)

    tick(session, evening(date(2026, 3, 2), 2))

    assert states(session, trial)[0] == "open"
    assert occasions(session) == {}


def test_a_day_that_opens_too_late_to_be_on_time_is_not_reminded_of(session: Session):
    trial = running(session)

    tick(session, evening(date(2026, 3, 2), 10))

    assert states(session, trial)[0] == "open"
    assert occasions(session) == {}


def test_periods_turn_at_the_patients_midnight_with_a_record_each(session: Session):
    trial = running(session)
    eighth = date(2026, 3, 8)

    tick(session, MORNING)
    first = period_states(session, trial)
    tick(session, evening(eighth, 0) - timedelta(seconds=1))
    before = period_states(session, trial)
    for _again in range(2):
        tick(session, evening(eighth, 0))

    turns = session.scalars(
        select(AuditRow.action)
        .where(AuditRow.subject.startswith("period:"))
        .order_by(AuditRow.number)
    ).all()
    assert first == before == ["current", "planned", "planned", "planned"]
    assert period_states(session, trial) == ["over", "current", "planned", "planned"]
    assert turns == ["begin_period", "end_period", "begin_period"]


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"])
def test_everything_turns_by_the_patients_zone(session: Session, timezone: str):
    trial = running(session, datetime(2026, 3, 1, 12, 0, tzinfo=UTC), timezone=timezone)
    zone = zone_of(timezone)
    start = trial.start_day
    turn = datetime(start.year, start.month, start.day, tzinfo=zone) + timedelta(days=7)

    tick(session, turn - timedelta(seconds=1))
    before = period_states(session, trial)[:2]
    tick(session, turn)
    tick(session, turn + timedelta(hours=17))

    assert before == ["current", "planned"]
    assert period_states(session, trial)[:2] == ["over", "current"]
    assert states(session, trial)[6:9] == ["open", "open", "planned"]


def test_the_nights_on_which_clocks_change_have_one_day_each(session: Session):
    """Clocks in Berlin go forward on 29 March 2026; New York's went on the 8th."""
    trials = [running(session), running(session, timezone="America/New_York")]
    at, end = MORNING, evening(date(2026, 3, 31), 12)

    while at < end:
        tick(session, at)
        at += timedelta(minutes=30)

    for trial in trials:
        days = days_of_trial(session, trial.id)[:30]
        opened = [d.opens_at.astimezone(zone_of(trial.timezone)) for d in days]
        assert {(o.hour, o.minute) for o in opened} == {(17, 0)}
        assert [o.date() for o in opened] == [d.day for d in days]


def test_a_clock_that_jumps_back_and_forth_changes_nothing_twice(session: Session):
    trial = running(session)
    tick(session, evening(FIRST, 17))
    tick(session, evening(FIRST, 9))
    tick(session, evening(date(2026, 3, 9), 18))
    seen = states(session, trial), occasions(session), period_states(session, trial)

    tick(session, evening(FIRST, 17))
    tick(session, evening(date(2026, 3, 9), 18))

    assert (states(session, trial), occasions(session), period_states(session, trial)) == seen


def test_a_paused_trial_stands_still_and_goes_on_where_it_stopped(session: Session):
    trial = running(session)
    clinician = make_actor(session, trial.site, Role.CLINICIAN)
    days = trial_days(trial)
    tick(session, evening(days[2], 17))
    pause_trial(
        session, clinician, trial, revision=trial.revision, reason="flu", now=evening(days[2], 18)
    )
    tick(session, evening(days[9], 18))
    during = occasions(session), period_states(session, trial)

    resume_trial(session, clinician, trial, revision=trial.revision, now=evening(days[10], 9))
    tick(session, evening(days[10], 18))

    assert during[1] == ["current", "planned", "planned", "planned"]
    assert during[0]["diary-open"] == 1
    assert period_states(session, trial)[:2] == ["current", "planned"]
    assert states(session, trial)[:12] == ["missed"] * 2 + ["paused"] * 8 + ["open", "planned"]
    assert occasions(session)["diary-open"] == 2


def test_a_trial_is_complete_when_its_last_day_is_answered_and_closed(session: Session):
    trial = running(session)
    days = trial_days(trial)
    for day in days:
        tick(session, evening(day, 17))
        fill_day(session, trial, day)
    closing = evening(days[-1] + timedelta(days=1), 3)

    tick(session, closing - timedelta(seconds=1))
    before = trial.current_state
    for _again in range(2):
        tick(session, closing)

    final = session.scalars(select(FitRow).where(FitRow.purpose == "final")).all()
    assert before is State.RUNNING
    assert trial.current_state is State.COMPLETED
    assert trial.ended_at == closing
    assert period_states(session, trial) == ["over"] * 4
    assert [fit.trial_id for fit in final] == [trial.id]
    assert first_broken(chain(session)) is None


def test_a_last_day_that_is_missing_is_waited_for_until_it_is_too_late(session: Session):
    trial = running(session)
    days = trial_days(trial)
    for day in days[:-1]:
        fill_day(session, trial, day)
    over = evening(days[-1] + timedelta(days=2), 0)

    tick(session, over - timedelta(seconds=1))
    before = trial.current_state
    tick(session, over)

    assert before is State.RUNNING
    assert trial.current_state is State.COMPLETED


def test_a_last_day_answered_late_completes_the_trial_within_minutes(session: Session):
    trial = running(session)
    days = trial_days(trial)
    for day in days[:-1]:
        fill_day(session, trial, day)
    after = days[-1] + timedelta(days=1)
    tick(session, evening(after, 8))
    fill_day(session, trial, days[-1], at=evening(after, 9))

    tick(session, evening(after, 9) + timedelta(minutes=11))

    assert trial.current_state is State.COMPLETED


def test_a_running_trial_is_refitted_once_a_day_and_only_if_something_came_in(session: Session):
    trial = running(session)
    tick(session, MORNING)
    days = trial_days(trial)
    counts = []
    for day in days[:6]:
        if day != days[3]:
            fill_day(session, trial, day)
        for hour in (4, 5, 12):
            tick(session, evening(day + timedelta(days=1), hour))
            session.execute(update(FitRow).values(done_at=FitRow.requested_at))
        counts.append(session.scalar(select(func.count(FitRow.id))))

    assert counts == [1, 2, 3, 3, 4, 5]


def test_interim_fits_are_paced(session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clockwork, "MOST_WAITING_INTERIM_FITS", 2)
    trials = [running(session) for _number in range(4)]
    tick(session, MORNING)
    for trial in trials:
        fill_day(session, trial, FIRST)
    late = evening(date(2026, 3, 2), 4)

    for _again in range(4):
        tick(session, late)

    assert session.scalar(select(func.count(FitRow.id))) == 2


def test_a_stopped_trial_gets_its_final_fit_and_no_more_messages(session: Session):
    trial = running(session)
    days = trial_days(trial)
    tick(session, evening(days[0], 17))
    fill_day(session, trial, days[0])
    clinician = make_actor(session, trial.site, Role.CLINICIAN)
    stop_trial(
        session, clinician, trial, revision=trial.revision, reason="rash", now=evening(days[1], 9)
    )
    before = occasions(session)

    for day in days[1:5]:
        tick(session, evening(day, 18))

    fits = session.scalars(select(FitRow).where(FitRow.purpose == "final")).all()
    assert len(fits) == 1
    assert occasions(session) == before


def test_the_clocks_looks_are_no_change_that_disturbs_an_edit(session: Session):
    trial = running(session)
    revision = trial.revision

    tick(session, evening(FIRST, 17))

    session.refresh(trial)
    assert trial.revision == revision


def test_many_schedulers_at_once_do_each_thing_once(sessions: sessionmaker[Session]):
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        for _number in range(12):
            make_running(session, clinician, MORNING)
    moments = [evening(FIRST, 17), evening(FIRST, 21), evening(date(2026, 3, 8), 17)]
    workers = 3
    barrier = Barrier(workers)

    def work() -> None:
        for now in moments:
            barrier.wait()
            for step in (
                partial(clockwork.miss_due_days, address=ADDRESS),
                partial(clockwork.open_due_days, address=ADDRESS),
                partial(clockwork.remind_again, address=ADDRESS),
                clockwork.move_periods,
            ):
                count = 1
                while count:
                    with sessions.begin() as session:
                        count = step(session, now, most=5)
            barrier.wait()

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _worker in range(workers)]:
            done.result()

    with sessions() as session:
        subjects = session.scalars(
            select(AuditRow.subject).where(AuditRow.action == "begin_period")
        ).all()
        assert occasions(session) == {
            "diary-open": 24,
            "diary-again": 12,
        }
        assert len(subjects) == len(set(subjects)) == 24
        assert first_broken(chain(session)) is None


def test_the_cost_of_a_tick_does_not_grow_with_what_is_not_due(engine: Engine, session: Session):
    """As many statements with ten waiting trials as with one, when nothing is due."""

    def statements() -> int:
        seen = []

        def count(*arguments: object) -> None:
            seen.append(arguments[2])

        event.listen(engine, "before_cursor_execute", count)
        tick(session, evening(FIRST, 12))
        event.remove(engine, "before_cursor_execute", count)
        return len(seen)

    running(session)
    tick(session, evening(FIRST, 12))
    with_one = statements()
    for _number in range(9):
        running(session)
    tick(session, evening(FIRST, 12))

    assert statements() == with_one


def test_a_tick_uses_an_index_for_everything_it_looks_for(engine: Engine, session: Session):
    """No full scan of the big tables: what is not due is never touched.

    Thirty trials, each of them due: with a short list of rows SQLite begins with the list, with a
    long one with whatever index it believes to be better.
    """
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL scans small tables whatever indexes there are.")
    for _number in range(30):
        running(session)
    plans: list[str] = []

    def explain(
        _connection: object,
        cursor: object,
        statement: str,
        parameters: object,
        _context: object,
        is_many: bool,
    ) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "WITH")):
            other = cursor.connection.cursor()
            parameters = parameters[0] if is_many else parameters
            plans.extend(
                f"{row[3]} <- {statement}"
                for row in other.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            )

    event.listen(engine, "before_cursor_execute", explain)
    for days in range(6):
        tick(session, evening(FIRST + timedelta(days=days), 17))
        claim_messages(session, "sender", evening(FIRST + timedelta(days=days), 17))
    event.remove(engine, "before_cursor_execute", explain)
    assert session.scalar(select(func.count()).select_from(AlertRow)), "nobody fell silent"

    scans = [
        plan
        for plan in plans
        if plan.startswith(("SCAN diary_day", "SCAN trial", "SCAN message", "SCAN diary_entry"))
        and "USING INDEX" not in plan.split(" <- ")[0]
    ]
    assert scans == []
    ranges = [plan for plan in plans if "ix_trial_due_to" in plan.split(" <- ")[0]]
    assert len(ranges) >= 6
    claims = {plan.split(" <- ")[0] for plan in plans if "UPDATE message SET" in plan}
    assert any("ix_message_waiting (priority=? AND due_at<?)" in plan for plan in claims)
    assert not any("TEMP B-TREE" in plan for plan in claims), "sorts all that waits"
    unbounded = [plan for plan in plans if "(state=?)" in plan.split(" <- ")[0]]
    assert unbounded == [], "reads everything that is in a state"


def test_an_unreadable_zone_stops_nobody_else(session: Session):
    broken, sound = running(session), running(session)
    session.execute(
        update(TrialRow).where(TrialRow.id == broken.id).values(timezone="Mars/Olympus")
    )
    session.expire_all()

    clockwork.move_periods(session, MORNING)

    assert period_states(session, sound)[0] == "current"


def test_days_of_all_trials_open_in_bounded_batches(session: Session):
    for _number in range(3):
        running(session)
    now = evening(FIRST, 17)

    counts = [clockwork.open_due_days(session, now, address=ADDRESS, most=2) for _ in range(3)]

    assert counts == [2, 1, 0]
    still = select(func.count(DiaryDayRow.id)).where(DiaryDayRow.opens_at <= now)
    assert session.scalar(still.where(DiaryDayRow.state != "open")) == 0
