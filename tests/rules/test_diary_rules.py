"""The eighteen rules of the diary, D-01 to D-18, one test each.

docs/patients.md says what each rule is, and where ours is stricter or looser than its source.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    VAULT,
    answer,
    evening,
    fill_day,
    make_actor,
    make_completed,
    make_fit,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.domain.calendar import DiaryWindow, build_calendar
from trials.domain.clocks import Writing
from trials.domain.design import Design
from trials.domain.diary import Questionnaire, Source
from trials.domain.diary_form import check_answers
from trials.domain.errors import DiaryClosedError, NotAllowedError, StateError
from trials.domain.impression import OPEN_FOR
from trials.domain.paper import Paper
from trials.services import clockwork, corrections, on_behalf
from trials.services.actor import Actor
from trials.services.allocation import UnblindingReason, unblind_period
from trials.services.analysis import assemble_data
from trials.services.diary import own_entries, record_entry
from trials.services.export import ExportKind, export
from trials.services.guesses import periods_to_ask, record_guess
from trials.store.audit import AuditRow
from trials.store.correction import corrections_of_trial
from trials.store.diary import days_of_trial, find_day, revisions_of_day
from trials.store.outbox import MessageRow
from trials.store.trial import TrialRow

ADDRESS = "https://trials.example.org"
USUAL = {"pain": "4", "any_side_effects": "no", "intake": "all"}


@pytest.fixture
def clinician(session: Session) -> Actor:
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician: Actor, now: datetime) -> TrialRow:
    return make_running(session, clinician, now)


@pytest.fixture
def phone(session: Session, visitor: Visitor, trial: TrialRow, now: datetime) -> FlaskClient:
    """The patient's phone."""
    session.commit()
    with time_machine.travel(now, tick=False):
        visitor.hold_device(session, trial.patient)
    return visitor


def reported(session: Session, trial: TrialRow, day: date) -> list[int]:
    """Return the pain of every report of a day, in the order of arrival."""
    row = find_day(session, trial.id, day)
    assert row is not None
    return [entry.pain for entry in revisions_of_day(session, row.id)]


def test_d_01_a_diary_day_is_a_local_date_and_its_instants_are_utc(session: Session, clinician):
    """23:30 in Los Angeles belongs to that date, though UTC has the next one already."""
    zone = ZoneInfo("America/Los_Angeles")
    start = datetime(2026, 3, 1, 20, tzinfo=UTC)
    trial = make_running(session, clinician, start)
    trial.timezone = "America/Los_Angeles"
    for row, day in zip(
        days_of_trial(session, trial.id),
        build_calendar(PROTOCOL.design, date(2026, 3, 1), zone, DiaryWindow()),
        strict=True,
    ):
        row.opens_at, row.closes_at, row.late_until = day.opens_at, day.closes_at, day.late_until
    at = datetime(2026, 3, 1, 23, 30, tzinfo=zone)

    fill_day(session, trial, date(2026, 3, 1), at=at)

    entry = own_entries(session, trial)[date(2026, 3, 1)]
    assert (entry.minutes_late, entry.zone) == (0, "America/Los_Angeles")
    assert entry.received_at == datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
    change = build_calendar(
        Design(("A", "B"), blocks=2, period_days=7), date(2026, 3, 7), zone, DiaryWindow()
    )
    assert [d.day.day for d in change[:3]] == [7, 8, 9], "the day of 23 hours is one day"


@pytest.mark.parametrize(
    ("hour", "minute", "minutes_late"), [(16, 59, None), (17, 0, 0), (26, 59, 0), (27, 0, 1)]
)
def test_d_02_the_window_is_from_17_to_3_and_a_day_has_one_report(
    session: Session, trial, hour: int, minute: int, minutes_late: int | None
):
    day = trial_days(trial)[0]
    at = evening(day, 0) + timedelta(hours=hour, minutes=minute)

    if minutes_late is None:
        with pytest.raises(DiaryClosedError, match="not open yet"):
            fill_day(session, trial, day, at=at)
        return
    assert fill_day(session, trial, day, at=at).minutes_late == minutes_late
    assert len(own_entries(session, trial)) == 1


