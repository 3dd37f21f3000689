"""What a phone may bring and take along: once, in the right name, at the time of writing."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from tests.builders import (
    PROTOCOL,
    evening,
    fill_day,
    make_actor,
    make_completed,
    make_fit,
    make_ready,
    make_running,
    make_site,
    open_protocol,
)
from tests.plugins.web import Visitor, close_app, make_app
from tests.services.test_photos import a_photo
from tests.web.test_patient import at, local
from trials.domain.blinding import Role
from trials.domain.clocks import LONGEST_WAIT
from trials.services.actor import Actor
from trials.services.invitations import revoke_all
from trials.services.running import pause_trial
from trials.store.audit import AuditRow
from trials.store.diary import DiaryDayRow, DiaryEntryRow, find_day, latest_entry
from trials.store.photo import PhotoRow
from trials.store.trial import TrialRow, periods_of_trial
from trials.web.patient import pack
from trials.web.patient.sync import LARGEST_BODY

NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
DAY = date(2026, 3, 1)
EVENING = evening(DAY)
USUAL = {"pain": "4", "any_side_effects": "no", "intake": "all"}
JSON = {"Accept": "application/json"}


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@dataclass
class Phone:
    """A patient's phone: its script, as far as the server sees it."""

    client: Visitor
    trial: TrialRow

    def entry(self, *, written: datetime = EVENING, error: float = 0.0, **more: Any) -> dict:
        """Return a report; the phone's clock goes wrong by ``error`` seconds."""
        wrong = timedelta(seconds=error)
        return {
            "key": str(uuid4()),
            "trial": self.trial.public_id,
            "day": DAY.isoformat(),
            "fields": dict(USUAL),
            "written_at": milliseconds(written + wrong),
            "sent_at": milliseconds(datetime.now(UTC) + wrong),
            "ahead": round(-error * 1000),
            "known": 0,
            **more,
        }

    def send(self, entry: object) -> TestResponse:
        return self.client.post("/offline/entry", json=entry, headers=JSON)

    def send_photo(self, key: str, content: bytes) -> TestResponse:
        form = {"key": key, "trial": self.trial.public_id, "photo": (BytesIO(content), "photo")}
        return self.client.post(
            "/offline/photo", data=form, headers=JSON, content_type="multipart/form-data"
        )

    def check(self, keys: object) -> TestResponse:
        return self.client.post("/offline/check", json={"keys": keys}, headers=JSON)

    def pack(self) -> TestResponse:
        return self.client.get("/offline/pack", headers=JSON)


@dataclass
class Clinic:
    """A clinic and its web site."""

    app: Flask
    sessions: sessionmaker[Session]
    clinician: Actor
    analyst: Actor

    def phone(
        self, make: Callable[..., TrialRow] = make_running, protocol: object = PROTOCOL
    ) -> Phone:
        """Return the phone of a new patient with a trial of its own."""
        with self.sessions.begin() as session:
            trial = make(session, self.clinician, NOON, protocol)
        return self.another(trial)

    def another(self, trial: TrialRow) -> Phone:
        """Return one more phone of this trial's patient."""
        client = self.app.test_client()
        assert isinstance(client, Visitor)
        with self.sessions() as session, at(NOON):
            client.hold_device(session, session.merge(trial.patient, load=False))
        return Phone(client, trial)

    def reports(self, phone: Phone) -> list[DiaryEntryRow]:
        """Return every report that was kept, in the order of arrival."""
        with self.sessions() as session:
            query = (
                select(DiaryEntryRow)
                .join(DiaryDayRow, DiaryDayRow.id == DiaryEntryRow.diary_day_id)
                .where(DiaryDayRow.trial_id == phone.trial.id)
                .order_by(DiaryEntryRow.id)
            )
            return list(session.scalars(query))

    def counting(self, phone: Phone, day: date = DAY) -> int:
        """Return the pain of the report that counts."""
        with self.sessions() as session:
            row = find_day(session, phone.trial.id, day)
            assert row is not None
            entry = latest_entry(session, row.id)
            assert entry is not None
            return entry.pain


