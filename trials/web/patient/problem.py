"""Tell the clinic of a problem: kept at once, with a receipt that says who reads it and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from trials.domain.diary import FieldErrors
from trials.domain.errors import ProtocolError
from trials.services.help_numbers import help_numbers
from trials.services.problems import PROBLEM_KINDS, ProblemKind, report_problem
from trials.services.screening import watch_words
from trials.web.access import open_to_patient
from trials.web.edge import (
    absolute_url,
    current_actor,
    current_patient,
    now,
    sentence_of,
    transaction,
)
from trials.web.patient.advice import CallLine, all_calls
from trials.web.patient.blueprint import bp, render, typed_in
from trials.web.patient.trial import choose_trial


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """All that templates/patient/problem.html may use.

    Attributes:
        calls: every number to call.
        kinds: (value, name) of what it can be about.
        action: where the form goes.
        back: where "no" goes.
        typed: what was typed, after an error.
        errors: sentences by field.
    """

    calls: tuple[CallLine, ...]
    kinds: tuple[tuple[str, str], ...]
    action: str
    back: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)


@bp.route("/clinic/problem", methods=["GET", "POST"])
@open_to_patient
def problem() -> ResponseReturnValue:
    """Ask what the problem is, and keep it."""
    at = now()
    typed = typed_in(request.form)
    with transaction() as session:
        choice = choose_trial(session)
        errors: FieldErrors = {}
        if request.method == "POST":
            try:
                report_problem(
                    session,
                    current_actor(),
                    choice.trial,
                    kind=_kind(typed),
                    words=typed.get("words", ""),
                    address=absolute_url("entrance.home"),
                    now=at,
                )
            except ProtocolError as wrong:
                name = "words" if typed.get("kind") else "kind"
                errors = {name: sentence_of(wrong)}
        if request.method == "GET" or errors:
            page = ProblemPage(
                calls=all_calls(help_numbers(session, current_patient().site)),
                kinds=tuple((kind.value, str(_(name))) for kind, name in PROBLEM_KINDS.items()),
                action=choice.address("problem"),
                back=choice.address("clinic"),
                typed=typed,
                errors=errors,
            )
            return render("problem", page), 422 if errors else 200
        told = watch_words(session, current_actor(), choice.trial, typed.get("words", ""), at)
    if told:  # what to do comes first
        return redirect(choice.address("help_now", told=told[0].id), code=303)
    flash(
        _("Your clinic is told. Somebody reads it within two working days and calls if needed."),
        "success",
    )
    return redirect(choice.address("clinic"), code=303)


def _kind(typed: Mapping[str, str]) -> ProblemKind:
    try:
        return ProblemKind(typed.get("kind", ""))
    except ValueError:
        raise ProtocolError(_("Please choose what it is about.")) from None
