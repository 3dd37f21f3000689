"""The address book and the menu of the patient's pages, and what all of them need."""

from collections.abc import Mapping

from flask import Blueprint, render_template
from flask_babel import lazy_gettext

from trials.domain.blinding import Role
from trials.web.menu import MenuItem

bp = Blueprint("patient", __name__)

MENU = (
    MenuItem(
        Role.PATIENT,
        lazy_gettext("Today"),
        "patient.today",
        also=(
            "patient.show_diary",
            "patient.submit_diary",
            "patient.thanks",
            "patient.guess",
            "patient.written",
        ),
    ),
    MenuItem(
        Role.PATIENT, lazy_gettext("My reports"), "patient.entries", also=("patient.correct",)
    ),
    MenuItem(Role.PATIENT, lazy_gettext("My result"), "patient.result"),
    MenuItem(
        Role.PATIENT,
        lazy_gettext("My clinic"),
        "patient.clinic",
        also=(
            "patient.pause",
            "patient.stop",
            "patient.problem",
            "patient.reminders",
            "patient.help_now",
            "patient.mood",
            "patient.mood_help",
        ),
    ),
)


def render(name: str, page: object, **frame: object) -> str:
    """Return one page of the patient's, filled; ``frame`` replaces values of ``base.html``."""
    return render_template(f"patient/{name}.html", page=page, **frame)


def typed_in(form: Mapping[str, str]) -> dict[str, str]:
    """Return what a person typed, without the token against forged forms."""
    return {name: value for name, value in form.items() if name != "csrf_token"}
