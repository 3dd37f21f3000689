"""The administrator's page of numbers: whom patients call, and who stands in at the clinic."""

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from trials.domain.blinding import Role
from trials.domain.errors import AccountError
from trials.services.help_numbers import FIELDS, Country, countries, edit_help_numbers, typed_of
from trials.web.access import open_to
from trials.web.edge import current_actor, now, sentence_of, transaction
from trials.web.menu import MenuItem

bp = Blueprint("help_numbers", __name__, url_prefix="/admin/numbers")

MENU = (
    MenuItem(
        Role.ADMINISTRATOR,
        lazy_gettext("Emergency numbers"),
        "help_numbers.show",
        also=("help_numbers.keep",),
    ),
)


@dataclass(frozen=True, slots=True)
class NumbersPage:
    """All that templates/administrator/numbers.html may use.

    Attributes:
        typed: field -> text.
        countries: whose numbers are known.
        problem: why it could not be kept, "" at first.
    """

    typed: dict[str, str]
    countries: tuple[Country, ...]
    problem: str = ""


@bp.get("")
@open_to(Role.ADMINISTRATOR)
def show() -> ResponseReturnValue:
    """Show the numbers of the site."""
    with transaction() as session:
        page = NumbersPage(typed_of(session, current_actor()), tuple(countries().values()))
    return render_template("administrator/numbers.html", page=page)


@bp.post("")
@open_to(Role.ADMINISTRATOR)
def keep() -> ResponseReturnValue:
    """Change the numbers of the site."""
    typed = {name: request.form.get(name, "") for name in FIELDS}
    try:
        with transaction() as session:
            edit_help_numbers(session, current_actor(), typed, now=now())
    except AccountError as problem:
        page = NumbersPage(typed, tuple(countries().values()), sentence_of(problem))
        return render_template("administrator/numbers.html", page=page), 422
    flash(_("The numbers were kept."), "success")
    return redirect(url_for("help_numbers.show"), code=303)
