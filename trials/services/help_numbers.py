"""The numbers a patient calls: those of the site's country, unless its administrator set others."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType

from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import AccountError
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_role
from trials.services.catalogue import read_rows
from trials.store.account import SiteRow
from trials.store.safety_contact import SafetyContactRow, safety_contact_of

EVERYWHERE = ("112", "911")
"""Emergency in Europe and in North America, where no country is known."""
FIELDS = (
    "country",
    "emergency",
    "crisis_name",
    "crisis",
    "poison",
    "on_call_name",
    "on_call_email",
)
_NUMBER = re.compile(r"\+?[0-9][0-9 ()/-]{1,24}")
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class HelpNumbers:
    """Whom to call.

    Attributes:
        emergency: one number, or those of Europe and North America where no country is known.
        crisis_name: of the crisis line, "" if none is known.
        crisis: its number, "" likewise.
        poison: of the poison information, "" likewise.
        clinic_name: of the clinic.
        clinic: its telephone number, "" if none is given.
    """

    emergency: tuple[str, ...]
    crisis_name: str
    crisis: str
    poison: str
    clinic_name: str
    clinic: str


@dataclass(frozen=True, slots=True)
class Country:
    """The usual numbers of a country, from trials/data/help_numbers.csv."""

    code: str
    name: str
    emergency: str
    crisis_name: str
    crisis: str
    poison: str
    source: str
    confidence: str


@cache
def countries() -> Mapping[str, Country]:
    """Return the countries whose numbers are known, by code."""
    return MappingProxyType(
        {
            row["country"]: Country(
                row["country"],
                row["name"],
                row["emergency"],
                row["crisis_name"],
                row["crisis"],
                row["poison"],
                row["source"],
                row["confidence"],
            )
            for row in read_rows("help_numbers.csv")
        }
    )


def help_numbers(session: Session, site: SiteRow) -> HelpNumbers:
    """Return the numbers that patients of this site are shown."""
    own = safety_contact_of(session, site.id)
    usual = countries().get(own.country)
    emergency = own.emergency or (usual.emergency if usual else "")
    return HelpNumbers(
        emergency=(emergency,) if emergency else EVERYWHERE,
        crisis_name=own.crisis_name or (usual.crisis_name if usual and not own.crisis else ""),
        crisis=own.crisis or (usual.crisis if usual else ""),
        poison=own.poison or (usual.poison if usual else ""),
        clinic_name=site.name,
        clinic=site.phone,
    )


def typed_of(session: Session, actor: Actor) -> dict[str, str]:
    """Return what the administrator's site set, by field."""
    require_role(actor, Role.ADMINISTRATOR)
    row = safety_contact_of(session, actor.site_id or 0)
    return {name: getattr(row, name) for name in FIELDS}


def edit_help_numbers(
    session: Session, actor: Actor, typed: Mapping[str, str], *, now: datetime
) -> None:
    """Set the numbers and the on-call contact of the administrator's site.

    Raises:
        AccountError: an unknown country, or what is no number or address.
    """
    require_role(actor, Role.ADMINISTRATOR)
    values = {name: typed.get(name, "").strip() for name in FIELDS}
    _check(values)
    site = session.get_one(SiteRow, actor.site_id)
    row = session.get(SafetyContactRow, site.id)
    before = None if row is None else {name: getattr(row, name) for name in FIELDS}
    if row is None:
        row = SafetyContactRow(site_id=site.id)
        session.add(row)
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    after: dict[str, object] = dict(values)
    if before != after:
        record(
            session,
            actor,
            "edit_help_numbers",
            f"site:{site.public_id}",
            now,
            before=before,
            after=after,
        )


def _check(values: Mapping[str, str]) -> None:
    if values["country"] and values["country"] not in countries():
        raise AccountError(_("Choose a country from the list, or none."))
    for name in ("emergency", "crisis", "poison"):
        if values[name] and not _NUMBER.fullmatch(values[name]):
            raise AccountError(
                _("%(number)s is no telephone number: please use digits."), number=values[name]
            )
    for name in ("crisis_name", "on_call_name"):
        if len(values[name]) > LONGEST_NAME:
            raise AccountError(_("A name may have up to 80 characters."))
    if values["on_call_email"] and not _EMAIL.fullmatch(values["on_call_email"]):
        raise AccountError(_("The address of the on-call contact is no e-mail address."))
