"""The pharmacist's pages: the allocation is read on purpose and on record, and never changed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import (
    PROTOCOL,
    VAULT,
    actor_for,
    make_account,
    make_draft,
    make_ready,
    make_running,
    make_site,
    open_protocol,
)
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.services.actor import Actor
from trials.services.allocation import kits_of, masked_sequence, openings, sealed_arm_key
from trials.services.running import stop_trial
from trials.store.account import AccountRow, SiteRow
from trials.store.audit import records_of_trial
from trials.store.outbox import MessageRow
from trials.store.trial import TrialRow

NOW = datetime.now(UTC)
EMERGENCY = {
    "period": "2",
    "reason": "overdose",
    "explanation": "Found with an empty box",
    "sure": "yes",
}


@pytest.fixture
def site(session: Session) -> SiteRow:
    return make_site(session)


@pytest.fixture
def clinician(session: Session, site: SiteRow) -> Actor:
    return actor_for(make_account(session, site, Role.CLINICIAN), Role.CLINICIAN)


@pytest.fixture
def account(session: Session, site: SiteRow) -> AccountRow:
    return make_account(session, site, Role.PHARMACIST, name="Pia Pharm")


@pytest.fixture
def pharmacist(session: Session, visitor: Visitor, account: AccountRow) -> Visitor:
    """A browser signed in as the pharmacist."""
    session.commit()
    visitor.sign_in(account)
    return visitor


def address(trial: TrialRow, page: str = "") -> str:
    return f"/pharmacist/trials/{trial.public_id}{'/' + page if page else ''}"


def deeds(session: Session, trial: TrialRow) -> list[str]:
    """Return what the audit trail holds, newest first; the lock of reading is given back."""
    session.rollback()
    found = [record.action for record in records_of_trial(session, trial.id)]
    session.refresh(trial)
    session.commit()
    return found


def treatments(session: Session, trial: TrialRow) -> list[str]:
    """Return the name of each period's treatment."""
    key = sealed_arm_key(session, VAULT, trial)
    names = [
        PROTOCOL.candidate(key[label]).name for label in masked_sequence(session, VAULT, trial)
    ]
    session.commit()
    return names


def test_the_list_shows_drawn_trials_and_puts_ended_ones_behind(pharmacist, session, clinician):
    draft = make_draft(session, clinician, NOW)
    ready = make_ready(session, clinician, NOW)
    stopped = make_running(session, clinician, NOW)
    stop_trial(session, clinician, stopped, revision=stopped.revision, reason="x", now=NOW)
    codes = [t.patient.code for t in (draft, ready, stopped)]
    session.commit()

    text = pharmacist.get("/pharmacist/trials").text
    past = pharmacist.get("/pharmacist/trials?past=yes").text

    assert [code in text for code in codes] == [False, True, False]
    assert [code in past for code in codes] == [False, True, True]
    assert pharmacist.get(address(draft)).status_code == 404


def test_the_dispensing_list_says_what_is_in_which_kit_and_every_reading_is_recorded(
    pharmacist, session, clinician
):
    trial = make_running(session, clinician, NOW)
    kits = kits_of(session, VAULT, trial)
    names = treatments(session, trial)

    first = pharmacist.submit(address(trial, "dispensing"), address(trial)).text
    pharmacist.submit(address(trial, "dispensing"), address(trial))

    rows = first.split("<tbody")[1].split("</tbody>")[0].split('<tr role="row">')[1:]
    assert len(rows) == 4
    for row, kit, name in zip(rows, kits, names, strict=True):
        assert kit in row
        assert name in row
    assert "Contains the allocation" in first
    assert "Pia Pharm" in first
    assert deeds(session, trial).count("read_dispensing_list") == 2


def test_opening_the_trial_alone_reads_no_allocation(pharmacist, session, clinician):
    trial = make_running(session, clinician, NOW)
    kits = kits_of(session, VAULT, trial)
    session.commit()

    text = pharmacist.get(address(trial)).text

    assert not any(kit in text for kit in kits)
    assert "read_dispensing_list" not in deeds(session, trial)
    assert pharmacist.get(address(trial, "dispensing")).status_code == 405


def test_labels_carry_the_kit_and_no_treatment(pharmacist, session, clinician):
    trial = make_running(session, clinician, NOW)
    kits = kits_of(session, VAULT, trial)
    code, public_id = trial.patient.code, trial.public_id
    session.commit()

    text = pharmacist.get(address(trial, "labels")).text

    assert [text.count(f"Kit {kit}") for kit in kits] == [1, 1, 1, 1]
    for needed in (code, public_id, "For clinical trial use", "Batch", "Expiry", "below 25"):
        assert text.count(needed) >= 4
    for candidate in PROTOCOL.candidates:
        assert candidate.name not in text
        assert candidate.dose not in text
    assert "read_dispensing_list" not in deeds(session, trial)