def test_d_03_a_late_report_is_taken_for_a_day_and_marked_then_the_day_is_missing(
    session: Session, trial
):
    first, second = trial_days(trial)[:2]

    late = fill_day(session, trial, first, at=evening(second, 23))

    assert late.minutes_late == 20 * 60
    with pytest.raises(DiaryClosedError, match="counts as missing"):
        fill_day(session, trial, second, at=evening(second + timedelta(days=2), 0))
    assert list(own_entries(session, trial)) == [first]


def test_d_04_a_day_to_come_cannot_be_reported(session: Session, trial):
    tomorrow = trial_days(trial)[0] + timedelta(days=1)

    with pytest.raises(DiaryClosedError, match="not open yet"):
        fill_day(session, trial, tomorrow, at=evening(trial_days(trial)[0]))


def test_d_05_after_the_window_a_correction_needs_a_reason_and_keeps_old_and_new(
    session: Session, trial
):
    day = trial_days(trial)[0]
    later = evening(day + timedelta(days=2), 9)
    fill_day(session, trial, day, 6)
    with pytest.raises(DiaryClosedError, match="can no longer be changed"):
        fill_day(session, trial, day, 2, at=evening(day + timedelta(days=1), 9))

    corrections.correct_day(
        session,
        patient_actor(trial.patient),
        trial,
        day,
        answer(2),
        reason="I tapped the wrong number.",
        key="c1",
        now=later,
    )

    ((_day, kept),) = corrections_of_trial(session, trial.id)
    assert kept.before is not None
    assert (kept.before["pain"], kept.after["pain"]) == (6, 2)
    assert (kept.author, kept.reason) == (trial.patient.public_id, "I tapped the wrong number.")
    assert own_entries(session, trial)[day].pain == 2
    assert reported(session, trial, day) == [6, 2], "the first report stays on record"
    written = session.scalars(select(AuditRow).where(AuditRow.action == "correct_entry")).one()
    assert written.before is not None
    assert written.after is not None
    assert written.before["answers"] != written.after["answers"]
    assert (written.at, written.why) == (later, "I tapped the wrong number.")


def test_d_06_staff_change_no_report_without_the_patients_yes(session: Session, clinician, trial):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 6)
    asked_at = evening(day, 22)
    for source in (Source.PHONE, Source.PATIENT):
        with pytest.raises(NotAllowedError, match="Only the patient"):
            record_entry(
                session,
                trial,
                day,
                answer(1),
                source=source,
                author=clinician,
                key=uuid4().hex,
                now=asked_at,
            )

    asked = corrections.propose_correction(
        session, clinician, trial, day, answer(1), reason="Said so.", key="c1", now=asked_at
    )
    before = own_entries(session, trial)[day].pain
    corrections.settle_correction(
        session, patient_actor(trial.patient), trial, asked.public_id, agrees=True, now=asked_at
    )

    assert before == 6, "nothing changes before the patient said yes"
    entry = own_entries(session, trial)[day]
    assert (entry.pain, entry.source, entry.corrects) == (1, "phone", True)


@pytest.mark.parametrize("pain", ["", "10.5", "-1", "11", "four"])
def test_d_07_pain_is_a_whole_number_that_somebody_chose(pain: str):
    answers, errors = check_answers(Questionnaire(), USUAL | {"pain": pain})

    assert answers is None
    assert errors == {"pain": "Please choose a number from 0 to 10."}


def test_d_08_pain_comes_first_then_side_effects_then_treatment_and_rescue(
    session: Session, trial, phone, at_evening
):
    with at_evening(trial_days(trial)[0]):
        page = phone.get(f"/diary/{trial_days(trial)[0]}").text

    names = re.findall(r'name="([a-z_]+)[^"]*"', page.partition("data-diary")[2])
    order = [n for n in names if n in {"pain", "any_side_effects", "bother", "intake", "note"}]
    assert list(dict.fromkeys(order)) == ["pain", "any_side_effects", "bother", "intake", "note"]
    assert " checked" not in page, "nothing is chosen beforehand, and no slider stands anywhere"
    assert 'type="range"' not in page


def test_d_09_one_number_is_asked_for_so_none_can_contradict_another(
    session: Session, trial, phone, at_evening
):
    """Worst and least pain are not asked: the rule on their order has nothing to check."""
    with at_evening(trial_days(trial)[0]):
        page = phone.get(f"/diary/{trial_days(trial)[0]}").text

    asked = set(re.findall(r'name="([a-z_]*pain[a-z_]*)"', page))
    assert asked == {"pain"}