def open_clinic(
    database_url: str, sessions: sessionmaker[Session], folder: Path, **config: Any
) -> Clinic:
    with sessions.begin() as session:
        site = make_site(session, "Riverside Pain Clinic")
        site.phone = "+49 30 1234567"
        clinician = make_actor(session, site, Role.CLINICIAN)
        analyst = make_actor(session, site, Role.ANALYST)
    return Clinic(make_app(database_url, folder, **config), sessions, clinician, analyst)


@pytest.fixture
def clinic(database_url: str, sessions: sessionmaker[Session], tmp_path: Path) -> Iterator[Clinic]:
    clinic = open_clinic(database_url, sessions, tmp_path, WTF_CSRF_ENABLED=False)
    yield clinic
    close_app(clinic.app)


# ---- when it was written, and when it came ---------------------------------------------------


@pytest.mark.parametrize("error", [0, -3 * 86_400, 250 * 86_400], ids=["right", "slow", "fast"])
def test_a_report_counts_for_when_it_was_written_and_both_times_are_kept(
    clinic: Clinic, error: float
):
    phone = clinic.phone()
    arrival = EVENING + timedelta(days=3)
    with at(arrival):
        answer = phone.send(phone.entry(error=error))

    assert answer.status_code == 200
    assert answer.json["sentence"] == "Your report of Sunday, March 1 is kept."
    (entry,) = clinic.reports(phone)
    assert (entry.minutes_late, entry.source, entry.zone) == (0, "patient", "Europe/Berlin")
    assert abs(entry.written_at - EVENING) < timedelta(seconds=1)
    assert entry.received_at == arrival
    assert entry.clock_error_seconds == -error
    with clinic.sessions() as session:
        (record,) = (r for r in session.scalars(select(AuditRow)) if r.action == "record_entry")
    assert record.after["written_at"].startswith(entry.written_at.isoformat()[:19])


def test_what_was_written_late_is_late_by_when_it_was_written(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING + timedelta(days=2)):
        answer = phone.send(phone.entry(written=local(date(2026, 3, 2), 9)))

    assert answer.status_code == 200
    assert clinic.reports(phone)[0].minutes_late == 6 * 60


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (local(DAY, 16, 59), "is not open yet"),
        (local(date(2026, 3, 3), 0), "is closed"),
    ],
)
def test_a_day_that_was_not_open_when_it_was_written_stays_closed(
    clinic: Clinic, written: datetime, why: str
):
    phone = clinic.phone()
    with at(EVENING + timedelta(days=4)):
        answer = phone.send(phone.entry(written=written))

    assert answer.status_code == 409
    assert answer.json["reason"] == "closed"
    assert why in answer.json["error"]
    assert "Sunday, March 1" in answer.json["error"]
    assert clinic.reports(phone) == []


def test_a_clock_that_was_set_back_does_not_open_a_closed_day(clinic: Clinic):
    """The phone met us at the right time; then its clock was set back by three days."""
    phone = clinic.phone()
    with at(EVENING + timedelta(days=3)):
        forged = phone.entry()
        forged |= {"sent_at": milliseconds(EVENING) + 1000, "ahead": 3 * 86_400_000}
        assert phone.send(forged).status_code == 409

    assert clinic.reports(phone) == []


def test_nothing_is_taken_from_the_future(clinic: Clinic):
    phone = clinic.phone()
    tomorrow = DAY + timedelta(days=1)
    with at(EVENING):
        forged = phone.entry(written=evening(tomorrow), day=tomorrow.isoformat())
        assert phone.send(forged).status_code == 409


def test_after_two_weeks_on_the_phone_it_is_for_the_clinic_to_hear(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING + LONGEST_WAIT + timedelta(minutes=1)):
        answer = phone.send(phone.entry())

    assert answer.status_code == 409
    assert "waited too long" in answer.json["error"]


# ---- once each -------------------------------------------------------------------------------


def test_the_same_key_gets_the_same_receipt_and_another_answer_is_a_correction(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING):
        entry = phone.entry()
        first, again = phone.send(entry), phone.send(entry)
        changed = phone.send(entry | {"fields": USUAL | {"pain": "9"}})

    assert first.json | {"repeated": True} == again.json
    assert changed.json["revision"] == 2
    assert [e.pain for e in clinic.reports(phone)] == [4, 9]


