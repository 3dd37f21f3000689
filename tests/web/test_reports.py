"""What the clinic does about single days, and what a patient says of it, in the pages."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    actor_for,
    evening,
    fill_day,
    make_account,
    make_running,
    make_site,
    trial_days,
)
from tests.plugins.web import Visitor
from tests.services.test_photos import a_photo
from trials.domain.blinding import Role
from trials.domain.diary import Questionnaire, SideEffect
from trials.domain.taking import TakingPlan, TimeOfDay
from trials.services.diary import own_entries
from trials.store.correction import corrections_of_trial
from trials.store.erasure import erasure_of
from trials.store.outbox import MessageRow
from trials.store.photo import PhotoRow
from trials.store.problem import problems_of_trial
from trials.store.trial import ConsentRow, TrialRow

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
ASKED = replace(
    PROTOCOL,
    questionnaire=Questionnaire(
        (SideEffect("nausea", "Feeling sick"), SideEffect("dry_mouth", "Dry mouth")),
        rescue="Paracetamol 500 mg",
        more_rescue=("Ibuprofen gel",),
    ),
    taking=TakingPlan((TimeOfDay.MORNING, TimeOfDay.EVENING), "capsule"),
    shows_pain_line=True,
)
USUAL = {"pain": "4", "any_side_effects": "no", "intake": "all"}


@pytest.fixture
def account(session: Session):
    return make_account(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, account) -> TrialRow:
    return make_running(session, actor_for(account, Role.CLINICIAN), NOON, ASKED)


@pytest.fixture
def phone(session: Session, visitor: Visitor, trial: TrialRow) -> Visitor:
    session.commit()
    with time_machine.travel(NOON, tick=False):
        visitor.hold_device(session, trial.patient)
    return visitor


@pytest.fixture
def doctor(session: Session, app, account, trial) -> Callable[[], Visitor]:
    """Return how to come in as the clinician, now."""
    session.commit()
    browser = app.test_client()

    def come_in() -> Visitor:
        browser.sign_in(account)
        return browser

    return come_in


def read[T](session: Session, do: Callable[[], T]) -> T:
    """Return what stands in the database now; the lock of reading it is given back."""
    session.commit()
    found = do()
    session.commit()
    return found


def page_of(trial: TrialRow, rest: str = "") -> str:
    return f"/clinician/trials/{trial.public_id}{rest}"


def test_everything_a_day_can_hold_is_kept(session: Session, phone: Visitor, trial: TrialRow):
    day = trial_days(trial)[0]
    form = {
        "pain": "6",
        "any_side_effects": "yes",
        "side_effect-nausea": "1",
        "other_effect-1": "Buzzing ears",
        "other_severity-1": "3",
        "other_effect-3": "Cold feet",
        "other_severity-3": "1",
        "bother": "5",
        "intake": "part",
        "intake_reason": "side_effects",
        "intake_words": "Noon only",
        "rescue_doses": "2",
        "rescue_at": "14:30",
        "rescue_doses-2": "more",
        "more_doses-2": "7",
        "by_proxy": "yes",
        "photo": (BytesIO(a_photo()), "IMG_2026_Berlin.jpg"),
    }
    with time_machine.travel(evening(day), tick=False):
        answer = phone.post(
            f"/diary/{day}",
            data=form | {"csrf_token": phone.token(f"/diary/{day}")},
            content_type="multipart/form-data",
        )
        thanks = phone.get(answer.location).text

    session.rollback()
    entry = own_entries(session, trial)[day]
    answers = entry.answers
    assert [(e.text, e.severity) for e in answers.other_effects] == [
        ("Buzzing ears", 3),
        ("Cold feet", 1),
    ]
    assert (answers.intake_reason, answers.intake_words) == ("side_effects", "Noon only")
    assert answers.rescue_doses == 9
    assert [(u.medicine, u.doses, u.last_at) for u in answers.rescue] == [
        ("Paracetamol 500 mg", 2, "14:30"),
        ("Ibuprofen gel", 7, ""),
    ]
    assert answers.by_proxy
    assert session.scalars(select(PhotoRow.entry_id)).all() == [entry.id]
    for told in ("Buzzing ears (severe)", "partly: Side effects, Noon only", "the last at 14:30"):
        assert told in thanks
    assert "Your photo is kept too." in thanks


def test_a_file_that_is_no_photo_is_asked_for_again_and_nothing_is_lost(
    session: Session, phone: Visitor, trial: TrialRow
):
    day = trial_days(trial)[0]
    form = USUAL | {"note": "Look", "photo": (BytesIO(b"<script>"), "p.jpg")}
    with time_machine.travel(evening(day), tick=False):
        answer = phone.post(
            f"/diary/{day}",
            data=form | {"csrf_token": phone.token(f"/diary/{day}")},
            content_type="multipart/form-data",
        )

    assert answer.status_code == 422
    assert "This is no photo that can be read." in answer.text
    assert "Look</textarea>" in answer.text
    session.rollback()
    assert own_entries(session, trial) == {}


def test_side_effects_had_before_come_first_and_tell_no_answer(
    session: Session, phone: Visitor, trial: TrialRow
):
    first, second = trial_days(trial)[:2]
    form = USUAL | {"any_side_effects": "yes", "side_effect-dry_mouth": "2", "bother": "3"}
    with time_machine.travel(evening(first), tick=False):
        before = phone.get(f"/diary/{first}").text
        phone.submit(f"/diary/{first}", **form)
    with time_machine.travel(evening(second), tick=False):
        after = phone.get(f"/diary/{second}").text
        edition = phone.get("/offline/pack", headers={"Accept": "application/json"}).json

    def order(page: str) -> list[str]:
        return list(dict.fromkeys(re.findall(r'name="side_effect-(\w+)"', page)))

    assert order(before) == ["nausea", "dry_mouth"]
    assert order(after) == ["dry_mouth", "nausea"]
    assert " checked" not in after
    assert edition is not None


def test_the_first_page_says_when_to_take_what(phone: Visitor, trial: TrialRow):
    with time_machine.travel(evening(trial_days(trial)[0], 8), tick=False):
        morning = phone.get("/today").text
    with time_machine.travel(evening(trial_days(trial)[0], 20), tick=False):
        late = phone.get("/today").text

    nexts = [re.search(r'lt-doses__next">([^<]+)', page) for page in (morning, late)]
    assert [found[1].strip() for found in nexts if found] == [
        "Morning: capsule",
        "Evening: capsule",
    ]


def test_the_own_pain_line_can_be_allowed_and_never_has_a_box_on_it(
    session: Session, phone: Visitor, trial: TrialRow
):
    for day in trial_days(trial)[:9]:
        fill_day(session, trial, day)
    session.commit()

    with time_machine.travel(evening(trial_days(trial)[9], 9), tick=False):
        page = phone.get("/entries").text

    chart = page.partition("Your pain, day by day")[2].partition("</figure>")[0]
    assert chart
    assert not re.search(r"[Bb]ox \d|[Pp]eriod \d", chart)


def test_a_day_said_on_the_telephone_is_written_down_and_confirmed(
    session: Session, doctor: Callable[[], Visitor], phone: Visitor, trial: TrialRow
):
    day = trial_days(trial)[0]
    form = page_of(trial, f"/report/{day}")
    with time_machine.travel(evening(day), tick=False):
        assert "Write down" in doctor().get(page_of(trial)).text
        nowhere = doctor().submit(form, form, **USUAL)
        kept = doctor().submit(form, form, **USUAL, source="phone")
        told = doctor().get(page_of(trial)).text
        asked = phone.get("/today").text
        entry = read(session, lambda: own_entries(session, trial)[day].id)
        phone.submit("/written", "/written", entry=entry, answer="yes")
        after = doctor().get(page_of(trial)).text

    assert (nowhere.status_code, kept.status_code) == (422, 303)
    assert "Say where it comes from" in nowhere.text
    assert "by telephone, not confirmed yet" in told
    assert "Your clinic wrote something down for you" in asked
    assert "by telephone, confirmed by the patient" in after


def test_a_correction_by_telephone_waits_for_the_patient_and_shows_no_answer_to_the_clinic(
    session: Session, doctor: Callable[[], Visitor], phone: Visitor, trial: TrialRow
):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 9)
    session.commit()
    form = page_of(trial, f"/report/{day}")
    with time_machine.travel(evening(day + timedelta(days=3), 9), tick=False):
        shown = doctor().get(form).text
        doctor().submit(form, form, **USUAL, reason="Wrong tap")
        told = phone.get("/written").text
        asked = read(session, lambda: corrections_of_trial(session, trial.id)[0][1].public_id)
        before = read(session, lambda: own_entries(session, trial)[day].pain)
        phone.submit("/written", "/written", correction=asked, answer="yes")
        session.rollback()

    assert " checked" not in shown
    assert before == 9
    assert "9 of 10" in told
    assert "4 of 10" in told
    assert own_entries(session, trial)[day].pain == 4


def test_the_patient_corrects_an_old_day_with_a_reason(
    session: Session, phone: Visitor, trial: TrialRow
):
    day = trial_days(trial)[0]
    fill_day(session, trial, day, 9)
    session.commit()
    address = f"/diary/{day}/correct"
    with time_machine.travel(evening(day + timedelta(days=3), 9), tick=False):
        listed = phone.get("/entries").text
        silent = phone.submit(address, address, **USUAL)
        sent = phone.submit(address, address, **USUAL, reason="Wrong tap")
        after = phone.get("/entries").text

    assert address in listed
    assert (silent.status_code, sent.status_code) == (422, 303)
    assert "Please say in a few words why it is changed." in silent.text
    assert "corrected later, with a reason" in after


def test_the_clinic_reads_words_and_photos_and_nobody_else_does(
    session: Session, doctor: Callable[[], Visitor], phone: Visitor, trial: TrialRow, app
):
    day = trial_days(trial)[0]
    form = USUAL | {
        "note": "A rash on my arm",
        "photo": (BytesIO(a_photo()), "p.jpg"),
        "csrf_token": "",
    }
    with time_machine.travel(evening(day), tick=False):
        form["csrf_token"] = phone.token(f"/diary/{day}")
        phone.post(f"/diary/{day}", data=form, content_type="multipart/form-data")
        page = doctor().get(page_of(trial, "/words")).text
        found = re.search(r'src="([^"]*/photos/[^"]+)"', page)
        assert found is not None
        picture = doctor().get(found[1])
        others = []
        for role in (Role.ANALYST, Role.PHARMACIST, Role.ADMINISTRATOR):
            other = app.test_client()
            colleague = make_account(session, trial.site, role)
            session.commit()
            other.sign_in(colleague)
            others += [other.get(found[1]), other.get(page_of(trial, "/words"))]
        at_the_phone = phone.get(found[1])

    assert "A rash on my arm" in page
    assert (picture.status_code, picture.mimetype) == (200, "image/jpeg")
    assert picture.headers["Cache-Control"] == "no-store"
    assert {answer.status_code for answer in others} == {403}
    assert at_the_phone.mimetype != "image/jpeg"
    assert at_the_phone.status_code in {303, 403}


def test_the_paper_diary_has_a_sheet_for_every_day_and_names_no_treatment(
    doctor: Callable[[], Visitor], trial: TrialRow
):
    with time_machine.travel(evening(trial_days(trial)[0]), tick=False):
        sheets = [doctor().get(page_of(trial, f"/paper/{n}")).text for n in (1, 2)]
        none = doctor().get(page_of(trial, "/paper/9"))

    assert [page.count('class="lt-sheet"') for page in sheets] == [7, 7]
    assert none.status_code == 404
    for page in sheets:
        assert "Feeling sick" in page
        assert "Ibuprofen gel" in page
        assert "amitriptyline" not in page.casefold()
        assert "400 mg" not in page


def test_a_problem_is_told_kept_and_dealt_with(
    session: Session, doctor: Callable[[], Visitor], phone: Visitor, trial: TrialRow
):
    with time_machine.travel(evening(trial_days(trial)[0]), tick=False):
        empty = phone.submit("/clinic/problem", "/clinic/problem", words="x")
        for _tap in range(2):
            phone.submit("/clinic/problem", "/clinic/problem", kind="box", words="It is torn")
        told = doctor().get(page_of(trial)).text
        (problem,) = read(
            session, lambda: [row.public_id for row in problems_of_trial(session, trial.id)]
        )
        query = select(MessageRow.subject, MessageRow.body).where(
            MessageRow.occasion.startswith("problem:")
        )
        letters = read(session, lambda: session.execute(query).all())
        doctor().submit(page_of(trial, f"/problems/{problem}/settle"), page_of(trial))
        after = doctor().get(page_of(trial)).text

    assert empty.status_code == 422
    assert "It is torn" in told
    assert len(letters) == 1
    assert "torn" not in "".join(letters[0]), "mail is no safe place"
    assert "It is torn" not in after


@pytest.mark.parametrize(("chosen", "removed"), [("remove", True), ("keep", False)])
def test_who_withdraws_decides_as_was_agreed(
    session: Session, phone: Visitor, trial: TrialRow, chosen: str, removed: bool
):
    fill_day(session, trial, trial_days(trial)[0])
    session.scalars(select(ConsentRow)).one().on_withdrawal = "remove"
    session.commit()
    with time_machine.travel(evening(trial_days(trial)[1], 9), tick=False):
        asked = phone.get("/clinic/stop").text
        revision = trial.revision
        silent = phone.submit("/clinic/stop", "/clinic/stop", revision=revision)
        done = phone.submit("/clinic/stop", "/clinic/stop", revision=revision, answers=chosen)
        receipt = phone.get(done.location).text
        result = phone.get("/result").text
        assert phone.get("/entries").status_code == 200

    assert "What becomes of your answers?" in asked
    assert silent.status_code == 422
    session.rollback()
    assert (erasure_of(session, trial.id) is not None) is removed
    assert (own_entries(session, trial) == {}) is removed
    assert ("your answers are removed" in receipt) is removed
    assert ("There will be no result" in result) is removed
    subjects = session.scalars(select(MessageRow.subject)).all()
    assert any("answers are removed" in s for s in subjects) is removed
