"""The main menu of every reader: each blueprint's module lists its own entries in ``MENU``."""

from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app, request, url_for
from flask_babel.speaklater import LazyString

from trials.domain.blinding import Role


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One entry of the main menu; the first one of a role is where that role begins.

    Attributes:
        role: whose menu.
        label: from ``lazy_gettext``.
        endpoint: where it leads.
        also: endpoints of pages that belong to this entry too.
    """

    role: Role
    label: LazyString
    endpoint: str
    also: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether the present page belongs to this entry."""
        return request.endpoint in (self.endpoint, *self.also)


def menu_of(role: Role | None) -> list[tuple[str, str, bool]]:
    """Return label, address and whether it is the present page, as ``base.html`` reads them."""
    return [(str(item.label), url_for(item.endpoint), item.is_current) for item in _items(role)]


def start_of(role: Role | None) -> str | None:
    """Return the address at which this role begins its work, or None if it has no pages."""
    return next((url_for(item.endpoint) for item in _items(role)), None)


def _items(role: Role | None) -> Iterable[MenuItem]:
    items: list[MenuItem] = current_app.extensions["lenitive.menu"]
    return (item for item in items if item.role is role)