def test_a_report_sent_ten_times_at_once_is_one(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING):
        entry = phone.entry()
        phones = [clinic.another(phone.trial) for _hand in range(5)]
        with ThreadPoolExecutor(5) as hands:
            answers = list(hands.map(lambda one: one.send(entry).status_code, phones * 2))

    assert answers == [200] * 10
    assert len(clinic.reports(phone)) == 1


def test_of_two_phones_what_was_written_last_counts_whatever_comes_first(clinic: Clinic):
    first = clinic.phone()
    second = clinic.another(first.trial)
    with at(EVENING + timedelta(hours=2)):
        later = second.send(
            second.entry(written=EVENING + timedelta(hours=1), fields=USUAL | {"pain": "8"})
        )
        earlier = first.send(first.entry(fields=USUAL | {"pain": "2"}))

    assert later.json["counts"]
    assert not earlier.json["counts"]
    assert "another one of the same day counts" in earlier.json["sentence"]
    assert [(e.revision, e.pain) for e in clinic.reports(first)] == [(1, 8), (2, 2)]
    assert clinic.counting(first) == 8
    with at(EVENING + timedelta(hours=3)):
        page = first.client.get(
            f"/diary/{DAY}/thanks?key={clinic.reports(first)[1].idempotency_key}"
        )
        assert "Another report of the same day counts" in page.text


def test_a_conflict_is_told_and_a_correction_is_none(clinic: Clinic):
    first = clinic.phone()
    second = clinic.another(first.trial)
    with at(EVENING):
        first.send(first.entry())
        knowing = first.send(first.entry(known=1))
        blind = second.send(second.entry(known=0))

    assert knowing.json["sentence"] == "Your report of Sunday, March 1 is kept."
    assert "There was another one already" in blind.json["sentence"]


def test_a_late_report_never_replaces_one_in_time(clinic: Clinic):
    first = clinic.phone()
    second = clinic.another(first.trial)
    with at(local(date(2026, 3, 2), 12)):
        late = first.send(
            first.entry(written=local(date(2026, 3, 2), 10), fields=USUAL | {"pain": "9"})
        )
        assert late.json["counts"]
        second.send(second.entry(fields=USUAL | {"pain": "1"}))

    assert clinic.counting(first) == 1
    assert len(clinic.reports(first)) == 2


# ---- after a backup --------------------------------------------------------------------------


def test_the_phone_learns_which_of_its_reports_are_missing_and_nothing_else(clinic: Clinic):
    phone, stranger = clinic.phone(), clinic.phone()
    with at(EVENING):
        own, foreign = phone.entry(), stranger.entry()
        phone.send(own)
        stranger.send(foreign)
        asked = [own["key"], foreign["key"], str(uuid4())]
        unknown = phone.check(asked).json["unknown"]

    assert unknown == asked[1:]


@pytest.mark.parametrize("keys", [None, "x", [1], ["short"], ["x" * 20] * 201, {"a": 1}])
def test_only_lists_of_keys_can_be_asked_for(clinic: Clinic, keys: object):
    with at(EVENING):
        assert clinic.phone().check(keys).status_code == 400


# ---- attacks ---------------------------------------------------------------------------------


def test_another_patients_trial_and_key_are_out_of_reach(clinic: Clinic):
    phone, victim = clinic.phone(), clinic.phone()
    with at(EVENING):
        stolen = victim.entry()
        victim.send(stolen)
        assert phone.send(phone.entry(trial=victim.trial.public_id)).status_code == 409
        reused = phone.send(phone.entry(key=stolen["key"]))

    assert reused.status_code == 409
    assert "sent before" not in reused.text
    assert clinic.reports(phone) == []
    assert len(clinic.reports(victim)) == 1


