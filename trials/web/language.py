"""The language of the pages: chosen by the reader, in every footer that a patient may see.

A choice is kept in the browser, for pages that know nobody, and a patient's with the patient too,
so that messages and the calendar follow it. Staff change theirs elsewhere.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from trials.domain.blinding import Role
from trials.domain.errors import NotFoundError
from trials.domain.words import marked
from trials.services import patients
from trials.services.actor import Actor
from trials.services.language import SOURCE_LANGUAGE, languages, own_name
from trials.store.account import PatientRow
from trials.web.access import acting_role, public
from trials.web.edge import current_reader, now, transaction

bp = Blueprint("language", __name__)

_CHOSEN = "language"


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """One language of the footer.

    Attributes:
        code: such as "de".
        name: what the language calls itself.
        current: whether the page is in it.
    """

    code: str
    name: str
    current: bool


@bp.post("/language")
@public
def choose() -> ResponseReturnValue:
    """Show the pages in another language from now on, and go back to where it was chosen."""
    wanted = request.form.get("language", "")
    if wanted not in languages():
        raise NotFoundError(marked("There is no such language here."))
    session[_CHOSEN] = wanted
    patient = current_reader().patient
    if patient is not None:
        actor = Actor(None, patient.public_id, Role.PATIENT, patient.site_id, patient.timezone)
        with transaction() as database:
            row = database.get_one(PatientRow, patient.id)
            patients.choose_language(database, actor, row, wanted, now=now())
    return redirect(_own_address(request.form.get("back", "")), code=303)


def language_choices() -> tuple[LanguageChoice, ...]:
    """Return what the footer offers; nothing where staff work, or where there is one language."""
    reader = current_reader()
    of_staff = reader.account is not None and acting_role() is not Role.PATIENT
    if of_staff or len(languages()) == 1:
        return ()
    locale = get_locale()
    current = locale.language if locale is not None else SOURCE_LANGUAGE
    return tuple(LanguageChoice(code, own_name(code), code == current) for code in languages())


def chosen_language() -> str:
    """Return what was chosen in this browser, "" if nothing that is still there."""
    chosen = str(session.get(_CHOSEN, ""))
    return chosen if chosen in languages() else ""


def language_of_browser() -> str:
    """Return which of our languages the browser asks for first; English if none."""
    return request.accept_languages.best_match(languages()) or SOURCE_LANGUAGE


def back_here() -> str:
    """Return the address of the page being shown, where it can be asked for again.

    A page of an error leads to the start: it repeats nothing of the address that failed.
    """
    if g.get("is_error_page"):
        return ""
    return request.full_path.rstrip("?") if request.method == "GET" else ""


def _own_address(address: str) -> str:
    """Return an address of ours as it is, and the start instead of any other."""
    parts = urlsplit(address)
    is_own = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if is_own and "\\" not in address else url_for("entrance.start")
