"""One alert for each red flag, told to one person after another until somebody acknowledges it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from tests.builders import (
    actor_for,
    evening,
    fill_day,
    make_account,
    make_actor,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from trials.domain.audit import first_broken
from trials.domain.blinding import Role
from trials.domain.errors import (
    EditConflictError,
    NotAllowedError,
    NotFoundError,
    ProtocolError,
)
from trials.domain.red_flags import Urgency
from trials.services import clockwork
from trials.services.alerts import (
    acknowledge,
    get_alert,
    open_alerts,
    raise_alert,
    recipients_at,
    settled_alerts,
    tell_of_alerts,
)
from trials.services.oversight import read_trail
from trials.services.screening import watch_words
from trials.store.account import AccountRow, role_named
from trials.store.alert import AlertRow, alerts_of_trial
from trials.store.audit import AuditRow, chain
from trials.store.outbox import MessageRow
from trials.store.safety_contact import SafetyContactRow
from trials.store.trial import TrialRow

ADDRESS = "https://trials.example.org"
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def site(session: Session):
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site):
    return make_actor(session, site, Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician):
    return make_running(session, clinician, MONDAY)


def sound(session: Session, trial: TrialRow, now=MONDAY, **more) -> AlertRow | None:
    values = {
        "rule": "RF-CARDIAC",
        "urgency": Urgency.IMMEDIATE,
        "source": "diary",
        "day": MONDAY.date(),
        **more,
    }
    return raise_alert(session, patient_actor(trial.patient), trial, now=now, **values)


def told(session: Session) -> Counter[str]:
    """Return how many messages each person was written."""
    query = select(MessageRow.recipient).where(MessageRow.occasion.startswith("alert:"))
    return Counter(session.scalars(query))


def email_of(session: Session, actor) -> str:
    return session.get_one(AccountRow, actor.id).email


# ---- raising ---------------------------------------------------------------------------------


def test_a_red_flag_is_raised_once_for_each_rule_and_day(session: Session, trial):
    first = sound(session, trial)

    assert first is not None
    assert sound(session, trial) is None
    assert sound(session, trial, source="button") is None
    assert sound(session, trial, rule="RF-FALL", urgency=Urgency.SAME_DAY) is not None
    assert sound(session, trial, day=MONDAY.date() + timedelta(days=1)) is not None
    assert session.scalar(select(func.count()).select_from(AlertRow)) == 3


def test_a_second_sign_of_the_same_day_is_added_to_the_open_alert(session: Session, trial):
    alert = sound(session, trial, signs=("chest_pain",))
    sound(session, trial, signs=("fainting", "chest_pain"))

    assert alert.signs == "chest_pain,fainting"


def test_an_open_alert_becomes_more_urgent_and_is_told_at_once(session: Session, trial):
    alert = sound(session, trial, rule="RF-SEROTONIN", urgency=Urgency.SAME_DAY)
    tell_of_alerts(session, MONDAY, address=ADDRESS)
    later = MONDAY + timedelta(minutes=1)

    again = sound(session, trial, later, rule="RF-SEROTONIN", urgency=Urgency.IMMEDIATE)
    tell_of_alerts(session, later, address=ADDRESS)

    assert again is None
    assert alert.how_urgent is Urgency.IMMEDIATE
    assert sum(told(session).values()) == 2


def test_after_it_was_acknowledged_the_same_submission_raises_nothing_more(
    session: Session, trial, clinician
):
    """Not even one that was added to the open alert, or that comes again after midnight."""
    alert = sound(session, trial, submission="first")
    sound(session, trial, submission="second")
    acknowledge(session, clinician, alert.public_id, deed="Called.", now=MONDAY)

    assert sound(session, trial, submission="first") is None
    assert sound(session, trial, submission="second") is None
    tomorrow = MONDAY.date() + timedelta(days=1)
    assert sound(session, trial, submission="second", day=tomorrow) is None


@pytest.mark.parametrize("source", ["button", "screen", "words", "diary", "refused"])
def test_after_it_was_acknowledged_whatever_else_is_sent_raises_a_new_one(
    session: Session, trial, clinician, source: str
):
    first = sound(session, trial, submission="first")
    acknowledge(session, clinician, first.public_id, deed="Called.", now=MONDAY)

    second = sound(session, trial, source=source, submission="second")

    assert second is not None
    assert second.escalates_at == MONDAY
    assert sound(session, trial, source=source, submission="second") is None


def test_two_phones_at_once_raise_one_alert(sessions: sessionmaker[Session]):
    with sessions.begin() as session:
        trial = make_running(
            session, make_actor(session, make_site(session), Role.CLINICIAN), MONDAY
        )
        trial_id = trial.id
    gate = Barrier(4)

    def press(_number: int) -> None:
        gate.wait()
        with sessions.begin() as session:
            sound(session, session.get_one(TrialRow, trial_id), source="button")

    with ThreadPoolExecutor(4) as phones:
        list(phones.map(press, range(4)))

    with sessions() as session:
        assert len(alerts_of_trial(session, trial_id)) == 1
        assert first_broken(chain(session)) is None


# ---- telling ---------------------------------------------------------------------------------


def test_first_the_responsible_clinician_then_on_call_then_everybody(
    session: Session, trial, clinician, site
):
    colleague = make_account(session, site, Role.CLINICIAN, name="colleague")
    make_account(session, site, Role.ANALYST)
    make_account(session, make_site(session, "Away"), Role.CLINICIAN)
    gone = make_account(session, site, Role.CLINICIAN, name="gone")
    gone.active = False
    session.add(SafetyContactRow(site_id=site.id, on_call_email="oncall@example.org"))
    session.flush()
    alert = sound(session, trial)
    steps = []
    for minutes in (0, 10, 20):
        before = told(session)
        tell_of_alerts(session, MONDAY + timedelta(minutes=minutes), address=ADDRESS)
        steps.append(set((told(session) - before).elements()))

    own = email_of(session, clinician)
    assert steps == [{own}, {"oncall@example.org"}, {own, colleague.email, "oncall@example.org"}]
    assert alert.step == 3


def test_nobody_is_told_twice_of_the_same_step(session: Session, trial):
    sound(session, trial)

    for _again in range(3):
        tell_of_alerts(session, MONDAY, address=ADDRESS)
    tell_of_alerts(session, MONDAY + timedelta(minutes=9), address=ADDRESS)

    assert sum(told(session).values()) == 1


def test_when_the_responsible_clinician_is_gone_everybody_is_told_at_once(
    session: Session, trial, clinician, site
):
    colleague = make_account(session, site, Role.CLINICIAN, name="colleague")
    session.get_one(AccountRow, clinician.id).active = False
    session.flush()

    assert [r.email for r in recipients_at(session, trial, 0)] == [colleague.email]


def test_who_does_something_else_by_now_is_not_told(session: Session, trial, clinician, site):
    colleague = make_account(session, site, Role.CLINICIAN, name="colleague")
    moved = session.get_one(AccountRow, clinician.id)
    moved.roles = [role_named(session, Role.ADMINISTRATOR.value)]
    session.flush()

    assert [r.email for r in recipients_at(session, trial, 0)] == [colleague.email]


def test_where_no_clinician_is_left_the_administrators_are_told(
    session: Session, trial, clinician, site
):
    keeper = make_account(session, site, Role.ADMINISTRATOR)
    session.get_one(AccountRow, clinician.id).active = False
    session.flush()

    assert [r.email for r in recipients_at(session, trial, 5)] == [keeper.email]


def test_it_goes_on_until_somebody_acknowledges(session: Session, trial, clinician):
    alert = sound(session, trial)
    at = MONDAY
    for _step in range(10):
        tell_of_alerts(session, at, address=ADDRESS)
        at += timedelta(hours=1)
    before = sum(told(session).values())
    acknowledge(session, clinician, alert.public_id, deed="Called.", now=at)
    for _step in range(5):
        at += timedelta(hours=1)
        tell_of_alerts(session, at, address=ADDRESS)

    assert before == 10
    assert sum(told(session).values()) == before


def test_after_months_of_standstill_there_is_no_flood(session: Session, trial):
    sound(session, trial)
    late = MONDAY + timedelta(days=120)

    for _tick in range(10):
        tell_of_alerts(session, late, address=ADDRESS)

    assert sum(told(session).values()) == 1


def test_acknowledging_takes_back_what_was_not_sent_yet(session: Session, trial, clinician):
    alert = sound(session, trial)
    tell_of_alerts(session, MONDAY, address=ADDRESS)

    acknowledge(session, clinician, alert.public_id, deed="Called.", now=MONDAY)

    (message,) = session.scalars(select(MessageRow)).all()
    session.refresh(message)
    assert message.dropped == "not needed"


def test_a_message_says_nothing_of_what_happened(session: Session, trial):
    for rule in ("RF-SUICIDE", "RF-PREG"):
        sound(session, trial, rule=rule, signs=("suicidal",))
    tell_of_alerts(session, MONDAY, address=ADDRESS)

    texts = {m.subject + m.body for m in session.scalars(select(MessageRow))}
    assert len(texts) == 1, "all rules of the same urgency read alike"
    (text,) = texts
    assert trial.patient.code in text
    for secret in (trial.patient.name, trial.title, "suicid", "pregnan", "harm", "RF-"):
        assert secret.lower() not in text.lower().replace("no harm", "")


def test_several_schedulers_take_each_step_once(sessions: sessionmaker[Session]):
    with sessions.begin() as session:
        clinician = make_actor(session, make_site(session), Role.CLINICIAN)
        for _patient in range(5):
            sound(session, make_running(session, clinician, MONDAY))
    gate = Barrier(4)

    def tick(_number: int) -> int:
        gate.wait()
        done = 0
        for _round in range(6):
            with sessions.begin() as session:
                done += tell_of_alerts(session, MONDAY, address=ADDRESS, most=2)
        return done

    with ThreadPoolExecutor(4) as schedulers:
        taken = sum(schedulers.map(tick, range(4)))

    with sessions() as session:
        assert taken == 5
        assert sum(told(session).values()) == 5
        assert set(session.scalars(select(AlertRow.step))) == {1}


def test_a_scheduler_that_dies_in_between_leaves_the_step_to_the_next(
    sessions: sessionmaker[Session],
):
    with sessions.begin() as session:
        sound(
            session,
            make_running(session, make_actor(session, make_site(session), Role.CLINICIAN), MONDAY),
        )

    def die() -> None:
        with sessions.begin() as session:
            tell_of_alerts(session, MONDAY, address=ADDRESS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()
    with sessions() as session:
        assert sum(told(session).values()) == 0
    with sessions.begin() as session:
        tell_of_alerts(session, MONDAY, address=ADDRESS)
    with sessions() as session:
        assert sum(told(session).values()) == 1


def test_a_site_with_an_unreadable_zone_is_told_and_stops_nobody_else(
    session: Session, trial, clinician, site
):
    elsewhere = make_running(
        session, make_actor(session, make_site(session, "Away"), Role.CLINICIAN), MONDAY
    )
    site.timezone = "Mars/Olympus"
    next_day = {"urgency": Urgency.NEXT_WORKING_DAY, "rule": "RF-PAIN9"}
    for one in (trial, elsewhere):
        sound(session, one, **next_day)

    assert tell_of_alerts(session, MONDAY, address=ADDRESS) == 2
    assert sum(told(session).values()) == 2


def test_a_silence_is_raised_though_the_zone_of_the_site_is_unreadable(
    session: Session, trial, site
):
    site.timezone = "Mars/Olympus"
    session.flush()

    say_nothing(session, trial)

    assert [alert.rule for alert in alerts_of_trial(session, trial.id)] == ["RF-NODIARY"]


def test_words_are_heard_though_the_zone_of_the_trial_is_unreadable(session: Session, trial):
    trial.timezone = "Mars/Olympus"

    found = watch_words(session, patient_actor(trial.patient), trial, "I want to die", MONDAY)

    assert [rule.id for rule in found] == ["RF-SUICIDE"]


# ---- silence ---------------------------------------------------------------------------------


def say_nothing(session: Session, trial: TrialRow) -> datetime:
    """Let three days open and pass unanswered; return when the third is given up."""
    days = trial_days(trial)
    for day in days[:4]:
        clockwork.open_due_days(session, evening(day, 18), address=ADDRESS)
        clockwork.miss_due_days(session, evening(day, 18), address=ADDRESS)
    at = evening(days[3] + timedelta(days=1), 1)
    clockwork.miss_due_days(session, at, address=ADDRESS)
    return at


def test_three_days_without_a_diary_are_an_alert_whose_first_letter_is_that_of_the_silence(
    session: Session, trial
):
    at = say_nothing(session, trial)
    clockwork.miss_due_days(session, at, address=ADDRESS)
    tell_of_alerts(session, at, address=ADDRESS)

    (alert,) = alerts_of_trial(session, trial.id)
    assert (alert.rule, alert.urgency, alert.step) == ("RF-NODIARY", "next_working_day", 1)
    assert told(session) == {}
    tell_of_alerts(session, alert.escalates_at, address=ADDRESS)
    assert sum(told(session).values()) == 1


def test_a_patient_who_answers_again_quiets_the_alert_but_it_stays_to_be_read(
    session: Session, trial, clinician
):
    say_nothing(session, trial)

    fill_day(session, trial, trial_days(trial)[4])
    session.expire_all()

    assert [alert.escalates_at for alert in open_alerts(session, clinician)] == [None]


# ---- acknowledging ---------------------------------------------------------------------------


def test_who_looked_when_and_what_was_done_is_kept_and_in_the_trail(
    session: Session, trial, clinician
):
    alert = sound(session, trial)
    later = MONDAY + timedelta(minutes=5)

    acknowledge(session, clinician, alert.public_id, deed=" Called. ", now=later)

    assert (alert.acknowledged_at, alert.acknowledged_by) == (later, clinician.id)
    assert alert.deed == "Called."
    assert open_alerts(session, clinician) == []
    assert settled_alerts(session, clinician) == [alert]
    record = session.scalars(select(AuditRow).where(AuditRow.action == "acknowledge_alert")).one()
    assert (record.actor, record.why) == (clinician.public_id, "Called.")


def test_an_alert_is_acknowledged_once(session: Session, trial, clinician, site):
    alert = sound(session, trial)
    colleague = actor_for(make_account(session, site, Role.CLINICIAN, name="c"), Role.CLINICIAN)
    acknowledge(session, clinician, alert.public_id, deed="Called.", now=MONDAY)

    with pytest.raises(EditConflictError):
        acknowledge(session, colleague, alert.public_id, deed="Me too.", now=MONDAY)
    assert alert.deed == "Called."


@pytest.mark.parametrize("deed", ["", "  ", "x" * 1001])
def test_what_was_done_has_to_be_written(session: Session, trial, clinician, deed: str):
    alert = sound(session, trial)

    with pytest.raises(ProtocolError):
        acknowledge(session, clinician, alert.public_id, deed=deed, now=MONDAY)


@pytest.mark.parametrize("role", [Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR])
def test_nobody_but_clinicians_reads_alerts(session: Session, trial, site, role: Role):
    alert = sound(session, trial)
    actor = make_actor(session, site, role)

    for attempt in (
        lambda: open_alerts(session, actor),
        lambda: settled_alerts(session, actor),
        lambda: get_alert(session, actor, alert.public_id),
        lambda: acknowledge(session, actor, alert.public_id, deed="x", now=MONDAY),
    ):
        with pytest.raises(NotAllowedError):
            attempt()


def test_an_alert_of_another_site_does_not_exist(session: Session, trial):
    alert = sound(session, trial)
    stranger = make_actor(session, make_site(session, "Away"), Role.CLINICIAN)

    assert open_alerts(session, stranger) == []
    with pytest.raises(NotFoundError):
        get_alert(session, stranger, alert.public_id)


def test_the_administrator_learns_that_there_was_an_alert_and_not_of_what(
    session: Session, trial, clinician, site
):
    alert = sound(session, trial, rule="RF-SUICIDE", signs=("suicidal",))
    acknowledge(session, clinician, alert.public_id, deed="Called the crisis team.", now=MONDAY)
    keeper = make_actor(session, site, Role.ADMINISTRATOR)

    page = repr(read_trail(session, keeper, page=1))

    assert "raise_alert" in page
    for secret in ("RF-", "suicid", "crisis"):
        assert secret not in page