MALFORMED: dict[str, Any] = {
    "no key": {"key": None},
    "a short key": {"key": "1"},
    "a key with a quote": {"key": "'" * 20},
    "a day that is a number": {"day": 20260301},
    "fields that are a list": {"fields": ["pain"]},
    "a field that is a number": {"fields": {"pain": 4}},
    "half a character": {"fields": USUAL | {"note": "\ud800"}},
    "too many fields": {"fields": {f"side_effect-{n}": "0" for n in range(61)}},
    "a field too long": {"fields": USUAL | {"note": "x" * 4001}},
    "a time that is a text": {"written_at": "2026-03-01"},
    "a time that is true": {"written_at": True},
    "a time beyond all calendars": {"written_at": 10**20},
    "a time before us": {"sent_at": -(10**13)},
    "an error of the clock beyond a life": {"ahead": 10**15},
    "a fraction of a report": {"known": 0.5},
    "fewer than no reports": {"known": -1},
}


@pytest.mark.parametrize("wrong", MALFORMED.values(), ids=list(MALFORMED))
def test_what_our_script_never_sends_is_refused(clinic: Clinic, wrong: dict[str, Any]):
    phone = clinic.phone()
    with at(EVENING):
        answer = phone.send(phone.entry() | wrong)

    assert answer.status_code == 400
    assert answer.json["reason"] == "malformed"
    assert clinic.reports(phone) == []


def test_what_is_no_report_at_all_is_refused(clinic: Clinic):
    phone = clinic.phone()
    huge = phone.entry() | {"more": "x" * LARGEST_BODY}
    with at(EVENING):
        assert phone.send(huge).status_code == 400
        for body in (b"", b"{", b"[]", b"null", b"[" * 10_000, b"\xff\xfe"):
            answer = phone.client.post(
                "/offline/entry", data=body, content_type="application/json", headers=JSON
            )
            assert answer.status_code == 400
        form = phone.client.post("/offline/entry", data=USUAL, headers=JSON)
        assert form.status_code == 400
    assert clinic.reports(phone) == []


def test_a_day_that_is_none_is_refused_with_a_sentence(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING):
        for day in ("2026-02-30", "yesterday", "2026-02-01", ""):
            assert phone.send(phone.entry(day=day)).status_code == 409


def test_control_characters_are_left_out_as_in_forms(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING):
        phone.send(phone.entry(fields=USUAL | {"note": "a\x00b\nc"}))

    assert clinic.reports(phone)[0].note == "ab\nc"


def test_what_is_missing_is_said_and_not_kept(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING):
        answer = phone.send(phone.entry(fields={"pain": "11", "any_side_effects": "yes"}))

    assert answer.status_code == 422
    assert set(answer.json["errors"]) == {"pain", "bother", "intake"}
    assert clinic.reports(phone) == []


def test_a_pause_and_the_answer_close_the_diary_for_phones_too(clinic: Clinic):
    paused = clinic.phone()
    with clinic.sessions.begin() as session:
        trial = session.get_one(TrialRow, paused.trial.id)
        pause_trial(
            session, clinic.clinician, trial, revision=trial.revision, reason="Flu.", now=NOON
        )
    ended = clinic.phone(make_completed)
    with clinic.sessions.begin() as session:
        trial = session.get_one(TrialRow, ended.trial.id)
        make_fit(session, clinic.analyst, trial, evening(DAY + timedelta(days=30)))
    with at(EVENING):
        assert paused.send(paused.entry()).status_code == 409
    before = len(clinic.reports(ended))
    last = DAY + timedelta(days=27)
    with at(evening(last, 21)):
        answer = ended.send(ended.entry(written=evening(last), day=last.isoformat()))
    assert answer.status_code == 409
    assert "worked out" in answer.json["error"]
    assert len(clinic.reports(ended)) == before


