"""An acknowledged entry is kept once, in its window, and never overwritten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import evening, fill_day, make_actor, make_running, make_site, trial_days
from trials.domain.blinding import Role
from trials.domain.canonical import canonical_hash
from trials.domain.errors import DiaryClosedError
from trials.domain.life_cycle import State
from trials.services import diary
from trials.services.diary import own_entries
from trials.services.diary_days import adherence, open_day, today
from trials.services.running import pause_trial
from trials.store.audit import AuditRow
from trials.store.diary import DiaryEntryRow, find_day, revisions_of_day
from trials.store.trial import TrialRow


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician, now):
    return make_running(session, clinician, now)


def test_an_entry_is_kept_and_recorded(session: Session, trial):
    day = trial_days(trial)[0]

    receipt = fill_day(session, trial, day, pain=6)

    assert (receipt.revision, receipt.minutes_late, receipt.repeated) == (1, 0, False)
    assert own_entries(session, trial)[day].pain == 6
    assert session.scalars(select(AuditRow).where(AuditRow.action == "record_entry")).one()


def test_the_same_submission_again_changes_nothing(session: Session, trial):
    day = trial_days(trial)[0]
    first = fill_day(session, trial, day, pain=6, key="k1")

    again = fill_day(session, trial, day, pain=9, key="k1")

    assert (again.revision, again.repeated) == (first.revision, True)
    assert [e.pain for e in revisions_of_day(session, find_day(session, trial.id, day).id)] == [6]


def test_a_key_belongs_to_one_day(session: Session, trial):
    days = trial_days(trial)
    fill_day(session, trial, days[0], key="k1")

    with pytest.raises(DiaryClosedError, match="another day"):
        fill_day(session, trial, days[1], key="k1")


def test_a_correction_is_a_new_revision(session: Session, trial):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, pain=6)

    corrected = fill_day(session, trial, day, pain=3)

    assert corrected.revision == 2
    assert own_entries(session, trial)[day].pain == 3
    assert [e.pain for e in revisions_of_day(session, find_day(session, trial.id, day).id)] == [
        6,
        3,
    ]


def test_a_late_entry_is_taken_and_marked(session: Session, trial):
    day = trial_days(trial)[0]
    at = evening(day + timedelta(days=1), 9)

    receipt = fill_day(session, trial, day, at=at)

    assert receipt.minutes_late == 6 * 60


@pytest.mark.parametrize(
    ("days_after", "hour", "sentence"),
    [(0, 16, "not open yet"), (-1, 23, "not open yet"), (2, 0, "counts as missing")],
)
def test_outside_the_window_the_patient_is_told_why(
    session: Session, trial, days_after, hour, sentence
):
    day = trial_days(trial)[0]

    with pytest.raises(DiaryClosedError, match=sentence):
        fill_day(session, trial, day, at=evening(day + timedelta(days=days_after), hour))
    assert own_entries(session, trial) == {}


def test_a_reported_day_cannot_be_changed_after_its_window(session: Session, trial):
    day = trial_days(trial)[0]
    fill_day(session, trial, day)

    with pytest.raises(DiaryClosedError, match="tell your clinic"):
        fill_day(session, trial, day, at=evening(day + timedelta(days=1), 9))


@pytest.mark.parametrize("day", [date(2026, 2, 28), date(2026, 3, 29), date(1999, 1, 1)])
def test_a_day_outside_the_trial_is_refused(session: Session, trial, day):
    with pytest.raises(DiaryClosedError, match="does not belong"):
        fill_day(session, trial, day)


def test_many_at_once_count_revisions_without_a_gap(sessions: sessionmaker[Session], now):
    """Two phones, a double click and a retry at the same instant."""
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        trial_id = make_running(session, clinician, now).id

    def submit(number: int) -> int:
        with sessions.begin() as session:
            trial = session.get_one(TrialRow, trial_id)
            return fill_day(session, trial, trial.start_day, key=f"k{number // 2}").revision

    with ThreadPoolExecutor(8) as pool:
        revisions = list(pool.map(submit, range(16)))

    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(DiaryEntryRow)) == 8
    assert sorted(set(revisions)) == list(range(1, 9))
    assert all(revisions[n] == revisions[n + 1] for n in range(0, 16, 2))


def test_the_database_itself_refuses_an_overwritten_entry(sessions: sessionmaker[Session], now):
    with sessions.begin() as session:
        trial = make_running(session, make_actor(session, make_site(session), Role.CLINICIAN), now)
        fill_day(session, trial, trial.start_day)
    for attack in ("UPDATE diary_entry SET pain = 0", "DELETE FROM diary_entry"):
        with pytest.raises(Exception, match="only ever added"), sessions.begin() as session:
            session.execute(text(attack))


def test_today_before_the_diary_opens(session: Session, trial):
    seen = today(session, trial, evening(trial.start_day, 9))

    assert seen.open_days == ()
    assert seen.next_day == trial.start_day
    assert seen.next_opens_at == evening(trial.start_day, 17)
    assert len(seen.kit) == 6
    assert (seen.day_number, seen.total_days, seen.period) == (1, 28, 1)


def test_today_in_the_evening_offers_yesterday_too(session: Session, trial):
    second = trial.start_day + timedelta(days=1)

    seen = today(session, trial, evening(second))

    assert [(d.day, d.late, d.answered) for d in seen.open_days] == [
        (trial.start_day, True, False),
        (second, False, False),
    ]


def test_an_answered_day_can_be_corrected_until_it_closes(session: Session, trial):
    fill_day(session, trial, trial.start_day)

    (only,) = today(session, trial, evening(trial.start_day, 22)).open_days
    assert only.answered
    assert today(session, trial, evening(trial.start_day + timedelta(days=1), 9)).open_days == ()


def test_a_paused_trial_expects_nothing(session: Session, clinician, trial):
    pause_trial(
        session,
        clinician,
        trial,
        revision=trial.revision,
        reason="Flu",
        now=evening(trial.start_day, 9),
    )

    seen = today(session, trial, evening(trial.start_day))

    assert seen.open_days == ()
    assert seen.kit == ""


def test_adherence_counts_what_was_due(session: Session, trial):
    days = trial_days(trial)
    fill_day(session, trial, days[0])
    fill_day(session, trial, days[1], at=evening(days[2], 9))

    counted = adherence(session, trial, evening(days[4], 12))

    assert (counted.due, counted.answered, counted.late, counted.missed) == (4, 2, 1, 1)
    assert counted.share == 2 / 3


@pytest.mark.parametrize(
    ("hours", "late", "limit"),
    [(20, False, "closes_at"), (26, False, "closes_at"), (27, True, "until"), (47, True, "until")],
)
def test_an_open_day_tells_the_hour_that_matters(
    session: Session, trial, hours: int, late: bool, limit: str
):
    day = trial_days(trial)[0]

    found = open_day(session, trial, day, evening(day, 0) + timedelta(hours=hours))

    assert (found.late, found.answered) == (late, False)
    assert found.next_limit == getattr(found, limit)


@pytest.mark.parametrize("hours", [16, 48])
def test_a_day_out_of_its_window_is_not_open(session: Session, trial, hours: int):
    day = trial_days(trial)[0]

    with pytest.raises(DiaryClosedError):
        open_day(session, trial, day, evening(day, 0) + timedelta(hours=hours))


def test_the_closing_second_is_late(session: Session, trial):
    day = trial_days(trial)[0]

    receipt = fill_day(session, trial, day, at=evening(day + timedelta(days=1), 3))

    assert receipt.minutes_late == 1


def test_once_the_answers_are_worked_out_the_diary_is_closed(session: Session, trial):
    """Whoever knows the result could else change the day the result was made from."""
    day = trial.start_day
    fill_day(session, trial, day, key="k1")
    trial.state = State.RELEASED.value
    session.flush()

    with pytest.raises(DiaryClosedError, match="worked out"):
        fill_day(session, trial, day, pain=0)
    assert fill_day(session, trial, day, key="k1").repeated, "what was kept is still confirmed"


def test_the_trail_proves_an_entry_and_lets_nobody_guess_it(session: Session, trial):
    """Two days with the same answers have different digests: a list of all answers is no help."""
    first, second = trial_days(trial)[:2]
    fill_day(session, trial, first)
    fill_day(session, trial, second)

    records = session.scalars(select(AuditRow).where(AuditRow.action == "record_entry")).all()
    digests = {str((record.after or {})["answers"]) for record in records}
    assert len(digests) == 2


def test_an_entry_from_before_the_salt_keeps_the_digest_it_had(session: Session, trial):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 6)
    entry = own_entries(session, trial)[day]
    session.expunge(entry)
    entry.salt = ""
    old = {
        "pain": 6,
        "bother": 0,
        "side_effects": {"nausea": 0},
        "sleep": None,
        "interference": None,
        "rescue_doses": None,
        "intake": "all",
        "note": "",
    }

    assert diary._proof(entry) == canonical_hash(old)
