"""A serious event is written down, signed within a day, and only ever added to."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from tests.builders import (
    actor_for,
    make_account,
    make_actor,
    make_ready,
    make_running,
    make_site,
    patient_actor,
)
from trials.domain.adverse_event import (
    Account,
    Action,
    Causality,
    Criterion,
    EventOutcome,
    Severity,
)
from trials.domain.blinding import Role
from trials.domain.errors import (
    EditConflictError,
    NotAllowedError,
    NotFoundError,
    ProtocolError,
    StateError,
)
from trials.domain.red_flags import Urgency
from trials.services.adverse_events import (
    get_event,
    record_event,
    remind_of_reports,
    told_to_pharmacist,
    unsigned_events,
    write_more,
)
from trials.services.alerts import raise_alert
from trials.services.oversight import read_trail
from trials.store.account import AccountRow
from trials.store.adverse_event import versions_of
from trials.store.outbox import MessageRow

ADDRESS = "https://trials.example.org"
NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHAT = Account(
    title="Bleeding of the stomach",
    began_on=date(2026, 3, 2),
    severity=Severity.SEVERE,
    outcome=EventOutcome.RECOVERING,
    action=Action.TRIAL_PAUSED,
    course="Admitted at noon.",
    criteria=(Criterion.HOSPITAL,),
    causality={"ibuprofen": Causality.PROBABLE, "amitriptyline": Causality.UNLIKELY},
)


@pytest.fixture
def site(session: Session):
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site):
    return make_actor(session, site, Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician):
    return make_running(session, clinician, NOON)


def write_down(session: Session, clinician, trial, **more):
    values = {"known_at": NOON, "now": NOON, **more}
    return record_event(session, clinician, trial, WHAT, **values)


def reminders(session: Session) -> Counter[str]:
    query = select(MessageRow.recipient).where(MessageRow.occasion.startswith("adverse-event:"))
    return Counter(session.scalars(query))


def test_the_clock_of_a_day_runs_from_when_the_clinic_knew(session: Session, clinician, trial):
    event = write_down(session, clinician, trial, known_at=NOON - 5 * HOUR)

    assert event.due_at == NOON + 19 * HOUR
    assert unsigned_events(session, clinician) == [event]


def test_every_treatment_of_the_trial_is_judged_and_no_other(session: Session, clinician, trial):
    for causality in (
        {"ibuprofen": Causality.PROBABLE},
        {**WHAT.causality, "placebo": Causality.UNLIKELY},
    ):
        with pytest.raises(ProtocolError):
            record_event(
                session,
                clinician,
                trial,
                replace(WHAT, causality=causality),
                known_at=NOON,
                now=NOON,
            )


def test_nothing_that_was_written_is_ever_changed(session: Session, clinician, trial):
    event = write_down(session, clinician, trial)
    later = replace(WHAT, outcome=EventOutcome.RECOVERED, ended_on=date(2026, 3, 4))
    write_more(session, clinician, event, later, version=1, why="", signed=True, now=NOON + HOUR)

    first, second = versions_of(session, event.id)
    assert (first.account, first.signed) == (WHAT, False)
    assert (second.account, second.signed) == (later, True)
    session.commit()
    for attack in (
        "UPDATE adverse_event_version SET why = 'better'",
        "DELETE FROM adverse_event_version",
    ):
        with pytest.raises(DatabaseError, match="only ever added"):
            session.execute(text(attack))
        session.rollback()


def test_a_signed_report_is_amended_with_a_reason_only(session: Session, clinician, trial):
    event = write_down(session, clinician, trial, signed=True)
    more = {"version": 1, "signed": True, "now": NOON + HOUR}

    with pytest.raises(ProtocolError):
        write_more(session, clinician, event, WHAT, why=" ", **more)
    write_more(session, clinician, event, WHAT, why="The laboratory answered.", **more)

    assert [v.why for v in versions_of(session, event.id)] == ["", "The laboratory answered."]
    assert event.signed_at == NOON  # of the first report


def test_two_who_write_at_once_do_not_overwrite_each_other(session: Session, clinician, trial):
    event = write_down(session, clinician, trial)
    more = {"version": 1, "why": "", "signed": False, "now": NOON}
    write_more(session, clinician, event, WHAT, **more)

    with pytest.raises(EditConflictError):
        write_more(session, clinician, event, WHAT, **more)


def test_a_reminder_comes_half_way_then_everybody_is_told_until_it_is_signed(
    session: Session, clinician, trial, site
):
    colleague = make_account(session, site, Role.CLINICIAN, name="colleague")
    event = write_down(session, clinician, trial)
    own = session.get_one(AccountRow, clinician.id).email
    seen = {}
    for hours in (11, 12, 18, 24, 30):
        before = reminders(session)
        for _scheduler in range(2):
            remind_of_reports(session, NOON + hours * HOUR, address=ADDRESS)
        seen[hours] = dict(reminders(session) - before)
    both = {own: 1, colleague.email: 1}

    assert seen == {11: {}, 12: {own: 1}, 18: both, 24: both, 30: both}
    write_more(
        session, clinician, event, WHAT, version=1, why="", signed=True, now=NOON + 31 * HOUR
    )
    before = reminders(session)
    remind_of_reports(session, NOON + 60 * HOUR, address=ADDRESS)
    assert reminders(session) == before


def test_a_report_signed_at_once_is_never_asked_for(session: Session, clinician, trial):
    write_down(session, clinician, trial, signed=True)

    remind_of_reports(session, NOON + 48 * HOUR, address=ADDRESS)

    assert reminders(session) == {}
    assert unsigned_events(session, clinician) == []


def test_a_reminder_says_nothing_of_what_happened(session: Session, clinician, trial):
    write_down(session, clinician, trial)
    remind_of_reports(session, NOON + 12 * HOUR, address=ADDRESS)

    (message,) = session.scalars(select(MessageRow)).all()
    written = (message.subject + message.body).lower()
    assert trial.patient.code.lower() in written
    for secret in (trial.patient.name, trial.title, "bleeding", "stomach", "ibuprofen", "event"):
        assert secret.lower() not in written


def test_events_are_numbered_and_remember_the_alert_they_came_from(
    session: Session, clinician, trial
):
    alert = raise_alert(
        session,
        patient_actor(trial.patient),
        trial,
        rule="RF-GIBLEED",
        urgency=Urgency.IMMEDIATE,
        source="button",
        day=NOON.date(),
        now=NOON,
    )
    first = write_down(session, clinician, trial, alert=alert)
    second = write_down(session, clinician, trial)

    assert (first.number, second.number) == (1, 2)
    assert (first.alert_id, second.alert_id) == (alert.id, None)


def test_an_alert_of_another_trial_cannot_be_named(session: Session, clinician, trial):
    other = make_running(session, clinician, NOON)
    alert = raise_alert(
        session,
        patient_actor(other.patient),
        other,
        rule="RF-FALL",
        urgency=Urgency.SAME_DAY,
        source="button",
        day=NOON.date(),
        now=NOON,
    )

    with pytest.raises(NotFoundError):
        write_down(session, clinician, trial, alert=alert)


def test_a_trial_that_has_not_begun_has_no_events(session: Session, clinician):
    with pytest.raises(StateError):
        write_down(session, clinician, make_ready(session, clinician, NOON))


@pytest.mark.parametrize("known_at", [NOON + HOUR, NOON - timedelta(days=400)])
def test_the_clinic_cannot_have_known_of_it_in_the_future_or_long_ago(
    session: Session, clinician, trial, known_at
):
    with pytest.raises(ProtocolError):
        write_down(session, clinician, trial, known_at=known_at)


@pytest.mark.parametrize("role", [Role.PHARMACIST, Role.ANALYST, Role.ADMINISTRATOR])
def test_nobody_but_clinicians_reads_or_writes_events(
    session: Session, clinician, trial, site, role: Role
):
    event = write_down(session, clinician, trial)
    actor = make_actor(session, site, role)

    for attempt in (
        lambda: get_event(session, actor, event.public_id),
        lambda: unsigned_events(session, actor),
        lambda: write_down(session, actor, trial),
        lambda: write_more(session, actor, event, WHAT, version=1, why="", signed=True, now=NOON),
    ):
        with pytest.raises(NotAllowedError):
            attempt()


def test_an_event_of_another_site_does_not_exist(session: Session, clinician, trial):
    event = write_down(session, clinician, trial)
    stranger = make_actor(session, make_site(session, "Away"), Role.CLINICIAN)

    with pytest.raises(NotFoundError):
        get_event(session, stranger, event.public_id)


def test_the_pharmacist_learns_that_there_is_one_and_nothing_of_what_it_is(
    session: Session, clinician, trial, site
):
    write_down(session, clinician, trial)
    pharmacist = make_actor(session, site, Role.PHARMACIST)

    (told,) = told_to_pharmacist(session, pharmacist, trial)

    assert (told.number, told.known_at, told.signed) == (1, NOON, False)
    assert "leeding" not in repr(told)
    with pytest.raises(NotAllowedError):
        told_to_pharmacist(session, make_actor(session, site, Role.ANALYST), trial)


def test_the_administrator_reads_none_of_it_in_the_trail(session: Session, clinician, trial, site):
    write_down(session, clinician, trial, signed=True)
    keeper = actor_for(make_account(session, site, Role.ADMINISTRATOR), Role.ADMINISTRATOR)

    page = repr(read_trail(session, keeper, page=1))

    assert "sign_adverse_event" in page
    for secret in ("leeding", "dmitted", "hospital", "probable"):
        assert secret not in page