def test_without_a_device_the_script_is_told_why(clinic: Clinic):
    phone = clinic.phone()
    stranger = clinic.app.test_client()
    with clinic.sessions.begin() as session:
        patient = session.get_one(TrialRow, phone.trial.id).patient
        revoke_all(session, clinic.clinician, patient, now=NOON)
    with at(EVENING):
        entry = phone.entry()
        for ask in (phone.pack, lambda: phone.send(entry), lambda: phone.check([])):
            answer = ask()
            assert (answer.status_code, answer.json) == (401, {"reason": "revoked"})
        unknown = stranger.get("/offline/pack", headers=JSON)
        assert (unknown.status_code, unknown.json) == (401, {"reason": "unknown"})
        assert stranger.post("/offline/entry", json=entry, headers=JSON).status_code == 401
        assert stranger.get("/offline/pack").status_code == 303  # a person is shown the door
    assert clinic.reports(phone) == []


def test_another_site_cannot_send_in_the_patients_name(
    database_url: str, sessions: sessionmaker[Session], tmp_path: Path
):
    clinic = open_clinic(database_url, sessions, tmp_path)
    phone = clinic.phone()
    with at(EVENING):
        entry = phone.entry()
        assert phone.send(entry).status_code == 400
        token = phone.pack().headers["X-CSRFToken"]
        kept = phone.client.post(
            "/offline/entry", json=entry, headers={**JSON, "X-CSRFToken": token}
        )
    assert kept.status_code == 200
    assert len(clinic.reports(phone)) == 1
    close_app(clinic.app)


# ---- what a phone takes along ----------------------------------------------------------------


def test_the_pack_holds_two_weeks_of_hours_and_no_answer(clinic: Clinic):
    phone = clinic.phone()
    with clinic.sessions.begin() as session:
        fill_day(session, session.get_one(TrialRow, phone.trial.id), DAY, pain=7)
    with at(EVENING):
        told = phone.pack().json

    assert told["now"] == milliseconds(EVENING)
    assert told["clinic"] == {"name": "Riverside Pain Clinic", "phone": "+49 30 1234567"}
    assert (told["zone"], told["place"], told["lang"]) == ("Europe/Berlin", "Berlin", "en")
    days = told["days"]
    assert [d["day"] for d in days] == [str(DAY + timedelta(days=n)) for n in range(15)]
    first = days[0]
    assert first["opens"] == milliseconds(local(DAY, 17))
    assert first["ends"] == milliseconds(local(date(2026, 3, 2), 0))
    assert first["closes"] == milliseconds(local(date(2026, 3, 2), 3))
    assert first["late_until"] == milliseconds(local(date(2026, 3, 3), 0))
    assert [d["known"] for d in days[:2]] == [1, 0]
    assert set(first) == {
        "day", "name", "opens", "ends", "closes", "late_until", "known", "kit", "treatment",
        "times",
    }  # fmt: skip


def test_a_blinded_pack_knows_boxes_and_an_open_one_treatments(clinic: Clinic):
    blinded, opened = clinic.phone(), clinic.phone(protocol=open_protocol())
    with at(EVENING):
        boxes, named = blinded.pack(), opened.pack()

    with clinic.sessions() as session:
        kits = {p.kit for p in periods_of_trial(session, blinded.trial.id)}
    assert {re.sub(r"\s", "", d["kit"]) for d in boxes.json["days"]} <= kits
    assert {d["treatment"] for d in boxes.json["days"]} == {""}
    for name in ("Ibuprofen", "Amitriptyline", "ibuprofen"):
        assert name not in boxes.text
    assert {d["treatment"].split()[0] for d in named.json["days"]} == {
        "Ibuprofen",
        "Amitriptyline",
    }


def test_a_pack_without_a_diary_is_empty_and_has_no_form(clinic: Clinic):
    phone = clinic.phone(make_ready)
    with at(EVENING):
        told = phone.pack().json
        shell = phone.client.get("/offline/diary")

    assert (told["trial"], told["days"]) == ("", [])
    assert shell.status_code == 409


def test_the_edition_changes_with_the_questions_and_with_the_program(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
):
    phone = clinic.phone()
    with at(EVENING):
        first, again = phone.pack().json["edition"], phone.pack().json["edition"]
        monkeypatch.setattr(pack, "version", lambda: "another")
        assert first == again != phone.pack().json["edition"]


