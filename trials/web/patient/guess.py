"""At the end of a period: which treatment the patient thinks it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from trials.domain.diary import FieldErrors
from trials.domain.errors import StateError
from trials.domain.protocol import Protocol
from trials.domain.words import marked
from trials.services import guesses as guess_services
from trials.store.trial import PeriodRow, frozen_protocol, guesses_of_trial
from trials.web.access import open_to_patient
from trials.web.edge import now, transaction
from trials.web.local_words import days_between
from trials.web.patient.blueprint import bp, render, typed_in
from trials.web.patient.trial import Choice, choose_trial
from trials.web.patient.words import grouped

CERTAINTIES = (
    ("0", lazy_gettext("Just a guess")),
    ("1", lazy_gettext("A little sure")),
    ("2", lazy_gettext("Fairly sure")),
    ("3", lazy_gettext("Very sure")),
    ("4", lazy_gettext("Certain")),
)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GuessPage:
    """All that templates/patient/guess.html may use.

    Attributes:
        days: of the period.
        box: that was taken from.
        options: (value, name) of each candidate, and "I do not know".
        certainties: (value, name) of each level.
        home: the first page.
        typed: what was typed, after an error.
        errors: sentences by field.
    """

    days: str
    box: str
    options: tuple[tuple[str, str], ...]
    certainties: tuple[tuple[str, str], ...]
    home: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)


@bp.route("/period/<int:period>/guess", methods=["GET", "POST"])
@open_to_patient
def guess(period: int) -> ResponseReturnValue:
    """Ask at the end of a period which treatment the patient thinks it was."""
    at = now()
    typed = typed_in(request.form)
    with transaction() as session:
        choice = choose_trial(session)
        if any(g.period == period for g in guesses_of_trial(session, choice.trial.id)):
            return redirect(choice.address("today"), code=303)
        waiting = guess_services.guesses_to_ask(session, choice.trial, at)
        row = next((p for p in waiting if p.number == period), None)
        frozen = frozen_protocol(session, choice.trial.id)
        if row is None or frozen is None:
            raise StateError(marked("Nothing is asked about this box now."))
        errors = _check_guess(typed) if request.method == "POST" else {}
        if request.method == "GET" or errors:
            page = _guess_page(choice, row, frozen.value, typed, errors)
            return render("guess", page), 422 if errors else 200
        known = typed["treatment"] != UNKNOWN
        guess_services.record_guess(
            session,
            choice.trial,
            period=period,
            treatment=typed["treatment"] if known else "",
            certainty=int(typed["certainty"]) if known else 0,
            why=typed.get("why", ""),
            now=at,
        )
    flash(_("Your answer is kept. Thank you."), "success")
    return redirect(choice.address("today"), code=303)


def _check_guess(typed: Mapping[str, str]) -> FieldErrors:
    errors: FieldErrors = {}
    if not typed.get("treatment"):
        errors["treatment"] = _("Please choose one, or that you do not know.")
    unsure = typed.get("certainty", "") not in dict(CERTAINTIES)
    if typed.get("treatment") != UNKNOWN and unsure:
        errors["certainty"] = _("Please say how sure you are.")
    if len(typed.get("why", "")) > 500:
        errors["why"] = _("Please keep it under 500 characters.")
    return errors


def _guess_page(
    choice: Choice,
    row: PeriodRow,
    protocol: Protocol,
    typed: Mapping[str, str],
    errors: FieldErrors,
) -> GuessPage:
    candidates = sorted(protocol.candidates, key=lambda c: c.name.casefold())
    return GuessPage(
        days=days_between(row.first_day, row.last_day),
        box=grouped(row.kit),
        options=(*((c.treatment, c.name) for c in candidates), (UNKNOWN, str(_("I do not know")))),
        certainties=tuple((value, str(name)) for value, name in CERTAINTIES),
        home=choice.address("today"),
        typed=typed,
        errors=errors,
    )
