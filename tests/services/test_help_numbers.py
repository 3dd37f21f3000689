"""A patient is shown the numbers of the country, or those of the site that knows better."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.builders import make_actor, make_site
from trials.domain.blinding import Role
from trials.domain.errors import AccountError, NotAllowedError
from trials.services.help_numbers import (
    EVERYWHERE,
    FIELDS,
    countries,
    edit_help_numbers,
    help_numbers,
    typed_of,
)
from trials.store.audit import AuditRow


@pytest.fixture
def site(session: Session):
    site = make_site(session)
    site.phone = "+49 30 1234567"
    return site


@pytest.fixture
def keeper(session: Session, site):
    return make_actor(session, site, Role.ADMINISTRATOR)


def test_every_promised_country_has_all_its_numbers_and_a_source():
    assert set(countries()) == {"AT", "CH", "DE", "ES", "FR", "GB", "IE", "US"}
    for country in countries().values():
        assert all((country.emergency, country.crisis, country.poison, country.source))
        assert country.confidence


def test_without_a_country_both_emergency_numbers_are_shown(session: Session, site):
    numbers = help_numbers(session, site)

    assert numbers.emergency == EVERYWHERE == ("112", "911")
    assert (numbers.crisis, numbers.poison) == ("", "")
    assert numbers.clinic == "+49 30 1234567"


def test_a_country_brings_its_numbers(session: Session, site, keeper, now):
    edit_help_numbers(session, keeper, {"country": "CH"}, now=now)

    numbers = help_numbers(session, site)
    assert numbers.emergency == ("144",)
    assert (numbers.crisis, numbers.poison) == ("143", "145")


def test_a_number_of_the_site_stands_in_the_place_of_the_usual_one(
    session: Session, site, keeper, now
):
    typed = {"country": "DE", "poison": "0551 19240", "crisis": "116 123", "emergency": "110"}
    edit_help_numbers(session, keeper, typed, now=now)

    numbers = help_numbers(session, site)
    assert (numbers.emergency, numbers.poison) == (("110",), "0551 19240")
    assert (numbers.crisis_name, numbers.crisis) == ("", "116 123")  # not under the usual name


@pytest.mark.parametrize(
    "typed",
    [
        {"country": "XX"},
        {"emergency": "call us"},
        {"crisis": "javascript:alert(1)"},
        {"poison": "+49"[:1]},
        {"on_call_email": "nobody"},
        {"on_call_name": "x" * 81},
    ],
)
def test_what_cannot_be_dialled_or_written_to_is_refused(
    session: Session, site, keeper, now, typed
):
    with pytest.raises(AccountError):
        edit_help_numbers(session, keeper, typed, now=now)
    assert typed_of(session, keeper) == dict.fromkeys(FIELDS, "")


def test_a_change_is_in_the_trail_with_what_was_and_what_is(session: Session, keeper, now):
    edit_help_numbers(session, keeper, {"country": "DE"}, now=now)
    edit_help_numbers(session, keeper, {"country": "AT"}, now=now)
    edit_help_numbers(session, keeper, {"country": "AT"}, now=now)

    rows = session.scalars(select(AuditRow).where(AuditRow.action == "edit_help_numbers")).all()
    assert [(r.before or {}).get("country") for r in rows] == [None, "DE"]
    assert [(r.after or {}).get("country") for r in rows] == ["DE", "AT"]


@pytest.mark.parametrize("role", [Role.CLINICIAN, Role.PHARMACIST, Role.ANALYST])
def test_only_the_administrator_changes_numbers(session: Session, site, now, role: Role):
    with pytest.raises(NotAllowedError):
        edit_help_numbers(session, make_actor(session, site, role), {"country": "DE"}, now=now)