def test_the_shells_name_nobody_and_need_no_file_that_is_not_kept(clinic: Clinic):
    phone = clinic.phone()
    with at(EVENING):
        addresses = phone.pack().json["shells"].values()
        pages = [phone.client.get(address).text for address in addresses]

    for page in pages:
        assert phone.trial.patient.name not in page
        needed = set(re.findall(r'(?:src|href)="/static/([^"]+)"', page))
        assert needed <= set(pack.FILES)
    for name in pack.FILES:
        text = (pack.STATIC / name).read_bytes()
        folder = Path(name).parent
        if name.endswith((".js", ".mjs")):
            for wanted in re.findall(rb'from "\./([^"]+)"', text):
                assert (folder / wanted.decode()).as_posix() in pack.FILES
        if name.endswith("css") and "vendor" not in name:
            for wanted in re.findall(rb'url\("([^":]+)"\)', text):
                assert wanted.decode() in pack.FILES


def test_the_worker_covers_the_patients_pages_alone_and_is_asked_for_anew_each_time(clinic: Clinic):
    response = clinic.app.test_client().get("/service-worker.js")

    assert response.mimetype == "text/javascript"
    assert response.headers["Cache-Control"] == "no-store"
    pages = re.search(r'"pages": \[(.*?)\]', response.text, re.DOTALL)
    assert pages
    found = set(re.findall(r'"(/[^"]*)"', pages[1]))
    assert {"/today", "/diary", "/entries", "/result", "/clinic"} <= found
    assert not found & {"/", "/trials", "/login", "/admin", "/static", "/i"}


def test_the_manifest_speaks_the_patients_language_and_begins_today(clinic: Clinic):
    told = clinic.app.test_client().get("/app.webmanifest").get_json(force=True)

    assert (told["start_url"], told["display"], told["lang"]) == ("/today", "standalone", "en")
    assert {(icon["sizes"], icon["purpose"]) for icon in told["icons"]} >= {
        ("192x192", "any"),
        ("512x512", "any"),
        ("512x512", "maskable"),
    }
    for icon in told["icons"]:
        with clinic.app.test_client().get(icon["src"]) as image:
            assert image.status_code == 200


# ---- photos ----------------------------------------------------------------------------------


def test_a_photo_follows_its_report_once_and_a_lost_one_is_asked_for(clinic: Clinic):
    phone = clinic.phone()
    entry = phone.entry()
    with at(EVENING):
        before = phone.send_photo(entry["key"], a_photo())
        key = phone.send(entry).json["kept_as"]
        asked = {"keys": [key], "photos": [key]}
        missing = phone.client.post("/offline/check", json=asked, headers=JSON)
        sent = [phone.send_photo(key, a_photo()) for _again in range(2)]
        found = phone.client.post("/offline/check", json=asked, headers=JSON)

    assert (before.status_code, before.json["reason"]) == (409, "closed")
    assert missing.json == {
        "unknown": [],
        "unknown_photos": [key],
        "unknown_calls": [],
        "erased": [],
    }
    assert [answer.json for answer in sent] == [{"kept": True}] * 2
    assert found.json == {"unknown": [], "unknown_photos": [], "unknown_calls": [], "erased": []}
    with clinic.sessions() as session:
        assert len(session.scalars(select(PhotoRow.id)).all()) == 1


def test_a_photo_that_is_none_or_of_somebody_else_is_refused_with_a_sentence(clinic: Clinic):
    phone, other = clinic.phone(), clinic.phone()
    with at(EVENING):
        key = phone.send(phone.entry()).json["kept_as"]
        none = phone.send_photo(key, b"<svg/>")
        foreign = other.send_photo(key, a_photo())
        nothing = phone.client.post("/offline/photo", data={"key": key}, headers=JSON)

    assert (none.status_code, none.json["reason"]) == (422, "photo")
    assert "no photo that can be read" in none.json["error"]
    assert foreign.status_code == 409
    assert nothing.status_code == 400
    with clinic.sessions() as session:
        assert session.scalars(select(PhotoRow.id)).all() == []


def test_without_a_diary_no_form_is_kept(clinic: Clinic):
    phone = clinic.phone(make=make_ready)
    with at(EVENING):
        assert set(phone.pack().json["shells"]) == {"today", "away", "help", "mood"}
