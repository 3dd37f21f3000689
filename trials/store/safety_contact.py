"""Whom a site's patients call, and who is told when nobody at the clinic answers."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from trials.store.base import Base


class SafetyContactRow(Base, kw_only=True):
    """What a site's administrator set; an empty text means the usual one of the country."""

    __tablename__ = "safety_contact"

    site_id: Mapped[int] = mapped_column(ForeignKey("site.id"), primary_key=True)
    country: Mapped[str] = mapped_column(default="")  # two letters; "" if none was chosen
    emergency: Mapped[str] = mapped_column(default="")
    crisis_name: Mapped[str] = mapped_column(default="")
    crisis: Mapped[str] = mapped_column(default="")
    poison: Mapped[str] = mapped_column(default="")
    on_call_name: Mapped[str] = mapped_column(default="")
    on_call_email: Mapped[str] = mapped_column(default="")


def safety_contact_of(session: Session, site_id: int) -> SafetyContactRow:
    """Return what the site set, or an empty one that is not kept yet."""
    return session.get(SafetyContactRow, site_id) or SafetyContactRow(site_id=site_id)