def test_d_10_two_reminders_none_once_answered_and_rest_after_three_missed_days(
    session: Session, trial
):
    days = trial_days(trial)

    def reminders() -> list[str]:
        query = select(MessageRow.occasion).order_by(MessageRow.id)
        return [text.partition(":")[0] for text in session.scalars(query)]

    clockwork.open_due_days(session, evening(days[0], 17), address=ADDRESS)
    clockwork.remind_again(session, evening(days[0], 21), address=ADDRESS)
    assert reminders() == ["diary-open", "diary-again"]
    fill_day(session, trial, days[0])
    clockwork.remind_again(session, evening(days[0], 23), address=ADDRESS)
    assert len(reminders()) == 2, "none after the day is answered"
    for day in days[1:4]:
        clockwork.open_due_days(session, evening(day, 18), address=ADDRESS)
    clockwork.miss_due_days(session, evening(days[5], 1), address=ADDRESS)
    before = reminders()
    for day in days[5:8]:
        clockwork.open_due_days(session, evening(day, 18), address=ADDRESS)

    assert before.count("silence") == 1, "the clinician is told once"
    assert reminders() == before, "the reminders rest"


def test_d_11_the_page_never_shows_an_earlier_answer(session: Session, trial, phone, at_evening):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 7)
    session.commit()

    with at_evening(day, 22):
        page = phone.get(f"/diary/{day}").text

    assert "You reported this day already" in page
    assert " checked" not in page


def test_d_12_washout_days_are_collected_and_left_out_by_their_mark(session: Session, trial):
    days = trial_days(trial)
    for day in days[:7]:
        fill_day(session, trial, day)

    phases = [row.phase for row in days_of_trial(session, trial.id)[:7]]
    assert phases == ["washout"] * 2 + ["evaluation"] * 5
    data = assemble_data(session, VAULT, trial)
    assert list(data.in_analysis[:7]) == [False] * 2 + [True] * 5
    assert len(own_entries(session, trial)) == 7, "nothing is deleted"


def test_d_13_what_is_written_is_short_and_in_no_export(session: Session, clinician, now):
    long, errors = check_answers(Questionnaire(), USUAL | {"note": "x" * 501})
    assert (long, set(errors)) == (None, {"note"})
    trial = make_completed(session, clinician, now)
    analyst = make_actor(session, trial.site, Role.ANALYST)
    last = trial_days(trial)[-1]
    told = replace(
        answer(4), note="My neighbour Anna", intake_words="Anna forgot", intake_reason=None
    )
    corrections.correct_day(
        session,
        patient_actor(trial.patient),
        trial,
        last,
        told,
        reason="A slip by Anna",
        key="c1",
        now=evening(last + timedelta(days=2)),
    )
    at = evening(last + timedelta(days=3))
    fit = make_fit(session, analyst, trial, at, draws=200)

    files = [
        export(session, VAULT, analyst, trial, fit=fit.public_id, kind=kind, now=at).content
        for kind in (ExportKind.DIARY, ExportKind.RESULT)
    ]

    assert not any("Anna" in file for file in files)


def test_d_14_whom_to_call_is_said_on_the_phone_itself(trial, phone, at_evening):
    """Advice needs neither a server nor a network: it is part of what the phone keeps."""
    with at_evening(trial_days(trial)[0]):
        for address in ("/offline/today", "/offline/away", "/clinic"):
            assert "thoughts of harming yourself: call now" in phone.get(address).text


