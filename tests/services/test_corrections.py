"""What staff write down waits for the patient; what the patient says no to changes nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import (
    answer,
    evening,
    fill_day,
    make_actor,
    make_running,
    make_site,
    patient_actor,
    trial_days,
)
from trials.domain.blinding import Role
from trials.domain.errors import DiaryClosedError, NotAllowedError, NotFoundError, ProtocolError
from trials.domain.paper import LONGEST_ON_PAPER, Paper
from trials.services import corrections, on_behalf
from trials.services.diary import own_entries
from trials.services.provenance import origins_of
from trials.store.audit import AuditRow
from trials.store.correction import confirmations_of_trial, corrections_of_trial


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician, now):
    return make_running(session, clinician, now)


@pytest.fixture
def day(trial):
    return trial_days(trial)[0]


def propose(session: Session, clinician, trial, day, pain: int = 1, key: str = "c1"):
    return corrections.propose_correction(
        session,
        clinician,
        trial,
        day,
        answer(pain),
        reason="Said so on the telephone.",
        key=key,
        now=evening(day + timedelta(days=2), 9),
    )


def settle(session: Session, trial, correction, day, *, agrees: bool) -> None:
    corrections.settle_correction(
        session,
        patient_actor(trial.patient),
        trial,
        correction.public_id,
        agrees=agrees,
        now=evening(day + timedelta(days=3), 9),
    )


def test_a_no_changes_nothing_and_stays_on_record(session: Session, clinician, trial, day):
    fill_day(session, trial, day, 6)
    asked = propose(session, clinician, trial, day)
    (shown,) = corrections.to_confirm(session, trial)
    assert shown.before is not None
    assert (shown.before.pain, shown.after.pain, shown.reason) == (6, 1, asked.reason)

    settle(session, trial, asked, day, agrees=False)
    settle(session, trial, asked, day, agrees=True)  # the first answer stands

    assert own_entries(session, trial)[day].pain == 6
    ((_day, kept),) = corrections_of_trial(session, trial.id)
    assert (kept.state, kept.entry_id) == ("declined", None)
    assert corrections.to_confirm(session, trial) == ()
    assert session.scalars(select(AuditRow).where(AuditRow.action == "decline_correction")).one()


def test_a_yes_counts_once_however_often_it_is_sent(session: Session, clinician, trial, day):
    fill_day(session, trial, day, 6)
    asked = propose(session, clinician, trial, day)
    assert propose(session, clinician, trial, day, pain=9) is asked, "the same form again"

    settle(session, trial, asked, day, agrees=True)
    settle(session, trial, asked, day, agrees=True)

    entry = own_entries(session, trial)[day]
    assert (entry.pain, entry.revision, entry.corrects) == (1, 2, True)
    assert entry.minutes_late > 0, "a correction from memory is left out where late reports are"
    assert origins_of(session, trial).corrected == 1


def test_the_patients_own_correction_sent_twice_is_one(session: Session, trial, day):
    fill_day(session, trial, day, 6)
    at = evening(day + timedelta(days=2), 9)

    def correct(pain: int):
        return corrections.correct_day(
            session,
            patient_actor(trial.patient),
            trial,
            day,
            answer(pain),
            reason="A slip.",
            key="c1",
            now=at,
        )

    first, again = correct(2), correct(2)

    assert (first.revision, again.revision) == (2, 2)
    assert (first.repeated, again.repeated) == (False, True)


def test_a_correction_needs_a_report_a_closed_day_and_a_reason(session: Session, trial, day):
    patient = patient_actor(trial.patient)

    def correct(reason: str, at) -> None:
        corrections.correct_day(
            session, patient, trial, day, answer(2), reason=reason, key="c1", now=at
        )

    with pytest.raises(DiaryClosedError, match="nothing to correct"):
        correct("A slip.", evening(day + timedelta(days=2)))
    fill_day(session, trial, day, 6)
    with pytest.raises(DiaryClosedError, match="still open"):
        correct("A slip.", evening(day, 22))
    with pytest.raises(ProtocolError, match="few words"):
        correct("  ", evening(day + timedelta(days=2)))


def test_only_the_patient_settles_and_only_staff_propose(session: Session, clinician, trial, day):
    fill_day(session, trial, day, 6)
    asked = propose(session, clinician, trial, day)
    at = evening(day + timedelta(days=3))

    with pytest.raises(NotAllowedError):
        corrections.settle_correction(
            session, clinician, trial, asked.public_id, agrees=True, now=at
        )
    analyst = make_actor(session, trial.site, Role.ANALYST)
    with pytest.raises(NotAllowedError):
        propose(session, analyst, trial, day)
    other = make_running(session, clinician, at)
    with pytest.raises(NotFoundError):
        corrections.settle_correction(
            session, patient_actor(other.patient), other, asked.public_id, agrees=True, now=at
        )


def test_a_report_by_telephone_counts_and_is_asked_about(session: Session, clinician, trial, day):
    at = evening(day, 20)
    on_behalf.record_by_phone(session, clinician, trial, day, answer(5), key="p1", now=at)
    entry = own_entries(session, trial)[day]
    assert (entry.pain, entry.source, entry.author) == (5, "phone", clinician.public_id)
    (shown,) = corrections.to_confirm(session, trial)
    assert (shown.entry_id, shown.before) == (entry.id, None)

    for is_right in (False, True):  # the first word stands
        corrections.confirm_entry(
            session,
            patient_actor(trial.patient),
            trial,
            entry.id,
            is_right=is_right,
            now=at,
        )

    assert not confirmations_of_trial(session, trial.id)[entry.id].is_right
    origins = origins_of(session, trial)
    assert (origins.phone, origins.doubted, origins.confirmed) == (1, 1, 0)
    with pytest.raises(NotFoundError):
        corrections.confirm_entry(
            session, patient_actor(trial.patient), trial, 999, is_right=True, now=at
        )


def test_the_patient_may_replace_in_time_what_the_clinic_wrote(
    session: Session, clinician, trial, day
):
    on_behalf.record_by_phone(
        session, clinician, trial, day, answer(5), key="p1", now=evening(day, 20)
    )

    fill_day(session, trial, day, 7, at=evening(day, 21))

    assert own_entries(session, trial)[day].pain == 7


def test_the_telephone_has_the_window_of_the_phone(session: Session, clinician, trial, day):
    with pytest.raises(DiaryClosedError, match="counts as missing"):
        on_behalf.record_by_phone(
            session,
            clinician,
            trial,
            day,
            answer(5),
            key="p1",
            now=evening(day + timedelta(days=2), 9),
        )


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [(20, "still be reported on the phone"), (48 + 24 * LONGEST_ON_PAPER.days + 3, "28 days")],
)
def test_paper_is_typed_in_once_the_day_is_closed_and_not_for_ever(
    session: Session, clinician, trial, day, hours: int, sentence: str
):
    with pytest.raises(DiaryClosedError, match=sentence):
        on_behalf.record_from_paper(
            session,
            clinician,
            trial,
            day,
            answer(5),
            Paper(day, "17"),
            key="p1",
            now=evening(day, 0) + timedelta(hours=hours),
        )


def test_a_sheet_needs_its_scan(day):
    with pytest.raises(ProtocolError, match="scan of the sheet"):
        Paper(day, " ")
