"""Tell the clinic of a problem: kept at once, with a receipt that says who reads it and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from trials.domain.diary import FieldErrors
from trials.domain.errors import ProtocolError
from trials.services.help_numbers import help_numbers
from trials.services.problems import PROBLEM_KINDS, ProblemKind, report_problem
from trials.web.access import open_to_patient
from trials.web.edge import (
    absolute_url,
    current_actor,
    current_patient,
    now,
    sentence_of,
    transaction,
)
from trials.web.patient.advice import Advice, CallLine, all_calls
from trials.web.patient.blueprint import bp, render, typed_in
from trials.web.patient.diary import KEY
from trials.web.patient.listening import listen, way_on
from trials.web.patient.trial import choose_trial


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """All that templates/patient/problem.html may use.

    Attributes:
        calls: every number to call.
        kinds: (value, name) of what it can be about.
        action: where the form goes.
        back: where "no" goes.
        key: of this form.
        typed: what was typed, after an error.
        errors: sentences by field.
        advice: what must be read at once.
    """

    calls: tuple[CallLine, ...]
    kinds: tuple[tuple[str, str], ...]
    action: str
    back: str
    key: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: FieldErrors = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()


@bp.route("/clinic/problem", methods=["GET", "POST"])
@open_to_patient
def problem() -> ResponseReturnValue:
    """Ask what the problem is, and keep it."""
    at = now()
    typed = typed_in(request.form)
    key = typed["key"] if KEY.fullmatch(typed.get("key", "")) else str(uuid4())
    advice = listen(typed.get("words", ""), key=key)
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
                key=key,
                typed=typed,
                errors=errors,
                advice=advice,
            )
            return render("problem", page), 422 if errors else 200
    if not advice:
        told = _(
            "Your clinic is told. Somebody reads it within two working days and calls if needed."
        )
        flash(told, "success")
    return redirect(way_on(choice, advice, "clinic"), code=303)


def _kind(typed: Mapping[str, str]) -> ProblemKind:
    try:
        return ProblemKind(typed.get("kind", ""))
    except ValueError:
        raise ProtocolError(_("Please choose what it is about.")) from None