def test_d_15_the_questions_at_the_end_of_a_period_are_open_for_48_hours(
    session: Session, clinician, trial
):
    last = trial_days(trial)[6]
    opens = evening(last, 17)
    pharmacist = make_actor(session, trial.site, Role.PHARMACIST)

    def asked(at: datetime) -> list[int]:
        return [period.number for period in periods_to_ask(session, trial, at)]

    minute = timedelta(minutes=1)
    assert timedelta(hours=48) == OPEN_FOR
    assert asked(opens - minute) == []
    assert asked(opens) == asked(opens + OPEN_FOR - minute) == [1]
    assert asked(opens + OPEN_FOR) == []
    unblind_period(
        session,
        VAULT,
        pharmacist,
        trial,
        period=1,
        reason=UnblindingReason.OVERDOSE,
        explanation="Found with empty boxes.",
        now=opens + minute,
    )
    opened = session.scalars(select(AuditRow).where(AuditRow.action == "unblind_period")).one()
    assert opened.after is not None
    assert opened.after["guess_kept"] is False
    with pytest.raises(StateError, match="code of this box was opened"):
        record_guess(
            session, trial, period=1, treatment="", certainty=0, why="", now=opens + 2 * minute
        )


def test_d_16_a_report_by_somebody_else_says_so(session: Session, trial):
    day = trial_days(trial)[0]
    answers, _errors = check_answers(PROTOCOL.questionnaire, USUAL | {"by_proxy": "yes"})
    assert answers is not None

    record_entry(
        session,
        trial,
        day,
        answers,
        source=Source.PATIENT,
        author=patient_actor(trial.patient),
        key="k1",
        now=evening(day),
    )

    assert own_entries(session, trial)[day].by_proxy


def test_d_17_a_report_from_paper_keeps_its_date_its_scan_and_who_typed_it_in(
    session: Session, clinician, trial
):
    days = trial_days(trial)
    at = evening(days[5], 9)

    def type_in(day: date, written_on: date) -> int:
        paper = Paper(written_on, "scan 2026/17")
        return on_behalf.record_from_paper(
            session, clinician, trial, day, answer(5), paper, key=uuid4().hex, now=at
        ).minutes_late

    assert type_in(days[0], days[0]) == 0
    assert type_in(days[1], days[2]) > 0, "written the day after: late"
    with pytest.raises(DiaryClosedError, match="from memory"):
        type_in(days[2], days[4])
    entry = own_entries(session, trial)[days[0]]
    assert (entry.source, entry.author) == ("paper", clinician.public_id)
    assert (entry.paper_day, entry.scan) == (days[0], "scan 2026/17")
    assert entry.received_at == at


def test_d_18_missing_is_missing_from_the_form_to_the_export(session: Session, clinician, now):
    trial = make_completed(session, clinician, now, missed=(5,))
    analyst = make_actor(session, trial.site, Role.ANALYST)
    at = evening(trial_days(trial)[-1] + timedelta(days=2))
    fit = make_fit(session, analyst, trial, at, draws=200)

    entry = own_entries(session, trial)[trial_days(trial)[0]]
    file = export(
        session, VAULT, analyst, trial, fit=fit.public_id, kind=ExportKind.DIARY, now=at
    ).content

    assert (entry.sleep, entry.rescue_doses) == (None, None)
    rows = list(csv.DictReader(io.StringIO(file)))
    assert (rows[4]["pain"], rows[4]["bother"], rows[0]["sleep"]) == ("", "", "")


def test_all_eighteen_rules_have_their_test():
    tested = {name[5:9] for name in globals() if re.match(r"test_d_\d\d_", name)}

    assert tested == {f"d_{number:02}" for number in range(1, 19)}


def test_a_correction_waits_for_nobody_else(session: Session, clinician, trial):
    """Two corrections of one day at once would have an order nobody chose."""
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 6)
    ask: Callable[..., object] = corrections.propose_correction
    ask(session, clinician, trial, day, answer(1), reason="a", key="c1", now=evening(day, 22))

    with pytest.raises(StateError, match="waits for the patient"):
        ask(session, clinician, trial, day, answer(2), reason="b", key="c2", now=evening(day, 22))


def test_a_phone_that_waited_does_not_beat_a_correction(session: Session, trial):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 6)
    later = evening(day + timedelta(days=2), 9)
    patient = patient_actor(trial.patient)
    corrections.correct_day(
        session, patient, trial, day, answer(2), reason="A slip.", key="c1", now=later
    )

    record_entry(
        session,
        trial,
        day,
        answer(9),
        source=Source.PATIENT,
        author=patient,
        key="waited",
        now=later + timedelta(hours=1),
        written=Writing(evening(day, 23), 0),
    )

    assert own_entries(session, trial)[day].pain == 2
    assert reported(session, trial, day) == [6, 2, 9]