def test_an_emergency_shows_one_treatment_once_and_tells_the_clinician_without_it(
    pharmacist, session, clinician
):
    trial = make_running(session, clinician, NOW)
    expected = treatments(session, trial)[1]
    page = address(trial, "emergency")

    opened = pharmacist.submit(page, **EMERGENCY)
    later = pharmacist.get(address(trial)).text

    assert opened.status_code == 200
    assert expected in opened.text
    other = next(c.name for c in PROTOCOL.candidates if c.name != expected)
    assert other not in opened.text
    assert "Found with an empty box" in later
    assert deeds(session, trial)[0] == "unblind_period"
    assert [(o.period, o.by) for o in openings(session, trial)] == [(2, "Pia Pharm")]
    message = session.scalars(select(MessageRow)).one()
    whole = f"{message.subject} {message.body}"
    assert "period 2" in whole
    assert "an overdose" in whole
    assert trial.public_id in whole  # where to look
    for candidate in PROTOCOL.candidates:
        assert candidate.name not in whole
    assert "empty box" not in whole


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("period", ""),
        ("period", "second"),
        ("reason", ""),
        ("reason", "release"),
        ("reason", "curiosity"),
        ("explanation", "  "),
        ("sure", ""),
    ],
)
def test_an_emergency_without_identity_of_reason_opens_nothing(
    pharmacist, session, clinician, field, value
):
    trial = make_running(session, clinician, NOW)
    session.commit()

    response = pharmacist.submit(address(trial, "emergency"), **{**EMERGENCY, field: value})

    assert response.status_code == 422
    assert f'href="#{field}"' in response.text
    if field != "explanation":
        assert "Found with an empty box" in response.text
    assert "unblind_period" not in deeds(session, trial)


def test_a_period_that_does_not_exist_opens_nothing(pharmacist, session, clinician):
    trial = make_running(session, clinician, NOW)
    session.commit()

    response = pharmacist.submit(address(trial, "emergency"), **{**EMERGENCY, "period": "99"})

    assert "This trial has no period 99." in response.text
    assert "Found with an empty box" in response.text
    assert "unblind_period" not in deeds(session, trial)


def test_an_open_trial_has_nothing_to_open(pharmacist, session, clinician):
    trial = make_running(session, clinician, NOW, open_protocol())
    session.commit()

    text = pharmacist.get(address(trial)).text
    response = pharmacist.submit(address(trial, "emergency"), **EMERGENCY)

    assert "Open a code" not in text
    assert response.status_code == 409
    assert "This trial is open: there is nothing to unblind." in response.text


def test_who_signed_in_long_ago_gives_the_password_again_first(
    visitor, session, clinician, account
):
    trial = make_running(session, clinician, NOW)
    session.commit()
    visitor.sign_in(account, minutes_ago=60)

    asked = visitor.get(address(trial, "emergency"))
    sent = visitor.submit(address(trial, "emergency"), address(trial), **EMERGENCY)

    for response in (asked, sent):
        assert response.status_code == 303
        assert "verify" in response.headers["Location"]
    assert "unblind_period" not in deeds(session, trial)


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.ANALYST, Role.ADMINISTRATOR])
def test_nobody_else_gets_in(visitor, session, site, clinician, role):
    trial = make_running(session, clinician, NOW)
    other = make_account(session, site, role)
    session.commit()
    visitor.sign_in(other)
    token = visitor.token("/account")

    for page in ("", "labels", "emergency"):
        assert visitor.get(address(trial, page)).status_code == 403, page
    for page in ("dispensing", "emergency"):
        response = visitor.post(address(trial, page), data={"csrf_token": token, **EMERGENCY})
        assert response.status_code == 403
    assert {"unblind_period", "read_dispensing_list"}.isdisjoint(deeds(session, trial))


def test_the_pharmacist_of_another_site_finds_nothing(visitor, session, clinician):
    trial = make_running(session, clinician, NOW)
    stranger = make_account(session, make_site(session, "Elsewhere"), Role.PHARMACIST)
    session.commit()
    visitor.sign_in(stranger)
    token = visitor.token("/account")

    for page in ("", "labels", "emergency"):
        assert visitor.get(address(trial, page)).status_code == 404, page
    for page in ("dispensing", "emergency"):
        response = visitor.post(address(trial, page), data={"csrf_token": token, **EMERGENCY})
        assert response.status_code == 404
    assert {"unblind_period", "read_dispensing_list"}.isdisjoint(deeds(session, trial))


def test_no_page_of_the_pharmacist_changes_a_trial(app, pharmacist, session, clinician):
    """Whatever is posted, the allocation stays what it was."""
    trial = make_running(session, clinician, NOW - timedelta(days=1))
    before = treatments(session, trial)
    revision = trial.revision
    token = pharmacist.token(address(trial))
    posts = [
        rule.rule.replace("<trial>", trial.public_id)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("pharmacist.") and "POST" in (rule.methods or ())
    ]
    assert posts

    for path in posts:
        pharmacist.post(
            path,
            data={"csrf_token": token, **EMERGENCY, "sequence": "AABB", "revision": revision},
        )

    session.rollback()
    assert treatments(session, trial) == before
    session.refresh(trial)
    assert trial.revision == revision
