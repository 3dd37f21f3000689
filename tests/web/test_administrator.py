"""What an administrator does, and must never see."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tests.builders import actor_for, make_account, make_running, make_site
from tests.plugins.web import Visitor
from trials.domain.blinding import Role
from trials.services.accounts import role_of
from trials.services.running import stop_trial
from trials.store.account import AccountRow, SiteRow
from trials.store.audit import AuditRow
from trials.store.outbox import MessageRow
from trials.store.process import see_process


@pytest.fixture
def site(session: Session) -> SiteRow:
    return make_site(session)


@pytest.fixture
def administrator(session: Session, site: SiteRow) -> AccountRow:
    account = make_account(session, site, Role.ADMINISTRATOR, name="Adam")
    session.commit()
    return account


@pytest.fixture
def admin(visitor: Visitor, administrator: AccountRow) -> Visitor:
    visitor.sign_in(administrator)
    return visitor


@pytest.fixture
def colleague(session: Session, site: SiteRow) -> AccountRow:
    account = make_account(session, site, Role.CLINICIAN, name="Clara")
    account.email = "clara@clinic.example"
    session.commit()
    return account


def test_the_administrator_starts_with_the_people_of_the_own_site(
    admin: Visitor, session: Session, colleague
):
    make_account(session, make_site(session, "Elsewhere"), Role.ANALYST, name="Stranger")
    session.commit()

    assert admin.get("/start").headers["Location"] == "/admin/people"
    page = admin.get("/admin/people").text
    assert "Clara" in page
    assert "Stranger" not in page


def test_a_new_person_gets_a_link_to_set_a_password(
    app, admin: Visitor, session: Session, administrator
):
    added = admin.submit(
        "/admin/people/new", name="Pia", email="Pia@clinic.example ", role="pharmacist"
    )

    assert added.status_code == 303
    account = session.scalars(select(AccountRow).where(AccountRow.name == "Pia")).one()
    assert (account.email, role_of(account)) == ("pia@clinic.example", Role.PHARMACIST)
    assert account.site_id == administrator.site_id
    message = session.scalars(select(MessageRow)).one()
    assert message.recipient == "pia@clinic.example"
    session.commit()
    link = message.body.split("http://127.0.0.1:8000")[1].split()[0]
    newcomer = app.test_client()
    newcomer.submit(link, password="a phrase of hers", password_confirm="a phrase of hers")
    entered = newcomer.submit("/login", email="pia@clinic.example", password="a phrase of hers")
    assert entered.headers["Location"] == "/start"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "", "email": "x@y.example", "role": "analyst"}, "A name is needed."),
        ({"name": "Pia", "email": "pia", "role": "analyst"}, "An e-mail address looks like"),
        ({"name": "Pia", "email": "x@y.example", "role": "patient"}, "Choose a role."),
        ({"name": "Pia", "email": "x@y.example"}, "Choose a role."),
    ],
)
def test_a_form_with_a_mistake_comes_back_as_it_was_typed(
    admin: Visitor, session: Session, fields: dict[str, str], sentence: str
):
    refused = admin.submit("/admin/people/new", **fields)

    assert refused.status_code == 422
    assert sentence in refused.text
    assert f'value="{fields["email"]}"' in refused.text
    assert session.scalars(select(MessageRow)).all() == []


def test_an_address_belongs_to_one_account(admin: Visitor, colleague):
    refused = admin.submit(
        "/admin/people/new", name="Twin", email=colleague.email.upper(), role="analyst"
    )

    assert refused.status_code == 422
    assert "already" in refused.text


def test_people_are_shut_out_let_in_and_given_another_role(
    admin: Visitor, session: Session, colleague
):
    page = f"/admin/people/{colleague.public_id}"

    admin.submit(f"{page}/deactivate", page)
    session.refresh(colleague)
    assert not colleague.active
    session.commit()
    admin.submit(f"{page}/reactivate", page)
    admin.submit(f"{page}/role", page, role="analyst")

    session.expire_all()
    assert colleague.active
    assert role_of(colleague) is Role.ANALYST
    actions = session.scalars(select(AuditRow.action).order_by(AuditRow.number)).all()
    assert list(actions) == ["deactivate_account", "reactivate_account", "change_role"]


def test_nobody_changes_the_own_account(admin: Visitor, session: Session, administrator):
    page = f"/admin/people/{administrator.public_id}"

    refused = admin.submit(f"{page}/deactivate", "/admin/people/new")

    assert refused.status_code == 422
    assert "another administrator" in refused.text
    session.expire_all()
    assert administrator.active


def test_a_lost_second_step_is_taken_away(admin: Visitor, session: Session, colleague):
    colleague.tf_primary_method, colleague.tf_totp_secret = "authenticator", "sealed"
    session.commit()
    page = f"/admin/people/{colleague.public_id}"

    admin.submit(f"{page}/second-step", page)

    session.expire_all()
    assert colleague.tf_primary_method is None


def test_the_site_is_edited_and_its_old_name_stays_in_the_trail(
    admin: Visitor, session: Session, site: SiteRow
):
    refused = admin.submit("/admin/site", name="New", timezone="Europe/Nowhere", locale="en")
    assert refused.status_code == 422
    assert "Europe/Nowhere" in refused.text
    letters = {"name": "New", "timezone": "Asia/Tokyo", "locale": "de", "phone": "ask Anna"}
    assert admin.submit("/admin/site", **letters).status_code == 422
    admin.submit("/admin/site", **letters | {"phone": "+81 3 1234 5678"})

    session.expire_all()
    assert (site.name, site.timezone, site.locale) == ("New", "Asia/Tokyo", "de")
    record = session.scalars(select(AuditRow)).one()
    assert record.before == {
        "name": "Pain clinic",
        "timezone": "Europe/Berlin",
        "locale": "en",
        "phone": "",
    }
    assert record.after["phone"] == site.phone == "+81 3 1234 5678"


def test_the_trail_shows_who_did_what_but_nothing_clinical(
    admin: Visitor, session: Session, site: SiteRow, colleague, now
):
    clinician = actor_for(colleague, Role.CLINICIAN)
    trial = make_running(session, clinician, now)
    stop_trial(session, clinician, trial, revision=trial.revision, reason="Severe rash.", now=now)
    foreign = make_account(session, make_site(session, "Elsewhere"), Role.CLINICIAN, name="Zoe")
    make_running(session, actor_for(foreign, Role.CLINICIAN), now)
    session.commit()

    page = admin.get("/admin/audit").text

    assert "Clara" in page
    assert "Zoe" not in page
    for clinical in ("Severe rash", "Back pain", "stopped", trial.patient.name, trial.patient.code):
        assert clinical not in page


def test_the_chain_is_checked(admin: Visitor, session: Session, colleague, now):
    make_running(session, actor_for(colleague, Role.CLINICIAN), now)
    session.commit()

    assert "Every record fits" in admin.get("/admin/audit/check").text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_broken_chain_is_named_by_its_record(admin: Visitor, session: Session, colleague, now):
    make_running(session, actor_for(colleague, Role.CLINICIAN), now)
    session.execute(text("DROP TRIGGER audit_no_update"))
    session.execute(text("UPDATE audit SET why = 'forged' WHERE number = 2"))
    session.commit()

    assert "From record 2 on" in admin.get("/admin/audit/check").text


def test_the_state_of_the_system_counts_what_waits(admin: Visitor, session: Session):
    from datetime import UTC, datetime, timedelta

    at = datetime.now(UTC)
    assert "No scheduler was ever seen" in admin.get("/admin/condition").text
    see_process(session, "host:1", "scheduler", at)
    see_process(session, "host:2", "worker", at - timedelta(hours=1))
    session.add(
        MessageRow(
            occasion="o",
            trial_id=None,
            recipient="secret@patient.example",
            subject="s",
            body="b",
            due_at=at - timedelta(hours=2),
        )
    )
    session.commit()

    page = admin.get("/admin/condition").text

    assert "running" in page
    assert "not seen" in page
    assert "behind" in page
    assert "secret@patient.example" not in page
